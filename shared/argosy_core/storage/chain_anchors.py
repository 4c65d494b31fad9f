"""Anchors: heads of chains written down where the chain's own files cannot take them along.

They stand in ``<stream>/log/anchors.md`` (a Markdown table, one row an anchor) and in chained events of kind `ANCHOR`,
by custom in another writer's or the fleet's stream. An anchor's time is that of the entry it names, so that a day file
that is gone can be named.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from argosy_core.clock import parse_time
from argosy_core.storage.chain_days import day_path

ANCHOR = "anchor"
COLUMNS = ("time", "stream", "writer", "seq", "hash", "count")
MAX_HEADS = 200  # of one event
_HEADING = (
    "# Anchors\n\nWhere each chain of this log stood. `log_verify` compares: a log that was cut off or written\n"
    "anew does not fit any more. Rows are added, never changed; keep the file in git.\n\n"
    f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}\n"
)
_CELL = re.compile(r"(?:[^|\\]|\\.)*")
_HASH = re.compile(r"[0-9a-f]{64}")
_NUMBER = re.compile(r"[0-9]{1,18}")
_RULE = re.compile(r"[|\s:-]+")
_MIN_BARS = 4  # a line with so many is meant as a row


@dataclass(frozen=True, slots=True)
class Anchor:
    """The entry *seq* of one writer had *hash*, when *count* entries stood in the stream; *source* says so."""

    time: str
    stream: str
    writer: str
    seq: int
    hash: str
    count: int
    source: str = ""

    @property
    def day_file(self) -> str:
        """The file that the anchored entry was written to."""
        return day_path(self.stream, parse_time(self.time).date())

    def as_json(self) -> dict[str, Any]:
        """The anchor in an event."""
        return {name: getattr(self, name) for name in COLUMNS}


def anchors_path(stream: str) -> str:
    """The document that holds the anchors of *stream*."""
    return f"{stream}/log/anchors.md"


def read_anchors(text: str, path: str) -> tuple[list[Anchor], list[str]]:
    """The anchors in the table *text* of the document *path*, and a sentence for each row that is none."""
    found: list[Anchor] = []
    problems: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        row = line.strip()
        if row.count("|") < _MIN_BARS or _RULE.fullmatch(row) or _cells(row) == list(COLUMNS):
            continue
        anchor = _of_cells(_cells(row), f"{path}:{number}")
        if anchor is None:
            problems.append(f"{path}:{number} is not an anchor and was left out")
        else:
            found.append(anchor)
    return found, problems


def with_rows(text: str | None, anchors: Iterable[Anchor]) -> str:
    """The document *text* (None: there is none yet) with a row for each of *anchors* at its end."""
    kept = _HEADING if text is None or not text.strip() else text
    rows = "".join(f"| {' | '.join(_escaped(getattr(each, name)) for name in COLUMNS)} |\n" for each in anchors)
    return kept + ("" if kept.endswith("\n") else "\n") + rows


def anchors_of_event(event: Mapping[str, Any], source: str) -> list[Anchor]:
    """The anchors in an event of kind `ANCHOR`; what is none is left out."""
    heads = event.get("heads")
    if not isinstance(heads, list):
        return []
    found = [_of_fields(each, source) for each in cast("list[object]", heads)]
    return [anchor for anchor in found if anchor is not None]


def _cells(row: str) -> list[str]:
    inner = row.removeprefix("|")
    cells: list[str] = []
    while inner:
        match = _CELL.match(inner)
        end = match.end() if match else 0
        cells.append(re.sub(r"\\(.)", r"\1", inner[:end].strip()))
        inner = inner[end + 1 :]
    return cells


def _escaped(value: object) -> str:
    return re.sub(r"([|\\])", r"\\\1", str(value))


def _of_cells(cells: Sequence[str], source: str) -> Anchor | None:
    if len(cells) != len(COLUMNS) or not all(_NUMBER.fullmatch(cells[place]) for place in (3, 5)):
        return None
    fields = dict(zip(COLUMNS, cells, strict=True))
    return _of_fields({**fields, "seq": int(fields["seq"]), "count": int(fields["count"])}, source)


def _of_fields(fields: object, source: str) -> Anchor | None:
    if not isinstance(fields, dict):
        return None
    values = [cast("dict[str, Any]", fields).get(name) for name in COLUMNS]
    if [type(value) for value in values] != [str, str, str, int, str, int]:
        return None
    anchor = Anchor(*cast("tuple[str, str, str, int, str, int]", tuple(values)), source)
    try:
        parse_time(anchor.time)
    except (ValueError, OverflowError):
        return None
    is_one = 0 < anchor.seq < 1 << 60 and anchor.count >= 0 and _HASH.fullmatch(anchor.hash) and anchor.stream
    return anchor if is_one and anchor.writer and "/" not in anchor.stream else None
