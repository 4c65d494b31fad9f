"""The rules of notes, captures, likeness and lint, without a server."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from argosy_core.errors import ArgosyError
from argosy_core.types import Caller, Role
from argosy_core.views.notes import read_note
from argosy_memory.capture import blocks_in, draft_in
from argosy_memory.likeness import SKETCH, Sketch, alike, likeness, similar_titles, sketch_of
from argosy_memory.lint import KINDS, Fact, examine, read_body
from argosy_memory.notes import Draft, check_draft, describe, described_anew, merged_page, new_note, replaced_page
from argosy_memory.recall import BYTES_PER_TOKEN, Candidate, assemble, tokens_of

AGENT = Caller(agent="ada", role=Role.AGENT, source="flag")
OPERATOR = Caller(agent="ada", role=Role.OPERATOR, source="flag")
TODAY = "2026-11-20"
words = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=60)
bodies = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=300)
lists = st.none() | st.lists(words, max_size=4).map(tuple)
drafts = st.builds(
    Draft,
    type=st.sampled_from(["user", "decision"]),
    title=words,
    body=bodies,
    description=st.none() | words,
    tags=lists,
    sources=lists,
    confidence=st.none() | st.sampled_from(["high", "low"]),
    pinned=st.none() | st.booleans(),
    expires_at=st.none() | st.just("2027-01-31"),
)


def checked(draft: Draft) -> Draft | None:
    try:
        return check_draft(draft)
    except ArgosyError:
        return None


@settings(max_examples=200)
@given(drafts, st.sampled_from([AGENT, OPERATOR]), st.none() | st.just("user_old.md"))
def test_a_new_note_is_read_back_as_it_was_said_to_be(draft: Draft, caller: Caller, supersedes: str | None) -> None:
    if (sound := checked(draft)) is None:
        return
    path = "ada/memory/user_x.md"
    text, view = new_note(path, sound, caller, TODAY, supersedes)

    assert read_note(path, text) == view


@settings(max_examples=100)
@given(drafts, drafts)
def test_a_change_keeps_or_replaces_the_body_and_never_lets_an_agent_keep_a_persons_word(a: Draft, b: Draft) -> None:
    one, other = checked(a), checked(b)
    if one is None or other is None:
        return
    path = "ada/memory/user_x.md"
    text, view = new_note(path, one, OPERATOR, TODAY, None)
    merged = read_note(path, merged_page(text, view, other, AGENT, TODAY))
    replaced = read_note(path, replaced_page(text, view, other, AGENT, TODAY, None))
    by_owner = read_note(path, replaced_page(text, view, other, OPERATOR, TODAY, None))

    assert view.provenance == "confirmed" == by_owner.provenance
    assert "confirmed" not in (merged.provenance, replaced.provenance)
    assert one.body in merged.body and merged.body.rstrip().endswith(other.body.rstrip())
    assert replaced.body.strip() == other.body.strip() and set(view.sources) <= set(merged.sources)


def test_a_description_follows_the_text_it_was_made_of_and_no_other() -> None:
    _, made = new_note("ada/memory/user_x.md", _draft(body="# Head\n\nFirst. Second."), AGENT, TODAY, None)
    _, given_ = new_note("ada/memory/user_x.md", _draft(description="Mine."), AGENT, TODAY, None)

    assert made.description == "First." == describe(made.body)
    assert described_anew(made, "Other. More.") == {"description": "Other."} and described_anew(given_, "Other.") == {}


def _draft(**changes: Any) -> Draft:
    fields: dict[str, Any] = {
        "type": "user", "title": "X", "body": "Body.", "description": None, "tags": None, "sources": None,
        "confidence": None, "pinned": None, "expires_at": None,
    }  # fmt: skip
    return Draft(**(fields | changes))


# Captures


@given(st.text(alphabet='`~ac{}":\n_tomicpure', max_size=400))
def test_any_text_gives_blocks_that_land_or_say_why(text: str) -> None:
    for block in blocks_in(text):
        assert "atomic_capture" in text.splitlines()[block.line - 1]
        try:
            draft_in(block)
        except ArgosyError as error:
            assert error.message


# Recall


@given(st.lists(st.tuples(st.booleans(), bodies), max_size=12), st.integers(100, 2_000))
def test_a_recalled_text_never_costs_more_than_its_budget(notes: list[tuple[bool, str]], budget: int) -> None:
    candidates = [
        Candidate(f"n{at}", f"N {at}", "user", "legacy", TODAY, TODAY, body * 20, "pinned" if pinned else "recent")
        for at, (pinned, body) in enumerate(notes)
    ]
    made = assemble(candidates, budget)

    assert tokens_of(made.text) == made.used_tokens <= budget
    assert [name for name, _ in made.chosen] == [c.name for c in candidates if f"[{c.name}]" in made.text]


def test_pinned_notes_leave_half_of_the_budget_to_the_task() -> None:
    long = "Word and word. " * 400
    pinned = [Candidate(f"p{n}", "P", "user", "legacy", TODAY, TODAY, long, "pinned") for n in range(5)]
    about = Candidate("about", "A", "user", "legacy", TODAY, TODAY, long, "matches: title: a")
    made = assemble([*pinned, about], 1_000)

    assert [name for name, _ in made.chosen] == ["p0", "about"]
    assert made.text.index("[about]") <= 0.55 * 1_000 * BYTES_PER_TOKEN


# Likeness and lint


def test_likeness_is_near_the_share_of_common_triples() -> None:
    chance = random.Random(3)
    text = [f"w{chance.randrange(5_000)}" for _ in range(400)]
    half = [*text[:200], *(f"v{n}" for n in range(200))]

    assert likeness(sketch_of(" ".join(text)), sketch_of(" ".join(text))) == 1.0
    assert 0.1 <= likeness(sketch_of(" ".join(text)), sketch_of(" ".join(half))) <= 0.6  # a third, and 24 samples
    assert likeness(sketch_of("one two three"), sketch_of("four five six")) == 0.0
    assert len(sketch_of(" ".join(text))) == SKETCH and sketch_of("") == () and sketch_of("one") != sketch_of("two")


def test_titles_of_the_same_words_or_with_a_slip_are_near_and_series_are_not() -> None:
    titles = {
        "a": "Bell rope renewal", "b": "Renewal: bell rope", "c": "Bell rope renewl", "d": "Job number 1",
        "e": "Job number 2", "f": "Something else", "g": "日本の灯台について", "h": "日本の灯台につい",
    }  # fmt: skip
    assert set(similar_titles(titles)) == {("a", "b"), ("a", "c"), ("g", "h")}


def fact(number: int, body: str, title: str = "", **changes: Any) -> Fact:
    numbers, negations, sketch = read_body(body)
    fields: dict[str, Any] = {
        "name": f"user_{number:05}", "title": title or f"Title {number}", "type": "user", "day": TODAY,
        "captured": TODAY, "expires": "", "pinned": False, "hidden": False, "confidence": "medium",
        "provenance": "observed", "sources": ("letter",), "supersedes": "", "superseded_by": "", "degraded": None,
        "drift": (), "numbers": numbers, "negations": negations, "sketch": sketch,
    }  # fmt: skip
    return Fact(**(fields | changes))


def kinds(*facts: Fact) -> list[tuple[str, ...]]:
    return [(finding.kind, *finding.names) for finding in examine(facts, TODAY)]


def test_notes_that_say_the_same_with_other_numbers_contradict_and_with_the_same_repeat() -> None:
    text = "The lens of the north tower is cleaned with spirit and soft linen every"
    one = fact(1, f"{text} 14 days.", "Care of the lens")
    assert kinds(one, fact(2, f"{text} 21 days.", "Lens cleaning")) == [("contradiction", "user_00001", "user_00002")]
    assert kinds(one, fact(2, f"{text} 14 days now.", "Lens cleaning")) == [("duplicate", "user_00001", "user_00002")]
    assert kinds(one, fact(2, f"{text} 21 days.", "Lens cleaning", hidden=True)) == []
    assert kinds(fact(1, f"{text} 1.", "Job 1"), fact(2, f"{text} 2.", "Job 2")) == []


@pytest.mark.parametrize(
    ("older", "newer", "asks_a_person"),
    [
        ({}, {}, False),
        ({"confidence": "high"}, {"confidence": "low"}, True),
        ({}, {"sources": ("observation",)}, True),
    ],
)
def test_the_newer_note_wins_unless_that_is_doubtful(
    older: dict[str, Any], newer: dict[str, Any], asks_a_person: bool
) -> None:
    text = "The lens of the north tower is cleaned with spirit and soft linen every"
    pair = fact(2, f"{text} 14 days.", "Care", captured="2026-01-01", **older), fact(1, f"{text} 9.", "Lens", **newer)
    [finding] = [each for each in examine(pair, TODAY) if each.kind == "contradiction"]

    assert finding.names == ("user_00002", "user_00001")
    assert ("a person" in finding.fix) is asks_a_person


def test_two_notes_of_one_subject_from_one_source_are_looked_at() -> None:
    one, other = fact(1, "It is red.", "Colour of the bell tower"), fact(2, "It was blue.", "Bell tower paint")
    assert ("contradiction", "user_00001", "user_00002") in kinds(one, other)


def test_lint_compares_no_more_pairs_than_there_are_notes(monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(5)
    vocabulary = [f"word{n}" for n in range(300)]
    facts = [
        fact(n, " ".join(chance.choices(vocabulary, k=30)), " ".join(chance.choices(vocabulary, k=4)))
        for n in range(1_500)
    ]
    compared: list[int] = []

    def counted(one: Sketch, other: Sketch) -> float:
        compared.append(1)
        return likeness(one, other)

    monkeypatch.setattr("argosy_memory.likeness.likeness", counted)

    assert all(each.kind in KINDS for each in examine(facts, TODAY))
    assert 0 < len(compared) <= len(facts)


def test_texts_that_all_share_a_phrase_are_not_compared_each_with_each() -> None:
    boiler = "this is the same beginning of every note that was ever written here "
    sketches = {f"n{n}": sketch_of(boiler + f"unique{n} tail{n} end{n} of{n} it{n}") for n in range(2_000)}
    assert len(list(alike(sketches, 0.2))) <= 2_000
