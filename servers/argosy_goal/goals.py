"""The goals of an agent over documents."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any, cast

from argosy_core.clock import parse_time
from argosy_core.errors import (
    AlreadyExists,
    ArgosyError,
    Conflict,
    InvalidArgument,
    NotFound,
    PermissionDenied,
)
from argosy_core.ids import new_id
from argosy_core.serving.config import ServerConfig
from argosy_core.serving.results import DoctorFinding, clamp_limit, decode_cursor, encode_cursor
from argosy_core.storage.base import ABSENT, Content
from argosy_core.types import Caller, Role
from argosy_goal import goal_edit
from argosy_goal.drafts import GoalDraft, StepDraft, check_key, check_note, draft_steps
from argosy_goal.goal_file import FOLDER, OLD_NAME, path_of, read_goal, text_of
from argosy_goal.goal_files import GoalFiles
from argosy_goal.history import append_history
from argosy_goal.inspection import inspect_goals
from argosy_goal.models import Goal, GoalPage, Step
from argosy_goal.statuses import OPEN, PRIORITIES, STATUSES, Status, spoken

TRIES = 20  # compare-and-swap rounds before a writer gives up against others on the same goal
_NO_DEADLINE = "9999"
_Change = Callable[[Content, Goal], str]

logger = logging.getLogger(__name__)


class Goals:
    """Reads and writes goals; one object serves every agent of the vault."""

    def __init__(self, config: ServerConfig) -> None:
        self._documents = config.store.documents
        self._files = GoalFiles(config.store.documents)
        self._chain = config.store.chain
        self._bell = config.store.bell
        self._clock = config.clock
        self._ids = config.ids

    # Making

    async def create(self, agent: str, caller: Caller, draft: GoalDraft, key: str | None) -> Goal:
        """Write a new goal. Raises NotFound (the agent, the parent), InvalidArgument or Conflict (the key)."""
        check_key(key)
        if agent not in await self._documents.folders():
            raise NotFound(f"there is no agent {agent!r}", hint="agent_list shows the agents")
        if draft.parent is not None:
            await self._files.find(agent, draft.parent)
        moment = self._clock.now()
        goal = await self._reserve(agent, draft, key) if key else new_id("goal", self._clock, self._ids)
        text = goal_edit.new_goal(draft.fields(goal, moment, key), moment)
        try:
            written = await self._documents.write(path_of(agent, goal), text.encode(), expect=ABSENT)
        except AlreadyExists:
            if key is None:
                raise
            return (await self.get(agent, goal)).model_copy(update={"duplicate": True})
        return await self._done(agent, caller, written, {"event": "created", "title": draft.title})

    async def _reserve(self, agent: str, draft: GoalDraft, key: str) -> str:
        """The id that belongs to *key*: of all that use the key first at the same time, the log decides for one."""
        event = {"kind": "goal.key", "arguments": draft.digest}
        try:
            entry = await self._chain.append(agent, "goal", event, key=f"create:{key}")
        except Conflict as exc:
            raise Conflict("the key was used for another goal", hint="use a new key for a new goal") from exc
        return f"goal_{parse_time(entry.ts):%Y%m%dT%H%M%S}_{entry.hash[:8]}"

    # Reading

    async def get(self, agent: str, goal: str) -> Goal:
        """One goal. Raises NotFound, Corrupted."""
        return read_goal(await self._files.find(agent, goal))

    async def document(self, agent: str, goal: str) -> str:
        """A goal's file as it stands. Raises NotFound, Corrupted when it is not text."""
        return text_of(await self._files.find(agent, goal))

    async def page(self, agent: str, status: Status | None, limit: int, cursor: str | None) -> GoalPage:
        """Goals, open ones first, then by priority and deadline."""
        after, limit = _position(cursor), clamp_limit(limit)
        goals, broken = await self._files.read_all(agent)
        chosen = sorted((_order(g), g) for g in goals if status is None or g.status == status)
        rest = [(place, goal) for place, goal in chosen if after is None or place > after]
        following = encode_cursor(*rest[limit - 1][0]) if len(rest) > limit else None
        problems = [str(error) for error in broken] + [problem for goal in goals for problem in goal.problems]
        return GoalPage(items=[goal.item() for _, goal in rest[:limit]], next_cursor=following, problems=problems)

    async def active(self, agent: str) -> str:
        """The open goals with their steps, as text."""
        goals, broken = await self._files.read_all(agent)
        shown = [goal.render() for goal in sorted(goals, key=_order) if goal.is_open]
        return "\n\n".join([*shown, *(f"Problem: {error}" for error in broken)]) or "No goal is open."

    # Changing

    async def transition(
        self,
        agent: str,
        caller: Caller,
        goal: str,
        step: str | None,
        to: Status,
        expect_status: str,
        note: str | None,
        decision: str | None,
    ) -> Goal:
        """Move a goal or a step from *expect_status* to *to*; out of ``awaiting_decision`` only for an operator.

        Raises Conflict when it is in another status, PermissionDenied.
        """
        _check_move(to, expect_status)
        check_note(note, "note")
        check_note(decision, "decision")
        moment = self._clock.now()
        line = f"{step or 'goal'} {spoken(to)}. {decision or ''} {note or ''}"

        def change(content: Content, current: Goal) -> str:
            status = current.status if step is None else _step_of(current, step).status
            if status != expect_status:
                raise Conflict(
                    f"{step or 'the goal'} is {status}, not {expect_status}",
                    hint="read it with goal_get and decide again",
                    status=status,
                    version=content.version,
                )
            if status == "awaiting_decision" and caller.role is not Role.OPERATOR:
                raise PermissionDenied(
                    f"{step or 'the goal'} awaits a person's decision",
                    hint="an operator moves it on: mcp-host call goal_transition … --role operator",
                )
            if step is None:
                text = goal_edit.set_goal_status(content, current, to)
            else:
                text = goal_edit.set_step_status(content, current, step, to, moment)
            return goal_edit.with_history(text, moment, line)

        event = {"event": "transition", "sub_goal": step, "from": expect_status, "to": to}
        remarks = {"note": note, "decision": decision}
        return await self._change(agent, caller, goal, change, event | remarks)

    async def add_steps(
        self, agent: str, caller: Caller, goal: str, steps: Sequence[StepDraft], expect_version: str
    ) -> Goal:
        """Add steps to the version of a goal that the caller read. Raises Conflict when it has changed since."""
        if not steps:
            raise InvalidArgument("no steps were given", hint="give at least one label")
        ids: list[str] = []

        def change(content: Content, current: Goal) -> str:
            if content.version != expect_version:
                raise Conflict(
                    "the goal has changed since you read it",
                    hint="read it with goal_get and repeat with its version",
                    version=content.version,
                )
            made = draft_steps(steps, (s.id for s in current.steps))
            ids[:] = [step["id"] for step in made]
            text = goal_edit.add_steps(content, made)
            return goal_edit.with_history(text, self._clock.now(), f"added {', '.join(ids)}.")

        return await self._change(agent, caller, goal, change, {"event": "steps_added", "sub_goals": ids})

    async def record_outcome(self, agent: str, caller: Caller, goal: str, step: str | None, result: str) -> Goal:
        """Write down what came of a goal or step, once. Raises Conflict when something else is written there."""
        result = result.strip()
        if not result:
            raise InvalidArgument("result is empty", hint="say what came of it, or name the file that holds it")
        check_note(result, "result")
        before = await self.get(agent, goal)
        if _outcome_of(before, step) == result:
            return before

        def change(content: Content, current: Goal) -> str:
            if (known := _outcome_of(current, step)) is not None and known != result:
                raise Conflict("its outcome is written already", hint="an outcome is written once", outcome=known)
            text = goal_edit.set_outcome(content, current, step, result)
            return goal_edit.with_history(text, self._clock.now(), f"{step or 'goal'} outcome: {result}")

        event = {"event": "outcome", "sub_goal": step, "output": result}
        return await self._change(agent, caller, goal, change, event)

    async def _change(self, agent: str, caller: Caller, goal: str, change: _Change, event: dict[str, Any]) -> Goal:
        for _ in range(TRIES):
            content = await self._files.find(agent, goal)
            text = change(content, read_goal(content))
            data = goal_edit.check_result(content.path, text)
            try:
                written = await self._documents.write(content.path, data, expect=content.version)
            except Conflict:
                continue  # somebody wrote in between: look again whether the change still fits
            return await self._done(agent, caller, written, event)
        raise Conflict("many writers are at this goal", hint="try again in a moment")

    async def _done(self, agent: str, caller: Caller, written: Content, event: dict[str, Any]) -> Goal:
        """Record a change that is durable: the log, the older record beside it, the bell."""
        goal = read_goal(written)
        kept = {name: value for name, value in event.items() if value is not None}
        kind = {"kind": f"goal.{kept.pop('event')}", "goal": goal.goal, "path": goal.path}
        run = {"run_id": caller.run} if caller.run else {}
        entry = await self._chain.append(agent, "goal", kind | kept | run)
        try:
            line = {"ts": entry.ts, "event": event["event"], "goal": goal.goal, **kept}
            await append_history(self._documents, agent, line)
        except ArgosyError as error:  # the change stands and the log has it: the older record is a courtesy
            logger.warning("goal_history.jsonl of %s was not written: %s", agent, error)
            goal = goal.model_copy(update={"problems": [*goal.problems, f"goal_history.jsonl lacks this: {error}"]})
        self._bell.ring(goal.path)
        return goal

    # What the server base asks

    async def counts(self, agent: str | None) -> dict[str, int]:
        if agent is None:
            return {}
        goals, broken = await self._files.read_all(agent)
        return {"goals": len(goals), "open": sum(goal.is_open for goal in goals), "unreadable": len(broken)}

    async def doctor(self, agent: str | None) -> list[DoctorFinding]:
        return inspect_goals(*await self._files.read_all(agent)) if agent is not None else []

    def uris_of(self, path: str) -> list[str]:
        parts = path.split("/")
        if len(parts) == 2 and parts[1] == OLD_NAME:
            return ["goal://goal", "goal://active"]
        if len(parts) == 3 and parts[1] == FOLDER and path.endswith(".md"):
            return [f"goal://{parts[2].removesuffix('.md')}", "goal://active"]
        return []


def _check_move(to: Status, expect_status: str) -> None:
    if expect_status not in STATUSES:
        raise InvalidArgument(
            f"{expect_status[:40]!r} is not a status", hint=f"expect_status is one of {', '.join(STATUSES)}"
        )
    if to == expect_status:
        raise InvalidArgument("to and expect_status are the same", hint="say where it should move to")


def _step_of(goal: Goal, step: str) -> Step:
    found = next((s for s in goal.steps if s.id == step), None)
    if found is None:
        known = ", ".join(s.id for s in goal.steps[:20])
        raise NotFound(f"the goal has no step {step[:64]!r}", hint=f"its steps: {known or 'none'}")
    return found


def _outcome_of(goal: Goal, step: str | None) -> str | None:
    return goal.outcome if step is None else _step_of(goal, step).output


_Place = tuple[int, int, str, str]


def _order(goal: Goal) -> _Place:
    priority = PRIORITIES.index(goal.priority)
    return (int(goal.status not in OPEN), priority, goal.deadline or _NO_DEADLINE, goal.goal)


def _position(cursor: str | None) -> _Place | None:
    if cursor is None:
        return None
    found = decode_cursor(cursor, 4)
    if [type(part) for part in found] != [int, int, str, str]:
        raise InvalidArgument("not a cursor of this list", hint="pass next_cursor unchanged, or leave cursor out")
    return cast("_Place", tuple(found))
