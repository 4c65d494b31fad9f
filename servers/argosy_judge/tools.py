"""The judge's tools: validate, call, shape."""

from __future__ import annotations

from typing import Annotated, Any

from mcp.server.mcpserver import Context
from mcp_types import InputRequiredResult
from pydantic import Field

from argosy_core.serving.identity import WhoCalls
from argosy_core.serving.results import DEFAULT_LIMIT
from argosy_core.serving.server import need_agent
from argosy_core.serving.toolbox import ToolBox
from argosy_core.types import ActionClass, Caller, Role
from argosy_judge.judge import Judge
from argosy_judge.listing import budget_page, grant_page, issue, shown
from argosy_judge.models import (
    BudgetPage,
    Estimate,
    Explanation,
    GrantInfo,
    GrantPage,
    Judgment,
    Reservation,
    Settlement,
    ToolClass,
)
from argosy_judge.sampling import ask_model, read_completion

Limit = Annotated[int, Field(description="At most this many, up to 500")]
Cursor = Annotated[str | None, Field(description="next_cursor of the page before")]


def build_tools(judge: Judge) -> ToolBox:
    """The tools over *judge*."""
    box = ToolBox()
    _add_judging(box, judge)
    _add_budgets(box, judge)
    _add_grants(box, judge)
    return box


def _add_judging(box: ToolBox, judge: Judge) -> None:
    @box.tool("Judge a proposal", role=Role.HOST)
    async def judge_evaluate(
        caller: WhoCalls,
        ctx: Context,
        proposal: Annotated[
            dict[str, Any],
            Field(
                description="tool_name, tool_arguments, tool_call_id; optional: server, reason, evidence, "
                "authorization, side_channel_for_tool_call_id, expected_consequence, reversibility, rollback_path, "
                "target_audience, input_schema, amendment"
            ),
        ],
    ) -> Judgment:
        """Judge a tool call before it runs. Class, hash and ids are the judge's own; nothing is run or written."""
        # No resolver for the model: what the rules decide alone, which is nearly everything, would pay for it.
        hearing = await judge.hear(need_agent(caller), proposal, caller)
        if hearing.question is None:
            return await judge.close(hearing, None)
        reply = await ask_model(ctx, hearing.question)
        if isinstance(reply, str):
            return await judge.close(hearing, judge.unheard(hearing, reply))
        if isinstance(reply, InputRequiredResult):
            return reply  # type: ignore[return-value]  # the server hands it on as it is
        return await judge.close(hearing, judge.read_reply(hearing, *read_completion(reply)))

    @box.tool("Class of a tool")
    async def judge_classify(
        caller: WhoCalls,
        server: Annotated[str, Field(description="The tool's server")],
        tool: Annotated[str, Field(description="The tool's name")],
    ) -> ToolClass:
        """What a tool may do to the world (read_only to high_risk) and where that is said."""
        return await judge.tool_class(need_agent(caller), server, tool)

    @box.tool("Explain the policy", default=True)
    async def judge_explain(
        caller: WhoCalls,
        tool: Annotated[str, Field(description="Tool name, or server__tool")],
        arguments: Annotated[dict[str, Any] | None, Field(description="Arguments to check the paths of")] = None,
    ) -> Explanation:
        """What would come of calling a tool: allowed, put to a person or blocked, by which rule of which file. Ask it
        before an unusual action, or when one was refused."""
        return await judge.explain(need_agent(caller), tool, arguments, caller)


def _add_budgets(box: ToolBox, judge: Judge) -> None:
    @box.tool("Set money aside", ActionClass.REVERSIBLE_WRITE, role=Role.HOST)
    async def judge_reserve(
        caller: WhoCalls,
        run: Annotated[str, Field(description="The run that spends", max_length=200)],
        estimate: Annotated[Estimate, Field(description="What it costs at most")],
    ) -> Reservation:
        """Set aside what is about to be spent, before it is: no cap is passed, however many ask at once. Settled at
        the estimate when nobody settles it in time."""
        return await judge.budgets.reserve(caller, need_agent(caller), run, estimate)

    @box.tool("Settle what was set aside", ActionClass.REVERSIBLE_WRITE, role=Role.HOST, idempotent=True)
    async def judge_settle(
        caller: WhoCalls,
        reservation: Annotated[str, Field(description="Its id", max_length=100)],
        actual: Annotated[
            float | None,
            Field(ge=0, description="US dollars it came to; 0: nothing, none: as estimated"),
        ] = None,
        tokens: Annotated[int, Field(ge=0, description="Tokens it came to; 0 for as estimated")] = 0,
    ) -> Settlement:
        """Settle a reservation at what it came to. The same again changes nothing. An operator also says so of a cost
        that nobody verified."""
        return await judge.budgets.settle(need_agent(caller), reservation, actual, tokens, caller.role)

    @box.tool("What was spent")
    async def judge_budget(
        caller: WhoCalls,
        scope: Annotated[str, Field(description="all, actor, judge, embed, run:ID, grant:ID or mandate:ID")] = "all",
        limit: Limit = DEFAULT_LIMIT,
        cursor: Cursor = None,
    ) -> BudgetPage:
        """What was spent and set aside, today, this month and in all, with every cap on it and where that is said."""
        return budget_page(await judge.budgets.lines(caller, need_agent(caller), scope), limit, cursor)


def _add_grants(box: ToolBox, judge: Judge) -> None:
    @box.tool("Issue a grant", ActionClass.HIGH_RISK, role=Role.OPERATOR)
    async def grant_issue(
        caller: WhoCalls,
        holder: Annotated[str, Field(description="The agent that gets it")],
        tools: Annotated[list[str], Field(description="Full names, or prefix*")],
        until: Annotated[str, Field(description="When it ends, RFC 3339: no grant is endless")],
        why: Annotated[str, Field(description="In a line")],
        targets: Annotated[
            dict[str, Any] | None, Field(description="paths, hosts, models, denied, max_class, mode; left out: all")
        ] = None,
        limits: Annotated[dict[str, float] | None, Field(description="usd_day, usd_month, actions, depth…")] = None,
    ) -> GrantInfo:
        """Let an agent do something for a time. Actions cite it as mandate:ID, runs carry it."""
        now = judge.now()
        return await issue(judge.grants, now, holder, tools, targets or {}, limits or {}, until, why)

    @box.tool("Revoke a grant", ActionClass.REVERSIBLE_WRITE, role=Role.OPERATOR, idempotent=True)
    async def grant_revoke(caller: WhoCalls, grant: Annotated[str, Field(description="Its id")]) -> GrantInfo:
        """End a grant now. Whatever cites or carries it is refused from the next judgment on."""
        return shown(await judge.grants.revoke(grant), judge.now())

    @box.tool("List grants")
    async def grant_list(
        caller: WhoCalls,
        holder: Annotated[str | None, Field(description="Only this agent's")] = None,
        limit: Limit = DEFAULT_LIMIT,
        cursor: Cursor = None,
    ) -> GrantPage:
        """Grants with what they allow, by id. An agent sees its own."""
        return await grant_page(judge.grants, judge.now(), _visible(caller, holder), limit, cursor)


def _visible(caller: Caller, holder: str | None) -> str | None:
    return holder if caller.role is Role.OPERATOR else need_agent(caller)
