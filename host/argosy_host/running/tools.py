"""The host's tools: validate, call, shape."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from mcp.server.mcpserver import Context
from pydantic import Field

from argosy_core.serving.identity import WhoCalls
from argosy_core.serving.results import DEFAULT_LIMIT
from argosy_core.serving.toolbox import ToolBox
from argosy_core.types import ActionClass
from argosy_host.running.desk import Report, RunDesk
from argosy_host.running.models import RunPage, RunState

RunId = Annotated[str, Field(description="The run's id")]
Wait = Annotated[float, Field(description="Wait so many seconds for its end, at most 50", ge=0, le=3600)]
Status = Literal["in_flight", "ok", "error", "blocked", "deferred", "budget", "interrupted"]


def build_tools(desk: RunDesk) -> ToolBox:
    """The tools over *desk*."""
    box = ToolBox()

    @box.tool("Start a run", ActionClass.REVERSIBLE_WRITE, default=True)
    async def run_start(
        caller: WhoCalls,
        ctx: Context[Any, Any],
        agent: Annotated[str, Field(description="The agent's name")],
        input: Annotated[str, Field(description="The task, with all the agent needs to know")],
        key: Annotated[
            str | None,
            Field(description="The same key and task give the first run again", min_length=1, max_length=200),
        ] = None,
        wait_s: Wait = 0.0,
    ) -> RunState:
        """Have an agent work on a task by itself. Gives the run's id; run_status tells how it goes and its answer."""
        return await desk.start(caller, agent, input, key, wait_s, reporter(ctx))

    @box.tool("How a run goes", default=True)
    async def run_status(caller: WhoCalls, ctx: Context[Any, Any], run: RunId, wait_s: Wait = 0.0) -> RunState:
        """How a run goes, whoever started it and wherever it is: its state, last steps, cost, and in the end its
        answer."""
        return await desk.status(caller, run, wait_s, reporter(ctx))

    @box.tool("Cancel a run", ActionClass.REVERSIBLE_WRITE, idempotent=True)
    async def run_cancel(caller: WhoCalls, run: RunId) -> RunState:
        """End a run that you started, and the runs below it. What it did stays done; its record says who ended it."""
        return await desk.intervene(caller, run, "terminate", None)

    @box.tool("Steer a run", ActionClass.REVERSIBLE_WRITE)
    async def run_intervene(
        caller: WhoCalls,
        run: RunId,
        action: Annotated[
            Literal["pause", "resume", "correct", "terminate"], Field(description="correct goes with guidance")
        ],
        guidance: Annotated[str | None, Field(description="What it should do differently")] = None,
    ) -> RunState:
        """Pause a run that you started, let it go on, tell it what to do differently, or end it. It takes effect
        after the turn it is in."""
        return await desk.intervene(caller, run, action, guidance)

    @box.tool("List runs")
    async def run_list(
        caller: WhoCalls,
        state: Annotated[Status | None, Field(description="Only runs in this state")] = None,
        limit: Annotated[int, Field(description="At most this many, up to 500")] = DEFAULT_LIMIT,
        cursor: Annotated[str | None, Field(description="next_cursor of the page before")] = None,
    ) -> RunPage:
        """Runs, the newest first: your own and those you started."""
        return await desk.listing(caller, state, limit, cursor)

    return box


def reporter(ctx: Context[Any, Any]) -> Report:
    """Tells a run's steps as the call's progress, to clients that asked for it."""

    async def report(done: int, step: str) -> None:
        await ctx.report_progress(done, None, step)

    return report
