"""Finding entries: the index knows the days, and of the best of those the entries are ranked.

The index is the vault's own, with a shelf for journals: every script, word forms, phrases. It is brought in line when
somebody searches; who writes does not wait for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from anyio import to_thread

from argosy_core.index.documents import Hit, IndexedDocument
from argosy_core.index.library import Library, Shelf
from argosy_core.index.matching import WORD_CHARS, Sought, fold, matches, sought
from argosy_core.index.query import Term, parse
from argosy_core.serving.config import ServerConfig
from argosy_journal.days import FOLDER, Passage, day_of, day_of_stamp, decode_day, parse_day
from argosy_journal.models import JournalEntry
from argosy_journal.reading import DayFile, DayReader, Range, entry_of

SCOPE = "journal"
MOST_DAYS = 100  # whose entries are looked at
MOST_MONTHS = 240  # of a range that the index filters by; a longer one is filtered afterwards
MATCHED_CHARS = 200_000  # of an entry
MOST_BETWEEN = 20  # characters between two words of a phrase
MOST_FOUND = 5_000  # entries that a search goes through, page by page


class JournalSearch:
    """Searches the journals of every agent of a vault. Its index is opened by the first search."""

    def __init__(self, config: ServerConfig, reader: DayReader) -> None:
        self._config = config
        self._reader = reader

    async def find(self, agent: str, query: str, days: Range) -> list[JournalEntry]:
        """Entries of *days* that hold words of *query*: those with the most of them first, of these the newest."""
        terms = parse(query)
        found = list[tuple[DayFile, Sequence[Passage]]]()
        for hit in await to_thread.run_sync(self._best_days, agent, query, days):
            file = _file_of(hit)
            if days.holds(file.day):
                found.append((file, await self._reader.passages(file)))
        parts = [part for term in terms for part in term.relaxed()]
        for wanted in (terms, parts) if len(parts) > len(terms) else (terms,):
            if ranked := await to_thread.run_sync(_ranked, found, wanted):
                return ranked
        return []

    def _best_days(self, agent: str, query: str, days: Range) -> Sequence[Hit]:
        index = self._library().fresh(agent, (SCOPE,))
        today = self._config.clock.now().date()
        months = _months(days, today)
        return index.search(query, agent=agent, scopes=(SCOPE,), types=months, limit=MOST_DAYS).hits

    def _library(self) -> Library:
        store, clock = self._config.store, self._config.clock
        return store.shared(
            "journal.library",
            lambda: Library(store, clock, (Shelf(SCOPE, FOLDER, deep=True),), make_document),
            Library.close,
        )


def make_document(agent: str, path: str, data: bytes, stamp: tuple[int, int]) -> IndexedDocument:
    """What the index holds of a day's file."""
    day = day_of(path) or day_of_stamp(stamp[0])
    passages = parse_day(decode_day(data))
    return IndexedDocument(
        path=path,
        agent=agent,
        scope=SCOPE,
        name=path.split("/", 2)[2].removesuffix(".md"),
        title=day.isoformat(),
        type=f"{day:%Y-%m}",
        description="",
        tags=tuple(dict.fromkeys(tag for passage in passages for tag in passage.tags)),
        body="\n\n".join(passage.text for passage in passages),
        stamp=stamp,
        day=day.isoformat(),
    )


def _file_of(hit: Hit) -> DayFile:
    day = date.fromisoformat(hit.day)
    return DayFile(day, hit.path, (0, 0), hit.type)


def _ranked(found: Sequence[tuple[DayFile, Sequence[Passage]]], terms: Sequence[Term]) -> list[JournalEntry]:
    """Entries that hold some of *terms*, best first."""
    demands = [_needles(term) for term in terms]
    places: list[tuple[int, str, str, int, Passage, DayFile]] = []
    for file, passages in found:
        for index, passage in enumerate(passages):
            text = _searched(passage)
            if count := sum(_stands_in(text, needles) for needles in demands):
                places.append((count, *file.order[1:], index, passage, file))
    places.sort(key=lambda place: place[:4], reverse=True)
    return [entry_of(passage, file) for *_, passage, file in places[:MOST_FOUND]]


def _needles(term: Term) -> list[Sought]:
    return [sought(needle) for needle in term.needles]


def _searched(passage: Passage) -> str:
    return fold(f"{passage.text[:MATCHED_CHARS]}\n{' '.join(passage.tags)}")


def _stands_in(text: str, needles: Sequence[Sought]) -> bool:
    """Whether *needles* stand in *text* one after the other, with nothing but signs and spaces between them."""
    if len(needles) == 1:
        return _stands_alone(text, needles[0])
    ends: set[int] | None = None
    for needle in needles:
        places = matches(text, [needle])
        ends = {match.end for match in places if ends is None or any(_meet(text, end, match.start) for end in ends)}
    return bool(ends)


def _stands_alone(text: str, needle: Sought) -> bool:
    """Whether *needle* stands in *text*. Mostly the first place decides, and a look at it is enough."""
    first = text.find(needle.stem)
    if first < 0:
        return False
    near = text[max(0, first - 1) : first + len(needle.stem) + WORD_CHARS + 1]
    return bool(matches(near, [needle])) or bool(matches(text, [needle]))


def _meet(text: str, end: int, start: int) -> bool:
    return 0 <= start - end <= MOST_BETWEEN and not any(char.isalnum() for char in text[end:start])


def _months(days: Range, today: date) -> list[str]:
    """Every month of *days* as the index names it; [] asks for all."""
    if days.start is None:
        return []
    last = days.end or today
    first, count = days.start.year * 12 + days.start.month - 1, last.year * 12 + last.month
    if not 0 < count - first <= MOST_MONTHS:
        return []
    return [f"{month // 12:04}-{month % 12 + 1:02}" for month in range(first, count)]
