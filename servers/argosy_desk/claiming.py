"""Who acts on an answer: one, once, for ever.

The mark is a file beside the question, as the older system makes it: whoever creates it may act. Who acts says so in
the log first (`acted_key`). One that died before that has done nothing: after ANSWER_CLAIM_SECONDS another takes its
place. One that died after it may have done it, and nobody does it again.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress

from argosy_core.clock import Clock, parse_time, rfc3339
from argosy_core.errors import AlreadyExists, Conflict, NotFound
from argosy_core.policy.judgment import ANSWER_CLAIM_SECONDS, acted_key
from argosy_core.storage.base import ABSENT, Store
from argosy_desk.asking import Asked
from argosy_desk.binding import CLIENT, call_of
from argosy_desk.models import Question

CLAIMED = ".resolved-emitted"
HOST = "host"  # the log's writer for what runs do
MAX_CLAIMED = 50  # answers that one run acts on


class Claims:
    """The answered questions in the *folder* of each agent; *read* gives the question at a path."""

    def __init__(self, store: Store, clock: Clock, folder: str, read: Callable[[str], Awaitable[Question]]) -> None:
        self._documents = store.documents
        self._chain = store.chain
        self._clock = clock
        self._folder = folder
        self._read = read

    async def claim(self, agent: str, principal: str, run: str | None, wanted: str | None) -> list[Question]:
        """Answered escalations of *agent* that nobody has acted on, or *wanted* alone, for *run* to act on.

        What a client asked through the gateway is given to that client's principal only.
        """
        claimed: list[Question] = []
        async for question, known in self._unclaimed(agent):
            if question.kind != "escalation" or question.decision in (None, "withdrawn"):
                continue
            client = (question.binding or {}).get(CLIENT)
            if wanted not in (None, question.question) or client not in (None, principal):
                continue
            with suppress(AlreadyExists, Conflict):  # somebody else was first
                said = f"{rfc3339(self._clock.now())} {run or ''}\n"
                await self._documents.write(_mark_of(question.path), said.encode(), expect=known)
                claimed.append(question)
                if len(claimed) == MAX_CLAIMED:
                    break
        return claimed

    async def asked_before(self, agent: str, asked: Asked) -> Question | None:
        """The question about the same call that was asked by the same client and that nobody has acted on."""
        call = call_of(asked.binding)
        async for question, _ in self._unclaimed(agent, asked.folder):
            waits = question.state == "pending" or question.decision not in (None, "withdrawn")
            if waits and call_of(question.binding) == call:
                return question
        return None

    async def _unclaimed(self, agent: str, folder: str = "") -> AsyncIterator[tuple[Question, str]]:
        """Questions of *agent* that nobody acts on, each with the version that its mark must have for a claim.

        Those in *folder* alone when it is given.
        """
        place = f"{agent}/{self._folder}/{folder}".rstrip("/")
        for info in await self._documents.list(place, ".md", deep=True):
            known = await self._claimable(agent, info.path)
            if known is not None:
                with suppress(NotFound):  # moved away meanwhile
                    yield await self._read(info.path), known

    async def _claimable(self, agent: str, path: str) -> str | None:
        """The version of the mark for whoever may claim: ABSENT, or that of a claim that came to nothing.

        None where it is claimed, or acted on; an empty mark says the latter.
        """
        mark, question = _mark_of(path), path.rpartition("/")[2].removesuffix(".md")
        try:
            content = await self._documents.read(mark)
        except NotFound:
            return ABSENT
        if not self._is_stale(content.data.decode("utf-8", "replace").partition(" ")[0]):
            return None
        if await self._chain.find(agent, HOST, acted_key(question)) is None:
            return content.version
        with suppress(Conflict):
            await self._documents.write(mark, b"", expect=content.version)
        return None

    def _is_stale(self, claimed_at: str) -> bool:
        """Whether a claim of that time is so old that its run acted or never will; what is no time stays claimed."""
        try:
            return (self._clock.now() - parse_time(claimed_at)).total_seconds() >= ANSWER_CLAIM_SECONDS
        except ValueError:
            return False


def _mark_of(path: str) -> str:
    """The file that says that somebody acts on the question at *path*."""
    folder, _, name = path.rpartition("/")
    return f"{folder}/.{name}{CLAIMED}"
