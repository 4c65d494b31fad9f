"""What the judge's doctor says of how judging goes: each finding is there for its cause, and not without it."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from served import Bench, call

from argosy_core.serving.config import open_store
from argosy_core.types import Role
from argosy_judge.health import LEAST_JUDGMENTS
from argosy_judge.server import create

pytestmark = pytest.mark.anyio


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


async def checks(bench: Bench) -> dict[str, Any]:
    report = await call(create, bench.config(role=Role.OPERATOR), "judge_doctor")
    return {finding["check"]: finding for finding in report.fields["findings"]}


async def log_judgments(bench: Bench, outcomes: list[str], reason: str = "fits", **more: Any) -> None:
    store = open_store(bench.root, clock=bench.clock)
    try:
        for outcome in outcomes:
            await store.chain.append("harbor", "host", {
                "event": "judgment", "proposal": {"classification": "high_risk"},
                "judgment": {"outcome": outcome, "reason": reason}, **more,
            })  # fmt: skip
    finally:
        store.close()


@pytest.mark.parametrize(("allowed", "is_flagged"), [(20, True), (19, False), (12, False), (11, True)])
async def test_a_rate_of_approval_that_drifts_is_flagged_by_class(bench: Bench, allowed: int, is_flagged: bool) -> None:
    await log_judgments(bench, ["allow"] * allowed + ["block"] * (LEAST_JUDGMENTS - allowed))
    found = await checks(bench)
    assert ("judge_approval_rate" in found) == is_flagged
    assert not is_flagged or found["judge_approval_rate"]["message"].startswith("high_risk: ")


async def test_a_few_judgments_say_nothing_of_a_rate(bench: Bench) -> None:
    await log_judgments(bench, ["allow"] * (LEAST_JUDGMENTS - 1))
    assert "judge_approval_rate" not in await checks(bench)


@pytest.mark.parametrize(("failing", "status"), [(11, "fail"), (1, "warn")])
async def test_a_judge_that_fails_is_found_in_its_last_judgments(bench: Bench, failing: int, status: str) -> None:
    await log_judgments(bench, ["allow"] * (LEAST_JUDGMENTS - failing))
    assert "judge_health" not in await checks(bench)
    await log_judgments(bench, ["block"] * failing, "JudgeUnavailable: no answer")
    assert (await checks(bench))["judge_health"]["status"] == status


@pytest.mark.parametrize(("minutes", "is_flagged"), [(59, False), (61, True)])
async def test_a_policy_in_force_that_lags_its_file_by_an_hour_is_found(
    bench: Bench, minutes: int, is_flagged: bool
) -> None:
    bench.write("judges.md", "## Class policy\n\n- reversible_write: escalate\n")
    changed = (bench.clock.now() - timedelta(minutes=minutes)).timestamp()
    os.utime(bench.root / "judges.md", (changed, changed))
    for path in ("harbor/judges.md", "harbor/tools.md", "policy.md"):
        if (bench.root / path).exists():
            os.utime(bench.root / path, (changed, changed))
    await log_judgments(bench, ["allow"], policy_version="an older one")
    assert ("judge_policy_sync" in await checks(bench)) == is_flagged


async def test_a_synchronised_vault_whose_captures_are_not_judged_is_found(bench: Bench) -> None:
    assert "vault_synced_judge_captures_off" not in await checks(bench)
    (bench.root / ".stfolder").mkdir()
    assert "vault_synced_judge_captures_off" in await checks(bench)
    bench.write("judges.md", "```yaml\njudge_captures: true\n```\n")
    assert "vault_synced_judge_captures_off" not in await checks(bench)


async def test_a_strict_validation_with_nobody_who_revises_is_found(bench: Bench) -> None:
    assert "judge_schemas" not in await checks(bench)
    bench.write("judges.md", "```yaml\nvalidation: strict\n```\n")
    found = (await checks(bench))["judge_schemas"]
    assert (found["file"], found["line"]) == ("judges.md", 2)


async def log_proposals(bench: Bench, count: int, outcome: str, ending: str | None = None) -> None:
    """Judgments of calls of their own, each with what a person's answer came to."""
    for number in range(count):
        await log_judgments(bench, [outcome], proposal_id=f"p{number}")
        if ending is not None:
            more: dict[str, Any] = {"judge_id": "desk", "enforcement_action": ending, "proposal": None}
            await log_judgments(bench, [outcome], proposal_id=f"p{number}", **more)


async def test_judgments_that_others_follow_do_not_count_for_the_rate(bench: Bench) -> None:
    """With a model 18 of 20 are allowed; each has an event of the rules before it, which allowed."""
    await log_judgments(bench, ["allow"] * 20, enforcement_action="allow_pending_next_judge")
    await log_judgments(bench, ["revise"] * 20, enforcement_action="revise_pending_second_judgment")
    await log_judgments(bench, ["allow"] * 18 + ["block"] * 2)
    assert "judge_approval_rate" not in await checks(bench)


@pytest.mark.parametrize(
    ("ending", "flagged"), [("approved_executed", True), ("auto_decided_allow", True), ("denied", True), (None, False)]
)
async def test_what_was_escalated_counts_by_what_people_said(bench: Bench, ending: str | None, flagged: bool) -> None:
    await log_proposals(bench, LEAST_JUDGMENTS, "escalate", ending)
    found = await checks(bench)
    assert ("judge_approval_rate" in found) == flagged
    if flagged:
        rate = "0%" if ending == "denied" else "100%"
        assert found["judge_approval_rate"]["message"].startswith(f"high_risk: {rate} of the last {LEAST_JUDGMENTS}")


async def test_a_destination_that_has_no_effect_is_named(bench: Bench) -> None:
    bench.write("judges.md", "## Escalation queue\n\n- destination: vault/escalations\n")
    assert "judge_escalation" not in await checks(bench)
    bench.write("judges.md", "## Escalation queue\n\n- destination: elsewhere/\n")
    assert (await checks(bench))["judge_escalation"]["line"] == 3
