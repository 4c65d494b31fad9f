"""A log that is appended to, redacted, anchored and damaged in any order: verification says what was done to it."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from argosy_core.ids import SystemIds
from argosy_core.serving.config import ServerConfig
from argosy_core.storage.base import VerifyReport
from argosy_core.storage.files.store import FileStore
from argosy_core.testing.fakes import FakeClock
from argosy_core.types import Caller, Role
from argosy_core.vault import Vault
from argosy_log.log import Log

OPERATOR = Caller(agent="ann", role=Role.OPERATOR, source="flag")
WRITERS = st.sampled_from(("host", "memory"))
DAY_SECONDS = 86_400
SLOW = (HealthCheck.too_slow, HealthCheck.function_scoped_fixture)  # a busy machine is no fault of the log


class LogMachine(RuleBasedStateMachine):
    """One agent's log. Damage is put right again after it was named."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp(prefix="argosy-log-model-"))
        (self.root / "ann").mkdir()
        self.clock = FakeClock(datetime(2026, 11, 20, 9, 0, tzinfo=UTC))
        self.store = FileStore(Vault(self.root), self.clock, SystemIds())
        self.log = Log(ServerConfig(self.store, agent="ann", role=Role.OPERATOR, clock=self.clock))
        self.seqs = {"host": 0, "memory": 0}
        self.anchored = {"host": 0, "memory": 0}
        self.texts: dict[tuple[str, int], str] = {}
        self.redactions = 0

    def teardown(self) -> None:
        self.store.close()
        shutil.rmtree(self.root)

    # What its owner does

    @rule(writer=WRITERS, text=st.text(max_size=8), days=st.integers(0, 2))
    def append(self, writer: str, text: str, days: int) -> None:
        self.clock.advance(days * DAY_SECONDS)
        text = f"{text} {len(self.texts)}."
        entry = anyio.run(self.store.chain.append, "ann", writer, {"kind": "note", "text": text})
        self.seqs[writer] += 1
        assert entry.seq == self.seqs[writer]
        self.texts[writer, entry.seq] = text

    @rule()
    def anchor(self) -> None:
        anyio.run(self.log.anchor)
        self.anchored = dict(self.seqs)

    @precondition(lambda self: self.texts)
    @rule(data=st.data())
    def redact(self, data: st.DataObject) -> None:
        writer, seq = data.draw(st.sampled_from(sorted(self.texts)))
        anyio.run(self.log.redact, OPERATOR, "ann", writer, seq, "asked for")
        del self.texts[writer, seq]
        self.redactions += 1

    @rule()
    def open_anew(self) -> None:
        anyio.run(self.log.close)
        self.store.close()
        self.store = FileStore(Vault(self.root), self.clock, SystemIds())
        self.log = Log(ServerConfig(self.store, agent="ann", role=Role.OPERATOR, clock=self.clock))
        self.anchored = {writer: max(self.anchored[writer], self._row(writer)) for writer in self.seqs}

    def _row(self, writer: str) -> int:
        table = self.root / "ann/log/anchors.md"
        rows = table.read_text().splitlines() if table.exists() else []
        return max((int(row.split(" | ")[3]) for row in rows if f"| ann | {writer} |" in row), default=0)

    # What somebody else does

    @precondition(lambda self: self.texts)
    @rule(data=st.data())
    def edit(self, data: st.DataObject) -> None:
        writer, seq = data.draw(st.sampled_from(sorted(self.texts)))

        def change(fields: dict[str, Any], line: bytes) -> bytes | None:
            is_it = (fields["writer"], fields["seq"]) == (writer, seq)
            return json.dumps({**fields, "text": "forged"}).encode() if is_it else line

        assert ("altered", writer, seq) in self._found_after(change)

    @precondition(lambda self: any(self.anchored.values()))
    @rule(data=st.data())
    def cut_the_end(self, data: st.DataObject) -> None:
        writer = data.draw(st.sampled_from([name for name, seq in self.anchored.items() if seq]))
        first = data.draw(st.integers(1, self.anchored[writer]))

        def change(fields: dict[str, Any], line: bytes) -> bytes | None:
            return None if fields["writer"] == writer and fields["seq"] >= first else line

        kinds = {(kind, name, seq) for kind, name, seq in self._found_after(change) if name == writer}
        assert kinds & {("truncated", writer, first), ("missing", writer, first)}

    @precondition(lambda self: max(self.seqs.values()) > 2)
    @rule(data=st.data())
    def take_one_out(self, data: st.DataObject) -> None:
        writer = max(self.seqs, key=lambda name: self.seqs[name])
        lost = data.draw(st.integers(1, self.seqs[writer] - 1))

        def change(fields: dict[str, Any], line: bytes) -> bytes | None:
            return None if (fields["writer"], fields["seq"]) == (writer, lost) else line

        found = self._found_after(change)
        assert {("gap", writer, lost + 1), ("missing", writer, lost)} & set(found)

    def _found_after(self, change: Callable[[dict[str, Any], bytes], bytes | None]) -> list[tuple[str, str, int]]:
        files = {path: path.read_bytes() for path in (self.root / "ann/log").glob("*/*.jsonl")}
        for path, data in files.items():
            lines = [change(json.loads(line), line) for line in data.splitlines()]
            kept = [line + b"\n" for line in lines if line is not None]
            if kept:
                path.write_bytes(b"".join(kept))
            else:
                path.unlink()
        try:
            return [(f.kind, f.writer, f.seq) for f in self._verified().findings]
        finally:
            for path, data in files.items():
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(data)

    def _verified(self) -> VerifyReport:
        return anyio.run(self.store.chain.verify, "ann")

    # What always holds

    @invariant()
    def the_chain_holds_and_every_text_is_there(self) -> None:
        report = self._verified()
        assert report.ok and report.entries == sum(self.seqs.values()) + self.redactions
        stored = b"".join(path.read_bytes() for path in sorted((self.root / "ann/log").glob("*/*.jsonl")))
        texts = {json.loads(line).get("text") for line in stored.splitlines()} - {None}
        assert texts == set(self.texts.values())


LogMachine.TestCase.settings = settings(
    max_examples=5, stateful_step_count=12, deadline=None, suppress_health_check=SLOW
)
test_a_log_in_any_order = LogMachine.TestCase
