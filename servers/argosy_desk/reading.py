"""From a file to what the tools return."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

from argosy_core.attendance import Channel
from argosy_core.storage.base import Content
from argosy_desk.answers import Standing, standing_of
from argosy_desk.attending import Proof, is_high_risk
from argosy_desk.instructions import how_to_answer
from argosy_desk.kinds import PROVEN, URGENCIES, Urgency
from argosy_desk.models import Question
from argosy_desk.question_file import QuestionFile, parse_question
from argosy_desk.resolution import Problem


def read_question(content: Content, proof: Proof | None = None) -> Question:
    """The question in *content*. Never raises for what it holds: what is wrong is the question's problem.

    With *proof* an answer to a question of high risk counts only where it shows that a person was there.
    """
    agent, *_, name = content.path.split("/")
    question = name.removesuffix(".md")
    file, standing = _read(content)
    high_risk = is_high_risk(content.path, file)
    if proof is not None:
        standing = _attended(standing, proof.channel_of(content.path, file), high_risk)
    at_terminal = high_risk and proof is not None
    block = file.resolution if standing.decision is not None else None
    schema = file.fields.get("schema")
    return Question(
        question=question,
        kind=file.kind,
        state=standing.state,
        title=file.title or question,
        path=content.path,
        agent=agent,
        body=file.body,
        options=list(file.options),
        answer_schema=cast("dict[str, Any]", schema) if isinstance(schema, dict) else None,
        default=_text(file.fields.get("default")),
        urgency=_urgency(file.fields.get("urgency")),
        asked_at=_text(file.fields.get("asked_at") or file.fields.get("escalated_at")),
        decision=standing.decision,
        choice=standing.choice,
        amendment=dict(block.amendment) if block and block.amendment and standing.decision == "revised" else None,
        answered_by=block.by if block else None,
        answered_at=block.fields.get("resolved_at") if block else None,
        note=(block.fields.get("note") or block.fields.get("reason")) if block else None,
        binding=dict(file.binding) if file.binding is not None else None,
        decide_by=_text(file.fields.get("decide_by")),
        tampered=file.tampered,
        problem=f"line {standing.problem.line}: {standing.problem.reason}" if standing.problem else None,
        version=content.version,
        uri=f"desk://question/{question}",
        high_risk=high_risk,
        attended=standing.attended,
        unattended=standing.unattended,
        how_to_answer=None
        if standing.decision
        else how_to_answer(question, file.kind, file.options, None if at_terminal else content.path),
    )


def _attended(standing: Standing, channel: Channel | None, high_risk: bool) -> Standing:
    """*standing* of a question whose answerer was there as *channel* says; one of high risk waits without."""
    if standing.decision not in PROVEN or channel is not None:
        return replace(standing, attended=channel if standing.decision is not None else None)
    if not high_risk:
        return replace(standing, unattended=True)
    return Standing("pending", unattended=True)


def _read(content: Content) -> tuple[QuestionFile, Standing]:
    try:
        file = parse_question(content.data.decode())
        return file, standing_of(file)
    except UnicodeDecodeError as exc:
        line = content.data[: exc.start].count(b"\n") + 1
        file = parse_question(content.data.decode("utf-8", "replace"))
        return file, Standing("unparseable", problem=Problem(line, "not UTF-8: save the file as UTF-8"))


def _urgency(stated: object) -> Urgency:
    for urgency in URGENCIES:
        if urgency == stated:
            return urgency
    return "normal"


def _text(value: object) -> str | None:
    return None if value is None else str(value)
