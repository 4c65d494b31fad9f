"""Who may act on an answer: a mark beside the question's file, and the event that says that somebody does."""

from __future__ import annotations

from contextlib import suppress

from argosy_core.clock import Clock, parse_time, rfc3339
from argosy_core.errors import AlreadyExists, Conflict, NotFound
from argosy_core.policy.judgment import acted_key
from argosy_core.storage.base import ABSENT, Chain, Documents

CLAIMED = ".resolved-emitted"
CLAIM_SECONDS = 600.0  # far more than a run needs from claiming an answer to saying that it acts on it
HOST = "host"  # the log's writer for what runs do


class Claims:
    """The marks, as the older system names them: whoever creates one may act.

    A run that acts says so in the log first (`acted_key`). One that died before that has done nothing: after
    CLAIM_SECONDS another takes its place. One that died after it may have done it, and nobody does it again.
    """

    def __init__(self, documents: Documents, chain: Chain, clock: Clock) -> None:
        self._documents = documents
        self._chain = chain
        self._clock = clock

    async def claimable(self, agent: str, path: str) -> str | None:
        """What `take` needs to claim the question at *path*; None where it is claimed, or acted on."""
        mark = _mark(path)
        try:
            content = await self._documents.read(mark)
        except NotFound:
            return ABSENT
        if not self._is_stale(content.data.decode("utf-8", "replace").partition(" ")[0]):
            return None
        question = path.rpartition("/")[2].removesuffix(".md")
        if await self._chain.find(agent, HOST, acted_key(question)) is None:
            return content.version
        with suppress(Conflict):  # an empty mark says that it was acted on, and is not looked up again
            await self._documents.write(mark, b"", expect=content.version)
        return None

    def _is_stale(self, claimed_at: str) -> bool:
        """Whether a claim of that time is so old that its run acted or never will; what is no time stays claimed."""
        try:
            return (self._clock.now() - parse_time(claimed_at)).total_seconds() >= CLAIM_SECONDS
        except ValueError:
            return False

    async def take(self, path: str, known: str, run: str | None) -> bool:
        """Claim the question at *path* for *run*; False when another was first."""
        said = f"{rfc3339(self._clock.now())} {run or ''}\n"
        try:
            await self._documents.write(_mark(path), said.encode(), expect=known)
        except (AlreadyExists, Conflict):
            return False
        return True


def _mark(path: str) -> str:
    folder, _, name = path.rpartition("/")
    return f"{folder}/.{name}{CLAIMED}"
