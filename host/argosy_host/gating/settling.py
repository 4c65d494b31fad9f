"""Money set aside before something is done, and settled after it."""

from __future__ import annotations

import logging
from typing import Any

from anyio import CancelScope, move_on_after

from argosy_core.errors import ArgosyError
from argosy_host.runs import Run

SETTLE_SECONDS = 5.0

logger = logging.getLogger(__name__)


async def settle(run: Run, reservation: str, actual_usd: float | None, tokens: int = 0) -> None:
    """Settle *reservation* at *actual_usd*, None for the estimate; also while the run is being ended.

    Never raises: what is not settled counts as estimated.
    """
    arguments: dict[str, Any] = {"reservation": reservation, "tokens": tokens}
    if actual_usd is not None:
        arguments["actual"] = actual_usd
    with CancelScope(shield=True), move_on_after(SETTLE_SECONDS):
        try:
            outcome = await run.fleet.call("judge_settle", arguments, run.token)
        except ArgosyError as error:
            logger.warning("%s was not settled, and counts as estimated: %s", reservation, error)
            return
        if outcome.is_error:
            logger.warning("%s was not settled, and counts as estimated: %s", reservation, outcome.text)
