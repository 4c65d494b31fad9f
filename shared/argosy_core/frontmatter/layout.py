"""Which lines of a head belong to which key."""

from __future__ import annotations

import re
from dataclasses import dataclass

import yaml

from argosy_core.frontmatter.block import bare, split_lines
from argosy_core.yamltext import compose, line_of, pairs

_COLON = re.compile(r":(?=[ \t]|$)")
_CONTINUED = re.compile(r"[ \t]+\S|-(?:[ \t]|$)")


@dataclass(frozen=True, slots=True)
class Entry:
    """A top-level key and its lines, *first* to *last*, counted from 0.

    *label* is the key as written, *comment* what follows the value on a single line, *flow* whether the value is a
    list or map in brackets.
    """

    key: str
    label: str
    first: int
    last: int
    indent: int = 0
    comment: str = ""
    flow: bool = False


def entries_by_marks(head: str) -> list[Entry]:
    """The entries of a head that is valid YAML, from its parser's marks. Raises YamlProblem when it is not valid.

    Where keys share a line (``{a: 1, b: 2}``) the entries overlap.
    """
    root = compose(head)
    lines = split_lines(head)
    return [_entry(key, label, node, lines) for key, label, node in pairs(root)] if root else []


def entries_by_lines(head: str) -> list[Entry]:
    """The entries of any head: a key at the start of a line, and the indented lines and list items after it."""
    entries: list[Entry] = []
    for number, line in enumerate(split_lines(head)):
        found = split_key(bare(line))
        if found:
            key, label, _ = found
            entries.append(Entry(key, label, number, number))
        elif entries and _CONTINUED.match(line):
            last = entries[-1]
            entries[-1] = Entry(last.key, last.label, last.first, number)
    return entries


def split_key(line: str) -> tuple[str, str, str] | None:
    """Key, key as written and the text after the colon of a line that begins with ``key:``; None for any other."""
    quoted = line[:1] in ("'", '"')
    colon = _COLON.search(line, line.find(line[0], 1) + 1 if quoted else 0)
    if colon is None or line[0] in " \t#[]{},>|*&!%@`" or line.startswith(("- ", "? ", "-\t", "?\t")):
        return None
    label = line[: colon.start()].rstrip(" \t")
    if quoted and (len(label) < 2 or label[-1] != label[0] or label[0] in label[1:-1] or "\\" in label):
        return None
    if not label or (not quoted and (" #" in label or "\t#" in label)):
        return None
    return label[1:-1] if quoted else label, label, line[colon.end() :].strip(" \t")


def value_text(lines: list[str], entry: Entry) -> list[str]:
    """What is written after *entry*'s colon: the rest of its line, then its further lines without their indentation."""
    first, *more = (bare(line) for line in lines[entry.first : entry.last + 1])
    found = split_key(first)
    return [found[2] if found else "", *(line.strip(" \t") for line in more)]


def _entry(key: str, label: yaml.Node, node: yaml.Node, lines: list[str]) -> Entry:
    first, last = line_of(label), _last_line(node, lines)
    indent = label.start_mark.column if label.start_mark else 0
    end = label.end_mark.column if label.end_mark and label.end_mark.line == first else indent
    comment = ""
    if last == first and node.end_mark and node.end_mark.line == first:
        comment = bare(lines[first])[node.end_mark.column :]
    flow = isinstance(node, yaml.CollectionNode) and bool(node.flow_style)
    return Entry(key, lines[first][indent:end], first, last, indent, comment if "#" in comment else "", flow)


def _last_line(node: yaml.Node, lines: list[str]) -> int:
    # The end mark of a block collection lies at the next token, beyond comments that are nobody's.
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        child = node.value[-1] if isinstance(node, yaml.SequenceNode) else node.value[-1][1]
        return _last_line(child, lines)
    end = node.end_mark.line if node.end_mark else line_of(node)
    if isinstance(node, yaml.ScalarNode) and node.style in ("|", ">"):
        end = min(end, len(lines)) - (node.end_mark is not None and node.end_mark.column == 0)
        while end > line_of(node) and not bare(lines[end]).strip(" \t"):
            end -= 1
    return end
