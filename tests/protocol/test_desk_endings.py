"""How questions end: by silence, by withdrawal, by redaction; each once, whoever looks."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from mcp import Client
from served import Answer, Bench, call

from argosy_core.canonical import arguments_hash
from argosy_core.clock import SystemClock, rfc3339
from argosy_core.testing.fakes import FakeClock
from argosy_core.types import Caller, Role
from argosy_desk.asking import draft_question
from argosy_desk.desk import Desk
from argosy_desk.kinds import DECIDE_AFTER_SECONDS
from argosy_desk.server import create, decide_what_is_due

pytestmark = pytest.mark.anyio
PROPOSAL = "proposal_20261120T085959_0a1b2c3d"
SEND = {
    "proposal_id": PROPOSAL,
    "tool_name": "send",
    "tool_arguments": {"to": "rhea"},
    "arguments_hash": arguments_hash({"to": "rhea"}),
    "classification": "external_side_effect",
}
AUTO = "## Escalation queue\n\n- auto_decide_after_seconds: 60\n- fallback_on_timeout: {}\n"


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


async def ask(bench: Bench, kind: str = "escalation", **more: Any) -> Answer:
    arguments: dict[str, Any] = {"kind": kind, "title": "Send it?", "body": "It leaves the house.", **more}
    return await call(create, bench.config(), "desk_ask", bench.run_meta("harbor"), **arguments)


async def act(bench: Bench, tool: str, role: Role = Role.OPERATOR, **arguments: Any) -> Answer:
    meta = bench.run_meta("harbor") if role is Role.HOST else None
    config = bench.config(role=Role.AGENT if role is Role.HOST else role)
    return await call(create, config, tool, meta, **arguments)


def turn(bench: Bench, seconds: float) -> None:
    assert isinstance(bench.clock, FakeClock)
    bench.clock.advance(seconds)


def log_of(bench: Bench) -> list[str]:
    files = sorted((bench.root / "harbor/log").rglob("*.jsonl"))
    return [json.loads(line)["kind"] for file in files for line in file.read_text().splitlines()]


# Silence


@pytest.mark.parametrize("urgency", ["low", "normal", "high"])
async def test_a_question_with_a_default_waits_by_its_urgency(bench: Bench, urgency: Any) -> None:
    asked = await ask(bench, "decision", options=["red", "blue"], default="blue", urgency=urgency)
    wait_s = DECIDE_AFTER_SECONDS[urgency]
    assert asked.fields["decide_by"] == rfc3339(bench.clock.now() + timedelta(seconds=wait_s))
    question = asked.fields["question"]
    turn(bench, wait_s - 1)
    assert (await act(bench, "desk_get", question=question)).fields["state"] == "pending"
    turn(bench, 1)
    got = await act(bench, "desk_get", question=question)
    assert (got.fields["state"], got.fields["choice"], got.fields["answered_by"]) == ("resolved", "blue", "desk")
    assert "### Auto-decided by desk" in bench.read(got.fields["path"])
    assert (await act(bench, "desk_answer", question=question, choice="red")).code == "conflict"


async def test_without_a_default_a_question_waits_for_ever(bench: Bench) -> None:
    asked = await ask(bench, "gate", options=["go", "stop"], urgency="high")
    turn(bench, 10**8)
    assert (await act(bench, "desk_get", question=asked.fields["question"])).fields["state"] == "pending"


@pytest.mark.parametrize(
    ("fallback", "decision"),
    [("allow", "approved"), ("block", "denied"), ("{default: allow, external_side_effect: block}", "denied")],
)
async def test_the_policy_says_what_an_escalation_becomes(bench: Bench, fallback: str, decision: str) -> None:
    bench.write("judges.md", AUTO.format(fallback))
    asked = await ask(bench, binding=SEND)
    assert asked.fields["default"] == ("approve" if decision == "approved" else "deny")
    turn(bench, 61)
    assert (await act(bench, "desk_pending")).fields["items"] == []
    got = await act(bench, "desk_get", question=PROPOSAL)
    assert (got.fields["decision"], got.fields["note"]) == (decision, "nobody answered in time")
    claimed = await act(bench, "desk_claim", Role.HOST)
    assert [q["decision"] for q in claimed.fields["items"]] == [decision]


async def test_silence_never_approves_what_was_tampered_with(bench: Bench) -> None:
    bench.write("judges.md", AUTO.format("allow"))
    path = (await ask(bench, binding=SEND)).fields["path"]
    bench.write(path, bench.read(path).replace('"rhea"', '"everybody"'))
    turn(bench, 61)
    assert (await act(bench, "desk_get", question=PROPOSAL)).fields["decision"] == "denied"


async def test_a_host_cannot_declare_that_silence_approves_high_risk(bench: Bench) -> None:
    answer = await ask(bench, binding={**SEND, "classification": "high_risk"}, default="approve")
    assert answer.code == "invalid_argument"


async def test_while_the_policy_cannot_be_read_escalations_wait(bench: Bench) -> None:
    bench.write("judges.md", "## Escalation queue\n\n- auto_decide_after_secs: 60\n")
    assert (await ask(bench, binding=SEND)).fields["decide_by"] is None


async def test_a_person_who_is_first_wins_over_the_clock(bench: Bench) -> None:
    bench.write("judges.md", AUTO.format("block"))
    path = (await ask(bench, binding=SEND)).fields["path"]
    turn(bench, 61)
    bench.write(path, bench.read(path) + "\n### Approved by Marit\n")
    got = await act(bench, "desk_get", question=PROPOSAL)
    assert (got.fields["decision"], got.fields["answered_by"]) == ("approved", "Marit")


async def test_a_deadline_that_is_no_time_waits_and_is_named(bench: Bench) -> None:
    asked = await ask(bench, "decision", options=["a", "b"], default="a")
    path = asked.fields["path"]
    bench.write(path, bench.read(path).replace(asked.fields["decide_by"], "tomorrow"))
    turn(bench, 10**7)
    assert (await act(bench, "desk_get", question=asked.fields["question"])).fields["state"] == "pending"
    report = await act(bench, "desk_doctor")
    assert "decide_by 'tomorrow' is no time" in report.text


async def test_many_pollers_decide_once(tmp_path: Path) -> None:
    bench = Bench(tmp_path, SystemClock())
    bench.write("judges.md", "## Escalation queue\n\n- auto_decide_after_seconds: 0\n- fallback_on_timeout: block\n")
    path = (await ask(bench, binding=SEND)).fields["path"]
    found: list[Any] = []

    async def look(tool: str, role: Role, **arguments: Any) -> None:
        found.append(await act(bench, tool, role, **arguments))

    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(look, "desk_pending", Role.OPERATOR)
            group.start_soon(look, "desk_claim", Role.HOST)
    assert bench.read(path).count("\n### ") == 1
    assert log_of(bench) == ["desk.ask", "desk.answer"]
    assert sum(len(answer.fields["items"]) for answer in found) <= 1


async def test_what_is_due_is_decided_where_nobody_asks(bench: Bench) -> None:
    asked = await ask(bench, "decision", options=["a", "b"], default="a", urgency="high")
    turn(bench, 3601)
    stop = anyio.Event()
    server = create(bench.config())
    assert isinstance(server.domain, Desk)
    async with anyio.create_task_group() as group:
        group.start_soon(decide_what_is_due, server.domain, stop)
        with anyio.fail_after(20):
            while "state: pending" in bench.read(asked.fields["path"]):
                await anyio.lowlevel.checkpoint()
        stop.set()
    assert len(server.workers) == 1


@pytest.mark.parametrize(("stated", "seconds"), [("", 60.0), ("5", 5.0), ("0", None), ("0.01", 1.0)])
async def test_the_policy_says_how_often_questions_are_looked_at(
    bench: Bench, stated: str, seconds: float | None
) -> None:
    if stated:
        bench.write("judges.md", f"## Escalation queue\n\n- resolution_poll_cycle_seconds: {stated}\n")
    desk = create(bench.config()).domain
    assert isinstance(desk, Desk)
    assert await desk.poll_seconds() == seconds


async def test_where_the_policy_says_never_nothing_is_decided_unasked(bench: Bench) -> None:
    bench.write("judges.md", "## Escalation queue\n\n- resolution_poll_cycle_seconds: 0\n")
    asked = await ask(bench, "decision", options=["a", "b"], default="a", urgency="high")
    turn(bench, 3601)
    server, stop = create(bench.config()), anyio.Event()
    assert isinstance(server.domain, Desk)
    async with anyio.create_task_group() as group:
        group.start_soon(decide_what_is_due, server.domain, stop)
        await anyio.wait_all_tasks_blocked()
        stop.set()
    assert "state: pending" in bench.read(asked.fields["path"])


# Withdrawing, redacting


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("escalation", {"binding": SEND}),
        ("gate", {"options": ["go", "stop"]}),
        ("permission", {}),
        ("decision", {"options": ["a", "b"]}),
        ("input", {}),
        ("promotion", {}),
    ],
)
async def test_a_question_of_every_kind_is_withdrawn_once(bench: Bench, kind: str, more: dict[str, Any]) -> None:
    question = (await ask(bench, kind, **more)).fields["question"]
    gone = await act(bench, "desk_withdraw", Role.HOST, question=question, why="the run was cancelled")
    assert (gone.fields["state"], gone.fields["decision"], gone.fields["note"]) == (
        "resolved", "withdrawn", "the run was cancelled",
    )  # fmt: skip
    assert (await act(bench, "desk_pending")).fields["items"] == []
    assert (await act(bench, "desk_claim", Role.HOST)).fields["items"] == []
    assert (await act(bench, "desk_withdraw", Role.HOST, question=question, why="again")).code == "conflict"


async def test_nobody_withdraws_the_question_of_another_agent(bench: Bench) -> None:
    question = (await ask(bench, binding=SEND)).fields["question"]
    config, meta = bench.config("reef"), bench.run_meta("reef")
    assert (await call(create, config, "desk_withdraw", meta, question=question, why="x")).code == "not_found"
    assert (await act(bench, "desk_withdraw", Role.AGENT, question=question, why="x")).code == "permission_denied"


@pytest.mark.parametrize("before", ["", "\n### Approved by Marit\n"])
async def test_what_is_redacted_says_nothing_and_is_not_done(bench: Bench, before: str) -> None:
    asked = await ask(bench, binding={**SEND, "tool_arguments": {"to": "CANARY"}, "arguments_hash": None})
    path = asked.fields["path"]
    bench.write(path, bench.read(path) + before)
    for _ in range(2):
        gone = await act(bench, "desk_redact", question=PROPOSAL, why="it named somebody")
        assert (gone.fields["state"], gone.fields["decision"]) == ("redacted", "redacted")
    everything = b"".join(file.read_bytes() for file in bench.root.rglob("*") if file.is_file())
    assert b"CANARY" not in everything
    assert b"It leaves the house" not in everything
    assert ("approved by Marit" in bench.read(path)) == bool(before)
    claimed = await act(bench, "desk_claim", Role.HOST)
    assert [q["decision"] for q in claimed.fields["items"]] == ["redacted"]
    assert log_of(bench).count("desk.redact") == 1
    assert (await act(bench, "desk_redact", Role.HOST, question=PROPOSAL, why="x")).code == "permission_denied"


@pytest.mark.parametrize("why", ["", "  \n ", "x" * 2001])
async def test_a_reason_is_a_line(bench: Bench, why: str) -> None:
    question = (await ask(bench, binding=SEND)).fields["question"]
    for tool in ("desk_withdraw", "desk_redact"):
        assert (await act(bench, tool, question=question, why=why)).code == "invalid_argument"


async def test_two_files_of_one_question_are_named(bench: Bench) -> None:
    path = (await ask(bench, binding=SEND)).fields["path"]
    bench.write(path.replace("external_side_effect", "high_risk"), bench.read(path))
    bench.write(path.replace(".md", " (conflicted copy).md"), bench.read(path))
    report = await act(bench, "desk_doctor")
    conflicts = [f for f in report.fields["findings"] if f["check"] == "escalation_conflicts"]
    assert len(conflicts) == 2


# One state machine for all


class Questions(RuleBasedStateMachine):
    """A question, the desk of two processes, a person with an editor, and time."""

    def __init__(self) -> None:
        super().__init__()
        import tempfile

        self.folder = tempfile.TemporaryDirectory()
        self.bench = Bench(Path(self.folder.name))
        self.bench.write("judges.md", AUTO.format("block"))
        self.desks = [create(self.bench.config()).domain for _ in range(2)]
        asked = draft_question("escalation", "t", "b", None, None, None, "normal", SEND)
        caller = Caller("harbor", Role.HOST, run="r")
        self.path = self.run(self.desk(0).ask, caller, asked).path
        self.decisions: list[str] = []
        self.claims = 0

    def run(self, work: Any, *arguments: Any) -> Any:
        async def go() -> Any:
            try:
                return await work(*arguments)
            except Exception as error:
                return error

        return anyio.run(go)

    def desk(self, at: int) -> Desk:
        found = self.desks[at % 2]
        assert isinstance(found, Desk)
        return found

    @rule(at=st.integers(0, 1), choice=st.sampled_from(["approve", "deny"]))
    def answer(self, at: int, choice: str) -> None:
        self.run(self.desk(at).answer, Caller("harbor", Role.OPERATOR), PROPOSAL, choice, None, None)

    @rule(verb=st.sampled_from(["Approved", "Denied"]))
    def write_in_an_editor(self, verb: str) -> None:
        self.bench.write(self.path, self.bench.read(self.path) + f"\n### {verb} by Marit\n")

    @rule(seconds=st.integers(0, 50))
    def wait(self, seconds: int) -> None:
        turn(self.bench, seconds)

    @rule(at=st.integers(0, 1))
    def withdraw(self, at: int) -> None:
        self.run(self.desk(at).withdraw, Caller("harbor", Role.HOST, run="r"), PROPOSAL, "over")

    @rule(at=st.integers(0, 1))
    def claim(self, at: int) -> None:
        page = self.run(self.desk(at).claim, Caller("harbor", Role.HOST, run="r"))
        self.claims += len(page.items)

    @rule(at=st.integers(0, 1))
    def look(self, at: int) -> None:
        got = self.run(self.desk(at).get, Caller("harbor", Role.OPERATOR), PROPOSAL)
        if got.decision is not None:
            self.decisions.append(got.decision)

    @invariant()
    def it_is_decided_once_and_given_out_once(self) -> None:
        assert len(set(self.decisions)) <= 1
        assert self.claims <= 1
        assert log_of(self.bench).count("desk.answer") <= 1

    def teardown(self) -> None:
        self.folder.cleanup()


TestQuestions = Questions.TestCase
TestQuestions.settings = settings(
    max_examples=6, stateful_step_count=8, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


async def test_the_new_tools_are_small(bench: Bench) -> None:
    async with Client(create(bench.config(role=Role.OPERATOR))) as client:
        for tool in (await client.list_tools()).tools:
            if tool.name in ("desk_withdraw", "desk_redact"):
                assert len(json.dumps([tool.name, tool.description, tool.input_schema])) <= 600
