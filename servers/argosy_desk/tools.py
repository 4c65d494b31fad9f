"""The desk's tools: validate, call, shape."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from argosy_core.serving.identity import WhoCalls
from argosy_core.serving.results import DEFAULT_LIMIT
from argosy_core.serving.toolbox import ToolBox
from argosy_core.types import ActionClass, Role
from argosy_desk.asking import draft_question
from argosy_desk.desk import Desk
from argosy_desk.kinds import Kind, Urgency
from argosy_desk.models import Question, QuestionPage

QuestionId = Annotated[str, Field(description="Its id")]


def build_tools(desk: Desk) -> ToolBox:
    """The tools over *desk*."""
    box = ToolBox()

    @box.tool("Ask a person", ActionClass.REVERSIBLE_WRITE, role=Role.HOST)
    async def desk_ask(
        caller: WhoCalls,
        kind: Kind,
        title: Annotated[str, Field(description="What is to be decided, in a line")],
        body: Annotated[str, Field(description="What speaks for what; the judge's reason for an escalation")],
        options: Annotated[list[str] | None, Field(description="For a decision or gate: the choices")] = None,
        schema: Annotated[dict[str, Any] | None, Field(description="For an input: JSON Schema of the answer")] = None,
        default: Annotated[str | None, Field(description="The answer if nobody answers")] = None,
        urgency: Urgency = "normal",
        binding: Annotated[
            dict[str, Any] | None,
            Field(description="The call that waits: proposal_id, tool_name, tool_arguments…"),
        ] = None,
        same_call: Annotated[
            bool, Field(description="Give the question that was asked for the same call and that nobody acted on yet")
        ] = False,
    ) -> Question:
        """Put a question to a person, as a file that can be answered in any editor. The same proposal asks once."""
        asked = draft_question(kind, title, body, options, schema, default, urgency, binding)
        return await desk.ask(caller, asked, same_call=same_call)

    @box.tool("Answer a question", ActionClass.REVERSIBLE_WRITE, role=Role.OPERATOR)
    async def desk_answer(
        caller: WhoCalls,
        question: QuestionId,
        choice: Annotated[str, Field(description="approve, deny, revise, redact; or an option; or text")],
        amendment: Annotated[dict[str, Any] | None, Field(description="With revise: the fields that change")] = None,
        note: Annotated[str | None, Field(description="Why, in a line")] = None,
    ) -> Question:
        """Answer a question for a person. The first answer stands."""
        return await desk.answer(caller, question, choice, amendment, note)

    @box.tool("What waits for a person", default=True)
    async def desk_pending(
        caller: WhoCalls,
        kind: Annotated[Kind | None, Field(description="Only these")] = None,
        limit: Annotated[int, Field(description="At most this many, up to 500")] = DEFAULT_LIMIT,
        cursor: Annotated[str | None, Field(description="next_cursor of the page before")] = None,
    ) -> QuestionPage:
        """Questions that wait for a person's answer, the most urgent first, each with how to answer it."""
        return await desk.pending(caller, kind, limit, cursor)

    @box.tool("Claim answered questions", ActionClass.REVERSIBLE_WRITE, role=Role.HOST)
    async def desk_claim(
        caller: WhoCalls,
        question: Annotated[str | None, Field(description="Only this one")] = None,
    ) -> QuestionPage:
        """Answered escalations that nobody has acted on yet; each is given out once, so that its call runs once."""
        return await desk.claim(caller, question)

    @box.tool("Read a question")
    async def desk_get(caller: WhoCalls, question: QuestionId) -> Question:
        """One question with its state, and the decision once there is one."""
        return await desk.get(caller, question)

    @box.tool("Withdraw a question", ActionClass.REVERSIBLE_WRITE, role=Role.HOST)
    async def desk_withdraw(
        caller: WhoCalls, question: QuestionId, why: Annotated[str, Field(description="In a line")]
    ) -> Question:
        """End a question that needs no answer any more, because what it was about is over."""
        return await desk.withdraw(caller, question, why)

    @box.tool("Redact a question", ActionClass.HIGH_RISK, role=Role.OPERATOR, destructive=True)
    async def desk_redact(
        caller: WhoCalls, question: QuestionId, why: Annotated[str, Field(description="In a line")]
    ) -> Question:
        """Take out what a question says, for good. That it was asked stays, with its hashes; it is not done."""
        return await desk.redact(caller, question, why)

    return box
