"""What the base gives every server: who is shown and may call what, and how answers and errors leave it."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny_server
from mcp import MCPError
from served import Bench, call
from subscribers import client_of
from tiny_server import AGENT_TOOLS, ERRORS, HIDDEN_TOOLS, HOST_TOOLS, OPERATOR_TOOLS, create

from argosy_core import __version__, errors
from argosy_core.serving.config import ServerConfig
from argosy_core.serving.identity import RUN_META, RunTokens
from argosy_core.serving.server import ArgosyServer
from argosy_core.serving.shaping import ERROR_META
from argosy_core.storage.files.store import FileStore
from argosy_core.types import ActionClass, Role

pytestmark = pytest.mark.anyio
ERAS = ("2026-07-28", "legacy")
CANARY = "CANARY-7f3a"
ALL_TOOLS = AGENT_TOOLS | HIDDEN_TOOLS | HOST_TOOLS | OPERATOR_TOOLS


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


async def names(server: ArgosyServer, era: str, meta: Any = None) -> set[str]:
    async with client_of(server, era) as client:
        return {tool.name for tool in (await client.list_tools(meta=meta)).tools}


# Roles and profiles


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize(
    ("role", "profile", "shown"),
    [
        (Role.AGENT, "default", AGENT_TOOLS),
        (Role.AGENT, "full", AGENT_TOOLS | HIDDEN_TOOLS),
        (Role.OPERATOR, "default", ALL_TOOLS),
        (Role.OPERATOR, "full", ALL_TOOLS),
    ],
)
async def test_a_role_is_shown_what_it_may_call(
    bench: Bench, era: str, role: Role, profile: Any, shown: set[str]
) -> None:
    assert await names(create(bench.config(role=role, profile=profile)), era) == shown


@pytest.mark.parametrize("era", ERAS)
async def test_a_run_token_shows_the_hosts_tools(bench: Bench, era: str) -> None:
    server = create(bench.config())
    assert await names(server, era, bench.run_meta("reef")) == AGENT_TOOLS | HIDDEN_TOOLS | HOST_TOOLS
    assert await names(server, era) == AGENT_TOOLS


@pytest.mark.parametrize(
    ("role", "meta", "allowed"),
    [
        (Role.AGENT, False, AGENT_TOOLS | HIDDEN_TOOLS),
        (Role.AGENT, True, AGENT_TOOLS | HIDDEN_TOOLS | HOST_TOOLS),
        (Role.OPERATOR, False, ALL_TOOLS),
        (Role.OPERATOR, True, AGENT_TOOLS | HIDDEN_TOOLS | HOST_TOOLS),
    ],
)
async def test_what_a_role_may_not_call_is_refused_whatever_is_shown(
    bench: Bench, role: Role, meta: bool, allowed: set[str]
) -> None:
    config = bench.config(role=role)
    for tool in ("tiny_who", "tiny_hidden", "tiny_host", "tiny_operator", "tiny_doctor"):
        answer = await call(create, config, tool, bench.run_meta("harbor") if meta else None)
        assert answer.code == (None if tool in allowed else "permission_denied"), tool
        if answer.code:
            assert "role operator" in answer.text or "the host or an operator" in answer.text


async def test_the_role_host_cannot_be_launched_by_a_flag(bench: Bench) -> None:
    answer = await call(create, bench.config(), "tiny_who", {RUN_META: bench.tokens.issue("reef", "r", grant="g")})
    assert answer.text == "reef host run_token r g"
    answer = await call(create, bench.config(), "tiny_who", {"role": "host", "agent": "reef"})
    assert answer.text == "harbor agent flag None None"


BAD_TOKENS: dict[str, Callable[[Bench], Any]] = {
    "expired": lambda bench: bench.tokens.issue("harbor", "run-1", ttl_seconds=-1),
    "of another host": lambda bench: RunTokens(bench.clock).issue("harbor", "run-1"),
    "forged": lambda bench: bench.tokens.issue("harbor", "run-1")[:-4] + "AAAA",
    "cut": lambda bench: bench.tokens.issue("harbor", "run-1").split(".")[0],
    "empty": lambda _: "",
    "no text": lambda _: {"agent": "harbor"},
    "a number": lambda _: 0,
}


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("kind", BAD_TOKENS)
async def test_a_bad_token_is_refused_and_never_overlooked(bench: Bench, era: str, kind: str) -> None:
    meta: Any = {RUN_META: BAD_TOKENS[kind](bench)}
    # An operator by its flag: a bad token must not fall back to that.
    async with client_of(create(bench.config(role=Role.OPERATOR)), era) as client:
        result = await client.call_tool("tiny_operator", {}, meta=meta)
        assert result.is_error and result.meta[ERROR_META]["code"] == "unauthenticated"
        with pytest.raises(MCPError, match="unauthenticated: the run token"):
            await client.list_tools(meta=meta)
        assert not (await client.call_tool("tiny_operator", {})).is_error


async def test_a_server_that_knows_no_host_believes_no_token(bench: Bench) -> None:
    from dataclasses import replace

    config = replace(bench.config(), host_key=None)
    answer = await call(create, config, "tiny_who", bench.run_meta("harbor"))
    assert answer.code == "unauthenticated"


async def test_without_an_agent_a_tool_says_how_to_choose_one(bench: Bench) -> None:
    answer = await call(create, bench.config(agent=None), "tiny_read", name="a")
    assert answer.code == "invalid_argument"
    assert "--agent" in answer.text


# Declarations


async def test_a_tool_declares_its_class_in_annotations_and_meta(bench: Bench) -> None:
    async with client_of(create(bench.config(role=Role.OPERATOR))) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    classes = {name: tool.meta["argosy/class"] for name, tool in tools.items()}
    assert classes["tiny_write"] == ActionClass.REVERSIBLE_WRITE
    assert classes["tiny_operator"] == ActionClass.HIGH_RISK
    assert classes["tiny_read"] == classes["tiny_doctor"] == classes["tiny_status"] == ActionClass.READ_ONLY
    for name, tool in tools.items():
        hints = tool.annotations
        assert hints.read_only_hint == (classes[name] == "read_only")
        assert hints.destructive_hint == (name == "tiny_operator")
        assert None not in (hints.idempotent_hint, hints.open_world_hint)
        assert tool.title and tool.description
        assert tool.input_schema["additionalProperties"] is False
        assert "caller" not in tool.input_schema.get("properties", {})


@pytest.mark.parametrize("era", ERAS)
async def test_tools_come_in_the_order_they_are_declared(bench: Bench, era: str) -> None:
    lists = []
    for _ in range(2):
        async with client_of(create(bench.config(role=Role.OPERATOR)), era) as client:
            lists.append([tool.model_dump_json() for tool in (await client.list_tools()).tools])
    assert lists[0] == lists[1]


# Arguments


@pytest.mark.parametrize("era", ERAS)
async def test_an_unknown_argument_is_refused_and_the_known_ones_are_named(bench: Bench, era: str) -> None:
    async with client_of(create(bench.config()), era) as client:
        result = await client.call_tool("tiny_say", {"text": "x", "txet": CANARY, "caller": {"role": "operator"}})
    assert result.is_error
    text = result.content[0].text
    assert text.startswith(
        "invalid_argument: tiny_say does not take caller, txet (it takes: text, times, mood, address"
    )
    assert CANARY not in result.model_dump_json()


@pytest.mark.parametrize(
    "arguments",
    [
        {"text": "x", "times": CANARY},
        {"text": "x", "times": 99},
        {"text": "x", "mood": CANARY},
        {"text": [CANARY]},
        {"text": {"a": CANARY}},
        {"text": "x", "address": {"street": CANARY, "number": CANARY}},
        {"text": "x", "address": CANARY},
        {"times": 2},
    ],
    ids=str,
)
async def test_a_validation_error_names_the_argument_and_not_its_value(
    bench: Bench, arguments: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with client_of(create(bench.config())) as client:
        result = await client.call_tool("tiny_say", arguments)
    assert result.is_error
    assert result.meta[ERROR_META]["code"] == "invalid_argument"
    named = result.content[0].text.partition(": ")[2]
    assert named.split(":")[0].split(".")[0] in ("text", "times", "mood", "address")
    assert CANARY not in result.model_dump_json()
    assert CANARY not in caplog.text


async def test_a_tool_that_is_not_there_is_not_found(bench: Bench) -> None:
    for name in ("none", "tiny_", "", "x" * 100_000):
        answer = await call(create, bench.config(), name)
        assert answer.code == "not_found"
        assert len(answer.text) < 5000


# Errors


@pytest.mark.parametrize("kind", ERRORS.values(), ids=ERRORS)
async def test_an_error_of_the_tree_leaves_with_code_hint_and_detail(
    bench: Bench, kind: type[errors.ArgosyError]
) -> None:
    async with client_of(create(bench.config())) as client:
        result = await client.call_tool("tiny_fail", {"code": kind.code})
    assert result.is_error
    assert result.content[0].text == f"{kind.code}: it is {kind.code} (do something else)"
    expected = {"code": kind.code, "retryable": kind.retryable, "detail": {"place": "here"}}
    assert result.meta[ERROR_META] == expected


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("kind", ["RuntimeError", "KeyError", "OSError", "Group"])
async def test_a_crash_leaks_nothing_to_the_caller_and_is_logged(
    bench: Bench, era: str, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with client_of(create(bench.config()), era) as client:
        result = await client.call_tool("tiny_crash", {"secret": CANARY, "kind": kind})
        assert not (await client.call_tool("tiny_who", {})).is_error
    assert result.is_error
    assert result.meta[ERROR_META]["code"] == "unavailable"
    assert CANARY not in result.model_dump_json()
    assert "tiny_crash crashed" in caplog.text


@pytest.mark.parametrize("tool", ["tiny_odd", "tiny_shapeless"])
@pytest.mark.parametrize("era", ERAS)
async def test_an_answer_that_cannot_be_carried_is_an_error_and_the_next_call_works(
    bench: Bench, era: str, tool: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with client_of(create(bench.config()), era) as client:
        result = await client.call_tool(tool, {})
        assert not (await client.call_tool("tiny_who", {})).is_error
    if result.is_error:
        assert result.meta[ERROR_META]["code"] == "unavailable"
    else:
        json.dumps(result.structured_content, ensure_ascii=False).encode()


# Bounds


async def test_a_long_text_is_cut_and_says_so(bench: Bench) -> None:
    answer = await call(create, bench.config(), "tiny_big", text_chars=300_000)
    assert answer.code is None
    assert len(answer.text) < 101_000
    assert "cut here" in answer.text[-100:]


@pytest.mark.parametrize("text_chars", [0, 300_000])
async def test_a_result_that_is_too_large_is_refused_however_short_its_text(bench: Bench, text_chars: int) -> None:
    answer = await call(create, bench.config(), "tiny_big", text_chars=text_chars, items=2200)
    assert answer.code == "too_large"
    answer = await call(create, bench.config(), "tiny_big", text_chars=0, items=1000)
    assert answer.code is None


async def test_an_error_is_bounded_too(bench: Bench) -> None:
    answer = await call(create, bench.config(), "tiny_fail", code="conflict", size=1_000_000)
    assert answer.code == "conflict"
    assert len(answer.text) < 5000
    answer = await call(create, bench.config(), "tiny_say", **{f"{n}{'x' * 1000}": 1 for n in range(300)})
    assert answer.code == "invalid_argument"
    assert len(answer.text) < 5000


# Status and doctor


async def test_status_says_what_a_server_is_and_keeps(bench: Bench) -> None:
    bench.write("harbor/tiny/a.md", "x")
    answer = await call(create, bench.config(), "tiny_status")
    assert answer.fields == {
        "server": "tiny",
        "version": __version__,
        "store": "files",
        "agent": "harbor",
        "role": "agent",
        "healthy": True,
        "counts": {"notes": 1},
        "problems": [],
    }


@pytest.mark.parametrize("era", ERAS)
async def test_status_is_a_resource_too(bench: Bench, era: str) -> None:
    async with client_of(create(bench.config()), era) as client:
        assert "tiny://status" in {str(resource.uri) for resource in (await client.list_resources()).resources}
        content = (await client.read_resource("tiny://status")).contents[0]
    assert json.loads(content.text)["healthy"] is True
    assert content.mime_type == "application/json"


async def test_a_problem_of_the_domain_is_a_problem_of_the_status(bench: Bench) -> None:
    server = create(bench.config())
    assert isinstance(server.domain, tiny_server.Notes)
    server.domain.problem = errors.Corrupted("harbor/tiny/a.md is broken")
    async with client_of(server) as client:
        health = (await client.call_tool("tiny_status", {})).structured_content
    assert health["healthy"] is False
    assert health["problems"] == ["harbor/tiny/a.md is broken"]


async def test_the_doctor_lists_findings_with_place_and_fix(bench: Bench) -> None:
    answer = await call(create, bench.config(role=Role.OPERATOR), "tiny_doctor")
    assert answer.fields["server"] == "tiny"
    assert answer.text == "WARN tiny: is tiny [a.md:3] → let it grow"


# Resources


@pytest.mark.parametrize("era", ERAS)
async def test_a_resource_is_read_and_a_missing_one_is_named(bench: Bench, era: str) -> None:
    bench.write("harbor/tiny/日本.md", "# 日本\n")
    async with client_of(create(bench.config()), era) as client:
        content = (await client.read_resource("tiny://note/日本")).contents[0]
        assert (content.text, content.mime_type) == ("# 日本\n", "text/markdown")
        for uri in ("tiny://note/none", "tiny://nothing", "other://note/a"):
            with pytest.raises(MCPError) as caught:
                await client.read_resource(uri)
            assert caught.value.code == -32602 or era == "legacy"
        for uri in ("tiny://note/..%2f..%2fmodel", "tiny://note/%2e%2e", "tiny://note/a%00b", "tiny://note/a%5cb"):
            with pytest.raises(MCPError):
                await client.read_resource(uri)


async def test_a_resource_without_an_agent_says_so(bench: Bench) -> None:
    async with client_of(create(bench.config(agent=None))) as client:
        with pytest.raises(MCPError, match="no agent"):
            await client.read_resource("tiny://note/a")


# Life


def files(config: ServerConfig) -> FileStore:
    assert isinstance(config.store, FileStore)
    return config.store


async def test_background_work_runs_while_anybody_is_connected(bench: Bench) -> None:
    config = bench.config()
    server = create(config)
    for _ in range(2):
        async with client_of(server):
            async with client_of(server):
                assert files(config)._users == 1
            assert files(config)._users == 1
        assert files(config)._users == 0


async def test_background_work_that_fails_to_end_keeps_nothing_running(bench: Bench) -> None:
    async def fail() -> None:
        raise errors.Unavailable("cannot end")

    config = bench.config()
    server = create(config)
    server._background = fail
    with pytest.raises(errors.Unavailable):
        async with server.running():
            assert files(config)._users == 1
    assert files(config)._users == 0


async def test_servers_of_one_store_stop_it_with_the_last(bench: Bench) -> None:
    config = bench.config()
    async with client_of(create(config)):
        async with client_of(create(config)):
            assert files(config)._users == 2
        assert files(config).bell._thread is not None
    assert files(config).bell._thread is None
