"""Steering a run from outside: what was said to it stands in its agent's log, and the run looks there between turns.

So a run that one process started can be paused, corrected or ended by any other on the same vault.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from argosy_core.errors import Conflict, InvalidArgument, Unavailable
from argosy_core.storage.base import Chain
from argosy_host.runs import WRITER

Action = Literal["pause", "resume", "correct", "terminate"]
KIND = "run.intervene"
MAX_INTERVENTIONS = 1000  # of one run
MAX_GUIDANCE_CHARS = 4_000


@dataclass(frozen=True, slots=True)
class Intervention:
    """One thing that was said to a run; *by* is who said it."""

    action: str
    guidance: str
    by: str


class Inbox:
    """What is said to one run, in order; each thing is given once."""

    def __init__(self, chain: Chain, agent: str, run: str) -> None:
        self._chain = chain
        self._agent = agent
        self._run = run
        self._seen = 0

    async def read(self) -> Sequence[Intervention]:
        """What was said since the last look."""
        found: list[Intervention] = []
        while True:
            entry = await self._chain.find(self._agent, WRITER, _key(self._run, self._seen + 1))
            if entry is None:
                return found
            self._seen += 1
            said = entry.event
            found.append(Intervention(str(said.get("action")), str(said.get("guidance", "")), str(said.get("by", ""))))


async def intervene(chain: Chain, agent: str, run: str, action: Action, guidance: str | None, by: str) -> None:
    """Say *action* to *run*, durably. Raises InvalidArgument (a correction without guidance), Unavailable."""
    if action == "correct" and not (guidance or "").strip():
        raise InvalidArgument("a correction needs guidance", hint="say what the run should do differently")
    if len(guidance or "") > MAX_GUIDANCE_CHARS:
        raise InvalidArgument(f"guidance has at most {MAX_GUIDANCE_CHARS} characters", hint="put the rest into a note")
    event = {"kind": KIND, "run_id": run, "agent_name": agent, "action": action, "by": by}
    if guidance:
        event["guidance"] = guidance
    for number in range(1, MAX_INTERVENTIONS + 1):
        if await chain.find(agent, WRITER, _key(run, number)) is not None:
            continue
        try:
            await chain.append(agent, WRITER, {**event, "number": number}, key=_key(run, number))
            return
        except Conflict:  # somebody else's word came first
            continue
    raise Unavailable(f"{run} was told too much", hint="terminate it and start another")


def _key(run: str, number: int) -> str:
    return f"intervene:{run}:{number}"
