"""What is asked, checked and in the form it is written in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from argosy_core.clock import rfc3339
from argosy_core.errors import InvalidArgument, TooLarge
from argosy_core.json_schemas import check_schema
from argosy_core.policy.judges_model import Escalation
from argosy_core.types import ActionClass
from argosy_desk.answers import check_default, check_options
from argosy_desk.binding import action_class_of, check_binding
from argosy_desk.instructions import in_file
from argosy_desk.kinds import DECIDE_AFTER_SECONDS, JUDGED, Kind, Urgency
from argosy_desk.question_file import one_line, parse_question, render_question

MAX_TITLE_CHARS = 200
MAX_BODY_CHARS = 20_000
_FROM_BINDING = ("judge_id", "policy_version", "triggered_by", "synthesis_source")


@dataclass(frozen=True, slots=True)
class Asked:
    """A question as asked for, checked."""

    kind: Kind
    title: str
    body: str
    options: tuple[str, ...]
    schema: Mapping[str, Any] | None
    default: str | None
    urgency: Urgency
    binding: Mapping[str, Any] | None
    hashes: Mapping[str, str]
    decide_after_s: float | None = None

    @property
    def folder(self) -> str:
        """Where its file lies: the class of the bound call, or the kind."""
        return action_class_of(self.binding) or self.kind

    @property
    def is_high_risk(self) -> bool:
        """Whether the call that waits is of the highest class."""
        return action_class_of(self.binding) == ActionClass.HIGH_RISK

    def text(self, question: str, agent: str, run: str | None, now: datetime, *, attended: bool = False) -> str:
        """Its file; *attended* says that the fleet asks for a person who is there.

        Raises InvalidArgument when the default would not answer it.
        """
        fields = _fields(self, question, agent, run, now)
        how = in_file(question, self.kind, self.options, at_terminal=attended and self.is_high_risk)
        text = render_question(fields, self.body, self.options, self.binding, how)
        check_default(parse_question(text), self.default)
        return text


def draft_question(
    kind: Kind,
    title: str,
    body: str,
    options: Sequence[str] | None,
    schema: Mapping[str, Any] | None,
    default: str | None,
    urgency: Urgency,
    binding: Mapping[str, Any] | None,
) -> Asked:
    """The question that is asked for. Raises InvalidArgument and TooLarge."""
    title = one_line(title)
    if not title or not body.strip():
        raise InvalidArgument("title or body is empty", hint="say what is to be decided, and what speaks for what")
    if len(title) > MAX_TITLE_CHARS or len(body) > MAX_BODY_CHARS:
        raise TooLarge(f"a title has at most {MAX_TITLE_CHARS} characters, a body {MAX_BODY_CHARS}")
    if options and (kind in JUDGED or schema is not None):
        raise InvalidArgument("options do not go with this kind or with a schema", hint="ask for a decision or a gate")
    if kind == "decision" and not options:
        raise InvalidArgument("a decision needs options", hint="give two or more, or ask for an input")
    if schema is not None:
        if kind != "input":
            raise InvalidArgument("a schema goes with the kind input", hint="leave it out, or ask for an input")
        check_schema(schema)
    hashes = check_binding(binding) if binding is not None else {}
    asked = Asked(kind, title, body, check_options(options or ()), schema, default, urgency, binding, hashes)
    if kind == "escalation" and default == "approve" and asked.is_high_risk:
        raise InvalidArgument("silence approves nothing of high risk", hint="the owner's judges.md may say otherwise")
    return asked


def _fields(asked: Asked, question: str, agent: str, run: str | None, now: datetime) -> dict[str, Any]:
    bound, at = asked.binding or {}, rfc3339(now)
    stated = {name: bound[name] for name in _FROM_BINDING if isinstance(bound.get(name), str)}
    judged = {
        "proposal_id": bound.get("proposal_id") or question,
        "action_class": action_class_of(bound),
        "judge_id": stated.pop("judge_id", "framework"),
        "policy_version": stated.pop("policy_version", None),
        "escalated_at": at,
    }
    fields: dict[str, Any] = {
        "type": asked.kind,
        "state": "pending",
        "question": question,
        "title": asked.title,
        "agent": agent,
        "parent_run_id": run,
        **(judged if asked.kind == "escalation" else {"asked_at": at}),
        **stated,
        "urgency": asked.urgency,
        **asked.hashes,
    }
    if asked.default is not None:
        wait_s = DECIDE_AFTER_SECONDS[asked.urgency] if asked.decide_after_s is None else asked.decide_after_s
        fields |= {"default": asked.default, "decide_by": rfc3339(now + timedelta(seconds=wait_s))}
    fields |= {"schema": dict(asked.schema)} if asked.schema is not None else {}
    return fields | {"schema_version": 1}


def by_policy(asked: Asked, settings: Escalation) -> Asked:
    """*asked* with what the owner's policy says of an escalation that nobody answers; nothing changes without it."""
    stated = action_class_of(asked.binding)
    seconds = settings.auto_decide_after_seconds
    if asked.kind != "escalation" or asked.default is not None or stated is None or seconds is None:
        return asked
    allowed = settings.on_timeout(ActionClass(stated)) == "allow"
    return replace(asked, default="approve" if allowed else "deny", decide_after_s=seconds)


def same_question(asked: Asked, fields: Mapping[str, Any]) -> bool:
    """Whether the question whose head is *fields* is the one that is asked again."""
    stated = (fields.get("type"), fields.get("binding_hash"))
    return stated == (asked.kind, asked.hashes.get("binding_hash"))
