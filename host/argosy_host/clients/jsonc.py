"""One entry put into, or taken out of, a JSON file that people edit too: every other character stays as it is.

The libraries for JSON with comments either write the file anew or are not free to depend on (GPL, or a JavaScript
engine), so the text is edited where the change belongs and the result is read again before anybody gets it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from argosy_host.clients.jsonc_syntax import JsoncError, Member, Node, parse

KeyPath = Sequence[str]
_Edit = tuple[int, int, str]
DEFAULT_INDENT = "  "
# Comments behind a value that end on its line: they belong to it.
_REMARK = re.compile(r"(?:[ \t]*/\*(?:(?!\*/)[^\r\n])*\*/)*(?:[ \t]*//[^\r\n]*)?")


def find(text: str, path: KeyPath) -> Node | None:
    """The value at *path*, None when nothing stands there.

    Raises JsoncError for a text that cannot be read, a key that stands twice, and a value on the way that is no object.
    """
    return find_in(text, parse(text), path) if text.strip() else None


def find_in(text: str, root: Node, path: KeyPath) -> Node | None:
    """As `find`, in a *text* that was read already."""
    node, rest = _descend(text, root, path)
    return node if not rest else None


def put(text: str, path: KeyPath, value: Any) -> str:
    """*text* with *value* at *path*: replaced where it stands, else added as the last member. Raises as `find`."""
    text = text if text.strip() else "{}" + ("\r\n" if "\r\n" in text else "\n")
    root = parse(text)
    node, rest = _descend(text, root, path)
    layout = _Layout.of(text, root)
    if not rest:
        edits = [(node.start, node.end, layout.render(value, _indent(text, node.start)))]
    else:
        wrapped = value
        for key in reversed(rest[1:]):
            wrapped = {key: wrapped}
        edits = _addition(text, node, rest[0], wrapped, layout)
    changed = _apply(text, edits)
    found = find(changed, path)
    if found is None or found.value != value:
        raise JsoncError("this layout cannot be edited", text, node.start)
    return changed


def take(text: str, path: KeyPath) -> str:
    """*text* without the member at *path*; the same text when there is none. Raises as `find`."""
    if find(text, path) is None:
        return text
    holder, _ = _descend(text, parse(text), path[:-1])
    members = holder.members or ()
    index = next(i for i, member in enumerate(members) if member.key == path[-1])
    changed = _apply(text, _removal(text, holder, members, index))
    if (
        find(changed, path) is not None
        or len(_descend(changed, parse(changed), path[:-1])[0].value) != len(members) - 1
    ):
        raise JsoncError("this layout cannot be edited", text, members[index].start)
    return changed


def _descend(text: str, node: Node, path: KeyPath) -> tuple[Node, KeyPath]:
    """The innermost value on the way along *path* that is there, and the keys that are missing below it."""
    for depth, key in enumerate(path):
        if node.members is None:
            raise JsoncError(f"an object should stand here, to hold {key}", text, node.start)
        found = [member for member in node.members if member.key == key]
        if len(found) > 1:
            raise JsoncError(f"{key} stands twice in one object", text, found[1].start)
        if not found:
            return node, path[depth:]
        node = found[0].node
    return node, ()


def _apply(text: str, edits: Sequence[_Edit]) -> str:
    for start, end, new in sorted(edits, reverse=True):
        text = text[:start] + new + text[end:]
    return text


# Layout


def _line_start(text: str, position: int) -> int:
    return text.rfind("\n", 0, position) + 1


def _indent(text: str, position: int) -> str:
    """The blanks at the start of the line of *position*."""
    line = text[_line_start(text, position) : position]
    return line[: len(line) - len(line.lstrip(" \t"))]


def _is_first_in_line(text: str, position: int) -> bool:
    start = _line_start(text, position)
    return start > 0 and not text[start:position].strip(" \t")


@dataclass(frozen=True, slots=True)
class _Layout:
    """How the file is written. *inline*: all in one line."""

    newline: str
    unit: str
    inline: bool
    separators: tuple[str, str]

    @classmethod
    def of(cls, text: str, root: Node) -> _Layout:
        body = text[root.start : root.end]
        windows = text.count("\r\n") * 2 > text.count("\n")
        first = root.members[0].start if root.members else None
        unit = _indent(text, first) if first is not None and _is_first_in_line(text, first) else ""
        inline = "\n" not in body and bool(root.members)
        separators = (", ", ": ") if not inline or '": ' in body else (",", ":")
        return cls("\r\n" if windows else "\n", unit or DEFAULT_INDENT, inline, separators)

    def render(self, value: Any, indent: str, inline: bool = False) -> str:
        """*value* as it stands in a line that begins with *indent*."""
        if inline or self.inline:
            return json.dumps(value, ensure_ascii=False, separators=self.separators)
        lines = json.dumps(value, ensure_ascii=False, indent=self.unit)
        return lines.replace("\n", self.newline + indent)

    def member(self, key: str, value: Any, indent: str, inline: bool = False) -> str:
        """A key and its value."""
        return json.dumps(key, ensure_ascii=False) + self.separators[1] + self.render(value, indent, inline)


# Adding


def _addition(text: str, holder: Node, key: str, value: Any, layout: _Layout) -> list[_Edit]:
    if not holder.members:
        return [_first(text, holder, key, value, layout)]
    last = holder.members[-1]
    after = last.end if last.comma is None else last.comma + 1
    comma = "" if last.comma is None else ","
    if layout.inline or not _is_first_in_line(text, last.start):
        item = layout.member(key, value, "", inline=True)
        blank = layout.separators[0][1:]
        return [(after, after, f"{blank}{item}," if comma else f",{blank}{item}")]
    indent = _indent(text, last.start)
    remark = _REMARK.match(text, after)
    place = remark.end() if remark else after
    item = layout.newline + indent + layout.member(key, value, indent) + comma
    if comma:
        return [(place, place, item)]
    return [(after, place, "," + text[after:place] + item)]


def _first(text: str, holder: Node, key: str, value: Any, layout: _Layout) -> _Edit:
    begin, end = holder.start + 1, holder.end - 1
    if layout.inline:
        return (end, end, layout.member(key, value, ""))
    outer = _indent(text, holder.start)
    item = layout.newline + outer + layout.unit + layout.member(key, value, outer + layout.unit)
    inner = text[begin:end]
    if not inner.strip():
        return (begin, end, item + layout.newline + outer)
    place = begin + len(inner.rstrip())
    return (place, place, item if "\n" in text[place:end] else item + layout.newline + outer)


# Removing


def _removal(text: str, holder: Node, members: Sequence[Member], index: int) -> list[_Edit]:
    member = members[index]
    end = member.end if member.comma is None else member.comma + 1
    behind = text[member.end : end].rstrip(",") + text[end : holder.end - 1]
    if len(members) == 1 and not (text[holder.start + 1 : member.start] + behind).strip():
        return [(holder.start + 1, holder.end - 1, "")]
    edits: list[_Edit] = []
    comma = members[index - 1].comma if index else None
    if member.comma is not None and text[member.end : member.comma].strip():
        edits.append((member.comma, end, ""))  # a comment stands before the comma and stays
        end = member.end
    if member.comma is None and comma is not None:
        edits.append((comma, comma + 1, ""))
    left = holder.start + 1 if comma is None else comma + 1
    return [*edits, (*_span(text, left, member.start, end, is_last=index == len(members) - 1), "")]


def _span(text: str, left: int, start: int, end: int, *, is_last: bool) -> tuple[int, int]:
    """What goes with the member ``text[start:end]``: its line when it begins one, else the blanks on one side.

    Its line stays for a remark behind it, and where what follows would become part of a comment. *left* is where what
    stands before the member begins.
    """
    behind = text[end:].lstrip(" \t")
    blanks = len(text) - end - len(behind)
    before = text[left:start]
    if not _is_first_in_line(text, start):
        return (left + len(before.rstrip(" \t")), end) if is_last else (start, end + blanks)
    joins = is_last and "//" not in before and behind.startswith(("}", "/*"))
    if "\n" not in before or not (joins or behind.startswith(("\r", "\n"))):
        return start, end + blanks
    line = text.rfind("\n", 0, start)
    return (line - 1 if text[line - 1] == "\r" else line), end
