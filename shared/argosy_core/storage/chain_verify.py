"""Checking chains: each against its own rules, and against the anchors that were written down of it elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from typing import Protocol

from argosy_core.storage.base import Finding, VerifyReport
from argosy_core.storage.chain_anchors import ANCHOR, Anchor, anchors_of_event, read_anchors
from argosy_core.storage.chain_days import day_path
from argosy_core.storage.chain_lines import event_of, is_chained, parse_line, recompute
from argosy_core.storage.chain_trail import SHORT_BYTES, Hole, StreamTrail, Writer

FLEET = "_fleet"
_ANCHOR_MARK = f'"kind":"{ANCHOR}"'.encode()
_MAX_DAYS = 400
_KEPT_PROBLEMS = 20


class ChainSource(Protocol):
    """Where stored streams are read from; every call may block."""

    def stored_streams(self) -> Sequence[str]:
        """Names of the streams that have a log."""
        ...

    def stored_days(self, stream: str) -> Iterable[tuple[str, bytes]]:
        """The day files of *stream* (path, bytes), oldest first; none when it has no log."""
        ...

    def stored_anchors(self, stream: str) -> str | None:
        """The text of the stream's `anchors_path`; None when there is none."""
        ...


def verify_streams(source: ChainSource, stream: str | None = None) -> VerifyReport:
    """Every entry of *stream*, or of all streams, also of those that only anchors still know.

    The anchors are those of the stream's own table and events, and those that the fleet's stream tells; asked for all
    streams, those of every table and event.
    """
    if stream is not None:
        trail, told, problems = _checked(source, stream)
        told += _anchors_told(source, FLEET) if stream != FLEET else []
        return _report([_judged(trail, told)], problems)
    streams = list(source.stored_streams())
    checked = [_checked(source, name) for name in streams]
    told = [anchor for _, anchors, _ in checked for anchor in anchors]
    lost = sorted({anchor.stream for anchor in told} - set(streams))
    reports = [_judged(trail, told) for trail, _, _ in checked] + [_judged(_read(name, ()), told) for name in lost]
    return _report(reports, [problem for *_, problems in checked for problem in problems])


def verify_stream(stream: str, files: Iterable[tuple[str, bytes]], anchors: Sequence[Anchor] = ()) -> VerifyReport:
    """Every entry of *stream*, given as its day files (path, bytes) in order, oldest first: numbers dense, each hash
    over its content and its predecessor, all of it as *anchors* and its own anchor events say."""
    trail = _read(stream, files)
    return _judged(trail, [*anchors, *trail.anchors])


def _checked(source: ChainSource, stream: str) -> tuple[StreamTrail, list[Anchor], list[str]]:
    trail = _read(stream, source.stored_days(stream))
    table, problems = _table(source, stream)
    return trail, [*table, *trail.anchors], problems


def _table(source: ChainSource, stream: str) -> tuple[list[Anchor], list[str]]:
    text = source.stored_anchors(stream)
    return read_anchors(text, f"{stream}/log/anchors.md") if text is not None else ([], [])


def _anchors_told(source: ChainSource, stream: str) -> list[Anchor]:
    """The anchors in the table of *stream* and in those of its events whose own hashes are right."""
    found, _ = _table(source, stream)
    for _, data in source.stored_days(stream):
        lines = data.split(b"\n") if _ANCHOR_MARK in data else ()
        found += [anchor for line in lines if _ANCHOR_MARK in line for anchor in _anchors_in(stream, line)]
    return found


def _anchors_in(stream: str, line: bytes) -> list[Anchor]:
    fields = parse_line(line)
    if fields is None or not is_chained(fields) or fields.get("kind") != ANCHOR or fields.get("stream") != stream:
        return []
    try:
        hashes = recompute(fields, bytes.fromhex(fields["prev"]))
    except (KeyError, TypeError, ValueError):
        return []
    source = f"{stream}/{fields['writer']} #{fields['seq']}"
    return anchors_of_event(event_of(fields), source) if hashes == (fields["digest"], fields["hash"]) else []


def _read(stream: str, files: Iterable[tuple[str, bytes]]) -> StreamTrail:
    trail = StreamTrail(stream)
    before: tuple[str, bytes] | None = None
    for file in files:
        if before is not None:
            trail.read(*before, is_last=False)
        before = file
    if before is not None:
        trail.read(*before, is_last=True)
    trail.end()
    return trail


def _report(reports: Sequence[VerifyReport], problems: Sequence[str]) -> VerifyReport:
    problems = [*(note for report in reports for note in report.notes), *problems]
    more = [f"and {len(problems) - _KEPT_PROBLEMS} more notes"] if len(problems) > _KEPT_PROBLEMS else []
    return VerifyReport(
        sum(report.entries for report in reports),
        sum(report.unchained for report in reports),
        tuple(finding for report in reports for finding in report.findings),
        (*problems[:_KEPT_PROBLEMS], *more),
    )


# Against anchors


def _judged(trail: StreamTrail, anchors: Iterable[Anchor]) -> VerifyReport:
    """What the pass found and what the anchors of the stream say beyond it."""
    own: dict[str, list[Anchor]] = {}
    for anchor in anchors:
        if anchor.stream == trail.stream:
            own.setdefault(anchor.writer, []).append(anchor)
    for told in own.values():
        told.sort(key=lambda anchor: anchor.seq)
    findings = [
        _hole(trail, hole, own.get(hole.writer, ())) if (hole := trail.holes.get(number)) else finding
        for number, finding in enumerate(trail.findings)
    ]
    for name, told in sorted(own.items()):
        findings += _against_anchors(trail, trail.writers.get(name) or Writer(name, b""), told)
    place = {path: number for number, path in enumerate(trail.files)}
    # By file, so that what is found reads as the log does; `sorted` keeps the order of lines within one.
    ordered = sorted(findings, key=lambda finding: place.get(finding.file, _place_of(finding.file, trail.files)))
    return VerifyReport(trail.entries, trail.unchained, tuple(ordered), tuple(trail.notes))


def _place_of(file: str, files: Sequence[str]) -> float:
    return sum(path < file for path in files) - 0.5


def _hole(trail: StreamTrail, hole: Hole, anchors: Sequence[Anchor]) -> Finding:
    lost = f"entry {hole.first} is" if hole.first == hole.last else f"the entries {hole.first} to {hole.last} are"
    gone = _lost_file(trail, hole, anchors)
    if gone:
        return Finding(
            "missing", trail.stream, hole.writer, hole.first, gone, f"a day's file is gone: {lost} not there"
        )
    return Finding("gap", trail.stream, hole.writer, hole.last + 1, hole.after, f"{lost} not there")


def _lost_file(trail: StreamTrail, hole: Hole, anchors: Sequence[Anchor]) -> str:
    """The day file that held the hole's entries when that is gone; "" when the file they stood in is still there.

    An anchor in the hole tells its day. Without one, a hole that ends with its file points to the first day between the
    files around it that has none.
    """
    for anchor in anchors:
        if hole.first <= anchor.seq <= hole.last and anchor.day_file not in trail.files:
            return anchor.day_file
    if not hole.before or hole.before == hole.after:
        return ""
    first, last = _day_of(hole.before), _day_of(hole.after)
    days = (first + timedelta(days=number) for number in range(1, min((last - first).days, _MAX_DAYS)))
    return next((path for path in (day_path(trail.stream, day) for day in days) if path not in trail.files), "")


def _day_of(path: str) -> date:
    return date.fromisoformat(path[-16:-6])


def _against_anchors(trail: StreamTrail, writer: Writer, anchors: Sequence[Anchor]) -> list[Finding]:
    """At most two findings for a writer, each where it begins: entries written anew, and entries lost at the end."""
    found: list[Finding] = []
    good = 0
    for anchor in anchors:
        short = writer.short_of(anchor.seq)
        if short is None:
            continue
        if short == bytes.fromhex(anchor.hash[: 2 * SHORT_BYTES]):
            good = anchor.seq
        elif not _is_known(trail, writer.name, good, anchor.seq):
            first = good + 1 if good else anchor.seq
            detail = f"entry {anchor.seq} is not the one that {anchor.source} names"
            detail += f"; up to entry {good} the log is as it was" if good else ""
            found.append(Finding("rewritten", trail.stream, writer.name, first, writer.file_of(first), detail))
            break
        else:
            break
    lost = next((anchor for anchor in anchors if anchor.seq > writer.seq), None)
    return found + ([_lost_end(trail, writer, lost, anchors[-1])] if lost else [])


def _is_known(trail: StreamTrail, writer: str, good: int, seq: int) -> bool:
    """Whether the pass itself found where the writer's entries between two anchors are not what they were."""
    return any(
        finding.writer == writer and finding.kind in ("altered", "rewritten") and good < finding.seq <= seq + 1
        for finding in trail.findings
    )


def _lost_end(trail: StreamTrail, writer: Writer, first: Anchor, last: Anchor) -> Finding:
    seq = writer.seq + 1
    lost = f"{last.source} knows entries up to {last.seq}, the log ends with {writer.seq}"
    if first.day_file not in trail.files:
        what = "a day's file is gone" if trail.files else "the whole log is gone"
        return Finding("missing", trail.stream, writer.name, seq, first.day_file, f"{what}: {lost}")
    return Finding(
        "truncated", trail.stream, writer.name, seq, writer.file or first.day_file, f"the end is cut off: {lost}"
    )
