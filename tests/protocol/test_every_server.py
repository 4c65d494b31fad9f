"""The SDK's own client drives every server, and all as one gateway, over every transport in both protocol eras."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest
from fleet_fixtures import config_for, make_vault, prompt_text, resource_text, text_of
from mcp import Client, MCPError
from mcp.types import PromptReference, ResourceTemplateReference
from transports import ERAS, TRANSPORTS, connected, http_server

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]

# A call of each server that must answer on the small vault, and what its structured content holds then.
CALLS: dict[str, tuple[str, dict[str, Any], str]] = {
    "desk": ("desk_pending", {}, "items"),
    "host": ("run_start", {"agent": "ada", "input": "What burns in the lamp?"}, "run"),
    "goal": ("goal_list", {}, "items"),
    "journal": ("journal_read", {}, "items"),
    "judge": ("judge_explain", {"tool": "memory_write"}, "outcome"),
    "log": ("log_query", {}, "items"),
    "memory": ("memory_search", {"query": "lamp"}, "hits"),
    "queue": ("queue_inspect", {}, "items"),
    "registry": ("agent_list", {}, "items"),
    "scheduler": ("schedule_list", {}, "items"),
    "secrets": ("secrets_list", {}, "items"),
}
EVERY = [(name,) for name in CALLS] + [()]


@pytest.fixture
def vault(tmp_path: Path) -> Path:
    return make_vault(tmp_path / "vault")


@pytest.mark.parametrize("servers", EVERY, ids=lambda names: names[0] if names else "gateway")
@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_it_lists_and_answers_over(transport: str, servers: tuple[str, ...], vault: Path) -> None:
    with anyio.fail_after(100):
        if transport == "http":  # one process answers both
            async with http_server(servers, vault) as url:
                for era in ERAS:
                    async with Client(url, mode=era, cache=None) as client:
                        await list_and_call(client, servers)
            return
        for era in ERAS:
            async with connected(transport, era, servers, vault) as client:
                await list_and_call(client, servers)


async def list_and_call(client: Client, servers: tuple[str, ...]) -> None:
    tools = (await client.list_tools()).tools
    assert all(tool.input_schema["type"] == "object" and tool.output_schema for tool in tools)
    for name in servers or CALLS:
        tool, arguments, field = CALLS[name]
        assert tool in {t.name for t in tools}
        result = await client.call_tool(tool, arguments)
        assert not result.is_error and field in (result.structured_content or {}), result
    refused = await client.call_tool(CALLS[(servers or ("memory",))[0]][0], {"bogus": 1})
    assert refused.is_error and text_of(refused).startswith("invalid_argument:")


@pytest.mark.parametrize("era", ERAS)
async def test_the_gateway_answers_resources_and_prompts_of_its_servers(era: str, vault: Path) -> None:
    async with connected("in_process", era, (), vault) as client:
        uris = {str(resource.uri) for resource in (await client.list_resources()).resources}
        assert {f"{name}://status" for name in CALLS} <= uris
        note = await client.read_resource("memory://note/decision_lamp_oil")
        assert "rapeseed" in resource_text(note)
        day = await client.read_resource("journal://2026-11-02")
        assert "fog bell" in resource_text(day)
        prompts = {prompt.name for prompt in (await client.list_prompts()).prompts}
        assert {"remember", "week_review", "assume", "triage"} <= prompts
        assumed = await client.get_prompt("assume", {"agent": "ada"})
        assert "lighthouse" in prompt_text(assumed)


async def test_the_gateway_refuses_what_is_not_there(vault: Path) -> None:
    async with connected("in_process", "2026-07-28", (), vault) as client:
        assert text_of(await client.call_tool("nope", {})).startswith("not_found:")
        for wrong in ("memory://note/none", "zzz://1"):
            with pytest.raises(MCPError) as caught:
                await client.read_resource(wrong)
            assert caught.value.code == -32602
        with pytest.raises(MCPError):
            await client.get_prompt("nope", {})


@pytest.mark.parametrize(
    ("place", "argument", "typed", "expected"),
    [
        ("agent://{name}", "name", "a", ["ada"]),
        ("persona://{name}", "name", "", ["ada"]),
        ("memory://note/{name}", "name", "lamp", ["decision_lamp_oil"]),
        ("memory://note/{name}", "name", "user_k", ["user_keeper"]),
        ("journal://{day}", "day", "2026-11", ["2026-11-02"]),
        ("log://{stream}/head", "stream", "zzz", []),
        ("assume", "agent", "AD", ["ada"]),
        ("explain_run", "run", "", []),
        ("nowhere://{x}", "x", "", []),
    ],
)
@pytest.mark.parametrize("era", ERAS)
async def test_names_are_completed_through_the_gateway(
    era: str, place: str, argument: str, typed: str, expected: list[str], vault: Path
) -> None:
    ref: Any = ResourceTemplateReference(uri=place) if "://" in place else PromptReference(name=place)
    async with connected("in_process", era, (), vault) as client:
        found = await client.complete(ref, {"name": argument, "value": typed})

    assert found.completion.values == expected and found.completion.has_more is False


async def test_every_template_can_be_completed_and_every_server_has_a_picture(vault: Path) -> None:
    from argosy_core.fleet import packaged
    from argosy_host.compose import load_server

    config = config_for(vault)
    pictures: set[str] = set()
    for server in (load_server(each.name, config) for each in packaged().servers):
        templates = {template.uri_template for template in await server.list_resource_templates()}
        assert {uri for uri in templates if not server.completions.knows(uri)} <= {"raw://{+source_name}"}
        [icon] = server.icons or []
        assert icon.src.startswith("data:image/svg+xml;base64,") and icon.mime_type == "image/svg+xml"
        pictures.add(icon.src)
    await anyio.to_thread.run_sync(config.store.close)

    assert len(pictures) == len(packaged().servers)


async def test_the_gateway_takes_run_tokens_off_what_clients_send(vault: Path) -> None:
    async with connected("in_process", "2026-07-28", (), vault) as client:
        result = await client.call_tool("memory_search", {"query": "lamp"}, meta={"argosy/run": "forged"})
        hidden = await client.call_tool("log_append", {"kind": "x", "body": {}}, meta={"argosy/run": "forged"})

    assert not result.is_error
    assert text_of(hidden).startswith("permission_denied:")


async def test_each_server_of_an_http_gateway_has_its_own_address(vault: Path) -> None:
    with anyio.fail_after(60):
        async with http_server((), vault) as url:
            own = url.replace("/mcp", "/memory/mcp")
            async with Client(own, cache=None) as client:
                names = {tool.name for tool in (await client.list_tools()).tools}

    assert "memory_search" in names and "goal_list" not in names


async def test_an_operator_is_shown_what_agents_are_not(vault: Path) -> None:
    async with connected("stdio", "legacy", ("desk",), vault, "--role", "operator") as client:
        names = {tool.name for tool in (await client.list_tools()).tools}

    assert {"desk_answer", "desk_doctor", "desk_pending"} <= names
