"""What costs nobody verified: their holders died before they said what came of them, and a person has to."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from argosy_core.budget.ledger import Ledger
from argosy_core.budget.ledgers import ledger_path, reconcile_command
from argosy_core.policy.money import show_usd
from argosy_core.serving.results import DoctorFinding

MAX_FINDINGS = 20


def unverified_findings(ledger: Ledger, agent: str, now: datetime) -> Iterator[DoctorFinding]:
    """One finding for each cost that waits to be reconciled, with the command that does it."""
    waiting = ledger.unverified(now)
    for name, known in list(waiting.items())[:MAX_FINDINGS]:
        cost = show_usd(known.amount.nano)
        yield DoctorFinding(
            status="warn", check="judge_external_unverified", file=ledger_path(agent),
            message=f"nobody verified what {known.external} cost on {known.day}: it counts as {cost}",
            fix=f"say what it came to, 0 if it was not done: {reconcile_command(agent, name, known.amount)}",
        )  # fmt: skip
    if len(waiting) > MAX_FINDINGS:
        yield DoctorFinding(
            status="warn", check="judge_external_unverified", file=ledger_path(agent),
            message=f"{len(waiting) - MAX_FINDINGS} more costs of {agent} wait to be reconciled",
            fix="reconcile these first",
        )  # fmt: skip
