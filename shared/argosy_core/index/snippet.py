"""The stretch of a text worth showing."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

from argosy_core.index.matching import Match

SNIPPET_CHARS = 200
LEAD_CHARS = 40
MATCHES_SHOWN = 12
CUT_CHARS = 20


def snippet(text: str, found: Sequence[Match]) -> str:
    """At most `SNIPPET_CHARS` of *text* around the best window of *found*, in one line, matches between ``**``."""
    window = _best_window(found)
    room = SNIPPET_CHARS - 2 - 4 * len(window)
    first = window[0].start if window else 0
    start = _word_start(text, max(0, min(first - LEAD_CHARS, len(text) - room)), first)
    end = _word_end(text, start + room)
    return _marked(text, start, end, [match for match in window if match.end <= end])


def _best_window(found: Sequence[Match]) -> Sequence[Match]:
    """The matches within reach of each other with the most different needles; the first such of equals."""
    starts = [match.start for match in found]
    best, best_rank = found[:1], (0, 0)
    for at, start in enumerate(starts):
        run = found[at : bisect_left(starts, start + SNIPPET_CHARS - 2 * LEAD_CHARS)]
        rank = (len({match.needle for match in run}), sum(match.is_exact for match in run))
        if rank > best_rank:
            best, best_rank = run, rank
    return best[:MATCHES_SHOWN]


def _word_start(text: str, start: int, latest: int) -> int:
    """The first start of a word from *start* on, when there is one near and before *latest*."""
    if start == 0:
        return 0
    near = range(start, min(latest, start + CUT_CHARS) + 1)
    return next((at for at in near if text[at - 1].isspace()), min(start, latest))


def _word_end(text: str, end: int) -> int:
    """The last end of a word up to *end*, when there is one near."""
    if end >= len(text):
        return len(text)
    return next((at for at in range(end, end - CUT_CHARS, -1) if text[at].isspace()), end)


def _marked(text: str, start: int, end: int, shown: Sequence[Match]) -> str:
    parts, at = ["…"] if start else [], start
    for match in shown:
        if match.start >= at:
            parts += [_unmarked(text[at : match.start]), "**", text[match.start : match.end], "**"]
            at = match.end
    parts += [_unmarked(text[at:end]), "…" if end < len(text) else ""]
    return " ".join("".join(parts).split())


def _unmarked(text: str) -> str:
    """Bold marks of the text itself are left out, so that every ``**`` shown is a match."""
    return text.replace("**", "")
