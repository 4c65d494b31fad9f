"""Thousands of writers, each killed in the middle of its work; after each one everything is looked at.

One process forks every writer, so a round costs milliseconds and no start of Python. It has no threads: the stores'
blocking parts are called as they are.

As a program: ``python killed_rounds.py VAULT STORE ROUNDS SEED [BUG]`` prints one JSON object: what was done, and what
was wrong; with one of the planted bugs, something should be. STORE is ``files``, ``sqlite`` or a PostgreSQL's URL,
whose store has a thread: it is closed, and the thread gone, before the next writer is forked.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable, Coroutine
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar, cast

from at_once import DatabaseAtOnce, ItemsAtOnce, at_once
from planted_bugs import plant

from argosy_core.clock import SystemClock
from argosy_core.errors import Conflict
from argosy_core.ids import SystemIds
from argosy_core.storage.base import ENDED_STATES, NewItem
from argosy_core.storage.chain_appends import Append
from argosy_core.storage.chain_days import day_files
from argosy_core.storage.chain_lines import parse_line
from argosy_core.storage.chain_verify import verify_stream
from argosy_core.storage.files.chain_state import ChainCache
from argosy_core.storage.files.chain_stream import StreamLog
from argosy_core.storage.postgres.store import PostgresStore
from argosy_core.storage.sqlite.chain import SqliteChain
from argosy_core.storage.sqlite.files import SqliteFiles
from argosy_core.storage.sqlite.items import SqliteItems
from argosy_core.testing.history import Op, Recorder, check_history, ends_of, is_loss, line_of
from argosy_core.vault import Vault

T = TypeVar("T")
STREAM = "harbor"
QUEUE = "work"
LEASE_SECONDS = 3600.0
LINES = 300  # of a document: several blocks
DOCUMENTS = 4
KILLED_AFTER_LINES = (0, 12)
AND_SECONDS = 0.004
LOOK_EVERY = 500  # rounds between two looks at all of the log


class LaterClock(SystemClock):
    """The machine's clock after all leases have ended."""

    def now(self) -> datetime:
        return super().now() + timedelta(seconds=2 * LEASE_SECONDS)


class FilesPlace:
    """A vault's folder, as one process opens it."""

    def __init__(self, root: Path, clock: SystemClock) -> None:
        self._vault = Vault(root, clock=clock)
        self.files: Any = self._vault
        self._cache = ChainCache(root / ".argosy/chain.sqlite")
        self._log = StreamLog(STREAM, self._vault, clock, SystemIds(), self._cache, hold=True)
        self.items: Any = ItemsAtOnce(self._vault, clock, SystemIds())

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return at_once(work)

    def append(self, append: Append) -> None:
        self._log.append([append])

    def sweep(self) -> None:
        self._vault.sweep(min_age_seconds=0.0)

    def close(self) -> None:
        self._log.save()
        self._cache.close()
        self.items.close()
        self._vault.close()


class SqlitePlace:
    """A database, as one process opens it."""

    def __init__(self, root: Path, clock: SystemClock) -> None:
        path = root / "fleet.sqlite"
        self._database = DatabaseAtOnce(path, SystemIds(), create=True)
        self.files: Any = SqliteFiles(self._database, clock)
        self._chain = SqliteChain(self._database, self.files, clock, SystemIds())
        self.items: Any = SqliteItems(self._database, clock, SystemIds())

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return at_once(work)

    def append(self, append: Append) -> None:
        self._chain._append_batch("", [append])

    def sweep(self) -> None:
        return None

    def close(self) -> None:
        self._database.close()


class PostgresPlace:
    """A schema of a database on a server, as one process opens it."""

    def __init__(self, url: str, root: Path, clock: SystemClock) -> None:
        self._store = PostgresStore(url, root, clock, SystemIds())
        self._runner = asyncio.Runner()
        self.files: Any = self._store.files
        self.items: Any = self._store.items

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(work)

    def append(self, append: Append) -> None:
        event = {name: value for name, value in append.event.items() if name != "key"}
        append.finish(self.run(self._store.chain.append(append.stream, append.writer, event, key=append.key)))

    def sweep(self) -> None:
        return None

    def close(self) -> None:
        self._runner.close()
        self._store.close()


Place = FilesPlace | SqlitePlace | PostgresPlace
Open = Callable[[Path, SystemClock], Place]


def opens(store: str) -> Open:
    """What opens a handle on *store*."""
    if store == "files":
        return FilesPlace
    return SqlitePlace if store == "sqlite" else lambda root, clock: PostgresPlace(store, root, clock)


def text_of(name: str, number: int) -> bytes:
    return f"{name} {number}\n".encode() * LINES


def write_for_ever(place: Place, say: Callable[[str], None], start: int) -> None:
    """Documents, entries and items, each said once it is acknowledged."""

    def keep(op: Op) -> None:
        say(f"op {line_of(op)}")

    records = Recorder(place.items, time.monotonic, time.time, keep)
    for number in itertools.count(start):
        name = f"doc{number % DOCUMENTS}"
        place.files.replace(f"{STREAM}/{name}.md", text_of(name, number), keep_version=number % 50 == 0)
        say(f"document {name} {number}")
        append = Append(STREAM, "w", {"n": number, "key": f"k{number}"}, f"k{number}", None)
        place.append(append)
        say(f"entry {number} {append.result().hash}")
        place.run(records.enqueue(NewItem(QUEUE, {"n": number}, key=f"k{number}", max_attempts=100)))
        for item in place.run(records.claim(QUEUE, f"w{start}", LEASE_SECONDS)):
            try:
                place.run(records.complete(item, {"n": number}))
            except Conflict:
                continue


@dataclass
class Report:
    """What came of it."""

    rounds: int = 0
    documents: int = 0
    entries: int = 0
    operations: int = 0
    seconds: float = 0.0
    milliseconds_a_round: float = 0.0
    grown_descriptors: int = 0
    lost: int = 0
    torn: int = 0
    double: int = 0
    wrong: list[str] = field(default_factory=list[str])


class Rounds:
    """Rounds over *store* in the folder *root*."""

    def __init__(self, root: Path, store: str, seed: int) -> None:
        self._root = root
        self._open = opens(store)
        self._chance = random.Random(seed)
        self._number = 0
        self._documents: dict[str, int] = {}
        self._entries: dict[int, str] = {}
        self._ops: list[Op] = []
        self.report = Report()
        place = self._open(root, SystemClock())
        place.files.replace(f"{STREAM}/model.md", b"# MODEL\n")
        place.close()

    def run(self, rounds: int) -> Report:
        began, report = time.monotonic(), self.report
        self._round()
        before = open_files()
        for number in range(1, rounds):
            self._round()
            self._look_at_documents()
            if number % LOOK_EVERY == 0:
                self._look_at_log()
        report.grown_descriptors = open_files() - before
        self._look_at_log()
        self._finish_items()
        report.rounds, report.operations = rounds, len(self._ops)
        report.entries = len(self._entries)
        report.seconds = round(time.monotonic() - began, 1)
        report.milliseconds_a_round = round(1000 * (time.monotonic() - began) / rounds, 1)
        return report

    def _round(self) -> None:
        """One writer, from its fork to its death; what it said."""
        heard, said = os.pipe()
        child = os.fork()
        if child == 0:
            self._be_a_writer(heard, said)
        os.close(said)
        lines, told = self._chance.randint(*KILLED_AFTER_LINES), b""
        while told.count(b"\n") < lines and (piece := os.read(heard, 65536)):
            told += piece
        time.sleep(self._chance.uniform(0, AND_SECONDS))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        while piece := os.read(heard, 65536):
            told += piece
        os.close(heard)
        if not os.WIFSIGNALED(status):
            self.report.wrong.append(f"a writer ended by itself: {told[-500:]!r}")
        self._hear(told.decode())

    def _be_a_writer(self, heard: int, said: int) -> None:
        try:
            os.close(heard)
            place = self._open(self._root, SystemClock())
            write_for_ever(place, lambda line: cast("None", os.write(said, f"{line}\n".encode())), self._number + 1)
        except BaseException as failure:
            os.write(said, f"failed {failure!r}\n".encode())
        finally:
            os._exit(1)

    def _hear(self, text: str) -> None:
        for line in text.rpartition("\n")[0].splitlines():
            kind, _, rest = line.partition(" ")
            if kind == "op":
                self._ops.append(Op(**json.loads(rest)))
            elif kind == "document":
                name, number = rest.split(" ")
                self._documents[name] = self._number = int(number)
                self.report.documents += 1
            elif kind == "entry":
                number, entry_hash = rest.split(" ")
                self._entries[int(number)] = entry_hash

    def _look_at_documents(self) -> None:
        place = self._open(self._root, SystemClock())
        for name, number in self._documents.items():
            data: bytes = place.files.read(f"{STREAM}/{name}.md").data
            first, _, _ = data.partition(b"\n")
            if data != (first + b"\n") * LINES:
                self.report.torn += 1
                self.report.wrong.append(f"{name} is torn")
            elif int(first.split(b" ")[1]) < number:
                self.report.lost += 1
                self.report.wrong.append(f"{name} lost {number}: it has {first.decode()}")
        place.close()

    def _look_at_log(self) -> None:
        place = self._open(self._root, SystemClock())
        after = Append(STREAM, "looker", {}, None, None)
        place.append(after)
        after.result()
        files = [(info.path, place.files.read_from(info.path, 0)) for info in day_files(place.files, STREAM)]
        report = verify_stream(STREAM, files)
        self.report.torn += len(report.findings)
        self.report.wrong += [f"the log: {finding}" for finding in report.findings[:5]]
        kept: dict[int, str] = {}
        for line in b"".join(data for _, data in files).splitlines():
            fields = parse_line(line) or {}
            if fields.get("writer") == "w":
                if fields["n"] in kept:
                    self.report.double += 1
                    self.report.wrong.append(f"entry {fields['n']} is there twice")
                kept[fields["n"]] = fields["hash"]
        lost = [number for number, entry_hash in self._entries.items() if kept.get(number) != entry_hash]
        self.report.lost += len(lost)
        self.report.wrong += [f"entry {number} is lost" for number in lost[:5]]
        place.sweep()
        left = [str(path.relative_to(self._root)) for path in self._root.rglob(".*.tmp")]
        self.report.wrong += [f"{path} was left" for path in left[:5]]
        place.close()

    def _finish_items(self) -> None:
        """Let all leases end, and do what is left."""
        place = self._open(self._root, LaterClock())
        later = LaterClock()
        records = Recorder(place.items, time.monotonic, lambda: later.now().timestamp(), self._ops.append)
        while set(place.run(place.items.counts(QUEUE))) - set(ENDED_STATES):
            for item in place.run(records.claim(QUEUE, "last", LEASE_SECONDS, 100)):
                place.run(records.complete(item, {"by": "last"}))
        ends = place.run(ends_of(place.items, QUEUE))
        problems = check_history(self._ops, ends)
        self.report.lost += sum(is_loss(problem) for problem in problems)
        self.report.double += sum(not is_loss(problem) for problem in problems)
        self.report.wrong += problems[:10]
        place.close()


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


if __name__ == "__main__":
    for bug in sys.argv[5:]:
        plant(bug)
    done = Rounds(Path(sys.argv[1]), sys.argv[2], int(sys.argv[4])).run(int(sys.argv[3]))
    print(json.dumps(asdict(done)))
