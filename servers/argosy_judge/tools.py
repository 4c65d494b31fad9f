"""The judge's tools: validate, call, shape."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from argosy_core.serving.identity import WhoCalls
from argosy_core.serving.server import need_agent
from argosy_core.serving.toolbox import ToolBox
from argosy_core.types import Role
from argosy_judge.judge import Judge
from argosy_judge.models import Explanation, Judgment, ToolClass


def build_tools(judge: Judge) -> ToolBox:
    """The tools over *judge*."""
    box = ToolBox()

    @box.tool("Judge a proposal", role=Role.HOST)
    async def judge_evaluate(
        caller: WhoCalls,
        proposal: Annotated[
            dict[str, Any],
            Field(
                description="tool_name, tool_arguments, tool_call_id; optional: server, reason, evidence, "
                "authorization, side_channel_for_tool_call_id, expected_consequence, reversibility, rollback_path, "
                "target_audience"
            ),
        ],
    ) -> Judgment:
        """Judge a tool call before it runs. Class, hash and ids are the judge's own; nothing is run or written."""
        return await judge.evaluate(need_agent(caller), proposal)

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
        return await judge.explain(need_agent(caller), tool, arguments)

    return box
