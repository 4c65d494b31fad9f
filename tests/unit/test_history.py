"""The history checker finds what a broken queue would do, and accuses no sound one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from argosy_core.testing.history import End, Op, check_history, line_of, read_lines


def op(kind: Any, began: float, generation: int = 1, until: float = 30, **more: Any) -> Op:
    given: dict[str, Any] = {"item": "a", "ended": began + 1, "at": began + 1, "token": f"t{generation}", **more}
    return Op(kind=kind, began=began, generation=generation, until=until, **given)


DONE = End("a", "done", None, 2)
SOUND = [
    op("enqueue", 0, 0, token=""),
    op("claim", 2, until=32),
    op("renew", 10, until=40),
    op("claim", 41, 2, until=90),
    op("complete", 50, 2, until=90),
]


def test_a_sound_history_has_no_problems() -> None:
    assert check_history(SOUND, [DONE]) == []
    given_back = [*SOUND[:3], op("release", 12), op("claim", 14, 2), op("complete", 16, 2)]
    assert check_history(given_back, [DONE]) == []
    unanswered = SOUND[:4]  # the worker died between completing and hearing of it
    assert check_history(unanswered, [DONE]) == []
    for state in ("dead", "cancelled", "expired"):
        assert check_history(SOUND[:4], [replace(DONE, state=state, reason="why")]) == []


@pytest.mark.parametrize(
    ("ops", "ends", "said"),
    [
        (SOUND, [], "is lost"),
        (SOUND, [DONE, DONE], "is there twice"),
        (SOUND[:4], [replace(DONE, state="leased")], "never ended"),
        (SOUND[:4], [replace(DONE, state="dead")], "without a reason"),
        (SOUND, [replace(DONE, state="dead", reason="x")], "was completed and is dead"),
        ([*SOUND, op("complete", 60, 1)], [DONE], "was completed 2 times"),
        ([*SOUND[:4], op("complete", 50, 1)], [DONE], "after generation 2 was given"),
        ([*SOUND[:4], op("complete", 50, 1)], [DONE], "not by the newest"),
        ([*SOUND, op("claim", 95, 3)], [replace(DONE, generation=3)], "claimed after it was completed"),
        ([*SOUND, op("claim", 95, 3)], [DONE], "forgot a claim"),
        ([*SOUND[:3], op("claim", 20, 2), SOUND[4]], [DONE], "while generation 1 held it"),
        ([*SOUND[:2], op("claim", 41, 1, token="other")], [replace(DONE, generation=1)], "out twice"),
        ([*SOUND[:2], op("claim", 41, 2, token="t1")], [DONE], "out twice"),
    ],
)
def test_a_planted_bug_is_found(ops: list[Op], ends: list[End], said: str) -> None:
    assert any(said in problem for problem in check_history(ops, ends)), check_history(ops, ends)


def test_a_history_survives_its_file() -> None:
    text = "".join(f"{line_of(op)}\n" for op in SOUND)
    assert read_lines(text) == SOUND
    assert read_lines(text + '{"kind": "cla') == SOUND
    assert read_lines("") == []
