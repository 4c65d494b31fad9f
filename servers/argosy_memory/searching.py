"""Searching an agent's documents by words, by meaning, or by both."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from argosy_core.errors import BudgetExhausted, Corrupted, Unavailable
from argosy_core.index.documents import Hit as IndexHit
from argosy_core.index.face import Index
from argosy_core.index.fusion import fuse
from argosy_core.index.library import Library
from argosy_core.index.search import Request
from argosy_core.policy.errors import PolicyInvalid
from argosy_core.types import Caller
from argosy_memory.meanings import NO_SOURCE, Meanings
from argosy_memory.models import Explained, Explanation, Freshness, Hit, SearchMode, SearchResult
from argosy_memory.shelves import ALL_SCOPES, uri_of

MOST_HITS = 500
LEAST_FUSED = 50  # of each list; a hit that is low in both can be high in the end


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked for."""

    text: str
    scope: str = "notes"
    types: Collection[str] = ()
    tags: Collection[str] = ()
    mode: SearchMode = "hybrid"
    limit: int = 10
    include_archived: bool = False
    explain: bool = False  # say why each hit ranks where it does
    by: Caller | None = None  # whose run pays for its vector

    @property
    def scopes(self) -> Sequence[str]:
        return ALL_SCOPES if self.scope == "all" else (self.scope,)


@dataclass(frozen=True, slots=True)
class Found:
    """The best hits, how they were found, and what is to be said of that."""

    hits: Sequence[IndexHit]
    mode: SearchMode
    truncated: bool
    relaxed: bool
    remarks: Sequence[str]


class Searcher:
    """Searches. Every call blocks."""

    def __init__(self, library: Library, meanings: Meanings, today: Callable[[], str]) -> None:
        self._library = library
        self._meanings = meanings
        self._today = today

    def search(self, agent: str, question: Question) -> SearchResult:
        """The best documents for *question*; a source of vectors that is missing or fails leaves the keywords."""
        found = self.find(agent, question)
        return SearchResult(
            hits=[_hit(hit) for hit in found.hits],
            mode=found.mode,
            truncated=found.truncated,
            note="; ".join(found.remarks) or None,
            explain=self._explained(agent, question, found) if question.explain else None,
        )

    def find(self, agent: str, question: Question) -> Found:
        """As `search`, in the index's own terms."""
        index = self._library.fresh(agent, question.scopes)
        remarks: list[str] = []
        near: Sequence[IndexHit] | None = None
        if question.mode != "keyword":
            near = self._near(index, agent, question, remarks)
        if progress := self.progress(agent, question.scopes):
            remarks.append(progress)
        if near is not None and question.mode == "semantic":
            hits = index.vectors.with_snippets(self._request(agent, question, question.limit), near[: question.limit])
            return Found(hits, "semantic", len(near) > question.limit, False, remarks)
        most = question.limit if near is None else max(LEAST_FUSED, question.limit)
        words = index.find(self._request(agent, question, most))
        if near is None:
            return Found(words.hits, "keyword", words.truncated, words.relaxed, remarks)
        request = self._request(agent, question, question.limit)
        both = index.vectors.with_snippets(request, fuse(words.hits, near, question.limit, self._meanings.weight))
        many = words.truncated or len({hit.path for hit in (*words.hits, *near)}) > question.limit
        return Found(both, "hybrid", many, words.relaxed, remarks)

    def _near(self, index: Index, agent: str, question: Question, remarks: list[str]) -> Sequence[IndexHit] | None:
        """The nearest in meaning; None when no vectors can be had."""
        try:
            vector = self._meanings.query(agent, question.text, question.by, remarks)
        except (Unavailable, BudgetExhausted, Corrupted, PolicyInvalid) as error:
            if question.mode == "semantic" or error.message != NO_SOURCE:
                remarks.append(f"{error.message}: searched by keywords")
            return None
        if self._meanings.is_behind:
            remarks.append("vectors are still being made: some documents are found by keywords only")
        request = self._request(agent, question, max(LEAST_FUSED, question.limit + 1))
        return index.vectors.search(request, self._meanings.space or "", vector, self._meanings.least_similarity)

    def progress(self, agent: str, scopes: Sequence[str]) -> str | None:
        """What to say while the index is being filled; None otherwise."""
        progress = self._library.progress(agent, scopes)
        if progress is None:
            return None
        of = f"{progress.done} of {progress.total} changed files" if progress.total else "listing the files"
        return f"the index is being brought up to date ({of}); ask again for the rest"

    def _request(self, agent: str, question: Question, limit: int) -> Request:
        return Request(
            question.text,
            agent,
            question.scopes,
            question.types,
            question.tags,
            question.include_archived,
            self._today(),
            limit,
            question.explain,
        )

    def _explained(self, agent: str, question: Question, found: Found) -> Explanation:
        counts = self._library.index.counts(agent)
        vectors = self._vectors(agent, question)
        ages = [self._library.compared_seconds_ago(agent, scope) for scope in question.scopes]
        known = [age for age in ages if age is not None]
        progress = self._library.progress(agent, question.scopes)
        return Explanation(
            hits=[_explained(hit) for hit in found.hits],
            relaxed=found.relaxed,
            index=Freshness(
                documents=sum(counts.get(scope, 0) for scope in question.scopes),
                compared_seconds_ago=round(max(known), 1) if len(known) == len(ages) and known else None,
                watching=self._library.watching,
                not_watched=self._library.not_watched,
                waiting=self._library.waiting,
                filling=f"{progress.done}/{progress.total}" if progress else None,
                vectors=vectors,
                vectors_compared=None if vectors is None else self._comparer(),
            ),
        )

    def _vectors(self, agent: str, question: Question) -> int | None:
        space = self._meanings.space
        return None if space is None else self._library.index.vectors.count(agent, question.scopes, space)

    def _comparer(self) -> Literal["here", "in the database"]:
        return "in the database" if self._library.index.vectors.are_compared_in_database else "here"


def _explained(hit: IndexHit) -> Explained:
    ranking = hit.ranking
    return Explained(
        name=hit.name,
        matched=hit.why,
        keyword_rank=ranking.keyword,
        every_word=ranking.stage == 0 if ranking.stage is not None else None,
        bm25=_rounded(ranking.bm25),
        recency=_rounded(ranking.recency),
        exactness=_rounded(ranking.exact),
        semantic_rank=ranking.semantic,
        similarity=_rounded(ranking.similarity),
        score=round(hit.score, 4),
    )


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _hit(hit: IndexHit) -> Hit:
    return Hit(
        name=hit.name,
        title=hit.title,
        type=hit.type,
        score=round(hit.score, 4),
        snippet=hit.snippet,
        uri=uri_of(hit.scope, hit.name),
        scope=hit.scope,
    )
