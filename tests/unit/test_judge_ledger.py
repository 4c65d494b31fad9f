"""The ledger: sums that hold under any order of reserving, settling, dying and time passing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from argosy_core.budget.ledger import (
    MAX_CLOSED,
    Amount,
    Cap,
    Counter,
    Ledger,
    Open,
    Seen,
    day_of,
    read_ledger,
    write_ledger,
)
from argosy_core.errors import Conflict, Corrupted, NotFound

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
DAY = Cap("actor", "day", 100, "policy.md", (0.5, 0.8))
MONTH = Cap("actor", "month", 150, "policy.md")


def aside(ledger: Ledger, name: str, nano: int, now: datetime = NOON, purse: str = "actor") -> Ledger:
    return ledger.reserve(name, Open(Amount(nano), (purse,), ledger.today((purse,), now), now + timedelta(seconds=60)))


def test_what_is_set_aside_counts_before_it_is_spent() -> None:
    ledger = aside(Ledger(), "a", 60)
    assert not ledger.breaches(Amount(40), [DAY], NOON)
    [breach] = ledger.breaches(Amount(41), [DAY], NOON)
    assert (breach.spent, breach.outstanding, breach.wanted) == (0, 60, 41)
    assert not ledger.settle("a", Amount(10)).breaches(Amount(90), [DAY], NOON)


def test_a_cap_of_nothing_stops_what_costs_nothing_too() -> None:
    assert Ledger().breaches(Amount(0), [Cap("actor", "day", 0, "policy.md")], NOON)


def test_a_new_day_begins_at_nothing_and_the_month_goes_on() -> None:
    ledger = aside(Ledger(), "a", 100).settle("a", Amount(100))
    tomorrow = NOON + timedelta(days=1)
    assert ledger.breaches(Amount(1), [DAY], NOON)
    assert not ledger.breaches(Amount(50), [DAY, MONTH], tomorrow)
    assert [b.cap.period for b in ledger.breaches(Amount(51), [DAY, MONTH], tomorrow)] == ["month"]
    assert not ledger.breaches(Amount(100), [DAY, MONTH], NOON + timedelta(days=11))


def test_what_is_settled_after_midnight_counts_for_the_day_it_was_reserved_on() -> None:
    late = NOON.replace(hour=23, minute=59)
    after = late + timedelta(minutes=5)
    ledger = aside(Ledger(), "a", 100, late)
    assert not ledger.breaches(Amount(100), [DAY], after)
    ledger = aside(ledger, "b", 100, after).settle("b", Amount(30)).settle("a", Amount(100))
    assert (ledger.spent("actor", "day", after), ledger.spent("actor", "month", after)) == (30, 130)


def test_a_clock_that_goes_back_opens_no_second_day() -> None:
    ledger = aside(Ledger(), "a", 100).settle("a", Amount(100))
    before = NOON - timedelta(days=1)
    assert ledger.breaches(Amount(1), [DAY], before)
    ledger = aside(Ledger(), "x", 1, NOON).settle("x", Amount(1))
    ledger = aside(ledger, "b", 90, before)
    assert ledger.breaches(Amount(20), [DAY], before)
    assert ledger.settle("b", Amount(90)).breaches(Amount(20), [DAY], before)


def test_settling_again_says_the_same_and_otherwise_refuses() -> None:
    ledger = aside(Ledger(), "a", 60).settle("a", Amount(10))
    assert ledger.settle("a", Amount(10)) is ledger
    with pytest.raises(Conflict):
        ledger.settle("a", Amount(11))
    with pytest.raises(NotFound):
        ledger.settle("b", Amount(1))


def test_a_reservation_that_ran_out_may_still_be_settled_at_what_it_was() -> None:
    ledger = aside(Ledger(), "a", 60).settle("a", Amount(60), "expired")
    assert ledger.spent("actor", "day", NOON) == 60
    assert ledger.settle("a", Amount(25)).spent("actor", "day", NOON) == 25


def outside(ledger: Ledger, name: str, nano: int) -> Ledger:
    """*nano* set aside for a call that is paid outside."""
    wanted = Open(Amount(nano), ("actor",), day_of(NOON), NOON + timedelta(seconds=60), external="bank__pay")
    return ledger.reserve(name, wanted)


def test_an_outer_cost_that_ran_out_waits_for_somebodys_word_even_at_the_same_amount() -> None:
    later = NOON + timedelta(seconds=61)
    ledger = aside(outside(Ledger(), "a", 60), "model", 5)
    assert list(ledger.unverified(later)) == ["a"]
    ledger = ledger.settle("a", Amount(60), "expired").settle("model", Amount(5), "expired")
    ledger = read_ledger(write_ledger(ledger), "x")
    assert (list(ledger.unverified(later)), ledger.spent("actor", "day", later)) == (["a"], 65)
    done = ledger.settle("a", Amount(60))
    assert (list(done.unverified(later)), done.spent("actor", "day", later)) == ([], 65)
    assert done.settle("a", Amount(60)) is done
    with pytest.raises(Conflict):
        done.settle("a", Amount(0))


def test_what_waits_for_a_word_is_remembered_beyond_what_is_settled() -> None:
    ledger = outside(Ledger(), "a", 60).settle("a", Amount(60), "expired")
    for number in range(MAX_CLOSED + 5):
        ledger = aside(ledger, f"n{number}", 1).settle(f"n{number}", Amount(1))
    assert (len(ledger.closed), list(ledger.unverified(NOON))) == (MAX_CLOSED + 1, ["a"])
    ledger = ledger.settle("a", Amount(0))
    assert ledger.spent("actor", "day", NOON) == MAX_CLOSED + 5


def test_what_used_a_purse_up_is_named_for_its_period_only() -> None:
    ledger = aside(aside(Ledger(), "a", 1).settle("a", Amount(1)), "b", 2, NOON + timedelta(days=1))
    ledger = aside(ledger, "c", 3, NOON + timedelta(days=1), "judge")
    tomorrow = NOON + timedelta(days=1)
    assert ledger.contributing("actor", "day", tomorrow) == ["b"]
    assert ledger.contributing("actor", "month", tomorrow) == ["b", "a"]


def test_an_older_event_of_a_mandate_changes_nothing() -> None:
    ledger = Ledger().saw("rent", Seen(2, "revoked", "f"))
    assert ledger.saw("rent", Seen(1, "granted", "e")) is ledger
    assert read_ledger(write_ledger(ledger), "x").mandates == {"rent": Seen(2, "revoked", "f")}


def test_the_same_reservation_is_made_once() -> None:
    ledger = aside(Ledger(), "a", 60)
    assert aside(ledger, "a", 60) is ledger
    with pytest.raises(Conflict):
        aside(ledger, "a", 61)


def test_each_threshold_is_warned_of_once_a_period() -> None:
    ledger, passed = aside(Ledger(), "a", 60).warn([DAY], NOON)
    assert [threshold for _, threshold in passed] == [0.5]
    ledger, passed = aside(ledger, "b", 30).warn([DAY], NOON)
    assert [threshold for _, threshold in passed] == [0.8]
    assert ledger.warn([DAY], NOON) == (ledger, [])
    tomorrow = NOON + timedelta(days=1)
    assert aside(ledger, "c", 60, tomorrow).warn([DAY], tomorrow)[1] == [(DAY, 0.5)]


def test_tokens_and_actions_are_counted_in_their_own_purses() -> None:
    purses = ("actor", "run:r:tokens", "run:r:actions")
    ledger = Ledger().reserve("a", Open(Amount(5, 700, 1), purses, day_of(NOON), NOON))
    assert [ledger.outstanding(purse, "total", NOON) for purse in purses] == [5, 700, 1]


def test_counters_of_runs_long_ended_are_dropped_and_the_agents_own_never() -> None:
    purses = ("actor", "run:r")
    ledger = Ledger().reserve("a", Open(Amount(5), purses, day_of(NOON), NOON)).settle("a", Amount(5))
    assert set(ledger.tidied(NOON + timedelta(days=39)).purses) == set(purses)
    assert set(ledger.tidied(NOON + timedelta(days=41)).purses) == {"actor"}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b'{"schema": 2}',
        b"\xff",
        write_ledger(Ledger(purses={"a": Counter("x", 0, 0, 0)})).replace(b'"x",0', b'"x",1.5'),
        write_ledger(aside(Ledger(), "a", 5)).replace(b"[5,0,0]", b"[-5,0,0]"),
    ],
)
def test_a_ledger_that_cannot_be_read_is_said_so_and_not_guessed(data: bytes) -> None:
    with pytest.raises(Corrupted):
        read_ledger(data, "_fleet/budgets/rook.json")


def test_the_ledger_does_not_grow_with_what_happened() -> None:
    ledger, sizes = Ledger(), list[int]()
    for number in range(3_000):
        name = f"r{number:06d}"
        ledger = aside(ledger, name, 5, NOON + timedelta(minutes=number)).settle(name, Amount(5))
        if number % 1_000 == 999:
            sizes.append(len(write_ledger(ledger)))
    assert max(sizes) - min(sizes) < 20


class Spending(RuleBasedStateMachine):
    """Callers that reserve under two caps, settle at or under the estimate, or die, while days pass."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger, self.now, self.names = Ledger(), NOON, 0
        self.days: dict[str, int] = {}
        self.estimates: dict[str, tuple[int, str]] = {}

    @rule(nano=st.integers(0, 70))
    def reserve(self, nano: int) -> None:
        if self.ledger.breaches(Amount(nano), [DAY, MONTH], self.now):
            return
        self.names += 1
        name = str(self.names)
        self.ledger = aside(self.ledger, name, nano, self.now)
        self.estimates[name] = nano, self.ledger.open[name].day

    @precondition(lambda self: self.estimates)
    @rule(at=st.integers(0, 99), share=st.floats(0, 1))
    def settle(self, at: int, share: float) -> None:
        name = sorted(self.estimates)[at % len(self.estimates)]
        nano, day = self.estimates.pop(name)
        spent = int(nano * share)
        self.ledger = self.ledger.settle(name, Amount(spent))
        self.days[day] = self.days.get(day, 0) + spent

    @rule(minutes=st.integers(-600, 2_000))
    def let_time_pass(self, minutes: int) -> None:
        self.now += timedelta(minutes=minutes)

    @rule()
    def bury_the_dead(self) -> None:
        for name in self.ledger.expired(self.now):
            nano, day = self.estimates.pop(name)
            self.ledger = self.ledger.settle(name, Amount(nano), "expired")
            self.days[day] = self.days.get(day, 0) + nano

    @rule()
    def write_and_read(self) -> None:
        self.ledger = read_ledger(write_ledger(self.ledger), "x")

    @invariant()
    def no_day_and_no_month_is_overdrawn(self) -> None:
        months: dict[str, int] = {}
        for day, spent in self.days.items():
            assert spent <= DAY.limit
            months[day[:7]] = months.get(day[:7], 0) + spent
        assert all(spent <= MONTH.limit for spent in months.values())
        assert self.ledger.spent("actor", "total", self.now) == sum(self.days.values())


TestSpending = Spending.TestCase
TestSpending.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
