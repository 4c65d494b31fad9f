"""A tree of runs never uses more than its root was given, and nobody below has more than whoever started it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy_core.errors import BudgetExhausted
from argosy_core.policy.grants import ROOT, UNLIMITED, Grant, Limits, Spend, is_within
from argosy_core.testing.fakes import FakeClock
from argosy_core.types import ActionClass
from argosy_host.purse import Breaker, Purse, as_reference, root_grant

STEPS = st.lists(
    st.tuples(st.sampled_from(["start", "hold", "settle", "end"]), st.integers(0, 9), st.integers(0, 60)), max_size=60
)


@given(STEPS)
def test_a_tree_of_runs_never_uses_more_than_its_root(steps: list[tuple[str, int, int]]) -> None:
    root = Purse(Grant(limits=Limits(tokens_run=100, usd_run=100, depth=4, concurrent=3)))
    purses: list[Purse] = [root]
    held: list[tuple[Purse, Spend]] = []
    used = 0
    for number, (what, index, amount) in enumerate(steps):
        purse = purses[index % len(purses)]
        spend = Spend(usd=amount, tokens=amount)
        try:
            if what == "start":
                purses.append(purse.below(f"run-{number}"))
                assert is_within(purses[-1].grant, purse.grant)
            elif what == "hold":
                purse.hold(spend)
                held.append((purse, spend))
            elif what == "settle" and held:
                whose, aside = held.pop(index % len(held))
                actual = Spend(usd=aside.usd // 2, tokens=aside.tokens // 2)
                whose.settle(aside, actual)
                used += actual.tokens
        except BudgetExhausted:
            continue
        aside_now = sum(aside.tokens for _, aside in held)
        assert used + aside_now == 100 - (root.left.tokens_run or 0) <= 100


def test_what_a_run_below_leaves_is_its_parents_again() -> None:
    parent = Purse(root_grant(100, 60))
    child = parent.below("run-2")
    child.hold(Spend(tokens=80))
    with pytest.raises(BudgetExhausted):
        parent.hold(Spend(tokens=30))
    child.settle(Spend(tokens=80), Spend(tokens=10))
    parent.ended("run-2", 5.0)
    assert (parent.left.tokens_run, parent.left.active_s) == (90, 55.0)


def test_runs_below_are_bounded_in_depth_number_and_at_a_time() -> None:
    purse = Purse(replace(UNLIMITED, limits=Limits(depth=1, fanout=3, concurrent=2)))
    first = purse.below("a")
    purse.below("b")
    for refused in (lambda: first.below("x"), lambda: purse.below("c")):
        with pytest.raises(BudgetExhausted):
            refused()
    purse.ended("a", 1.0)
    purse.below("c")
    purse.ended("b", 1.0)
    with pytest.raises(BudgetExhausted, match="may start 3"):
        purse.below("d")


def test_a_grant_without_limits_gives_a_run_below_the_defaults_of_the_root() -> None:
    below = Purse(UNLIMITED).below("a").grant
    assert is_within(below, ROOT)
    assert len(as_reference(below)) < 400


def test_what_a_grant_denies_its_runs_below_are_denied() -> None:
    narrow = Grant(tools=frozenset({"memory_read"}), max_class=ActionClass.READ_ONLY, denied=frozenset({"goal_get"}))
    below = Purse(narrow).below("a").below("b").grant
    assert (below.tools, below.max_class, below.denied) == (narrow.tools, ActionClass.READ_ONLY, narrow.denied)


def test_an_agent_rests_after_three_failures_in_a_row() -> None:
    clock = FakeClock()
    breaker = Breaker(clock)
    for _ in range(2):
        breaker.note("ada", failed=True)
    breaker.note("ada", failed=False)
    for _ in range(3):
        breaker.check("ada", ROOT.limits)
        breaker.note("ada", failed=True)
    with pytest.raises(BudgetExhausted, match="rests for 30 seconds"):
        breaker.check("ada", ROOT.limits)
    breaker.check("bert", ROOT.limits)
    clock.advance(31)
    breaker.check("ada", ROOT.limits)
