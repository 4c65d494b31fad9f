"""A hundred planted values go through all that handles secrets, and are then in no result, event, log or file."""

from __future__ import annotations

import base64
import json
import logging
import sqlite3
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio import to_thread
from fleet_fixtures import make_vault
from mcp import Client, MCPError
from mcp.server import MCPServer
from mcp_types import TextContent

from argosy_core.canonical import arguments_hash
from argosy_core.clock import SystemClock
from argosy_core.errors import ArgosyError, Unavailable
from argosy_core.secrets.keys import ScryptCost
from argosy_core.secrets.logs import guard_logging
from argosy_core.secrets.placeholders import inject, placeholder
from argosy_core.secrets.redaction import Redactor
from argosy_core.secrets.secret_store import SecretStore, Surroundings, open_secrets
from argosy_core.secrets.sources import KeyringSource
from argosy_core.serving.config import ServerConfig, open_store
from argosy_core.serving.identity import RUN_META, RunTokens
from argosy_core.storage.base import Store
from argosy_core.testing.canaries import Canaries
from argosy_core.testing.fakes import SeededIds
from argosy_core.types import Role
from argosy_core.views.vault_reader import VaultReader
from argosy_secrets.server import create

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]
COUNT = 100
TOOLS = ["x__echo", "x__crash", "x__refuse", "x__hang", "x__strict", "x__wrong", "x__nested"]
CHEAP = ScryptCost(n=16)
PASSPHRASE = "correct horse"


def no_keyring() -> Any:
    raise ImportError("keyring")


@pytest.fixture(scope="module")
def canaries() -> Canaries:
    return Canaries(COUNT, SeededIds(7))


@pytest.fixture
def redactor() -> Redactor:
    return Redactor()


@pytest.fixture
def records(redactor: Redactor) -> Iterator[list[logging.LogRecord]]:
    """Every record that any logger makes at DEBUG."""
    kept: list[logging.LogRecord] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            kept.append(record)

    root, handler = logging.getLogger(), Keep()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    undo = guard_logging(redactor)
    try:
        yield kept
    finally:
        undo()
        root.setLevel(level)
        root.removeHandler(handler)


@pytest.fixture
def vault(tmp_path: Path, canaries: Canaries) -> Path:
    audience = json.dumps({"tools": TOOLS, "arguments": ["value", "deep"], "hosts": ["api.example.com"]})
    lines = [f"  {name}: {audience}" for name in canaries.values]
    head = "\n".join(["---", "default_agent: ada", "secrets:", *lines, "---", ""])
    return make_vault(tmp_path / "vault", {"fleet.md": head})


def surroundings(redactor: Redactor, **environ: str) -> Surroundings:
    return Surroundings({"ARGOSY_PASSPHRASE": PASSPHRASE, **environ}, KeyringSource(no_keyring), None, CHEAP, redactor)


def plant(folder: Path, canaries: Canaries, redactor: Redactor) -> None:
    """Half of the values in the file, by another process as it were: nothing here has handed them out."""
    store = open_secrets(None, folder, surroundings(Redactor()))
    for name in list(canaries.values)[:COUNT:2]:
        store.set(name, canaries.values[name])


def variables(canaries: Canaries) -> dict[str, str]:
    return {f"ARGOSY_SECRET_{name}": canaries.values[name] for name in list(canaries.values)[1:COUNT:2]}


# A server that does its worst with what it is given


def foreign() -> MCPServer[None]:
    server: MCPServer[None] = MCPServer("x")
    logger = logging.getLogger("some.foreign.library")

    @server.tool()
    async def echo(value: str) -> str:
        logger.info("got %r", value)
        data = value.encode()
        forms = [value, value[::-1], data.hex(), json.dumps(value), repr([value])]
        forms += [base64.b64encode(b"x" * n + data).decode() for n in range(3)]
        return "\n".join(forms)

    @server.tool()
    async def crash(value: str) -> str:
        raise RuntimeError(f"cannot use {value}")

    @server.tool()
    async def refuse(value: str) -> str:
        from mcp.server.mcpserver.exceptions import ToolError

        raise ToolError(f"no such key: {value}")

    @server.tool()
    async def hang(value: str) -> str:
        logger.warning("waiting with %s", value)
        await anyio.sleep_forever()
        return value

    @server.tool()
    async def strict(value: int) -> int:
        return value

    @server.tool()
    async def nested(deep: dict[str, Any]) -> dict[str, Any]:
        return {"seen": [deep, {json.dumps(deep): str(deep)}]}

    @server.tool()
    async def wrong(value: str) -> str:
        raise MCPError(-32000, f"wrong {value}", {"value": value})

    return server


class Gate:
    """The order that a host keeps: bind and log the placeholder, inject, call, redact all that comes back."""

    def __init__(self, store: Store, secrets: SecretStore, client: Client) -> None:
        self._store = store
        self._secrets = secrets
        self._client = client

    async def call(self, tool: str, arguments: dict[str, Any], seconds: float = 20.0) -> Any:
        redactor = self._secrets.redactor
        await self._log(
            {"kind": "judgment", "tool": tool, "arguments": arguments, "arguments_hash": arguments_hash(arguments)}
        )
        try:
            audiences = await to_thread.run_sync(self._secrets.audiences)
            sent = await inject(arguments, self._secrets.resolve, audiences.by_name, tool, own=False)
            outcome: Any = await self._foreign(tool.partition("__")[2], sent, seconds)
        except ArgosyError as error:
            outcome = redactor.redact_error(error)
        else:
            outcome = redactor.redact_json(outcome)
        await self._log({"kind": "tool", "tool": tool, "summary": str(outcome)[:2000]})
        return outcome

    async def _foreign(self, tool: str, sent: dict[str, Any], seconds: float) -> Any:
        try:
            result = await self._client.call_tool(tool, sent, read_timeout_seconds=seconds)
        except Exception as error:
            raise Unavailable(f"{tool} did not answer: {error}", hint="try again") from error
        return result.model_dump(mode="json")

    async def _log(self, event: dict[str, Any]) -> None:
        await self._store.chain.append("ada", "host", event)


@asynccontextmanager
async def gate(vault: Path, secrets: SecretStore) -> AsyncGenerator[Gate]:
    store = open_store(vault)
    try:
        async with Client(foreign(), mode="2026-07-28", cache=None) as client:
            yield Gate(store, secrets, client)
    finally:
        await to_thread.run_sync(store.close)


async def test_a_gate_that_keeps_the_order_leaks_nothing_whatever_the_foreign_tool_does(
    tmp_path: Path, vault: Path, canaries: Canaries, redactor: Redactor, records: list[logging.LogRecord]
) -> None:
    plant(tmp_path / "config", canaries, redactor)
    reader_store = open_store(vault)
    secrets = open_secrets(
        VaultReader(reader_store.files), tmp_path / "config", surroundings(redactor, **variables(canaries))
    )
    outcomes: list[Any] = []
    async with gate(vault, secrets) as calls:
        for number, name in enumerate(canaries.values):
            tool = TOOLS[number % len(TOOLS)]
            mark = f"Bearer {placeholder(name)}"
            arguments = {"deep": {"a": [mark, {"b": mark}]}} if tool == "x__nested" else {"value": mark}
            outcomes.append(await calls.call(tool, arguments, 0.01 if tool == "x__hang" else 20.0))
            outcomes.append(await calls.call("x__echo", {"value": placeholder(name)}))
    await to_thread.run_sync(reader_store.close)

    shown = [text for outcome in outcomes for text in [str(outcome)]]
    assert all(any(f"[secret:{name}]" in text for text in shown) for name in canaries.values)
    assert canaries.in_object(outcomes, "outcomes") == []
    assert canaries.in_records(records) == []
    assert any("got" in record.getMessage() for record in records)
    assert canaries.in_folder(tmp_path) == []


async def test_what_a_gate_blocks_says_why_without_a_value(
    tmp_path: Path, vault: Path, canaries: Canaries, redactor: Redactor, records: list[logging.LogRecord]
) -> None:
    reader_store = open_store(vault)
    secrets = open_secrets(
        VaultReader(reader_store.files), tmp_path / "c", surroundings(redactor, **variables(canaries))
    )
    name = next(iter(variables(canaries))).removeprefix("ARGOSY_SECRET_")
    mark = placeholder(name)
    async with gate(vault, secrets) as calls:
        outcomes = [
            await calls.call("x__echo", {"other": mark}),
            await calls.call("y__echo", {"value": mark}),
            await calls.call("x__echo", {"value": mark, "url": "https://evil.example/"}),
            await calls.call("x__echo", {"value": "{{secret:UNKNOWN}}"}),
        ]
    await to_thread.run_sync(reader_store.close)
    assert [error.code for error in outcomes] == ["blocked"] * 4
    assert canaries.in_object(outcomes, "outcomes") + canaries.in_records(records) + canaries.in_folder(tmp_path) == []


@pytest.mark.parametrize("era", ["2026-07-28", "legacy"])
async def test_the_secrets_server_shows_values_to_the_host_alone(
    tmp_path: Path, vault: Path, canaries: Canaries, redactor: Redactor, records: list[logging.LogRecord], era: Any
) -> None:
    plant(tmp_path / "config", canaries, redactor)
    tokens = RunTokens(SystemClock())
    meta: Any = {RUN_META: tokens.issue("ada", "run-1")}
    outcomes: list[Any] = []
    for role in (Role.AGENT, Role.OPERATOR):
        store = open_store(vault)
        config = ServerConfig(
            store=store, agent="ada", role=role, profile="full", host_key=tokens.public_key, log_level="DEBUG"
        )
        server = create(config, folder=tmp_path / "config", surroundings=surroundings(redactor, **variables(canaries)))
        async with Client(server, mode=era, cache=None) as client:
            for name, value in canaries.values.items():
                resolved = await client.call_tool("secrets_resolve", {"name": name}, meta=meta)
                assert (resolved.structured_content or {})["value"] == value
                outcomes += [resolved.content, resolved.meta]
                for tool, arguments in (
                    ("secrets_resolve", {"name": name}),
                    ("secrets_check", {"name": name}),
                    ("secrets_check", {"name": value}),
                    ("secrets_set", {"name": value}),
                    ("secrets_check", {"name": name, "extra": 1}),
                ):
                    outcomes.append(await client.call_tool(tool, arguments))
            for tool in ("secrets_list", "secrets_status", "secrets_doctor"):
                outcomes.append(await client.call_tool(tool, {}))
            outcomes.append(await client.read_resource("secrets://status"))
            for name in list(canaries.values)[:3]:
                outcomes += [await client.call_tool(t, {"name": name}) for t in ("secrets_set", "secrets_rotate")]
        await to_thread.run_sync(store.close)

    assert canaries.in_object(outcomes, "outcomes") == []
    assert canaries.in_records(records) == []
    assert canaries.in_folder(tmp_path) == []


async def test_a_server_that_crashes_logs_no_value(
    tmp_path: Path, vault: Path, canaries: Canaries, redactor: Redactor, records: list[logging.LogRecord],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    name = next(iter(variables(canaries))).removeprefix("ARGOSY_SECRET_")
    original = SecretStore.get

    def broken(store: SecretStore, wanted: str) -> Any:
        raise RuntimeError(f"cannot read {original(store, wanted).reveal()}")

    monkeypatch.setattr(SecretStore, "get", broken)
    tokens = RunTokens(SystemClock())
    store = open_store(vault)
    server = create(
        ServerConfig(store=store, agent="ada", profile="full", host_key=tokens.public_key),
        folder=tmp_path / "c",
        surroundings=surroundings(redactor, **variables(canaries)),
    )
    async with Client(server, mode="2026-07-28", cache=None) as client:
        outcomes = [
            await client.call_tool("secrets_resolve", {"name": name}, meta={RUN_META: tokens.issue("ada", "r")}),
            await client.call_tool("secrets_check", {"name": name}),
        ]
    await to_thread.run_sync(store.close)
    assert all(outcome.is_error for outcome in outcomes)
    assert any("crashed" in record.getMessage() and record.exc_text for record in records)
    assert canaries.in_object(outcomes, "outcomes") + canaries.in_records(records) == []


# The scanner finds what is planted: without these, nothing above proves anything

FORMS = {
    "raw": lambda v: v,
    "hex": lambda v: v.encode().hex(),
    "json": json.dumps,
    "reversed": lambda v: v[::-1],
    "base64": lambda v: base64.b64encode(b"ab" + v.encode()).decode(),
    "base64url": lambda v: base64.urlsafe_b64encode(b"a" + v.encode()).decode(),
    "two lines": lambda v: f"{v[:9]}\n{v[9:]}",
    "cut": lambda v: v[: len(v) * 3 // 4],
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("sink", ["file", "name", "wal", "row", "log", "traceback", "result", "error"])
def test_a_leak_that_is_planted_is_found(tmp_path: Path, canaries: Canaries, sink: str, form: str) -> None:
    name, value = list(canaries.values.items())[4]
    leak = FORMS[form](value)
    found: list[Any] = []
    if sink == "file":
        (tmp_path / "a").write_text(f"x {leak} y")
        found = canaries.in_folder(tmp_path)
    elif sink == "name":
        (tmp_path / leak.replace("/", "_").replace("\n", "")).touch()
        found = canaries.in_folder(tmp_path) if "/" not in leak else canaries.in_text(leak, sink)
    elif sink in ("wal", "row"):
        with_database(tmp_path, leak, wal=sink == "wal")
        found = canaries.in_folder(tmp_path)
    elif sink in ("log", "traceback"):
        found = canaries.in_records([record_with(leak, sink)])
    elif sink == "result":
        found = canaries.in_object({"a": [TextContent(type="text", text=leak)]}, sink)
    else:
        try:
            raise Unavailable("x", hint="y") from ValueError(leak)
        except Unavailable as error:
            found = canaries.in_object(error, sink)
    assert name in {leak.name for leak in found}


def with_database(folder: Path, leak: str, *, wal: bool) -> None:
    connection = sqlite3.connect(folder / "a.sqlite")
    connection.execute("PRAGMA journal_mode = wal")
    connection.execute("CREATE TABLE t (a)")
    connection.commit()
    connection.execute("INSERT INTO t VALUES (?)", (leak,))
    connection.commit()
    if wal:
        copied = (folder / "a.sqlite-wal").read_bytes()
        connection.close()
        (folder / "a.sqlite").unlink()
        (folder / "b.sqlite-wal").write_bytes(copied)
    else:
        connection.close()


def record_with(leak: str, sink: str) -> logging.LogRecord:
    if sink == "log":
        return logging.makeLogRecord({"msg": "x %s", "args": (leak,), "name": "n"})
    try:
        raise ValueError(leak)
    except ValueError as error:
        return logging.makeLogRecord({"msg": "x", "exc_info": (ValueError, error, error.__traceback__)})


def test_a_gate_without_redaction_would_be_caught(canaries: Canaries) -> None:
    assert len({leak.name for leak in canaries.in_object(list(canaries.values.values()), "x")}) == COUNT
    assert canaries.in_text("The lamp burns rapeseed oil. " * 1000, "x") == []


# Where values may be handled at all


def test_only_these_modules_reveal_a_value() -> None:
    root = Path(__file__).resolve().parents[2]
    allowed = {
        "shared/argosy_core/secrets/keys.py",
        "shared/argosy_core/secrets/placeholders.py",
        "shared/argosy_core/secrets/redaction.py",
        "shared/argosy_core/secrets/sealed_file.py",
        "shared/argosy_core/secrets/signatures.py",
        "shared/argosy_core/secrets/sources.py",
        "servers/argosy_secrets/tools.py",
        "host/argosy_host/cli/secret.py",
    }
    revealing = {
        str(path.relative_to(root))
        for folder in ("servers", "shared", "host")
        for path in (root / folder).rglob("*.py")
        if ".reveal()" in path.read_text(encoding="utf-8")
    }
    assert revealing == allowed
