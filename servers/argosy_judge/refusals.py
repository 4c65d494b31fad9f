"""What was refused of a budget, in the log: one event each, with the fields of a policy decision.

What is allowed is told by its reservation; so each asking leaves one line, whichever way it went.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from argosy_core.budget.ledgers import Ledgers
from argosy_core.errors import ArgosyError
from argosy_judge.models import Estimate

KIND = "budget.refused"
MAX_NAME_CHARS = 200

logger = logging.getLogger(__name__)


class Refused(Exception):
    """Raised where a rule stands against spending or settling: *error* is for the caller, *decision* for the log."""

    def __init__(self, error: ArgosyError, **decision: Any) -> None:
        super().__init__(error.message)
        self.error = error
        self.decision: Mapping[str, Any] = {"decision_kind": "deny", **decision, "enforced": True}


async def tell_refused(ledgers: Ledgers, agent: str, refused: Refused, fields: Mapping[str, Any]) -> None:
    """Write down what was *refused*. Never raises: a log that takes no line lets nothing through by that."""
    told = {"primitive": "policy_decision", **fields, "reason": refused.error.message, "error": refused.error.code}
    decision = {name: value for name, value in refused.decision.items() if value is not None}
    try:
        await ledgers.log(agent, KIND, told | {"policy_decision": decision})
    except ArgosyError as error:
        logger.warning("the log of %s does not tell what was refused: %s", agent, error)


def fields_of(run: str, estimate: Estimate) -> dict[str, Any]:
    """What an event says of the spending that was asked for."""
    return {
        "run_id": run, "payer": estimate.payer, "model": _short(estimate.model), "mandate_id": _short(estimate.mandate),
        "wanted_usd": estimate.usd, "wanted_tokens": estimate.tokens or None, "critical": estimate.critical or None,
    }  # fmt: skip


def _short(name: str | None) -> str | None:
    return None if name is None else name[:MAX_NAME_CHARS]
