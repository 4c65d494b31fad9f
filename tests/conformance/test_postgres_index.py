"""The index of documents in PostgreSQL: beside what both indexes promise, what only one for many hosts must stand."""

from __future__ import annotations

import random
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from both_indexes import postgres_index, sqlite_index
from postgres_server import PostgresServer

from argosy_core.errors import Unavailable
from argosy_core.index import IndexedDocument, reconcile
from argosy_core.index.face import Index
from argosy_core.index.postgres.lexemes import vector
from argosy_core.index.search import Request
from argosy_core.storage.opening import open_store
from argosy_core.storage.postgres.address import parse_address
from argosy_core.testing.fakes import FakeClock
from argosy_memory.shelves import SHELVES, make_document

HOSTILE = ("'", "a & b | !c", "'x':*A", "\\", "a\0b", '"', "<-> <2>", ":*", "NEAR(a b)", "(" * 500, "word " * 10_000)


@pytest.fixture
def url(postgres: PostgresServer) -> str:
    return postgres.url()


@pytest.fixture
def index(postgres: PostgresServer, url: str, tmp_path: Path) -> Generator[Index]:
    with postgres_index(postgres, tmp_path, FakeClock(), url) as opened:
        yield opened


def note(name: str, body: str, stamp: int = 1, **changes: Any) -> IndexedDocument:
    path = f"ada/memory/{name}.md"
    fields: dict[str, Any] = {"title": name, "type": "project", "description": "", "tags": (), "day": "2026-11-01"}
    return IndexedDocument(
        path=path, agent="ada", scope="notes", name=name, body=body, stamp=(stamp, 1), **(fields | changes)
    )


def found(index: Index, text: str) -> set[str]:
    return {hit.name for hit in index.search(text, agent="ada", scopes=("notes",), limit=100).hits}


def test_what_one_host_puts_another_finds_at_once(
    index: Index, postgres: PostgresServer, url: str, tmp_path: Path
) -> None:
    with postgres_index(postgres, tmp_path, FakeClock(), url) as other:
        assert found(other, "lantern") == set()
        index.put(note("a", "a lantern"))
        assert found(other, "lanterns") == {"a"}
        assert other.generation == index.generation
        other.remove("ada/memory/a.md")
        assert found(index, "lantern") == set()


def test_both_indexes_find_the_same_documents(index: Index, tmp_path: Path) -> None:
    texts = {
        "english": "The workers were running happily; generalizations of relational universities",
        "accents": "Café déjà-vu, naïve Straße, Łódź and Ёлка ёж ΆΛΦΑ",
        "scripts": "日本語の検索 東京都 한국어 ภาษาไทย עִבְרִית हिन्दी العَرَبِيَّة",
        "signs": "C++ and C# but also 🚀 rocket_science snake_case a.b.c x@y.org 3.14 ½ ﬁne",
        "long": "z" * 3_000 + " end",
        "odd": "it's o'clock \\ back 'quoted' \x00 null",
    }
    documents = [note(name, text) for name, text in texts.items()]
    words = {word for text in texts.values() for word in text.replace("\0", " ").split()}
    queries = [*words, *(word[:4] + "*" for word in words), '"were running"', '"running were"', "京", "検索 東京"]
    with sqlite_index(tmp_path, FakeClock()) as other:
        for each in (index, other):
            each.put(*documents)
        differing = {query for query in (*queries, *HOSTILE) if found(index, query) != found(other, query)}
    assert differing == set()


def test_a_text_beyond_what_a_vector_holds_is_found_by_all_its_words(index: Index) -> None:
    body = " ".join(f"word{n}" for n in range(60_000)) + " the very end of it " + "again " * 300
    index.put(note("long", body), note("short", "end the very"))
    assert vector([("D", body)])[1]
    phrase = index.search('"very end of it"', agent="ada", scopes=("notes",), limit=1)
    assert found(index, "word100") == {hit.name for hit in phrase.hits} == {"long"}
    assert not phrase.relaxed


def test_tables_dropped_while_serving_are_made_anew_and_say_so(
    index: Index, postgres: PostgresServer, url: str
) -> None:
    index.put(note("a", "alpha"))
    index.mark_filled("ada", "notes")
    before = index.generation
    postgres.sql(parse_address(url), "DROP TABLE index_documents, index_links")
    assert found(index, "alpha") == set()
    assert index.generation != before and index.needs_rebuild("ada", "notes")
    index.put(note("a", "alpha"))
    assert found(index, "alpha") == {"a"}


def test_an_index_of_another_version_is_left_or_made_anew(
    index: Index, postgres: PostgresServer, url: str, tmp_path: Path
) -> None:
    index.put(note("a", "alpha"))
    postgres.sql(parse_address(url), "UPDATE index_life SET version = 99")
    with postgres_index(postgres, tmp_path, FakeClock(), url) as late, pytest.raises(Unavailable, match="newer"):
        found(late, "alpha")
    postgres.sql(parse_address(url), "UPDATE index_life SET version = 0")
    assert found(index, "alpha") == {"a"}, "who has looked goes on"
    with postgres_index(postgres, tmp_path, FakeClock(), url) as late:
        assert found(late, "alpha") == set()


def test_a_document_written_meanwhile_is_left_as_it_is(index: Index) -> None:
    index.put(note("a", "newer", stamp=5))
    index.apply([note("a", "older", stamp=2), note("b", "fresh")], expected={"ada/memory/a.md": (1, 1)})
    assert found(index, "newer") == {"a"} and found(index, "older") == set() and found(index, "fresh") == {"b"}


def test_many_writers_on_two_hosts_lose_nothing(
    index: Index, postgres: PostgresServer, url: str, tmp_path: Path
) -> None:
    with postgres_index(postgres, tmp_path, FakeClock(), url) as other, ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda n: (index, other)[n % 2].put(note(f"n{n % 20}", f"alpha {n}")), range(60)))
        assert found(other, "alpha") == {f"n{n}" for n in range(20)}
        assert index.counts("ada") == {"notes": 20}


def test_a_filling_that_was_cut_short_is_taken_up_by_another_host(
    index: Index, postgres: PostgresServer, url: str, tmp_path: Path
) -> None:
    documents = {each.path: each for each in (note(f"n{n}", "alpha") for n in range(10))}
    listing = [(path, each.stamp) for path, each in documents.items()]
    reads: list[str] = []

    def load(path: str) -> IndexedDocument | None:
        if len(reads) == 6:
            reads.append("")
            raise Unavailable("gone")
        reads.append(path)
        return documents[path]

    with pytest.raises(Unavailable):
        reconcile(index, "ada", "notes", listing, load, batch=2)
    assert index.needs_rebuild("ada", "notes")
    with postgres_index(postgres, tmp_path, FakeClock(), url) as other:
        assert reconcile(other, "ada", "notes", listing, load, batch=2).added == 4
        assert not other.needs_rebuild("ada", "notes")


def test_a_library_over_the_store_keeps_no_file_on_this_machine(url: str, tmp_path: Path) -> None:
    from argosy_core.index.library import Library

    store = open_store(tmp_path, url)
    store.files.replace("ada/memory/decision_x.md", b"---\nname: decision_x\ntype: decision\n---\nA lantern.\n")
    library = Library(store, FakeClock(), SHELVES, make_document)
    hits = library.fresh("ada", ("notes",), 20.0).search("lantern", agent="ada", scopes=("notes",)).hits
    library.close()
    store.close()
    assert [hit.name for hit in hits] == ["decision_x"]
    assert not list(tmp_path.rglob("index.sqlite"))


def test_vectors_are_claimed_once_kept_and_searched(
    index: Index, postgres: PostgresServer, url: str, tmp_path: Path
) -> None:
    index.put(note("a", "alpha"), note("b", "beta"))
    with postgres_index(postgres, tmp_path, FakeClock(), url) as other:
        claimed = index.vectors.claim("ada", ("notes",), "m", limit=10, now=0.0)
        assert len(claimed) == 2 and other.vectors.claim("ada", ("notes",), "m", limit=10, now=1.0) == ()
        index.vectors.put("m", {each.digest: [1.0, 0.0] if "alpha" in each.text else [0.0, 1.0] for each in claimed})
        hits = other.vectors.search(REQUEST, "m", [0.9, 0.1])
        assert [hit.name for hit in hits] == ["a"]
        assert "alpha" in other.vectors.with_snippets(REQUEST, hits)[0].snippet
        assert other.vectors.count("ada", ("notes",), "m") == 2
        assert other.vectors.claim("ada", ("notes",), "m", limit=10, now=999.0) == ()


REQUEST = Request("x", "ada", ("notes",), (), (), False, "2026-11-01", 5)


def embed_all(index: Index, now: float = 0.0) -> int:
    """How many texts had no vector."""
    claimed = index.vectors.claim("ada", ("notes",), "m", limit=100, now=now)
    index.vectors.put("m", {each.digest: [3.0, 4.0] if "alpha" in each.text else [0.0, 2.0] for each in claimed})
    return len(claimed)


def test_vectors_kept_without_the_extension_are_compared_by_it_once_it_may_be_used(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    owner = parse_address(postgres.url("public"))
    for text in (
        "DROP EXTENSION vector CASCADE",
        "CREATE SCHEMA elsewhere",
        "CREATE EXTENSION vector SCHEMA elsewhere",
        "CREATE ROLE plain LOGIN",
        "GRANT CREATE ON DATABASE postgres TO plain",
    ):
        postgres.sql(owner, text)
    url = postgres.url(user="plain")
    with postgres_index(postgres, tmp_path, FakeClock(), url) as index:
        index.put(note("a", "alpha"), note("b", "beta"))
        assert embed_all(index) == 2 and not index.vectors.are_compared_in_database
        here = index.vectors.search(REQUEST, "m", [1.0, 0.0])
    postgres.sql(owner, "GRANT USAGE ON SCHEMA elsewhere TO plain")
    with postgres_index(postgres, tmp_path, FakeClock(), url) as index:
        assert index.vectors.are_compared_in_database
        there = index.vectors.search(REQUEST, "m", [1.0, 0.0])
        assert [hit.name for hit in there] == [hit.name for hit in here] == ["a"]
        assert there[0].score == pytest.approx(here[0].score, abs=1e-6) == pytest.approx(0.6, abs=1e-6)
        assert embed_all(index, now=999.0) == 0


def test_the_database_compares_as_this_process_does(index: Index, postgres: PostgresServer, url: str) -> None:
    index.put(*(note(f"n{n}", f"alpha {n}") for n in range(40)))
    chance = random.Random(3)
    claimed = index.vectors.claim("ada", ("notes",), "m", limit=100, now=0.0)
    index.vectors.put("m", {each.digest: [chance.gauss(0.3, 1) for _ in range(24)] for each in claimed})
    asked = [chance.gauss(0.3, 1) for _ in range(24)]

    def asked_for() -> list[tuple[str, float]]:
        hits = index.vectors.search(replace(REQUEST, limit=100), "m", asked, 0.0)
        return [(hit.name, round(hit.score, 5)) for hit in hits]

    there = asked_for()
    postgres.sql(parse_address(url), "DROP EXTENSION vector CASCADE")
    assert asked_for() == there and 5 < len(there) < 40
