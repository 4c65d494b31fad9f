"""The document index: what is put in is found, listed and taken out again."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from both_indexes import postgres_index, sqlite_index

from argosy_core.errors import InvalidArgument, Unavailable
from argosy_core.index import DocumentIndex, IndexedDocument, SearchResult
from argosy_core.index.face import Index
from argosy_core.testing.fakes import FakeClock


@pytest.fixture(params=["sqlite", "postgres"])
def index(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Index]:
    if request.param == "postgres":
        with postgres_index(request.getfixturevalue("postgres"), tmp_path, FakeClock()) as opened:
            yield opened
    else:
        with sqlite_index(tmp_path, FakeClock()) as opened:
            yield opened


def note(name: str, body: str = "", *, agent: str = "ada", scope: str = "notes", **changes: Any) -> IndexedDocument:
    fields: dict[str, Any] = {
        "path": f"{agent}/{scope}/{name}.md",
        "agent": agent,
        "scope": scope,
        "name": name,
        "title": changes.pop("title", ""),
        "type": "project",
        "description": "",
        "tags": (),
        "body": body,
        "stamp": (1, len(body)),
        "day": "2026-11-01",
    }
    return IndexedDocument(**(fields | changes))


def search(index: Index, text: str, **options: Any) -> SearchResult:
    wanted: dict[str, Any] = {"agent": "ada", "scopes": ("notes",)} | options
    return index.search(text, **wanted)


def names(index: Index, text: str, **options: Any) -> list[str]:
    return [hit.name for hit in search(index, text, **options).hits]


def test_nothing_is_touched_before_the_first_use(tmp_path: Path) -> None:
    DocumentIndex(tmp_path / ".argosy" / "index.sqlite", clock=FakeClock()).close()
    assert list(tmp_path.iterdir()) == []


def test_a_document_comes_back_as_it_was_put(index: Index) -> None:
    document = note(
        "deploy",
        "Ｆｕｌｌ width, C++, 日本語, 🚀 and a lone \ufffd",
        title="Straße № 7",
        description="d\x1fd",
        tags=("a b", "ü"),
        expires="2027-01-01",
        pinned=True,
        hidden=True,
        extra='{"a": 1}',
    )
    index.put(document)
    assert index.get(document.path) == document
    assert index.get("ada/notes/other.md") is None


def test_a_later_put_replaces_the_earlier_in_every_field(index: Index) -> None:
    index.put(note("a", "first text"))
    second = note("a", "second words", type="feedback", scope="notes", title="T", day="2026-11-02", stamp=(2, 3))
    index.put(second)
    assert index.get(second.path) == second
    assert names(index, "first") == []
    assert names(index, "second") == ["a"]
    assert index.counts("ada") == {"notes": 1}


def test_what_is_beside_the_text_can_change_alone(index: Index) -> None:
    index.put(note("a", "text"))
    bumped = note("a", "text", day="2026-11-19", stamp=(9, 9), pinned=True, extra="{}", expires="2026-12-01")
    index.put(bumped)
    assert index.get(bumped.path) == bumped
    assert names(index, "text") == ["a"]


def test_of_two_documents_with_one_path_in_one_call_the_later_stays(index: Index) -> None:
    index.put(note("a", "early"), note("b", "other"), note("a", "late"))
    assert names(index, "late") == ["a"]
    assert names(index, "early") == []
    assert index.counts("ada") == {"notes": 2}


def test_a_removed_document_is_in_nothing(index: Index) -> None:
    index.put(note("a", "alpha"), note("b", "alpha"))
    index.remove("ada/notes/a.md", "ada/notes/never-there.md", "ada/notes/a.md")
    assert names(index, "alpha") == ["b"]
    assert index.get("ada/notes/a.md") is None
    assert index.stamps("ada", "notes") == {"ada/notes/b.md": (1, 5)}
    assert index.counts("ada") == {"notes": 1}
    assert [item.name for item in index.list(agent="ada", scope="notes").items] == ["b"]


def test_a_document_can_move_to_another_agent_and_scope(index: Index) -> None:
    index.put(note("a", "alpha", path="x.md"))
    index.put(note("a", "alpha", path="x.md", agent="bob", scope="wiki"))
    assert names(index, "alpha") == []
    assert names(index, "alpha", agent="bob", scopes=("wiki",)) == ["a"]
    assert index.counts("ada") == {"notes": 0}
    assert index.counts("bob") == {"wiki": 1}


def test_agents_and_scopes_do_not_see_each_other(index: Index) -> None:
    index.put(note("a", "alpha"), note("b", "alpha", agent="bob"), note("w", "alpha", scope="wiki"))
    assert names(index, "alpha") == ["a"]
    assert names(index, "alpha", agent="bob") == ["b"]
    assert sorted(names(index, "alpha", scopes=("notes", "wiki"))) == ["a", "w"]
    assert names(index, "alpha", scopes=("journal",)) == []
    assert names(index, "alpha", agent="nobody") == []
    assert index.counts("nobody") == {}
    assert index.stamps("nobody", "notes") == {}
    assert index.find_by_name("nobody", "notes", "a") == ()


def test_all_words_must_be_there_and_may_stand_apart(index: Index) -> None:
    index.put(
        note("both", "the worker drains its queue before a restart"),
        note("across", "about a restart", title="Worker"),
        *(note(f"one{n}", "worker") for n in range(9)),
    )
    result = search(index, "restart worker", limit=2)
    assert {hit.name for hit in result.hits} == {"both", "across"}
    assert (result.relaxed, result.truncated) == (False, False)


def test_a_title_weighs_more_than_a_description_and_that_more_than_a_body(index: Index) -> None:
    filler = [note(f"filler{n}", "nothing of it at all") for n in range(8)]
    index.put(
        note("body", "kubernetes is here", title="one two", description="three four"),
        note("description", "something is here", title="one two", description="kubernetes four"),
        note("title", "something is here", title="kubernetes two", description="three four"),
        *filler,
    )
    assert names(index, "kubernetes") == ["title", "description", "body"]


def test_of_two_equal_documents_the_fresher_comes_first(index: Index) -> None:
    index.put(note("new", "alpha beta", day="2026-11-19"), note("old", "alpha beta", day="2024-01-01"))
    assert names(index, "alpha", today="2026-11-20") == ["new", "old"]


def test_the_very_word_comes_before_its_other_forms(index: Index) -> None:
    index.put(
        note("form", "universities of the north", day="2026-11-19"),
        note("exact", "universe of the north", day="2026-11-19"),
        *(note(f"filler{n}", "nothing") for n in range(5)),
    )
    assert names(index, "universe")[0] == "exact"
    assert names(index, "universities")[0] == "form"


def test_word_forms_of_english_find_each_other(index: Index) -> None:
    index.put(note("a", "We deployed the runner; it was running twice."))
    assert names(index, "deploying runs") == ["a"]


def test_too_few_finds_are_filled_up_with_documents_that_hold_the_rarer_words(index: Index) -> None:
    index.put(
        note("all", "migrate the billing database"),
        note("most", "the billing schedule"),
        *(note(f"other{n}", "the weather is fine") for n in range(20)),
    )
    result = search(index, "how do I migrate the billing database", limit=5)
    assert [hit.name for hit in result.hits[:2]] == ["all", "most"]
    assert result.relaxed
    assert not search(index, "billing migrate", limit=1).relaxed


def test_a_missing_word_does_not_hide_the_rest(index: Index) -> None:
    index.put(note("a", "payments settle at night"), note("b", "payments"))
    result = search(index, "payments settle zyzzyva")
    assert [hit.name for hit in result.hits] == ["a", "b"]
    assert result.relaxed


def test_a_phrase_stands_together_unless_nothing_else_is_left(index: Index) -> None:
    index.put(note("phrase", "the payment worker sleeps"), note("apart", "the worker of each payment"))
    assert names(index, '"payment worker"', limit=1) == ["phrase"]
    assert names(index, '"payment worker"') == ["phrase", "apart"]
    assert search(index, '"payment worker"').relaxed


def test_a_star_finds_beginnings_of_three_letters_or_more(index: Index) -> None:
    index.put(note("a", "kubernetes"), note("b", "kubectl"), note("c", "other"))
    assert sorted(names(index, "kub*")) == ["a", "b"]
    assert names(index, "ku*") == []


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("東京で日本語を勉強しています", "日本語"),
        ("東京で日本語を勉強しています", "勉強"),
        ("東京で日本語を勉強しています", "語"),
        ("東京で日本語を勉強しています", "す"),
        ("東京で日本語を勉強しています", "東京 勉強"),
        ("我们在北京开会", "北京"),
        ("학교에서 공부한다", "학교"),
        ("ภาษาไทยไม่มีช่องว่าง", "ไทย"),
        ("हिन्दी में लिखा", "हिन्दी"),
        ("Привет, мир", "ПРИВЕТ"),
        ("Ёлка", "елка"),
        ("Αθήνα", "αθηνα"),
        ("مَدْرَسَة كبيرة", "مدرسة"),
        ("שָׁלוֹם עולם", "שלום"),
        ("résumé naïve", "resume naive"),
        ("Große Straße", "grosse strasse"),
        ("Łódź", "lodz"),
        ("Ｐｙｔｈｏｎ入門", "python 入門"),
        ("launch 🚀 today", "🚀"),
        ("well done 👍🏽", "👍"),
        ("dev 👩‍💻 life", "👩‍💻"),
        ("ship it ❤️", "❤"),
        ("I like C++ and Rust", "C++"),
        ("a C# service", "c#"),
        ("state-of-the-art auth_flow", "auth_flow"),
        ("see https://example.com/a/b?x=1", "example.com/a/b"),
        ("version 3.11.7 of it", "3.11"),
        ("don’t panic", "don’t"),
        ("Ａ１ café\u0301", "a1"),
    ],
)
def test_any_script_is_found(index: Index, text: str, query: str) -> None:
    index.put(note("it", text), note("other", "unrelated text"))
    result = search(index, query)
    assert [hit.name for hit in result.hits] == ["it"]
    assert not result.relaxed or " " in query


def test_c_and_its_relatives_are_three_languages(index: Index) -> None:
    index.put(note("1", "C is small"), note("2", "C++ is large"), note("3", "C# is sharp"))
    assert (names(index, "C"), names(index, "C++"), names(index, "C#")) == (["1"], ["2"], ["3"])


def test_a_name_is_found_by_its_words(index: Index) -> None:
    index.put(note("project_auth_flow", "text", title="Sign-in"), note("project_other", "text"))
    assert names(index, "auth flow") == ["project_auth_flow"]
    assert names(index, "project_auth_flow", limit=1) == ["project_auth_flow"]


@pytest.mark.parametrize("text", ["", "   ", '"', '""', "*", "?!…", "\x00", "\ud800", "( ) : ^ -", "AND" * 0])
def test_a_query_without_words_finds_nothing(index: Index, text: str) -> None:
    index.put(note("a", "text"))
    assert search(index, text) == SearchResult(())


@pytest.mark.parametrize(
    "text", ["alpha OR", "NOT alpha", "NEAR(alpha)", "title:alpha", "-alpha", "alpha^2", '"alpha', "{a b}: alpha"]
)
def test_operators_of_the_engine_are_only_text(index: Index, text: str) -> None:
    index.put(note("a", "alpha"))
    assert names(index, text) == ["a"]


def test_hidden_and_expired_documents_are_found_only_when_asked_for(index: Index) -> None:
    index.put(
        note("shown", "alpha"),
        note("archived", "alpha", hidden=True),
        note("expired", "alpha", expires="2026-11-19"),
        note("lasting", "alpha", expires="2026-11-20"),
    )
    assert sorted(names(index, "alpha")) == ["lasting", "shown"]
    assert sorted(names(index, "alpha", today="2026-11-19")) == ["expired", "lasting", "shown"]
    everything = search(index, "alpha", include_hidden=True)
    assert {hit.name: hit.hidden for hit in everything.hits}["archived"]
    assert len(everything.hits) == 4


def test_hiding_and_showing_again_is_a_put(index: Index) -> None:
    for hidden in (False, True, False):
        index.put(note("a", "alpha", hidden=hidden))
        assert names(index, "alpha") == ([] if hidden else ["a"])
    assert index.counts("ada") == {"notes": 1}


def test_filters_take_any_of_the_types_and_all_of_the_tags(index: Index) -> None:
    index.put(
        note("1", "alpha", type="feedback", tags=("Ops", "big plan")),
        note("2", "alpha", type="user", tags=("ops",)),
        note("3", "alpha", type="project"),
        note("4", "alpha", type="feedback_more", tags=("big", "plan")),
    )
    assert sorted(names(index, "alpha", types=("feedback", "user"))) == ["1", "2"]
    assert sorted(names(index, "alpha", tags=("ops",))) == ["1", "2"]
    assert names(index, "alpha", tags=("ops", "BIG PLAN")) == ["1"]
    assert names(index, "alpha", types=("user",), tags=("big plan",)) == []


def test_filters_and_hidden_documents_never_crowd_out_what_passes(index: Index) -> None:
    many = [note(f"m{n}", "common words here", expires="2026-01-01") for n in range(1_200)]
    archived = [note(f"h{n}", "common words here", hidden=True) for n in range(1_200)]
    index.put(note("it", "common words here"), *many, *archived)
    assert names(index, "common words") == ["it"]


def test_a_title_is_found_among_more_matches_than_are_scored(index: Index) -> None:
    index.put(note("it", "common words here and there", title="Common words"))
    index.put(*(note(f"m{n}", "common words here", title=f"Number {n}") for n in range(1_500)))
    result = search(index, "common words")
    assert result.hits[0].name == "it"
    assert result.truncated


def test_more_matches_than_the_limit_are_said_to_be_more(index: Index) -> None:
    index.put(*(note(f"n{n}", "alpha") for n in range(4)))
    assert not search(index, "alpha", limit=4).truncated
    assert search(index, "alpha", limit=3).truncated
    assert search(index, "alpha", limit=0).hits == ()


def test_a_hit_shows_where_and_why_it_matched(index: Index) -> None:
    body = "filler words " * 40 + "then the **bold** worker drains\nits queue " + "more filler " * 40
    index.put(note("a", body, title="Draining", description="about it", tags=("t",), extra='{"x":1}'))
    (hit,) = search(index, "draining worker queue").hits
    assert "the bold **worker** **drains** its **queue**" in hit.snippet
    assert len(hit.snippet) <= 200
    assert hit.snippet.startswith("…")
    assert hit.snippet.endswith("…")
    assert hit.why == "title: draining; body: worker, queue"
    assert (hit.scope, hit.type, hit.extra, hit.day, hit.tags) == ("notes", "project", '{"x":1}', "2026-11-01", ("t",))
    assert hit.score > 0


def test_a_match_only_in_the_title_shows_how_the_body_begins(index: Index) -> None:
    index.put(note("a", "The body begins here.", title="Zebra"))
    (hit,) = search(index, "zebra").hits
    assert hit.snippet == "The body begins here."


def test_a_listing_goes_by_day_then_path_and_pages_without_gap_or_repeat(index: Index) -> None:
    index.put(*(note(f"n{n:02}", day=f"2026-11-{10 + n // 3:02}") for n in range(12)))
    seen: list[str] = []
    cursor: str | None = None
    while True:
        page = index.list(agent="ada", scope="notes", limit=5, cursor=cursor)
        seen += [item.name for item in page.items]
        index.put(note(f"late{len(seen)}", day="2026-11-30"))
        if (cursor := page.next_cursor) is None:
            break
    assert seen == ["n09", "n10", "n11", "n06", "n07", "n08", "n03", "n04", "n05", "n00", "n01", "n02"]


def test_a_listing_takes_filters(index: Index) -> None:
    index.put(
        note("pinned", pinned=True, tags=("x",), day="2026-11-03"),
        note("hidden", hidden=True, day="2026-11-02"),
        note("typed", type="user", tags=("X", "y"), day="2026-11-01"),
    )

    def listed(**options: Any) -> list[str]:
        return [item.name for item in index.list(agent="ada", scope="notes", **options).items]

    assert listed() == ["pinned", "typed"]
    assert listed(hidden=None) == ["pinned", "hidden", "typed"]
    assert listed(hidden=True) == ["hidden"]
    assert listed(pinned=True) == ["pinned"]
    assert listed(pinned=False) == ["typed"]
    assert listed(types=("user", "none")) == ["typed"]
    assert listed(tags=("x",)) == ["pinned", "typed"]
    assert listed(tags=("x", "y")) == ["typed"]
    assert listed(before_day="2026-11-03") == ["typed"]
    assert listed(before_day="2026-11-03", hidden=None, limit=1) == ["hidden"]


@pytest.mark.parametrize("cursor", ["", "x", "bm9uZQ==", "WzEsMl0=", "eyJhIjoxfQ==", "é", "\ud800"])
def test_a_cursor_of_something_else_is_refused(index: Index, cursor: str) -> None:
    with pytest.raises(InvalidArgument):
        index.list(agent="ada", scope="notes", cursor=cursor)


def test_a_name_may_stand_in_several_folders(index: Index) -> None:
    index.put(
        note("a", path="ada/wiki/x/a.md", scope="wiki"), note("a", path="ada/wiki/a.md", scope="wiki", hidden=True)
    )
    assert [entry.path for entry in index.find_by_name("ada", "wiki", "a")] == ["ada/wiki/a.md", "ada/wiki/x/a.md"]
    assert index.find_by_name("ada", "wiki", "b") == ()


def test_text_that_utf8_cannot_hold_is_mended_and_a_path_refused(index: Index) -> None:
    index.put(note("a", "broken \udcff text", title="t\ud800"))
    found = index.get("ada/notes/a.md")
    assert found is not None
    assert (found.body, found.title) == ("broken \ufffd text", "t\ufffd")
    with pytest.raises(InvalidArgument):
        index.put(note("a", path="ada/notes/\udcff.md"))


def test_tidying_changes_nothing_that_is_found(index: Index) -> None:
    for n in range(30):
        index.put(note(f"n{n}", f"alpha word{n}"))
    before = names(index, "alpha", limit=50)
    for whole in (False, True):
        index.tidy("ada", whole=whole)
        assert names(index, "alpha", limit=50) == before
    index.tidy("nobody")


def test_a_closed_index_says_so(index: Index) -> None:
    index.put(note("a", "alpha"))
    index.close()
    index.close()
    with pytest.raises(Unavailable):
        index.search("alpha", agent="ada", scopes=("notes",))


def test_a_search_over_many_matches_is_bounded_in_time(index: Index) -> None:
    index.put(*(note(f"n{n}", f"every note says the same thing {n}") for n in range(5_000)))
    search(index, "every note")
    start = time.perf_counter()
    search(index, "every note says the same thing")
    search(index, "every thing missing")
    assert time.perf_counter() - start < 0.5
