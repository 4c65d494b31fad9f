"""The loop: assemble, ask the model, pass its calls through the gate, until it has answered or a limit is reached."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import anyio
from anyio import CancelScope, to_thread

from argosy_core.clock import Clock
from argosy_core.errors import ArgosyError, BudgetExhausted, DeadlineExceeded, Unavailable
from argosy_core.types import ActionClass
from argosy_host.answers import act_on_answers
from argosy_host.catalog import ToolInfo
from argosy_host.gate import Gate
from argosy_host.gating.statements import SPEC, Turn, sort_out
from argosy_host.interventions import Inbox
from argosy_host.progress import Progress
from argosy_host.providers.base import (
    Citation,
    Message,
    Model,
    ModelReply,
    ModelRequest,
    Segment,
    ToolCall,
    ToolReturn,
    ToolSpec,
)
from argosy_host.runs import Limits, Run, RunResult, RunStatus
from argosy_host.spending import Fallback, Spending

CLOSE_SECONDS = 5.0
PAUSE_LOOK_SECONDS = 0.5  # how often a paused run looks whether it may go on
MAX_PAUSE_SECONDS = 24 * 3600.0
END_SECONDS = 15.0  # how long an interrupted run may take to write its end
_CITED = re.compile(r"\[([^\[\]\n]{1,200})\]")


class _Ended(Exception):
    """Raised when somebody ended the run."""

    def __init__(self, by: str) -> None:
        super().__init__(by)
        self.by = by


@contextmanager
def _standing_still(time: CancelScope) -> Generator[None]:
    """The deadline of *time* is as far away after the block as it was before."""
    left = time.deadline - anyio.current_time()
    time.deadline = float("inf")
    try:
        yield
    finally:
        time.deadline = anyio.current_time() + left


@dataclass(slots=True)
class _Answer:
    """What the loop has come to so far."""

    text: str = ""
    citations: tuple[Citation, ...] = ()
    status: RunStatus = "ok"
    error: ArgosyError | None = None


class Loop:
    """One run of one model over one context."""

    def __init__(
        self,
        run: Run,
        open_model: Callable[[], Model],
        system: Sequence[Segment],
        tools: Sequence[ToolInfo],
        inbox: Inbox,
        *,
        clock: Clock,
        limits: Limits,
        progress: Progress,
        earlier: Sequence[Message] = (),
        open_other: Callable[[str], tuple[str, Callable[[], Model]]] | None = None,
    ) -> None:
        self._run = run
        self._open_model = open_model
        self._open_other = open_other
        self._model: Model | None = None
        self._system = system
        self._tools = [*map(_spec, tools), *([SPEC] if run.is_heard else [])]
        self._inbox = inbox
        self._time = CancelScope()
        self._clock = clock
        self._limits = limits
        self._progress = progress
        self._earlier = earlier
        self._gate = Gate(run, clock, progress)
        self._spending = Spending(run, clock, progress)
        self._sources: dict[str, str] = {}
        self._recorded = False
        self._started = clock.monotonic()

    async def execute(self) -> RunResult:
        """Run to the end and leave the record, whatever happens.

        Model and limit failures are in the result; an interruption is recorded and goes on to the caller. Raises
        Unavailable when the log cannot be written: then there was no run.
        """
        answer = _Answer()
        try:
            await self._run.start()
            self._recorded = True
            self._progress.started(self._run.id, self._run.agent, self._run.model, len(self._tools))
            with anyio.fail_after(self._limits.active_seconds) as self._time:
                # Opened in here: a missing key or package ends a run that has a record, like any other failure.
                decided = await act_on_answers(self._run, self._gate, self._progress)
                if decided is not None:
                    self._system = [*self._system, decided]
                self._model = await to_thread.run_sync(self._open_model)
                await self._turns(answer)
        except _Ended as ended:
            answer.status, answer.text = "interrupted", answer.text or f"ended by {ended.by}"
        except ArgosyError as error:
            if not self._recorded:
                raise
            answer.status, answer.error = ("budget" if isinstance(error, BudgetExhausted) else "error"), error
        except TimeoutError:
            answer.status = "budget"
            answer.error = DeadlineExceeded(
                f"the run used up its {self._limits.active_seconds:g} seconds", hint="ask for less, or raise the limit"
            )
        except BaseException:
            with CancelScope(shield=True), anyio.move_on_after(END_SECONDS):
                await self._finish(_Answer(answer.text, status="interrupted"))
            raise
        finally:
            await self._close_model()
        await self._finish(answer)
        return self._result(answer)

    @property
    def has_record(self) -> bool:
        """Whether the run's start is in the log."""
        return self._recorded

    async def _close_model(self) -> None:
        if self._model is not None:
            with CancelScope(shield=True), anyio.move_on_after(CLOSE_SECONDS):
                await self._model.close()

    async def _turns(self, answer: _Answer) -> None:
        messages = [*self._earlier, Message("user", text=self._run.task)]
        while True:
            reply = await self._ask(messages)
            # A second net: whatever a model was shown was redacted before.
            answer.text = self._run.secrets.redactor.redact_text(reply.text or answer.text)
            answer.citations = reply.citations or self._cited(answer.text)
            if reply.stop == "refusal":
                answer.status, answer.text = "blocked", reply.text or "The model refused this task."
                return
            messages.append(Message("assistant", text=reply.text, calls=reply.calls, native=reply.native))
            if not reply.calls:
                if reply.stop == "pause_turn":
                    continue
                return self._close(answer, reply)
            returns = await self._called(reply.calls)
            self._remember(returns)
            messages.append(Message("user", returns=tuple(returns)))
            if self._run.questions:
                answer.status = "deferred"
                return
            messages += await self._steered()

    async def _called(self, calls: Sequence[ToolCall]) -> list[ToolReturn]:
        """What comes back for each of *calls*, in their order."""
        turn = sort_out(calls) if self._run.is_heard else Turn()
        return [
            turn.noted[place] if place in turn.noted else await self._gate.call(call, turn.said.get(place))
            for place, call in enumerate(calls)
        ]

    async def _steered(self) -> list[Message]:
        """What was said to this run since the last turn; while it is paused, wait for more.

        A paused run holds nothing: its active time stands still. Raises _Ended.
        """
        corrections: list[Message] = []
        waited = 0.0
        paused = False
        while True:
            for said in await self._inbox.read():
                if said.action == "terminate":
                    raise _Ended(said.by)
                if said.guidance:
                    corrections.append(Message("user", text=f"Guidance from {said.by}: {said.guidance}"))
                paused = said.action == "pause" or (paused and said.action != "resume")
            if not paused:
                return corrections
            if waited == 0.0:
                self._progress.paused()
            if waited >= MAX_PAUSE_SECONDS:
                raise _Ended("a pause that nobody ended")
            with _standing_still(self._time):
                await self._clock.sleep(PAUSE_LOOK_SECONDS)
            waited += PAUSE_LOOK_SECONDS

    def _close(self, answer: _Answer, reply: ModelReply) -> None:
        if reply.stop == "max_tokens":
            self._progress.problem("the answer was cut at the model's output limit")

    async def _ask(self, messages: Sequence[Message]) -> ModelReply:
        """The next turn; by the agent's fallback model, from now on, where a cap leaves no other."""
        self._check_limits()
        try:
            return await self._turn(messages)
        except Fallback as fallback:
            self._progress.problem(f"budget: going on with {fallback.model}")
            await self._change_model(fallback.model)
        try:
            return await self._turn(messages)
        except Fallback as again:
            raise BudgetExhausted(f"a cap leaves only {again.model}, which is in use already") from None

    async def _change_model(self, name: str) -> None:
        if self._open_other is not None:
            name, self._open_model = self._open_other(name)
            await self._close_model()
            self._model = await to_thread.run_sync(self._open_model)
        await self._run.log("model.fallback", {"primitive": "other", "model": name, "instead_of": self._run.model})
        self._run.model = name

    async def _turn(self, messages: Sequence[Message]) -> ModelReply:
        model = self._model
        assert model is not None
        self._run.iterations += 1
        self._progress.thinking(self._run.iterations)
        request = ModelRequest(
            model=self._run.model,
            system=self._system,
            messages=tuple(messages),
            tools=self._tools,
            max_output_tokens=self._limits.output_tokens,
            today=self._clock.now().date().isoformat(),
        )
        return await self._spending.complete(model, request, self._progress.text)

    def _check_limits(self) -> None:
        if self._run.iterations >= self._limits.iterations:
            raise BudgetExhausted(
                f"the run used up its {self._limits.iterations} turns", hint="ask for less, or raise the limit"
            )
        used = self._run.usage.input_tokens + self._run.usage.output_tokens
        if used >= self._limits.tokens:
            raise BudgetExhausted(
                f"the run used {used} of its {self._limits.tokens} tokens", hint="ask for less, or raise the limit"
            )

    async def _finish(self, answer: _Answer) -> None:
        elapsed = self._clock.monotonic() - self._started
        if answer.status == "ok" and self._run.below:
            answer.status = "deferred"  # what a run below waits for, this one waits for too
        summary = answer.error.message if answer.error else answer.text
        try:
            await self._run.end(answer.status, summary, elapsed, answer.error)
        except ArgosyError as error:
            self._progress.problem(f"the end of the run could not be logged: {error}")
            answer.error = answer.error or Unavailable("the run's end is not in the log", hint="mcp-host doctor")
            answer.status = "error"

    def _result(self, answer: _Answer) -> RunResult:
        run = self._run
        return RunResult(
            run=run.id,
            agent=run.agent,
            status=answer.status,
            text=answer.text,
            citations=answer.citations,
            tools=tuple(run.tools),
            usage=run.usage,
            cost_usd=run.cost_usd,
            model=run.model,
            questions=(*run.questions, *(found for found in run.below if found not in run.questions)),
            error=answer.error,
        )

    # Citations: names in brackets that some tool returned with their resource

    def _remember(self, returns: Iterable[ToolReturn]) -> None:
        for result in returns:
            if result.structured is not None:
                self._sources.update(_named_uris(result.structured))

    def _cited(self, text: str) -> tuple[Citation, ...]:
        names = dict.fromkeys(name for name in _CITED.findall(text) if name in self._sources)
        return tuple(Citation(name, self._sources[name]) for name in names)


def _named_uris(value: Any) -> Iterable[tuple[str, str]]:
    if isinstance(value, Mapping):
        fields = cast("Mapping[str, Any]", value)
        uri = fields.get("uri")
        for key in ("name", "day", "goal"):
            name = fields.get(key)
            if isinstance(uri, str) and isinstance(name, str):
                yield name, uri
        if isinstance(fields.get("why"), str) and isinstance(fields.get("name"), str) and uri is None:
            yield fields["name"], f"memory://note/{fields['name']}"
        for inner in fields.values():
            yield from _named_uris(inner)
    elif isinstance(value, list):
        for inner in cast("list[object]", value):
            yield from _named_uris(inner)


def _spec(tool: ToolInfo) -> ToolSpec:
    return ToolSpec(tool.name, tool.description, tool.input_schema, tool.action_class is ActionClass.READ_ONLY)
