"""Carrying out a bound call: secrets go in after the verdict, and come out of whatever it returns."""

from __future__ import annotations

from dataclasses import replace

from anyio import to_thread

from argosy_core.errors import ArgosyError
from argosy_core.secrets.placeholders import has_placeholder, inject
from argosy_host.gating.binding import Binding
from argosy_host.results import CallOutcome
from argosy_host.runs import Run


class Execution:
    """Makes the calls of one run."""

    def __init__(self, run: Run) -> None:
        self._run = run

    async def make(self, binding: Binding) -> CallOutcome:
        """What came of the bound call, without the value of any secret; a failure is an outcome."""
        return self._redacted(await self._send(binding))

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
