"""Builds the goal server."""

from __future__ import annotations

from argosy_core.serving.config import ServerConfig
from argosy_core.serving.results import MAX_LIMIT
from argosy_core.serving.server import ArgosyServer, need_agent
from argosy_core.types import Caller
from argosy_goal.goals import Goals
from argosy_goal.tools import build_tools


def create(config: ServerConfig) -> ArgosyServer:
    """The goal server for *config*."""
    goals = Goals(config)
    server = ArgosyServer(
        "goal",
        config,
        goals,
        build_tools(goals),
        title="Goals",
        instructions="What is being worked towards, in steps. List them, move steps on, record what came of it.",
    )

    @server.resource(
        "goal://active", name="active_goals", title="Open goals", mime_type="text/plain",
        description="The open goals with their steps",
    )  # fmt: skip
    async def active_goals() -> str:
        return await server.resource_of(goals.active)

    @server.resource(
        "goal://{goal}", name="goal", title="A goal", mime_type="text/markdown",
        description="A goal's file as Markdown; goal is its id",
    )  # fmt: skip
    async def goal_file(goal: str) -> str:
        return await server.resource_of(goals.document, goal)

    @server.prompt(name="plan_goal", title="Plan a goal", description="Turn a wish into a goal with steps")
    def plan_goal(wish: str) -> str:
        return (
            f"{_today(config)} Somebody wants: {wish}\n"
            "Look at goal_list first: if a goal already covers it, say so and stop. Otherwise name what is wanted and "
            "why, how one will know that it is reached, and the three to eight steps that lead there in order, each "
            "small enough to finish in one sitting and stated so that done can be told from not done. Ask about what "
            "you cannot know, above all the deadline; then set the goal with goal_create."
        )

    @server.prompt(name="review_goals", title="Review the goals", description="Where every open goal stands")
    def review_goals() -> str:
        return (
            f"{_today(config)} Read goal_list, and goal_get for each open goal. For each say in two lines where it "
            "stands and what would move it. Name what is overdue or blocked and by what, what awaits a person's "
            "decision, and what could be closed. End with the one step to do first. Change nothing without asking."
        )

    async def goal_ids(caller: Caller) -> list[str]:
        return [found.goal for found in (await goals.page(need_agent(caller), None, MAX_LIMIT, None)).items]

    server.completions.add_names(goal_ids, ("goal://{goal}", "goal"))
    return server


def _today(config: ServerConfig) -> str:
    return f"Today is {config.clock.now():%Y-%m-%d}."
