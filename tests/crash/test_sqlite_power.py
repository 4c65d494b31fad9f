"""The write-ahead log is cut off and garbled at every sector: the database is sound, and what came before is there."""

from __future__ import annotations

import random
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from children import environment
from power_cuts import LONG
from syscalls import Laws, trace, why_not

from argosy_core.clock import SystemClock
from argosy_core.ids import SystemIds
from argosy_core.storage.base import Item, NewItem
from argosy_core.storage.sqlite.store import SqliteStore

pytestmark = pytest.mark.anyio
SECTOR_BYTES = 512
DATABASE = "fleet.sqlite"
ROUNDS = 14
CHECKPOINT_BYTES = 1000 * 4096  # of log, and SQLite begins to put it into the database
REASON = why_not()


def open_sqlite(root: Path, *, create: bool = False) -> SqliteStore:
    return SqliteStore(root / DATABASE, root, SystemClock(), SystemIds(), create=create)


@dataclass
class Told:
    """What was acknowledged, each with the size of the log at that moment."""

    entries: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])
    documents: list[tuple[int, str, bytes]] = field(default_factory=list[tuple[int, str, bytes]])
    items: list[tuple[int, Item]] = field(default_factory=list[tuple[int, Item]])


@pytest.fixture
def root(tmp_path: Path) -> Generator[Path]:
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else tmp_path) as folder:
        yield Path(folder)


async def worked(root: Path) -> tuple[Told, bytes, bytes]:
    """What a store acknowledged; its database before all of it, and the log of all of it."""
    store = open_sqlite(root, create=True)
    await store.documents.write("harbor/model.md", b"# MODEL\n")
    store.close()  # puts the log into the database
    database = (root / DATABASE).read_bytes()
    store, told, log = open_sqlite(root), Told(), root / f"{DATABASE}-wal"
    for number in range(ROUNDS):
        entry = await store.chain.append("harbor", "w", {"n": number, "text": "x" * (number * 40)}, key=f"k{number}")
        told.entries.append((log.stat().st_size, entry.hash))
        path, data = f"harbor/note{number % 3}.md", f"text {number}\n".encode() * 50
        await store.documents.write(path, data)
        told.documents.append((log.stat().st_size, path, data))
        item, _ = await store.items.enqueue(NewItem("q", {"n": number}))
        told.items.append((log.stat().st_size, item))
        [item] = await store.items.claim("q", "w", 60)
        told.items.append((log.stat().st_size, item))
        assert item.lease is not None
        item = await store.items.complete(item.id, item.lease.token, {})
        told.items.append((log.stat().st_size, item))
    written = log.read_bytes()
    assert len(written) < CHECKPOINT_BYTES
    store.close()
    return told, database, written


async def check_image(root: Path, database: bytes, log: bytes, whole_bytes: int, told: Told) -> None:
    """Whatever was acknowledged while the log had at most *whole_bytes* is there, and the database is sound."""
    root.mkdir()
    (root / DATABASE).write_bytes(database)
    (root / f"{DATABASE}-wal").write_bytes(log)
    with closing(sqlite3.connect(root / DATABASE)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    store = open_sqlite(root)
    report = await store.chain.verify("harbor")
    assert report.findings == ()
    hashes = [line["hash"] async for line in store.chain.scan("harbor")]
    kept = [entry for size, entry in told.entries if size <= whole_bytes]
    assert hashes[: len(kept)] == kept
    newest = {path: data for size, path, data in told.documents if size <= whole_bytes}
    for path, data in newest.items():
        later = {d for size, p, d in told.documents if p == path and size > whole_bytes}
        assert (await store.documents.read(path)).data in {data, *later}
    moved = {item.id: item for size, item in told.items if size <= whole_bytes}
    for id, item in moved.items():
        assert (await store.items.get(id)).revision >= item.revision
    assert (await store.chain.append("harbor", "w", {"after": True})).seq == len(hashes) + 1
    store.close()
    shutil.rmtree(root)


@pytest.mark.parametrize("most", [pytest.param(200, id="200 cuts"), pytest.param(None, id="every sector", marks=LONG)])
async def test_a_log_cut_or_garbled_anywhere_loses_nothing_before(most: int | None, root: Path) -> None:
    (root / "live").mkdir()
    told, database, log = await worked(root / "live")
    chance = random.Random(20261126)
    cuts = [(kind, at) for at in range(0, len(log), SECTOR_BYTES) for kind in ("cut", "garbled", "zeroed")]
    assert len(cuts) > 1000
    for kind, at in chance.sample(cuts, most) if most else cuts:
        noise = b"" if kind == "cut" else bytes(SECTOR_BYTES) if kind == "zeroed" else chance.randbytes(SECTOR_BYTES)
        rest = b"" if kind == "cut" else log[at + SECTOR_BYTES :]
        await check_image(root / "image", database, log[:at] + noise + rest, at, told)


# FULL is seen by counting: the pragma may say what it likes.

COMMITS = 50
WRITER = """
import asyncio, os, sys
from pathlib import Path
from argosy_core.clock import SystemClock
from argosy_core.ids import SystemIds
from argosy_core.storage.sqlite import database_file
from argosy_core.storage.sqlite.store import SqliteStore

for name, value in zip(sys.argv[2::2], sys.argv[3::2]):
    real = database_file.connect
    def connect(path):
        connection = real(path)
        connection.execute(f"PRAGMA {name} = {value}")
        return connection
    database_file.connect = connect
    import argosy_core.storage.sqlite.database as database
    database.connect = connect

async def main(root):
    store = SqliteStore(root / "fleet.sqlite", root, SystemClock(), SystemIds(), create=True)
    await store.documents.write("harbor/model.md", b"# MODEL")
    os.write(1, b"ACK begin fleet.sqlite\\n")
    for number in range(50):
        await store.chain.append("harbor", "w", {"n": number})
        os.write(1, b"ACK append fleet.sqlite\\n")
    os._exit(0)

asyncio.run(main(Path(sys.argv[1])))
"""


def syncs_between_acknowledgements(tmp_path: Path, *pragma: str) -> int:
    """How often the log was synced while fifty entries were appended one by one."""
    vault = tmp_path / "vault"
    vault.mkdir()
    calls = trace([sys.executable, "-P", "-c", WRITER, str(vault), *pragma], tmp_path / "trace", environment())
    begins = next(number for number, call in enumerate(calls) if call.text.startswith("ACK begin"))
    laws = Laws(str(vault.resolve())).follow(calls[begins:])
    assert laws.acknowledged == COMMITS + 1
    return laws.synced[str((vault / f"{DATABASE}-wal").resolve())]


@pytest.mark.skipif(REASON is not None, reason=f"THE SYNCS OF SQLITE WERE NOT COUNTED: {REASON}")
def test_each_commit_is_synced(tmp_path: Path) -> None:
    assert syncs_between_acknowledgements(tmp_path) >= COMMITS


@pytest.mark.skipif(REASON is not None, reason=f"THE SYNCS OF SQLITE WERE NOT COUNTED: {REASON}")
@pytest.mark.parametrize("synchronous", ["OFF", "NORMAL"])
def test_a_database_that_syncs_less_is_found_out(synchronous: str, tmp_path: Path) -> None:
    assert syncs_between_acknowledgements(tmp_path, "synchronous", synchronous) < COMMITS
