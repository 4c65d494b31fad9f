"""Every kind of line that the older system wrote is read, traced and added up, over files and in a database."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path
from typing import Any

import anyio
import pytest
from children import ROOT
from fleet_fixtures import make_vault
from mcp import Client

from argosy_core.serving.config import ServerConfig
from argosy_core.storage.moving import move
from argosy_core.storage.opening import open_store
from argosy_log.server import create

pytestmark = pytest.mark.anyio
LINES = ROOT / "tests/data/older_log"
MAIN = "run-20260601-080000-000000-0a0b0c0d"
HELPED = "ada-2026-05-07-001"
# Kind and status of each line, as the files have them.
EARLY = [("agent_call", "ok"), ("agent_call", "ok"), ("agent_call", "error"), ("agent_call", "skipped")]
HELPERS = [("agent_call", "ok"), ("agent_call", "error"), ("agent_call", "ok")]
ONE_RUN = [
    *(("policy_decision", None), ("cost_warning", "ok"), ("helper", "ok"), ("delegate", "ok"), ("judgment", None)),
    *(("mandate_used", None), ("mandate_reservation", None), ("tool", "ok"), ("external_cost", None)),
    *(("mandate_reservation", None), ("capture", "ok"), ("capture_write_error", None), ("embed", "ok")),
    *(("agent_call", "ok"), ("escalation", "ok")),
]
OTHERS = [
    *(("agent_call", "deduped"), ("agent_call", "in_flight"), ("agent_call", "lock_busy")),
    *(("agent_call", "principal_not_verified"), ("outcome_iteration", "ok"), ("dream", "ok"), ("eval", "ok")),
    *(("judgment", "ok"), ("other", "error"), ("mandate_granted", None), ("mandate_revoked", None)),
    *(("mandate_expired", None), ("mandate_cap_exceeded_block", None), ("mandate_reservation", None)),
    *(("mandate_reservation_external_unverified", None), ("conductor_run_started", None)),
    *(("conductor_gate_pending", None), ("conductor_gate_answered", None)),
]
EVENTS = [*EARLY, *HELPERS, *ONE_RUN, *OTHERS, ("agent_call", "ok")]
TORN = "ada/log/2026-06/2026-06-01.jsonl:35"


@pytest.fixture(params=["files", "sqlite:///fleet.sqlite"], ids=["files", "sqlite"])
async def log(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[Client]:
    """The log server over a vault with the older system's files."""
    root = make_vault(tmp_path / "vault")
    for file in LINES.glob("*.jsonl"):
        (root / "ada/log" / file.stem[:7]).mkdir(parents=True, exist_ok=True)
        shutil.copy(file, root / "ada/log" / file.stem[:7])
    store = open_store(root)
    if request.param != "files":
        (tmp_path / "base").mkdir()
        target = open_store(tmp_path / "base", request.param, create=True)
        await move(store.archive, target.archive)
        store.close()
        store = target
    try:
        async with Client(create(ServerConfig(store, agent="ada", profile="full"))) as client:
            await client.list_tools()
            with anyio.fail_after(20):
                yield client
    finally:
        store.close()


async def call(client: Client, tool: str, **arguments: Any) -> Mapping[str, Any]:
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content
    assert isinstance(result.structured_content, dict)
    return result.structured_content


async def queried(client: Client, **arguments: Any) -> list[Mapping[str, Any]]:
    """What `log_query` gives, the oldest first."""
    return list((await call(client, "log_query", limit=500, **arguments))["items"])[::-1]


async def test_every_kind_is_found_in_order_and_by_its_name(log: Client) -> None:
    page = await call(log, "log_query", limit=500)
    assert [(item["kind"], item["status"]) for item in page["items"][::-1]] == EVENTS
    assert page["notes"] == [f"{TORN} is not a JSON object and was left out"]
    for kind, count in Counter(kind for kind, _ in EVENTS).items():
        assert [item["kind"] for item in await queried(log, kinds=[kind])] == [kind] * count
    for status, count in Counter(status for _, status in EVENTS if status).items():
        assert [item["status"] for item in await queried(log, status=status)] == [status] * count
    assert all((item["seq"], item["writer"], item["stream"]) == (None, None, "ada") for item in page["items"])


async def test_times_texts_and_fields_are_those_of_the_lines(log: Client) -> None:
    items = await queried(log)
    assert [item["ts"] for item in items[:4]] == [
        *("2026-05-03T12:00:00.000Z", "2026-05-04T00:18:00.000Z"),
        *("2026-05-04T02:00:00.000Z", "2026-05-04T04:59:59.999Z"),
    ]
    assert items[1]["fields"]["skill_invocation_id"] == "ada-2026-05-03-001"
    assert items[2]["fields"]["tools_called"] == ["search", "read"]
    [written] = await queried(log, text="Wrote to Bob — 🚢")
    assert (written["run"], written["fields"]["conversation_id"]) == (MAIN, "c-1")
    [windows] = await queried(log, since="2026-06-02", until="2026-06-03")
    assert windows["summary"] == "by a hand on Windows"
    assert {item["run"] for item in await queried(log, run=MAIN)} == {MAIN}


async def test_a_run_of_many_kinds_is_one_tree(log: Client) -> None:
    tree = await call(log, "log_trace", run=MAIN)
    assert (tree["status"], tree["summary"], tree["model"]) == ("ok", "Wrote to Bob — 🚢", "large-2")
    assert (tree["input_tokens"], tree["output_tokens"], tree["latency_ms"]) == (507, 50, 6000)
    assert tree["cost_usd"] == pytest.approx(0.1031)
    below = {"helper", "delegate"}
    assert [step["kind"] for step in tree["steps"]] == [kind for kind, _ in ONE_RUN if kind not in below]
    children = [(child["agent"], child["status"], child["cost_usd"]) for child in tree["children"]]
    assert children == [("ada", "ok", 0.001), ("bob", "ok", 0.02)]
    judged = {step["kind"]: step for step in tree["steps"]}
    assert (judged["judgment"]["verdict"], judged["judgment"]["detail"]) == ("allow", "within the write paths")
    assert (judged["tool"]["name"], judged["tool"]["verdict"]) == ("send", "allow")
    assert judged["capture_write_error"]["detail"] == "outside of the write paths"


async def test_helpers_that_carry_their_runs_own_id_are_its_steps(log: Client) -> None:
    tree = await call(log, "log_trace", run=HELPED)
    assert (tree["status"], tree["summary"], tree["model"]) == ("ok", "Brief with two helpers", "large-1")
    assert [step["detail"] for step in tree["steps"]][:2] == ["Sum up the letter", "Compare the tables"]
    assert (tree["input_tokens"], tree["latency_ms"], tree["children"]) == (490, 14000, [])


@pytest.mark.parametrize(
    ("measure", "by", "sums"),
    [
        ("count", "status", {**Counter(status for _, status in EVENTS)}),
        ("count", "kind", {**Counter(kind for kind, _ in EVENTS)}),
        (
            *("cost_usd", "model"),
            {"large-2": 0.74, "large-1": 0.09, "small-1": 0.023, "small-2": 0.001, "judge-1": 0.001, "embed-1": 0.0001},
        ),
        ("input_tokens", "agent", {"ada": 1578, "bob": 60}),
        (
            *("cost_usd", "day"),
            {"2026-05-03": 0.01, "2026-05-04": 0.02, "2026-05-07": 0.083, "2026-06-01": 0.2451, "2026-06-02": 0.5},
        ),
        ("latency_ms", "tool", {"send": 120}),
    ],
)
async def test_figures_are_added_up(log: Client, measure: str, by: str, sums: Mapping[str | None, float]) -> None:
    page = await call(log, "log_aggregate", measure=measure, stat="sum", by=[by], limit=100)
    found = {group["key"][by]: group["value"] for group in page["items"]}
    assert {key: found[key] for key in sums} == pytest.approx(sums)
    assert measure != "count" or found.keys() == sums.keys()


async def test_no_line_of_it_is_found_fault_with_but_the_torn_one(log: Client) -> None:
    report = await call(log, "log_verify")
    assert (report["entries"], report["unchained"]) == (0, len(EVENTS))
    assert [(found["kind"], found["file"]) for found in report["findings"]] == [("altered", TORN.partition(":")[0])]
