"""The base behaves alike in both eras over every transport: lists, calls, errors, resources, tokens, change notices."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio import to_thread
from children import environment, over_http, tiny
from mcp import MCPError, StdioServerParameters
from mcp.types import ElicitResult
from served import Bench
from subscribers import Heard, client_of, subscribed
from tiny_server import AGENT_TOOLS, create

from argosy_core.clock import SystemClock
from argosy_core.serving.identity import RUN_META, RunTokens
from argosy_core.serving.shaping import ERROR_META

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.filterwarnings("ignore:resources/:mcp.shared.exceptions.MCPDeprecationWarning"),
]
ERAS = ("2026-07-28", "legacy", "auto")
TRANSPORTS = ("in_process", "stdio", "http")
WAIT_SECONDS = 15


@asynccontextmanager
async def target_of(transport: str, bench: Bench) -> AsyncGenerator[Any]:
    """What a client connects to."""
    if transport == "in_process":
        yield create(bench.config())
    elif transport == "stdio":
        command, *arguments = tiny(bench.root)
        yield StdioServerParameters(command=command, args=arguments, env=environment())
    else:
        server = over_http(bench.root)
        url = await to_thread.run_sync(server.__enter__)
        try:
            yield url
        finally:
            await to_thread.run_sync(server.__exit__, None, None, None)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path, SystemClock())


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_lists_calls_errors_resources_and_tokens(transport: str, bench: Bench) -> None:
    bench.write("harbor/tiny/日本.md", "# 日本")
    async with target_of(transport, bench) as target:
        for era in ERAS:
            with anyio.fail_after(WAIT_SECONDS):
                async with client_of(target, era) as client:
                    await check(client, era, bench)


async def check(client: Any, era: str, bench: Bench) -> None:
    expected = "2025-11-25" if era == "legacy" else "2026-07-28"
    assert client.protocol_version == expected
    if era != "2026-07-28":  # who names the era asks nothing before its first call
        assert client.server_info is not None and client.server_info.name == "tiny"
    assert {tool.name for tool in (await client.list_tools()).tools} == AGENT_TOOLS
    said = await client.call_tool("tiny_say", {"text": "héllo 日本", "times": 2})
    assert said.content[0].text == "héllo 日本 héllo 日本" == said.structured_content["text"]
    assert (await client.read_resource("tiny://note/日本")).contents[0].text == "# 日本"
    failed = await client.call_tool("tiny_fail", {"code": "conflict"})
    assert failed.is_error and failed.content[0].text == "conflict: it is conflict (do something else)"
    assert failed.meta[ERROR_META] == {"code": "conflict", "retryable": False, "detail": {"place": "here"}}
    crashed = await client.call_tool("tiny_crash", {"secret": "CANARY"})
    assert crashed.is_error and "CANARY" not in crashed.model_dump_json()
    big = await client.call_tool("tiny_big", {"text_chars": 200_000, "items": 500})
    assert not big.is_error and len(big.structured_content["long"]) == 500
    stranger: Any = {RUN_META: RunTokens(bench.clock).issue("reef", "run-1")}
    assert (await client.call_tool("tiny_who", {}, meta=stranger)).meta[ERROR_META]["code"] == "unauthenticated"
    with pytest.raises(MCPError, match="unauthenticated"):
        await client.list_tools(meta=stranger)
    assert (await client.call_tool("tiny_who", {})).content[0].text == "harbor agent flag None None"


@pytest.mark.parametrize("era", ERAS[:2])
@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_persons_edit_is_heard(transport: str, era: str, bench: Bench) -> None:
    async with target_of(transport, bench) as target, subscribed(target, era, "tiny://note/a") as (client, heard):
        await edit_until_heard(bench, heard)
        assert (await client.call_tool("tiny_read", {"name": "a"})).content[0].text.startswith("edit ")
    assert set(heard.uris) == {"tiny://note/a"}


async def edit_until_heard(bench: Bench, heard: Heard) -> None:
    """Edit again and again: nobody outside knows from when on a server watches."""
    for number in range(WAIT_SECONDS * 4):
        bench.write("harbor/tiny/a.md", f"edit {number}")
        with anyio.move_on_after(0.25):
            await heard.until(1)
            return
    pytest.fail("no edit was heard")


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_progress_and_questions_come_before_the_answer(transport: str, bench: Bench) -> None:
    async def answer(_: Any, params: Any) -> ElicitResult:
        assert params.message == "Which colour?"
        return ElicitResult(action="accept", content={"colour": "green"})

    async with target_of(transport, bench) as target:
        for era in ERAS[:2]:
            heard: list[tuple[float, float | None, str | None]] = []

            async def hear(done: float, total: float | None, message: str | None, heard: Any = heard) -> None:
                heard.append((done, total, message))

            with anyio.fail_after(WAIT_SECONDS):
                async with client_of(target, era, elicitation_callback=answer) as client:
                    counted = await client.call_tool("tiny_count", {"to": 3}, progress_callback=hear)
                    asked = await client.call_tool("tiny_ask", {})
            assert counted.content[0].text == "counted to 3"
            assert heard == [(number, 3, f"at {number}") for number in (1, 2, 3)]
            assert not asked.is_error and "green" in asked.content[0].text


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_many_calls_at_once_are_all_answered(transport: str, bench: Bench) -> None:
    async with target_of(transport, bench) as target:
        for era in ERAS[:2]:
            async with client_of(target, era) as client:
                answers: dict[int, str] = {}

                async def call(number: int, client: Any = client, answers: dict[int, str] = answers) -> None:
                    result = await client.call_tool("tiny_say", {"text": f"{number} " * (number * 50 + 1)})
                    answers[number] = result.content[0].text.split()[0]

                with anyio.fail_after(WAIT_SECONDS):
                    async with anyio.create_task_group() as tasks:
                        for number in range(40):
                            tasks.start_soon(call, number)
                assert answers == {number: str(number) for number in range(40)}
