"""Past judgments under the policy as it is now: what would come out otherwise.

The arguments come from the log; reading that was not judged left none there and is not judged again. The rules judge
anew; a model is not asked, for that would cost money: where one would be, it is named.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from mcp import Client

from argosy_core.clock import Clock, rfc3339
from argosy_core.errors import Unavailable
from argosy_core.policy.judgment import EnforcementAction
from argosy_core.serving.config import ServerConfig
from argosy_core.storage.base import Store
from argosy_core.types import Role
from argosy_host.compose import first_of, load_server
from argosy_host.results import outcome_of

PAGE = 200
_AGO = re.compile(r"(\d{1,4})([dh])")


@dataclass(frozen=True, slots=True)
class Replayed:
    """One past judgment. *was* is what the judge said then, *now* what it says today if all of *asks* allow it."""

    ts: str
    agent: str
    run: str
    proposal: str
    tool: str
    was: str
    now: str
    reason: str
    asks: tuple[str, ...] = ()

    @property
    def differs(self) -> bool:
        return self.was != self.now

    def as_json(self) -> dict[str, Any]:
        return {
            "ts": self.ts, "agent": self.agent, "run": self.run, "proposal_id": self.proposal, "tool": self.tool,
            "was": self.was, "now": self.now, "differs": self.differs, "reason": self.reason, "asks": list(self.asks),
        }  # fmt: skip


def moment(text: str, clock: Clock) -> str:
    """``7d`` or ``12h`` ago as a time; anything else as it is, for the log to read."""
    match = _AGO.fullmatch(text.strip())
    if match is None:
        return text
    ago = timedelta(days=int(match[1])) if match[2] == "d" else timedelta(hours=int(match[1]))
    then: datetime = clock.now() - ago
    return rfc3339(then)


async def replay(store: Store, since: str, agent: str | None = None) -> list[Replayed]:
    """The judgments since *since*, newest first. Raises InvalidArgument (no time), Unavailable (log or judge)."""
    try:
        return await _replay(store, since, agent)
    except BaseExceptionGroup as group:
        # The clients' task groups wrap what goes wrong in here; callers want it as it was.
        raise first_of(group) from None


async def _replay(store: Store, since: str, agent: str | None) -> list[Replayed]:
    replayed: list[Replayed] = []
    async with AsyncExitStack() as stack:
        log = await _connect(stack, store, "log", None)
        judges: dict[str, Client] = {}
        async for event in _judgments(log, since):
            fields: Mapping[str, Any] = event["fields"]
            name = str(fields.get("agent_name"))
            if agent not in (None, name) or not _is_whole(fields):
                continue
            if name not in judges:
                judges[name] = await _connect(stack, store, "judge", name)
            replayed.append(await _again(judges[name], name, event))
    return replayed


async def _connect(stack: AsyncExitStack, store: Store, server: str, agent: str | None) -> Client:
    config = ServerConfig(store=store, agent=agent, role=Role.OPERATOR, profile="full")
    return await stack.enter_async_context(Client(load_server(server, config), mode="2026-07-28", cache=None))


async def _judgments(log: Client, since: str) -> AsyncGenerator[Mapping[str, Any]]:
    cursor: str | None = None
    while True:
        arguments = {"kinds": ["judgment"], "since": since, "limit": PAGE}
        found = await _sound(log, "log_query", arguments | ({"cursor": cursor} if cursor else {}))
        for event in found["items"]:
            yield event
        cursor = found["next_cursor"]
        if cursor is None:
            return


def _is_whole(fields: Mapping[str, Any]) -> bool:
    """Whether the event is of a judgment as a whole, with what was judged, and not one judge's part of it."""
    part = fields.get("enforcement_action") == EnforcementAction.ALLOW_PENDING_NEXT_JUDGE
    return isinstance(fields.get("proposal"), dict) and not part


async def _again(judge: Client, agent: str, event: Mapping[str, Any]) -> Replayed:
    fields: Mapping[str, Any] = event["fields"]
    proposal: Mapping[str, Any] = fields["proposal"]
    name = str(proposal.get("tool_name"))
    found = await _sound(
        judge, "judge_explain", {"tool": name, "arguments": dict(proposal.get("tool_arguments") or {})}
    )
    judged: Mapping[str, Any] = fields.get("judgment") or {}
    was = fields.get("raw_outcome") or judged.get("outcome")
    return Replayed(
        ts=str(event["ts"]),
        agent=agent,
        run=str(fields.get("run_id") or event.get("run") or ""),
        proposal=str(fields.get("proposal_id") or ""),
        tool=str(found["tool"]),
        was=str(was),
        now=str(found["outcome"]),
        reason=str(found["reason"]),
        asks=tuple(found["asks"]),
    )


async def _sound(client: Client, tool: str, arguments: dict[str, Any]) -> Mapping[str, Any]:
    outcome = outcome_of(await client.call_tool(tool, arguments))
    if outcome.code == "invalid_argument":
        raise outcome.error()
    if outcome.is_error or outcome.structured is None:
        raise Unavailable(f"{tool} did not answer: {outcome.text}", hint="mcp-host doctor says why")
    return outcome.structured
