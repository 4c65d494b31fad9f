"""Which notes are nearly the same, in time that grows with their number and not with its square.

Texts are compared by bottom-k sketches of their word triples (Broder 1997), titles with their neighbours when sorted
from either end.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from zlib import crc32

SKETCH = 24
SHINGLE_WORDS = 3
MOST_WORDS = 2_000  # of one text
CROWD = 40  # what more notes share says nothing of any two
WINDOW = 3
CHANGED_CHARS = 2
SHORTEST_TITLE = 8
_WORD = re.compile(r"\w+")
_DIGITS = re.compile(r"\d+")

Sketch = tuple[int, ...]


def words_of(text: str) -> list[str]:
    """The words of *text*, folded."""
    return _WORD.findall(text.casefold())


def sketch_of(text: str) -> Sketch:
    """The least hashes of the word triples of *text*; of the whole where it has fewer words."""
    words = words_of(text)[:MOST_WORDS]
    if len(words) < SHINGLE_WORDS:
        return (crc32(" ".join(words).encode("utf-8", "replace")),) if words else ()
    triples = zip(words, words[1:], words[2:], strict=False)
    return tuple(sorted({crc32(" ".join(triple).encode("utf-8", "replace")) for triple in triples})[:SKETCH])


def likeness(one: Sketch, other: Sketch) -> float:
    """An estimate of the share of triples that two texts have in common (Jaccard); exact for short texts."""
    least = sorted({*one, *other})[:SKETCH]
    both = set(one) & set(other)
    return sum(each in both for each in least) / len(least) if least else 0.0


def alike(sketches: Mapping[str, Sketch], least: float) -> Iterator[tuple[str, str, float]]:
    """For each name the one whose text is most like its own, where that is at least *least*; each pair once."""
    holders: dict[int, list[str]] = defaultdict(list)
    for name, sketch in sketches.items():
        for each in sketch:
            holders[each].append(name)
    seen: set[tuple[str, str]] = set()
    for name, sketch in sketches.items():
        near = Counter(
            other for each in sketch if len(holders[each]) <= CROWD for other in holders[each] if other != name
        )
        if not near:
            continue
        best = max(near, key=lambda other: (near[other], other))
        pair, likely = _pair(name, best), likeness(sketch, sketches[best])
        if likely >= least and pair not in seen:
            seen.add(pair)
            yield *_pair(name, best), likely


def similar_titles(titles: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Names whose titles hold the same words, or differ by a slip of the pen."""
    folded = {name: " ".join(words_of(title)) for name, title in titles.items()}
    by_words: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for name, title in folded.items():
        by_words[tuple(sorted(title.split()))].append(name)
    seen: set[tuple[str, str]] = set()
    for names in by_words.values():
        ordered = sorted(names)
        seen |= set(pairwise(ordered))
    for key in (str.__str__, _backwards):
        order = sorted(folded, key=lambda name: (key(folded[name]), name))
        seen |= {_pair(a, b) for a, b in _near(order) if _is_slip(folded[a], folded[b])}
    yield from sorted(seen)


def _backwards(text: str) -> str:
    return text[::-1]


def _near(order: Sequence[str]) -> Iterator[tuple[str, str]]:
    for at, name in enumerate(order):
        for other in order[at + 1 : at + 1 + WINDOW]:
            yield name, other


def _pair(one: str, other: str) -> tuple[str, str]:
    return (one, other) if one < other else (other, one)


def _is_slip(one: str, other: str) -> bool:
    """True when a stretch of at most two characters differs, and no number does: those are series."""
    if one == other or min(len(one), len(other)) < SHORTEST_TITLE or abs(len(one) - len(other)) > CHANGED_CHARS:
        return one == other
    start = 0
    while start < min(len(one), len(other)) and one[start] == other[start]:
        start += 1
    end = 0
    while end < min(len(one), len(other)) - start and one[-1 - end] == other[-1 - end]:
        end += 1
    is_short = max(len(one), len(other)) - start - end <= CHANGED_CHARS
    return is_short and numbers_in(one) == numbers_in(other)


def numbers_in(text: str) -> Counter[str]:
    """The numbers of *text*, each as often as it stands there."""
    return Counter(_DIGITS.findall(text))


def without_numbers(text: str) -> str:
    """*text* with a mark for each number."""
    return _DIGITS.sub("#", text.casefold())


def shared(groups: Iterable[tuple[str, Iterable[str]]]) -> Iterator[tuple[str, list[str]]]:
    """What few names share: for each thing, its names, where there are two to `CROWD`."""
    holders: dict[str, list[str]] = defaultdict(list)
    for name, things in groups:
        for thing in things:
            holders[thing].append(name)
    yield from ((thing, names) for thing, names in holders.items() if 2 <= len(names) <= CROWD)
