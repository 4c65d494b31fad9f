"""Changing some fields of a page and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

from argosy_core.errors import TooLarge
from argosy_core.frontmatter.block import BOM, FENCE, Block, bare, find_block, split_lines
from argosy_core.frontmatter.layout import Entry, entries_by_lines, entries_by_marks
from argosy_core.frontmatter.page import Page, parse
from argosy_core.frontmatter.render import entry_lines, render_head
from argosy_core.yamltext import MAX_CHARS


class _Remove:
    def __repr__(self) -> str:
        return "REMOVE"


REMOVE: Final = _Remove()
"""As a value given to `edit`: take the field out. (None writes ``null``.)"""


def edit(text: str, changes: Mapping[str, Any]) -> str:
    """*text* with some top-level fields changed.

    A changed field's lines are replaced where they stand, new fields go to the end of the head (one is made when there
    is none), and every other line, comment, quote and line ending stays as it is. A field that already has its value
    is left alone. Raises InvalidArgument for a value that JSON cannot hold and TooLarge when the head is or would be
    above 64 KiB; never for what *text* holds.
    """
    page, block = parse(text), find_block(text)
    changes = {key: _as_read(value) for key, value in changes.items()}
    wanted = {key: value for key, value in changes.items() if _differs(page, key, value)}
    if not wanted:
        return text
    if block is None:
        return _with_new_head(text, wanted)
    head = _bounded(_edited_head(block, page, wanted))
    result = block.opening + head + block.closing + block.rest
    return result if _took(parse(result).fields, page, wanted) else _rewritten(block, page, wanted)


def _took(fields: Mapping[str, Any], page: Page, wanted: Mapping[str, Any]) -> bool:
    # Of a broken head only the changed fields are compared: mending one line may make others readable.
    if page.degraded is None:
        return fields == _apply(page.fields, wanted)
    return all(fields.get(key, REMOVE) == value for key, value in wanted.items())


def _rewritten(block: Block, page: Page, wanted: Mapping[str, Any]) -> str:
    # The keys share lines (`{a: 1, b: 2}`), or an open quote swallows what was added. A broken head stays as a comment.
    old = "".join("# " + line for line in split_lines(block.head)) if page.degraded else ""
    head = _bounded(old + render_head(_apply(page.fields, wanted), block.eol))
    return block.opening + head + (block.closing or FENCE + block.eol) + block.rest


def _edited_head(block: Block, page: Page, wanted: Mapping[str, Any]) -> str:
    lines = split_lines(_bounded(block.head))
    entries = (entries_by_lines if page.degraded else entries_by_marks)(block.head)
    indent = entries[0].indent if entries else 0
    last = {entry.key: entry for entry in entries}  # of a doubled key the last one counts
    for entry in reversed(entries):
        if wanted.get(entry.key) is REMOVE:
            del lines[entry.first : entry.last + 1]
        elif entry.key in wanted and last[entry.key] is entry:
            lines[entry.first : entry.last + 1] = _lines(entry.key, wanted[entry.key], block.eol, entry.indent, entry)
    if lines and bare(lines[-1]) == lines[-1]:
        lines[-1] += block.eol
    for key, value in wanted.items():
        if key not in last and value is not REMOVE:
            lines += _lines(key, value, block.eol, indent)
    return "".join(lines)


def _lines(key: str, value: Any, eol: str, indent: int, entry: Entry | None = None) -> list[str]:
    lines = entry_lines(key, value, entry.label, entry.flow) if entry else entry_lines(key, value)
    if entry and len(lines) == 1:
        lines = [lines[0] + entry.comment]
    return [" " * indent + line + eol for line in lines]


def _with_new_head(text: str, wanted: Mapping[str, Any]) -> str:
    line = split_lines(text)[:1]
    eol = line[0][len(bare(line[0])) :] if line else ""
    eol = eol if eol in ("\n", "\r\n") and eol else "\n"
    mark, body = (BOM, text[1:]) if text.startswith(BOM) else ("", text)
    return f"{mark}{FENCE}{eol}{render_head(_apply({}, wanted), eol)}{FENCE}{eol}{eol if body else ''}{body}"


def _apply(fields: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in {**fields, **wanted}.items() if value is not REMOVE}


def _differs(page: Page, key: str, value: Any) -> bool:
    if value is REMOVE or key not in page.fields:
        return (value is not REMOVE) or key in page.fields
    return page.degraded is not None or repr(page.fields[key]) != repr(value)


def _as_read(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _as_read(item) for key, item in cast("dict[str, Any]", value).items()}
    return [_as_read(item) for item in cast("list[Any]", value)] if isinstance(value, list | tuple) else value


def _bounded(head: str) -> str:
    if len(head) > MAX_CHARS:
        raise TooLarge(f"the frontmatter is longer than {MAX_CHARS // 1024} KiB", hint="move text into the body")
    return head
