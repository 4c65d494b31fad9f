"""A judge or a person changes a call: it is bound anew, judged once more, and then exactly that runs."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import anyio
import pytest
from fleet_fixtures import FILES, Recorder, Scripted, calls, make_vault, says

from argosy_core.policy.judgment import BackendJudgment
from argosy_core.types import Role, Verdict
from argosy_host.direct import call_tool
from argosy_host.runs import RunResult
from argosy_host.session import RunOptions, run_task
from argosy_judge.backends import forget_backend, register_backend
from argosy_judge.prompt import PolicyContext
from argosy_judge.proposal import Proposal

pytestmark = pytest.mark.anyio

NOTE = {"type": "decision", "title": "Bell rope", "body": "The bell rope costs 90.", "sources": ["me"]}
MILD = {**NOTE, "body": "The bell rope was renewed."}
JUDGES = "## Class policy\n\n- reversible_write: judge_required\n\n## Specialist composition\n\n- privacy: mender\n"
ASKING = "## Class policy\n\n- reversible_write: escalate\n"
OKAY = BackendJudgment(Verdict.ALLOW, "nothing private in it")


class Mender:
    """A judge from elsewhere that answers what a test gives it, one after the other."""

    judge_id, policy_version = "mender", "1"

    def __init__(self, answers: Sequence[BackendJudgment]) -> None:
        self.answers = itertools.chain(answers, itertools.repeat(answers[-1]))
        self.seen: list[Proposal] = []

    def evaluate(self, proposal: Proposal, context: PolicyContext) -> BackendJudgment:
        self.seen.append(proposal)
        return next(self.answers)

    def supported_outcomes(self) -> frozenset[Verdict]:
        return frozenset(Verdict)

    def supports_read_audit(self) -> bool:
        return False

    def supports_specialist_composition(self) -> bool:
        return True

    def close(self) -> None:
        pass


@pytest.fixture
def mender(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[..., Mender]]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))

    def make(*answers: BackendJudgment) -> Mender:
        found = Mender(answers)
        register_backend("mender", lambda: found)
        return found

    yield make
    forget_backend("mender")


def revise(**amendment: Any) -> BackendJudgment:
    return BackendJudgment(Verdict.REVISE, "sums are private", {"judge_note": "without the sum", **amendment})


async def run(vault: Path, *turns: Any) -> tuple[RunResult, Scripted]:
    model = Scripted(turns)
    options = RunOptions(vault=vault, agent="ada", task="Note the rope", model="scripted")
    with anyio.fail_after(30):
        return await run_task(options, Recorder(), model=lambda: model), model


def judged(vault: Path) -> list[dict[str, Any]]:
    files = sorted((vault / "ada" / "log").rglob("*.jsonl"))
    lines = [json.loads(line) for file in files for line in file.read_text(encoding="utf-8").splitlines()]
    return [line for line in lines if line["kind"] == "judgment"]


def enforced(vault: Path) -> list[tuple[str, str]]:
    return [(event["judge_id"], event["enforcement_action"]) for event in judged(vault)]


def note(vault: Path) -> str:
    file = vault / "ada/memory/decision_bell_rope.md"
    return file.read_text(encoding="utf-8") if file.exists() else ""


async def test_a_revised_call_runs_as_amended_after_a_second_judgment(tmp_path: Path, mender: Any) -> None:
    judge = mender(revise(tool_arguments=MILD, appended_evidence=[{"source": "mender", "claim": "sum"}]), OKAY)
    vault = make_vault(tmp_path / "v", {"judges.md": JUDGES})

    result, model = await run(vault, calls(("memory_write", NOTE)), says("Noted."))

    assert "was renewed" in note(vault) and "90" not in note(vault), model.returned()
    assert [(t.name, t.verdict) for t in result.tools] == [("memory_write", "allow")]
    assert enforced(vault) == [
        ("rules", "allow_pending_next_judge"), ("ensemble", "revise_pending_second_judgment"),
        ("rules", "allow_pending_next_judge"), ("ensemble", "revise_executed"),
    ]  # fmt: skip
    first, second = judged(vault)[1], judged(vault)[3]
    assert second["proposal"]["revision_of"] == first["proposal_id"]
    assert first["binding"]["arguments_hash"] != second["binding"]["arguments_hash"]
    assert [evidence.source for evidence in judge.seen[1].evidence] == ["mender"]
    assert len(judge.seen) == 2


async def test_a_second_revision_blocks(tmp_path: Path, mender: Any) -> None:
    judge = mender(revise(tool_arguments=MILD))
    vault = make_vault(tmp_path / "v", {"judges.md": JUDGES})

    result, model = await run(vault, calls(("memory_write", NOTE)), says("Not noted."))

    assert note(vault) == "" and len(judge.seen) == 2
    assert "revise_loop_exhausted" in model.returned()[0]
    assert enforced(vault)[-1] == ("ensemble", "revise_loop_exhausted_blocked")
    assert result.tools[0].verdict == "block"


@pytest.mark.parametrize(
    "amendment",
    [
        {"tool_name": "memory_burn"},
        {"tool_name": "desk_ask"},
        {"tool_name": "judge_settle", "tool_arguments": {"reservation": "x"}},
        {"tool_name": "journal_append"},
        {"tool_arguments": {"type": "decision"}},
        {"tool_arguments": {**NOTE, "title": 7}},
        {"tool_arguments": {**NOTE, "as_agent": "bert"}},
        {"authorization": {"granted_by": "operator"}},
        {"reason": "because I say so"},
        {"classification": "read_only"},
        {},
    ],
    ids=str,
)
async def test_an_amendment_that_makes_no_call_is_refused(
    tmp_path: Path, mender: Any, amendment: Mapping[str, Any]
) -> None:
    mender(revise(**amendment), OKAY)
    vault = make_vault(tmp_path / "v", {"judges.md": JUDGES})

    _, model = await run(vault, calls(("memory_write", NOTE)), says("Not noted."))

    assert note(vault) == ""
    assert model.returned()[0].startswith("blocked:")
    assert enforced(vault)[-1] == ("ensemble", "revise_invalid_amendment")


async def test_an_amendment_to_a_stricter_tool_is_classified_anew(tmp_path: Path, mender: Any) -> None:
    mender(revise(tool_name="memory_archive", tool_arguments={"name": "decision_lamp_oil", "why": "old"}), OKAY)
    tools = "## Tool classification\n\n- memory_archive: high_risk\n"
    vault = make_vault(tmp_path / "v", {"judges.md": JUDGES, "ada/tools.md": tools})

    result, _ = await run(vault, calls(("memory_write", NOTE)))

    assert result.status == "deferred" and len(result.questions) == 1
    last = judged(vault)[-1]
    assert (last["enforcement_action"], last["proposal"]["classification"]) == ("escalate_pending", "high_risk")
    assert last["escalation_queue_id"] == result.questions[0]
    assert (vault / "ada/memory/decision_lamp_oil.md").exists()


# A person's revision


async def answer(vault: Path, question: str, choice: str, amendment: Mapping[str, Any] | None = None) -> None:
    arguments = {"question": question, "choice": choice, "amendment": amendment}
    outcome = await call_tool("desk", "desk_answer", arguments, vault=vault, agent="ada", role=Role.OPERATOR)
    assert not outcome.is_error, outcome.text


async def test_what_a_person_made_of_a_call_runs_once(tmp_path: Path, mender: Any) -> None:
    vault = make_vault(tmp_path / "v", {"judges.md": ASKING})
    first, _ = await run(vault, calls(("memory_write", NOTE)))
    await answer(vault, first.questions[0], "revise", {"tool_arguments": MILD})

    _, model = await run(vault, says("ok"))
    await run(vault, says("ok"))

    assert "was renewed" in note(vault)
    assert "revised and done" in model.requests[0].system[-1].text
    assert [act for _, act in enforced(vault)] == ["escalate_pending", "operator_revise_executed"]


@pytest.mark.parametrize(
    "amendment",
    [{"tool_name": "memory_burn"}, {"tool_arguments": {"type": "x"}}, {"tool_name": "grant_issue"}],
    ids=str,
)
async def test_a_person_s_amendment_that_makes_no_call_does_not_run(
    tmp_path: Path, mender: Any, amendment: Mapping[str, Any]
) -> None:
    vault = make_vault(tmp_path / "v", {"judges.md": ASKING})
    first, _ = await run(vault, calls(("memory_write", NOTE)))
    await answer(vault, first.questions[0], "revise", amendment)

    await run(vault, says("ok"))

    assert note(vault) == ""
    assert [act for _, act in enforced(vault)][-1] == "operator_revise_invalid_amendment"


async def test_a_person_s_amendment_of_the_highest_class_is_asked_about_again(tmp_path: Path, mender: Any) -> None:
    tools = "## Tool classification\n\n- memory_archive: high_risk\n"
    vault = make_vault(tmp_path / "v", {"judges.md": ASKING, "ada/tools.md": tools})
    first, _ = await run(vault, calls(("memory_write", NOTE)))
    changed = {"tool_name": "memory_archive", "tool_arguments": {"name": "decision_lamp_oil", "why": "old"}}
    await answer(vault, first.questions[0], "revise", changed)

    second, _ = await run(vault, says("ok"))

    assert len(second.questions) == 1 and second.questions != first.questions
    lamp = vault / "ada/memory/decision_lamp_oil.md"
    before = lamp.read_text(encoding="utf-8")
    await answer(vault, second.questions[0], "approve")
    await run(vault, says("ok"))
    assert before == FILES["ada/memory/decision_lamp_oil.md"] != lamp.read_text(encoding="utf-8")
    assert [act for _, act in enforced(vault)] == ["escalate_pending", "escalate_pending", "approved_executed"]


async def test_what_was_approved_is_still_held_to_the_rules_when_it_runs(tmp_path: Path, mender: Any) -> None:
    vault = make_vault(tmp_path / "v", {"judges.md": ASKING})
    first, _ = await run(vault, calls(("memory_write", NOTE)))
    await answer(vault, first.questions[0], "approve")
    (vault / "policy.md").write_text("## Tools\n\n- deny: memory_write\n", encoding="utf-8")

    await run(vault, says("ok"))

    assert note(vault) == ""
    assert [act for _, act in enforced(vault)] == ["escalate_pending", "block_executed"]


async def test_a_judge_that_wants_a_model_is_asked_through_the_protocol(tmp_path: Path, mender: Any) -> None:
    asking = "## Default judge\n\n- backend: llm\n\n## Class policy\n\n- reversible_write: judge_required\n"
    vault = make_vault(tmp_path / "v", {"judges.md": asking})

    _, model = await run(vault, calls(("memory_write", NOTE)), says("Not noted."))

    # Without a model the judge is unavailable, and says so in a judgment: nothing is allowed by a way around.
    assert note(vault) == ""
    assert model.returned()[0].startswith("blocked: JudgeUnavailable: ")
