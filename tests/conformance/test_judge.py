"""The points that every judge of the fleet must hold, as calls of its tools: over the rules, over a model
that any client asks, and over one that the host asks of a server on this machine."""

from __future__ import annotations

import copy
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from chat_api import chat
from judges import LLM, Script, judge, proposal, scripted, verdict
from mcp.types import CreateMessageRequestParams, CreateMessageResult
from messages_api import Api, Raw, Request, messages_api
from points import holds
from served import Answer, Bench, call

from argosy_core.canonical import arguments_hash
from argosy_core.clock import SystemClock
from argosy_core.policy.judgment import BackendJudgment, EnforcementAction, JudgeBudgetExhausted
from argosy_core.serving.config import open_store
from argosy_core.types import ActionClass, Role, Verdict
from argosy_core.views.vault_reader import VaultReader
from argosy_desk.server import create as create_desk
from argosy_host.judge_model import JudgeModel, closing
from argosy_judge.backends import JudgeBackend, RuntimeConfig, forget_backend, get_backend, register_backend
from argosy_judge.prompt import PolicyContext
from argosy_judge.proposal import Proposal

pytestmark = pytest.mark.anyio
HERE = Path(__file__).parent
POINTS = HERE / "judge_points.md"
HELD_IN = (Path(__file__), HERE.parent / "unit/test_binding_vectors.py")
KINDS = ("rules", "model", "served")
MODELS = pytest.mark.parametrize("subject", KINDS[1:], indirect=True)


class Subject:
    """One of the two judges, with what makes it give each outcome."""

    def __init__(self, kind: str, bench: Bench, asker: Callable[[], JudgeModel] | None = None) -> None:
        self.kind, self.bench, self._asker = kind, bench, asker
        self._answer: Any = None
        self.api: Api | None = None
        self.policy("")

    def policy(self, more: str) -> None:
        """Write the agent's policy: what makes this judge the one that is asked, and *more*."""
        own = "" if self.kind == "rules" else LLM
        self.bench.write("harbor/judges.md", own + more)

    async def give(self, outcome: str, **more: Any) -> Answer:
        """A judgment that comes out as *outcome*."""
        if self.kind != "rules":
            amendment = {"judge_note": "n", "tool_arguments": {"text": "please"}} if outcome == "revise" else None
            return await judge(self.bench, proposal(**more), self.answering(verdict(outcome, amendment=amendment)))
        tool = {"allow": "memory_write", "escalate": "grant_issue", "block": "memory_write"}[outcome]
        arguments = {"path": "/etc/passwd"} if outcome == "block" else {"title": "x"}
        return await judge(self.bench, proposal(tool, arguments, **more))

    def answering(self, answer: Any) -> Any:
        """Whoever makes the client's completions, so that they are *answer*, or what it makes of the prompt's JSON."""
        self._answer = answer if callable(answer) else lambda _: answer
        return Script(self._scripted) if self._asker is None else self._ask

    def _scripted(self, params: CreateMessageRequestParams) -> Any:
        return self._answer(params.model_dump_json())

    async def _ask(self, context: Any, params: CreateMessageRequestParams) -> CreateMessageResult:
        assert self._asker is not None
        async with closing(self._asker()) as asker:
            return await asker(context, params)

    def reply(self, request: Request) -> Raw:
        """What the server of the model on this machine answers."""
        answer = self._answer(json.dumps(request.body))
        return chat(answer if isinstance(answer, str) else json.dumps(answer))

    @property
    def outcomes(self) -> tuple[str, ...]:
        return ("allow", "escalate", "block", *(() if self.kind == "rules" else ("revise",)))


@pytest.fixture(params=KINDS)
def subject(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Subject]:
    """Each judge in turn; over those with a model where the test says ``indirect``."""
    bench = Bench(tmp_path, SystemClock())
    if request.param != "served":
        yield Subject(request.param, bench)
        return
    store = open_store(tmp_path)
    found = Subject(request.param, bench, lambda: JudgeModel(VaultReader(store.files), "harbor", "offline"))
    with messages_api([found.reply] * 20) as api:
        monkeypatch.setenv("OPENAI_BASE_URL", f"{api.url}/v1")
        found.api = api
        yield found
    store.close()


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


class Elsewhere:
    """A judge from elsewhere."""

    judge_id = "elsewhere"
    policy_version = "1"

    def __init__(self, answer: Any = None, seconds: float = 0.0) -> None:
        self.answer = answer or BackendJudgment(Verdict.ALLOW, "fine")
        self.seconds, self.closed = seconds, 0
        self.seen: list[tuple[Proposal, PolicyContext]] = []
        self.released = threading.Event()

    def evaluate(self, proposal: Proposal, context: PolicyContext) -> BackendJudgment:
        self.seen.append((proposal, context))
        if self.seconds:
            self.released.wait(self.seconds)
        if isinstance(self.answer, Exception):
            raise self.answer
        found: BackendJudgment = self.answer
        return found

    def supported_outcomes(self) -> frozenset[Verdict]:
        return frozenset({Verdict.ALLOW, Verdict.BLOCK, Verdict.REVISE})

    def supports_read_audit(self) -> bool:
        return True

    def supports_specialist_composition(self) -> bool:
        return True

    def close(self) -> None:
        self.closed += 1


ELSEWHERE = "```yaml\nspecialist_composition: {{privacy: elsewhere}}\ntimeout_ms: {}\n```\n"


@pytest.fixture
def elsewhere(bench: Bench) -> Iterator[Elsewhere]:
    found = Elsewhere()
    register_backend("elsewhere", lambda: found)
    bench.write("harbor/judges.md", ELSEWHERE.format(5000))
    yield found
    found.released.set()
    forget_backend("elsewhere")


@holds("valid-judgment", "audit-fields")
async def test_every_outcome_is_a_valid_judgment(subject: Subject) -> None:
    for outcome in subject.outcomes:
        judged = await subject.give(outcome)
        assert judged.code is None
        fields = judged.fields
        assert fields["outcome"] == fields["raw_outcome"] == outcome, judged.text
        assert fields["enforcement_action"] in tuple(EnforcementAction)
        assert fields["classification"] in tuple(ActionClass)
        assert len(fields["arguments_hash"]) == 64
        for name in (
            "proposal_id",
            "judge_id",
            "policy_version",
            "reason",
            "classification_source",
            "class_policy_source",
        ):
            assert isinstance(fields[name], str) and fields[name]
        assert fields["latency_ms"] >= 0
        assert fields["cost_usd"] >= 0
        assert (fields["amendment"] is not None) == (outcome == "revise")
    if subject.api is not None:
        assert len(subject.api.requests) == len(subject.outcomes)


@holds("no-mutation")
async def test_neither_proposal_nor_policy_is_changed(subject: Subject) -> None:
    given = {"evidence": [{"source": "a", "claim": "b"}], "reason": "r"}
    before, files = copy.deepcopy(given), subject.bench.read("harbor/judges.md")
    await subject.give(subject.outcomes[-1], **given)
    assert (given, subject.bench.read("harbor/judges.md")) == (before, files)


@holds("no-mutation")
async def test_a_judge_from_elsewhere_gets_a_copy(bench: Bench, elsewhere: Elsewhere) -> None:
    first = await judge(bench, proposal())
    seen = elsewhere.seen[0][0].arguments
    assert isinstance(seen, dict)
    seen["text"] = "changed"
    assert first.fields["arguments_hash"] == arguments_hash({"text": "hello"})
    assert (await judge(bench, proposal())).fields["arguments_hash"] == first.fields["arguments_hash"]


@holds("bounded-latency")
async def test_a_judge_that_takes_too_long_is_unavailable(bench: Bench, elsewhere: Elsewhere) -> None:
    bench.write("harbor/judges.md", ELSEWHERE.format(50))
    elsewhere.seconds = 30.0
    began = time.monotonic()
    judged = await judge(bench, proposal())
    assert time.monotonic() - began < 10
    assert (judged.fields["outcome"], judged.fields["reason"][:16]) == ("block", "JudgeUnavailable")


@holds("concurrent-policy-cache")
async def test_judgments_at_once_leave_the_policy_cache_whole(tmp_path: Path) -> None:
    bench = Bench(tmp_path, SystemClock())
    found: list[str] = []

    async def ask() -> None:
        for _ in range(4):
            found.append((await judge(bench, proposal("memory_write"))).fields["outcome"])

    async with anyio.create_task_group() as group:
        for _ in range(4):
            group.start_soon(ask)
        for policy in ("escalate", "allow_with_audit", "escalate"):
            text = f"## Class policy\n\n- reversible_write: {policy}\n"
            await anyio.to_thread.run_sync(bench.write, "harbor/judges.md", text)
    assert set(found) <= {"allow", "escalate"}
    assert (await judge(bench, proposal("memory_write"))).fields["outcome"] == "escalate"


@MODELS
@holds("concurrent-model-client", "concurrent-votes")
async def test_judgments_at_once_mix_up_no_answers(subject: Subject) -> None:
    found: dict[int, str] = {}

    def by_number(prompt: str) -> dict[str, Any]:
        asked = re.search(r"turn_(\d)", prompt)
        assert asked is not None
        return verdict("allow" if int(asked[1]) % 2 else "block", f"number {asked[1]}")

    script = subject.answering(by_number)

    async def ask(number: int) -> None:
        judged = await judge(subject.bench, proposal(arguments={"n": f"turn_{number}"}), script)
        assert f"number {number}" in judged.fields["reason"]
        assert judged.fields["judges"][-1]["reason"] == f"number {number}"
        found[number] = judged.fields["outcome"]

    async with anyio.create_task_group() as group:
        for number in range(6):
            group.start_soon(ask, number)
    assert found == {n: "allow" if n % 2 else "block" for n in range(6)}


@MODELS
@holds("concurrent-budget", "concurrent-log")
async def test_judgments_at_once_spend_the_budget_exactly(subject: Subject) -> None:
    bench = subject.bench
    subject.policy("\n## Budget\n\n- daily_usd: 0.2\n- per_action_usd: 0.05\n")
    script = subject.answering(verdict("allow"))
    found: list[Answer] = []

    async def ask(number: int) -> None:
        found.append(await judge(bench, proposal(arguments={"n": number}), script))

    async with anyio.create_task_group() as group:
        for number in range(8):
            group.start_soon(ask, number)
    outcomes = [each.fields["outcome"] for each in found]
    assert sum(each.fields["cost_usd"] or 0.0 for each in found) <= 0.2
    # A model that says what it cost settles below what was set aside, and others may follow.
    assert outcomes.count("allow") == 4 if subject.kind == "model" else outcomes.count("allow") >= 4
    store = open_store(bench.root)
    report = await store.chain.verify("harbor")
    await anyio.to_thread.run_sync(store.close)
    assert report.ok
    assert report.entries == 2 * outcomes.count("allow")


@holds("concurrent-escalations")
async def test_questions_at_once_are_one_file_each(tmp_path: Path) -> None:
    bench = Bench(tmp_path, SystemClock())
    asked = {"kind": "escalation", "title": "t", "body": "b"}

    async def ask(number: int) -> None:
        binding = {
            "proposal_id": f"proposal_{number % 3}",
            "tool_name": "x",
            "tool_arguments": {},
            "action_class": "high_risk",
        }
        await call(create_desk, bench.config(), "desk_ask", bench.run_meta("harbor"), **asked, binding=binding)

    async with anyio.create_task_group() as group:
        for number in range(9):
            group.start_soon(ask, number)
    names = sorted(path.name for path in (bench.root / "harbor/vault/escalations/high_risk").iterdir())
    assert names == [f"proposal_{n}.md" for n in range(3)]


@holds("concurrent-registry")
def test_a_backend_is_made_once() -> None:
    made: list[Elsewhere] = []

    def make() -> JudgeBackend:
        made.append(Elsewhere())
        return made[-1]

    register_backend("once", make)
    try:
        threads = [threading.Thread(target=get_backend, args=("once",)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert len(made) == 1
    finally:
        forget_backend("once")


@holds("policy-version")
async def test_the_version_follows_the_files(subject: Subject) -> None:
    seen = {(await subject.give("allow")).fields["policy_version"]}
    for path, text in (
        ("judges.md", "# J\n"),
        ("harbor/tools.md", "# T\n"),
        ("policy.md", "# P\n"),
        ("policy.md", "# Q\n"),
    ):
        subject.bench.write(path, text)
        seen.add((await subject.give("allow")).fields["policy_version"])
    assert len(seen) == 5
    subject.bench.write("harbor/memory/user_x.md", "x")
    assert (await subject.give("allow")).fields["policy_version"] in seen


@holds("policy-utf8")
async def test_a_policy_that_is_not_utf8_blocks(subject: Subject) -> None:
    for path in ("judges.md", "policy.md", "harbor/tools.md"):
        subject.bench.write(path, b"# \xff\n")
        judged = await subject.give("allow")
        assert judged.fields["outcome"] == "block"
        assert judged.fields["reason"].startswith(f"JudgePolicyInvalid: {path} line 1")
        (subject.bench.root / path).unlink()


@holds("class-by-framework")
async def test_the_class_is_the_frameworks(subject: Subject) -> None:
    forged = {
        "classification": "read_only",
        "classification_source": "me",
        "arguments_hash": "0" * 64,
        "proposal_id": "p",
    }
    plain, claimed = await subject.give("allow"), await subject.give("allow", **forged)
    for name in ("classification", "classification_source", "arguments_hash"):
        assert plain.fields[name] == claimed.fields[name]
    assert claimed.fields["proposal_id"] != "p"


@MODELS
@holds("amendment-schema")
@pytest.mark.parametrize("by", ["model", "person"])
async def test_an_amendment_has_to_fit(subject: Subject, by: str) -> None:
    schema = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
    amendment = {"judge_note": "n", "tool_arguments": {"text": 5}}
    script = subject.answering(verdict("revise", amendment=amendment))
    more: dict[str, Any] = {"amendment": amendment} if by == "person" else {}
    judged = await judge(subject.bench, proposal(input_schema=schema, **more), script)
    expected = {"model": "revise_invalid_amendment", "person": "operator_revise_invalid_amendment"}[by]
    assert (judged.fields["outcome"], judged.fields["enforcement_action"]) == ("block", expected)


@MODELS
@holds("amendment-class")
async def test_after_an_amendment_the_stricter_class_counts(subject: Subject) -> None:
    amendment = {"judge_note": "n", "tool_name": "memory_read", "tool_arguments": {"name": "x"}}
    first = await judge(subject.bench, proposal(), subject.answering(verdict("revise", amendment=amendment)))
    second = await judge(subject.bench, first.fields["amended"], subject.answering(verdict("allow")))
    assert second.fields["classification"] == "external_side_effect"


@MODELS
@holds("revise-bounded")
async def test_a_second_revision_is_a_block(subject: Subject) -> None:
    amendment = {"judge_note": "n", "tool_arguments": {"text": "x"}}
    script = subject.answering(verdict("revise", amendment=amendment))
    first = await judge(subject.bench, proposal(), script)
    second = await judge(subject.bench, first.fields["amended"], script)
    assert second.fields["enforcement_action"] == "revise_loop_exhausted_blocked"


FAILING: dict[str, tuple[str, Any]] = {
    "JudgeUnavailable": ("", "?"),
    "JudgeBudgetExhausted": ("\n## Budget\n\n- daily_usd: 0\n", verdict("allow")),
    "JudgePolicyInvalid": ("", verdict("revise")),
}


@MODELS
@holds("failure-policy")
@pytest.mark.parametrize("failure", FAILING)
@pytest.mark.parametrize("becomes", ["block", "escalate", "allow"])
async def test_each_failure_becomes_what_the_policy_says(subject: Subject, failure: str, becomes: str) -> None:
    more, answer = FAILING[failure]
    stated = f"\n## Failure policy\n\n- {failure}: {becomes}\n"
    subject.policy(more + (stated if becomes != "block" else ""))
    judged = await judge(subject.bench, proposal(), subject.answering(answer))
    assert judged.fields["outcome"] == becomes, judged.text
    assert failure in judged.fields["reason"]


@holds("marker")
async def test_a_citation_without_its_marker_is_none(subject: Subject) -> None:
    cited = {"authorization": {"granted_by": "mandate:x"}}
    for marker in ({}, {"side_channel_for_tool_call_id": "another"}, {"side_channel_for_tool_call_id": ["call_1"] * 2}):
        judged = await subject.give("allow", **cited, **marker)
        assert judged.fields["outcome"] == "block"
        assert judged.fields["reason"].startswith("JudgeProposalInvalid")


@holds("read-audit")
async def test_reading_is_judged_for_the_record(subject: Subject) -> None:
    subject.policy("\n## Audit\n\n- read_audit_mode: true\n")
    subject.bench.write("harbor/tools.md", "## Denied arguments\n\n- memory_read: `forbidden`\n")
    script = None if subject.kind == "rules" else subject.answering(verdict("block"))
    name = "forbidden" if subject.kind == "rules" else "x"
    judged = await judge(subject.bench, proposal("memory_read", {"name": name}), script)
    assert (judged.fields["outcome"], judged.fields["raw_outcome"]) == ("allow", "block")
    assert judged.fields["enforcement_action"] == "audit_bypass"


@holds("escalation-states")
@pytest.mark.parametrize(("tool", "state"), [("desk_answer", "resolved"), ("desk_redact", "redacted")])
async def test_a_question_goes_from_pending_to_its_end(bench: Bench, tool: str, state: str) -> None:
    binding = {"proposal_id": "p1", "tool_name": "x", "tool_arguments": {}, "action_class": "high_risk"}
    asked = await call(create_desk, bench.config(), "desk_ask", bench.run_meta("harbor"), kind="escalation", title="t",
        body="b", binding=binding)  # fmt: skip
    assert asked.fields["state"] == "pending"
    more = {"choice": "approve"} if tool == "desk_answer" else {"why": "x"}
    ended = await call(create_desk, bench.config(role=Role.OPERATOR), tool, question="p1", **more)
    assert ended.fields["state"] == state
    again = await call(create_desk, bench.config(role=Role.OPERATOR), "desk_answer", question="p1", choice="deny")
    assert again.code == "conflict"


@holds("floor")
async def test_the_floor_is_not_loosened(subject: Subject) -> None:
    subject.bench.write(
        "judges.md", "## Class policy\n\n- external_side_effect: escalate\n- reversible_write: escalate\n"
    )
    subject.policy("\n## Class policy\n\n- external_side_effect: allow_with_audit\n")
    judged = await subject.give("allow")
    assert judged.fields["outcome"] == "block"
    assert "looser than the fleet's floor" in judged.fields["reason"]
    report = await judge_doctor(subject.bench)
    assert "judge_policy_floor" in report


async def judge_doctor(bench: Bench) -> set[str]:
    from argosy_judge.server import create

    report = await call(create, bench.config(role=Role.OPERATOR), "judge_doctor")
    return {finding["check"] for finding in report.fields["findings"]}


@holds("canary")
async def test_nothing_of_the_runtime_reaches_a_judge(bench: Bench, elsewhere: Elsewhere) -> None:
    marks = ("canary-a", "canary-b", "31337")
    text = (
        f"```yaml\nbackend: llm\nmodel: {marks[0]}\nspecialist_composition: {{privacy: elsewhere}}\n"
        f"timeout_ms: {marks[2]}\nescalation: {{operator_notification: {marks[1]}}}\n"
        "failure_policy: {JudgeUnavailable: escalate}\n```\n"
    )
    bench.write("harbor/judges.md", text)
    script: Script = scripted(verdict("allow"))
    assert (await judge(bench, proposal(), script)).fields["outcome"] == "allow"
    [params] = script.asked
    prompt = (params.system_prompt or "") + json.dumps([m.model_dump(mode="json") for m in params.messages])
    [(seen, context)] = elsewhere.seen
    for text in (prompt, repr(seen), repr(context)):
        assert not any(mark in text for mark in (*marks, "JudgeUnavailable"))
    names = set(RuntimeConfig.__dataclass_fields__)
    assert not names & set(PolicyContext.__dataclass_fields__)


@holds("undeclared-outcome")
@pytest.mark.parametrize(
    "answer",
    [
        BackendJudgment(Verdict.ESCALATE, "never declared"),
        BackendJudgment(Verdict.REVISE, "without an amendment"),
        "allow",
        ValueError("a secret"),
        JudgeBudgetExhausted("no more"),
    ],
)
async def test_an_outcome_that_was_never_declared_blocks(bench: Bench, elsewhere: Elsewhere, answer: Any) -> None:
    elsewhere.answer = answer
    judged = await judge(bench, proposal())
    assert judged.fields["outcome"] == "block"
    assert judged.fields["reason"].startswith("Judge")
    assert "secret" not in judged.fields["reason"]


async def test_another_judges_vote_does_not_outweigh_what_a_failure_became(bench: Bench, elsewhere: Elsewhere) -> None:
    text = ELSEWHERE.format(5000).replace("```yaml\n", "```yaml\nbackend: llm\n")
    bench.write(
        "harbor/judges.md", text.replace("timeout_ms", "failure_policy: {JudgeUnavailable: escalate}\ntimeout_ms")
    )
    assert (await judge(bench, proposal(), scripted("?"))).fields["outcome"] == "escalate"
    assert (await judge(bench, proposal(), scripted(verdict("allow")))).fields["outcome"] == "allow"
    elsewhere.answer = BackendJudgment(Verdict.BLOCK, "no")
    judged = await judge(bench, proposal(), scripted(verdict("allow")))
    assert (judged.fields["outcome"], judged.fields["reason"]) == ("block", "privacy: no")


@holds("close-idempotent")
def test_closing_twice_is_closing() -> None:
    found = Elsewhere()
    register_backend("closing", lambda: found)
    assert isinstance(get_backend("closing"), JudgeBackend)
    for _ in range(2):
        forget_backend("closing")
    assert found.closed == 1


def test_the_table_and_the_tests_agree() -> None:
    table = {
        cells[1].strip(): {name.strip() for name in cells[3].split(",")}
        for line in POINTS.read_text(encoding="utf-8").splitlines()
        if len(cells := line.split("|")) == 5 and "::" in cells[3]
    }
    held: dict[str, set[str]] = {}
    for path in HELD_IN:
        source = path.read_text(encoding="utf-8").splitlines()
        points: list[str] = []
        for line in source:
            if line.startswith("@holds("):
                points = json.loads("[" + line[len("@holds(") : -1] + "]")
            elif line.startswith(("def test_", "async def test_")):
                name = line.removeprefix("async ").removeprefix("def ").partition("(")[0]
                for point in points:
                    held.setdefault(point, set()).add(f"{path.name}::{name}")
                points = []
    assert table == held
