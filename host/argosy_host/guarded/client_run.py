"""One client in the log: a run that starts with its first call above reading and ends when it leaves.

Its calls pass the same gate as those of an agent's run, under the same policies, caps and grants of the agent that the
client acts for.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import anyio
from anyio import CancelScope, to_thread

from argosy_core.errors import ArgosyError, Blocked, Conflict, Deferred, Unavailable, error_class
from argosy_core.ids import new_run_id
from argosy_core.policy.judgment import ANSWER_CLAIM_SECONDS
from argosy_core.secrets.secret_store import SecretStore
from argosy_core.serving.config import ServerConfig
from argosy_core.serving.identity import RunTokens
from argosy_core.serving.server import ArgosyServer
from argosy_core.serving.shaping import shape_error
from argosy_core.storage.day_chain import FLEET
from argosy_core.types import Caller, Role
from argosy_host.answers import act, may_act
from argosy_host.catalog import Catalog, ToolInfo
from argosy_host.compose import Fleet
from argosy_host.direct import call_in
from argosy_host.gate import Gate, NotActed
from argosy_host.guarded.client_call import ClientCall, ToolAnswer, current_call
from argosy_host.guarded.client_fleet import ClientFleet, as_host
from argosy_host.guarded.composed import Composed
from argosy_host.guarded.operator_act import perform
from argosy_host.guarded.person import Answer, ask
from argosy_host.progress import Progress
from argosy_host.providers.base import ToolCall, ToolReturn
from argosy_host.purse import Purse, as_reference, client_grant
from argosy_host.reading import JudgedReads
from argosy_host.running.book import RunBook
from argosy_host.runs import Origin, Run

TOKEN_SECONDS = 3600.0
END_SECONDS = 10.0
QUESTIONS_KEPT = 100  # that a run's end names
MAX_CLIENT_CHARS = 100

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Behind:
    """What all clients of a gateway have in common."""

    config: ServerConfig
    tokens: RunTokens
    composed: Composed
    secrets: SecretStore
    book: RunBook
    own: Mapping[str, ArgosyServer]  # the servers that clients see
    own_tools: Callable[[], Awaitable[Sequence[ToolInfo]]]


@dataclass(slots=True)
class _Started:
    run: Run
    gate: Gate
    fleet: ClientFleet
    signed_at: float
    client_token: str | None
    counts: Counter[str] = field(default_factory=Counter[str])


class ClientRun:
    """The run of *caller*, whose program calls itself *client*."""

    def __init__(self, behind: Behind, caller: Caller, client: str) -> None:
        self._behind = behind
        self._caller = caller
        self._client = " ".join(client.split())[:MAX_CLIENT_CHARS] or "a client"
        self._agent = caller.agent or FLEET
        self._guard = anyio.Lock()
        self._started: _Started | None = None
        self._began = 0.0
        self._busy = 0
        self.used_at = behind.config.clock.monotonic()

    @property
    def is_busy(self) -> bool:
        """Whether a call of it goes on."""
        return self._busy > 0

    async def judged(self, call: ClientCall, reads: JudgedReads) -> ToolAnswer:
        """*call* through the gate; a person is asked where the judge wants one."""
        return await self._guarded(call, partial(self._judged, call, reads))

    async def performed(self, call: ClientCall) -> ToolAnswer:
        """*call* of an operator to a tool that only operators have: their own act, bound and logged, not judged."""
        return await self._guarded(call, partial(self._performed, call))

    async def answered(self, call: ClientCall, question: str, answer: Answer | None) -> ToolAnswer:
        """What becomes of *call* with the person's *answer* to *question*; None leaves the question waiting."""
        return await self._guarded(call, partial(self._answered, call, question, answer))

    async def end(self) -> None:
        """Write the end, if there was a start. Never raises for what the log does."""
        started, self._started = self._started, None
        if started is None:
            return
        with CancelScope(shield=True), anyio.move_on_after(END_SECONDS):
            elapsed = self._behind.config.clock.monotonic() - self._began
            summary = ", ".join(f"{count} {verdict}" for verdict, count in sorted(started.counts.items()))
            try:
                with as_host():
                    self._renew(started)
                    await started.run.end("ok", f"The client left. Calls: {summary or 'none'}.", elapsed)
            except ArgosyError as error:
                logger.warning("the end of %s could not be logged: %s", started.run.id, error)

    # A call

    async def _guarded(self, call: ClientCall, work: Callable[[], Awaitable[ToolAnswer]]) -> ToolAnswer:
        token = current_call.set(call)
        self._busy += 1
        try:
            return await work()
        except ArgosyError as error:
            if call.result is None:
                return shape_error(error)
            done = f"{call.tool.name} was called, and what came of it could not be logged: {error.message}"
            return shape_error(Unavailable(done, hint="do not call it again before you looked"))
        finally:
            self._busy -= 1
            self.used_at = self._behind.config.clock.monotonic()
            current_call.reset(token)

    async def _judged(self, call: ClientCall, reads: JudgedReads) -> ToolAnswer:
        started = await self._ready()
        started.run.judged_reads = reads
        started.fleet.catalog.renew(call.tool)
        made = await started.gate.call(self._tool_call(call))
        self._tidy(started)
        if call.result is not None:
            return call.result
        if call.question is None:
            return refused(made)
        return await self._put(call, call.question)

    async def _performed(self, call: ClientCall) -> ToolAnswer:
        started = await self._ready()
        status = await perform(started.run, started.fleet, call, self._tool_call(call), self._behind.config.clock)
        started.counts[f"by the operator, {status}"] += 1
        assert call.result is not None
        return call.result

    async def _put(self, call: ClientCall, question: Mapping[str, Any]) -> ToolAnswer:
        """Put *question* to the person at the client, if there is one; what was decided before counts at once."""
        number = str(question["question"])
        if question.get("decision") is not None:
            return await self._act(call, number)
        answer = await ask(call.ctx, question)
        if isinstance(answer, Answer) or answer is None:
            return await self._answered(call, number, answer)
        return answer

    async def _answered(self, call: ClientCall, question: str, answer: Answer | None) -> ToolAnswer:
        if answer is not None:
            await self._decide(question, answer)
        return await self._act(call, question)

    async def _decide(self, question: str, answer: Answer) -> None:
        """Let the person's answer be the question's one resolution; where another one came first, that one stands."""
        note = f"in {self._client}" + (f": {answer.note}" if answer.note else "")
        choice = {"question": question, "choice": answer.choice, "note": note}
        with as_host():
            store = self._behind.config.store
            outcome = await call_in(
                store, "desk", "desk_answer", choice, agent=None, role=Role.OPERATOR, attended="elicitation"
            )
        if outcome.is_error and outcome.code != "conflict":
            raise outcome.error()

    async def _act(self, call: ClientCall, question: str) -> ToolAnswer:
        """Do what was decided about *question*, once, whoever else wants to; say that it waits while nothing was."""
        started = await self._ready()
        claimed = await self._ask_desk(started, "desk_claim", {"question": question})
        if not claimed["items"]:
            found = await self._ask_desk(started, "desk_get", {"question": question})
            if found["decision"] is None:
                raise waits_for(found)
            raise Conflict(f"{question} was {found['decision']}, and somebody acted on it already", hint="call anew")
        call.question = None
        try:
            said = await act(started.gate, claimed["items"][0], partial(may_act, started.run, claimed["items"][0]))
        except NotActed as error:
            if error.by_another:
                raise Conflict(f"somebody acts on {question} already", hint="call anew") from None
            hint = (
                f"the answer stands, and may be acted on in {ANSWER_CLAIM_SECONDS / 60:g} minutes: call this again then"
            )
            raise Unavailable(str(error), hint=hint) from None
        self._tidy(started)
        if call.result is not None:
            return call.result
        if call.question is not None:  # what the person made of the call is for a person to decide again
            return await self._put(call, call.question)
        raise Blocked(said.removeprefix("- "), question=question)

    async def _ask_desk(self, started: _Started, tool: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        with as_host():
            outcome = await started.fleet.inner.call(tool, arguments, started.run.token)
        if outcome.is_error or outcome.structured is None:
            raise outcome.error()
        return outcome.structured

    def _tool_call(self, call: ClientCall) -> ToolCall:
        number = f"call_{self._behind.config.ids.random(8).hex()}"
        return ToolCall(number, call.tool.name, call.params.arguments or {})

    # Its life

    async def _ready(self) -> _Started:
        """The run, started and logged. Raises Unavailable when the gate lacks what it needs or the log says no."""
        async with self._guard:
            if self._started is None:
                self._started = await self._start()
            self._renew(self._started)
            return self._started

    async def _start(self) -> _Started:
        behind, config = self._behind, self._behind.config
        inner = await behind.composed.fleet()
        await to_thread.run_sync(behind.secrets.learn_environment)
        mark = await behind.book.arrive()
        run_id = new_run_id(config.clock, config.ids)
        origin = Origin("client", started_by=self._caller.agent, host=mark, principal=self._caller.principal)
        fleet = ClientFleet(
            catalog=await _catalog(behind, inner),
            inner=inner,
            owners=behind.own,
            sign=lambda: started.client_token,
        )
        task = f"Calls of {self._client} for {self._agent}"
        run = Run(run_id, self._agent, task, "", "", fleet, behind.secrets, origin, purse=Purse(client_grant()))
        started = _Started(run, Gate(run, config.clock, Progress()), fleet, float("-inf"), None)
        self._renew(started)
        self._began = config.clock.monotonic()
        await run.start()
        return started

    def _renew(self, started: _Started) -> None:
        """Tokens that are valid for a while yet; a client may stay for days."""
        now = self._behind.config.clock.monotonic()
        if now - started.signed_at < TOKEN_SECONDS / 2:
            return
        who, run = self._caller, started.run
        issue = partial(
            self._behind.tokens.issue, run=run.id, grant=as_reference(run.purse.grant), ttl_seconds=TOKEN_SECONDS,
            principal=who.principal,
        )  # fmt: skip
        run.token = issue(self._agent)
        if who.agent is not None:
            started.client_token = issue(who.agent, role=who.role)
        started.signed_at = now

    def _tidy(self, started: _Started) -> None:
        """Keep what the end of the run says, and nothing that grows with it."""
        started.counts.update(use.verdict for use in started.run.tools)
        started.run.tools.clear()
        started.run.questions[:] = list(dict.fromkeys(started.run.questions))[-QUESTIONS_KEPT:]


async def _catalog(behind: Behind, inner: Fleet) -> Catalog:
    catalog = Catalog()
    catalog.add(await behind.own_tools())
    catalog.add(tool for tool in inner.catalog.all() if not tool.own)
    return catalog


def waits_for(question: Mapping[str, Any]) -> Deferred:
    """The failure of a call that a person must decide first."""
    number, how = str(question["question"]), " ".join(str(question.get("how_to_answer") or "").split())
    return Deferred(
        f"a person must decide this first (question {number}). {question.get('body') or ''}",
        hint=f"a person answers it. {how}; then call this again, unchanged",
        question=number,
    )


def refused(made: ToolReturn) -> ToolAnswer:
    """What the gate said instead of calling, as the failure that it is."""
    code, _, message = made.text.partition(": ")
    return shape_error(error_class(code)(message))
