"""How judging goes, by what the log says of the last judgments: rates that drift, policies that were changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from argosy_core.clock import parse_time
from argosy_core.errors import ArgosyError
from argosy_core.policy.judgment import EnforcementAction
from argosy_core.serving.results import DoctorFinding
from argosy_core.storage.base import Chain, Files
from argosy_core.types import ActionClass
from argosy_core.yamltext import is_map
from argosy_judge.standing import JUDGES, POLICY, TOOLS, Standing

DAYS = 30
MAX_JUDGMENTS = 2_000
MAX_LINES = 100_000
LEAST_JUDGMENTS = 20  # fewer say nothing about a rate
HIGH_RATE, LOW_RATE = 0.95, 0.60
LAG = timedelta(hours=1)
DESK = "desk"  # who judges where people answer
_RATED = (ActionClass.EXTERNAL_SIDE_EFFECT, ActionClass.HIGH_RISK, ActionClass.REVERSIBLE_WRITE)
_FOLLOWED = (EnforcementAction.ALLOW_PENDING_NEXT_JUDGE, EnforcementAction.REVISE_PENDING_SECOND_JUDGMENT)
_ALLOWED = (EnforcementAction.APPROVED_EXECUTED, EnforcementAction.AUTO_DECIDED_ALLOW)


async def judgment_findings(chain: Chain, files: Files, standing: Standing, now: datetime) -> list[DoctorFinding]:
    """What the last judgments of an agent show."""
    found: list[Mapping[str, Any]] = []
    lines = 0
    try:
        async for line in chain.scan(standing.agent, since=(now - timedelta(days=DAYS)).date(), newest_first=True):
            lines += 1
            if line.get("event") == "judgment" and line.get("kind", "judgment") == "judgment":
                found.append(line)
            if len(found) >= MAX_JUDGMENTS or lines >= MAX_LINES:
                break
    except ArgosyError:
        return []  # the log's own doctor names what is wrong with it
    return [*_rates(standing.agent, found), *_sync(standing, files, found), *_failures(standing.agent, found)]


def _rates(agent: str, judgments: list[Mapping[str, Any]]) -> Iterator[DoctorFinding]:
    """Classes in which nearly all is allowed, or much is not: the policy does not fit what the agent does."""
    asked, allowed = Counter[str](), Counter[str]()
    people = {str(line.get("proposal_id")): line for line in judgments if line.get("judge_id") == DESK}
    for line in judgments:
        said, outcome = _part(line, "proposal", "classification"), _outcome(line, people)
        if said in _RATED and outcome is not None:
            asked[said] += 1
            allowed[said] += outcome == "allow"
    for action_class, count in sorted(asked.items()):
        rate = allowed[action_class] / count
        judged = action_class != ActionClass.REVERSIBLE_WRITE or rate < LOW_RATE
        if count >= LEAST_JUDGMENTS and judged and (rate > HIGH_RATE or rate < LOW_RATE):
            much = "nearly everything" if rate > HIGH_RATE else "much less than usual"
            fix = (
                "is it judged at all? tighten its class policy"
                if rate > HIGH_RATE
                else "give the agent fewer tools, or loosen"
            )
            yield DoctorFinding(
                status="warn", check="judge_approval_rate", file=f"{agent}/{JUDGES}", fix=fix,
                message=f"{action_class}: {rate:.0%} of the last {count} judgments allowed ({much})",
            )  # fmt: skip


def _outcome(line: Mapping[str, Any], people: Mapping[str, Mapping[str, Any]]) -> str | None:
    """What the judgment of *line* came to: a person's word where they were asked; None while that is open, and for a
    judgment that another one of the same call follows."""
    if line.get("enforcement_action") in _FOLLOWED:
        return None
    outcome: Any = _part(line, "judgment", "outcome")
    if outcome != "escalate":
        return str(outcome)
    answer = people.get(str(line.get("proposal_id")))
    return None if answer is None else "allow" if answer.get("enforcement_action") in _ALLOWED else "block"


def _sync(standing: Standing, files: Files, judgments: list[Mapping[str, Any]]) -> Iterator[DoctorFinding]:
    """Judgments that still rest on policy files as they were an hour before."""
    last = next((line for line in judgments if line.get("policy_version")), None)
    if last is None or last["policy_version"] == standing.version:
        return
    changed: list[datetime] = []
    for path in (JUDGES, POLICY, f"{standing.agent}/{JUDGES}", f"{standing.agent}/{TOOLS}"):
        info = files.info(path)
        if info is not None:
            changed.append(datetime.fromtimestamp(info.stamp[0] / 1e9, tz=parse_time("2000-01-01").tzinfo))
    judged_at = parse_time(str(last.get("ts")))
    if changed and judged_at - max(changed) > LAG:
        yield DoctorFinding(
            status="warn", check="judge_policy_sync",
            message=f"the last judgment of {standing.agent} rests on policies changed over an hour before it",
            fix="restart the host that judges for it",
        )  # fmt: skip


def _failures(agent: str, judgments: list[Mapping[str, Any]]) -> Iterator[DoctorFinding]:
    recent = judgments[:LEAST_JUDGMENTS]
    failing = [line for line in recent if _reason(line).startswith(("JudgeUnavailable", "the judge did not answer"))]
    if failing:
        yield DoctorFinding(
            status="fail" if len(failing) > len(recent) / 2 else "warn", check="judge_health",
            message=f"{agent}: {len(failing)} of the last {len(recent)} judgments failed: {_reason(failing[0])[:200]}",
            fix="see that the judge that judges.md asks for can be reached",
        )  # fmt: skip


def _reason(line: Mapping[str, Any]) -> str:
    return str(_part(line, "judgment", "reason") or "")


def _part(line: Mapping[str, Any], name: str, key: str) -> Any:
    found: Any = line.get(name)
    return found.get(key) if is_map(found) else None
