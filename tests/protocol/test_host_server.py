"""The host as a server: runs that clients start, watch, steer and end, and every agent as a tool."""

from __future__ import annotations

import json
import threading
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio import to_thread
from fleet_fixtures import Scripted, Step, calls, config_for, make_vault, resource_text, says, text_of
from mcp import Client, MCPError
from mcp.types import CallToolResult

from argosy_core.serving.config import ServerConfig
from argosy_core.serving.identity import RUN_META, RunTokens
from argosy_core.types import Role
from argosy_host.presence import MAX_HOSTS, Presence, is_alive
from argosy_host.providers.base import ModelReply, ModelRequest
from argosy_host.running.book import BookSettings, RunBook, share_book
from argosy_host.runs import end_key, start_key
from argosy_host.server import create

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("own_state")]

AGENTS = {
    "bert/model.md": "# Model\n",
    "bert/agent.yaml": (
        "agent:\n  name: bert\n  description: Counts gulls.\n  input:\n    schema:\n      type: object\n"
        "      properties:\n        place: {type: string}\n      required: [place]\n      additionalProperties: false\n"
    ),
    "ada/roster.md": "# Roster\n\n## Delegate to\n\n- bert: counts gulls\n",
}


@pytest.fixture
def vault(tmp_path: Path) -> Path:
    return make_vault(tmp_path / "vault", AGENTS)


class Held:
    """A turn of a model that waits until the test lets it go on."""

    def __init__(self, reply: ModelReply) -> None:
        self.reached = threading.Event()
        self.free = anyio.Event()
        self._reply = reply

    def __call__(self, request: ModelRequest) -> ModelReply:
        self.reached.set()
        return self._reply


class Waiting(Scripted):
    """A scripted model that stops at each `Held` step until it is let go."""

    async def complete(self, request: ModelRequest, on_text: Any = None) -> ModelReply:
        step = self.steps[0]
        reply = await super().complete(request, on_text)
        if isinstance(step, Held):
            await step.free.wait()
        return reply


class Desk:
    """A host server over one vault whose runs a script plays."""

    def __init__(self, config: ServerConfig, client: Client, model: Waiting) -> None:
        self.config = config
        self.client = client
        self.model = model

    async def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        result = await self.client.call_tool(tool, arguments)
        assert not result.is_error, text_of(result)
        assert result.structured_content is not None
        return result.structured_content

    async def refused(self, tool: str, **arguments: Any) -> str:
        result = await self.client.call_tool(tool, arguments)
        assert result.is_error
        return text_of(result)


@asynccontextmanager
async def desk_of(vault: Path, *steps: Step, role: Role = Role.AGENT, profile: Any = "full") -> AsyncGenerator[Desk]:
    config = config_for(vault, role=role, profile=profile)
    model = Waiting(list(steps))
    share_book(config.store, RunBook(config.store, config.clock, config.ids, BookSettings(open_model=lambda: model)))
    try:
        with anyio.fail_after(50):
            async with Client(create(config), mode="2026-07-28", cache=None) as client:
                yield Desk(config, client, model)
    finally:
        await to_thread.run_sync(config.store.close)


def events(vault: Path, agent: str = "ada") -> list[dict[str, Any]]:
    files = sorted((vault / agent / "log").rglob("*.jsonl"))
    return [json.loads(line) for file in files for line in file.read_text(encoding="utf-8").splitlines()]


async def reached(step: Held) -> None:
    assert await to_thread.run_sync(step.reached.wait, 20)


# Starting and watching


async def test_a_run_is_started_watched_and_answered(vault: Path) -> None:
    held = Held(says("Rapeseed oil [decision_lamp_oil]."))
    async with desk_of(vault, calls(("memory_search", {"query": "lamp"})), held) as desk:
        begun = await desk.call("run_start", agent="ada", input="What burns in the lamp?")
        await reached(held)
        going = await desk.call("run_status", run=begun["run"])
        held.free.set()
        ended = await desk.call("run_status", run=begun["run"], wait_s=20)

    assert (begun["status"], going["status"], ended["status"]) == ("in_flight", "in_flight", "ok")
    assert any("memory_search" in step for step in going["steps"])
    assert ended["text"] == "Rapeseed oil [decision_lamp_oil]." and ended["input_tokens"] == 20


async def test_waiting_for_a_run_reports_its_steps_as_progress(vault: Path) -> None:
    told: list[str] = []

    async def progress(progress: float, total: float | None, message: str | None) -> None:
        told.append(message or "")

    async with desk_of(vault, calls(("memory_search", {"query": "lamp"})), says("Oil.")) as desk:
        await desk.client.call_tool(
            "run_start", {"agent": "ada", "input": "x", "wait_s": 20}, progress_callback=progress
        )

    assert any("memory_search" in step for step in told)


async def test_a_key_answers_once_and_stands_for_one_task(vault: Path) -> None:
    async with desk_of(vault, says("Oil.")) as desk:
        first = await desk.call("run_start", agent="ada", input="x", key="k", wait_s=20)
        again = await desk.call("run_start", agent="ada", input="x", key="k", wait_s=20)
        refused = await desk.refused("run_start", agent="ada", input="y", key="k")

    assert again == first and first["text"] == "Oil." and len(desk.model.requests) == 1
    assert refused.startswith("conflict:")


async def test_callers_that_use_one_key_at_once_get_one_run(vault: Path) -> None:
    found: list[str] = []

    async with desk_of(vault, *(says("Oil.") for _ in range(8))) as desk:

        async def start() -> None:
            found.append((await desk.call("run_start", agent="ada", input="x", key="k", wait_s=20))["run"])

        async with anyio.create_task_group() as tasks:
            for _ in range(8):
                tasks.start_soon(start)

    assert len(found) == 8 and len(set(found)) == 1
    assert [event["kind"] for event in events(vault)].count("run.start") == 1


async def test_a_run_is_watched_from_another_process_and_its_answer_outlives_the_first(vault: Path) -> None:
    held = Held(says("word " * 200))
    async with desk_of(vault, held) as first, desk_of(vault) as second:  # two stores and books, as two processes
        run = (await first.call("run_start", agent="ada", input="x"))["run"]
        await reached(held)
        going = await second.call("run_status", run=run)
        held.free.set()
        await first.call("run_status", run=run, wait_s=20)
        ended = await second.call("run_status", run=run)
        listed = await second.call("run_list")
    async with desk_of(vault) as third:
        later = await third.call("run_status", run=run)

    assert (going["status"], ended["status"]) == ("in_flight", "ok")
    assert ended["text"] == later["text"] == "word " * 200
    assert [item["run"] for item in listed["items"]] == [run]


async def test_a_run_goes_on_when_the_client_that_started_it_leaves(vault: Path) -> None:
    held = Held(says("Oil."))
    config = config_for(vault, profile="full")
    model = Waiting([held])
    share_book(config.store, RunBook(config.store, config.clock, config.ids, BookSettings(open_model=lambda: model)))
    with anyio.fail_after(50):
        async with Client(create(config), cache=None) as stays:
            async with Client(create(config), cache=None) as leaves:
                begun = await leaves.call_tool("run_start", {"agent": "ada", "input": "x"})
                await reached(held)
            held.free.set()
            run = (begun.structured_content or {})["run"]
            ended = await stays.call_tool("run_status", {"run": run, "wait_s": 20})
    await to_thread.run_sync(config.store.close)

    assert (ended.structured_content or {})["status"] == "ok"


async def test_when_the_last_client_leaves_runs_are_interrupted_and_say_so(vault: Path) -> None:
    held = Held(says("Oil."))
    async with desk_of(vault, held) as desk:
        run = (await desk.call("run_start", agent="ada", input="x"))["run"]
        await reached(held)

    [end] = [event for event in events(vault) if event["kind"] == "run.end"]
    assert (end["run_id"], end["status"]) == (run, "interrupted")


# Ending and steering


async def test_a_cancelled_run_ends_at_once_and_its_record_says_so(vault: Path) -> None:
    held = Held(says("Oil."))
    async with desk_of(vault, held) as desk:
        run = (await desk.call("run_start", agent="ada", input="x"))["run"]
        await reached(held)
        ended = await desk.call("run_cancel", run=run)
        again = await desk.call("run_cancel", run=run)

    assert ended["status"] == again["status"] == "interrupted"
    assert [e["action"] for e in events(vault) if e["kind"] == "run.intervene"] == ["terminate"]


async def test_a_run_of_another_process_is_cancelled_after_the_turn_it_is_in(vault: Path) -> None:
    held = Held(calls(("memory_search", {"query": "lamp"})))
    async with desk_of(vault, held, says("never")) as first, desk_of(vault) as second:
        run = (await first.call("run_start", agent="ada", input="x"))["run"]
        await reached(held)
        await second.call("run_cancel", run=run)
        held.free.set()
        ended = await first.call("run_status", run=run, wait_s=20)

    assert ended["status"] == "interrupted" and len(first.model.requests) == 1


async def test_a_paused_run_waits_hears_a_correction_and_goes_on(vault: Path) -> None:
    held = Held(calls(("memory_search", {"query": "lamp"})))
    async with desk_of(vault, held, says("Shorter.")) as desk:
        run = (await desk.call("run_start", agent="ada", input="x"))["run"]
        await reached(held)
        await desk.call("run_intervene", run=run, action="pause")
        held.free.set()
        with anyio.fail_after(20):
            while (await desk.call("run_status", run=run))["steps"][-1] != "paused":
                await anyio.lowlevel.checkpoint()
        await desk.call("run_intervene", run=run, action="correct", guidance="Be short.")
        await desk.call("run_intervene", run=run, action="resume")
        ended = await desk.call("run_status", run=run, wait_s=20)

    assert ended["text"] == "Shorter."
    assert desk.model.requests[-1].messages[-1].text == "Guidance from ada: Be short."


async def test_a_correction_needs_guidance(vault: Path) -> None:
    held = Held(says("Oil."))
    async with desk_of(vault, held) as desk:
        run = (await desk.call("run_start", agent="ada", input="x"))["run"]
        await reached(held)
        refused = await desk.refused("run_intervene", run=run, action="correct")

    assert refused.startswith("invalid_argument:") and "guidance" in refused


async def test_only_who_started_a_run_may_end_it(vault: Path) -> None:
    held = Held(says("Oil."))
    async with desk_of(vault, held) as desk:
        run = (await desk.call("run_start", agent="bert", input="x"))["run"]
        await reached(held)
        other = ServerConfig(store=desk.config.store, agent="bert", profile="full")
        async with Client(create(other), cache=None) as bert:
            seen = await bert.call_tool("run_status", {"run": run})
            refused = await bert.call_tool("run_cancel", {"run": run})
        operator = ServerConfig(store=desk.config.store, role=Role.OPERATOR, profile="full")
        async with Client(create(operator), cache=None) as person:
            ended = await person.call_tool("run_cancel", {"run": run})

    assert not seen.is_error and text_of(refused).startswith("permission_denied:")
    assert not ended.is_error


async def test_a_run_of_somebody_else_is_not_in_sight(vault: Path) -> None:
    async with desk_of(vault, says("Oil.")) as desk:
        run = (await desk.call("run_start", agent="ada", input="x", wait_s=20))["run"]
        other = ServerConfig(store=desk.config.store, agent="bert", profile="full")
        async with Client(create(other), cache=None) as bert:
            refused = await bert.call_tool("run_status", {"run": run})
            listed = await bert.call_tool("run_list", {})

    assert text_of(refused).startswith("not_found:")
    assert (listed.structured_content or {})["items"] == []


# Agents as tools


async def test_every_agent_is_a_tool_and_its_contract_the_schema(vault: Path) -> None:
    async with desk_of(vault, says("Twelve."), says("Oil."), profile="default") as desk:
        tools = {tool.name: tool for tool in (await desk.client.list_tools()).tools}
        counted = await desk.call("agent_bert", place="the quay")
        asked = await desk.call("agent_ada", task="What burns?")
        missing = await desk.refused("agent_bert", somewhere="else")

    assert set(tools) == {"run_start", "run_status", "agent_ada", "agent_bert"}
    assert tools["agent_bert"].input_schema["required"] == ["place"]
    assert "Counts gulls" in (tools["agent_bert"].description or "")
    assert (counted["agent"], counted["text"], asked["text"]) == ("bert", "Twelve.", "Oil.")
    assert "the quay" in desk.model.requests[0].messages[0].text
    assert desk.model.requests[1].messages[0].text == "What burns?"
    assert missing.startswith("invalid_argument:") and "place" in missing


@pytest.mark.parametrize(
    ("name", "tool"),
    [("list", "agent_list_2"), ("Ada", "agent_ada_2"), ("Über Öl", "agent_uber_ol"), ("日本", "agent_x")],
)
async def test_an_agents_tool_has_a_name_that_every_client_takes(name: str, tool: str, tmp_path: Path) -> None:
    vault = make_vault(tmp_path / "vault", {f"{name}/model.md": "# Model\n"})
    async with desk_of(vault) as desk:
        names = [found.name for found in (await desk.client.list_tools()).tools]

    # "Ada" sorts before "ada", so the plain name is its own.
    assert any(found.startswith(tool) for found in names) or (name == "Ada" and "agent_ada_2" in names)
    assert len(set(names)) == len(names) and all(len(found) <= 31 and found.isascii() for found in names)


@pytest.mark.parametrize(
    "schema",
    [
        "{type: string}",
        "{type: object, properties: {a: {$ref: 'https://example.org/x'}}}",
        "{type: 5}",
        "[1]",
        "{type: object, properties: {a: {type: string, pattern: '(a+)+$'}}}",
    ],
)
async def test_a_contract_that_is_no_use_as_a_schema_takes_a_task_in_words(schema: str, tmp_path: Path) -> None:
    files = {"bert/model.md": "# Model\n", "bert/agent.yaml": f"agent:\n  input:\n    schema: {schema}\n"}
    vault = make_vault(tmp_path / "vault", files)
    async with desk_of(vault, says("Yes.")) as desk:
        assert (await desk.call("agent_bert", task="Count"))["text"] == "Yes."


async def test_a_new_agent_is_a_tool_at_once_and_clients_are_told(vault: Path) -> None:
    async with desk_of(vault) as desk:
        async with desk.client.listen(tools_list_changed=True) as heard:
            await desk.config.store.documents.write("cleo/model.md", b"# Model\n")
            desk.config.store.bell.ring("cleo/model.md")
            with anyio.fail_after(20):
                event = await anext(aiter(heard))
        names = [tool.name for tool in (await desk.client.list_tools()).tools]

    assert type(event).__name__ == "ToolsListChanged" and "agent_cleo" in names


# Runs that start runs


def nested(depth: int) -> list[Step]:
    """Runs that each start one below, down to where the depth is used up."""
    down = [calls(("run_start", {"agent": "bert", "input": f"level {n}", "wait_s": 40})) for n in range(depth)]
    return [*down, *(says(f"done {n}") for n in range(depth))]


async def test_an_agents_run_starts_those_of_its_roster_and_no_others(vault: Path) -> None:
    steps = [
        calls(("run_start", {"agent": "bert", "input": "count", "wait_s": 40})),
        says("Twelve gulls."),
        says("Bert counted."),
    ]
    async with desk_of(vault, *steps) as desk:
        ended = await desk.call("run_start", agent="ada", input="x", wait_s=40)
        below = (await desk.call("run_list"))["items"]
    refused_steps = [calls(("run_start", {"agent": "ada", "input": "x"})), says("no")]
    async with desk_of(vault, *refused_steps) as desk:
        await desk.call("run_start", agent="bert", input="x", wait_s=40)
        returned = desk.model.returned()

    assert ended["text"] == "Bert counted."
    child = next(item for item in below if item["agent"] == "bert")
    assert child["started_by"] == "ada" and child["trigger"] == "agent"
    [start] = [e for e in events(vault, "bert") if e["kind"] == "run.start" and e.get("parent_run_id")]
    assert start["parent_run_id"] == ended["run"]
    assert "permission_denied" in returned[0]


async def test_runs_start_runs_only_so_deep(tmp_path: Path) -> None:
    vault = make_vault(
        tmp_path / "vault",
        {"bert/model.md": "# Model\n", "bert/agent.yaml": "agent:\n  requires:\n    spawn_agents: true\n"},
    )
    async with desk_of(vault, *nested(7)) as desk:
        await desk.call("run_start", agent="bert", input="top", wait_s=40)
        refusals = [
            result.text for request in desk.model.requests for message in request.messages for result in message.returns
        ]

    assert any("budget_exhausted" in text and "5 deep" in text for text in refusals)
    assert len([e for e in events(vault, "bert") if e["kind"] == "run.start"]) == 6


async def test_cancelling_a_run_ends_those_below_it(vault: Path) -> None:
    held = Held(says("Twelve."))
    steps = [calls(("run_start", {"agent": "bert", "input": "count", "wait_s": 40})), held, says("x")]
    async with desk_of(vault, *steps) as desk:
        run = (await desk.call("run_start", agent="ada", input="x"))["run"]
        await reached(held)
        await desk.call("run_cancel", run=run)

    ends = [e["status"] for agent in ("ada", "bert") for e in events(vault, agent) if e["kind"] == "run.end"]
    assert ends == ["interrupted", "interrupted"]


# Bad input


@pytest.mark.parametrize(
    ("tool", "arguments", "code"),
    [
        ("run_start", {"agent": "nobody", "input": "x"}, "not_found"),
        ("run_start", {"agent": "ada", "input": "  "}, "invalid_argument"),
        ("run_start", {"agent": "ada", "input": "x" * 100_001}, "invalid_argument"),
        ("run_start", {"agent": "../ada", "input": "x"}, "not_found"),
        ("run_start", {"agent": "ada", "input": "x", "wait_s": -1}, "invalid_argument"),
        ("run_start", {"agent": "ada", "input": "x", "bogus": 1}, "invalid_argument"),
        ("run_start", {"agent": "ada", "input": "x", "key": ""}, "invalid_argument"),
        ("run_status", {"run": "run-none"}, "not_found"),
        ("run_status", {"run": "x" * 500}, "invalid_argument"),
        ("run_cancel", {"run": "none"}, "not_found"),
        ("run_intervene", {"run": "none", "action": "jump"}, "invalid_argument"),
        ("run_list", {"state": "lost"}, "invalid_argument"),
        ("run_list", {"cursor": "zzz"}, "invalid_argument"),
        ("agent_nobody", {"task": "x"}, "not_found"),
    ],
)
async def test_what_cannot_be_is_refused_with_its_reason(
    tool: str, arguments: dict[str, Any], code: str, vault: Path
) -> None:
    async with desk_of(vault) as desk:
        assert (await desk.refused(tool, **arguments)).startswith(f"{code}:")


async def test_a_run_whose_model_breaks_says_so(vault: Path) -> None:
    async with desk_of(vault, RuntimeError("no weights")) as desk:
        ended = await desk.call("run_start", agent="ada", input="x", wait_s=20)

    assert ended["status"] in ("error", "interrupted")


async def test_too_many_runs_at_once_are_refused(vault: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("argosy_host.running.book.MAX_RUNNING", 1)
    held = Held(says("Oil."))
    async with desk_of(vault, held) as desk:
        await desk.call("run_start", agent="ada", input="x")
        refused = await desk.refused("run_start", agent="ada", input="y")
        held.free.set()

    assert refused.startswith("budget_exhausted:")


async def test_a_forged_run_token_starts_nothing(vault: Path) -> None:
    async with desk_of(vault) as desk:
        forged = RunTokens(desk.config.clock).issue("ada", "run-forged")
        result: CallToolResult = await desk.client.call_tool(
            "run_start", {"agent": "bert", "input": "x"}, meta={RUN_META: forged}
        )

    assert text_of(result).startswith("unauthenticated:")


# Lists, resources, processes


async def test_runs_come_in_pages_and_by_state(vault: Path) -> None:
    async with desk_of(vault, *(says("Oil.") for _ in range(5))) as desk:
        runs = [(await desk.call("run_start", agent="ada", input=f"{n}", wait_s=20))["run"] for n in range(5)]
        seen: list[str] = []
        page: dict[str, Any] = {"next_cursor": None}
        while len(seen) < 5:
            cursor = {"cursor": page["next_cursor"]} if page["next_cursor"] else {}
            page = await desk.call("run_list", limit=2, **cursor)
            seen += [item["run"] for item in page["items"]]
        failed = await desk.call("run_list", state="error")

    assert seen == runs[::-1] and failed["items"] == []


async def test_a_run_is_a_resource_that_tells_when_it_changes(vault: Path) -> None:
    held = Held(says("Oil."))
    async with desk_of(vault, held) as desk:
        run = (await desk.call("run_start", agent="ada", input="x"))["run"]
        await reached(held)
        async with desk.client.listen(resource_subscriptions=[f"run://{run}"]) as heard:
            held.free.set()
            with anyio.fail_after(20):
                await anext(aiter(heard))
        await desk.call("run_status", run=run, wait_s=20)
        document = json.loads(resource_text(await desk.client.read_resource(f"run://{run}")))
        health = json.loads(resource_text(await desk.client.read_resource("host://health")))
        metrics = resource_text(await desk.client.read_resource("host://metrics"))
        with pytest.raises(MCPError):
            await desk.client.read_resource("run://none")

    assert document["status"] == "ok" and health["process"].startswith("host-1#")
    assert "argosy_runs_in_flight 0" in metrics


async def test_a_run_whose_process_was_killed_is_interrupted_and_gets_its_end(vault: Path) -> None:
    from argosy_host.running.history import close_all_killed

    async with desk_of(vault, role=Role.OPERATOR) as desk:
        store, clock = desk.config.store, desk.config.clock
        dead = Presence(store.leases, clock, "process 1")
        await dead.enter()
        start = {"kind": "run.start", "run_id": "run-20261120-090000-000000-deadbeef", "agent_name": "ada",
                 "task": "x", "host": dead.mark}  # fmt: skip
        await store.chain.append("ada", "host", start, key=start_key("k"))
        going = await desk.call("run_status", run=start["run_id"])
        await dead.leave()
        killed = await desk.call("run_status", run=start["run_id"])
        doctor = await desk.call("host_doctor")
        closed = await close_all_killed(store, clock, desk.config.ids)
        end = await store.chain.find("ada", "host", end_key(str(start["run_id"])))
        clean = await desk.call("host_doctor")

    assert (going["status"], killed["status"]) == ("in_flight", "interrupted")
    assert doctor["findings"][0]["check"] == "run_end" and doctor["findings"][0]["status"] == "warn"
    assert closed == 1 and end is not None and end.event["status"] == "interrupted"
    assert clean["findings"][0]["status"] == "pass"


async def test_a_process_is_known_by_a_mark_that_never_comes_twice(vault: Path) -> None:
    config = config_for(vault)
    leases, clock = config.store.leases, config.clock
    first, second = Presence(leases, clock, "one"), Presence(leases, clock, "two")
    await first.enter()
    await second.enter()
    old = first.mark
    assert old and second.mark and old != second.mark
    assert await is_alive(leases, old)
    await first.leave()
    assert not await is_alive(leases, old)
    await first.enter()
    assert first.mark != old and not await is_alive(leases, old)
    assert not await is_alive(leases, "host-99#1")
    assert MAX_HOSTS >= 20
    await to_thread.run_sync(config.store.close)


async def test_names_are_completed_while_they_are_typed(vault: Path) -> None:
    from mcp.types import ResourceTemplateReference

    async with desk_of(vault, says("Oil.")) as desk:
        run = (await desk.call("run_start", agent="ada", input="x", wait_s=20))["run"]
        found = await desk.client.complete(
            ResourceTemplateReference(uri="run://{run}"), {"name": "run", "value": run[:8]}
        )
        nothing = await desk.client.complete(
            ResourceTemplateReference(uri="run://{run}"), {"name": "run", "value": "zzz"}
        )

    assert found.completion.values == [run] and nothing.completion.values == []


async def test_every_step_of_a_run_is_told_in_one_line() -> None:
    from argosy_host.running.live import STEPS_KEPT, Live, Starter, Watcher

    rung: list[str] = []
    live = Live("run-1", "ada", "x", Starter("ada"), "now", 0)
    watcher = Watcher(live, rung.append)
    tell: list[Callable[[], None]] = [
        lambda: watcher.problem("two\nlines"),
        lambda: watcher.calling("memory_read", {}),
        lambda: watcher.returned("memory_read", 1.0, True, "not_found: x" * 100),
    ]
    for step in tell * 40:
        step()

    assert len(live.steps) == STEPS_KEPT and live.done == len(rung) == 120
    assert all("\n" not in step and len(step) <= 200 for step in live.steps)
