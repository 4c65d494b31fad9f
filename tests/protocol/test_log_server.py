"""The log server over the protocol, in process."""

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
from mcp_types import CallToolResult, TextContent, TextResourceContents

from argosy_core.clock import Clock, SystemClock
from argosy_core.serving.config import ServerConfig, open_store
from argosy_core.serving.identity import RUN_META, RunTokens
from argosy_core.storage.base import Store
from argosy_core.testing.fakes import FakeClock, SeededIds
from argosy_core.types import Role
from argosy_log.server import create

pytestmark = pytest.mark.anyio
RUN = "run-20261120-090000-000000-0a0b0c0d"
CHILD = "run-20261120-090001-000000-0a0b0c0e"
OLD = {
    "ts": "2026-05-06T11:32:00-05:00", "run_id": "caldwell-2026-05-06-002", "trigger": "skill", "model": "large",
    "input_tokens": 4102, "output_tokens": 892, "cost_usd": 0.1287, "latency_ms": 6230, "status": "ok",
    "summary": "Bonus question",
}  # fmt: skip


class Fleet:
    """One vault with two agents, a clock, a host, and servers made on demand."""

    def __init__(self, root: Path, clock: Clock | None = None) -> None:
        self.root = root
        self.clock: Clock = clock or FakeClock(datetime(2026, 11, 20, 9, 0, tzinfo=UTC))
        self.tokens = RunTokens(self.clock)
        self.stores: list[Store] = []
        for agent in ("caldwell", "other"):
            (root / agent).mkdir()
            (root / agent / "model.md").write_text("# Model\n")

    def config(self, agent: str | None = "caldwell", role: Role = Role.AGENT, seed: int = 0) -> ServerConfig:
        ids = SeededIds(seed)
        store = open_store(self.root, clock=self.clock, ids=ids)
        self.stores.append(store)
        return ServerConfig(
            store, agent=agent, role=role, profile="full", host_key=self.tokens.public_key, clock=self.clock, ids=ids
        )

    @asynccontextmanager
    async def client(
        self, agent: str | None = "caldwell", role: Role = Role.AGENT, seed: int = 0
    ) -> AsyncGenerator[Client]:
        async with Client(create(self.config(agent, role, seed))) as client:
            yield client

    def meta(self, run: str = RUN, agent: str = "caldwell") -> Any:
        return {RUN_META: self.tokens.issue(agent, run)}

    def advance(self, seconds: float) -> None:
        assert isinstance(self.clock, FakeClock)
        self.clock.advance(seconds)

    def close(self) -> None:
        for store in self.stores:
            store.close()

    def write_old(self, *lines: dict[str, Any] | str, agent: str = "caldwell", day: str = "2026-05-06") -> Path:
        path = self.root / agent / "log" / day[:7] / f"{day}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as file:
            file.writelines(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines)
        return path


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    made = Fleet(tmp_path)
    yield made
    made.close()


async def call(client: Client, name: str, meta: Any = None, /, **arguments: Any) -> dict[str, Any]:
    result = await client.call_tool(name, arguments, meta=meta)
    assert not result.is_error, text_of(result)
    assert isinstance(result.structured_content, dict)
    return result.structured_content


async def error(client: Client, name: str, meta: Any = None, /, **arguments: Any) -> str:
    result = await client.call_tool(name, arguments, meta=meta)
    assert result.is_error
    return text_of(result)


def text_of(result: CallToolResult) -> str:
    assert isinstance(result.content[0], TextContent)
    return result.content[0].text


async def append(client: Client, meta: Any, kind: str, **body: Any) -> dict[str, Any]:
    return await call(client, "log_append", meta, kind=kind, body=body)


async def log_a_run(fleet: Fleet, client: Client) -> None:
    meta = fleet.meta()
    await append(client, meta, "run.start", task="Sort the notes", agent_name="caldwell", model="m", trigger="api")
    await append(client, meta, "model.call", model="m", input_tokens=10, output_tokens=2, cost_usd=0.01, latency_ms=50)
    fleet.advance(1)
    other = fleet.meta(CHILD, "other")
    await append(client, other, "run.start", parent_run_id=RUN, task="Look it up", agent_name="other")
    await append(client, other, "run.end", status="ok", cost_usd=0.002, latency_ms=20)
    fleet.advance(1)
    await append(client, meta, "tool", tool_name="memory_write", status="ok", call_id="c1", latency_ms=3)
    await append(client, meta, "run.end", status="ok", input_tokens=10, output_tokens=2, cost_usd=0.01, latency_ms=2000)


# Appending


async def test_the_host_appends_to_the_agents_stream_and_the_run_is_added(fleet: Fleet) -> None:
    async with fleet.client() as client:
        first = await append(client, fleet.meta(), "run.start", task="Sort")
        second = await append(client, fleet.meta(), "tool", run_id="run-other")
    assert (first["stream"], first["writer"], first["seq"], second["seq"]) == ("caldwell", "host", 1, 2)
    lines = (fleet.root / "caldwell/log/2026-11/2026-11-20.jsonl").read_text().splitlines()
    assert [json.loads(line)["run_id"] for line in lines] == [RUN, "run-other"]
    assert json.loads(lines[0])["hash"] == first["hash"]


async def test_an_operator_appends_as_operator_and_without_an_agent_to_the_fleets_stream(fleet: Fleet) -> None:
    async with fleet.client(None, Role.OPERATOR) as client:
        assert (await append(client, None, "fleet.note", text="hello"))["stream"] == "_fleet"
    async with fleet.client("caldwell", Role.OPERATOR) as client:
        made = await append(client, None, "fleet.note", text="hello")
    assert (made["stream"], made["writer"]) == ("caldwell", "operator")


async def test_an_agent_can_neither_see_nor_call_log_append(fleet: Fleet) -> None:
    async with fleet.client() as client:
        assert "log_append" not in {tool.name for tool in (await client.list_tools()).tools}
        assert (await error(client, "log_append", kind="x", body={})).startswith("permission_denied:")


async def test_the_same_key_appends_once_and_another_event_under_it_is_a_conflict(fleet: Fleet) -> None:
    async with fleet.client() as client:
        first = await call(client, "log_append", fleet.meta(), kind="x.y", body={"n": 1}, key="k")
        assert await call(client, "log_append", fleet.meta(), kind="x.y", body={"n": 1}, key="k") == first
        answer = await error(client, "log_append", fleet.meta(), kind="x.y", body={"n": 2}, key="k")
    assert answer.startswith("conflict:")


async def test_compare_and_append_tells_who_came_too_late(fleet: Fleet) -> None:
    async with fleet.client() as client:
        await call(client, "log_append", fleet.meta(), kind="x", body={}, expect_seq=1)
        answer = await error(client, "log_append", fleet.meta(), kind="x", body={}, expect_seq=1)
    assert answer.startswith("conflict:") and "2" in answer


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("X", {}), ("", {}), ("a..b", {}), ("a" * 101, {}), ("a\n", {}),
        ("x", {"seq": 1}), ("x", {"ts": "now"}), ("x", {"kind": "y"}), ("x", {"key": "k"}), ("x", {"salt": ""}),
        ("x", {"text": "y" * 300_000}),
    ],
)  # fmt: skip
async def test_an_event_that_the_log_cannot_keep_is_refused(fleet: Fleet, kind: str, body: dict[str, Any]) -> None:
    async with fleet.client() as client:
        answer = await error(client, "log_append", fleet.meta(), kind=kind, body=body)
        assert answer.startswith("invalid_argument:")
        assert (await call(client, "log_verify"))["entries"] == 0


async def test_a_key_is_one_line(fleet: Fleet) -> None:
    async with fleet.client() as client:
        for key in ("", "a\nb", "x" * 201):
            answer = await error(client, "log_append", fleet.meta(), kind="x", body={}, key=key)
            assert answer.startswith("invalid_argument:")


async def test_there_is_no_log_for_an_agent_that_does_not_exist(fleet: Fleet) -> None:
    async with fleet.client() as client:
        answer = await error(client, "log_append", fleet.meta(agent="nobody"), kind="x", body={})
    assert answer.startswith("not_found:")


async def test_a_forged_token_appends_nothing(fleet: Fleet) -> None:
    forged = {RUN_META: RunTokens(fleet.clock).issue("caldwell", RUN)}
    async with fleet.client() as client:
        answer = await error(client, "log_append", forged, kind="x", body={})
    assert answer.startswith("unauthenticated:")


async def test_two_servers_on_one_vault_lose_nothing(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, SystemClock())  # waiting for the other's lock takes real time
    async with fleet.client(seed=1) as one, fleet.client(seed=2) as two, anyio.create_task_group() as tasks:
        for number in range(25):
            for client in (one, two):
                tasks.start_soon(lambda c=client, n=number: append(c, fleet.meta(), "x", n=n))
    async with fleet.client() as client:
        assert (await call(client, "log_verify"))["entries"] == 50
        assert (await call(client, "log_verify"))["ok"] is True
        assert len((await call(client, "log_query", kinds=["x"], limit=100))["items"]) == 50
    fleet.close()


# Asking


async def test_old_and_new_lines_are_read_side_by_side(fleet: Fleet) -> None:
    fleet.write_old(OLD)
    async with fleet.client() as client:
        await append(client, fleet.meta(), "tool", tool_name="memory_write", status="ok")
        page = await call(client, "log_query")
    new, old = page["items"]
    assert (new["kind"], new["seq"], new["run"]) == ("tool", 1, RUN)
    assert (old["kind"], old["seq"], old["ts"]) == ("agent_call", None, "2026-05-06T16:32:00.000Z")
    assert (old["summary"], old["fields"]["cost_usd"]) == ("Bonus question", 0.1287)
    assert page["next_cursor"] is None


async def test_filters_narrow_and_pages_go_on_where_the_last_one_ended(fleet: Fleet) -> None:
    async with fleet.client() as client:
        for number in range(7):
            await append(client, fleet.meta(), "memory.write" if number % 2 else "tool", n=number, status="ok")
            fleet.advance(86_400)
        seen, cursor = list[int](), None
        while True:
            page = await call(client, "log_query", kinds=["memory.*"], limit=1, cursor=cursor)
            seen += [item["fields"]["n"] for item in page["items"]]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        assert seen == [5, 3, 1]
        found = await call(client, "log_query", since="2026-11-21", until="2026-11-22T09:00:00Z")
        assert [item["fields"]["n"] for item in found["items"]] == [2, 1]
        assert (await call(client, "log_query", text='"N":6'))["items"][0]["fields"]["n"] == 6
        assert (await call(client, "log_query", status="error"))["items"] == []
        assert (await call(client, "log_query", run="run-unknown"))["items"] == []


@pytest.mark.parametrize(
    "arguments",
    [
        {"since": "soon"}, {"since": "2026-05-07", "until": "2026-05-06"}, {"cursor": "zzz"}, {"text": "x" * 501},
        {"kind": "x"}, {"kinds": "x"}, {"limit": "many"},
    ],
)  # fmt: skip
async def test_a_question_that_cannot_be_meant_is_refused(fleet: Fleet, arguments: dict[str, Any]) -> None:
    async with fleet.client() as client:
        assert (await error(client, "log_query", **arguments)).startswith("invalid_argument:")


async def test_an_agent_sees_its_own_stream_and_of_the_fleets_what_names_it(fleet: Fleet) -> None:
    async with fleet.client(None, Role.OPERATOR) as operator:
        await append(operator, None, "grant.issue", holder="caldwell")
        await append(operator, None, "grant.issue", holder="other")
        await append(operator, fleet.meta(agent="other"), "tool")
        await append(operator, fleet.meta(), "tool")
        everything = (await call(operator, "log_query"))["items"]
        narrowed = (await call(operator, "log_query", agent="caldwell"))["items"]
        fleets = (await call(operator, "log_query", agent="_fleet"))["items"]
    async with fleet.client() as agent:
        own = (await call(agent, "log_query"))["items"]
        assert (await call(agent, "log_query", agent="caldwell"))["items"] == own
        assert (await error(agent, "log_query", agent="other")).startswith("permission_denied:")
    assert len(everything) == 4 and len(fleets) == 2
    assert own == narrowed
    assert sorted((item["stream"], item["fields"].get("holder")) for item in own) == [
        ("_fleet", "caldwell"), ("caldwell", None),
    ]  # fmt: skip


async def test_a_run_token_sees_what_its_agent_sees(fleet: Fleet) -> None:
    async with fleet.client() as client:
        await append(client, fleet.meta(agent="other"), "tool")
        assert len((await call(client, "log_query", fleet.meta(agent="other")))["items"]) == 1
        assert (await call(client, "log_query", fleet.meta()))["items"] == []
        assert (await call(client, "log_query"))["items"] == []


async def test_an_unknown_agent_is_not_found_and_nobodys_log_is_asked_for_by_name(fleet: Fleet) -> None:
    async with fleet.client(None, Role.OPERATOR) as operator:
        for name in ("nobody", "../other", "caldwell/log", ""):
            assert (await error(operator, "log_query", agent=name)).startswith("not_found:")
            assert (await error(operator, "log_heads", stream=name)).startswith("not_found:")
            assert (await error(operator, "log_verify", stream=name)).startswith("not_found:")
    async with fleet.client(None) as nobody:
        assert (await error(nobody, "log_query")).startswith("invalid_argument:")


async def test_a_broken_line_is_named_and_the_rest_is_answered(fleet: Fleet) -> None:
    fleet.write_old(OLD, "{broken", {**OLD, "summary": "After"})
    async with fleet.client() as client:
        page = await call(client, "log_query")
        trace = await call(client, "log_trace", run=OLD["run_id"])
        shown = text_of(await client.call_tool("log_query", {}))
    assert [item["summary"] for item in page["items"]] == ["After", "Bonus question"]
    assert page["notes"] == ["caldwell/log/2026-05/2026-05-06.jsonl:2 is not a JSON object and was left out"]
    assert page["notes"][0] in shown
    assert trace["notes"] == []


# Tracing


async def test_a_trace_is_the_run_with_the_runs_below_it(fleet: Fleet) -> None:
    async with fleet.client("caldwell", Role.OPERATOR) as client:
        await log_a_run(fleet, client)
        tree = await call(client, "log_trace", run=RUN)
        shown = text_of(await client.call_tool("log_trace", {"run": RUN}))
    assert (tree["run"], tree["agent"], tree["status"], tree["task"]) == (RUN, "caldwell", "ok", "Sort the notes")
    assert (tree["started_at"], tree["ended_at"]) == ("2026-11-20T09:00:00.000Z", "2026-11-20T09:00:02.000Z")
    assert [step["kind"] for step in tree["steps"]] == ["model.call", "tool"]
    assert [(child["run"], child["agent"], child["cost_usd"]) for child in tree["children"]] == [
        (CHILD, "other", 0.002)
    ]
    assert (tree["cost_usd"], tree["input_tokens"], tree["latency_ms"]) == (0.01, 10, 2000)
    assert f"\n  {CHILD} other ok" in shown


async def test_an_agents_trace_ends_where_another_agents_log_begins(fleet: Fleet) -> None:
    async with fleet.client() as client:
        await log_a_run(fleet, client)
        assert (await call(client, "log_trace", run=RUN))["children"] == []
        assert (await error(client, "log_trace", run=CHILD)).startswith("not_found:")


async def test_a_run_without_an_end_is_in_flight(fleet: Fleet) -> None:
    async with fleet.client() as client:
        await append(client, fleet.meta(), "run.start", task="Sort")
        assert (await call(client, "log_trace", run=RUN))["status"] == "in_flight"


async def test_an_unknown_run_is_not_found_and_says_how_to_find_one(fleet: Fleet) -> None:
    fleet.write_old(OLD)
    async with fleet.client() as client:
        for run in (RUN, "caldwell-2026-05-06-099", "nothing"):
            answer = await error(client, "log_trace", run=run)
            assert answer.startswith("not_found:") and "log_query" in answer
        for run in ("", "x" * 201):
            assert (await error(client, "log_trace", run=run)).startswith("invalid_argument:")


async def test_a_run_of_the_older_system_traces(fleet: Fleet) -> None:
    fleet.write_old(OLD)
    async with fleet.client() as client:
        tree = await call(client, "log_trace", run=OLD["run_id"])
    assert (tree["status"], tree["cost_usd"], len(tree["steps"])) == ("ok", 0.1287, 1)


# Chains


async def test_heads_are_the_last_entry_of_each_writer_in_pages(fleet: Fleet) -> None:
    async with fleet.client("caldwell", Role.OPERATOR) as client:
        await append(client, fleet.meta(), "x")
        last = await append(client, fleet.meta(), "x")
        await append(client, None, "x")
        first = await call(client, "log_heads", limit=1)
        rest = await call(client, "log_heads", cursor=first["next_cursor"])
        assert first["items"] == [last]
        assert [(head["writer"], head["seq"]) for head in rest["items"]] == [("operator", 1)]
        assert rest["next_cursor"] is None
        assert (await call(client, "log_heads", stream="other"))["items"] == []
        assert (await error(client, "log_heads", cursor="x")).startswith("invalid_argument:")


async def test_an_agent_looks_at_its_own_chains_and_the_fleets(fleet: Fleet) -> None:
    async with fleet.client() as client:
        await append(client, fleet.meta(), "x")
        await append(client, fleet.meta(agent="other"), "x")
        assert {head["stream"] for head in (await call(client, "log_heads"))["items"]} == {"caldwell"}
        assert (await call(client, "log_verify"))["entries"] == 1
        assert (await call(client, "log_verify", stream="_fleet"))["entries"] == 0
        for tool in ("log_heads", "log_verify"):
            assert (await error(client, tool, stream="other")).startswith("permission_denied:")


def alter(line: str) -> str:
    return line.replace('"n":1', '"n":7')


@pytest.mark.parametrize(
    ("damage", "kind", "seq"),
    [
        (lambda lines: [lines[0], alter(lines[1]), *lines[2:]], "altered", 2),
        (lambda lines: [lines[0], *lines[2:]], "gap", 3),
        (lambda lines: [*lines, lines[0]], "rewritten", 1),
        (lambda lines: [lines[0], lines[1].replace('"stream":"caldwell"', '"stream":"x"'), *lines[2:]], "moved", 2),
    ],
)
async def test_verify_and_doctor_name_what_happened_and_where(
    fleet: Fleet, damage: Callable[[list[str]], list[str]], kind: str, seq: int
) -> None:
    fleet.write_old(OLD)
    async with fleet.client("caldwell", Role.OPERATOR) as client:
        for number in range(4):
            await append(client, fleet.meta(), "x", n=number)
        path = fleet.root / "caldwell/log/2026-11/2026-11-20.jsonl"
        path.write_text("".join(damage(path.read_text().splitlines(keepends=True))))
        report = await call(client, "log_verify")
        findings = (await call(client, "log_doctor"))["findings"]
    assert report["ok"] is False and report["unchained"] == 1
    assert (kind, "caldwell", "host", seq) in {
        (found["kind"], found["stream"], found["writer"], found["seq"]) for found in report["findings"]
    }
    failed = [found for found in findings if found["status"] == "fail"]
    assert any(found["message"].startswith(f"{kind} at caldwell/host #{seq}") for found in failed)
    assert all(found["fix"] for found in findings if found["status"] != "pass")


async def test_the_doctor_names_each_unreadable_line_once_with_its_number(fleet: Fleet) -> None:
    path = fleet.write_old(OLD, "{broken", {"summary": "no time"})
    (fleet.root / "caldwell/log/export.jsonl").write_text("")
    with path.open("a") as file:
        file.write('{"torn')
    recovered = fleet.root / ".argosy/recovered"
    recovered.mkdir(parents=True)
    (recovered / "caldwell%2flog.20261120").write_text('{"to')
    async with fleet.client("caldwell", Role.OPERATOR) as client:
        findings = (await call(client, "log_doctor"))["findings"]
    named = [(f["check"], f["status"], f["file"], f["line"]) for f in findings if f["status"] != "pass"]
    name = "caldwell/log/2026-05/2026-05-06.jsonl"
    assert named == [
        ("log_lines", "fail", name, 2),
        ("log_times", "warn", name, 3),
        ("log_lines", "warn", name, 4),
        ("log_files", "warn", "caldwell/log/export.jsonl", None),
        ("log_recovered", "warn", ".argosy/recovered/caldwell%2flog.20261120", None),
    ]
    assert all(f["fix"] for f in findings if f["status"] != "pass")


async def test_the_doctor_says_when_the_last_line_is_torn(fleet: Fleet) -> None:
    path = fleet.write_old(OLD)
    with path.open("a") as file:
        file.write('{"torn')
    async with fleet.client("caldwell", Role.OPERATOR) as client:
        findings = (await call(client, "log_doctor"))["findings"]
        assert [(f["status"], f["line"]) for f in findings if f["check"] == "log_lines"] == [("warn", 2)]
        await append(client, fleet.meta(), "x")
        after = (await call(client, "log_doctor"))["findings"]
    assert [f["check"] for f in after if f["status"] == "warn"] == ["log_recovered"]


async def test_many_unreadable_lines_are_counted_not_listed(fleet: Fleet) -> None:
    fleet.write_old(*["{broken"] * 50, OLD)
    async with fleet.client("caldwell", Role.OPERATOR) as client:
        findings = (await call(client, "log_doctor"))["findings"]
        page = await call(client, "log_query")
    assert sum(f["check"] == "log_lines" and f["status"] == "fail" for f in findings) == 20
    assert any(f["message"] == "30 more such lines" for f in findings)
    assert len(page["notes"]) == 6 and "log_doctor" in page["notes"][-1]


async def test_a_vault_without_a_log_is_healthy(fleet: Fleet) -> None:
    async with fleet.client("caldwell", Role.OPERATOR) as client:
        assert [f["status"] for f in (await call(client, "log_doctor"))["findings"]] == ["pass"]
        assert (await call(client, "log_query"))["items"] == []
        assert (await call(client, "log_status"))["healthy"] is True
        assert not (fleet.root / "caldwell/log").exists()


async def test_the_status_counts_today_and_the_agents_own_entries(fleet: Fleet) -> None:
    fleet.write_old(OLD)
    async with fleet.client() as client:
        await append(client, fleet.meta(), "x")
        await append(client, fleet.meta(), "x")
        await append(client, fleet.meta(agent="other"), "x")
        counts = (await call(client, "log_status"))["counts"]
    assert counts == {"events_today": 2, "streams": 2, "entries_host": 2}


async def test_only_operators_are_shown_the_doctor(fleet: Fleet) -> None:
    async with fleet.client() as client:
        assert (await error(client, "log_doctor")).startswith("permission_denied:")
        assert (await error(client, "log_doctor", fleet.meta())).startswith("permission_denied:")


# Resources, prompt, tool list


async def read_json(client: Client, uri: str) -> Any:
    content = (await client.read_resource(uri)).contents[0]
    assert isinstance(content, TextResourceContents)
    return json.loads(content.text)


async def test_heads_and_runs_are_resources(fleet: Fleet) -> None:
    async with fleet.client(None, Role.OPERATOR) as client:
        await log_a_run(fleet, client)
        assert (await read_json(client, "log://other/head"))["items"][0]["seq"] == 2
        assert (await read_json(client, f"log://run/{RUN}"))["children"][0]["run"] == CHILD
        assert (await read_json(client, "log://status"))["server"] == "log"


@pytest.mark.parametrize("uri", ["log://nobody/head", f"log://run/{RUN}", "log://..%2Fx/head"])
async def test_a_resource_that_is_not_there_says_so(fleet: Fleet, uri: str) -> None:
    async with fleet.client(None, Role.OPERATOR) as client:
        with pytest.raises(Exception, match=r"(?i)no agent|no event|unknown|not found|fail"):
            await client.read_resource(uri)


async def test_another_agents_stream_is_no_resource_of_an_agent(fleet: Fleet) -> None:
    async with fleet.client() as client:
        with pytest.raises(Exception, match="permission_denied"):
            await client.read_resource("log://other/head")


async def test_an_append_rings_the_streams_head(fleet: Fleet) -> None:
    async with fleet.client() as client, client.listen(resource_subscriptions=["log://caldwell/head"]) as heard:
        await append(client, fleet.meta(), "x")
        with anyio.fail_after(10):
            notice = await anext(aiter(heard))
    assert str(getattr(notice, "uri", "")) == "log://caldwell/head"


async def test_a_stream_of_another_script_rings_under_both_spellings(fleet: Fleet) -> None:
    server = create(fleet.config())
    assert server.domain.uris_of("日本/log/2026-11/2026-11-20.jsonl") == [
        "log://%E6%97%A5%E6%9C%AC/head", "log://日本/head",
    ]  # fmt: skip
    assert server.domain.uris_of("caldwell/memory/user_x.md") == []
    assert server.domain.uris_of("caldwell/log/README.md") == []


async def test_the_prompt_names_the_run_and_the_tools_to_use(fleet: Fleet) -> None:
    async with fleet.client() as client:
        prompt = await client.get_prompt("explain_run", {"run": RUN})
    content = prompt.messages[0].content
    assert isinstance(content, TextContent) and RUN in content.text and "log_trace" in content.text


async def test_the_default_profile_shows_query_and_trace_in_few_bytes(fleet: Fleet) -> None:
    config = fleet.config()
    shown = create(ServerConfig(config.store, agent="caldwell", clock=fleet.clock))
    async with Client(shown) as client:
        tools = (await client.list_tools()).tools
    assert {tool.name for tool in tools} == {"log_query", "log_trace"}
    sizes = [len(json.dumps([t.name, t.description, t.input_schema], separators=(",", ":"))) for t in tools]
    assert sum(sizes) < 2 * 650
    for tool in tools:
        assert all(parameter.get("description") for parameter in tool.input_schema["properties"].values())
        assert tool.output_schema is not None and tool.output_schema["type"] == "object"
