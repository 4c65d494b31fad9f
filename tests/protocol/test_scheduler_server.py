"""The scheduler server through the protocol, over real files and the real queue."""

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
from argosy_core.serving.config import ServerConfig, open_store
from argosy_core.storage.base import NewItem
from argosy_core.types import Role
from argosy_scheduler.engine import Engine
from argosy_scheduler.server import create

pytestmark = pytest.mark.anyio
DAILY = {"cron": "0 7 * * 1-5"}
HARBOR = {"agent": "harbor"}


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


async def ask(
    bench: Bench, tool: str, agent: str | None = "harbor", role: Role = Role.AGENT, **arguments: Any
) -> Answer:
    """Call a tool as an agent, or as a person."""
    return await call(create, bench.config(agent, role, profile="full"), f"schedule_{tool}", **arguments)


async def person(bench: Bench, tool: str, **arguments: Any) -> Answer:
    return await ask(bench, tool, None, Role.OPERATOR, **arguments)


async def put(bench: Bench, name: str = "brief", **more: Any) -> Answer:
    arguments: dict[str, Any] = {"name": name, "when": DAILY, "target": HARBOR, "input": "Write it.", **more}
    return await ask(bench, "put", **arguments)


def log_of(bench: Bench) -> list[dict[str, Any]]:
    files = sorted((bench.root / "_fleet" / "log").rglob("*.jsonl"))
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


# Writing


async def test_a_trigger_is_a_file_that_a_person_can_read(bench: Bench) -> None:
    made = await put(bench, timezone="Europe/Berlin", misfire="once", jitter_s=30)
    assert made.code is None, made.text
    assert (made.fields["name"], made.fields["path"]) == ("brief", "_fleet/triggers/brief.md")
    assert made.fields["next"].startswith("2026-11-23T06:00:")
    assert bench.read("_fleet/triggers/brief.md") == (
        "---\n"
        "cron: 0 7 * * 1-5\n"
        "agent: harbor\n"
        "timezone: Europe/Berlin\n"
        "misfire: once\n"
        "jitter_s: 30\n"
        "created: 2026-11-20T09:00:00Z\n"
        "creator: harbor\n"
        "---\n\nWrite it.\n"
    )
    [event] = log_of(bench)
    assert (event["kind"], event["trigger"], event["agent"]) == ("schedule.put", "brief", "harbor")


async def test_putting_the_same_again_changes_nothing(bench: Bench) -> None:
    first, again = await put(bench), await put(bench)
    assert first.fields["version"] == again.fields["version"]
    assert len(log_of(bench)) == 1


async def test_a_persons_formatting_stays(bench: Bench) -> None:
    text = (
        "---\n# mornings\ncron: '0 7 * * *'  # early\nagent: harbor\ntags: [daily,  mine]\ncreator: harbor\n"
        "---\n\n# Brief\n\nWrite it.\n"
    )
    bench.write("_fleet/triggers/brief.md", text)
    await put(bench, when={"cron": "0 8 * * *"}, input=None, enabled=False)
    after = bench.read("_fleet/triggers/brief.md")
    assert "# mornings\n" in after and "  # early\n" in after and "tags: [daily,  mine]\n" in after
    assert "0 8 * * *" in after and after.endswith("---\n\n# Brief\n\nWrite it.\n") and "enabled: false\n" in after
    await put(bench, when={"every_s": 60}, input="Another task.")
    after = bench.read("_fleet/triggers/brief.md")
    assert "cron" not in after and "every_s: 60\n" in after and after.endswith("---\n\nAnother task.\n")


@pytest.mark.parametrize(
    "when",
    [
        {"cron": "@daily"},
        {"every_s": 90},
        {"at": "2026-12-24T18:00:00+01:00"},
        {"webhook": {"path": "git/push", "secret_name": "GIT_HOOK"}},
        {"watch": {"glob": "harbor/inbox/*.md"}},
        {"event": {"kind": "goal.transition"}},
    ],
)
async def test_every_form_of_when_is_kept_and_read_back(bench: Bench, when: dict[str, Any]) -> None:
    made = await put(bench, when=when)
    got = await ask(bench, "get", name="brief")
    assert got.fields["when"].keys() == when.keys() and got.fields == made.fields
    if "webhook" in when:
        assert "POST /hooks/git/push" in got.fields["note"] and got.fields["when"] == when


async def test_off_and_on_and_away(bench: Bench) -> None:
    await put(bench)
    off = await ask(bench, "enable", name="brief", enabled=False)
    assert off.fields["enabled"] is False and off.fields["next"] is None and "[off]" in off.text
    on = await ask(bench, "enable", name="brief", enabled=True)
    assert on.fields["enabled"] is True and on.fields["next"]
    gone = await ask(bench, "delete", name="brief")
    assert gone.fields["path"].startswith("_fleet/triggers/.archive/brief.20261120T")
    assert "Write it." in bench.read(gone.fields["path"])
    assert (await ask(bench, "get", name="brief")).code == "not_found"
    assert (await ask(bench, "list")).fields["items"] == []
    kinds = [entry["kind"] for entry in (await person(bench, "history", name="brief")).fields["items"]]
    assert kinds == ["deleted", "enabled", "disabled", "put"]


async def test_a_deleted_name_may_be_used_again(bench: Bench) -> None:
    for _ in range(2):
        assert (await put(bench)).code is None
        assert (await ask(bench, "delete", name="brief")).code is None
    assert len(list((bench.root / "_fleet/triggers/.archive").iterdir())) >= 1


# Reading


async def test_lists_page_by_name_and_name_what_is_broken(bench: Bench) -> None:
    for name in ("c", "a", "b"):
        await put(bench, name)
    bench.write("_fleet/triggers/bad.md", "---\ncron: 0 7 * *\nagent: harbor\n---\n")
    bench.write("_fleet/triggers/README.md", "About triggers.\n")
    first = await ask(bench, "list", limit=2)
    assert [item["name"] for item in first.fields["items"]] == ["a", "b"]
    assert first.fields["problems"] and "bad.md line 2: a cron has five fields, not 4" in first.text
    rest = await ask(bench, "list", limit=2, cursor=first.fields["next_cursor"])
    assert [item["name"] for item in rest.fields["items"]] == ["c"] and rest.fields["next_cursor"] is None


async def test_the_next_times_are_told_in_the_triggers_own_zone(bench: Bench) -> None:
    await put(bench, when={"cron": "30 2 * * *"}, timezone="Europe/Berlin")
    coming = await ask(bench, "next", name="brief", count=2)
    assert [(slot["slot"], slot["local"]) for slot in coming.fields["items"]] == [
        ("2026-11-21T01:30:00.000Z", "2026-11-21T02:30:00+01:00"),
        ("2026-11-22T01:30:00.000Z", "2026-11-22T02:30:00+01:00"),
    ]
    await put(bench, when={"watch": {"glob": "harbor/inbox/*.md"}})
    watched = await ask(bench, "next", name="brief")
    assert watched.fields["items"] == [] and "harbor/inbox/*.md" in watched.text


async def test_firing_by_hand_makes_an_item_each_time_and_history_tells(bench: Bench) -> None:
    await put(bench, when={"webhook": {"path": "git/push", "secret_name": "GIT"}})
    first, second = await ask(bench, "fire", name="brief"), await ask(bench, "fire", name="brief")
    assert first.code is None and first.fields["item"] != second.fields["item"]
    config = bench.config()
    item = await config.store.items.get(first.fields["item"])
    config.store.close()
    assert item.payload["task"] == "Write it." and (item.creator, item.trigger) == ("harbor", "brief")
    page = await ask(bench, "history", name="brief", limit=2)
    assert [entry["kind"] for entry in page.fields["items"]] == ["fired", "fired"] and "by hand" in page.text
    rest = await ask(bench, "history", name="brief", limit=2, cursor=page.fields["next_cursor"])
    assert [entry["kind"] for entry in rest.fields["items"]] == ["put"]
    assert (await ask(bench, "get", name="brief")).fields["last"] == second.fields["slot"]


async def test_a_firing_of_long_ago_is_still_known(bench: Bench) -> None:
    clock: Any = bench.clock
    await put(bench, when={"cron": "0 7 1 12 *"}, misfire="once")
    config = bench.config()
    await Engine(config).tick()
    clock.advance(11 * 86_400)
    await Engine(config).tick()
    config.store.close()
    clock.advance(60 * 86_400)
    got = await ask(bench, "get", name="brief")
    assert (got.fields["last"], got.fields["next"]) == ("2026-12-01T07:00:00.000Z", "2027-12-01T07:00:00.000Z")


# Who may


async def test_an_agent_schedules_itself_only(bench: Bench) -> None:
    other = await put(bench, target={"agent": "reef"})
    assert other.code == "permission_denied" and "itself only" in other.text
    assert (await put(bench, when={"watch": {"glob": "reef/inbox/*.md"}})).code == "permission_denied"
    assert (await put(bench, target={"queue": "grind"})).code is None
    assert (await put(bench, target={"queue": "runs"})).code == "invalid_argument"
    by_person = await person(bench, "put", name="tide", when=DAILY, target={"agent": "reef"})
    assert by_person.code is None and by_person.fields["creator"] is None


async def test_an_agent_changes_only_what_it_made(bench: Bench) -> None:
    await person(bench, "put", name="tide", when=DAILY, target=HARBOR)
    await ask(bench, "put", "reef", name="own", when=DAILY, target={"agent": "reef"})
    for name in ("tide", "own"):
        taken = await put(bench, name)
        assert taken.code == "permission_denied" and "choose another name" in taken.text
    calls: list[tuple[str, dict[str, Any]]] = [("enable", {"enabled": False}), ("delete", {}), ("fire", {})]
    for tool, more in calls:
        assert (await ask(bench, tool, name="tide", **more)).code == "permission_denied"
        assert (await ask(bench, tool, name="own", **more)).code == "not_found"
    assert [item["name"] for item in (await ask(bench, "list")).fields["items"]] == ["tide"]
    assert [item["name"] for item in (await person(bench, "list")).fields["items"]] == ["own", "tide"]
    assert (await person(bench, "delete", name="own")).code is None


async def test_authority_travels_from_the_run_that_made_it(bench: Bench) -> None:
    meta = {"argosy/run": bench.tokens.issue("harbor", "run-7", grant="grant-3")}
    arguments = {"name": "brief", "when": {"every_s": 60}, "target": HARBOR, "input": "Go."}
    made = await call(create, bench.config(None), "schedule_put", meta, **arguments)
    assert made.fields["creator"] == "harbor"
    assert "grant: grant-3\n" in bench.read("_fleet/triggers/brief.md")
    assert log_of(bench)[0]["run_id"] == "run-7"
    fired = await ask(bench, "fire", name="brief")
    config = bench.config()
    item = await config.store.items.get(fired.fields["item"])
    config.store.close()
    assert (item.creator, item.grant) == ("harbor", "grant-3")


async def test_agents_are_shown_three_tools_and_operators_all(bench: Bench) -> None:
    async with Client(create(bench.config())) as client:
        tools = (await client.list_tools()).tools
    assert [tool.name for tool in tools][:3] == ["schedule_put", "schedule_list", "schedule_delete"]
    assert "schedule_fire" not in {tool.name for tool in tools}
    sizes = {t.name: len(json.dumps([t.name, t.description, t.input_schema])) for t in tools}
    assert sizes["schedule_put"] < 1200 and sum(sizes.values()) < 2400, sizes
    async with Client(create(bench.config(None, Role.OPERATOR))) as client:
        names = {tool.name for tool in (await client.list_tools()).tools}
    assert {"schedule_fire", "schedule_history", "scheduler_doctor", "scheduler_status"} <= names


async def test_an_agent_may_not_fill_the_vault_with_triggers(bench: Bench) -> None:
    for number in range(200):
        bench.write(f"_fleet/triggers/t{number}.md", "---\nevery_s: 60\nagent: harbor\ncreator: harbor\n---\n")
    assert (await put(bench)).code == "too_large"
    assert (await put(bench, "t7")).code is None
    assert (await person(bench, "put", name="brief", when=DAILY, target=HARBOR)).code is None


# What is refused


@pytest.mark.parametrize(
    ("tool", "arguments", "code"),
    [
        ("put", {"when": {"cron": "0 25 * * *"}}, "invalid_argument: the hour field '25'"),
        ("put", {"when": {}}, "invalid_argument: when: nothing is given"),
        ("put", {"when": {"cron": "* * * * *", "at": "2026-12-01"}}, "invalid_argument: when: both"),
        ("put", {"when": {"often": 1}}, "invalid_argument: when does not take often"),
        ("put", {"timezone": "Europe/Berln"}, "invalid_argument: there is no time zone"),
        ("put", {"target": {}}, "invalid_argument: the target"),
        ("put", {"target": {"agent": "a/b"}}, "invalid_argument: 'a/b' is no agent's name"),
        ("put", {"target": {"agent": "harbor", "queue": "x"}}, "invalid_argument: the target"),
        ("put", {"misfire": "never"}, "invalid_argument"),
        ("put", {"jitter_s": -1}, "invalid_argument: jitter_s"),
        ("put", {"name": "agenda"}, "invalid_argument: 'agenda' means something else"),
        ("put", {"name": "../x"}, "invalid_argument"),
        ("put", {"name": "a b"}, "invalid_argument: not a name for a trigger"),
        ("put", {"name": ".x"}, "invalid_argument"),
        ("put", {"input": "x" * 20_001}, "too_large"),
        ("put", {"when": {"watch": {"glob": "**"}}}, "invalid_argument: the glob '**' watches everything"),
        ("put", {"when": {"event": {"kind": "schedule.fired"}}}, "invalid_argument: schedule.fired is the scheduler"),
        ("get", {"name": "nope"}, "not_found"),
        ("get", {"name": "../../etc"}, "invalid_argument"),
        ("get", {"name": "README"}, "invalid_argument"),
        ("next", {"name": "nope"}, "not_found"),
        ("next", {"name": "nope", "count": 0}, "invalid_argument: count"),
        ("history", {"name": "nope"}, "not_found"),
        ("fire", {"name": "nope"}, "not_found"),
        ("delete", {"name": "nope"}, "not_found"),
        ("enable", {"name": "nope", "enabled": True}, "not_found"),
        ("list", {"cursor": "x"}, "invalid_argument: not a cursor"),
        ("list", {"cursor": "WzFd"}, "invalid_argument: not a cursor"),
        ("list", {"bogus": 1}, "invalid_argument: schedule_list does not take bogus"),
    ],
)
async def test_bad_input_is_named(bench: Bench, tool: str, arguments: dict[str, Any], code: str) -> None:
    given: dict[str, Any] = {"name": "x", "when": DAILY, "target": HARBOR, **arguments} if tool == "put" else arguments
    answer = await ask(bench, tool, **given)
    assert answer.text.startswith(code), answer.text
    assert "(" in answer.text or tool == "next"


async def test_an_agent_that_is_not_there_gets_no_work(bench: Bench) -> None:
    assert (await person(bench, "put", name="x", when=DAILY, target={"agent": "nobody"})).code == "not_found"


async def test_a_broken_file_is_left_as_it_is(bench: Bench) -> None:
    text = "---\ncron: [0 7\nagent: harbor\n---\nMine.\n"
    bench.write("_fleet/triggers/brief.md", text)
    for answer in (
        await put(bench),
        await person(bench, "get", name="brief"),
        await person(bench, "delete", name="brief"),
    ):
        assert answer.code == "corrupted" and "brief.md line" in answer.text
    assert bench.read("_fleet/triggers/brief.md") == text


async def test_the_doctor_says_what_is_wrong_and_where(bench: Bench) -> None:
    bench.write("_fleet/triggers/a.md", "---\ncron: 0 7 * * *\nagent: nobody\n---\n")
    bench.write("_fleet/triggers/b.md", "---\nat: 2020-01-01T00:00:00Z\nagent: harbor\n---\n")
    bench.write("_fleet/triggers/c.md", "---\nevery_s: 60\nagent: harbor\ntimezon: UTC\n---\n")
    bench.write("_fleet/triggers/d.md", b"---\nevery_s: 60\nagent: \xff\n---\n")
    report = await call(create, bench.config(None, Role.OPERATOR), "scheduler_doctor")
    found = {(f["file"][-4:-3], f["line"], f["status"]) for f in report.fields["findings"]}
    assert found == {("a", None, "warn"), ("b", None, "warn"), ("c", 4, "warn"), ("d", 3, "fail")}
    status = await call(create, bench.config(None, Role.OPERATOR), "scheduler_status")
    assert status.fields["counts"] == {"triggers": 3, "enabled": 3, "unreadable": 1}


# Resources, prompt, several at once, the engine over the real store


async def test_resources_and_the_prompt(bench: Bench) -> None:
    await put(bench)
    async with Client(create(bench.config()), mode="2026-07-28", cache=None) as client:
        file = await client.read_resource("schedule://brief")
        assert "Write it." in text_in(file.contents[0])
        agenda = await client.read_resource("schedule://agenda")
        assert text_in(agenda.contents[0]).splitlines()[0] == "2026-11-23T07:00:00.000Z brief"
        with pytest.raises(MCPError):
            await client.read_resource("schedule://nope")
        prompt = await client.get_prompt("make_schedule", {"wish": "every morning"})
        assert "schedule_put" in text_in(prompt.messages[0].content)


async def test_many_writers_on_one_trigger_lose_nothing_of_each_other(tmp_path: Path) -> None:
    bench = Bench(tmp_path, SystemClock())
    bench.write("_fleet/triggers/t.md", "---\ncron: 0 7 * * *\nagent: harbor\ncreator: harbor\n---\n\nGo.\n")
    configs = [bench.config(profile="full") for _ in range(2)]
    answers: list[Answer] = []

    async def change(number: int) -> None:
        fields: dict[str, Any] = [
            {"jitter_s": 5},
            {"misfire": "all"},
            {"timezone": "Europe/Berlin"},
            {"input": "Go on."},
        ][number % 4]
        arguments = {"name": "t", "when": {"cron": "0 7 * * *"}, "target": HARBOR, **fields}
        answers.append(await call(create, configs[number % 2], "schedule_put", **arguments))

    async with anyio.create_task_group() as tasks:
        for number in range(8):
            tasks.start_soon(change, number)
    assert [answer.code for answer in answers] == [None] * 8
    text = bench.read("_fleet/triggers/t.md")
    assert all(part in text for part in ("jitter_s: 5", "misfire: all", "timezone: Europe/Berlin", "Go on."))


async def test_three_engines_over_one_vault_make_one_item_a_slot(bench: Bench) -> None:
    await put(bench, when={"cron": "*/10 * * * *"}, misfire="all")
    # The engines' time is the test's; locks wait by the machine's.
    clock: Any = bench.clock
    configs = [ServerConfig(open_store(bench.root), clock=clock) for _ in range(3)]
    engines = [Engine(config) for config in configs]
    for _ in range(8):
        async with anyio.create_task_group() as tasks:
            for engine in engines:
                tasks.start_soon(engine.tick)
        clock.advance(600)
    items, _ = await configs[0].store.items.list("runs", limit=50)
    slots = sorted(str(item.payload["slot"])[11:16] for item in items)
    assert slots == ["09:10", "09:20", "09:30", "09:40", "09:50", "10:00", "10:10"]
    fired = [event for event in log_of(bench) if event["kind"] == "schedule.fired"]
    assert len(fired) == 7 and all((engine.problems) == {} for engine in engines)
    restarted = Engine(configs[0])
    clock.advance(600)
    await restarted.tick()
    items, _ = await configs[0].store.items.list("runs", limit=50)
    assert len(items) == 9
    for config in configs:
        config.store.close()


async def test_the_server_offers_its_worker_and_the_worker_ends_when_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(tmp_path, SystemClock())
    bench.write("_fleet/triggers/t.md", "---\nat: 2020-01-01T00:00:00Z\nagent: harbor\n---\n")
    bench.write("_fleet/triggers/now.md", "---\nevery_s: 1\nagent: harbor\n---\nGo.\n")
    config = bench.config()
    server: Any = create(config)
    [worker] = server.workers
    stop, enqueue = anyio.Event(), config.store.items.enqueue

    async def enqueue_and_stop(new: NewItem) -> Any:
        stop.set()
        return await enqueue(new)

    monkeypatch.setattr(config.store.items, "enqueue", enqueue_and_stop)
    with anyio.fail_after(30):
        await worker(stop)
    assert len((await config.store.items.list("runs"))[0]) == 1
    assert json.loads(bench.read(".argosy/scheduler.json"))["accounts"].keys() == {"t", "now"}
    config.store.close()
