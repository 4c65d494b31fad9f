"""The goal server's tools: validate, call, shape."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from argosy_core.serving.identity import WhoCalls
from argosy_core.serving.results import DEFAULT_LIMIT
from argosy_core.serving.server import need_agent
from argosy_core.serving.toolbox import ToolBox
from argosy_core.types import ActionClass
from argosy_goal.drafts import draft_goal
from argosy_goal.goals import Goals
from argosy_goal.models import Goal, GoalPage
from argosy_goal.statuses import Priority, Status

GoalId = Annotated[str, Field(description="Its id")]
StepId = Annotated[str | None, Field(description="Id of a step; else the goal itself")]
Steps = list[str | dict[str, Any]]


def build_tools(goals: Goals) -> ToolBox:
    """The tools over *goals*."""
    box = ToolBox()

    @box.tool("Set a goal", ActionClass.REVERSIBLE_WRITE, default=True)
    async def goal_create(
        caller: WhoCalls,
        title: Annotated[str, Field(description="What is wanted, in a few words")],
        why: Annotated[str, Field(description="What it is good for")],
        steps: Annotated[Steps | None, Field(description="Labels, or {label, id, deadline, blocked_by…}")] = None,
        priority: Priority = "medium",
        deadline: Annotated[str | None, Field(description="YYYY-MM-DD")] = None,
        parent: Annotated[str | None, Field(description="Id of the goal it serves")] = None,
        key: Annotated[str | None, Field(description="Repeat-safe: the same key makes one goal")] = None,
    ) -> Goal:
        """Set a goal that outlasts this conversation, with the steps towards it. It starts as pending."""
        draft = draft_goal(title, why, steps or [], priority, deadline, parent)
        return await goals.create(need_agent(caller), caller, draft, key)

    @box.tool("List goals", default=True)
    async def goal_list(
        caller: WhoCalls,
        status: Annotated[Status | None, Field(description="Only these")] = None,
        limit: Annotated[int, Field(description="At most this many, up to 500")] = DEFAULT_LIMIT,
        cursor: Annotated[str | None, Field(description="next_cursor of the page before")] = None,
    ) -> GoalPage:
        """What is being worked towards: open goals first, by priority and deadline. goal_get shows the steps."""
        return await goals.page(need_agent(caller), status, limit, cursor)

    @box.tool("Read a goal", default=True)
    async def goal_get(caller: WhoCalls, goal: GoalId) -> Goal:
        """A goal with its steps, their statuses and what to do next."""
        return await goals.get(need_agent(caller), goal)

    @box.tool("Move a goal or step", ActionClass.REVERSIBLE_WRITE, default=True)
    async def goal_transition(
        caller: WhoCalls,
        goal: GoalId,
        to: Status,
        expect_status: Annotated[str, Field(description="Its status as you read it")],
        step: StepId = None,
        note: Annotated[str | None, Field(description="For the history")] = None,
        decision: Annotated[str | None, Field(description="What a person decided")] = None,
    ) -> Goal:
        """Change the status of a goal or of one step. What awaits a decision is moved on by a person."""
        return await goals.transition(need_agent(caller), caller, goal, step, to, expect_status, note, decision)

    @box.tool("Add steps to a goal", ActionClass.REVERSIBLE_WRITE, default=True)
    async def goal_add_steps(
        caller: WhoCalls,
        goal: GoalId,
        steps: Annotated[Steps, Field(description="Labels, or {label, id, deadline, blocked_by…}")],
        expect_version: Annotated[str, Field(description="version from goal_get")],
    ) -> Goal:
        """Add steps after those a goal has."""
        return await goals.add_steps(need_agent(caller), caller, goal, steps, expect_version)

    @box.tool("Record an outcome", ActionClass.REVERSIBLE_WRITE, default=True, idempotent=True)
    async def goal_outcome(
        caller: WhoCalls,
        goal: GoalId,
        result: Annotated[str, Field(description="What came of it, or the path of a file that holds it")],
        step: StepId = None,
    ) -> Goal:
        """Write down, once, what came of a goal or step. Its status is moved with goal_transition."""
        return await goals.record_outcome(need_agent(caller), caller, goal, step, result)

    return box
