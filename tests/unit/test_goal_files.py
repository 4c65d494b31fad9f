"""The form of a goal's file: what is read from it, and that a change leaves the rest of it alone."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from argosy_core.canonical import sha256_hex
from argosy_core.errors import AlreadyExists, Corrupted, InvalidArgument, TooLarge
from argosy_core.frontmatter import parse
from argosy_core.storage.base import Content
from argosy_goal import goal_edit
from argosy_goal.drafts import draft_goal, draft_steps
from argosy_goal.goal_file import read_goal
from argosy_goal.models import Goal
from argosy_goal.statuses import OPEN, STATUSES

NOW = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
EXAMPLE = Path(__file__).parents[2] / "vault-template/harbor/goals/goal_20261026T091500_7c3e9a14.md"
OLD = """---
schema_version: 1
active: true
intent: Ship the atlas
priority: high            # not above the bakery
created: 2026-01-02
sub_goals:
  # the map first
  - id: s1
    label: Draw it      # by hand
    status: pending
    completed:
  - {id: s2, label: "Print: it", status: blocked, blocked_by: s1}
---

# Atlas

## History

- 2026-01-02: set.

## Notes

Nothing.
"""


def content(text: str, path: str = "harbor/goals/g.md") -> Content:
    data = text.encode()
    return Content(path, data, sha256_hex(data), (0, len(data)))


def goal_in(text: str, path: str = "harbor/goals/g.md") -> Goal:
    return read_goal(content(text, path))


def changed_lines(before: str, after: str) -> list[str]:
    """The lines of *after* that are not in *before*; the others must be there in their order."""
    rest = iter(before.splitlines())
    old = list(rest)
    return [line for line in after.splitlines() if line not in old]


def test_the_example_of_the_template_reads_whole() -> None:
    goal = goal_in(EXAMPLE.read_text(), "harbor/goals/goal_20261026T091500_7c3e9a14.md")
    assert (goal.goal, goal.status, goal.priority) == ("goal_20261026T091500_7c3e9a14", "in_progress", "high")
    assert goal.title == "Fill stall 14 at the Lantern Market"
    assert goal.why.startswith("The Lantern Market is the one day")
    assert (goal.progress.done, goal.progress.total, len(goal.steps)) == (2, 8, 8)
    assert goal.next_steps[0] == "Sew 96 text blocks"
    assert goal.steps[5].blocked_by == ["s5"]
    assert not goal.problems


def test_the_older_single_goal_is_open_while_active() -> None:
    goal = goal_in(OLD, "harbor/goal.md")
    assert (goal.goal, goal.title, goal.status, goal.why) == ("goal", "Atlas", "in_progress", "Ship the atlas")
    assert goal_in(OLD.replace("active: true", "active: false"), "harbor/goal.md").status == "abandoned"
    done = OLD.replace("active: true", "active: false").replace("pending", "complete").replace("blocked,", "skipped,")
    assert goal_in(done, "harbor/goal.md").status == "complete"


def test_the_older_single_goal_may_state_its_id() -> None:
    assert goal_in(OLD.replace("active: true", "goal: atlas\nactive: true"), "harbor/goal.md").goal == "atlas"


@pytest.mark.parametrize(
    ("broken", "line"),
    [
        ("---\ntitle: a: b\n---\n", 2),
        ("---\ntitle: a\nstatus: don\n---\n", 3),
        ("---\ntitle: a\nsub_goals: nothing\n---\n", 3),
        ("---\nsub_goals:\n  - label: x\n---\n", 3),
        ("---\nsub_goals:\n  - id: a\n    label: x\n    status: later\n---\n", 5),
        ("---\nsub_goals:\n  - id: a\n  - just words\n---\n", 4),
        ("---\nsub_goals:\n  - id: a\n  - label: x\n    id: a\n---\n", 5),
        ("# only prose\n", 1),
    ],
)
def test_a_broken_file_is_named_with_its_line(broken: str, line: int) -> None:
    with pytest.raises(Corrupted) as caught:
        goal_in(broken)
    assert caught.value.detail["line"] == line
    assert caught.value.hint
    assert f"harbor/goals/g.md:{line}:" in str(caught.value)


def test_bytes_that_are_not_utf8_are_named_with_their_line() -> None:
    with pytest.raises(Corrupted) as caught:
        read_goal(Content("harbor/goals/g.md", b"---\ntitle: a\nintent: \xff\n---\n", "", (0, 0)))
    assert caught.value.detail["line"] == 3


def test_a_priority_or_deadline_nobody_knows_is_a_problem_not_an_end() -> None:
    goal = goal_in("---\ntitle: a\npriority: urgent\ndeadline: soon\n---\n")
    assert goal.priority == "medium"
    assert [problem.split(":")[1] for problem in goal.problems] == ["3", "4"]


def test_skipped_and_abandoned_steps_do_not_count() -> None:
    steps = "".join(f"  - id: s{n}\n    status: {status}\n" for n, status in enumerate(STATUSES))
    goal = goal_in(f"---\ntitle: a\nsub_goals:\n{steps}---\n")
    assert (goal.progress.done, goal.progress.total) == (1, 5)
    assert goal.next_steps == ["s1", "s0"]


def test_a_step_waits_until_what_blocks_it_is_done() -> None:
    steps = "  - id: a\n  - id: b\n    blocked_by: a\n  - id: c\n    blocked_by: [a, b]\n"
    assert goal_in(f"---\ntitle: t\nsub_goals:\n{steps}---\n").next_steps == ["a"]
    done = steps.replace("id: a\n", "id: a\n    status: complete\n", 1)
    assert goal_in(f"---\ntitle: t\nsub_goals:\n{done}---\n").next_steps == ["b"]


def test_moving_a_step_changes_its_lines_alone() -> None:
    goal = goal_in(OLD)
    after = goal_edit.set_step_status(content(OLD), goal, "s1", "complete", NOW)
    assert changed_lines(OLD, after) == ["    status: complete", "    completed: 2026-11-20"]
    assert "# the map first" in after
    assert "# by hand" in after
    back = goal_edit.set_step_status(content(after), goal_in(after), "s1", "in_progress", NOW)
    assert goal_in(back).steps[0].completed is None


def test_moving_a_step_written_on_one_line_keeps_it_on_one_line() -> None:
    after = goal_edit.set_step_status(content(OLD), goal_in(OLD), "s2", "pending", NOW)
    assert changed_lines(OLD, after) == ['  - {id: s2, label: "Print: it", status: pending, blocked_by: s1}']


def test_a_step_without_the_field_gets_it() -> None:
    text = "---\ntitle: a\nsub_goals:\n  - id: s1\n    label: one\n---\n\nBody.\n"
    after = goal_edit.set_step_status(content(text), goal_in(text), "s1", "complete", NOW)
    assert (goal_in(after).steps[0].status, goal_in(after).steps[0].completed) == ("complete", "2026-11-20")
    assert after.endswith("---\n\nBody.\n")


def test_the_older_format_says_it_with_active_where_that_is_enough() -> None:
    goal, old = goal_in(OLD, "harbor/goal.md"), content(OLD, "harbor/goal.md")
    assert changed_lines(OLD, goal_edit.set_goal_status(old, goal, "abandoned")) == ["active: false"]
    after = goal_edit.set_goal_status(old, goal, "awaiting_decision")
    assert changed_lines(OLD, after) == ["status: awaiting_decision"]
    assert goal_in(after, "harbor/goal.md").status == "awaiting_decision"


@settings(deadline=None)
@given(st.sampled_from(STATUSES))
def test_status_and_active_always_agree(status: Any) -> None:
    text = EXAMPLE.read_text()
    after = goal_edit.set_goal_status(content(text), goal_in(text), status)
    assert parse(after).fields["active"] is (status in OPEN)
    assert goal_in(after).status == status
    old = goal_edit.set_goal_status(content(OLD, "h/goal.md"), goal_in(OLD, "h/goal.md"), status)
    assert goal_in(old, "h/goal.md").status == status


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("", "\n## History\n\n- 2026-11-20: s1 complete.\n"),
        ("Prose", "Prose\n\n## History\n\n- 2026-11-20: s1 complete.\n"),
        ("## History\n", "## History\n\n- 2026-11-20: s1 complete.\n"),
        ("## History\n\n- a\n", "## History\n\n- a\n- 2026-11-20: s1 complete.\n"),
        ("## History\n\n- a\n\n## Next\n\nb\n", "## History\n\n- a\n- 2026-11-20: s1 complete.\n\n## Next\n\nb\n"),
        ("```\n## History\n```\n", "```\n## History\n```\n\n## History\n\n- 2026-11-20: s1 complete.\n"),
        ("## History\r\n\r\n- a\r\n", "## History\r\n\r\n- a\r\n- 2026-11-20: s1 complete.\r\n"),
    ],
)
def test_history_grows_at_its_end(body: str, expected: str) -> None:
    head = "---\ntitle: a\n---\n\n"
    assert goal_edit.with_history(head + body, NOW, "s1  complete. \n") == head + expected


@settings(deadline=None)
@given(st.text(max_size=200), st.text(max_size=80))
def test_history_never_touches_what_was_written(body: str, note: str) -> None:
    text = f"---\ntitle: a\n---\n\n{body}"
    after = goal_edit.with_history(text, NOW, note)
    entry = next(line for line in after.split("\n") if line.startswith("- 2026-11-20: ")).rstrip("\r")
    assert parse(after).fields == {"title": "a"}
    assert len(after) > len(text)
    assert after.replace(entry, "", 1).split() == [*text.split(), *(["##", "History"] if "## H" not in text else [])]


@settings(deadline=None)
@given(
    st.lists(st.sampled_from(["pending", "complete", "blocked"]), min_size=1, max_size=6),
    st.data(),
)
def test_one_step_moves_and_no_other(statuses: list[str], data: st.DataObject) -> None:
    steps = "".join(f"  - id: s{n}\n    label: Über {n} # c{n}\n    status: {s}\n" for n, s in enumerate(statuses))
    text = f"---\ntitle: a\nsub_goals:\n{steps}# end\nother: x\n---\n\nBody\n"
    at = data.draw(st.integers(0, len(statuses) - 1))
    to = data.draw(st.sampled_from(STATUSES))
    after = goal_in(goal_edit.set_step_status(content(text), goal_in(text), f"s{at}", to, NOW))
    expected = [to if n == at else status for n, status in enumerate(statuses)]
    assert [step.status for step in after.steps] == expected


@settings(deadline=None)
@given(
    title=st.text(min_size=1, max_size=50), why=st.text(min_size=1, max_size=200), labels=st.lists(st.text(max_size=40))
)
def test_what_is_asked_for_is_what_is_read(title: str, why: str, labels: list[str]) -> None:
    try:
        draft = draft_goal(title, why, labels, "low", "2026-12-24", None)
        text = goal_edit.new_goal(draft.fields("goal_x", NOW, "k"), NOW)
    except (InvalidArgument, TooLarge):
        return
    goal = goal_in(text)
    assert goal.title == " ".join(title.split())
    assert goal.why == why.strip()
    assert [step.label for step in goal.steps] == [" ".join(label.split()) for label in labels]
    assert (goal.status, goal.priority, goal.deadline) == ("pending", "low", "2026-12-24")


def test_new_steps_get_free_ids_and_may_wait_for_each_other() -> None:
    made = draft_steps(["one", {"label": "two", "id": "s2"}, {"label": "three", "blocked_by": "s2"}], ["s1"])
    assert [step["id"] for step in made] == ["s3", "s2", "s4"]
    assert made[2]["blocked_by"] == "s2"


@pytest.mark.parametrize(
    "steps",
    [
        [""],
        [{"id": "a"}],
        [{"label": "x", "colour": "red"}],
        [{"label": "x", "id": "a b"}],
        [{"label": "x", "blocked_by": "nobody"}],
        [{"label": "x", "deadline": "soon"}],
        [{"label": "x", "acceptance_criteria": "one"}],
        [{"label": "x", "assigned": 4}],
    ],
)
def test_a_step_that_cannot_be_written_is_refused(steps: list[Any]) -> None:
    with pytest.raises(InvalidArgument):
        draft_steps(steps, [])


def test_step_ids_are_unique() -> None:
    with pytest.raises(AlreadyExists):
        draft_steps([{"label": "x", "id": "a"}], ["a"])
    with pytest.raises(AlreadyExists):
        draft_steps([{"label": "x", "id": "a"}, {"label": "y", "id": "a"}], [])


def test_too_many_steps_are_refused() -> None:
    with pytest.raises(TooLarge):
        draft_steps(["x"] * 201, [])
