"""What a task asks for: its parts, their topics, their intents and the days they mean."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from argosy_host.providers.base import Message
from argosy_host.providers.offline import cues
from argosy_host.providers.offline.dates import Period, find_period
from argosy_host.providers.offline.words import (
    STOP_WORDS,
    is_dense,
    is_hiragana,
    is_particle,
    normalise,
    query_tokens,
    surface_words,
)

_MOST_TOPICS = 3
_MOST_KEYWORDS = 12
_ASKING = (
    r"(?:what|how|who|which|when|where|why|should|is|are|do|does|did|can|then|also|tell|give|show|что|как|кто|was|wie)"
)
_CLAUSE_END = re.compile(
    rf"[?!;？！。；\n]+|(?<=\w)\.(?:\s+|$)|,?\s+(?:and|but|then|und|и|а)\s+(?={_ASKING}\b)", re.IGNORECASE
)
_IDEOGRAPH = "[\u3400-\u9fff\u30a1-\u30fc]"
_LIST_WORD = re.compile(
    # Case is ignored for words only: over a class of ideographs it is slow to compile.
    r"\s+(?i:and|or|as well as|plus|und|oder|et|ou|y|и|или)\s+|\s*[&、]\s*"
    rf"|(?<={_IDEOGRAPH})[と和](?={_IDEOGRAPH})"
)
_IDENTIFIER = re.compile(r"(?<![\w/.-])[a-z]+(?:_\w+)+(?![\w/-])")


@dataclass(frozen=True, slots=True)
class Facet:
    """One part of a question. *label* is its topic as the person wrote it; empty when it names none."""

    label: str
    keywords: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Question:
    """A task, understood as far as words go. *intents* are names of `cues.INTENTS`."""

    text: str
    facets: tuple[Facet, ...]
    intents: frozenset[str]
    period: Period | None
    # The days to read: those it names, or the last two weeks when it asks about now without saying so.
    days: Period | None
    # Every word of the task that is no stop word, cues included, phrases of time left out.
    wording: tuple[str, ...]
    identifiers: tuple[str, ...]
    # Whether the part that asks what to do is itself about a topic ("should I sell the boat?").
    next_is_topical: bool = False

    @property
    def keywords(self) -> tuple[str, ...]:
        """The keywords of all facets, each once."""
        return tuple(dict.fromkeys(word for facet in self.facets for word in facet.keywords))

    @property
    def is_digest(self) -> bool:
        """Whether the answer goes day by day."""
        if self.period is None or cues.DIGEST in self.intents:
            return self.period is not None
        return not self.facets and self.intents.isdisjoint({cues.NEXT, *cues.LISTED})


def find_task(messages: Sequence[Message]) -> int | None:
    """Where the task stands: the last thing a person said that is not what a tool returned."""
    spoken = [index for index, message in enumerate(messages) if _is_spoken(message)]
    return spoken[-1] if spoken else None


def _is_spoken(message: Message) -> bool:
    return message.role == "user" and not message.returns and bool(message.text.strip())


def understand(text: str, today: str, earlier: str = "") -> Question:
    """Read a task. One without a topic or an intent ("and why?") is read on top of what was said *earlier*."""
    question = _understand(text, today)
    if earlier and not (question.facets or question.intents or question.period):
        return _understand(f"{earlier}\n{text}", today)
    return question


def _understand(text: str, today: str) -> Question:
    text = "\n".join(" ".join(line.split()) for line in text.splitlines())
    period, untimed = find_period(text, today)
    intents: set[str] = set()
    facets: dict[tuple[str, ...], Facet] = {}
    next_is_topical = False
    for clause in _CLAUSE_END.split(untimed):
        asked: set[str] = set()
        found: list[Facet] = []
        for part in _split_list(clause):
            named, words = _take_cues(part)
            asked |= named
            found.append(_facet(words))
        topics = {facet.keywords: facet for facet in found if facet.keywords}
        next_is_topical |= cues.NEXT in asked and bool(topics)
        intents |= asked
        facets.update(topics)
    days = period or (find_period("lately", today)[0] if intents & {cues.NEXT, cues.DIGEST} else None)
    identifiers = tuple(dict.fromkeys(_IDENTIFIER.findall(text)))
    few = _at_most(list(facets.values()))
    wording = tuple(query_tokens(untimed))
    return Question(text, few, frozenset(intents), period, days, wording, identifiers, next_is_topical)


def _take_cues(text: str) -> tuple[set[str], list[str]]:
    """The intents of a text, and its words without those that gave them away."""
    named: set[str] = set()
    for intent in cues.INTENTS:
        for cue in filter(is_dense, intent.cues):
            if cue in text:
                named.add(intent.name)
                text = text.replace(cue, " ")
    words = surface_words(text)
    for intent in cues.INTENTS:
        for cue in intent.cues:
            if not is_dense(cue) and _take_words(words, _words_of(cue)):
                named.add(intent.name)
    return named, words


def _take_words(words: list[str], cue: tuple[str, ...]) -> bool:
    """Take every occurrence of the cue out of the words; whether there was one."""
    folded = [normalise(word) for word in words]
    starts = [start for start in range(len(words)) if tuple(folded[start : start + len(cue)]) == cue]
    for start in reversed(starts):
        del words[start : start + len(cue)]
    return bool(starts)


@lru_cache(maxsize=512)
def _words_of(cue: str) -> tuple[str, ...]:
    return tuple(surface_words(normalise(cue)))


def _split_list(clause: str) -> list[str]:
    """The members of a list ("a, b and c"). Without a list word a comma separates nothing."""
    parts = _LIST_WORD.split(clause)
    return [piece for part in parts for piece in part.split(",")] if len(parts) > 1 else parts


def _facet(words: list[str]) -> Facet:
    content = [word for word in words if normalise(word) not in STOP_WORDS]
    # Hiragana beside other words is grammar: it would only dilute a search.
    content = [word for word in content if not is_hiragana(word)] or [w for w in content if not is_particle(w)]
    return Facet(" ".join(content[:_MOST_KEYWORDS]), tuple(query_tokens(" ".join(content)))[:_MOST_KEYWORDS])


def _at_most(facets: list[Facet]) -> tuple[Facet, ...]:
    """Few enough facets to answer each; what is over is asked together with the last."""
    if len(facets) <= _MOST_TOPICS:
        return tuple(facets)
    last = facets[_MOST_TOPICS - 1 :]
    words = tuple(dict.fromkeys(word for facet in last for word in facet.keywords))[:_MOST_KEYWORDS]
    return (*facets[: _MOST_TOPICS - 1], Facet(", ".join(facet.label for facet in last), words))
