"""Answers where the fleet asks for a person who is there: what counts, how one is given, what the log says of it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial

from argosy_core.errors import ArgosyError
from argosy_core.frontmatter import edit, parse
from argosy_core.off_loop import off_loop
from argosy_core.policy.judgment import acted_key
from argosy_core.serving.config import ServerConfig
from argosy_core.storage.base import Content
from argosy_desk.attending import LINE, Attendance, Proof, call_hash, refusal
from argosy_desk.claiming import HOST
from argosy_desk.kinds import PROVEN
from argosy_desk.models import Question
from argosy_desk.question_file import decoded, parse_question
from argosy_desk.reading import read_question
from argosy_desk.resolution import add_block, set_aside

logger = logging.getLogger(__name__)


class AttendedAnswers:
    """Tells answers that count from those that do not, for the desk of one server."""

    def __init__(self, config: ServerConfig) -> None:
        self._chain = config.store.chain
        self._attendance = Attendance(config.store.files, config.store.root, config.attended)
        self._noted: set[str] = set()  # versions of files whose answer was logged as one that does not count

    async def wanted(self) -> Proof | None:
        """What answers are checked against; None where any counts."""
        return await off_loop(self._attendance.wanted)

    async def problem(self) -> str | None:
        """What keeps this machine from proving that somebody is there."""
        return await off_loop(self._attendance.problem)

    async def understood(self, content: Content) -> Question:
        """The question in *content*; an answer of high risk without proof, where that is asked for, leaves it open."""
        question = read_question(content)
        if question.decision is None and not question.high_risk:
            return question
        proof = await self.wanted()
        if proof is None:
            return question
        proven = read_question(content, proof)
        if not (proven.unattended and proven.decision is None):
            return proven
        if await self._chain.find(question.agent, HOST, acted_key(question.question)) is not None:
            return question  # acted on before anybody had to be there, and never again
        await self._note_unattended(question)
        return proven

    async def proven(self, content: Content, found: Question, answered: str, compose: Callable[..., str]) -> str:
        """*answered*, which is *found* in *content* with what *compose* makes, with the proof where one is asked for.

        Raises PermissionDenied where nothing shows that somebody is there.
        """
        if await self.wanted() is None:
            return answered
        if self._attendance.channel is not None:
            line = await off_loop(partial(self._attendance.line_for, content.path, parse_question(answered)))
            return with_block(open_text(content, found), compose(**{LINE: line}))
        decision = read_question(Content(content.path, answered.encode(), "", (0, 0))).decision
        if found.high_risk and decision in PROVEN:
            raise refusal(found.question)
        return answered

    async def note(self, content: Content, question: Question) -> None:
        """Log how the person was there who answered, with the seal over the very call; before the answer itself."""
        block = parse_question(decoded(content)).resolution
        if question.attended is None or block is None:
            return
        given = block.fields[LINE].partition(" ")[2]
        event = {
            "kind": "desk.attended",
            "question": question.question,
            "path": question.path,
            "channel": question.attended,
            "decision": question.decision,
            "call_hash": call_hash(question.binding),
            "seal": given,
        }
        await self._chain.append(question.agent, "desk", event, key=f"attended:{given}")

    async def _note_unattended(self, question: Question) -> None:
        """Say in the log, once, that somebody wrote an answer that does not count."""
        if question.version in self._noted:
            return
        event = {
            "kind": "desk.unattended",
            "question": question.question,
            "path": question.path,
            "decision": question.decision,
            "by": question.answered_by,
        }
        try:
            await self._chain.append(question.agent, "desk", event, key=f"unattended:{question.version}")
        except ArgosyError as error:  # it does not count all the same
            logger.warning("%s: an answer that does not count could not be logged: %s", question.path, error)
            return
        self._noted.add(question.version)


def open_text(content: Content, question: Question) -> str:
    """The text of *content* with nothing in the way of an answer: one that does not count is set aside."""
    text = decoded(content)
    if not question.unattended:
        return text
    return edit(set_aside(text, parse(text).body), {"state": "pending"})


def with_block(text: str, block: str) -> str:
    """*text* with *block* as the last of its resolution."""
    return add_block(text, parse(text).body, block)
