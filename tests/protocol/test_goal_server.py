"""The goal server through the protocol."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError
from served import Answer, Bench, call, text_in

from argosy_core.clock import SystemClock
from argosy_core.testing.fakes import FakeClock
from argosy_core.types import Role
from argosy_goal.server import create

pytestmark = pytest.mark.anyio


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.fixture
def crowd(tmp_path: Path) -> Bench:
    return Bench(tmp_path, SystemClock())


@pytest.fixture
def time(bench: Bench) -> FakeClock:
    assert isinstance(bench.clock, FakeClock)
    return bench.clock


async def ask(bench: Bench, tool: str, role: Role = Role.AGENT, meta: Any = None, **arguments: Any) -> Answer:
    return await call(create, bench.config(role=role), tool, meta, **arguments)


async def make(bench: Bench, **more: Any) -> Answer:
    arguments: dict[str, Any] = {"title": "Ship it", "why": "They wait for it", "steps": ["Draw", "Print"], **more}
    return await ask(bench, "goal_create", **arguments)


def log_of(bench: Bench, agent: str = "harbor") -> list[dict[str, Any]]:
    files = sorted((bench.root / agent / "log").rglob("*.jsonl"))
    lines = [line for file in files for line in file.read_text().splitlines()]
    return [json.loads(line) for line in lines]


async def test_a_goal_is_made_with_its_steps(bench: Bench) -> None:
    made = await make(bench, priority="high", deadline="2026-12-01")
    goal = made.fields["goal"]
    assert made.code is None
    assert goal.startswith("goal_20261120T090000_")
    assert made.fields["path"] == f"harbor/goals/{goal}.md"
    assert made.fields["uri"] == f"goal://{goal}"
    assert made.fields["status"] == "pending"
    assert [(s["id"], s["label"], s["status"]) for s in made.fields["steps"]] == [
        ("s1", "Draw", "pending"),
        ("s2", "Print", "pending"),
    ]
    assert made.fields["progress"] == {"done": 0, "total": 2}
    assert made.fields["next_steps"] == ["Draw", "Print"]
    assert "Ship it [pending, high, due 2026-12-01]" in made.text
    again = await ask(bench, "goal_get", goal=goal)
    assert again.fields == made.fields
    assert "# Ship it\n" in bench.read(made.fields["path"])


async def test_making_a_goal_is_an_event_and_a_line_of_the_older_record(bench: Bench) -> None:
    made = await ask(bench, "goal_create", meta=bench.run_meta("harbor"), title="T", why="w")
    event = log_of(bench)[-1]
    assert event["kind"] == "goal.created"
    assert (event["goal"], event["run_id"], event["writer"]) == (made.fields["goal"], "run-1", "goal")
    line = json.loads(bench.read("harbor/goal_history.jsonl"))
    assert next(iter(line)) == "ts"
    assert (line["event"], line["goal"]) == ("created", made.fields["goal"])


async def test_the_same_key_gives_the_first_goal_again(bench: Bench, time: FakeClock) -> None:
    first = await make(bench, key="k")
    await ask(bench, "goal_transition", goal=first.fields["goal"], to="in_progress", expect_status="pending")
    time.advance(90)
    second = await make(bench, key="k")
    assert second.fields["goal"] == first.fields["goal"]
    assert (second.fields["duplicate"], second.fields["status"]) == (True, "in_progress")
    assert len(list((bench.root / "harbor/goals").glob("*.md"))) == 1
    other = await make(bench, key="k", title="Another")
    assert other.code == "conflict"
    assert "key: k" in bench.read(first.fields["path"])


async def test_the_same_key_from_many_processes_makes_one_goal(crowd: Bench) -> None:
    found: list[Answer] = []

    async def one() -> None:
        found.append(await make(crowd, key="same"))

    async with anyio.create_task_group() as group:
        for _ in range(6):
            group.start_soon(one)
    assert {answer.code for answer in found} == {None}
    assert len({answer.fields["goal"] for answer in found}) == 1
    assert sum(not answer.fields["duplicate"] for answer in found) == 1
    assert len(list((crowd.root / "harbor/goals").glob("*.md"))) == 1


async def test_a_key_whose_goal_was_never_written_is_finished_by_the_next_call(bench: Bench) -> None:
    first = await make(bench, key="k")
    (bench.root / first.fields["path"]).unlink()
    again = await make(bench, key="k")
    assert (again.fields["goal"], again.fields["duplicate"]) == (first.fields["goal"], False)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"title": " "}, "invalid_argument"),
        ({"why": ""}, "invalid_argument"),
        ({"deadline": "soon"}, "invalid_argument"),
        ({"priority": "urgent"}, "invalid_argument"),
        ({"steps": [{"label": "x", "colour": "red"}]}, "invalid_argument"),
        ({"key": "two\nlines"}, "invalid_argument"),
        ({"colour": "red"}, "invalid_argument"),
        ({"parent": "goal_none"}, "not_found"),
        ({"parent": "../reef"}, "invalid_argument"),
        ({"title": "x" * 201}, "too_large"),
        ({"why": "x" * 8001}, "too_large"),
        ({"steps": [{"label": "x", "id": "a"}, {"label": "y", "id": "a"}]}, "already_exists"),
    ],
)
async def test_a_goal_that_cannot_be_written_is_refused(bench: Bench, arguments: dict[str, Any], code: str) -> None:
    made = await make(bench, **arguments)
    assert made.code == code
    assert not (bench.root / "harbor/goals").exists()


async def test_no_goal_is_made_for_an_agent_that_is_not_there(bench: Bench) -> None:
    made = await call(create, bench.config(agent="nobody"), "goal_create", title="t", why="w")
    assert made.code == "not_found"
    assert not (bench.root / "nobody").exists()
    assert (await call(create, bench.config(agent=None), "goal_list")).code == "invalid_argument"


async def test_a_goal_may_serve_another(bench: Bench) -> None:
    parent = await make(bench)
    child = await make(bench, title="Part", parent=parent.fields["goal"])
    assert child.fields["parent"] == parent.fields["goal"]


async def test_goals_are_listed_open_ones_first(bench: Bench, time: FakeClock) -> None:
    ids = {}
    for title, priority, deadline in [("a", "low", None), ("b", "high", None), ("c", "high", "2026-12-01")]:
        time.advance(1)
        ids[title] = (await make(bench, title=title, priority=priority, deadline=deadline)).fields["goal"]
    await ask(bench, "goal_transition", goal=ids["c"], to="complete", expect_status="pending")
    listed = await ask(bench, "goal_list")
    assert [item["title"] for item in listed.fields["items"]] == ["b", "a", "c"]
    assert listed.fields["next_cursor"] is None
    assert listed.fields["items"][0].keys() == {
        "goal", "title", "status", "priority", "deadline", "progress", "why", "uri",
    }  # fmt: skip
    assert (await ask(bench, "goal_list", status="complete")).fields["items"][0]["goal"] == ids["c"]
    assert (await ask(bench, "goal_list", status="blocked")).text == "Nothing found."


async def test_every_goal_is_on_exactly_one_page(bench: Bench, time: FakeClock) -> None:
    for n in range(7):
        time.advance(1)
        await make(bench, title=f"g{n}")
    seen: list[str] = []
    cursor: str | None = None
    while True:
        page = await ask(bench, "goal_list", limit=3, cursor=cursor)
        seen += [item["title"] for item in page.fields["items"]]
        cursor = page.fields["next_cursor"]
        if cursor is None:
            break
    assert seen == [f"g{n}" for n in range(7)]
    for bad in ("x", "WzFd", "WyJhIiwgImIiLCAiYyIsICJkIl0"):
        assert (await ask(bench, "goal_list", cursor=bad)).code == "invalid_argument"


async def test_a_step_moves_when_it_is_where_the_caller_thinks(bench: Bench) -> None:
    goal = (await make(bench)).fields["goal"]
    moved = await ask(
        bench, "goal_transition", goal=goal, step="s1", to="complete", expect_status="pending", note="Early\nand well"
    )
    assert moved.fields["steps"][0]["status"] == "complete"
    assert moved.fields["steps"][0]["completed"] == "2026-11-20"
    assert moved.fields["progress"] == {"done": 1, "total": 2}
    assert "- 2026-11-20: s1 complete. Early and well\n" in bench.read(moved.fields["path"])
    event = log_of(bench)[-1]
    assert (event["kind"], event["sub_goal"], event["from"], event["to"]) == (
        "goal.transition", "s1", "pending", "complete",
    )  # fmt: skip
    stale = await ask(bench, "goal_transition", goal=goal, step="s1", to="blocked", expect_status="pending")
    assert (stale.code, stale.detail["status"]) == ("conflict", "complete")
    assert stale.detail["version"] == moved.fields["version"]
    lines = bench.read("harbor/goal_history.jsonl").splitlines()
    assert [json.loads(line)["event"] for line in lines] == ["created", "transition"]


async def test_finishing_the_last_step_only_suggests_to_finish_the_goal(bench: Bench) -> None:
    goal = (await make(bench, steps=["One"])).fields["goal"]
    moved = await ask(bench, "goal_transition", goal=goal, step="s1", to="complete", expect_status="pending")
    assert moved.fields["status"] == "pending"
    assert "can be moved to complete" in moved.text
    done = await ask(bench, "goal_transition", goal=goal, to="complete", expect_status="pending")
    assert done.fields["status"] == "complete"
    assert "active: false" in bench.read(done.fields["path"])


async def test_a_goal_that_ends_early_names_the_steps_left_open(bench: Bench) -> None:
    goal = (await make(bench)).fields["goal"]
    done = await ask(bench, "goal_transition", goal=goal, to="abandoned", expect_status="pending")
    assert "Still open although the goal is abandoned: s1, s2." in done.text


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"to": "done"}, "invalid_argument"),
        ({"expect_status": "new"}, "invalid_argument"),
        ({"to": "pending"}, "invalid_argument"),
        ({"step": "s9"}, "not_found"),
        ({"goal": "goal_none"}, "not_found"),
        ({"goal": "../reef/goal"}, "invalid_argument"),
        ({"note": "x" * 2001}, "too_large"),
        ({"status": "complete"}, "invalid_argument"),
    ],
)
async def test_a_move_that_makes_no_sense_is_refused(bench: Bench, arguments: dict[str, Any], code: str) -> None:
    made = (await make(bench)).fields
    before = bench.read(made["path"])
    asked: dict[str, Any] = {"goal": made["goal"], "to": "blocked", "expect_status": "pending", **arguments}
    assert (await ask(bench, "goal_transition", **asked)).code == code
    assert bench.read(made["path"]) == before


@pytest.mark.parametrize("step", [None, "s1"])
async def test_only_a_person_moves_what_awaits_a_decision(bench: Bench, step: str | None) -> None:
    goal = (await make(bench)).fields["goal"]
    place: dict[str, Any] = {"goal": goal, "step": step}
    await ask(bench, "goal_transition", to="awaiting_decision", expect_status="pending", **place)
    onward: dict[str, Any] = {
        **place,
        "to": "in_progress",
        "expect_status": "awaiting_decision",
        "decision": "The long table.",
    }
    for meta in (None, bench.run_meta("harbor")):
        refused = await ask(bench, "goal_transition", meta=meta, **onward)
        assert refused.code == "permission_denied"
        assert "--role operator" in refused.text
    moved = await ask(bench, "goal_transition", role=Role.OPERATOR, **onward)
    assert moved.code is None
    assert "The long table." in bench.read(moved.fields["path"])
    assert log_of(bench)[-1]["decision"] == "The long table."


async def test_of_two_that_move_the_same_step_at_once_one_wins(crowd: Bench) -> None:
    goal = (await make(crowd)).fields["goal"]
    found: list[Answer] = []

    async def move(to: str) -> None:
        found.append(await ask(crowd, "goal_transition", goal=goal, step="s1", to=to, expect_status="pending"))

    async with anyio.create_task_group() as group:
        for to in ("in_progress", "blocked", "skipped", "complete"):
            group.start_soon(move, to)
    assert sorted(str(answer.code) for answer in found) == ["None", "conflict", "conflict", "conflict"]
    won = next(answer for answer in found if answer.code is None).fields["steps"][0]["status"]
    assert (await ask(crowd, "goal_get", goal=goal)).fields["steps"][0]["status"] == won


async def test_moves_of_different_steps_at_once_are_all_kept(crowd: Bench) -> None:
    goal = (await make(crowd, steps=[f"step {n}" for n in range(8)])).fields["goal"]
    found: list[Answer] = []

    async def move(step: str) -> None:
        found.append(await ask(crowd, "goal_transition", goal=goal, step=step, to="complete", expect_status="pending"))

    async with anyio.create_task_group() as group:
        for n in range(1, 9):
            group.start_soon(move, f"s{n}")
    assert {answer.code for answer in found} == {None}
    after = await ask(crowd, "goal_get", goal=goal)
    assert after.fields["progress"] == {"done": 8, "total": 8}
    assert crowd.read(after.fields["path"]).count(" complete.\n") == 8
    assert len(crowd.read("harbor/goal_history.jsonl").splitlines()) == 9


async def test_the_older_single_goal_is_read_and_moved(bench: Bench) -> None:
    bench.write(
        "harbor/goal.md",
        "---\nschema_version: 1\nactive: true\nintent: Ship the atlas\nsub_goals:\n"
        "  - id: draw # by hand\n    label: Draw it\n    status: pending\n---\n\n# Atlas\n",
    )
    got = await ask(bench, "goal_get", goal="goal")
    assert (got.fields["title"], got.fields["status"], got.fields["path"]) == ("Atlas", "in_progress", "harbor/goal.md")
    await ask(bench, "goal_transition", goal="goal", step="draw", to="in_progress", expect_status="pending")
    await ask(bench, "goal_transition", goal="goal", to="abandoned", expect_status="in_progress")
    text = bench.read("harbor/goal.md")
    assert "  - id: draw # by hand\n" in text
    assert "active: false\n" in text
    assert "\nstatus:" not in text
    listed = (await ask(bench, "goal_list")).fields["items"]
    assert [(item["goal"], item["status"]) for item in listed] == [("goal", "abandoned")]


async def test_a_broken_file_is_named_and_the_others_go_on(bench: Bench) -> None:
    good = (await make(bench)).fields["goal"]
    bench.write("harbor/goals/sad.md", "---\ntitle: a: b\nstatus: pending\n---\n\nBody\n")
    bench.write("harbor/goals/README.md", "About goals.\n")
    listed = await ask(bench, "goal_list")
    assert [item["goal"] for item in listed.fields["items"]] == [good]
    assert len(listed.fields["problems"]) == 1
    assert "harbor/goals/sad.md:2:" in listed.fields["problems"][0]
    assert "sad.md" in listed.text
    got = await ask(bench, "goal_get", goal="sad")
    assert (got.code, got.detail["line"]) == ("corrupted", 2)
    moved = await ask(bench, "goal_transition", goal="sad", to="complete", expect_status="pending")
    assert moved.code == "corrupted"
    assert bench.read("harbor/goals/sad.md") == "---\ntitle: a: b\nstatus: pending\n---\n\nBody\n"


async def test_steps_are_added_to_the_version_that_was_read(bench: Bench) -> None:
    made = (await make(bench)).fields
    added = await ask(bench, "goal_add_steps", goal=made["goal"], steps=["Bind"], expect_version=made["version"])
    assert [step["id"] for step in added.fields["steps"]] == ["s1", "s2", "s3"]
    assert log_of(bench)[-1]["sub_goals"] == ["s3"]
    stale = await ask(bench, "goal_add_steps", goal=made["goal"], steps=["x"], expect_version=made["version"])
    assert (stale.code, stale.detail["version"]) == ("conflict", added.fields["version"])
    none = await ask(bench, "goal_add_steps", goal=made["goal"], steps=[], expect_version=added.fields["version"])
    assert none.code == "invalid_argument"


async def test_an_outcome_is_written_once(bench: Bench) -> None:
    goal = (await make(bench)).fields["goal"]
    first = await ask(bench, "goal_outcome", goal=goal, step="s1", result="memory/x.md")
    assert first.fields["steps"][0]["output"] == "memory/x.md"
    again = await ask(bench, "goal_outcome", goal=goal, step="s1", result="memory/x.md")
    assert again.fields["version"] == first.fields["version"]
    other = await ask(bench, "goal_outcome", goal=goal, step="s1", result="memory/y.md")
    assert (other.code, other.detail["outcome"]) == ("conflict", "memory/x.md")
    whole = await ask(bench, "goal_outcome", goal=goal, result="Sold out\nby noon: 'yes'")
    assert whole.fields["outcome"] == "Sold out\nby noon: 'yes'"
    assert (await ask(bench, "goal_outcome", goal=goal, result=" ")).code == "invalid_argument"
    assert (await ask(bench, "goal_outcome", goal=goal, step="s9", result="x")).code == "not_found"


async def test_a_full_older_record_does_not_undo_a_change(bench: Bench) -> None:
    goal = (await make(bench)).fields["goal"]
    (bench.root / "harbor/goal_history.jsonl").unlink()
    (bench.root / "harbor/goal_history.jsonl").mkdir()
    moved = await ask(bench, "goal_transition", goal=goal, to="in_progress", expect_status="pending")
    assert moved.code is None
    assert "goal_history.jsonl lacks this" in moved.fields["problems"][0]


async def test_an_agent_sees_its_own_goals_only(bench: Bench) -> None:
    goal = (await make(bench)).fields["goal"]
    reef = bench.config(agent="reef")
    assert (await call(create, reef, "goal_list")).fields["items"] == []
    assert (await call(create, reef, "goal_get", goal=goal)).code == "not_found"
    as_run = await call(create, bench.config(agent="reef"), "goal_get", bench.run_meta("harbor"), goal=goal)
    assert as_run.code is None


async def test_resources_prompts_status_and_doctor(bench: Bench) -> None:
    made = (await make(bench)).fields
    bench.write("harbor/goals/sad.md", "---\nstatus: odd\n---\n")
    bench.write(
        "harbor/goals/lone.md",
        "---\ntitle: t\nparent_goal: gone\npriority: x\nsub_goals:\n- id: a\n  blocked_by: q\n---\n",
    )
    async with Client(create(bench.config(role=Role.OPERATOR)), raise_exceptions=True) as client:
        text = text_in((await client.read_resource(f"goal://{made['goal']}")).contents[0])
        assert text == bench.read(made["path"])
        active = text_in((await client.read_resource("goal://active")).contents[0])
        assert "Ship it" in active
        assert "sad.md" in active
        with pytest.raises(MCPError):
            await client.read_resource("goal://goal_none")
        plan = await client.get_prompt("plan_goal", {"wish": "a better shop"})
        assert "a better shop" in text_in(plan.messages[0].content)
        review = await client.get_prompt("review_goals", {})
        assert "2026-11-20" in text_in(review.messages[0].content)
        status = await client.call_tool("goal_status", {})
        assert status.structured_content["counts"] == {"goals": 2, "open": 2, "unreadable": 1}
        report = await client.call_tool("goal_doctor", {})
        found = {(f["check"], f["file"].rsplit("/")[-1], f["line"]) for f in report.structured_content["findings"]}
    assert found == {
        ("goal_files", "sad.md", 2),
        ("goal_fields", "lone.md", 4),
        ("goal_links", "lone.md", None),
    }


async def test_the_default_profile_holds_what_an_agent_needs(bench: Bench) -> None:
    async with Client(create(bench.config())) as client:
        tools = (await client.list_tools()).tools
    assert [tool.name for tool in tools] == [
        "goal_create", "goal_list", "goal_get", "goal_transition", "goal_add_steps", "goal_outcome",
    ]  # fmt: skip
    for tool in tools:
        shown = {"name": tool.name, "description": tool.description, "input_schema": tool.input_schema}
        assert len(json.dumps(shown, separators=(",", ":"))) < 900, tool.name


async def test_a_changed_file_touches_its_resources(bench: Bench) -> None:
    server = create(bench.config())
    assert server.domain.uris_of("harbor/goals/x.md") == ["goal://x", "goal://active"]
    assert server.domain.uris_of("harbor/goal.md") == ["goal://goal", "goal://active"]
    assert server.domain.uris_of("harbor/journal/x.md") == []
