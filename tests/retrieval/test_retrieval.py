"""How well searching finds, on a labelled set, against grep and with vectors beside the words.

Run with ``-s`` to see the table. The vectors are sums of fixed directions for words and for groups of words that mean
alike, so what hybrid gains here shows that the two rankings are put together well, and nothing of any model.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

import pytest
from embeddings_api import vector_of
from labelled import Grep, Labelled, Quality, haystack, load, meanings, measure, telling_words

from argosy_core.index import DocumentIndex
from argosy_core.index.fusion import fuse
from argosy_core.index.search import Request
from argosy_core.testing.fakes import FakeClock

DIMENSIONS = 128
MODEL = "words"


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DocumentIndex]:
    documents, _ = load()
    opened = DocumentIndex(tmp_path_factory.mktemp("set") / "index.sqlite", clock=FakeClock())
    opened.put(*documents, *haystack(documents))
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def questions() -> Sequence[Labelled]:
    return load()[1]


@pytest.fixture(scope="module")
def by_grep(questions: Sequence[Labelled]) -> Mapping[str, Quality]:
    documents, _ = load()
    grep = Grep([*documents, *haystack(documents)])
    return measure(questions, [grep.search(question.text) for question in questions])


def request(text: str, limit: int = 10) -> Request:
    return Request(text, "ada", ("notes",), (), (), False, "2026-11-20", limit)


@pytest.fixture(scope="module")
def by_words(index: DocumentIndex, questions: Sequence[Labelled]) -> Mapping[str, Quality]:
    return measure(questions, [[hit.path for hit in index.find(request(each.text)).hits] for each in questions])


@pytest.fixture(scope="module")
def by_both(index: DocumentIndex, questions: Sequence[Labelled]) -> Mapping[str, Quality]:
    known = meanings()
    vector = partial(_vector, known)
    while claimed := index.vectors.claim("ada", ("notes",), MODEL, limit=200, now=0.0):
        index.vectors.put(MODEL, {each.digest: vector(each.text) for each in claimed})
    found: list[list[str]] = []
    for each in questions:
        near = index.vectors.search(request(each.text, 50), MODEL, vector(each.text))
        found.append([hit.path for hit in fuse(index.find(request(each.text, 50)).hits, near, 10)])
    return measure(questions, found)


def _vector(known: Mapping[str, str], text: str) -> list[float]:
    return vector_of(" ".join(telling_words(text)), known, DIMENSIONS)


def show(name: str, quality: Mapping[str, Quality]) -> None:
    for kind, each in quality.items():
        print(f"{name:8} {kind:15} {each.questions:4} recall@5 {each.recall_at_5:.3f}  MRR {each.mrr:.3f}")


def test_the_set_is_large_and_each_question_has_one_note(questions: Sequence[Labelled]) -> None:
    documents, _ = load()
    assert len(questions) >= 300 and len({each.text for each in questions}) == len(questions)
    assert {each.path for each in questions} == {document.path for document in documents}


def test_words_find_more_than_grep_whatever_the_question(
    by_words: Mapping[str, Quality], by_grep: Mapping[str, Quality]
) -> None:
    show("grep", by_grep)
    show("keyword", by_words)
    for kind, ours in by_words.items():
        assert ours.recall_at_5 > by_grep[kind].recall_at_5 or ours.recall_at_5 == 1.0, kind
        assert ours.mrr >= by_grep[kind].mrr, kind
    assert by_words["all"].recall_at_5 > by_grep["all"].recall_at_5 + 0.2
    assert by_words["all"].mrr > by_grep["all"].mrr + 0.2
    assert by_words["own words"].recall_at_5 >= 0.98 and by_words["own words"].mrr >= 0.95


def test_meaning_adds_to_words_and_costs_them_nothing(
    by_words: Mapping[str, Quality], by_both: Mapping[str, Quality]
) -> None:
    show("hybrid", by_both)
    assert by_both["said otherwise"].recall_at_5 > by_words["said otherwise"].recall_at_5
    assert by_both["all"].recall_at_5 > by_words["all"].recall_at_5
    assert by_both["all"].mrr > by_words["all"].mrr
    assert by_both["own words"].recall_at_5 >= by_words["own words"].recall_at_5 - 0.01
