"""The queue server through the protocol."""

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
from argosy_core.types import Role
from argosy_queue.server import create

pytestmark = pytest.mark.anyio


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


async def as_agent(bench: Bench, tool: str, agent: str = "harbor", **arguments: Any) -> Answer:
    return await call(create, bench.config(agent), tool, **arguments)


async def as_host(bench: Bench, tool: str, agent: str = "harbor", **arguments: Any) -> Answer:
    """A call that the host makes for a run of *agent*."""
    return await call(create, bench.config(agent), tool, bench.run_meta(agent), **arguments)


async def as_operator(bench: Bench, tool: str, **arguments: Any) -> Answer:
    return await call(create, bench.config(None, Role.OPERATOR), tool, **arguments)


async def enqueue(bench: Bench, agent: str = "harbor", **more: Any) -> dict[str, Any]:
    arguments: dict[str, Any] = {"queue": "mail", "payload": {"to": "rhea"}, **more}
    answer = await as_agent(bench, "queue_enqueue", agent, **arguments)
    assert answer.code is None, answer.text
    return answer.fields


async def claim(bench: Bench, **more: Any) -> dict[str, Any]:
    answer = await as_host(bench, "queue_claim", queue="mail", worker="w1", lease_s=30, **more)
    assert answer.code is None, answer.text
    [item] = answer.fields["items"]
    return item


def log_of(bench: Bench, stream: str = "harbor") -> list[dict[str, Any]]:
    files = sorted((bench.root / stream / "log").rglob("*.jsonl"))
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


async def test_work_is_enqueued_claimed_and_completed(bench: Bench) -> None:
    made = await enqueue(bench, priority=2, key="k")
    assert (made["queue"], made["state"], made["duplicate"], made["creator"]) == ("mail", "ready", False, "harbor")
    claimed = await claim(bench)
    assert (claimed["id"], claimed["queue"], claimed["payload"], claimed["attempt"]) == (
        made["id"],
        "mail",
        {"to": "rhea"},
        1,
    )
    assert claimed["lease"]["generation"] == 1
    assert claimed["lease"]["expires_at"] == "2026-11-20T09:00:30.000Z"
    held = {"item": claimed["id"], "token": claimed["lease"]["token"]}
    bench.clock.advance(20)  # type: ignore[attr-defined]
    renewed = await as_host(bench, "queue_renew", **held, lease_s=60)
    assert renewed.fields["lease"]["expires_at"] == "2026-11-20T09:01:20.000Z"
    done = await as_host(bench, "queue_complete", **held, result={"sent": True})
    assert (done.fields["id"], done.fields["state"]) == (made["id"], "done")
    again = await as_agent(bench, "queue_enqueue", queue="mail", payload={"to": "rhea"}, key="k")
    assert (again.fields["id"], again.fields["state"], again.fields["duplicate"]) == (made["id"], "done", True)
    assert again.fields["result"] == {"sent": True}
    assert again.text.startswith("Already there")


async def test_nothing_ready_is_an_empty_claim(bench: Bench) -> None:
    answer = await as_host(bench, "queue_claim", queue="mail", worker="w1", lease_s=30)
    assert (answer.code, answer.fields) == (None, {"items": []})


async def test_every_change_is_an_event_in_the_creators_stream(bench: Bench) -> None:
    made = await enqueue(bench, max_attempts=2)
    for end in ("queue_release", "queue_fail"):
        item = await claim(bench)
        more: dict[str, Any] = {"error": "no ink", "retry_in_s": 0} if end == "queue_fail" else {}
        await as_host(bench, end, item=made["id"], token=item["lease"]["token"], **more)
    await claim(bench)
    bench.clock.advance(31)  # type: ignore[attr-defined]
    await as_agent(bench, "queue_inspect")
    await as_operator(bench, "queue_retry", item=made["id"])
    await as_operator(bench, "queue_prioritize", item=made["id"], priority=4)
    await as_agent(bench, "queue_cancel", item=made["id"])
    await as_agent(bench, "queue_cancel", item=made["id"])
    events = log_of(bench)
    assert [event["kind"].removeprefix("queue.") for event in events] == [
        *("enqueue", "claim", "release", "claim", "fail", "claim", "dead", "retry", "prioritize", "cancel")
    ]
    assert all(event["item"] == made["id"] and event["queue"] == "mail" for event in events)
    assert events[1]["run_id"] == "run-1"
    assert (events[1]["worker"], events[1]["generation"]) == ("w1", 1)
    assert events[4]["reason"] == "no ink"
    assert "lease" in events[6]["reason"]


async def test_an_agent_sees_and_changes_only_what_it_made(bench: Bench) -> None:
    mine = await enqueue(bench)
    theirs = await enqueue(bench, "reef", key="k")
    calls: list[tuple[str, dict[str, Any]]] = [
        ("queue_cancel", {}),
        ("queue_explain", {}),
        ("queue_retry", {}),
        ("queue_prioritize", {"priority": 1}),
        ("queue_wait", {"timeout_s": 1}),
    ]
    for tool, more in calls:
        refused = await as_agent(bench, tool, item=theirs["id"], **more)
        assert refused.code == "not_found", tool
        unknown = await as_agent(bench, tool, item="item_nope", **more)
        assert unknown.text.replace("item_nope", theirs["id"]) == refused.text, "it does not tell that there is one"
    assert [item["id"] for item in (await as_agent(bench, "queue_inspect")).fields["items"]] == [mine["id"]]
    as_run = await as_host(bench, "queue_inspect")
    assert [item["id"] for item in as_run.fields["items"]] == [mine["id"]], "a run sees what its agent sees"
    taken = await as_agent(bench, "queue_enqueue", queue="mail", payload={"to": "rhea"}, key="k")
    assert taken.code == "conflict" and theirs["id"] not in taken.text
    everything = (await as_operator(bench, "queue_inspect")).fields["items"]
    assert {item["id"] for item in everything} == {mine["id"], theirs["id"]}
    assert (await as_operator(bench, "queue_cancel", item=theirs["id"])).fields["state"] == "cancelled"
    assert (await as_agent(bench, "queue_status")).fields["counts"] == {"ready": 1}


async def test_tools_are_for_their_roles(bench: Bench) -> None:
    made = await enqueue(bench)
    for tool in ("queue_claim", "queue_renew", "queue_complete", "queue_fail", "queue_release", "queue_drain"):
        assert (await as_agent(bench, tool)).code == "permission_denied"
    assert (await as_host(bench, "queue_drain", queue="mail")).code == "permission_denied"
    forged = await call(create, bench.config(), "queue_cancel", {"argosy/run": "forged"}, item=made["id"])
    assert forged.code == "unauthenticated"
    async with Client(create(bench.config())) as client:
        assert {t.name for t in (await client.list_tools()).tools} == {"queue_enqueue", "queue_inspect", "queue_cancel"}
    async with Client(create(bench.config(profile="full"))) as client:
        assert len((await client.list_tools()).tools) <= 12


async def test_the_creators_authority_travels_with_the_item(bench: Bench) -> None:
    token = bench.tokens.issue("harbor", "run-7", grant="grant-3")
    answer = await call(create, bench.config(), "queue_enqueue", {"argosy/run": token}, queue="mail", payload={})
    assert answer.code is None
    item = await claim(bench)
    assert (item["creator"], item["grant"], item["trigger"]) == ("harbor", "grant-3", "run-7")


async def test_an_older_token_is_a_conflict(bench: Bench) -> None:
    await enqueue(bench)
    old = await claim(bench)
    bench.clock.advance(31)  # type: ignore[attr-defined]
    new = await claim(bench)
    held = {"item": old["id"], "token": old["lease"]["token"]}
    calls: list[tuple[str, dict[str, Any]]] = [
        ("queue_complete", {"result": {}}),
        ("queue_fail", {"error": "x"}),
        ("queue_release", {}),
        ("queue_renew", {"lease_s": 30}),
    ]
    for tool, more in calls:
        refused = await as_host(bench, tool, **held, **more)
        assert refused.code == "conflict", tool
        assert refused.detail["generation"] == 2
    done = await as_host(bench, "queue_complete", item=new["id"], token=new["lease"]["token"], result={})
    assert done.fields["state"] == "done"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"queue": "../x"}, "invalid_argument"),
        ({"queue": ""}, "invalid_argument"),
        ({"payload": {"x": "y" * 262_144}}, "too_large"),
        ({"not_before": "tomorrow"}, "invalid_argument"),
        ({"max_attempts": 0}, "invalid_argument"),
        ({"priority": "high"}, "invalid_argument"),
        ({"key": "a\nb"}, "invalid_argument"),
        ({"key": "schedule:nightly:1"}, "invalid_argument"),
        ({"needs": {"gpu": None}}, "invalid_argument"),
        ({"payload": "text"}, "invalid_argument"),
        ({"bogus": 1}, "invalid_argument"),
    ],
)
async def test_bad_work_is_refused(bench: Bench, arguments: dict[str, Any], code: str) -> None:
    given: dict[str, Any] = {"queue": "mail", "payload": {}, **arguments}
    assert (await as_agent(bench, "queue_enqueue", **given)).code == code
    assert not (bench.root / "_fleet/queue").exists()
    assert log_of(bench) == []


async def test_who_is_no_agent_of_the_vault_enqueues_nothing(bench: Bench) -> None:
    refused = await as_agent(bench, "queue_enqueue", "nobody", queue="mail", payload={})
    assert refused.code == "not_found"
    unnamed = await call(create, bench.config(None), "queue_enqueue", queue="mail", payload={})
    assert unnamed.code == "invalid_argument"
    operator = await as_operator(bench, "queue_enqueue", queue="mail", payload={})
    assert operator.fields["creator"] is None
    assert [event["kind"] for event in log_of(bench, "_fleet")] == ["queue.enqueue"]


async def test_a_key_used_for_other_work_is_a_conflict(bench: Bench) -> None:
    made = await enqueue(bench, key="k")
    refused = await as_agent(bench, "queue_enqueue", queue="mail", payload={"to": "dora"}, key="k")
    assert (refused.code, refused.detail["item"]) == ("conflict", made["id"])


async def test_every_reason_is_explained(bench: Bench) -> None:
    await enqueue(bench, "reef", conflict_keys=["printer"])
    await claim(bench)
    made = await enqueue(bench, conflict_keys=["printer"], needs=["gpu"], not_before="2026-11-20T10:00:00Z")
    answer = await as_agent(bench, "queue_explain", item=made["id"])
    assert [reason["kind"] for reason in answer.fields["reasons"]] == ["time", "conflict_key", "needs"]
    assert "another item" in answer.text, "whose it is, is not this agent's to know"
    assert answer.fields["item"]["payload"] == {"to": "rhea"}
    free = await enqueue(bench)
    assert "waits for the next worker" in (await as_agent(bench, "queue_explain", item=free["id"])).text


async def test_needs_and_profile_may_be_names_or_values(bench: Bench) -> None:
    await enqueue(bench, needs=["gpu"])
    await enqueue(bench, needs={"memory_gb": 16})
    assert (await claim(bench, profile={"memory_gb": 32, "gpu": False}))["payload"]
    assert (await claim(bench, profile=["gpu"]))["payload"]


async def test_pages_hold_everything_once(bench: Bench) -> None:
    made = {(await enqueue(bench, payload={"n": n}))["id"] for n in range(5)}
    seen: list[str] = []
    cursor: str | None = None
    for _ in range(3):
        page = await as_agent(bench, "queue_inspect", queue="mail", state="ready", limit=2, cursor=cursor)
        seen += [item["id"] for item in page.fields["items"]]
        cursor = page.fields["next_cursor"]
    assert (set(seen), len(seen), cursor) == (made, 5, None)
    for bad in ("nonsense", "WzFd", "WyJ4Il0"):
        assert (await as_agent(bench, "queue_inspect", cursor=bad)).code == "invalid_argument"
    assert (await as_agent(bench, "queue_inspect", state="lost")).code == "invalid_argument"


async def test_lists_leave_long_payloads_out(bench: Bench) -> None:
    made = await enqueue(bench, payload={"text": "x" * 5000})
    [listed] = (await as_agent(bench, "queue_inspect")).fields["items"]
    assert listed["payload"] is None
    assert (await as_agent(bench, "queue_explain", item=made["id"])).fields["item"]["payload"] == {"text": "x" * 5000}


async def test_the_dead_are_retried(bench: Bench) -> None:
    made = await enqueue(bench, max_attempts=1)
    item = await claim(bench)
    dead = await as_host(bench, "queue_fail", item=made["id"], token=item["lease"]["token"], error="no ink")
    assert (dead.fields["state"], "no ink" in dead.fields["reason"]) == ("dead", True)
    [finding] = (await as_operator(bench, "queue_doctor")).fields["findings"]
    assert (finding["status"], finding["check"]) == ("warn", "queue_dead")
    assert made["id"] in finding["fix"]
    assert (await as_agent(bench, "queue_retry", item=made["id"])).fields["state"] == "ready"
    assert (await as_agent(bench, "queue_retry", item=made["id"])).code == "conflict"
    assert (await claim(bench))["attempt"] == 1


async def test_a_held_item_waits_until_it_is_retried(bench: Bench) -> None:
    made = await enqueue(bench)
    item = await claim(bench)
    held = await as_host(bench, "queue_release", item=made["id"], token=item["lease"]["token"], hold="question 7")
    assert held.fields["state"] == "held"
    assert "question 7" in (await as_agent(bench, "queue_explain", item=made["id"])).text
    await as_agent(bench, "queue_retry", item=made["id"])
    assert (await claim(bench))["attempt"] == 1


async def test_draining_cancels_what_waits(bench: Bench) -> None:
    for agent in ("harbor", "harbor", "reef"):
        await enqueue(bench, agent)
    await claim(bench)
    drained = await as_operator(bench, "queue_drain", queue="mail")
    assert drained.fields == {"queue": "mail", "cancelled": 2, "leased": 1}
    assert log_of(bench)[-1]["kind"] == log_of(bench, "reef")[-1]["kind"] == "queue.drain"
    assert (await as_operator(bench, "queue_drain", queue="none")).fields["cancelled"] == 0
    assert (await as_operator(bench, "queue_drain", queue="../x")).code == "invalid_argument"


async def test_waiting_is_bounded_and_tells_how_it_goes(bench: Bench) -> None:
    made = await enqueue(bench)
    told: list[float] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        assert total == 60 and made["id"] in (message or "")
        told.append(progress)

    async with Client(create(bench.config(profile="full"))) as client:
        await client.list_tools()
        arguments = {"item": made["id"], "timeout_s": 5000}
        result = await client.call_tool("queue_wait", arguments, progress_callback=hear)
    fields = result.structured_content or {}
    assert (fields["finished"], fields["state"], bench.clock.monotonic()) == (False, "ready", 60)
    assert len(told) > 10 and told == sorted(told)


async def test_waiting_ends_with_the_item(tmp_path: Path) -> None:
    bench = Bench(tmp_path, SystemClock())
    made = await enqueue(bench)
    config = bench.config()
    found: list[dict[str, Any]] = []
    with anyio.fail_after(30):
        async with Client(create(config)) as waiting, anyio.create_task_group() as tasks:

            async def wait() -> None:
                result = await waiting.call_tool("queue_wait", {"item": made["id"], "timeout_s": 25})
                found.append(result.structured_content or {})

            tasks.start_soon(wait)
            item = await claim(bench)
            await as_host(bench, "queue_complete", item=item["id"], token=item["lease"]["token"], result={"ok": 1})
    assert (found[0]["finished"], found[0]["state"], found[0]["result"]) == (True, "done", {"ok": 1})


async def test_two_processes_share_the_work(tmp_path: Path) -> None:
    bench = Bench(tmp_path, SystemClock())
    got: list[str] = []

    async def work(name: str) -> None:
        async with Client(create(bench.config(None, Role.OPERATOR))) as client:
            await client.list_tools()
            for number in range(6):
                arguments = {"queue": "mail", "payload": {"n": number}, "key": str(number)}
                assert not (await client.call_tool("queue_enqueue", arguments)).is_error
            while True:
                result = await client.call_tool("queue_claim", {"queue": "mail", "worker": name, "lease_s": 600})
                items = (result.structured_content or {})["items"]
                if not items:
                    break
                held = {"item": items[0]["id"], "token": items[0]["lease"]["token"], "result": {}}
                assert not (await client.call_tool("queue_complete", held)).is_error
                got.append(items[0]["id"])

    with anyio.fail_after(45):
        async with anyio.create_task_group() as tasks:
            for name in ("one", "two", "three"):
                tasks.start_soon(work, name)
    assert len(got) == len(set(got)) == 6


async def test_a_broken_file_is_named_and_the_rest_goes_on(bench: Bench) -> None:
    await enqueue(bench)
    bench.write("_fleet/queue/mail/ready/mine.json", '{"payload": {},\n  "priority": "high"\n}')
    bench.write("_fleet/queue/mail/ready/torn.json", '{"payload":\n')
    assert (await claim(bench))["payload"] == {"to": "rhea"}
    findings = (await as_operator(bench, "queue_doctor")).fields["findings"]
    assert {(f["file"], f["line"]) for f in findings} == {
        ("_fleet/queue/mail/ready/mine.json", 1),
        ("_fleet/queue/mail/ready/torn.json", 2),
    }
    assert all(f["status"] == "fail" and f["fix"] for f in findings)
    assert (await as_operator(bench, "queue_explain", item="torn")).code == "corrupted"
    listed = (await as_operator(bench, "queue_inspect", state="ready")).fields["items"]
    assert all(item["problem"] for item in listed) and len(listed) == 2
    assert bench.read("_fleet/queue/mail/ready/torn.json") == '{"payload":\n'


async def test_resources_and_prompt(bench: Bench) -> None:
    made = await enqueue(bench)
    theirs = await enqueue(bench, "reef")
    server = create(bench.config())
    async with Client(server) as client:
        queue = json.loads(text_in((await client.read_resource("queue://mail")).contents[0]))
        assert (queue["counts"], [item["id"] for item in queue["items"]]) == ({"ready": 1}, [made["id"]])
        item = json.loads(text_in((await client.read_resource(f"queue://item/{made['id']}")).contents[0]))
        assert (item["id"], item["payload"]) == (made["id"], {"to": "rhea"})
        for uri in ("queue://none", f"queue://item/{theirs['id']}", "queue://item/nope"):
            with pytest.raises(MCPError):
                await client.read_resource(uri)
        prompt = await client.get_prompt("why_waiting", {"item": made["id"]})
        assert made["id"] in text_in(prompt.messages[0].content)
    path = f"_fleet/queue/mail/ready/{made['id']}.json"
    assert server.domain.uris_of(path) == ["queue://mail", f"queue://item/{made['id']}"]
    assert server.domain.uris_of("harbor/log/2026-11/2026-11-20.jsonl") == []
