"""A rich vault goes from files to SQLite to PostgreSQL to files, and nothing of it has changed; `verify` everywhere."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest
from damaged_logs import DAMAGES, joined, large_log, store_log
from fleet_fixtures import make_vault
from postgres_server import PostgresServer
from tampering import FileDays, PostgresDays, SqliteDays, StoredDays
from whole_vaults import content, run_cli

from argosy_core.storage.base import ITEM_STATES, NewItem, Store
from argosy_core.storage.opening import open_store
from argosy_core.testing.conformance import OTHER_STREAM, STREAM
from argosy_core.testing.fakes import FakeClock

pytestmark = pytest.mark.timeout(120)
BYTES = bytes(range(256)) * 40
TORN = b'{"timestamp": "2025-03-01T08:00:00+00:00", "run_id": "run-1", "model": "m"}\r\n\n{"ts": "2025-03-01T08:01'
READY = NewItem("ready", {"text": "日本\r\n\0"}, key="k", conflict_keys=["c"], needs={"gpu": 1})
TORN_LOG = "old/log/2024-12/2024-12-31.jsonl"
FILES: Mapping[str, bytes] = {
    "ada/raw/empty": b"",
    "ada/raw/one byte": b"\0",
    "ada/raw/pixel.png": BYTES,
    "ada/memory/user_\u00e9t\u00e9.md": b"composed\n",
    "ada/memory/user_e\u0301te\u0301.md": b"decomposed\n",
    "ada/wiki/\U0001f6a2 \U0001f469\u200d\U0001f527.md": "🚢\n".encode(),
    "ada/wiki/Windows.md": b"# One\r\n\r\ntwo\r\n",
    "ada/wiki/BOM.md": b"\xef\xbb\xbf# Marked\n",
    "ada/wiki/no newline.md": b"the end",
    "ada/wiki/ends in spaces.md": b"x \t\n\n\n",
    "ada/log/2025-03/2025-03-01.jsonl": TORN,
    TORN_LOG: b'{"a": 1}\n' + TORN,
    "ada/memory/.versions/user_keeper/20260101T000000000000Z_0a0b0c0d.md": b"old\r\n",
    "_fleet/queue/runs/ready/by_hand.json": b'{"payload":  {"agent": "ada", "task": "x"}}\n',
    "_fleet/queue/runs/done/broken.json": b"{",
    ".obsidian/app.json": b"{}",
    ".hidden/\u65e5\u672c": BYTES,
}


async def fill(store: Store, clock: FakeClock) -> None:
    """Versions, a lease, and an item in every state."""
    for number in range(3):
        await store.documents.write("ada/memory/user_versions.md", b"%d\r\n" % number, keep_version=True)
    await store.leases.acquire("job 🚢", "me", 600)
    items = store.items
    await items.enqueue(NewItem("held", {}, holds=["waits for question 7"]))
    await items.enqueue(READY)
    await items.enqueue(NewItem("expired", {}, expires_at=clock.now() + timedelta(seconds=1)))
    cancelled, _ = await items.enqueue(NewItem("cancelled", {}))
    await items.cancel(cancelled.id, "not wanted")
    for queue in ("leased", "done", "failed", "dead"):
        await items.enqueue(NewItem(queue, {}, max_attempts=1 if queue == "dead" else 3))
        [item] = await items.claim(queue, "worker", 600)
        assert item.lease is not None
        if queue == "done":
            await items.complete(item.id, item.lease.token, {"sum": 3})
        elif queue != "leased":
            await items.fail(item.id, item.lease.token, "the printer burns")
    clock.advance(2)
    await items.settle()
    assert {queue: [*await items.counts(queue)] for queue in ITEM_STATES} == {state: [state] for state in ITEM_STATES}


def call(tool: str, root: Path, **arguments: Any) -> None:
    line = ["call", tool, json.dumps(arguments), "--role", "operator", "--vault", str(root)]
    assert run_cli(line) == 0, tool


def log_something(root: Path) -> None:
    """Chained entries, one of them redacted, and anchors in the table and in the fleet's stream."""
    for number in range(3):
        call("memory_write", root, type="user", title=f"Note {number}", body="the keeper's name")
    call("log_redact", root, stream="ada", writer="memory", seq=2, why="asked for")
    call("log_anchor", root)


@pytest.fixture
def vault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "rt"))
    monkeypatch.chdir(tmp_path)
    root = make_vault(tmp_path / "vault")
    clock = FakeClock()
    store = open_store(root, "files", clock=clock)
    anyio.run(fill, store, clock)
    store.close()
    log_something(root)
    for path, data in FILES.items():  # last: whoever appends to a log sets its torn end aside
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)
    return root


def test_a_rich_vault_comes_back_byte_for_byte_from_sqlite_and_postgresql(
    vault: Path, postgres: PostgresServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = content(vault)
    redacted = [path for path, data in before.items() if b'"redacted":true' in data]
    assert FILES.items() <= before.items() and redacted and "ada/log/anchors.md" in before
    database, schema = f"sqlite:///{tmp_path}/moved.sqlite", postgres.url()
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()

    assert run_cli(["export", "--to", database, "--vault", str(vault)]) == 0
    assert run_cli(["export", "--to", schema, "--vault", "one", "--store", database]) == 0
    assert run_cli(["import", "--from", schema, "--vault", "back"]) == 0

    assert content(tmp_path / "back") == before
    reports: list[Any] = []
    for place in (["vault"], ["one", "--store", database], ["two", "--store", schema], ["back"]):
        capsys.readouterr()
        assert run_cli(["verify", "--json", "--vault", *place]) == 1  # the torn line and the broken item are named
        reports.append(json.loads(capsys.readouterr().out))
    assert reports == [reports[0]] * 4
    assert {found["file"] for found in reports[0]["findings"]} >= {"the item broken"}
    after = content(vault)
    assert TORN.startswith(after.pop(TORN_LOG)[9:])  # what is left of a torn end once somebody asked for heads
    assert {**after, TORN_LOG: before[TORN_LOG]} == before


def test_what_came_back_goes_on(vault: Path, postgres: PostgresServer, tmp_path: Path) -> None:
    schema = postgres.url()
    assert run_cli(["export", "--to", schema, "--vault", str(vault)]) == 0
    for target in (["--vault", "back"], ["--vault", "base", "--store", "sqlite:///v.sqlite"]):
        assert run_cli(["import", "--from", schema, *target]) == 0
    for root, address in (("back", "files"), ("base", "sqlite:///v.sqlite"), ("vault", schema)):
        store = open_store(tmp_path / root, address, clock=FakeClock())
        anyio.run(go_on, store)
        store.close()


async def go_on(store: Store) -> None:
    """Keys, leases, numbers and versions are those of the vault that was moved."""
    item, is_duplicate = await store.items.enqueue(READY)
    held = await store.leases.current("job 🚢")
    heads = {head.writer: head.seq for head in await store.chain.heads("ada")}
    entry = await store.chain.append("ada", "memory", {"n": 1})
    versions = await store.documents.versions("ada/memory/user_versions.md")
    assert (is_duplicate, item.state, held and held.holder) == (True, "ready", "me")
    assert entry.seq == heads["memory"] + 1
    assert [(await store.documents.read(each.path)).data for each in versions] == [b"1\r\n", b"0\r\n"]


# Verify


@pytest.fixture(params=["files", "sqlite:///fleet.sqlite", "postgres"], ids=["files", "sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, StoredDays]:
    """The address of a store for the vault at *tmp_path*, and a way behind its back."""
    if request.param == "postgres":
        url = str(request.getfixturevalue("postgres").url())
        return url, PostgresDays(url)
    return request.param, FileDays(tmp_path) if request.param == "files" else SqliteDays(tmp_path / "fleet.sqlite")


def test_verify_exits_with_each_kind_of_damage_and_says_it(
    place: tuple[str, StoredDays], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    address, stored = place
    log = large_log(80)
    store = open_store(tmp_path, address, create=True)
    anyio.run(store_log, log, store)
    where = ["--vault", str(tmp_path), "--store", address]

    def verified() -> tuple[int, list[tuple[str, str, int]]]:
        capsys.readouterr()
        code = run_cli(["verify", "--json", *where])
        report = json.loads(capsys.readouterr().out)
        assert report["ok"] == (code == 0)
        return code, [(found["kind"], found["stream"], found["seq"]) for found in report["findings"]]

    assert verified() == (0, [])
    for kind, plant in DAMAGES.items():
        damage = plant(log)
        anyio.run(stored.put_days, STREAM, joined(damage.days))
        anyio.run(stored.put_days, OTHER_STREAM, joined(damage.moved))
        assert verified() == (1, list(damage.found)), kind
        assert run_cli(["verify", *where]) == 1
        assert capsys.readouterr().out.startswith(f"{damage.found[0][0]}: {STREAM}/w ")
        anyio.run(stored.put_days, OTHER_STREAM, {})
        anyio.run(stored.put_days, STREAM, joined(log.days))
    assert verified() == (0, [])
    anyio.run(store.archive.write, "_fleet/queue/runs/done/broken.json", b"{")
    assert verified() == (1, [("altered", "_fleet", 0)])
    store.close()


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("sqlite:///none.sqlite", "not_found"),
        ("sqlite:///fleet.md", "corrupted"),
        ("postgresql://postgres@127.0.0.1:1/none", "unavailable"),
        ("mysql://host/db", "invalid_argument"),
    ],
)
def test_verify_of_what_cannot_be_opened_says_so(
    address: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("argosy_core.storage.postgres.database.PAUSES", (0.01,))
    make_vault(tmp_path)
    code = run_cli(["verify", "--vault", str(tmp_path), "--store", address])
    shown = capsys.readouterr()
    assert code == (2 if said == "invalid_argument" else 1)
    assert said in shown.err and shown.out == ""
