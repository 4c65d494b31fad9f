"""Reading a page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from argosy_core.frontmatter.block import BOM, Block, find_block, split_lines
from argosy_core.frontmatter.layout import Entry, entries_by_lines, value_text
from argosy_core.yamltext import MAX_CHARS, YamlProblem, load_map, plain

HEAD_LINE = 2  # the head begins below the first fence
# So many keys of a broken head are read as YAML of their own; the others are taken as the text they are.
_READ_BY_YAML = 200


@dataclass(frozen=True, slots=True)
class Page:
    """A page as read.

    *fields* holds JSON types only (dates are text), *body* is what follows the head and the one blank line after it,
    *body_line* the line it begins on. *degraded* says why, and on which line, the head is not the YAML it should be;
    its fields are then what could be read line by line. *raw_head* is the text between the fences.
    """

    fields: dict[str, Any]
    body: str
    degraded: str | None = None
    raw_head: str = ""
    body_line: int = 1

    @property
    def problem(self) -> tuple[int, str] | None:
        """Line and reason of *degraded*, apart."""
        if self.degraded is None:
            return None
        line, _, reason = self.degraded.removeprefix("line ").partition(": ")
        return int(line), reason


def parse(text: str) -> Page:
    """*text* as a page. Never raises for what it holds."""
    block = find_block(text)
    if block is None:
        return Page({}, text.removeprefix(BOM))
    fields, degraded = _read_head(block)
    blank = next((gap for gap in ("\r\n", "\n") if block.rest.startswith(gap)), "")
    lines_above = len(split_lines(block.opening + block.head + block.closing)) + bool(blank)
    return Page(fields, block.rest[len(blank) :], degraded, block.head, lines_above + 1)


def key_line(page: Page, key: str) -> int:
    """The line of the file that sets the top-level *key*; the first line when none does."""
    lines = [HEAD_LINE + entry.first for entry in entries_by_lines(page.raw_head) if entry.key == key]
    return lines[-1] if lines else 1


def written(page: Page, key: str) -> str | None:
    """The one-line value of *key* as it was typed (``No``, ``1.10``, ``2026``), not as YAML understands it."""
    lines = split_lines(page.raw_head)
    entries = [entry for entry in entries_by_lines(page.raw_head) if entry.key == key]
    text = value_text(lines, entries[-1])[0] if entries else ""
    return _unquoted(text.split(" #")[0].rstrip()) or None


def _read_head(block: Block) -> tuple[dict[str, Any], str | None]:
    try:
        if not block.closing:
            raise YamlProblem(1, "the head opened here has no closing ---")
        return load_map(block.head, HEAD_LINE), None
    except YamlProblem as problem:
        return _read_lines(block.head[:MAX_CHARS]), str(problem)


def _read_lines(head: str) -> dict[str, Any]:
    lines = split_lines(head)
    entries = entries_by_lines(head)
    fields = dict(_read_entry(lines, entry) for entry in entries[:_READ_BY_YAML])
    fields.update((entry.key, _salvage(value_text(lines, entry))) for entry in entries[_READ_BY_YAML:])
    return fields


def _read_entry(lines: list[str], entry: Entry) -> tuple[str, Any]:
    try:
        return next(iter(load_map("".join(lines[entry.first : entry.last + 1])).items()))
    except (YamlProblem, StopIteration):
        return entry.key, _salvage(value_text(lines, entry))


def _salvage(parts: list[str]) -> Any:
    first, *more = [part for part in parts if not part.startswith("#")] or [""]
    if first[:1] in ("|", ">") and len(first) <= 3:
        return "\n".join(more).strip()
    if not first and more and more[0].startswith("-"):
        return [_scalar(item) for item in "\n".join(more).replace("\n- ", "\n-\n").removeprefix("-").split("\n-\n")]
    text = " ".join([first, *more]).strip()
    if text.startswith("["):
        return [_scalar(item) for item in text.strip("[] ").split(",") if item.strip()]
    return _scalar(text)


def _scalar(text: str) -> Any:
    text = " ".join(text.split())
    return _unquoted(text) if text[:1] in ("'", '"') else plain(text.split(" #")[0].rstrip())


def _unquoted(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] in "'\"" and text[-1] == text[0] else text
