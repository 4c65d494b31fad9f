"""Verification: six kinds of damage, each named where it begins; anchors; version 0."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from argosy_core.canonical import NO_PREVIOUS, chain_hash_v0
from argosy_core.storage.base import VerifyReport
from argosy_core.storage.chain_anchors import Anchor, anchors_path, read_anchors, with_rows
from argosy_core.storage.chain_days import day_path
from argosy_core.storage.chain_lines import make_entry, parse_line
from argosy_core.storage.chain_redaction import redact_line, redaction_event
from argosy_core.storage.chain_v0 import ChainV0, EntryV0
from argosy_core.storage.chain_verify import verify_stream, verify_streams

STREAM = "harbor"
START = date(2026, 11, 20)
HELLO = "ea8f163db38682925e4491c5e58d4bb3506ef8c14eb78a86e908c5624a67200f"
WORLD = "c5040ca2b1bd38990c4f8794911f137b32e0229458f15023c517e50b7af536d1"


class Log:
    """A stream in memory: lines by day, heads, and anchors taken on the way."""

    def __init__(self, stream: str = STREAM) -> None:
        self.stream = stream
        self.days: dict[str, list[bytes]] = {}
        self.heads: dict[str, tuple[int, bytes, str]] = {}
        self.anchors: list[Anchor] = []
        self.day = 0

    def append(self, writer: str, **event: object) -> None:
        seq, prev, _ = self.heads.get(writer, (0, NO_PREVIOUS, ""))
        day = START + timedelta(days=self.day)
        ts = f"{day}T09:00:00.000Z"
        entry, line = make_entry(self.stream, writer, seq + 1, prev, ts, event, bytes(16))
        self.heads[writer] = (entry.seq, bytes.fromhex(entry.hash), ts)
        self.days.setdefault(day_path(self.stream, day), []).append(line.rstrip(b"\n"))

    def fill(self, count: int, *writers: str) -> None:
        for number in range(count):
            for writer in writers or ("w",):
                self.append(writer, n=number)

    def anchor(self) -> None:
        for writer, (seq, raw, ts) in self.heads.items():
            self.anchors.append(Anchor(ts, self.stream, writer, seq, raw.hex(), seq, "anchors.md:9"))

    def path(self, day: int) -> str:
        return day_path(self.stream, START + timedelta(days=day))

    def files(self) -> list[tuple[str, bytes]]:
        return [(path, b"".join(line + b"\n" for line in lines)) for path, lines in sorted(self.days.items())]

    def verify(self, *, anchored: bool = True) -> VerifyReport:
        return verify_stream(self.stream, self.files(), self.anchors if anchored else ())

    def found(self) -> list[tuple[str, str, int, str]]:
        return [(f.kind, f.writer, f.seq, f.file) for f in self.verify().findings]


def three_days(*writers: str) -> Log:
    """Three entries of each writer on each of three days, heads anchored every day."""
    log = Log()
    for day in range(3):
        log.day = day
        log.fill(3, *writers)
        log.anchor()
    return log


def test_a_log_that_nobody_touched_holds() -> None:
    log = three_days("w", "memory")
    assert log.verify() == VerifyReport(18, 0, ())


def test_an_edited_entry_is_altered() -> None:
    log = three_days()
    log.days[log.path(1)][1] = log.days[log.path(1)][1].replace(b'"n":1', b'"n":7')
    assert log.found() == [("altered", "w", 5, log.path(1))]


def test_a_tail_that_was_cut_off_is_truncated_where_the_loss_begins() -> None:
    log = three_days()
    del log.days[log.path(2)][1:]
    assert log.found() == [("truncated", "w", 8, log.path(2))]
    assert log.verify(anchored=False).ok


def test_all_entries_of_one_writer_cut_off_are_truncated_from_its_first() -> None:
    log = Log()
    log.fill(3, "w", "memory")
    log.anchor()
    log.days[log.path(0)] = [line for line in log.days[log.path(0)] if b'"writer":"memory"' not in line]
    assert log.found() == [("truncated", "memory", 1, log.path(0))]


@pytest.mark.parametrize(("day", "seq"), [(0, 1), (1, 4), (2, 7)])
def test_a_deleted_day_is_missing_for_each_writer(day: int, seq: int) -> None:
    log = three_days("w", "memory")
    path = log.path(day)
    del log.days[path]
    found = log.found()
    assert sorted(found, key=lambda f: f[1]) == [("missing", "memory", seq, path), ("missing", "w", seq, path)]


def test_a_deleted_day_in_the_middle_is_missing_also_without_an_anchor() -> None:
    log = three_days()
    log.anchors = []
    del log.days[log.path(1)]
    assert log.found() == [("missing", "w", 4, log.path(1))]


def test_a_deleted_log_is_missing_from_its_first_entry() -> None:
    log = three_days()
    log.days.clear()
    assert log.found() == [("missing", "w", 1, log.path(0))]


def test_lines_of_another_stream_are_moved_as_one_finding_a_run() -> None:
    log, other = three_days(), Log("reef")
    other.fill(4)
    log.days[log.path(1)] += next(iter(other.days.values()))[1:3]
    (finding,) = log.verify().findings
    assert (finding.kind, finding.writer, finding.seq, finding.file) == ("moved", "w", 2, log.path(1))
    assert "2 to 3" in finding.detail


def test_a_log_rewritten_behind_an_anchor_is_rewritten_after_the_last_anchor_that_holds() -> None:
    log, forged = three_days(), three_days()
    kept = log.days[log.path(0)]
    forged.days, forged.heads, forged.day = {log.path(0): kept}, {}, 1
    raw = bytes.fromhex(json.loads(kept[-1])["hash"])
    forged.heads["w"] = (3, raw, "")
    for day in (1, 2):
        forged.day = day
        for number in range(3):
            forged.append("w", forged=number)
    forged.anchors = log.anchors
    assert forged.found() == [("rewritten", "w", 4, log.path(1))]
    assert forged.verify(anchored=False).ok


def test_a_replaced_last_entry_is_rewritten() -> None:
    log = Log()
    log.fill(4)
    log.anchor()
    forged = Log()
    forged.fill(3)
    forged.append("w", n="another")
    forged.anchors = log.anchors
    assert forged.found() == [("rewritten", "w", 4, log.path(0))]


def test_a_hole_within_a_day_is_a_gap_at_the_entry_after_it() -> None:
    log = three_days()
    del log.days[log.path(1)][1]
    assert log.found() == [("gap", "w", 6, log.path(1))]


def test_several_damages_are_each_named_in_the_order_of_the_log() -> None:
    log = three_days("w", "memory")
    log.days[log.path(0)][2] = log.days[log.path(0)][2].replace(b'"n":1', b'"n":9')
    del log.days[log.path(1)]
    log.days[log.path(2)] = [line for line in log.days[log.path(2)] if b'"seq":9' not in line]
    assert log.found() == [
        ("altered", "w", 2, log.path(0)),
        ("missing", "w", 4, log.path(1)),
        ("missing", "memory", 4, log.path(1)),
        ("truncated", "memory", 9, log.path(2)),
        ("truncated", "w", 9, log.path(2)),
    ]


def test_one_damage_does_not_hide_the_next() -> None:
    log = Log()
    log.fill(9)
    lines = log.days[log.path(0)]
    lines[1] = lines[1].replace(b'"n":1', b'"n":5')
    lines[6] = lines[6].replace(b'"n":6', b'"n":5')
    del lines[4]
    assert [finding[:3] for finding in log.found()] == [("altered", "w", 2), ("gap", "w", 6), ("altered", "w", 7)]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_no_changed_byte_goes_unnoticed(data: st.DataObject) -> None:
    log = Log()
    log.fill(2)
    log.append("w", text='日本 \\ " x', n=1.5, inner={"b": [1, None], "a": True})
    log.fill(1)
    lines = log.days[log.path(0)]
    number = data.draw(st.integers(0, 3))
    line = bytearray(lines[number])
    place, bit = data.draw(st.integers(0, len(line) - 1)), data.draw(st.integers(0, 7))
    line[place] ^= 1 << bit
    if line[place] == ord("\n"):
        return
    before, after = parse_line(lines[number]), parse_line(bytes(line))
    lines[number] = bytes(line)
    report = log.verify()
    is_same = before is not None and after is not None and {**before, "ts": ""} == {**after, "ts": ""}
    is_unchained = after is not None and not {"hash", "seq", "writer"} <= after.keys()
    assert is_same or report.findings or (is_unchained and number == 3), (before, after)


def test_an_entry_written_by_another_hand_with_the_same_content_holds() -> None:
    log = Log()
    log.fill(3)
    lines = log.days[log.path(0)]
    lines[1] = json.dumps(json.loads(lines[1]), indent=None).encode()
    assert log.verify() == VerifyReport(3, 0, ())


@pytest.mark.parametrize("change", [b'"ts":"x"', b'"ts":"x","ts":"y"', b'"ts":"\xff"'])
def test_the_quick_way_takes_nothing_that_is_no_json_or_says_more(change: bytes) -> None:
    log = Log()
    log.fill(2)
    lines = log.days[log.path(0)]
    lines[0] = b"{" + change + b"X" + lines[0][lines[0].index(b',"n"') :]
    assert log.found()[0][0] == "altered"


# Anchors


def test_anchors_are_read_back_as_they_were_written() -> None:
    anchors = [
        Anchor("2026-11-20T09:00:00.000Z", "журнал", name, seq, "ab" * 32, seq)
        for seq, name in enumerate(("host", "a | b", "c \\ d", "\\|"), 1)
    ]
    text = with_rows(with_rows(None, anchors[:2]), anchors[2:])
    found, problems = read_anchors(text, "p")
    assert [(a.time, a.stream, a.writer, a.seq, a.hash, a.count) for a in found] == [
        (a.time, a.stream, a.writer, a.seq, a.hash, a.count) for a in anchors
    ]
    assert problems == [] and all(anchor.source.startswith("p:") for anchor in found)


@pytest.mark.parametrize(
    "row",
    [
        "| when | harbor | w | 3 | xyz | 3 |", "| 2026-11-20 | harbor | w | -3 | " + "ab" * 32 + " | 3 |",
        "| 2026-11-20 | harbor | w | 3 |", "||||||||", "| a | b | c | d | e | f |",
        "| 2026-11-20 | harbor | w | 99999999999999999999 | " + "ab" * 32 + " | 3 |",
        "| 2026-11-20 | ../x | w | 3 | " + "ab" * 32 + " | 3 |",
    ],
)  # fmt: skip
def test_nonsense_in_the_table_is_named_by_its_line_and_stops_nothing(row: str) -> None:
    log = Log()
    log.fill(3)
    log.anchor()
    good = with_rows(None, log.anchors)
    text = good + row + "\n\nsome prose\n"
    found, problems = read_anchors(text, "harbor/log/anchors.md")
    assert [anchor.seq for anchor in found] == [3]
    line = good.count("\n") + 1
    assert problems == ([f"harbor/log/anchors.md:{line} is not an anchor and was left out"] if row.strip("|") else [])


@given(st.text(max_size=300))
def test_any_text_can_stand_in_the_table(text: str) -> None:
    found, problems = read_anchors(text, "p")
    assert len(found) + len(problems) <= len(text.splitlines())


class Stored:
    """Several streams as `verify_streams` reads them."""

    def __init__(self, *logs: Log, tables: dict[str, str] | None = None) -> None:
        self.logs = {log.stream: log for log in logs}
        self.tables = tables or {}

    def stored_streams(self) -> Sequence[str]:
        return sorted(name for name, log in self.logs.items() if log.days)

    def stored_days(self, stream: str) -> Sequence[tuple[str, bytes]]:
        return self.logs[stream].files() if stream in self.logs else []

    def stored_anchors(self, stream: str) -> str | None:
        return self.tables.get(stream)

    def found(self, stream: str | None = None) -> list[tuple[str, str, str, int]]:
        return [(f.kind, f.stream, f.writer, f.seq) for f in verify_streams(self, stream).findings]


def fleet_that_knows(log: Log) -> Log:
    fleet = Log("_fleet")
    fleet.append("log", kind="anchor", heads=[anchor.as_json() for anchor in log.anchors])
    return fleet


def test_a_stream_that_only_the_fleet_still_knows_is_missed() -> None:
    log = three_days()
    store = Stored(log, fleet_that_knows(log))
    assert store.found() == [] == store.found(STREAM)
    log.days.clear()
    assert store.found(STREAM) == [("missing", STREAM, "w", 1)] == store.found()


def test_an_anchor_event_that_was_altered_is_not_believed() -> None:
    log = three_days()
    fleet = fleet_that_knows(log)
    (path,) = fleet.days
    fleet.days[path][0] = fleet.days[path][0].replace(b'"seq":9', b'"seq":99')
    store = Stored(log, fleet)
    assert store.found(STREAM) == []
    assert store.found() == [("altered", "_fleet", "log", 1)]


def test_the_streams_own_table_is_used_and_its_nonsense_is_told() -> None:
    log = three_days()
    table = with_rows(None, log.anchors) + "| what | is | this | ? |\n"
    store = Stored(log, tables={STREAM: table})
    report = verify_streams(store, STREAM)
    assert report.ok and len(report.notes) == 1 and anchors_path(STREAM) in report.notes[0]
    del log.days[log.path(2)]
    assert store.found(STREAM) == [("missing", STREAM, "w", 7)]


# Redaction


def test_a_redacted_entry_holds_only_with_a_later_redaction_that_names_it() -> None:
    log = Log()
    log.fill(3)
    lines = log.days[log.path(0)]
    _, redacted = redact_line(json.loads(lines[1]))
    assert redacted is not None and b'"n"' not in redacted
    lines[1] = redacted.rstrip(b"\n")
    assert log.found() == [("altered", "w", 2, log.path(0))]
    log.append("log", **redaction_event("w", 2, "why", "operator"))
    assert log.found() == []
    moved = lines.pop()
    lines.insert(0, moved)
    assert log.found() == [("altered", "w", 2, log.path(0))]


def test_text_put_into_a_redacted_entry_is_altered() -> None:
    log = Log()
    log.fill(2)
    log.append("log", **redaction_event("w", 1, "why", "operator"))
    lines = log.days[log.path(0)]
    lines[0] = lines[0].replace(b'"n":0', b'"n":1')
    assert log.found() == [("altered", "w", 1, log.path(0))]


# Version 0


def entries_v0() -> list[EntryV0]:
    first = chain_hash_v0(None, b"hello")
    return [
        EntryV0("notes", "fp", 1, None, first, b"hello"),
        EntryV0("notes", "fp", 2, first, chain_hash_v0(first, b"world"), b"world"),
    ]


def test_version_0_gives_the_known_hashes() -> None:
    assert [entry.hash.hex() for entry in entries_v0()] == [HELLO, WORLD]
    walk = ChainV0()
    assert [walk.check(entry.as_event()) for entry in entries_v0()] == [None, None]


def test_version_0_is_verified_where_it_is_carried() -> None:
    log = Log()
    for entry in entries_v0():
        log.append("agent-store", **entry.as_event())
    assert log.verify() == VerifyReport(2, 0, ())
    forged = Log()
    first, second = (entry.as_event() for entry in entries_v0())
    second["v0"] = {**second["v0"], "payload": "word"}
    for event in (first, second, second, {"kind": "agent_store.entry"}):
        forged.append("agent-store", **event)
    assert [finding[0] for finding in forged.found()] == ["altered", "rewritten", "altered"]


def test_bytes_that_are_no_text_are_carried_as_they_are() -> None:
    payload = b"\xff\x00\xfe"
    entry = EntryV0("s", "w", 1, None, chain_hash_v0(None, payload), payload)
    assert ChainV0().check(json.loads(json.dumps(entry.as_event()))) is None
