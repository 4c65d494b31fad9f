"""The offline model writes only what it is asked to write, and passes on what came of it."""

from __future__ import annotations

from typing import Any

import pytest
from offline_vault import TOOLS, Arguments, Vault, converse

from argosy_host.providers.base import Citation
from argosy_host.providers.offline.capture import find_capture, title_of

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("task", "body"),
    [
        ("Remember that the gate code is 4411.", "the gate code is 4411."),
        ("please remember: the gate sticks", "the gate sticks"),
        ("Remember my sister's name is Ana", "my sister's name is Ana"),
        ("Note that the hose leaks", "the hose leaks"),
        ("Don't forget that frost comes early", "frost comes early"),
        ("Save a note: the hose leaks", "the hose leaks"),
        ("save a note the hose leaks", "the hose leaks"),
        ("Make a note: call Bob", "call Bob"),
        ("make a note that “quoted” words stay", "“quoted” words stay"),
        ("Make a note of the new address: 5 Mill Lane", "5 Mill Lane"),
        ('Remember this: "the shed is green"', "the shed is green"),
        ("Запомни, что калитка синяя", "калитка синяя"),
        ("門は青いと覚えておいて。", "門は青い"),
        ("覚えておいて：門は青い", "門は青い"),
    ],
)
def test_what_is_to_be_remembered_is_kept_word_for_word(task: str, body: str) -> None:
    capture = find_capture(task)
    assert capture
    assert (capture.tool, capture.body) == ("memory_write", body)


@pytest.mark.parametrize(
    ("task", "body"),
    [
        ("Add to the journal: the hedge was cut", "the hedge was cut"),
        ("add to my journal that the hedge was cut", "the hedge was cut"),
        ("Journal: the hedge was cut", "the hedge was cut"),
        ('Add "the hedge was cut" to the journal.', "the hedge was cut"),
        ("Запиши в дневник: живая изгородь подстрижена", "живая изгородь подстрижена"),
    ],
)
def test_what_belongs_in_the_journal_goes_there(task: str, body: str) -> None:
    capture = find_capture(task)
    assert capture
    assert (capture.tool, capture.body) == ("journal_append", body)


@pytest.mark.parametrize(
    "task",
    [
        "What do I remember about the gate?",
        "Do you remember that time in Rome?",
        "Remember that time in Rome?",
        "Remember what Bob said",
        "I remember that the gate sticks",
        "Summarise this page:\nRemember that the gate sticks",
        "What do my notes say about hoses?",
        "Write a reference letter for Bob",
        "Create a project plan for the pond",
        "Write a note to Bob about the pond",
        "Make a decision about the pond",
        "What is in the journal about the pond?",
        "Write up what is in the journal",
        "Write a summary of what happened in my journal",
        "Remember that",
        "note that ...",
        "何を覚えていますか",
    ],
)
def test_what_only_sounds_like_it_is_no_request_to_write(task: str) -> None:
    assert find_capture(task) is None


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("Remember that we decided to keep the hedge", "decision"),
        ("Remember that I prefer short lists", "feedback"),
        ("Remember that the pond project starts in May", "project"),
        ("Remember that my hands are bad in the cold", "user"),
        ("Remember that the gate code is 4411", "reference"),
        ("Save a decision: the hedge stays", "decision"),
        ("Save a feedback note: shorter, please", "feedback"),
    ],
)
async def test_the_type_of_a_note_follows_from_simple_cues(said: str, kind: str) -> None:
    told = await converse(said)
    assert [call.name for call in told.calls] == ["memory_write"]
    assert told.calls[0].arguments["type"] == kind


async def test_a_note_is_written_with_title_body_and_source() -> None:
    told = await converse("Remember that the gate code is 4411. It changes in May.")
    assert told.calls[0].arguments == {
        "type": "reference",
        "title": "the gate code is 4411",
        "body": "the gate code is 4411. It changes in May.",
        "sources": ["conversation"],
    }
    assert told.reply.text.startswith("Saved: the gate code is 4411 [reference_saved]")
    assert told.reply.citations == (Citation("reference_saved", "memory://note/reference_saved"),)


async def test_a_journal_entry_is_added_and_named_by_its_day() -> None:
    told = await converse("Add to the journal: the hedge was cut")
    assert told.calls[0].arguments == {"text": "the hedge was cut"}
    assert told.reply.text.startswith("Added to the journal: the hedge was cut [journal/2026-11-15]")


async def test_what_is_there_already_is_not_said_to_be_saved() -> None:
    class Full(Vault):
        def memory_write(self, arguments: Arguments) -> dict[str, Any]:
            return super().memory_write(arguments) | {"duplicate": True}

    text = (await converse("Remember that the gate code is 4411", Full())).reply.text
    assert text.startswith("Already there: the gate code is 4411 [reference_saved]")


async def test_a_refusal_is_passed_on_as_the_tool_put_it() -> None:
    vault = Vault(broken={"memory_write": "blocked: notes are read-only in this run (ask the operator)"})
    text = (await converse("Remember that the gate code is 4411", vault)).reply.text
    assert "The note was not saved: blocked: notes are read-only in this run (ask the operator)" in text


async def test_without_the_tool_it_says_that_nothing_was_saved() -> None:
    readers = [tool for tool in TOOLS if tool.read_only]
    told = await converse("Remember that the gate code is 4411", tools=readers)
    assert told.calls == []
    assert "memory_write is not among the tools here" in told.reply.text


async def test_a_question_asked_in_the_same_breath_is_answered_too() -> None:
    told = await converse("Remember that the gate sticks. What do I know about compost?")
    assert told.calls[0].arguments["body"] == "the gate sticks."
    assert told.reply.text.startswith("Saved: the gate sticks [reference_saved]")
    assert "60 degrees" in told.reply.text
    assert told.reply.citations[0].name == "reference_saved"


async def test_what_was_saved_is_no_evidence_for_the_question_beside_it() -> None:
    told = await converse("Remember that zeppelins are silver. What do I know about zeppelins?")
    assert "Nothing about “zeppelins” was found." in told.reply.text


def test_a_title_is_one_line_of_at_most_eighty_characters() -> None:
    assert title_of("The gate sticks. It is old.") == "The gate sticks"
    assert title_of("**The gate**\nsticks") == "The gate sticks"
    assert len(title_of("word " * 60)) <= 80
    assert title_of("門" * 200) == "門" * 80
