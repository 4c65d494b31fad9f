"""BM25 over short documents, and how alike two of them are."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from argosy_host.providers.offline.words import tokens

Weights = Mapping[str, float]
_SATURATION = 1.2
# Sentences differ little in length and a long one is not a worse one: less correction than the usual 0.75.
_LENGTH_CORRECTION = 0.4


def weigh(*fields: tuple[str, float]) -> dict[str, float]:
    """Term frequencies of a document whose fields count differently (BM25F's weighted sum of frequencies)."""
    weights: dict[str, float] = {}
    for text, weight in fields:
        for token in tokens(text):
            weights[token] = weights.get(token, 0.0) + weight
    return weights


class Bm25:
    """Okapi BM25: Robertson & Zaragoza, "The Probabilistic Relevance Framework", 2009, section 3.

    The inverse document frequency is the variant that never goes below zero, ln(1 + (N - n + 0.5) / (n + 0.5)).
    """

    def __init__(self, documents: Sequence[Weights]) -> None:
        self._documents = documents
        self._lengths = [sum(document.values()) for document in documents]
        self._mean_length = (sum(self._lengths) / len(documents) if documents else 0.0) or 1.0

    def scores(self, query: Iterable[str]) -> list[float]:
        """One score a document, in their order. A token counts once however often it is asked for."""
        totals = [0.0] * len(self._documents)
        for token in dict.fromkeys(query):
            self._add(token, totals)
        return totals

    def _add(self, token: str, totals: list[float]) -> None:
        holders = [index for index, document in enumerate(self._documents) if token in document]
        rarity = math.log(1 + (len(self._documents) - len(holders) + 0.5) / (len(holders) + 0.5))
        for index in holders:
            frequency = self._documents[index][token]
            relative_length = self._lengths[index] / self._mean_length
            damping = _SATURATION * (1 - _LENGTH_CORRECTION + _LENGTH_CORRECTION * relative_length)
            totals[index] += rarity * frequency * (_SATURATION + 1) / (frequency + damping)


def is_near_duplicate(left: frozenset[str], right: frozenset[str]) -> bool:
    """Token sets that share most of what they hold (Jaccard), or of which one is nearly inside the other."""
    shared = len(left & right)
    smaller = min(len(left), len(right))
    if not smaller:
        return left == right
    return shared / len(left | right) >= 0.6 or (smaller >= 4 and shared / smaller >= 0.85)
