"""Which notes a task may want: pinned, matching, linked and recent ones, with what was believed before them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Literal

from argosy_core.errors import ArgosyError
from argosy_core.index.face import Index
from argosy_core.index.library import Library
from argosy_core.links import link_key, links_in
from argosy_core.storage.base import Files
from argosy_core.types import Caller
from argosy_core.views.notes import NoteView, read_note
from argosy_memory.models import Recall, Recalled, RecallMode
from argosy_memory.recall import Belief, Candidate, assemble, order
from argosy_memory.searching import Question, Searcher
from argosy_memory.wiki import best_match

MATCHES = 12
RECENT = 5
PINNED = 20
LINKED = 6
LINKING = 3  # notes that link to a match, for each of the best few
FOLLOWED = 4
BELIEFS = 3
LEAST_TOKENS, MOST_TOKENS = 100, 32_000
BODY_CHARS = 4 * MOST_TOKENS


class Recaller:
    """Recalls. Every call blocks."""

    def __init__(self, files: Files, library: Library, searcher: Searcher, today: Callable[[], str]) -> None:
        self._files = files
        self._library = library
        self._searcher = searcher
        self._today = today

    def recall(self, agent: str, caller: Caller, task: str, token_budget: int, mode: RecallMode) -> Recall:
        """What to know for *task*, in at most *token_budget* tokens."""
        remarks: list[str] = []
        candidates = order(list(self._candidates(agent, caller, task, mode, remarks)), mode)
        chosen = assemble(candidates, max(LEAST_TOKENS, min(token_budget, MOST_TOKENS)), mode)
        return Recall(
            text=chosen.text,
            used_tokens=chosen.used_tokens,
            notes=[Recalled(name=name, why=why) for name, why in chosen.chosen],
            note="; ".join(remarks) or None,
        )

    def _candidates(
        self, agent: str, caller: Caller, task: str, mode: RecallMode, remarks: list[str]
    ) -> Iterator[Candidate]:
        search: Literal["semantic", "hybrid"] = "semantic" if mode == "semantic" else "hybrid"
        found = self._searcher.find(agent, Question(task, mode=search, limit=MATCHES, explain=True, by=caller))
        remarks += found.remarks
        index = self._library.index
        pinned = index.list(agent=agent, scope="notes", pinned=True, limit=PINNED).items
        yield from self._read_all(agent, [(entry.path, "pinned") for entry in pinned])
        matches = list(self._read_all(agent, [(hit.path, f"matches: {hit.why}") for hit in found.hits]))
        yield from matches
        yield from self._read_all(agent, list(self._linked(agent, index, matches[:FOLLOWED])))
        recent = index.list(agent=agent, scope="notes", limit=RECENT).items
        yield from self._read_all(agent, [(entry.path, "recent") for entry in recent])

    def _linked(self, agent: str, index: Index, matches: Sequence[Candidate]) -> Iterator[tuple[str, str]]:
        for match in matches:
            for name in links_in(match.body)[:LINKED]:
                entry = best_match(index.resolve(agent, link_key(name)), name)
                if entry is not None and entry.scope == "notes":
                    yield entry.path, f"linked from {match.name}"
            for entry in index.linking(agent, link_key(match.name), LINKING):
                if entry.scope == "notes":
                    yield entry.path, f"links to {match.name}"

    def _read_all(self, agent: str, paths: Sequence[tuple[str, str]]) -> Iterator[Candidate]:
        today = self._today()
        for path, why in paths:
            note = self._read(path)
            # The index may be older than the file.
            if note is None or (why == "pinned" and not note.is_pinned) or not note.is_live(today):
                continue
            yield Candidate(
                note.name,
                note.title,
                note.type,
                note.provenance,
                note.last_seen,
                note.captured,
                note.body[:BODY_CHARS],
                why,
                tuple(self._beliefs(agent, note)),
            )

    def _beliefs(self, agent: str, note: NoteView) -> Iterator[Belief]:
        """What *note* replaced, and what that replaced, latest first."""
        seen = {note.name}
        later = note
        while len(seen) <= BELIEFS:
            name = later.supersedes.removesuffix(".md")
            old = self._read(f"{agent}/memory/{name}.md") if name and "/" not in name and name not in seen else None
            if old is None:
                return
            seen.add(name)
            yield belief_of(old, later)
            later = old

    def _read(self, path: str) -> NoteView | None:
        try:
            return read_note(path, self._files.read(path).data.decode("utf-8", "replace"))
        except ArgosyError:
            return None  # a link to nothing, or a file that went away


def belief_of(old: NoteView, successor: NoteView | None) -> Belief:
    """When *old* was believed: from the day it was captured to the day its successor was."""
    return Belief(old.name, old.title, old.captured, successor.captured if successor else "")
