"""The judge's tools: validate, call, shape."""

from __future__ import annotations

from typing import Annotated, Any

from mcp.server.mcpserver import Context, Resolve, Sample
from mcp_types import CreateMessageResult, ModelHint, ModelPreferences, SamplingMessage, TextContent
from pydantic import Field

from argosy_core.serving.identity import WhoCalls
from argosy_core.serving.results import DEFAULT_LIMIT
from argosy_core.serving.server import ArgosyServer, need_agent
from argosy_core.serving.toolbox import ToolBox
from argosy_core.types import ActionClass, Caller, Role
from argosy_judge.hearing import Hearing
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
from argosy_judge.seats import MAX_ANSWER_TOKENS, Question

Limit = Annotated[int, Field(description="At most this many, up to 500")]
Cursor = Annotated[str | None, Field(description="next_cursor of the page before")]


async def hear(ctx: Context, caller: WhoCalls, proposal: dict[str, Any]) -> Hearing | Sample:
    """The case after the rules were heard; a model's completion instead, where one is to be asked and can be."""
    server = ctx.mcp_server
    assert isinstance(server, ArgosyServer) and isinstance(server.domain, Judge)
    hearing = await server.domain.hear(need_agent(caller), proposal, caller)
    if hearing.question is None or _cannot_ask(ctx) is not None:
        return hearing
    return _completion(hearing.question)


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
        ctx: Context,
        caller: WhoCalls,
        proposal: Annotated[
            dict[str, Any],
            Field(
                description="tool_name, tool_arguments, tool_call_id; optional: server, reason, evidence, "
                "authorization, side_channel_for_tool_call_id, expected_consequence, reversibility, rollback_path, "
                "target_audience, input_schema, amendment"
            ),
        ],
        heard: Annotated[Any, Resolve(hear)],
    ) -> Judgment:
        """Judge a tool call before it runs. Class, hash and ids are the judge's own; nothing is run or written."""
        if isinstance(heard, Hearing):
            return await judge.close(heard, judge.unheard(heard, _cannot_ask(ctx) or "it was not asked"))
        hearing = await judge.hear(need_agent(caller), proposal, caller)
        if hearing.question is None:  # the policy was changed while the model thought
            return await judge.close(hearing, None)
        return await judge.close(hearing, judge.read_reply(hearing, *_reply(heard)))

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
        actual: Annotated[float, Field(ge=0, description="US dollars it came to; 0 when nothing was spent")],
        tokens: Annotated[int, Field(ge=0, description="Tokens it came to; 0 for as estimated")] = 0,
    ) -> Settlement:
        """Settle a reservation at what it came to. The same again changes nothing."""
        return await judge.budgets.settle(need_agent(caller), reservation, actual, tokens)

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


def _cannot_ask(ctx: Context) -> str | None:
    """Why the client cannot be asked for a completion; None when it can."""
    try:
        capabilities = ctx.client_capabilities
        modern = (ctx.protocol_version or "") >= "2026-07-28"
        reachable = modern or ctx.session.can_send_request
    except (ValueError, LookupError):
        return "nobody is connected who could ask one"
    if capabilities is None or capabilities.sampling is None:
        return "this client does not offer sampling"
    return None if reachable else "this client cannot be reached while it waits"


def _completion(question: Question) -> Sample:
    hints = None if question.model is None else ModelPreferences(hints=[ModelHint(name=question.model)])
    return Sample(
        [SamplingMessage(role="user", content=TextContent(type="text", text=question.user))],
        max_tokens=MAX_ANSWER_TOKENS,
        system_prompt=question.system,
        temperature=0.0,
        model_preferences=hints,
    )


def _reply(result: object) -> tuple[str, str | None, dict[str, Any] | None]:
    """Text, model and metadata of a completion; of one that is no text the text is empty, which is no verdict."""
    if not isinstance(result, CreateMessageResult):
        return "", None, None
    content: Any = result.content
    parts = content if isinstance(content, list) else [content]
    text = "".join(part.text for part in parts if isinstance(part, TextContent))
    return text, result.model, dict(result.meta) if result.meta else None
