"""What a client of the gateway may do at all: the grant in its tokens, what it leaves behind, the runs it starts."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio import to_thread
from fleet_fixtures import Scripted, Step, calls, config_for, make_vault, says, text_of
from mcp import Client

from argosy_core.clock import SystemClock
from argosy_core.frontmatter import parse
from argosy_core.ids import SystemIds
from argosy_core.policy.grant_form import grant_from_json
from argosy_core.policy.grants import ROOT, Grant, is_within
from argosy_core.serving.identity import RunTokens
from argosy_core.views.grants import GrantReader
from argosy_host.gateway import build_gateway
from argosy_host.providers.base import ModelReply, ModelRequest, TextSink
from argosy_host.purse import as_reference, client_grant, inherited
from argosy_host.running.book import BookSettings, RunBook, share_book

pytestmark = [pytest.mark.usefixtures("own_state"), pytest.mark.anyio, pytest.mark.timeout(120)]
NOTE = {"type": "decision", "title": "Bell rope", "body": "The bell rope is renewed every spring.", "sources": ["me"]}
SPAWNING = {"bert/model.md": "# Model\n", "bert/agent.yaml": "agent:\n  requires:\n    spawn_agents: true\n"}


class Later(SystemClock):
    """The machine's clock, set forward by *ahead_seconds*."""

    ahead_seconds = 0.0

    def now(self) -> datetime:
        return super().now() + timedelta(seconds=self.ahead_seconds)

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead_seconds


class Kept(RunTokens):
    """Remembers what it signed."""

    def __init__(self, clock: SystemClock) -> None:
        super().__init__(clock)
        self.signed: list[dict[str, Any]] = []

    def issue(self, *args: Any, **kwargs: Any) -> str:
        token = super().issue(*args, **kwargs)
        body = token.partition(".")[0]
        self.signed.append(json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))))
        return token

    @property
    def of_clients(self) -> list[dict[str, Any]]:
        return [fields for fields in self.signed if "role" in fields]


@pytest.fixture
def vault(tmp_path: Path) -> Path:
    return make_vault(tmp_path / "vault", SPAWNING)


@asynccontextmanager
async def gateway(
    vault: Path, *servers: str, clock: Later | None = None, model: Any = None
) -> AsyncGenerator[tuple[Client, Kept]]:
    """A client of *servers* as one gateway, whose runs ask *model*."""
    clock = clock or Later()
    config = config_for(vault, "ada", profile="full", clock=clock)
    if model is not None:
        settings = BookSettings(open_model=lambda: model)
        share_book(config.store, RunBook(config.store, clock, SystemIds(), settings))
    tokens = Kept(clock)
    try:
        async with Client(build_gateway(servers, config, tokens).server, cache=None) as client:
            yield client, tokens
    finally:
        await to_thread.run_sync(config.store.close)


def events(vault: Path, agent: str, *kinds: str) -> list[dict[str, Any]]:
    files = sorted((vault / agent / "log").rglob("*.jsonl"))
    found = [json.loads(line) for file in files for line in file.read_text(encoding="utf-8").splitlines()]
    return [event for event in found if event["kind"] in kinds]


async def test_both_tokens_of_a_client_carry_its_grant_which_is_within_the_roots_but_for_sums(vault: Path) -> None:
    async with gateway(vault, "memory") as (client, tokens):
        assert not (await client.call_tool("memory_write", NOTE)).is_error
    [own] = tokens.of_clients
    [host] = [fields for fields in tokens.signed if fields["run"] == own["run"] and "role" not in fields]

    assert (own["role"], own["agent"], host["agent"]) == ("agent", "ada", "ada")
    assert own["grant"] == host["grant"] == as_reference(client_grant())
    given = grant_from_json(json.loads(own["grant"]), "ada")
    assert (given.limits.depth, given.limits.concurrent) == (ROOT.limits.depth, ROOT.limits.concurrent)
    assert is_within(inherited(given), ROOT)


async def test_a_client_that_stays_for_days_has_new_tokens_with_the_same_grant_and_the_same_run(vault: Path) -> None:
    clock = Later()
    async with gateway(vault, "memory", clock=clock) as (client, tokens):
        for day in range(3):
            clock.ahead_seconds = day * 86_400.0
            done = await client.call_tool("memory_write", {**NOTE, "title": f"Day {day}"})
            assert not done.is_error, text_of(done)
    own = tokens.of_clients

    assert len(own) == 3 and len({fields["exp"] for fields in own}) == 3
    assert {fields["grant"] for fields in own} == {as_reference(client_grant())}
    assert len({fields["run"] for fields in own}) == 1 == len(events(vault, "ada", "run.start"))


async def test_a_client_whose_grant_is_less_does_less(vault: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    less = grant_from_json({"denied": ["memory_write"], "limits": {"actions": 1}}, "ada")
    monkeypatch.setattr("argosy_host.guarded.client_run.client_grant", lambda: less)
    async with gateway(vault, "memory", "journal") as (client, _):
        denied = await client.call_tool("memory_write", NOTE)
        first = await client.call_tool("journal_append", {"text": "one"})
        second = await client.call_tool("journal_append", {"text": "two"})

    assert text_of(denied).startswith("blocked:") and not first.is_error
    assert text_of(second).startswith("blocked:")
    assert not (vault / "ada/memory/decision_bell_rope.md").exists()


async def test_what_a_client_leaves_behind_carries_its_grant(vault: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    less = grant_from_json({"denied": ["memory_write"], "limits": {"depth": 2, "fanout": 1}}, "ada")
    monkeypatch.setattr("argosy_host.guarded.client_run.client_grant", lambda: less)
    item = {"queue": "runs", "payload": {"agent": "ada", "task": "w", "grant": "{}", "creator": "operator"}}
    trigger = {"name": "dusk", "when": {"every_s": 3600}, "target": {"agent": "ada"}, "input": "w"}
    async with gateway(vault, "queue", "scheduler") as (client, _):
        for tool, arguments in (("queue_enqueue", item), ("schedule_put", trigger)):
            done = await client.call_tool(tool, arguments)
            assert not done.is_error, text_of(done)
    [queued] = [json.loads(file.read_text()) for file in (vault / "_fleet/queue/runs/ready").glob("*.json")]
    trigger_file = parse((vault / "_fleet/triggers/dusk.md").read_text(encoding="utf-8")).fields
    config = config_for(vault)
    try:
        given = GrantReader(config.store.files, config.clock).of_run(str(queued["grant"]), "ada")
    finally:
        config.store.close()

    assert queued["creator"] == "ada" and given == less
    assert (trigger_file["creator"], trigger_file["grant"]) == ("ada", as_reference(less))
    assert (inherited(given).limits.depth, inherited(given).limits.fanout) == (2, 1)


def nested(depth: int) -> Sequence[Step]:
    """Runs that each start one below, down to where the depth is used up."""
    down = [calls(("run_start", {"agent": "bert", "input": f"level {n}", "wait_s": 40})) for n in range(depth)]
    return [*down, *(says(f"done {n}") for n in range(depth))]


async def test_runs_below_a_run_that_a_client_started_go_only_so_deep(vault: Path) -> None:
    model = Scripted(nested(7))
    async with gateway(vault, "host", model=model) as (client, _):
        done = await client.call_tool("run_start", {"agent": "bert", "input": "top", "wait_s": 40})
        assert not done.is_error, text_of(done)
    told = [result.text for request in model.requests for message in request.messages for result in message.returns]

    assert any("budget_exhausted" in text for text in told)
    starts = events(vault, "bert", "run.start")
    assert len(starts) == 6 and max(start.get("depth") or 0 for start in starts) == 5


class Waiting(Scripted):
    """A model that answers when it is told to."""

    def __init__(self) -> None:
        super().__init__([])
        self.go_on = anyio.Event()

    async def complete(self, request: ModelRequest, on_text: TextSink | None = None) -> ModelReply:
        await self.go_on.wait()
        return says("done")


async def test_a_client_starts_only_so_many_runs_at_a_time(vault: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("argosy_host.running.book.MAX_RUNNING", 3)
    model = Waiting()
    async with gateway(vault, "host", model=model) as (client, _):
        given = [await client.call_tool("run_start", {"agent": "bert", "input": f"{n}", "wait_s": 0}) for n in range(4)]
        model.go_on.set()
        for result in given[:3]:
            assert not result.is_error, text_of(result)
            run = (result.structured_content or {})["run"]
            await client.call_tool("run_status", {"run": run, "wait_s": 40})
        again = await client.call_tool("run_start", {"agent": "bert", "input": "later", "wait_s": 40})

    assert text_of(given[3]).startswith("budget_exhausted:")
    assert not again.is_error and len(events(vault, "bert", "run.start")) == 4


async def test_a_run_that_a_client_started_fans_out_no_further_than_it_may(
    vault: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few: Grant = replace(ROOT, limits=replace(ROOT.limits, fanout=2))
    monkeypatch.setattr("argosy_host.purse.ROOT", few)
    below = ("run_start", {"agent": "bert", "input": "count", "wait_s": 40})
    model = Scripted([calls(below, below, below), says("1"), says("2"), says("top")])
    async with gateway(vault, "host", model=model) as (client, _):
        done = await client.call_tool("run_start", {"agent": "bert", "input": "top", "wait_s": 40})
        assert not done.is_error, text_of(done)
    told = model.returned()

    assert [text.startswith("budget_exhausted") for text in told] == [False, False, True]
    assert len(events(vault, "bert", "run.start")) == 3
