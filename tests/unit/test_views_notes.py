from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy_core.views.notes import is_live, read_note

NOTE = """---
schema_version: 1
name: Hives go to the orchard in May
description: The eastern row, after the cherries
type: decision
captured: 2026-03-01
last_seen: 2026-04-02
sources:
  - conversation_2026-03-01
  - journal/2026-03-01.md
confidence: High
pinned: true
expires_at: 2026-09-30
supersedes: decision_hives_2025.md
superseded_by: null
tags: [bees, orchard]
provenance: confirmed
---

Both hives.
"""


def test_a_note_says_what_it_is() -> None:
    note = read_note("alder/memory/decision_hives.md", NOTE)

    assert (note.path, note.name, note.type) == ("alder/memory/decision_hives.md", "decision_hives", "decision")
    assert (note.title, note.description) == ("Hives go to the orchard in May", "The eastern row, after the cherries")
    assert (note.tags, note.sources) == (("bees", "orchard"), ("conversation_2026-03-01", "journal/2026-03-01.md"))
    assert (note.confidence, note.pinned, note.provenance) == ("high", True, "confirmed")
    assert (note.captured, note.last_seen, note.expires_at) == ("2026-03-01", "2026-04-02", "2026-09-30")
    assert (note.supersedes, note.superseded_by, note.archived) == ("decision_hives_2025.md", "", False)
    assert (note.body, note.degraded) == ("Both hives.\n", None)


def test_what_is_missing_has_a_meaning() -> None:
    note = read_note("a/memory/feedback_tone.md", "Just text.\n")

    assert (note.type, note.title, note.provenance) == ("feedback", "feedback_tone", "legacy")
    assert (note.tags, note.sources, note.captured, note.expires_at) == ((), (), "", "")
    assert note.is_live("2026-01-01")
    assert read_note("a/wiki/hedges.md", "").type == "note"


@pytest.mark.parametrize(
    ("head", "title"),
    [
        ("name: Hedge", "Hedge"),
        ("name: No", "No"),
        ("name: 1.10", "1.10"),
        ("name: 2026 # the year", "2026"),
        ("name:", "First heading"),
        ("name: [a]", "First heading"),
        ("name: a: b", "a: b"),
    ],
)
def test_the_title_is_the_name_as_written_else_the_first_heading(head: str, title: str) -> None:
    assert read_note("x.md", f"---\n{head}\n---\n\n# First heading\n\ntext\n").title == title


def test_words_for_truth_and_lists_in_one_line_are_understood() -> None:
    note = read_note("x.md", "---\npinned: 'yes'\narchived: no\ntags: bees, orchard\nsources: a, b.md\n---\n")

    assert (note.pinned, note.archived, note.tags, note.sources) == (True, False, ("bees", "orchard"), ("a, b.md",))


@pytest.mark.parametrize(
    ("head", "live"),
    [
        ("expires_at: 2026-05-01", True),
        ("expires_at: 2026-05-02", True),
        ("expires_at: 2026-04-30", False),
        ("expires_at: 2026-04-30T23:00:00Z", False),
        ("expires_at: null", True),
        ("archived: true", False),
        ("superseded_by: decision_new.md", False),
        ("provenance: disputed", False),
        ("provenance: superseded", False),
        ("provenance: Disputed", False),
        ("provenance: inferred", True),
        ("a: b: c\narchived: true", False),
    ],
)
def test_a_note_leaves_recall_when_archived_superseded_disputed_or_past_its_day(head: str, live: bool) -> None:
    note = read_note("x.md", f"---\n{head}\n---\ntext\n")

    assert note.is_live("2026-05-01") is live
    assert is_live(note, date(2026, 5, 1)) is live


@pytest.mark.parametrize(
    ("head", "reason"),
    [
        (
            "type: user\ndescription: Agreed: yes",
            'line 3: unexpected ": " (a value that holds it must stand in quotes)',
        ),
        ("type: user\nexpires_at: next month", "line 3: expires_at is not a date like 2026-03-01"),
        ("type: user\nexpires_at: 2026-02-30", "line 3: expires_at is not a date like 2026-03-01"),
        ("type: user\npinned: maybe", "line 3: pinned is neither true nor false"),
    ],
)
def test_what_cannot_be_read_of_a_note_is_named_with_its_line(head: str, reason: str) -> None:
    assert read_note("x.md", f"---\n{head}\n---\ntext\n").degraded == reason


@given(st.text() | st.lists(st.sampled_from(NOTE.splitlines()), max_size=12).map("\n".join))
def test_any_text_is_a_note(text: str) -> None:
    note = read_note("a/memory/user_x.md", text)

    assert note.title
    assert note.is_live("2026-01-01") in (True, False)
    assert note.provenance
