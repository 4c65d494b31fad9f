"""What goes into the index and what comes out of it. Plain records, no database in sight.

What a search makes tens of is a named tuple: a frozen dataclass takes four times as long to make.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

Stamp = tuple[int, int]
"""``(mtime_ns, size)`` of a file when it was read: equal stamps mean the index has what the disk has."""


def summed(stamps: Iterable[tuple[str, Stamp]]) -> tuple[int, int]:
    """How many there are and the sum of their hashes, for comparing them in one process, whatever their order.

    A hash is a text's: those of tuples are nearly linear, and two files that exchanged their times had the same sum
    three times in ten.
    """
    count = total = 0
    for path, (mtime_ns, size) in stamps:
        total += hash(f"{mtime_ns} {size} {path}")
        count += 1
    return count, total


@dataclass(frozen=True, slots=True)
class Entry:
    """What the index knows of a document without its text. *path* (vault-relative, posix) is the key.

    *scope* is ``notes``, ``wiki``, ``raw`` or ``journal``; *day* an ISO date that ranks and orders; *expires* an ISO
    date or empty; *hidden* is true for what left recall (archived, superseded, disputed); *extra* is a small JSON
    text that belongs to the server that put it there and is never read here.
    """

    path: str
    agent: str
    scope: str
    name: str
    title: str
    type: str
    description: str
    tags: tuple[str, ...]
    stamp: Stamp
    day: str
    expires: str = ""
    pinned: bool = False
    hidden: bool = False
    extra: str = ""


@dataclass(frozen=True, slots=True)
class IndexedDocument:
    """A document as a server hands it over and as `get` gives it back: an `Entry`, its *body*, and the *links* in it,
    each as `links.link_key` has it."""

    path: str
    agent: str
    scope: str
    name: str
    title: str
    type: str
    description: str
    tags: tuple[str, ...]
    body: str
    stamp: Stamp
    day: str
    expires: str = ""
    pinned: bool = False
    hidden: bool = False
    extra: str = ""
    links: tuple[str, ...] = ()


class Ranking(NamedTuple):
    """What made a hit's score: *keyword* and *semantic* are its places in the two lists (from 1, None where it is in
    none). Of keywords: *bm25* times *recency* times *exact*, after all hits of an earlier *stage* (0: every word).
    Of meaning: *similarity*, a cosine."""

    keyword: int | None = None
    stage: int | None = None
    bm25: float | None = None
    recency: float | None = None
    exact: float | None = None
    semantic: int | None = None
    similarity: float | None = None


class Hit(NamedTuple):
    """One document found. *score* is higher for better; *snippet* marks what matched with ``**``; *why* says where,
    and is empty where nobody asked."""

    path: str
    name: str
    title: str
    type: str
    scope: str
    score: float
    snippet: str
    day: str
    extra: str
    why: str
    description: str = ""
    tags: tuple[str, ...] = ()
    hidden: bool = False
    ranking: Ranking = Ranking()


@dataclass(frozen=True, slots=True)
class SearchResult:
    """The best hits, best first.

    *truncated*: more documents match than were returned. *relaxed*: fewer than the limit held every word, so some of
    these hold only the rarer ones; they come after those that hold all.
    """

    hits: tuple[Hit, ...]
    truncated: bool = False
    relaxed: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a listing; *next_cursor* is None on the last."""

    items: tuple[Entry, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class Changes:
    """What a reconciliation did, in documents."""

    added: int = 0
    changed: int = 0
    removed: int = 0
