"""What in a memory wants a look: signals for a person or a model, never a change.

The checks are those that atomic-agents-stack specifies, and a few of this system's own. All are linear or n log n.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise

from argosy_memory.likeness import (
    Sketch,
    alike,
    numbers_in,
    shared,
    similar_titles,
    sketch_of,
    without_numbers,
    words_of,
)

STALE_DAYS = 90
PROMOTION_DAYS = 30
PROMOTION_SOURCES = 5
LIKE = 0.5
RELATED = 0.2
KINDS = (
    *("degraded", "schema_drift", "broken_chain", "dangling_link", "index_orphan", "unlisted"),
    *("contradiction", "duplicate", "expired", "provenance_gap", "promote", "stale"),
)
PROMOTED_TO = {"user": "USER.md", "feedback": "SOUL.md or IDENTITY.md", "decision": "IDENTITY.md"}
_NEGATIONS = frozenset({"not", "no", "never", "none", "without", "cannot", "don", "doesn", "isn", "nicht", "kein"})
_OBSERVED = ("observation", "")


@dataclass(frozen=True, slots=True)
class Fact:
    """What lint knows of one note."""

    name: str
    title: str
    type: str
    day: str
    captured: str
    expires: str
    pinned: bool
    hidden: bool
    confidence: str
    provenance: str
    sources: tuple[str, ...]
    supersedes: str
    superseded_by: str
    degraded: str | None
    drift: tuple[str, ...]
    numbers: Mapping[str, int]
    negations: int
    sketch: Sketch

    @property
    def is_observation_only(self) -> bool:
        return all(source in _OBSERVED for source in self.sources)


@dataclass(frozen=True, slots=True)
class Finding:
    """One signal: *names* it is about, the newer one last."""

    kind: str
    names: tuple[str, ...]
    detail: str
    fix: str


def read_body(body: str) -> tuple[Mapping[str, int], int, Sketch]:
    """Of a note's text: its numbers, how often it negates, its sketch."""
    return numbers_in(body), sum(word in _NEGATIONS for word in words_of(body)), sketch_of(body)


def examine(facts: Sequence[Fact], today: str) -> Iterator[Finding]:
    """Every finding that needs the notes alone."""
    known = {fact.name: fact for fact in facts}
    live = [fact for fact in facts if not fact.hidden and not (fact.expires and fact.expires < today)]
    for fact in facts:
        yield from _of_one(fact, today)
        yield from _chain(fact, known)
    for fact in live:
        yield from _of_live(fact, today)
    yield from _of_pairs(live)


def _of_one(fact: Fact, today: str) -> Iterator[Finding]:
    if fact.degraded:
        yield Finding("degraded", (fact.name,), fact.degraded, 'mend the line in an editor: quote the value, "a: b"')
    elif fact.drift:
        yield Finding("schema_drift", (fact.name,), "; ".join(fact.drift), "write the note again, or mend its head")
    if fact.expires and fact.expires < today and not fact.hidden:
        yield Finding("expired", (fact.name,), f"expired on {fact.expires}", "memory_archive it, or move the date")


def _of_live(fact: Fact, today: str) -> Iterator[Finding]:
    if fact.confidence == "high" and fact.is_observation_only:
        yield Finding("provenance_gap", (fact.name,), "high confidence with no source", "name its source, or lower it")
    if fact.day and not fact.pinned and fact.day < _days_before(today, STALE_DAYS):
        yield Finding("stale", (fact.name,), f"last seen {fact.day}", "merge what is new into it, or memory_archive it")
    target = PROMOTED_TO.get(fact.type)
    is_old = bool(fact.captured and fact.day) and fact.captured <= _days_before(fact.day, PROMOTION_DAYS)
    is_firm = fact.provenance == "confirmed" or len(fact.sources) >= PROMOTION_SOURCES
    if target and fact.confidence == "high" and is_old and is_firm:
        yield Finding("promote", (fact.name,), "proved itself for a month", f"ask a person to move it to {target}")


def _days_before(day: str, days: int) -> str:
    try:
        return (date.fromisoformat(day) - timedelta(days=days)).isoformat()
    except (ValueError, OverflowError):
        return ""


def _chain(fact: Fact, known: Mapping[str, Fact]) -> Iterator[Finding]:
    older, newer = fact.supersedes.removesuffix(".md"), fact.superseded_by.removesuffix(".md")
    if older and "/" not in older:
        if older not in known:
            yield Finding("broken_chain", (fact.name,), f"supersedes {older}, which is not there", "mend its head")
        elif known[older].superseded_by.removesuffix(".md") != fact.name:
            yield Finding(
                "broken_chain", (older, fact.name), f"{older} does not say that it is superseded",
                f"write {fact.name} again with supersedes={older}",
            )  # fmt: skip
    if newer and "/" not in newer and newer not in known:  # a path is a promotion
        yield Finding("broken_chain", (fact.name,), f"superseded by {newer}, which is not there", "memory_restore it")


# Pairs


def _of_pairs(live: Sequence[Fact]) -> Iterator[Finding]:
    known = {fact.name: fact for fact in live}
    told: set[frozenset[str]] = set()
    for one, other, likeness in alike({fact.name: fact.sketch for fact in live}, RELATED):
        pair = _by_age(known[one], known[other])
        if _is_series(*pair):
            continue
        if pair[0].type == pair[1].type and (reason := _difference(*pair)):
            told.add(frozenset((one, other)))
            yield _contradiction(pair, f"nearly the same words with {reason}", 2)
        elif likeness >= LIKE:
            told.add(frozenset((one, other)))
            yield _duplicate(pair, f"{likeness:.0%} of the text is the same")
    for one, other in similar_titles({fact.name: fact.title for fact in live}):
        if frozenset((one, other)) not in told:
            told.add(frozenset((one, other)))
            yield _duplicate(_by_age(known[one], known[other]), "nearly the same title")
    yield from _of_sources(live, told)


def _of_sources(live: Sequence[Fact], told: Collection[frozenset[str]]) -> Iterator[Finding]:
    """Notes of one type from one source about one thing: the older system's rule, with the titles asked too."""
    known = {fact.name: fact for fact in live}
    specific = ((f.name, [f"{f.type}\0{s}" for s in f.sources if s not in _OBSERVED]) for f in live)
    seen = set(told)
    for thing, names in shared(specific):
        for one, other in pairwise(sorted(names)):
            pair = _by_age(known[one], known[other])
            if frozenset((one, other)) in seen or not _is_one_subject(*pair):
                continue
            seen.add(frozenset((one, other)))
            yield _contradiction(pair, f"both from {thing.partition(chr(0))[2]}", len(names))


def _by_age(one: Fact, other: Fact) -> tuple[Fact, Fact]:
    older, newer = sorted((one, other), key=lambda fact: (fact.captured or fact.day, fact.day, fact.name))
    return older, newer


def _is_series(one: Fact, other: Fact) -> bool:
    return one.title != other.title and without_numbers(one.title) == without_numbers(other.title)


def _is_one_subject(one: Fact, other: Fact) -> bool:
    mine, theirs = set(words_of(one.title)), set(words_of(other.title))
    return len(mine & theirs) * 2 > min(len(mine), len(theirs)) and not _is_series(one, other)


def _difference(older: Fact, newer: Fact) -> str:
    if older.numbers and newer.numbers and older.numbers != newer.numbers:
        return "other numbers"
    return "a negation in one" if bool(older.negations) != bool(newer.negations) else ""


def _duplicate(pair: tuple[Fact, Fact], detail: str) -> Finding:
    older, newer = pair
    fix = f"merge_into={older.name} what {newer.name} adds, then memory_archive {newer.name}"
    return Finding("duplicate", (older.name, newer.name), detail, fix)


def _contradiction(pair: tuple[Fact, Fact], detail: str, involved: int) -> Finding:
    """The newer one wins by default; a person is asked where that is doubtful."""
    older, newer = pair
    is_doubtful = (
        (older.confidence == "high" and newer.confidence == "low") or newer.is_observation_only or involved > 2
    )
    fix = (
        "read both; which holds is for a person to say, then memory_mark the other disputed"
        if is_doubtful
        else f"read both; if they contradict, write {newer.name} again with supersedes={older.name}"
    )
    return Finding("contradiction", (older.name, newer.name), detail, fix)


# What files say

_INDEX_LINK = re.compile(r"\]\(([^)\s/]+\.md)\)")


def index_findings(page: str, names: Collection[str], expected: Collection[str]) -> Iterator[Finding]:
    """Orphans both ways: lines of ``INDEX.md`` without a note among *names*, notes of *expected* without a line."""
    listed = {link.removesuffix(".md") for link in _INDEX_LINK.findall(page)}
    for name in sorted(listed - set(names)):
        if not name.startswith("INDEX"):
            yield Finding("index_orphan", (name,), "INDEX.md lists it; the file is not there", "take the line out")
    for name in sorted(set(expected) - listed):
        yield Finding("unlisted", (name,), "INDEX.md does not list it", "any write of a note lists it")
