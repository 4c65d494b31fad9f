"""What a judge is told beside the call: where the work comes from, what was read for it, which seat it has."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from fleet_fixtures import Recorder, Scripted, calls, make_vault, says
from served import Bench, call

from argosy_core.policy.judgment import BackendJudgment
from argosy_core.types import Verdict
from argosy_host.runs import Origin, RunResult
from argosy_host.session import RunOptions, run_task
from argosy_judge.backends import forget_backend, register_backend
from argosy_judge.prompt import PolicyContext, user_prompt
from argosy_judge.proposal import Proposal
from argosy_judge.server import create

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("own_state")]
SEATED = """```yaml
class_policy: {reversible_write: judge_required}
specialist_composition: {privacy: seen, quality: seen}
```
"""
NOTE = {"type": "decision", "title": "Bell rope", "body": "The bell rope is renewed every spring.", "sources": ["me"]}
SKILL = "---\nname: knots\ndescription: How knots are made.\n---\n\nA bowline holds.\n"


class Seen:
    """A judge from elsewhere that remembers what it was shown."""

    judge_id, policy_version = "seen", "1"

    def __init__(self) -> None:
        self.shown: list[tuple[Proposal, PolicyContext]] = []
        self.audits, self.composes = True, True

    def evaluate(self, proposal: Proposal, context: PolicyContext) -> BackendJudgment:
        self.shown.append((proposal, context))
        return BackendJudgment(Verdict.ALLOW, "fine")

    def supported_outcomes(self) -> frozenset[Verdict]:
        return frozenset({Verdict.ALLOW})

    def supports_read_audit(self) -> bool:
        return self.audits

    def supports_specialist_composition(self) -> bool:
        return self.composes

    def close(self) -> None:
        pass


@pytest.fixture
def seen() -> Iterator[Seen]:
    found = Seen()
    register_backend("seen", lambda: found)
    yield found
    forget_backend("seen")


async def judged(bench: Bench, tool: str = "memory_write", **more: Any) -> dict[str, Any]:
    proposal = {"tool_name": tool, "tool_call_id": "c1", "tool_arguments": {}, **more}
    meta = bench.run_meta("harbor")
    return (await call(create, bench.config(), "judge_evaluate", meta, proposal=proposal)).fields


async def run(vault: Path, *steps: Any, origin: Origin | None = None) -> tuple[RunResult, Scripted]:
    model = Scripted([*steps, says("done")])
    options = RunOptions(vault=vault, agent="ada", task="x", model="offline", profile="full", origin=origin or Origin())
    with anyio.fail_after(60):
        return await run_task(options, Recorder(), model=lambda: model), model


def events(vault: Path, kind: str) -> list[dict[str, Any]]:
    files = sorted((vault / "ada/log").rglob("*.jsonl"))
    lines = [json.loads(line) for file in files for line in file.read_text(encoding="utf-8").splitlines()]
    return [line for line in lines if line["kind"] == kind]


async def test_each_seat_is_told_which_it_is(tmp_path: Path, seen: Seen) -> None:
    bench = Bench(tmp_path)
    bench.write("harbor/judges.md", SEATED)
    assert (await judged(bench))["outcome"] == "allow"
    assert [context.specialist_axis for _, context in seen.shown] == ["privacy", "quality"]


async def test_a_judge_that_takes_no_seat_beside_others_is_the_policys_fault(tmp_path: Path, seen: Seen) -> None:
    bench = Bench(tmp_path)
    bench.write("harbor/judges.md", SEATED)
    seen.composes = False
    found = await judged(bench)
    assert (found["outcome"], seen.shown) == ("block", [])
    assert found["reason"].startswith("JudgePolicyInvalid")
    assert (found["synthesis_source"], found["triggered_by"]) == ("failure_policy", "failure_policy:JudgePolicyInvalid")


@pytest.mark.parametrize("audits", [True, False])
async def test_a_judge_is_asked_about_reading_only_if_it_judges_that(tmp_path: Path, seen: Seen, audits: bool) -> None:
    bench = Bench(tmp_path)
    bench.write("harbor/judges.md", SEATED.replace("class_policy", "read_audit_mode: true\nclass_policy"))
    seen.audits = audits
    found = await judged(bench, "memory_read")
    assert found["outcome"] == "allow" and bool(seen.shown) == audits


@pytest.mark.parametrize("captures", ["true", "false"])
async def test_captures_go_before_the_judge_where_the_policy_says_so(tmp_path: Path, seen: Seen, captures: str) -> None:
    bench = Bench(tmp_path)
    mild = SEATED.replace("judge_required", "allow_with_audit")
    bench.write("harbor/judges.md", mild.replace("class_policy", f"judge_captures: {captures}\nclass_policy"))
    assert (await judged(bench, "memory_capture"))["outcome"] == "allow"
    assert bool(seen.shown) == (captures == "true")
    seen.shown.clear()
    assert (await judged(bench, "memory_write"))["outcome"] == "allow" and not seen.shown


async def test_the_judge_is_told_who_handed_the_work_on_and_what_was_read_for_it(tmp_path: Path, seen: Seen) -> None:
    vault = make_vault(tmp_path / "v", {"ada/judges.md": SEATED, "ada/skills/knots/SKILL.md": SKILL})
    reading = calls(("skill_load", {"skill": "knots"}))
    await run(vault, reading, calls(("memory_write", NOTE)), origin=Origin(chain=("cleo", "bert")))

    proposal, context = seen.shown[0]
    assert context.delegate_chain == ("cleo", "bert")
    [skill] = context.loaded_skills
    assert skill["name"] == "knots" and len(skill["file_hash"]) == 64
    prompt = user_prompt(context, proposal)
    assert "cleo" in prompt and skill["file_hash"] in prompt
    logged = events(vault, "judgment")[-1]["proposal"]
    assert (logged["delegate_chain"], logged["loaded_skills"]) == (["cleo", "bert"], [skill])
    assert logged["actor_model_id"] == "offline"


@pytest.mark.parametrize(
    ("wrong", "outcome"),
    [
        ({"delegate_chain": "cleo"}, "block"),
        ({"delegate_chain": [1]}, "block"),
        ({"loaded_skills": ["x"]}, "block"),
        ({"loaded_skills": [{"name": 1}]}, "block"),
        ({"loaded_skills": [], "delegate_chain": []}, "allow"),
    ],
)
async def test_what_is_said_of_the_run_in_another_form_is_no_proposal(
    tmp_path: Path, wrong: dict[str, Any], outcome: str
) -> None:
    assert (await judged(Bench(tmp_path), **wrong))["outcome"] == outcome


@pytest.mark.parametrize(
    ("policy", "source"),
    [("escalate", "class_policy"), ("allow_with_audit", None), ("judge_required", "class_policy")],
)
async def test_an_escalation_says_which_policy_asked_for_it_also_in_its_file(
    tmp_path: Path, policy: str, source: str | None
) -> None:
    tools = "## Write paths\n\n- `memory/`\n\n## Tool classification\n\n- memory_write: external_side_effect\n"
    files = {"ada/judges.md": f"## Class policy\n\n- external_side_effect: {policy}\n", "ada/tools.md": tools}
    vault = make_vault(tmp_path / "v", files)
    result, _ = await run(vault, calls(("memory_write", NOTE)))
    assert bool(result.questions) == (source is not None)
    if source is not None:
        [file] = (vault / "ada/vault/escalations").rglob(f"{result.questions[0]}.md")
        assert f"synthesis_source: {source}" in file.read_text(encoding="utf-8")
        assert events(vault, "judgment")[-1]["synthesis_source"] == source


async def test_what_a_run_below_waits_for_its_starter_waits_for_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {
        "ada/agent.yaml": "agent:\n  requires:\n    spawn_agents: true\n",
        "bert/model.md": "# Model\n",
        "bert/judges.md": "## Class policy\n\n- reversible_write: escalate\n",
    }
    vault = make_vault(tmp_path / "v", files)
    below = Scripted([calls(("memory_write", NOTE)), says("waits")])
    monkeypatch.setattr("argosy_host.session.open_model", lambda provider: below)

    result, model = await run(vault, calls(("run_start", {"agent": "bert", "input": "write it", "wait_s": 30})))

    [question] = result.questions
    assert (result.status, result.text, len(model.requests)) == ("deferred", "done", 2)  # it went on without it
    assert list((vault / "bert/vault/escalations").rglob(f"{question}.md"))
    assert [end["questions"] for end in events(vault, "run.end")] == [[question]]
