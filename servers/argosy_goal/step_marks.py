"""Where a step's fields stand in the head, so that changing one leaves its neighbours as a person wrote them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import yaml

from argosy_core.frontmatter import Page, edit, key_line, parse
from argosy_core.frontmatter.block import find_block, split_lines
from argosy_core.frontmatter.render import entry_lines
from argosy_core.yamltext import YamlProblem, compose, line_of, pairs

_HEAD_LINE = 2  # the head begins below the first fence


def line_of_step(page: Page, position: int, key: str | None = None) -> int:
    """The line of the file where the step at *position* sets *key*, or where it begins."""
    try:
        node = _step_node(page.raw_head, position)
        found = (child for name, child in _children(node) if name == key)
        return _HEAD_LINE + line_of(next(found, node))
    except (YamlProblem, LookupError):
        return key_line(page, "sub_goals")


def set_in_step(text: str, position: int, changes: Mapping[str, Any]) -> str:
    """*text* with fields of one step changed; the rest of the step stays as written where YAML allows that."""
    page = parse(text)
    steps = [dict(step) for step in cast("list[dict[str, Any]]", page.fields["sub_goals"])]
    steps[position].update(changes)
    patched = _patched(text, page.raw_head, position, changes)
    if patched is not None and parse(patched).fields == {**page.fields, "sub_goals": steps}:
        return patched
    return edit(text, {"sub_goals": steps})


def _patched(text: str, head: str, position: int, changes: Mapping[str, Any]) -> str | None:
    block = find_block(text)
    assert block is not None, "what has steps has a head"
    nodes = dict(_children(_step_node(head, position)))
    lines = split_lines(head)
    written: list[tuple[int, int, int, str]] = []
    for key, value in changes.items():
        span, entry = _span(nodes.get(key)), entry_lines(key, value)
        if span is None or len(entry) != 1:
            return None
        written.append((*span, entry[0].partition(": ")[2]))
    for line, start, end, shown in sorted(written, reverse=True):
        gap = " " if lines[line][start - 1 : start] == ":" else ""
        lines[line] = lines[line][:start] + gap + shown + lines[line][end:]
    return block.opening + "".join(lines) + block.closing + block.rest


def _span(node: yaml.Node | None) -> tuple[int, int, int] | None:
    """Line, first and last column of a one-line scalar; None for anything else."""
    if not isinstance(node, yaml.ScalarNode) or node.style in ("|", ">"):
        return None
    if not node.start_mark or not node.end_mark or node.start_mark.line != node.end_mark.line:
        return None
    return node.start_mark.line, node.start_mark.column, node.end_mark.column


def _step_node(head: str, position: int) -> yaml.Node:
    root = compose(head)
    nodes = dict(_children(root)) if root else {}
    steps: list[yaml.Node] = nodes["sub_goals"].value
    return steps[position]


def _children(node: yaml.Node) -> list[tuple[str, yaml.Node]]:
    return [(name, child) for name, _, child in pairs(node)] if isinstance(node, yaml.MappingNode) else []
