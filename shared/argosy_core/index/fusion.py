"""Two ranked lists made one by reciprocal rank fusion (Cormack, Clarke, Büttcher 2009): places count, scores do not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from argosy_core.index.documents import Hit

RANK_CONSTANT = 60


def fuse(keyword: Sequence[Hit], semantic: Sequence[Hit], limit: int) -> tuple[Hit, ...]:
    """The best *limit* of both lists, best first. A hit in both keeps the keyword list's snippet and why.

    The score is the sum of ``1 / (60 + place)``, times 61 / 2: 1 for what stands first in both.
    """
    merged = {hit.path: hit for hit in semantic} | {hit.path: hit for hit in keyword}
    near = {hit.path: hit for hit in semantic}
    fused = [_fused(hit, near.get(path)) for path, hit in merged.items()]
    return tuple(sorted(fused, key=lambda hit: (-hit.score, hit.path))[:limit])


def _fused(hit: Hit, near: Hit | None) -> Hit:
    ranking = hit.ranking
    if near is not None:
        ranking = replace(ranking, semantic=near.ranking.semantic, similarity=near.ranking.similarity)
    places = [place for place in (ranking.keyword, ranking.semantic) if place is not None]
    score = sum(1 / (RANK_CONSTANT + place) for place in places) * (RANK_CONSTANT + 1) / 2
    return replace(hit, score=score, ranking=ranking)
