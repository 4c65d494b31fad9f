"""The last runs of an agent that have ended, from the end of its log.

A bounded number of bytes is read, backwards, so that it costs the same after a million events as after a hundred; of
runs that lie further back nothing is told.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from argosy_core.storage.base import Files
from argosy_core.storage.chain_days import is_day_path, log_folder
from argosy_core.storage.chain_lines import parse_line

COUNT = 5
MAX_READ_BYTES = 512 * 1024  # more than the largest event
MAX_DAYS = 31  # files that are looked into
TASK_CHARS = 120
_WRITER = "host"  # who alone says of a run that it began or ended
_START, _END = "run.start", "run.end"
_MARKS = (b'"run.start"', b'"run.end"')


@dataclass(frozen=True, slots=True)
class EndedRun:
    """One run: its *state* when it ended, at *ended_at* (RFC 3339), what it cost in US dollars. *task* is the first
    line of what it was to do; empty where its beginning lies too far back."""

    run: str
    state: str
    ended_at: str
    cost_usd: float
    task: str = ""


def ended_runs(files: Files, agent: str, but: str | None = None, count: int = COUNT) -> list[EndedRun]:
    """The last runs of *agent* that have ended, the newest first, without the run *but*. Blocks.

    Raises what the store raises.
    """
    found: dict[str, EndedRun] = {}
    for fields in _backwards(files, agent):
        run, kind = str(fields.get("run_id")), fields.get("kind")
        known = found.get(run)
        if kind == _END and known is None and run != but and len(found) < count:
            found[run] = _ended(run, fields)
        elif kind == _START and known is not None and not known.task:
            found[run] = replace(known, task=_first_line(fields.get("task")))
        if len(found) == count and all(ended.task for ended in found.values()):
            break
    return list(found.values())


def _backwards(files: Files, agent: str) -> Iterator[Mapping[str, Any]]:
    """Starts and ends of runs in the log of *agent*, the newest first, as far back as is looked."""
    left = MAX_READ_BYTES
    for path, size in islice(_days(files, agent), MAX_DAYS):
        start = max(0, size - left)
        data = files.read_from(path, start, size - start)
        lines = data.split(b"\n")
        for line in reversed(lines[1:] if start else lines):  # the first one may be a part of one
            if any(mark in line for mark in _MARKS):
                fields = parse_line(line)
                if fields is not None and fields.get("writer") == _WRITER:
                    yield fields
        left -= len(data)
        if left <= 0:
            return


def _days(files: Files, agent: str) -> Iterator[tuple[str, int]]:
    """Paths and sizes of the day files of *agent*, the newest first, a month's folder at a time."""
    folder = log_folder(agent)
    for month in reversed(files.folders(folder)):
        for info in reversed(files.files(f"{folder}/{month}", ".jsonl")):
            if is_day_path(info.path):
                yield info.path, info.stamp[1]


def _ended(run: str, fields: Mapping[str, Any]) -> EndedRun:
    cost = fields.get("cost_usd")
    spent = float(cost) if isinstance(cost, int | float) else 0.0
    return EndedRun(run, str(fields.get("status") or "ok"), str(fields.get("ts") or ""), spent)


def _first_line(task: object) -> str:
    line = next((" ".join(line.split()) for line in str(task or "").splitlines() if line.strip()), "")
    return line if len(line) <= TASK_CHARS else f"{line[: TASK_CHARS - 1].rstrip()}…"
