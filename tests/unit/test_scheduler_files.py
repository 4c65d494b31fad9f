"""Trigger files as people write them, globs, and what a draft makes of a file."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy_core.canonical import sha256_hex
from argosy_core.errors import ArgosyError, Corrupted, InvalidArgument
from argosy_core.frontmatter import parse
from argosy_core.storage.base import Content
from argosy_scheduler.drafts import draft_trigger
from argosy_scheduler.firing import Firing, key_of
from argosy_scheduler.globs import check_glob
from argosy_scheduler.trigger_file import Trigger, name_of, read_trigger
from argosy_scheduler.when import Cron, Every, OnEvent, Watch


def read(text: str | bytes, name: str = "t") -> Trigger:
    data = text.encode() if isinstance(text, str) else text
    return read_trigger(Content(f"_fleet/triggers/{name}.md", data, sha256_hex(data), (0, len(data))))


def test_a_file_as_a_person_writes_it() -> None:
    trigger = read(
        "---\n# weekdays\ncron: 0 7 * * 1-5\ntimezone: Europe/Berlin\nagent: harbor\ntags: [a]\n---\n\n\nDo *it*.\n\n"
    )
    assert isinstance(trigger.when, Cron) and trigger.when.expression == "0 7 * * 1-5"
    assert (trigger.name, trigger.task, trigger.misfire, trigger.enabled) == ("t", "Do *it*.", "skip", True)
    assert (trigger.creator, trigger.jitter_s, trigger.target.queue) == (None, 0, "runs")


def test_short_forms_of_files_and_events_are_read() -> None:
    assert isinstance(read("---\nwatch: inbox/*.md\nqueue: grind\n---\n").when, Watch)
    assert isinstance(read("---\nwatch:\n  glob: inbox/*.md\nqueue: grind\n---\n").when, Watch)
    assert read("---\nevent: goal.moved\nagent: a\n---\n").when == OnEvent("goal.moved")


def test_steps_without_a_beginning_fall_on_even_times() -> None:
    when = read("---\nevery_s: 3600\nagent: a\n---\n").when
    assert isinstance(when, Every)
    assert next(when.slots(datetime(2026, 5, 1, 10, 20, tzinfo=UTC))) == datetime(2026, 5, 1, 11, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "line", "named"),
    [
        ("", 1, "nothing is given"),
        ("no head at all", 1, "nothing is given"),
        ("---\nagent: a\n\ncron: 0 7 * *\n---\n", 4, "five fields"),
        ("---\ncron: 0 7 * * *\nevery_s: 5\nagent: a\n---\n", 3, "both cron and every_s"),
        ("---\ncron: 0 7 * * *\n---\n", 1, "not one agent or one queue"),
        ("---\ncron: 0 7 * * *\nagent: a\nqueue: b\n---\n", 4, "not one agent or one queue"),
        ("---\ncron: 0 7 * * *\nagent: [a]\n---\n", 3, "agent is not a name"),
        ("---\ncron: 0 7 * * *\nqueue: Big Queue\n---\n", 3, "no queue's name"),
        ("---\ncron: 0 7 * * *\nqueue: runs\n---\n", 3, "holds runs of agents"),
        ("---\ncron: 0 7 * * *\nagent: a\ntimezone: Berlin\n---\n", 4, "no time zone"),
        ("---\ncron: 0 7 * * *\nagent: a\ntimezone: 5\n---\n", 4, "not text"),
        ("---\ncron: 0 7 * * *\nagent: a\nmisfire: later\n---\n", 4, "not a policy"),
        ("---\ncron: 0 7 * * *\nagent: a\njitter_s: soon\n---\n", 4, "no number of seconds"),
        ("---\ncron: 0 7 * * *\nagent: a\nenabled: maybe\n---\n", 4, "neither true nor false"),
        ("---\nevery_s: 5\nagent: a\ncreated: long ago\n---\n", 4, "created is no time"),
        ("---\nevery_s: 5\nagent: a\ncreator: [a]\n---\n", 4, "creator is not text"),
        ("---\ncron: * * * * *\nagent: a\n---\n", 2, "in quotes"),
        ("---\ncron: 0 7 * * *\nagent: 'a\n---\n", 3, "never closed"),
        (b"---\ncron: 0 7 * * *\nagent: \xff\n---\n", 3, "not UTF-8"),
    ],
)
def test_what_is_wrong_in_a_file_is_named_with_its_line(text: str | bytes, line: int, named: str) -> None:
    with pytest.raises(Corrupted) as caught:
        read(text)
    assert caught.value.detail["line"] == line and named in str(caught.value)
    assert f"_fleet/triggers/t.md line {line}: " in caught.value.message and caught.value.hint


def test_a_name_that_no_key_can_hold_is_refused() -> None:
    with pytest.raises(Corrupted):
        read("---\nevery_s: 5\nagent: a\n---\n", "x" * 101)
    firing = Firing(datetime(2026, 5, 1, tzinfo=UTC), datetime(2026, 5, 1, tzinfo=UTC), subject="s" * 5000)
    assert len(key_of("x" * 100, firing)) <= 200


@given(st.text(max_size=300))
def test_any_text_is_a_trigger_or_a_named_mistake(text: str) -> None:
    for whole in (text, f"---\n{text}\n---\n", f"---\ncron: {text}\nagent: a\n---\n"):
        try:
            read(whole.encode("utf-8", "replace"))
        except ArgosyError as error:
            assert error.code == "corrupted" and error.hint


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("_fleet/triggers/a.md", "a"),
        ("_fleet/triggers/README.md", None),
        ("_fleet/triggers/.archive/a.md", None),
        ("_fleet/triggers/a.txt", None),
        ("harbor/triggers/a.md", None),
        ("_fleet/triggers/.md", None),
    ],
)
def test_which_files_are_triggers(path: str, name: str | None) -> None:
    assert name_of(path) == name


# Globs


@pytest.mark.parametrize(
    "pattern",
    [
        *("", "*", "**", "/", "**/*", "*/*", "./*", "*.md", "**/*.md", "?/x.md", "*/inbox/*.md", "README.md"),
        *("/etc/passwd", "../x/*.md", "a/../../b", "~/x/*", "a\\b/*", "a//b", "x/\0/y"),
        *(".argosy/*", ".git/**", "harbor/.versions/*", "harbor/log/**", "harbor/log/2026-11/*.jsonl", "_fleet/log/*"),
        *("_fleet/queue/**", "_fleet/triggers/*.md", "_fleet/*", "harbor/conversations/*", "harbor/outcomes/**"),
        *("a/[bc]/*", "a/{b,c}/*", "a/b**c/*", "a/**/b/**/c/**/d"),
    ],
)
def test_a_glob_that_watches_too_much_or_outside_is_refused(pattern: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        check_glob(pattern)
    assert caught.value.hint and caught.value.detail["field"] == "watch"


@pytest.mark.parametrize(
    ("pattern", "root", "meant", "not_meant"),
    [
        ("inbox/*.md", "inbox", ["inbox/a.md", "inbox/ü b.md"], ["inbox/a/b.md", "inbox/.a.md", "inbox/a.mdx", "a.md"]),
        ("inbox/**/*.md", "inbox", ["inbox/a.md", "inbox/a/b/c.md"], ["inbox/.x/a.md", "inboxa.md", "inbox/log/a.md"]),
        ("harbor/**", "harbor", ["harbor/a", "harbor/memory/x.md"], ["harbor/log/x/y.jsonl", "harbor/outcomes/r"]),
        ("a/b/c.md", "a/b", ["a/b/c.md"], ["a/b/c_md", "a/b/c.md/d"]),
        ("a/b?/*/x", "a", ["a/b1/y/x"], ["a/b/y/x", "a/b1/y/z/x", "a/b//x"]),
        ("_fleet/skills/**/SKILL.md", "_fleet/skills", ["_fleet/skills/x/SKILL.md"], ["_fleet/skills/x/other.md"]),
    ],
)
def test_what_a_glob_means(pattern: str, root: str, meant: list[str], not_meant: list[str]) -> None:
    glob = check_glob(pattern)
    assert glob.root == root
    assert [path for path in meant if not glob.matches(path)] == []
    assert [path for path in not_meant if glob.matches(path)] == []


def test_a_glob_is_matched_in_no_time_whatever_the_path() -> None:
    assert not check_glob("a/**/b/**/*x*x*x*x*y").matches("a/" + "b/" * 14 + "x" * 100)


# Drafts


@given(
    st.sampled_from(
        ["", "---\nnote: mine\n---\nOld.\n", "---\r\nnote: mine\r\ncron: 1 1 * * *\r\n---\r\n\r\nOld.\r\n"]
    ),
    st.sampled_from(
        [{"cron": "0 7 * * *"}, {"every_s": 60}, {"watch": {"glob": "in/*.md"}}, {"at": "2030-01-01T09:00"}]
    ),
    st.none() | st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=60),
    st.sampled_from([None, "Europe/Berlin"]),
    st.sampled_from([None, "once"]),
)
def test_what_a_draft_writes_is_read_back_and_a_persons_fields_stay(
    text: str, when: dict[str, object], task: str | None, zone: str | None, misfire: str | None
) -> None:
    draft = draft_trigger("t", when, {"agent": "harbor"}, task, zone, misfire, None, None)
    written = draft.written_into(text, {"creator": "harbor"})
    trigger = read(written)
    assert trigger.when.fields().keys() == when.keys() and trigger.creator == "harbor"
    assert trigger.task == (task.strip() if task is not None else parse(text).body.strip())
    assert (trigger.timezone, trigger.misfire) == (zone or "UTC", misfire or "skip")
    assert "note: mine" in written or not text
    assert draft.written_into(written, {"creator": "harbor"}) == written
