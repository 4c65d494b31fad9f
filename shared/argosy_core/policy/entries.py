"""Settings as a tree with line numbers, from both ways to write them: YAML in a fence, and ``key: value`` lines."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import yaml

from argosy_core.policy.markdown import BULLET, Line
from argosy_core.yamltext import YamlProblem, compose, line_of, pairs, value_of

_KEYED = re.compile(r"[*_`\"']{0,4}([A-Za-z0-9_][\w .\-/@]{0,79}?)[*_`\"']{0,4}:[*_]{0,2}(?:[ \t]+(.*))?$")
_REMARK_AFTER_CODE = re.compile(r"`([^`]+)`[\s*]*(?:[—–(#;,.].*|-\s.*)?$")
_REMARK = re.compile(r"\s+(?:[—–#]|\([^()]*\)\s*$).*$")


@dataclass(frozen=True, slots=True)
class Entry:
    """A setting: a value, or for a map its *children*."""

    key: str
    line: int
    value: Any = None
    children: tuple[Entry, ...] = ()
    is_map: bool = False


@dataclass(frozen=True, slots=True)
class Item:
    """A line of a list or of prose, and those indented below it. *key* is empty when the line is not ``key: value``."""

    line: int
    key: str
    text: str
    is_bullet: bool
    children: tuple[Item, ...] = ()


def yaml_entries(text: str, first_line: int) -> tuple[Entry, ...]:
    """The entries of a YAML map; none when *text* holds nothing. Raises YamlProblem."""
    node = compose(text, first_line)
    if node is None:
        return ()
    if not isinstance(node, yaml.MappingNode):
        raise YamlProblem(first_line + line_of(node), "this is not `key: value`")
    value_of(node, first_line)  # refuses tags and deep nesting everywhere below
    return _children(node, first_line)


def items(lines: Iterable[Line]) -> tuple[Item, ...]:
    """The lines that are not blank as a tree, by their indentation."""
    rows = [(_indent(line.text), line) for line in lines if line.text.strip()]
    return _tree(rows)


def entry_of(item: Item) -> Entry:
    """*item* as a setting: its text, without backticks and remark, is read as a YAML value. Raises YamlProblem."""
    if not item.children:
        text = without_remark(item.text)
        return value_entry(item.key, '"*"' if text == "*" else text, item.line)  # a bare star is no value in YAML
    if item.text:
        raise YamlProblem(item.children[0].line, f"nothing may stand below the value of {item.key}")
    if not any(child.key for child in item.children):
        return Entry(item.key, item.line, [entry_of(child).value for child in item.children])
    return Entry(item.key, item.line, None, tuple(map(entry_of, item.children)), True)


def value_entry(key: str, text: str, line: int) -> Entry:
    """*key* with the YAML value that *text* is. Raises YamlProblem."""
    node = compose(text, line)
    if node is None:
        return Entry(key, line)
    value_of(node, line)
    return _entry(key, line, node, line)


def without_remark(text: str) -> str:
    """*text* without what explains it: ```x` — because``, ``x (because)``, ``x # because``, ``**x**`` are ``x``.

    A star at its end that none at its beginning answers is no emphasis: ``shell__*`` stays what it is, and so does a
    star alone.
    """
    text = text.strip()
    if text == "*":
        return text
    emphasis = text[: len(text) - len(text.lstrip("*"))]
    text = text.lstrip("*").strip().removesuffix(emphasis).strip()
    code = _REMARK_AFTER_CODE.match(text)
    if code:
        return code[1].strip()
    return text if text[:1] in "[{\"'" else _REMARK.sub("", text).strip("` ").removesuffix(emphasis).strip("` ")


def split_item(text: str) -> tuple[str, str] | None:
    """Key and value of ``key: value``, ``**key**: value`` or ```key`: value``; None for other text."""
    match = _KEYED.match(text)
    return (match[1], (match[2] or "").strip()) if match else None


def _children(node: yaml.Node, first: int) -> tuple[Entry, ...]:
    return tuple(_entry(key, first + line_of(label), child, first) for key, label, child in pairs(node, first))


def _entry(key: str, line: int, node: yaml.Node, first: int) -> Entry:
    if isinstance(node, yaml.MappingNode):
        return Entry(key, line, None, _children(node, first), True)
    return Entry(key, line, value_of(node, first))


def _tree(rows: list[tuple[int, Line]]) -> tuple[Item, ...]:
    found: list[Item] = []
    start = 0
    while start < len(rows):
        indent, line = rows[start]
        end = start + 1
        while end < len(rows) and rows[end][0] > indent:
            end += 1
        found.append(_item(line, rows[start + 1 : end]))
        start = end
    return tuple(found)


def _item(line: Line, below: list[tuple[int, Line]]) -> Item:
    bullet = BULLET.match(line.text)
    text = (bullet[2] if bullet else line.text).strip()
    key, value = split_item(text) or ("", text)
    children = _tree(below)
    # A deeper line that is neither a list item nor `key: value` goes on with the sentence above it.
    joined = " ".join([value, *(child.text for child in children if value and not child.is_bullet and not child.key)])
    kept = tuple(child for child in children if not value or child.is_bullet or child.key)
    return Item(line.number, key, joined, bool(bullet), kept)


def _indent(text: str) -> int:
    return len(text.expandtabs(4)) - len(text.expandtabs(4).lstrip())
