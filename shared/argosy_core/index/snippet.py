"""The stretch of a text worth showing."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence

from argosy_core.index.matching import Match

SNIPPET_CHARS = 200
LEAD_CHARS = 40
REACH_CHARS = SNIPPET_CHARS - 2 * LEAD_CHARS
MATCHES_SHOWN = 12
CUT_CHARS = 20
_space = re.compile(r"\s").search  # what `str.isspace` is true of


def snippet(text: str, found: Sequence[Match], begin: int, stop: int) -> str:
    """At most `SNIPPET_CHARS` of *text* from *begin* to *stop*, around the best window of *found*, which lie there: in
    one line, matches between ``**``."""
    window = _best_window(found)
    room = SNIPPET_CHARS - 2 - 4 * len(window)
    first = window[0].start if window else begin
    start = _word_start(text, max(begin, min(first - LEAD_CHARS, stop - room)), first, begin)
    end = _word_end(text, start + room, stop)
    shown = _marked(text, start, end, [match for match in window if match.end <= end])
    return f"{'…' if start > begin else ''}{shown}{'…' if end < stop else ''}"


def _best_window(found: Sequence[Match]) -> Sequence[Match]:
    """The matches within reach of each other with the most different needles; the first such of equals."""
    if not found or found[-1].start < found[0].start + REACH_CHARS:
        return found[:MATCHES_SHOWN]
    starts = [match.start for match in found]
    best, best_rank = found[:1], (0, 0)
    for at, start in enumerate(starts):
        run = found[at : bisect_left(starts, start + REACH_CHARS)]
        rank = (len({match.needle for match in run}), sum(match.is_exact for match in run))
        if rank > best_rank:
            best, best_rank = run, rank
    return best[:MATCHES_SHOWN]


def _word_start(text: str, start: int, latest: int, begin: int) -> int:
    """The first start of a word from *start* on, when there is one near and before *latest*."""
    if start == begin:
        return start
    space = _space(text, start - 1, min(latest, start + CUT_CHARS))
    return space.end() if space is not None else min(start, latest)


def _word_end(text: str, end: int, stop: int) -> int:
    """The last end of a word up to *end*, when there is one near."""
    if end >= stop:
        return stop
    return next((at for at in range(end, end - CUT_CHARS, -1) if text[at].isspace()), end)


def _marked(text: str, start: int, end: int, shown: Sequence[Match]) -> str:
    parts: list[str] = []
    at = start
    for match in shown:
        if match.start >= at:
            parts += [_unmarked(text[at : match.start]), "**", text[match.start : match.end], "**"]
            at = match.end
    parts.append(_unmarked(text[at:end]))
    return " ".join("".join(parts).split())


def _unmarked(text: str) -> str:
    """Bold marks of the text itself are left out, so that every ``**`` shown is a match."""
    return text.replace("**", "")
