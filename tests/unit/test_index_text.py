"""Query text and shown text: whatever a person or a model types is text."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from argosy_core.errors import InvalidArgument
from argosy_core.index import DocumentIndex, IndexedDocument
from argosy_core.index.evidence import evidence, needles_of
from argosy_core.index.matching import fold
from argosy_core.index.query import TERMS, all_of, any_of, parse
from argosy_core.index.snippet import SNIPPET_CHARS
from argosy_core.index.text import TOKENIZER, pieces, searchable
from argosy_core.testing.fakes import FakeClock

AWKWARD = st.sampled_from(
    [
        *('"', "*", "(", ")", "^", ":", "{", "}", "+", "-", "'", "#", "AND", "OR", "NOT", "NEAR(", "title:", "marks:"),
        *("C++", "C#", "日本語", "語", "ไทย", "🚀", "👩\u200d💻", "é", "e\u0301", "İ", "ß", "ﬁ", "Ａ", "\u094d"),
        *("\ud800", "\x00", "\x1f", "\u202e", " ", "\n", "fts_1", "word", "x128640"),
    ]
)
ANY_TEXT = st.one_of(
    st.text(st.characters(), max_size=60), st.lists(AWKWARD, max_size=12).map("".join), st.lists(AWKWARD).map(" ".join)
)


def indexed(body: str, name: str = "a") -> IndexedDocument:
    return IndexedDocument(f"ada/{name}.md", "ada", "notes", name, "", "t", "", (), body, (1, 1), "2026-01-01")


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DocumentIndex]:
    path: Path = tmp_path_factory.mktemp("index") / "index.sqlite"
    opened = DocumentIndex(path, clock=FakeClock())
    opened.put(indexed("some words to be found, C++ and 日本語 🚀"), indexed("more words", "b"))
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def table() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:")
    connection.execute(f'CREATE VIRTUAL TABLE texts USING fts5 (body, tokenize = "{TOKENIZER}")')
    yield connection
    connection.close()


@settings(deadline=None)
@given(ANY_TEXT)
@example('"')
@example("(" * 300)
@example("a " * 3_000)
@example("a-" * 3_000)
@example("日" * 3_000)
def test_no_query_text_raises(index: DocumentIndex, text: str) -> None:
    index.search(text, agent="ada", scopes=("notes", text))
    clean = text.encode("utf-8", "replace").decode()
    filtered = index.search(text, agent="ada", scopes=("notes",), types=(clean,), tags=(clean,), today=clean)
    assert filtered.hits == ()
    assert index.search(text, agent=clean, scopes=("notes",)).hits == ()


def test_a_filter_that_utf8_cannot_hold_is_refused(index: DocumentIndex) -> None:
    with pytest.raises(InvalidArgument):
        index.search("word", agent="ada", scopes=("notes",), types=("\ud800",))
    with pytest.raises(InvalidArgument):
        index.get("\ud800")


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ANY_TEXT)
def test_a_document_is_found_by_its_own_text(index: DocumentIndex, text: str) -> None:
    index.put(indexed(text, "own"))
    if [token for piece in pieces(text) for token in piece.tokens if token.isascii()]:
        found = index.search(text[:2_000].replace('"', " "), agent="ada", scopes=("notes",), limit=50)
        assert "own" in [hit.name for hit in found.hits]


@settings(deadline=None)
@given(ANY_TEXT)
def test_every_expression_is_one_that_the_engine_takes(table: sqlite3.Connection, text: str) -> None:
    terms = parse(text)
    assert len(terms) <= TERMS
    for expression in (all_of(terms), any_of(terms)) if terms else ():
        table.execute("SELECT rowid FROM texts WHERE texts MATCH ?", (expression,)).fetchall()


@given(ANY_TEXT)
def test_plain_ascii_is_indexed_as_it_is(text: str) -> None:
    plain = "".join(char for char in text if char.isascii() and char not in "+#")
    assert searchable(plain) is plain


@given(st.text(st.characters()))
def test_folding_keeps_every_offset(text: str) -> None:
    assert len(fold(text)) == len(text)


@given(st.lists(ANY_TEXT, min_size=4, max_size=4), ANY_TEXT)
def test_a_snippet_is_short_and_in_one_line(fields: list[str], query: str) -> None:
    seen = evidence(fields, needles_of(parse(query), relaxed=False))
    shown = seen.snippet()
    assert len(shown) <= SNIPPET_CHARS
    assert shown == " ".join(shown.split())
    assert 0 <= seen.exact_share <= 1
    assert isinstance(seen.why(), str)


def test_marks_stand_around_whole_words_and_their_forms() -> None:
    needles = needles_of(parse("plan C++ 日本 run* Änderung"), relaxed=False)
    seen = evidence(("", "", "", "planning a plane, airplan; c++ 日本語 runner ÄNDERUNG"), needles)
    assert seen.snippet() == "**planning** a **plane**, airplan; **c++** **日本**語 **runner** **ÄNDERUNG**"


def test_the_window_with_most_of_the_words_is_shown() -> None:
    body = "alpha " + "filler " * 80 + "alpha beta gamma " + "filler " * 80 + "beta"
    assert (
        "**alpha** **beta** **gamma**"
        in evidence(("", "", "", body), needles_of(parse("gamma alpha beta"), relaxed=False)).snippet()
    )


def test_a_word_of_a_thousand_letters_does_not_fill_the_snippet() -> None:
    seen = evidence(("", "", "", "x" * 1_000), needles_of(parse("xxx*"), relaxed=False))
    assert len(seen.snippet()) <= SNIPPET_CHARS


def test_doubles_and_the_rest_of_a_long_query_are_left_out() -> None:
    assert len(parse("word WORD word")) == 1
    assert len(parse(" ".join(f"w{n}" for n in range(100)))) == TERMS


def test_a_joined_word_relaxes_to_its_parts() -> None:
    (term,) = parse("auth-flow")
    assert term.match == '"auth flow"'
    assert [part.match for part in term.relaxed()] == ['"auth"', '"flow"']
