"""Anchoring, redaction, numbers and export through the log server's tools."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client
from mcp_types import TextContent, TextResourceContents

from argosy_core.clock import Clock, SystemClock
from argosy_core.serving.config import ServerConfig
from argosy_core.storage.chain_redaction import redaction_event
from argosy_core.storage.files.store import FileStore
from argosy_core.storage.opening import open_store
from argosy_core.storage.sqlite.store import SqliteStore
from argosy_core.testing.fakes import FakeClock, SeededIds
from argosy_core.types import Role
from argosy_log.agent_store import import_log, read_entries
from argosy_log.anchoring import STOP_ENTRIES
from argosy_log.server import create

pytestmark = pytest.mark.anyio
RUN = "run-20261120-090000-000000-0a0b0c0d"
DAY_SECONDS = 86_400
TEXT = "the name nobody may read"


class Vault:
    """One vault with an agent, a clock and servers made on demand."""

    def __init__(self, root: Path, clock: Clock | None = None) -> None:
        self.root = root
        self.fake = FakeClock(datetime(2026, 11, 20, 9, 0, tzinfo=UTC))
        self.clock: Clock = clock or self.fake
        self.stores: list[FileStore] = []
        self.seed = 0
        for agent in ("caldwell", "other"):
            (root / agent).mkdir()

    @asynccontextmanager
    async def client(self, role: Role = Role.OPERATOR, agent: str | None = "caldwell") -> AsyncGenerator[Client]:
        self.seed += 1
        ids = SeededIds(self.seed)
        store = open_store(self.root, clock=self.clock, ids=ids)
        assert isinstance(store, FileStore)
        self.stores.append(store)
        config = ServerConfig(store, agent=agent, role=role, profile="full", clock=self.clock, ids=ids)
        async with Client(create(config)) as client:
            yield client

    def file(self, day: str = "2026-11-20", stream: str = "caldwell") -> Path:
        return self.root / stream / "log" / day[:7] / f"{day}.jsonl"

    def state_bytes(self) -> bytes:
        return b"".join(path.read_bytes() for path in (self.root / ".argosy").rglob("*") if path.is_file())


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    made = Vault(tmp_path)
    yield made
    for store in made.stores:
        store.close()


async def call(client: Client, name: str, **arguments: Any) -> dict[str, Any]:
    result = await client.call_tool(name, arguments)
    assert not result.is_error, result.content
    assert isinstance(result.structured_content, dict)
    return result.structured_content


async def error(client: Client, name: str, **arguments: Any) -> str:
    result = await client.call_tool(name, arguments)
    assert result.is_error and isinstance(result.content[0], TextContent)
    return result.content[0].text


async def append(client: Client, kind: str = "tool", **body: Any) -> dict[str, Any]:
    return await call(client, "log_append", kind=kind, body=body)


async def found(client: Client, **arguments: Any) -> list[tuple[str, str, str, int]]:
    report = await call(client, "log_verify", **arguments)
    assert report["ok"] is not bool(report["findings"])
    return [(f["kind"], f["stream"], f["writer"], f["seq"]) for f in report["findings"]]


async def three_days(vault: Vault, client: Client) -> None:
    for day in range(3):
        for number in range(3):
            await append(client, n=number)
        if day < 2:
            vault.fake.advance(DAY_SECONDS)


# Anchors


async def test_anchoring_writes_a_table_and_an_event_once(vault: Vault) -> None:
    async with vault.client() as client:
        await three_days(vault, client)
        first = await call(client, "log_anchor")
        assert [(a["stream"], a["writer"], a["seq"], a["count"]) for a in first["items"]] == [
            ("caldwell", "operator", 9, 9)
        ]
        table = (vault.root / "caldwell/log/anchors.md").read_text()
        row = table.splitlines()[-1].split(" | ")
        assert (row[0], row[1:4], row[5]) == ("| 2026-11-22T09:00:00.000Z", ["caldwell", "operator", "9"], "9 |")
        assert (await call(client, "log_anchor"))["items"] == []
        assert (vault.root / "caldwell/log/anchors.md").read_text() == table
        page = await call(client, "log_query", kinds=["anchor"], agent="_fleet")
        assert len(page["items"]) == 1 and page["items"][0]["writer"] == "log"


@pytest.mark.parametrize(
    ("harm", "finding"),
    [
        (lambda v: v.file("2026-11-22").unlink(), ("missing", "caldwell", "operator", 7)),
        (lambda v: v.file("2026-11-21").unlink(), ("missing", "caldwell", "operator", 4)),
        (lambda v: v.file("2026-11-20").unlink(), ("gap", "caldwell", "operator", 4)),
        (lambda v: cut(v.file("2026-11-22"), 1), ("truncated", "caldwell", "operator", 8)),
        (lambda v: cut(v.file("2026-11-22"), 0), ("truncated", "caldwell", "operator", 7)),
        (lambda v: remove(v.root / "caldwell/log"), ("missing", "caldwell", "operator", 1)),
    ],
)
async def test_what_is_gone_is_named_by_every_server(
    vault: Vault, harm: Callable[[Vault], None], finding: tuple[str, str, str, int]
) -> None:
    async with vault.client() as client:
        await three_days(vault, client)
        await call(client, "log_anchor")
        assert await found(client) == []
        harm(vault)
        assert await found(client) == [finding]
    async with vault.client(Role.AGENT) as client:
        assert await found(client, stream="caldwell") == [finding]


def cut(path: Path, keep: int) -> None:
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:keep]))


def remove(folder: Path) -> None:
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    folder.rmdir()


async def test_a_server_that_stops_leaves_an_anchor_and_no_event(vault: Vault) -> None:
    table = vault.root / "caldwell/log/anchors.md"
    async with vault.client() as client:
        await append(client)
        assert not table.exists()
    rows = table.read_text().count("\n")
    async with vault.client() as client:
        await append(client)
        assert (await call(client, "log_verify"))["entries"] == 2
    assert table.read_text().count("\n") == rows  # neither far nor long ago
    vault.fake.advance(DAY_SECONDS)
    async with vault.client() as client:
        await append(client)
    assert table.read_text().count("\n") == rows + 1
    async with vault.client() as client:
        for number in range(STOP_ENTRIES):
            await append(client, n=number)
    assert table.read_text().count("\n") == rows + 2


async def test_a_persons_nonsense_in_the_table_is_told_and_the_row_after_it_is_written(vault: Vault) -> None:
    async with vault.client() as client:
        await append(client)
        await call(client, "log_anchor")
        table = vault.root / "caldwell/log/anchors.md"
        table.write_text(table.read_text() + "| my | own | idea | of | a | row |\nand prose")
        report = await call(client, "log_verify")
        assert report["ok"] is True and "anchors.md:" in report["notes"][0]
        await append(client)
        assert len((await call(client, "log_anchor"))["items"]) == 1
        assert (await call(client, "log_verify", stream="caldwell"))["ok"] is True


async def test_two_servers_anchor_at_once_and_no_row_is_lost(vault: Vault) -> None:
    vault.clock = SystemClock()  # waiting for another's lock takes real time
    async with vault.client() as one, vault.client(agent="other") as two:
        await append(one)
        await append(two)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(call, one, "log_anchor")
            tasks.start_soon(call, two, "log_anchor")
        assert await found(one) == []
    assert all(
        "| operator | 1 |" in (vault.root / name / "log/anchors.md").read_text() for name in ("caldwell", "other")
    )


async def test_what_proves_entries_is_not_appended_by_hand(vault: Vault) -> None:
    async with vault.client() as client:
        for kind in ("anchor", "redaction", "agent_store.entry"):
            assert (await error(client, "log_append", kind=kind, body={})).startswith("invalid_argument:")


async def test_agents_neither_anchor_nor_redact(vault: Vault) -> None:
    async with vault.client(Role.AGENT) as client:
        assert (await error(client, "log_anchor")).startswith("permission_denied:")
        arguments = {"stream": "caldwell", "writer": "operator", "seq": 1, "why": "x"}
        assert (await error(client, "log_redact", **arguments)).startswith("permission_denied:")


async def test_the_doctor_tells_of_rows_that_are_no_anchors_and_of_a_log_that_is_gone(vault: Vault) -> None:
    async with vault.client() as client:
        await append(client)
        await call(client, "log_anchor")
        table = vault.root / "caldwell/log/anchors.md"
        table.write_text(table.read_text() + "| a | b | c | d |\n")
        checks = {f["check"]: f for f in (await call(client, "log_doctor"))["findings"]}
        assert "anchors.md:" in checks["log_anchors"]["message"]
        remove(vault.root / "caldwell/log")
        findings = (await call(client, "log_doctor"))["findings"]
        assert [f["message"][:22] for f in findings if f["status"] == "fail"] == ["missing at caldwell/op"]


# Redaction


async def test_a_redacted_text_is_nowhere_and_the_chain_holds(vault: Vault) -> None:
    async with vault.client() as client:
        await append(client, n=1)
        await call(client, "log_append", kind="note", body={"text": TEXT, "summary": TEXT}, key="k")
        await append(client, n=3)
        assert len((await call(client, "log_query", text=TEXT))["items"]) == 1
        arguments = {"stream": "caldwell", "writer": "operator", "seq": 2, "why": "a person asked"}
        first = await call(client, "log_redact", **arguments)
        assert await call(client, "log_redact", **arguments) == first
        assert await found(client) == []
        assert (await call(client, "log_query", text=TEXT))["items"] == []
        items = (await call(client, "log_query"))["items"]
        assert [item["kind"] for item in items] == ["redaction", "tool", "redacted", "tool"]
        assert items[0]["fields"]["why"] == "a person asked"
        assert TEXT.encode() not in vault.file().read_bytes() + vault.state_bytes()
        await append(client, n=4)
        assert await found(client) == []
    assert TEXT.encode() not in vault.state_bytes()


async def test_a_redaction_that_a_crash_cut_off_is_finished_by_the_next_server(vault: Vault) -> None:
    async with vault.client() as client:
        await append(client, text=TEXT)
        await append(client, n=2)
    chain = vault.stores[-1].chain
    await chain.append("caldwell", "log", redaction_event("operator", 1, "why", "operator"), key="redaction:1:operator")
    async with vault.client() as client:
        report = await call(client, "log_verify")
        assert report["ok"] and "#1: a redaction names it" in report["notes"][0]
        await call(client, "log_doctor")
        assert TEXT not in vault.file().read_text()
        assert await found(client) == []


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"seq": 9}, "not_found"), ({"writer": "host"}, "not_found"), ({"stream": "nobody"}, "not_found"),
        ({"why": " "}, "invalid_argument"), ({"why": "x" * 501}, "invalid_argument"), ({"seq": 0}, "not_found"),
        ({"stream": "../x"}, "not_found"),
    ],
)  # fmt: skip
async def test_what_cannot_be_redacted_is_refused_and_nothing_is_written(
    vault: Vault, arguments: dict[str, Any], code: str
) -> None:
    async with vault.client() as client:
        await append(client, text=TEXT)
        before = vault.file().read_bytes()
        asked = {"stream": "caldwell", "writer": "operator", "seq": 1, "why": "x", **arguments}
        assert (await error(client, "log_redact", **asked)).startswith(f"{code}:")
        assert vault.file().read_bytes() == before


async def test_an_altered_entry_is_not_redacted(vault: Vault) -> None:
    async with vault.client() as client:
        await append(client, text=TEXT)
        vault.file().write_text(vault.file().read_text().replace(TEXT, "other"))
        arguments = {"stream": "caldwell", "writer": "operator", "seq": 1, "why": "x"}
        assert (await error(client, "log_redact", **arguments)).startswith("corrupted:")
        assert len(vault.file().read_text().splitlines()) == 1


async def test_appends_go_on_while_entries_are_redacted(vault: Vault) -> None:
    vault.clock = SystemClock()
    async with vault.client() as one, vault.client() as two:
        for number in range(6):
            await append(one, n=number)

        async def redact() -> None:
            for seq in range(1, 6):
                await call(two, "log_redact", stream="caldwell", writer="operator", seq=seq, why="x")

        async def go_on() -> None:
            for number in range(15):
                await append(one, n=number)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(redact)
            tasks.start_soon(go_on)
        report = await call(one, "log_verify")
        assert (report["ok"], report["entries"]) == (True, 6 + 15 + 5)


# Numbers


async def test_numbers_by_model_and_day_come_in_pages(vault: Vault) -> None:
    async with vault.client() as client:
        for day in range(3):
            for model in ("large", "small"):
                await append(client, "model.call", model=model, cost_usd=0.1 * (day + 1), latency_ms=100 + day)
            vault.fake.advance(DAY_SECONDS)
        page = await call(client, "log_aggregate", measure="cost_usd", by=["model"])
        assert [(i["key"]["model"], i["value"], i["events"]) for i in page["items"]] == [
            ("large", 0.6, 3),
            ("small", 0.6, 3),
        ]
        first = await call(client, "log_aggregate", by=["day"], limit=2)
        rest = await call(client, "log_aggregate", by=["day"], limit=2, cursor=first["next_cursor"])
        days = [item["key"]["day"] for item in first["items"] + rest["items"]]
        assert (days, rest["next_cursor"], rest["groups"]) == (["2026-11-20", "2026-11-21", "2026-11-22"], None, 3)
        span = await call(
            client, "log_aggregate", measure="latency_ms", stat="avg", since="2026-11-21", until="2026-11-21"
        )
        assert (span["items"][0]["value"], span["relative_error"]) == (101, 0)


@pytest.mark.parametrize(
    "arguments",
    [{"stat": "p50"}, {"by": ["colour"]}, {"measure": "money"}, {"since": "x"}, {"cursor": "zz"},
     {"by": ["kind", "run", "day", "hour", "model"]}],
)  # fmt: skip
async def test_a_number_that_cannot_be_meant_is_refused(vault: Vault, arguments: dict[str, Any]) -> None:
    async with vault.client() as client:
        assert (await error(client, "log_aggregate", **arguments)).startswith("invalid_argument:")


async def test_metrics_are_text_that_scripts_scrape(vault: Vault) -> None:
    async with vault.client() as client:
        await append(client, "model.call", model='m"x\n', cost_usd=0.25, input_tokens=7)
        await append(client, "run.end", status="ok", cost_usd=0.25)
        content = (await client.read_resource("log://metrics")).contents[0]
    assert isinstance(content, TextResourceContents) and content.mime_type == "text/plain"
    assert 'argosy_log_cost_usd_total{model="m\\"x\\n"} 0.25' in content.text.splitlines()
    assert 'argosy_log_runs_total{status="ok"} 1' in content.text.splitlines()


# Export


async def test_exported_lines_are_the_stored_bytes_in_pages(vault: Vault) -> None:
    old = '{"ts": "2026-05-06T11:32:00-05:00",  "model": "large", "cost_usd": 0.1287, "status": "ok"}'
    vault.file("2026-05-06").parent.mkdir(parents=True)
    vault.file("2026-05-06").write_text(f"{old}\n")
    async with vault.client() as client:
        for number in range(5):
            await append(client, n=number, text="日本")
        content, cursor = "", None
        while True:
            page = await call(client, "log_export", limit=2, cursor=cursor)
            content, cursor = content + page["content"], page["next_cursor"]
            if cursor is None:
                break
        stored = [vault.file(day).read_bytes() for day in ("2026-05-06", "2026-11-20")]
        assert content.encode() == b"".join(stored)
        assert (await call(client, "log_export", since="2026-11-01"))["lines"] == 5
        assert (await error(client, "log_export", cursor="zz")).startswith("invalid_argument:")
        assert (await error(client, "log_export", format="xml")).startswith("invalid_argument:")


async def test_an_agent_exports_what_it_sees(vault: Vault) -> None:
    async with vault.client(agent=None) as client:
        await append(client, "fleet.note", agent="caldwell")
        await append(client, "fleet.note", agent="other")
    async with vault.client(Role.AGENT) as client:
        page = await call(client, "log_export")
    assert page["lines"] == 1 and '"agent":"caldwell"' in page["content"]


async def test_telemetry_is_spans_of_runs_with_calls_below_them_and_logs(vault: Vault) -> None:
    child = "run-20261120-090001-000000-0a0b0c0e"
    async with vault.client() as client:
        await append(client, "run.start", run_id=RUN, task="Sort")
        vault.fake.advance(1)
        await append(client, "model.call", run_id=RUN, model="m", input_tokens=5, output_tokens=2, latency_ms=300)
        await append(client, "tool", run_id=RUN, tool_name="memory_write", call_id="c1", status="error", latency_ms=20)
        await append(client, "run.start", run_id=child, parent_run_id=RUN)
        await append(client, "run.end", run_id=child, parent_run_id=RUN, status="ok")
        await append(client, "run.end", run_id=RUN, status="ok", latency_ms=1000)
        first = await call(client, "log_export", format="otlp")
        again = await call(client, "log_export", format="otlp")
    assert first == again
    traces, logs = [json.loads(line) for line in first["content"].splitlines()]
    spans = traces["resourceSpans"][0]["scopeSpans"][0]["spans"]
    assert [span["name"] for span in spans] == [
        "chat m", "execute_tool memory_write", "invoke_agent caldwell", "invoke_agent caldwell",
    ]  # fmt: skip
    chat, tool, below, top = spans
    assert {span["traceId"] for span in spans} == {top["traceId"]} and len(top["traceId"]) == 32
    assert chat["parentSpanId"] == tool["parentSpanId"] == below["parentSpanId"] == top["spanId"]
    assert "parentSpanId" not in top and len({span["spanId"] for span in spans}) == 4
    assert int(chat["endTimeUnixNano"]) - int(chat["startTimeUnixNano"]) == 300_000_000
    assert int(top["endTimeUnixNano"]) - int(top["startTimeUnixNano"]) == 1_000_000_000
    named = {item["key"]: item["value"] for item in chat["attributes"]}
    assert named["gen_ai.operation.name"] == {"stringValue": "chat"}
    assert named["gen_ai.usage.input_tokens"] == {"intValue": "5"}
    assert (tool["status"]["code"], top["status"]["code"]) == (2, 1)
    records = logs["resourceLogs"][0]["scopeLogs"][0]["logRecords"]
    assert [record["eventName"] for record in records] == ["run.start", "run.start"]
    assert records[0]["traceId"] == top["traceId"] and records[0]["spanId"] == top["spanId"]


# Over a database


async def test_all_of_it_holds_over_a_database(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "fleet.sqlite", tmp_path, FakeClock(), SeededIds())
    await store.documents.write("caldwell/model.md", b"# Model")
    config = ServerConfig(store, agent="caldwell", role=Role.OPERATOR, profile="full", clock=FakeClock())
    async with Client(create(config)) as client:
        for number in range(3):
            await append(client, "model.call", n=number, text=TEXT, cost_usd=0.25, model="m", run_id=RUN)
        await call(client, "log_anchor")
        page = await call(client, "log_query", run=RUN)
        assert [item["fields"]["n"] for item in page["items"]] == [2, 1, 0] and page["notes"] == []
        await call(client, "log_redact", stream="caldwell", writer="operator", seq=2, why="asked for")
        assert await found(client) == []
        assert len((await call(client, "log_query", text=TEXT))["items"]) == 2
        assert (await call(client, "log_aggregate", measure="cost_usd", by=["model"]))["items"][0]["value"] == 0.5
        content = (await call(client, "log_export", until="2026-11-20"))["content"]
        lines = [line for line in map(json.loads, content.splitlines()) if line["writer"] == "operator"]
        assert [line.get("redacted") for line in lines] == [None, True, None]
        assert (await append(client))["seq"] == 4
        assert await found(client) == []
    rows = (await store.documents.read("caldwell/log/anchors.md")).data.decode()
    assert "| caldwell | operator | 3 |" in rows
    store.close()


# The older chain


async def test_an_agent_store_log_is_imported_once_and_verified(vault: Vault, tmp_path: Path) -> None:
    database = make_agent_store(tmp_path / "store.sqlite", [b"hello", b"world", b"\xff\x00"])
    async with vault.client() as client:
        chain = vault.stores[-1].chain
        for _ in range(2):
            assert await import_log(chain, "caldwell", database) == 3
        assert await found(client) == []
        items = (await call(client, "log_query", kinds=["agent_store.entry"]))["items"]
        assert [item["fields"]["v0"].get("payload") for item in items] == [None, "world", "hello"]
        line = vault.file().read_text().splitlines()[1]
        assert "c5040ca2b1bd38990c4f8794911f137b32e0229458f15023c517e50b7af536d1" in line


def test_an_agent_store_log_that_does_not_hold_is_not_imported(tmp_path: Path) -> None:
    import sqlite3

    from argosy_core.errors import Corrupted, NotFound

    database = make_agent_store(tmp_path / "store.sqlite", [b"hello", b"world"])
    with sqlite3.connect(database) as db:
        db.execute("UPDATE _agent_store_log SET payload = x'00' WHERE seq = 2")
    db.close()
    with pytest.raises(Corrupted, match="altered"):
        list(read_entries(database))
    (tmp_path / "empty").write_bytes(b"")
    for name in ("empty", "none"):
        with pytest.raises(NotFound):
            list(read_entries(tmp_path / name))


def make_agent_store(path: Path, payloads: list[bytes]) -> Path:
    import sqlite3

    from argosy_core.canonical import chain_hash_v0

    with sqlite3.connect(path) as db:
        db.execute(
            "CREATE TABLE _agent_store_log (stream TEXT, writer TEXT, seq INTEGER, prev_hash BLOB, content_hash BLOB, "
            "payload BLOB, PRIMARY KEY (stream, writer, seq))"
        )
        prev = None
        for seq, payload in enumerate(payloads, 1):
            content = chain_hash_v0(prev, payload)
            db.execute(
                "INSERT INTO _agent_store_log VALUES (?, ?, ?, ?, ?, ?)", ("s", "w", seq, prev, content, payload)
            )
            prev = content
    db.close()
    return path
