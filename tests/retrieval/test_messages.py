"""How well searching finds in public-domain text, with a weak model beside the words. Run with ``-s`` for the table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import messages
import pytest
from labelled import Grep, Labelled, Quality, load_messages, measure
from static_model import make_model_folder

from argosy_core.embedding import FolderEmbedder, FolderSettings
from argosy_core.index import DocumentIndex
from argosy_core.index.fusion import fuse
from argosy_core.index.search import Request
from argosy_core.testing.fakes import FakeClock


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DocumentIndex]:
    opened = DocumentIndex(tmp_path_factory.mktemp("messages") / "index.sqlite", clock=FakeClock())
    opened.put(*load_messages()[0])
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def questions() -> Sequence[Labelled]:
    return load_messages()[1]


@pytest.fixture(scope="module")
def by_grep(questions: Sequence[Labelled]) -> Mapping[str, Quality]:
    grep = Grep(load_messages()[0])
    return _shown("grep", questions, [grep.search(question.text) for question in questions])


@pytest.fixture(scope="module")
def by_words(index: DocumentIndex, questions: Sequence[Labelled]) -> Mapping[str, Quality]:
    found = [[hit.path for hit in index.find(_request(each.text)).hits] for each in questions]
    return _shown("keyword", questions, found)


@pytest.fixture(scope="module")
def by_both(
    index: DocumentIndex, questions: Sequence[Labelled], tmp_path_factory: pytest.TempPathFactory
) -> Mapping[str, Quality]:
    embedder = FolderEmbedder(FolderSettings(make_model_folder(tmp_path_factory.mktemp("model") / "static")))
    while claimed := index.vectors.claim("ada", ("notes",), embedder.space, limit=200, now=0.0):
        made = embedder.embed([each.text for each in claimed])
        index.vectors.put(embedder.space, dict(zip([each.digest for each in claimed], made, strict=True)))
    least = embedder.least_similarity
    found: list[list[str]] = []
    meant: list[list[str]] = []
    for each in questions:
        near = index.vectors.search(_request(each.text, 50), embedder.space, embedder.query(each.text), least)
        found.append([hit.path for hit in fuse(index.find(_request(each.text, 50)).hits, near, 10, embedder.weight)])
        meant.append([hit.path for hit in near[:10]])
    _shown("semantic", questions, meant)
    return _shown("hybrid", questions, found)


def _request(text: str, limit: int = 10) -> Request:
    return Request(text, "ada", ("notes",), (), (), False, "2026-11-20", limit)


def _shown(name: str, questions: Sequence[Labelled], found: Sequence[Sequence[str]]) -> Mapping[str, Quality]:
    quality = measure(questions, found)
    for kind, each in quality.items():
        print(f"{name:8} {kind:16} {each.questions:4} recall@5 {each.recall_at_5:.3f}  MRR {each.mrr:.3f}")
    return quality


def test_the_questions_are_many_of_every_kind_and_ask_for_passages_among_many_others() -> None:
    documents, questions = load_messages()
    assert len(questions) >= 300 and len({each.text for each in questions}) == len(questions)
    assert {each.kind for each in questions} == set(messages.KINDS.values())
    assert len(documents) > 5 * len({each.path for each in questions})


def test_the_maker_makes_the_passages_that_are_checked_in() -> None:
    made = list(messages.passages(messages.SOURCE))
    text = messages.PASSAGES.read_text(encoding="utf-8")
    kept = list(messages.notes(text))
    assert len(made) > 1
    assert made == [each for each in kept if (each.year, each.president) in {(one.year, one.president) for one in made}]
    assert messages.written(kept) == text and len({each.name for each in kept}) == len(kept)


def test_words_find_more_than_grep(by_words: Mapping[str, Quality], by_grep: Mapping[str, Quality]) -> None:
    assert by_words["all"].recall_at_5 > by_grep["all"].recall_at_5 + 0.02
    assert by_words["all"].mrr > by_grep["all"].mrr + 0.03


def test_a_weak_model_takes_nothing_from_words(by_words: Mapping[str, Quality], by_both: Mapping[str, Quality]) -> None:
    assert by_both["all"].recall_at_5 >= by_words["all"].recall_at_5
    assert by_both["all"].mrr >= by_words["all"].mrr - 0.003  # less than one question in 300 by one place
