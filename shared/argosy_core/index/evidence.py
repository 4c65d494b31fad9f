"""What in a document speaks for it: which words stand in which field, and whether to the letter."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

from argosy_core.index.matching import Match, Sought, fold, matches, sought
from argosy_core.index.query import Term
from argosy_core.index.snippet import snippet

FIELDS = ("title", "description", "tags", "body")
DESCRIPTION, BODY = FIELDS.index("description"), FIELDS.index("body")
BODY_CHARS = 200_000
WHY_WORDS = 8


class Evidence(NamedTuple):
    """The matches of *needles* in a document's *text*: its `FIELDS`, joined; each begins where *starts* says."""

    text: str
    starts: Sequence[int]
    needles: Sequence[Sought]
    found: Sequence[Match]

    @property
    def exact_share(self) -> float:
        """Of all needles, how many stand somewhere to the letter."""
        return len({match.needle for match in self.found if match.is_exact}) / max(1, len(self.needles))

    @property
    def share(self) -> float:
        """Of all needles, how many stand somewhere in any form."""
        return len({match.needle for match in self.found}) / max(1, len(self.needles))

    def snippet(self) -> str:
        """The best stretch of the body; of the description where only that says something."""
        start, end = self._place_of(BODY)
        if body := [match for match in self.found if match.start >= start]:
            return snippet(self.text, body, start, end)
        first, last = self._place_of(DESCRIPTION)
        description = [match for match in self.found if first <= match.start < last]
        if not description and not self.text[start:end].isspace() and start < end:
            first, last = start, end
        return snippet(self.text, description, first, last)

    def why(self) -> str:
        """Each needle at its weightiest field: ``title: deploy; body: payment, worker``."""
        first = {match.needle: match.start for match in reversed(self.found)}
        places: dict[str, list[str]] = {}
        for number in sorted(first)[:WHY_WORDS]:
            field = FIELDS[bisect_right(self.starts, first[number]) - 1]
            places.setdefault(field, []).append(self.needles[number].text)
        return "; ".join(f"{field}: {', '.join(places[field])}" for field in FIELDS if field in places)

    def _place_of(self, field: int) -> tuple[int, int]:
        following = field + 1
        end = self.starts[following] - 1 if following < len(self.starts) else len(self.text)
        return self.starts[field], end


def needles_of(terms: Sequence[Term], *, relaxed: bool) -> tuple[Sought, ...]:
    """What to look for, each once."""
    chosen = [part for term in terms for part in (term.relaxed() if relaxed else (term,))]
    return tuple(dict.fromkeys(sought(needle) for term in chosen for needle in term.needles))


def evidence(texts: Sequence[str], needles: Sequence[Sought]) -> Evidence:
    """One pass over all fields: fields are joined by line ends, which no needle crosses."""
    text = "\n".join([*texts[:-1], texts[-1][:BODY_CHARS]])
    starts = [0, *accumulate(len(each) + 1 for each in texts[:-1])]
    return Evidence(text, starts, needles, matches(fold(text), needles))
