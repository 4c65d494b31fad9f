"""Asking the person at a client by a form, in both eras of the protocol.

The modern era answers the call with the form and is called again with what was filled in; the older one asks in the
middle of the call. What the person says is the question's answer; the form is only another way to it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import anyio
from mcp.shared.exceptions import MCPError
from mcp_types import CallToolRequestParams, ElicitRequest, ElicitRequestFormParams, ElicitResult, InputRequiredResult

from argosy_core.secrets.redaction import PROCESS
from argosy_host.catalog import HIDDEN
from argosy_host.guarded.client_call import Request

MODERN = "2026-07-28"
WAIT_SECONDS = 50.0  # of one call: most clients give a call a minute; the question waits longer
MAX_SHOWN_CHARS = 4_000
MAX_NOTE_CHARS = 1_000
_STATE = "argosy-question:"
_FORM = "decision"
_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "decision": {"type": "string", "title": "Decision", "enum": ["approve", "deny"]},
        "note": {"type": "string", "title": "Why, in a line", "maxLength": MAX_NOTE_CHARS},
    },
    "required": ["decision"],
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What the person said: *choice* is approve or deny."""

    choice: str
    note: str | None = None


async def ask(ctx: Request, question: Mapping[str, Any]) -> InputRequiredResult | Answer | None:
    """The person's answer, what the client must do first, or None: nobody can be asked here, or nobody answered."""
    if not _shows_forms(ctx):
        return None
    message = form_text(question)
    if ctx.protocol_version >= MODERN:
        form = ElicitRequestFormParams(message=message, requested_schema=_SCHEMA)
        state = f"{_STATE}{question['question']}"
        return InputRequiredResult(input_requests={_FORM: ElicitRequest(params=form)}, request_state=state)
    if not ctx.session.can_send_request:
        return None
    with anyio.move_on_after(WAIT_SECONDS):
        try:
            return _answer(await ctx.session.elicit_form(message, _SCHEMA, related_request_id=ctx.request_id))
        except MCPError:
            return None  # the client cannot after all; the question waits
    return None


def asked_before(params: CallToolRequestParams) -> tuple[str, Answer | None] | None:
    """The question that a call answers, and its answer; None for a call that is no answer to one of ours.

    The SDK sealed the state: it was made here, for this very tool, these arguments and this principal.
    """
    state = params.request_state
    if state is None or not state.startswith(_STATE):
        return None
    return state.removeprefix(_STATE), _answer((params.input_responses or {}).get(_FORM))


def form_text(question: Mapping[str, Any]) -> str:
    """What the person reads: the very call, and why it needs them. Nothing in it can hide or turn text around."""
    binding: Mapping[str, Any] = question.get("binding") or {}
    shown = json.dumps(binding.get("tool_arguments"), ensure_ascii=False, indent=2)
    if len(shown) > MAX_SHOWN_CHARS:
        shown = f"{shown[:MAX_SHOWN_CHARS]}… (cut; all of it is in {question.get('path')})"
    text = (
        f"{question.get('title')}\n\nWhy you are asked: {question.get('body')}\n\n"
        f"{binding.get('tool_name')} with:\n{shown}\n\nApprove, and exactly this is done, once."
    )
    return HIDDEN.sub(lambda found: f"\\u{ord(found[0]):04x}", PROCESS.redact_text(text))


def _shows_forms(ctx: Request) -> bool:
    capabilities = ctx.session.client_capabilities
    elicitation = capabilities.elicitation if capabilities else None
    # Before modes had names, the bare capability meant forms.
    return elicitation is not None and (elicitation.form is not None or elicitation.url is None)


def _answer(result: object) -> Answer | None:
    """A person who closes the form has not answered; one who declines has said no."""
    if not isinstance(result, ElicitResult) or result.action == "cancel":
        return None
    content = result.content or {}
    if result.action == "decline":
        return Answer("deny")
    choice, note = content.get("decision"), content.get("note")
    if choice not in ("approve", "deny"):
        return None
    return Answer(str(choice), note[:MAX_NOTE_CHARS] if isinstance(note, str) and note.strip() else None)
