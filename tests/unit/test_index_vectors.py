"""Vectors in the index: claimed once, kept by text, near ones found; and two rankings made one."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from both_indexes import postgres_index, sqlite_index
from hypothesis import given
from hypothesis import strategies as st
from postgres_server import PostgresServer

from argosy_core.index import Hit, IndexedDocument, Ranking
from argosy_core.index.face import Index
from argosy_core.index.fusion import fuse
from argosy_core.index.search import Request
from argosy_core.index.vectors import CLAIM_SECONDS, dot, packed, signature, unit, unpacked
from argosy_core.storage.postgres.address import parse_address
from argosy_core.testing.fakes import FakeClock

MODEL, SCOPES = "m", ("notes",)


@pytest.fixture(params=["sqlite", "postgres", "postgres without the extension"])
def index(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Index]:
    if request.param == "sqlite":
        with sqlite_index(tmp_path, FakeClock()) as opened:
            yield opened
        return
    postgres: PostgresServer = request.getfixturevalue("postgres")
    url = postgres.url()
    with postgres_index(postgres, tmp_path, FakeClock(), url) as opened:
        assert opened.vectors.are_compared_in_database
        if request.param != "postgres":
            postgres.sql(parse_address(url), "DROP EXTENSION vector CASCADE")
            assert nearest(opened, [1.0]) == []
        assert opened.vectors.are_compared_in_database == (request.param == "postgres")
        yield opened
        assert opened.vectors.are_compared_in_database == (request.param == "postgres")


def document(name: str, body: str = "alpha", **changes: Any) -> IndexedDocument:
    made = IndexedDocument(f"ada/{name}.md", "ada", "notes", name, "", "t", "", (), body, (1, 1), "2026-11-01")
    return replace(made, **changes)


def claim(index: Index, limit: int = 100, now: float = 0.0) -> list[str]:
    return [each.text.strip() for each in index.vectors.claim("ada", SCOPES, MODEL, limit=limit, now=now)]


def embed(index: Index, vectors: dict[str, list[float]], now: float = 0.0) -> None:
    claimed = index.vectors.claim("ada", SCOPES, MODEL, limit=1000, now=now)
    index.vectors.put(MODEL, {each.digest: vectors[each.text.strip()] for each in claimed})


def nearest(index: Index, vector: list[float], **changes: Any) -> list[str]:
    request = replace(Request("", "ada", SCOPES, (), (), False, "2026-11-20", 10), **changes)
    return [hit.name for hit in index.vectors.search(request, MODEL, vector)]


def test_each_text_is_claimed_once_by_one_until_the_claim_ends(index: Index) -> None:
    index.put(document("a", "one"), document("b", "two"), document("c", "two"))

    assert sorted(claim(index)) == ["one", "two"]
    assert claim(index, now=CLAIM_SECONDS - 1) == []
    assert sorted(claim(index, now=CLAIM_SECONDS + 1)) == ["one", "two"]


def test_a_text_given_back_is_given_out_again(index: Index) -> None:
    index.put(document("a", "one"))
    claimed = index.vectors.claim("ada", SCOPES, MODEL, limit=10, now=0.0)
    index.vectors.release(MODEL, [each.digest for each in claimed])

    assert claim(index) == ["one"]


def test_a_text_keeps_its_vector_whatever_becomes_of_its_document(index: Index) -> None:
    index.put(document("a", "one"))
    embed(index, {"one": [1.0, 0.0]})
    index.remove("ada/a.md")
    assert nearest(index, [1.0, 0.0]) == []
    index.put(document("b", "one", hidden=True), document("c", "one"), document("d", "new"))

    assert claim(index) == ["new"]
    assert nearest(index, [1.0, 0.0]) == ["c"]
    assert sorted(nearest(index, [1.0, 0.0], include_hidden=True)) == ["b", "c"]
    assert index.vectors.count("ada", SCOPES, MODEL) == 2


def test_a_changed_document_is_found_by_its_new_text_only(index: Index) -> None:
    index.put(document("a", "one"), document("b", "two"))
    embed(index, {"one": [1.0, 0.0], "two": [0.0, 1.0]})
    assert nearest(index, [1.0, 0.1]) == ["a"]
    index.put(document("a", "three", stamp=(2, 2)))
    embed(index, {"three": [0.1, 1.0]})

    assert nearest(index, [1.0, 0.1]) == []
    assert nearest(index, [0.0, 1.0]) == ["b", "a"]


def test_vectors_of_another_length_or_model_are_not_compared(index: Index) -> None:
    index.put(document("a", "one"))
    embed(index, {"one": [1.0, 0.0, 0.0]})
    request = Request("", "ada", SCOPES, (), (), False, "2026-11-20", 10)

    assert nearest(index, [1.0, 0.0]) == []
    assert index.vectors.search(request, "other", [1.0, 0.0, 0.0]) == ()


def test_filters_that_leave_few_make_it_look_farther(index: Index) -> None:
    chance = random.Random(1)
    vectors = {
        f"text {n}": [1.0 + chance.random() / 100, *(chance.gauss(0, 0.1) for _ in range(15))] for n in range(900)
    }
    index.put(*(document(f"n{n}", f"text {n}", type="rare" if n == 7 else "t") for n in range(900)))
    vectors["text 7"] = [0.5, *([0.5, -0.5] * 8)[:15]]  # the farthest of all
    embed(index, vectors)

    assert nearest(index, [1.0, *[0.0] * 15], types=("rare",)) == ["n7"]


def test_signatures_lose_little_of_what_comparing_every_vector_finds(index: Index) -> None:
    chance = random.Random(2)
    topics = [[chance.gauss(0, 1) for _ in range(96)] for _ in range(40)]

    def near(topic: list[float], spread: float) -> list[float]:
        return [value + chance.gauss(0, spread) for value in topic]

    vectors = {f"text {n}": near(topics[n % 40], 0.8) for n in range(1500)}
    index.put(*(document(f"n{n}", f"text {n}") for n in range(1500)))
    for _ in range(2):
        embed(index, vectors)
    kept = found = 0
    for topic in topics[:10]:
        question = unit(near(topic, 0.5))
        exact = sorted(range(1500), key=lambda n: -dot(unit(vectors[f"text {n}"]), question))[:10]
        got = nearest(index, list(question))
        kept += len({f"n{n}" for n in exact} & set(got))
        found += 10

    assert kept / found >= 0.95


@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=40))
def test_a_vector_comes_back_as_it_was_packed(values: list[float]) -> None:
    vector = unit(values)
    assert unpacked(packed(vector)) == vector
    assert len(signature(values)) == (len(values) + 7) // 8
    assert dot(vector, vector) == pytest.approx(1.0, abs=1e-4) or not any(vector)


# Fusion


def hit(name: str, **ranking: Any) -> Hit:
    return Hit(f"{name}.md", name, name, "t", "notes", 1.0, "", "", "", "", ranking=Ranking(**ranking))


names = st.lists(st.sampled_from("abcdefgh"), unique=True)


@given(names, names, st.floats(0.1, 1.0))
def test_fusion_keeps_every_hit_once_and_never_ranks_the_better_in_both_lower(
    words: list[str], near: list[str], weight: float
) -> None:
    both = fuse(
        [hit(name, keyword=place, stage=0) for place, name in enumerate(words, 1)],
        [hit(name, semantic=place, similarity=0.5) for place, name in enumerate(near, 1)],
        limit=100,
        weight=weight,
    )
    order = [each.name for each in both]

    assert sorted(order) == sorted({*words, *near})
    for one in order:
        for other in order:
            if _is_better(one, other, words) and _is_better(one, other, near):
                assert order.index(one) < order.index(other)
    assert all(0 < each.score <= 1 for each in both)


def _is_better(one: str, other: str, ranked: list[str]) -> bool:
    return one in ranked and (other not in ranked or ranked.index(one) < ranked.index(other))


def test_what_is_first_in_both_lists_scores_one() -> None:
    [first, _] = fuse([hit("a", keyword=1, stage=0), hit("b", keyword=2, stage=1)], [hit("a", semantic=1)], limit=2)

    assert (first.name, first.score, first.ranking) == ("a", 1.0, Ranking(keyword=1, stage=0, semantic=1))


def test_a_list_of_half_weight_moves_less() -> None:
    words = [hit(name, keyword=place, stage=1) for place, name in enumerate("abcd", 1)]

    def fused(weight: float) -> str:
        near = [hit("d", semantic=1), hit("e", semantic=2)]
        return "".join(each.name for each in fuse(words, near, limit=9, weight=weight))

    assert (fused(1.0), fused(0.5), fused(0.01)) == ("dabec", "dabce", "abcde")


def test_a_first_by_words_that_stands_clear_of_the_second_stays_first() -> None:
    def fused(first_score: float) -> list[str]:
        words = [hit("a", keyword=1, stage=0)._replace(score=first_score), hit("b", keyword=2, stage=0)]
        return [each.name for each in fuse(words, [hit("b", semantic=1), hit("c", semantic=2)], limit=3)]

    assert fused(1.25)[0] == "a" and fused(1.15)[0] == "b"
    assert sorted(fused(1.25)) == ["a", "b", "c"]
