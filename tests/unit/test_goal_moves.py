"""Any sequence of moves, fresh and stale, against a model of statuses."""

from __future__ import annotations

import tempfile
from pathlib import Path

import anyio
from hypothesis import given, settings
from hypothesis import strategies as st

from argosy_core.errors import Conflict, InvalidArgument, PermissionDenied
from argosy_core.serving.config import ServerConfig, open_store
from argosy_core.testing.fakes import FakeClock, SeededIds
from argosy_core.types import Caller, Role
from argosy_goal.drafts import draft_goal
from argosy_goal.goals import Goals
from argosy_goal.statuses import STATUSES, Status

PLACES = (None, "s1", "s2")
moves = st.lists(
    st.tuples(
        st.sampled_from(PLACES),
        st.sampled_from(STATUSES),
        st.sampled_from(STATUSES) | st.none(),  # what the mover believes; None: the truth
        st.sampled_from([Role.AGENT, Role.HOST, Role.OPERATOR]),
    ),
    max_size=8,
)
Move = tuple[str | None, Status, Status | None, Role]


async def play(root: Path, sequence: list[Move]) -> None:
    (root / "harbor").mkdir()
    clock, ids = FakeClock(), SeededIds()
    config = ServerConfig(open_store(root, clock=clock, ids=ids), "harbor", clock=clock, ids=ids)
    goals = Goals(config)
    draft = draft_goal("t", "w", ["one", "two"], "medium", None, None)
    goal = (await goals.create("harbor", Caller("harbor"), draft, None)).goal
    model: dict[str | None, Status] = dict.fromkeys(PLACES, "pending")
    moved = 0
    for place, to, believed, role in sequence:
        expected = believed or model[place]
        waits = model[place] == "awaiting_decision" and role is not Role.OPERATOR
        try:
            await goals.transition("harbor", Caller("harbor", role), goal, place, to, expected, None, None)
        except InvalidArgument:
            assert to == expected
        except Conflict as conflict:
            assert expected != model[place] == conflict.detail["status"]
        except PermissionDenied:
            assert waits
        else:
            assert expected == model[place]
            assert not waits
            model[place], moved = to, moved + 1
    after = await goals.get("harbor", goal)
    assert {None: after.status, **{step.id: step.status for step in after.steps}} == model
    assert len((root / "harbor/goal_history.jsonl").read_text().splitlines()) == moved + 1
    config.store.close()


@settings(deadline=None, max_examples=40)
@given(moves)
def test_a_goal_is_where_the_last_accepted_move_put_it(sequence: list[Move]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        anyio.run(play, Path(folder), sequence)
