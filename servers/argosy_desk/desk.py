"""The questions of a vault over documents."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import Any, cast

from anyio import to_thread

from argosy_core.clock import parse_time, rfc3339
from argosy_core.errors import (
    AlreadyExists,
    ArgosyError,
    Conflict,
    Corrupted,
    InvalidArgument,
    NotFound,
)
from argosy_core.frontmatter import edit, parse
from argosy_core.ids import new_id
from argosy_core.names import check_path
from argosy_core.policy.judges_md import load_judges
from argosy_core.policy.judges_model import Escalation
from argosy_core.serving.config import ServerConfig
from argosy_core.serving.results import DoctorFinding, clamp_limit, decode_cursor, encode_cursor
from argosy_core.serving.server import need_agent
from argosy_core.storage.base import ABSENT, Content
from argosy_core.types import Caller, Role
from argosy_core.views.vault_reader import VaultReader
from argosy_desk.answers import BY_DEFAULT, MAX_NOTE_CHARS, compose_answer, compose_default, compose_withdrawal
from argosy_desk.asking import Asked, by_policy, same_question
from argosy_desk.attended_answers import AttendedAnswers, open_text, with_block
from argosy_desk.claiming import Claims
from argosy_desk.inspection import inspect_approval, inspect_conflicts, inspect_question
from argosy_desk.kinds import URGENCIES, Kind
from argosy_desk.models import Question, QuestionPage
from argosy_desk.question_file import decoded, one_line, parse_question, redacted_text
from argosy_desk.reading import read_question

FLEET = "_fleet"
FOLDER = "vault/escalations"
TRIES = 20  # compare-and-swap rounds before a writer gives up against others on the same question
_WAITING = ("pending", "unparseable")

logger = logging.getLogger(__name__)


class Desk:
    """Asks, reads and answers; one object serves every agent of the vault."""

    def __init__(self, config: ServerConfig) -> None:
        self._documents = config.store.documents
        self._files = config.store.files
        self._chain = config.store.chain
        self._bell = config.store.bell
        self._clock = config.clock
        self._ids = config.ids
        self._claims = Claims(config.store, config.clock, FOLDER, self._read)
        self._answers = AttendedAnswers(config)
        # Answered questions are kept for ever: those known to be, by their stamp, are not read again for a list.
        self._settled: dict[str, tuple[int, int]] = {}

    # Asking

    async def ask(self, caller: Caller, asked: Asked, *, same_call: bool = False) -> Question:
        """Put a question to a person. Raises NotFound (the agent), Conflict (the proposal is another question).

        With *same_call*, a question about the same call that nobody has acted on is given instead, answered or not.
        """
        agent = caller.agent or FLEET
        if agent != FLEET and agent not in await self._documents.folders():
            raise NotFound(f"there is no agent {agent!r}", hint="agent_list shows the agents")
        proposal = (asked.binding or {}).get("proposal_id")
        question = proposal or new_id("question", self._clock, self._ids)
        if proposal and (known := await self._path_of(agent, question)) is not None:
            return await self._again(asked, known)
        if same_call and (open_one := await self._claims.asked_before(agent, asked)) is not None:
            return open_one
        asked = by_policy(asked, await self._escalation(agent))
        path = f"{agent}/{FOLDER}/{asked.folder}/{question}.md"
        proof = await self._answers.wanted() if asked.is_high_risk else None
        text = asked.text(question, agent, caller.run, self._clock.now(), attended=proof is not None)
        try:
            written = await self._documents.write(path, text.encode(), expect=ABSENT)
        except AlreadyExists:
            return await self._again(asked, path)
        event = {"kind": "desk.ask", "question": question, "path": path, "question_kind": asked.kind, **asked.hashes}
        await self._chain.append(agent, "desk", event | ({"run_id": caller.run} if caller.run else {}))
        self._bell.ring(path)
        return read_question(written, proof)

    async def _escalation(self, agent: str) -> Escalation:
        """What the policy says of questions that nobody answers; that they wait, while it cannot be read."""

        def look() -> Escalation:
            return load_judges(VaultReader(self._files).read, agent).settings.escalation

        try:
            return await to_thread.run_sync(look)
        except ArgosyError:
            return Escalation()

    async def poll_seconds(self) -> float | None:
        """How often the owner's policy has questions looked at; None for never."""
        seconds = (await self._escalation(FLEET)).resolution_poll_cycle_seconds
        return max(1.0, seconds) if seconds > 0 else None

    async def _again(self, asked: Asked, path: str) -> Question:
        present = await self._documents.read(path)
        if not same_question(asked, parse(decoded(present)).fields):
            raise Conflict("this proposal_id was asked with another binding", hint="use a new proposal_id")
        return await self._read(path)

    # Reading

    async def get(self, caller: Caller, question: str) -> Question:
        """One question. Raises NotFound, also for what is not the caller's to see."""
        return await self._read(await self._locate(caller, question))

    async def document(self, caller: Caller, question: str) -> str:
        """A question's file as it stands. Raises NotFound."""
        return decoded(await self._documents.read(await self._locate(caller, question)))

    async def pending(self, caller: Caller, kind: Kind | None, limit: int, cursor: str | None) -> QuestionPage:
        """Questions that wait for a person: the most urgent first, then the oldest."""
        after, limit = _position(cursor), clamp_limit(limit)
        found = [q async for q in self._waiting(caller) if kind is None or q.kind == kind]
        placed = sorted((_order(q), q) for q in found)
        rest = [(place, q) for place, q in placed if after is None or place > after]
        following = encode_cursor(*rest[limit - 1][0]) if len(rest) > limit else None
        return QuestionPage(items=[q for _, q in rest[:limit]], next_cursor=following)

    async def _waiting(self, caller: Caller) -> AsyncIterator[Question]:
        for agent in await self._agents(caller):
            for info in await self._documents.list(f"{agent}/{FOLDER}", ".md", deep=True):
                if self._settled.get(info.path) == info.stamp:
                    continue
                try:
                    question = await self._read(info.path)
                except NotFound:
                    continue  # moved away while we read the others
                if question.state in _WAITING:
                    yield question
                else:
                    # The stamp from before the reading: what changes meanwhile is read again.
                    self._settled[info.path] = info.stamp

    async def _agents(self, caller: Caller) -> Sequence[str]:
        """Whose questions the caller may see: an operator all, everybody else those of its agent."""
        return await self._documents.folders() if caller.role is Role.OPERATOR else [need_agent(caller)]

    async def _locate(self, caller: Caller, question: str) -> str:
        if len(check_path(question)) != 1 or question.startswith("."):
            raise InvalidArgument("not the id of a question", hint="desk_pending shows the ids")
        for agent in await self._agents(caller):
            if (path := await self._path_of(agent, question)) is not None:
                return path
        raise NotFound(f"there is no question {question!r}", hint="desk_pending shows what waits")

    async def _path_of(self, agent: str, question: str) -> str | None:
        for folder in await self._documents.folders(f"{agent}/{FOLDER}"):
            path = f"{agent}/{FOLDER}/{folder}/{question}.md"
            if await self._documents.info(path) is not None:
                return path
        return None

    async def _read(self, path: str) -> Question:
        """The question at *path*; an answer that a person wrote there takes effect by this."""
        for _ in range(TRIES):
            content = await self._documents.read(path)
            question = await self._answers.understood(content)
            try:
                if _is_due(question, self._clock.now()):
                    await self._decide(content, question)
                    continue
                if not _lags(content, question):
                    return question
                return await self._settle(content, question)
            except Conflict:
                continue  # another reader or a person was first: read again
            except ArgosyError as error:  # a vault that cannot be written can still be read
                logger.warning("the state line of %s could not follow its answer: %s", path, error)
                return question
        raise Conflict(f"many writers are at {path}", hint="try again in a moment")

    # Answering

    async def answer(
        self, caller: Caller, question: str, choice: str, amendment: Mapping[str, Any] | None, note: str | None
    ) -> Question:
        """Answer a question. Raises Conflict when it is answered, InvalidArgument when this does not answer it."""
        path = await self._locate(caller, question)
        at, by = rfc3339(self._clock.now()), "operator"
        for _ in range(TRIES):
            content = await self._documents.read(path)
            found = await self._answers.understood(content)
            _check_open(found, choice)
            text = open_text(content, found)
            compose = partial(compose_answer, parse_question(text), choice, amendment, note, by, at)
            answered = with_block(text, compose())
            data = (await self._answers.proven(content, found, answered, compose)).encode()
            _check_takes_effect(Content(path, data, "", (0, 0)), by)
            try:
                await self._documents.write(path, data, expect=content.version)
            except Conflict:
                continue  # somebody wrote in between, perhaps an answer
            return await self._read(path)
        raise Conflict("many writers are at this question", hint="try again in a moment")

    async def _decide(self, content: Content, question: Question) -> None:
        """Let the default answer a question that nobody answered in time. Raises Conflict when somebody just did."""
        text = open_text(content, question)
        proof = await self._answers.wanted() if question.high_risk else None
        block = compose_default(parse_question(text), rfc3339(self._clock.now()), may_approve=proof is None)
        data = with_block(text, block).encode()
        _check_takes_effect(Content(content.path, data, "", (0, 0)), BY_DEFAULT)
        await self._documents.write(content.path, data, expect=content.version)

    async def withdraw(self, caller: Caller, question: str, why: str) -> Question:
        """End a question that needs no answer any more. Raises Conflict when it is answered, NotFound."""
        path, by = await self._locate(caller, question), "host" if caller.role is Role.HOST else "operator"
        why = check_why(why)

        def withdrawn(content: Content, found: Question) -> str:
            _check_open(found, "deny")
            return with_block(open_text(content, found), compose_withdrawal(why, by, rfc3339(self._clock.now())))

        return await self._rewrite(path, withdrawn)

    async def redact(self, caller: Caller, question: str, why: str) -> Question:
        """Take out what a question says, and keep that it was asked; again changes nothing. Raises NotFound.

        What was approved and not yet made is not made any more.
        """
        path = await self._locate(caller, question)
        why = check_why(why)

        def redacted(content: Content, found: Question) -> str | None:
            now = rfc3339(self._clock.now())
            return None if found.state == "redacted" else redacted_text(decoded(content), why, now)

        done = await self._rewrite(path, redacted)
        event = {"kind": "desk.redact", "question": question, "path": path, "why": why}
        with suppress(Conflict):  # it was redacted before, for another reason
            await self._chain.append(done.agent, "desk", event, key=f"redact:{question}")
        return done

    async def _rewrite(self, path: str, change: Callable[[Content, Question], str | None]) -> Question:
        for _ in range(TRIES):
            question = await self._read(path)
            content = await self._documents.read(path)
            if content.version != question.version:
                continue
            text = change(content, question)
            if text is None:
                return question
            try:
                await self._documents.write(path, text.encode("utf-8", "surrogateescape"), expect=content.version)
            except Conflict:
                continue
            self._bell.ring(path)
            return await self._read(path)
        raise Conflict("many writers are at this question", hint="try again in a moment")

    async def sweep(self) -> int:
        """Look at every question that waits, so that what is due is decided; how many still wait."""
        return len([question async for question in self._waiting(Caller(None, Role.OPERATOR))])

    async def claim(self, caller: Caller, wanted: str | None = None) -> QuestionPage:
        """Answered escalations of the caller's agent that nobody has acted on; each is given out once, for ever."""
        return QuestionPage(items=await self._claims.claim(need_agent(caller), caller.principal, caller.run, wanted))

    async def _settle(self, content: Content, question: Question) -> Question:
        """Log the answer, once, whatever the number of readers; then let the state line follow it."""
        agent = question.agent
        run: Any = parse(decoded(content)).fields.get("parent_run_id")
        await self._answers.note(content, question)
        event = {
            "kind": "desk.answer",
            "question": question.question,
            "path": question.path,
            "decision": question.decision,
            "by": question.answered_by,
        } | ({"run_id": run} if isinstance(run, str) else {})
        try:
            await self._chain.append(agent, "desk", event, key=f"answer:{question.question}")
        except Conflict:  # the answer was changed after it was logged, before its state line followed
            changed = event | {"kind": "desk.answer_changed"}
            await self._chain.append(agent, "desk", changed, key=f"changed:{content.version}")
        data = edit(decoded(content), {"state": question.state}).encode()
        written = await self._documents.write(question.path, data, expect=content.version)
        self._bell.ring(question.path)
        return await self._answers.understood(written)

    # What the server base asks

    async def counts(self, agent: str | None) -> dict[str, int]:
        caller = Caller(agent, Role.OPERATOR if agent is None else Role.AGENT)
        states = Counter([q.state async for q in self._waiting(caller)])
        return {"pending": states["pending"], "unparseable": states["unparseable"]}

    async def doctor(self, agent: str | None) -> list[DoctorFinding]:
        findings: list[DoctorFinding] = []
        for name in await self._documents.folders() if agent is None else [agent, FLEET]:
            listed = await self._documents.list(f"{name}/{FOLDER}", ".md", deep=True)
            findings += inspect_conflicts([info.path for info in listed])
            for info in listed:
                try:
                    content = await self._documents.read(info.path)
                except NotFound:
                    continue
                findings += inspect_question(await self._answers.understood(content))
        findings += inspect_approval(await self._answers.wanted(), await self._answers.problem())
        if any(finding.status != "pass" for finding in findings):
            return findings
        return [*findings, DoctorFinding(status="pass", check="questions", message="every question can be read")]

    def uris_of(self, path: str) -> list[str]:
        parts = path.split("/")
        if len(parts) == 5 and parts[1:3] == ["vault", "escalations"] and path.endswith(".md"):
            return [f"desk://question/{parts[4].removesuffix('.md')}", "desk://pending"]
        return []


def _lags(content: Content, question: Question) -> bool:
    return question.decision is not None and parse(decoded(content)).fields.get("state") != question.state


def _is_due(question: Question, now: datetime) -> bool:
    if question.state != "pending" or question.decide_by is None or question.default is None:
        return False
    try:
        return parse_time(question.decide_by) <= now
    except ValueError:
        return False  # the doctor names it; until it is mended the question waits


def check_why(why: str) -> str:
    """*why* on one line. Raises InvalidArgument."""
    line = one_line(why)
    if not line or len(line) > MAX_NOTE_CHARS:
        raise InvalidArgument(f"why is empty or longer than {MAX_NOTE_CHARS} characters", hint="say why, in a line")
    return line


def _check_open(question: Question, choice: str) -> None:
    if question.state == "unparseable":
        raise Corrupted(f"{question.path}: {question.problem}", hint="mend the file; it is left as it is")
    if question.decision is not None:
        raise Conflict(
            f"it was answered by {question.answered_by or 'somebody'}: {question.decision}",
            hint="an answer stands; ask again for another",
            state=question.state,
            decision=question.decision,
            answered_by=question.answered_by,
        )
    if question.tampered and choice != "deny":
        raise Conflict(
            "the call in the file is not the one that was asked", hint="deny it, or restore the file", tampered=True
        )


def _check_takes_effect(content: Content, by: str) -> None:
    after = read_question(content)
    if after.decision is None or after.answered_by != by:
        raise Corrupted(f"{content.path} cannot hold an answer as it is", hint="answer in an editor and mend the file")


_Place = tuple[int, str, str]


def _order(question: Question) -> _Place:
    return -URGENCIES.index(question.urgency), question.asked_at or "", question.question


def _position(cursor: str | None) -> _Place | None:
    if cursor is None:
        return None
    found = decode_cursor(cursor, 3)
    if [type(part) for part in found] != [int, str, str]:
        raise InvalidArgument("not a cursor of this list", hint="pass next_cursor unchanged, or leave cursor out")
    return cast("_Place", tuple(found))
