"""Who acts on an answer: one, once, for ever.

The mark is a file beside the question, as the older system makes it: whoever creates it may act. Who dies after that
has not acted, and nobody will: a call must not be made twice because somebody was unsure.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress

from argosy_core.errors import AlreadyExists, NotFound
from argosy_core.storage.base import ABSENT, Documents
from argosy_desk.asking import Asked
from argosy_desk.binding import CLIENT, call_of
from argosy_desk.models import Question

CLAIMED = ".resolved-emitted"
MAX_CLAIMED = 50  # answers that one run acts on


class Claims:
    """The answered questions in the *folder* of each agent; *read* gives the question at a path."""

    def __init__(self, documents: Documents, folder: str, read: Callable[[str], Awaitable[Question]]) -> None:
        self._documents = documents
        self._folder = folder
        self._read = read

    async def claim(self, agent: str, principal: str, wanted: str | None) -> list[Question]:
        """Answered escalations of *agent* that nobody has acted on, or *wanted* alone.

        What a client asked through the gateway is given to that client's principal only.
        """
        claimed: list[Question] = []
        async for question in self._unclaimed(agent):
            if question.kind != "escalation" or question.decision in (None, "withdrawn"):
                continue
            client = (question.binding or {}).get(CLIENT)
            if wanted not in (None, question.question) or client not in (None, principal):
                continue
            with suppress(AlreadyExists):  # somebody else was first
                await self._documents.write(_mark_of(question.path), b"", expect=ABSENT)
                claimed.append(question)
                if len(claimed) == MAX_CLAIMED:
                    break
        return claimed

    async def asked_before(self, agent: str, asked: Asked) -> Question | None:
        """The question about the same call that was asked by the same client and that nobody has acted on."""
        call = call_of(asked.binding)
        async for question in self._unclaimed(agent, asked.folder):
            waits = question.state == "pending" or question.decision not in (None, "withdrawn")
            if waits and call_of(question.binding) == call:
                return question
        return None

    async def _unclaimed(self, agent: str, folder: str = "") -> AsyncIterator[Question]:
        """Questions of *agent* that nobody has acted on; those in *folder* alone when it is given."""
        place = f"{agent}/{self._folder}/{folder}".rstrip("/")
        for info in await self._documents.list(place, ".md", deep=True):
            if await self._documents.info(_mark_of(info.path)) is None:
                with suppress(NotFound):  # moved away meanwhile
                    yield await self._read(info.path)


def _mark_of(path: str) -> str:
    """The file that says that somebody acts on the question at *path*."""
    folder, _, name = path.rpartition("/")
    return f"{folder}/.{name}{CLAIMED}"
