"""Carrying out a bound call: secrets go in after the verdict, and come out of whatever it returns."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from anyio import to_thread

from argosy_core.errors import ArgosyError
from argosy_core.secrets.placeholders import has_placeholder, inject
from argosy_host.gating.binding import Binding
from argosy_host.gating.settling import settle
from argosy_host.results import CallOutcome
from argosy_host.runs import Run

COST_FIELD = "external_cost_usd"  # of a tool's result: what it cost, where the tool knows
# A failure of these was told before the tool began; after any other of a foreign tool it may have been paid for.
_BEFORE_ANYTHING = frozenset({"invalid_argument", "not_found", "permission_denied", "unauthenticated", "blocked"})


class Execution:
    """Makes the calls of one run."""

    def __init__(self, run: Run) -> None:
        self._run = run

    async def make(self, binding: Binding, reservation: str | None = None) -> CallOutcome:
        """What came of the bound call, without the value of any secret; a failure is an outcome.

        What was set aside for it is settled: at nothing where nothing was done, at what the tool says it cost, else at
        the estimate. A process that dies in between leaves that to the judge, who settles at the estimate.
        """
        outcome = self._redacted(await self._send(binding))
        if reservation is not None:
            await settle(self._run, reservation, _cost_of(binding, outcome))
        return outcome

    async def give_back(self, reservation: str | None) -> None:
        """Settle what was set aside for a call that is not made."""
        if reservation is not None:
            await settle(self._run, reservation, 0.0)

    async def _send(self, binding: Binding) -> CallOutcome:
        """Make the bound call; secrets take their names' place only now, after the verdict and outside the log."""
        arguments = binding.arguments
        try:
            if has_placeholder(arguments):
                secrets = self._run.secrets
                audiences = await to_thread.run_sync(secrets.audiences)
                tool = binding.tool
                arguments = await inject(arguments, secrets.resolve, audiences.by_name, tool.name, tool.own)
            return await self._run.fleet.call(binding.tool.name, arguments, self._run.token)
        except ArgosyError as error:
            return CallOutcome(f"{error.code}: {error}", None, is_error=True, code=error.code)

    def _redacted(self, outcome: CallOutcome) -> CallOutcome:
        redactor = self._run.secrets.redactor
        return replace(
            outcome,
            text=redactor.redact_text(outcome.text),
            structured=redactor.redact_json(outcome.structured),
            detail=redactor.redact_json(outcome.detail),
        )


def _cost_of(binding: Binding, outcome: CallOutcome) -> float | None:
    """What the call cost in US dollars; None for as estimated."""
    stated: Any = (outcome.structured or {}).get(COST_FIELD)
    if isinstance(stated, int | float) and not isinstance(stated, bool) and 0 <= stated < math.inf:
        return float(stated)
    undone = outcome.is_error and (outcome.code in _BEFORE_ANYTHING or binding.tool.own)
    return 0.0 if undone and outcome.code != "deadline_exceeded" else None
