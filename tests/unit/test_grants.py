"""Grants: one algebra that only shrinks, and accounts that a tree of runs cannot overdraw."""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from argosy_core.errors import ArgosyError, BudgetExhausted, InvalidArgument
from argosy_core.policy.errors import PolicyInvalid
from argosy_core.policy.grant_file import GrantFile, grant_path, parse_grant, render_grant
from argosy_core.policy.grant_form import grant_as_json, grant_from_json
from argosy_core.policy.grants import (
    LIMITS,
    ROOT,
    UNLIMITED,
    Account,
    Grant,
    Limits,
    Spend,
    effective,
    is_within,
    meet,
)
from argosy_core.policy.money import nano_usd, show_usd, usd
from argosy_core.types import ActionClass, Mode

NOW = datetime(2026, 11, 20, tzinfo=UTC)
SLOW: Any = {"suppress_health_check": [HealthCheck.too_slow]}  # a grant has many fields, and machines are busy
TOOLS = ("mail__send", "mail__read", "files__put", "memory_write", "mail__*", "m*", "*")
PATHS = (".", "rook", "rook/output", "rook/output/a", "rook/memory", "shared")
HOSTS = ("*", "example.org", "*.example.org", "api.example.org", "*.api.example.org", "other.net")


def some(names: tuple[str, ...]) -> st.SearchStrategy[frozenset[str] | None]:
    return st.none() | st.frozensets(st.sampled_from(names), max_size=3)


def number(name: str) -> st.SearchStrategy[Any]:
    return st.none() | (st.floats(0, 1e6) if name.endswith("_s") else st.integers(0, 10**12))


grants = st.builds(
    Grant,
    tools=some(TOOLS),
    denied=st.frozensets(st.sampled_from(TOOLS), max_size=2),
    max_class=st.sampled_from(ActionClass),
    mode=st.sampled_from(Mode),
    paths=some(PATHS),
    hosts=some(HOSTS),
    models=some(("claude-a", "claude-*", "gpt-x")),
    limits=st.builds(Limits, **{name: number(name) for name in LIMITS}),
    until=st.none() | st.integers(0, 100).map(lambda hours: NOW + timedelta(hours=hours)),
)


def allows(grant: Grant) -> set[tuple[str, str]]:
    """Everything of a small world that *grant* allows."""
    found = {("tool", name) for name in TOOLS if "*" not in name and grant.allows_tool(name)}
    found |= {("path", path) for path in PATHS if grant.allows_path(path)}
    found |= {("host", host) for host in ("example.org", "api.example.org", "x.api.example.org", "other.net", "z.org")
        if grant.allows_host(host)}  # fmt: skip
    found |= {("class", c) for c in ActionClass if c.rank <= grant.max_class.rank}
    return found | {("mode", m) for m in Mode if m.rank <= grant.mode.rank}


@settings(max_examples=60, deadline=None, **SLOW)
@given(grants, grants, grants)
def test_meeting_is_associative(a: Grant, b: Grant, c: Grant) -> None:
    assert meet(meet(a, b), c) == meet(a, meet(b, c))


@settings(max_examples=60, deadline=None, **SLOW)
@given(grants, grants)
def test_meeting_is_commutative(a: Grant, b: Grant) -> None:
    assert meet(a, b) == meet(b, a)


@settings(max_examples=60, deadline=None, **SLOW)
@given(grants)
def test_a_grant_met_with_itself_or_with_everything_allows_the_same(a: Grant) -> None:
    assert allows(meet(a, a)) == allows(a)
    assert meet(meet(a, a), meet(a, a)) == meet(a, a)
    assert meet(a, UNLIMITED) == meet(a, a)


@settings(max_examples=60, deadline=None, **SLOW)
@given(grants, grants)
def test_what_both_allow_is_exactly_what_each_allows(a: Grant, b: Grant) -> None:
    assert allows(meet(a, b)) == allows(a) & allows(b)


@settings(max_examples=60, deadline=None, **SLOW)
@given(st.lists(grants, max_size=5))
def test_nothing_is_ever_widened(several: list[Grant]) -> None:
    found = effective(several)
    for one in several:
        assert is_within(found, one)
        for name in LIMITS:
            mine, theirs = getattr(found.limits, name), getattr(one.limits, name)
            if theirs is not None:
                assert mine is not None
                assert mine >= theirs if name == "breaker_s" else mine <= theirs


@settings(max_examples=60, deadline=None, **SLOW)
@given(grants)
def test_a_grant_survives_being_written_and_read(a: Grant) -> None:
    whole = meet(a, a)
    money = Limits(**{f.name: getattr(whole.limits, f.name) for f in fields(Limits)})
    again = grant_from_json(grant_as_json(whole), "rook")
    assert allows(again) == allows(whole)
    for name in LIMITS:
        mine, theirs = getattr(again.limits, name), getattr(money, name)
        assert mine == theirs if theirs is None or not name.startswith("usd") else abs(mine - theirs) <= 1


def test_the_root_has_the_limits_that_every_tree_of_runs_starts_from() -> None:
    limits = ROOT.limits
    assert (limits.depth, limits.concurrent, limits.active_s, limits.agent_s) == (5, 20, 300.0, 60.0)
    assert (limits.tokens_run, limits.breaker_failures, limits.breaker_s) == (100_000, 3, 30.0)


@pytest.mark.parametrize(
    ("amount", "nano"),
    [(0.1, 100_000_000), (0.05, 50_000_000), (1e-12, 1), (0, 0), (5, 5_000_000_000), (0.1 + 0.2, 300_000_001)],
)
def test_money_is_whole_billionths_rounded_up(amount: float, nano: int) -> None:
    assert nano_usd(amount) == nano


@pytest.mark.parametrize("amount", [-1, float("nan"), float("inf"), True, "5", None, 1e30])
def test_what_is_no_sum_of_money_is_refused(amount: Any) -> None:
    with pytest.raises(InvalidArgument):
        nano_usd(amount)


def test_money_is_shown_as_people_write_it() -> None:
    assert [show_usd(nano_usd(x)) for x in (1200, 0.05, 0.000012, 0)] == ["$1,200.00", "$0.05", "$0.000012", "$0.00"]
    assert usd(nano_usd(0.25)) == 0.25


# Accounts


def test_a_child_gets_no_more_than_its_parent_has_left() -> None:
    parent = Account(Grant(limits=Limits(usd_run=100, depth=2, tokens_run=50)))
    parent = parent.spend(Spend(usd=30))
    parent, child = parent.lend("c1", Grant(limits=Limits(usd_run=500, depth=9)))
    assert (child.limits.usd_run, child.limits.depth, child.limits.tokens_run) == (70, 1, 50)
    with pytest.raises(BudgetExhausted):
        parent.spend(Spend(usd=1))
    parent = parent.take_back("c1", Spend(usd=20))
    assert parent.left.usd_run == 50
    assert parent.take_back("c1", Spend(usd=20)) == parent


def test_depth_fanout_and_concurrency_end() -> None:
    leaf = Account(Grant(limits=Limits(depth=0)))
    wide = Account(Grant(limits=Limits(depth=1, fanout=1)))
    busy = Account(Grant(limits=Limits(depth=1, concurrent=1)))
    wide = wide.lend("a", UNLIMITED)[0].take_back("a", Spend())
    busy = busy.lend("a", UNLIMITED)[0]
    for account in (leaf, wide, busy):
        with pytest.raises(BudgetExhausted):
            account.lend("b", UNLIMITED)
    assert len(busy.take_back("a", Spend()).lend("b", UNLIMITED)[0].lent) == 1


class TreeOfRuns(RuleBasedStateMachine):
    """Runs that spend, start runs below them and end, in any order."""

    def __init__(self) -> None:
        super().__init__()
        root = Grant(limits=Limits(usd_run=1_000, tokens_run=500, depth=3, actions=40, concurrent=3, fanout=5))
        self.accounts: dict[str, Account] = {"0": Account(root)}
        self.parents: dict[str, str] = {}
        self.really_spent = 0
        self.names = 0

    @rule(at=st.integers(0, 20), usd_wanted=st.integers(0, 400), tokens=st.integers(0, 100))
    def spend(self, at: int, usd_wanted: int, tokens: int) -> None:
        name = sorted(self.accounts)[at % len(self.accounts)]
        try:
            self.accounts[name] = self.accounts[name].spend(Spend(usd_wanted, tokens, 0.0, 1))
        except BudgetExhausted:
            return
        self.really_spent += usd_wanted

    @rule(at=st.integers(0, 20), share=st.none() | st.integers(0, 1_000))
    def start(self, at: int, share: int | None) -> None:
        name = sorted(self.accounts)[at % len(self.accounts)]
        self.names += 1
        child = f"{name}.{self.names}"
        try:
            account, grant = self.accounts[name].lend(child, Grant(limits=Limits(usd_run=share)))
        except BudgetExhausted:
            return
        assert is_within(grant, self.accounts[name].grant)
        self.accounts[name] = account
        self.accounts[child] = Account(grant)
        self.parents[child] = name

    @precondition(lambda self: self.parents)
    @rule(at=st.integers(0, 20))
    def end(self, at: int) -> None:
        leaves = [name for name in self.accounts if name in self.parents and name not in self.parents.values()]
        child = sorted(leaves)[at % len(leaves)]
        used = self.accounts.pop(child).spent
        parent = self.parents.pop(child)
        self.accounts[parent] = self.accounts[parent].take_back(child, used)

    @invariant()
    def the_tree_never_spends_more_than_its_root_has(self) -> None:
        assert self.really_spent <= 1_000
        open_below = sum(account.spent.usd for name, account in self.accounts.items() if name != "0")
        assert self.accounts["0"].spent.usd + open_below == self.really_spent


TestTreeOfRuns = TreeOfRuns.TestCase
TestTreeOfRuns.settings = settings(max_examples=25, stateful_step_count=20, deadline=None, **SLOW)


# Files


HEAD = "---\ntype: grant\nholder: rook\ntools:\n  - mail__send\nlimits:\n  usd_day: 0.5\nuntil: 2026-12-31\n---\n"


def test_a_grant_is_a_document_that_a_person_can_write() -> None:
    found = parse_grant(HEAD.encode(), "_fleet/grants/g1.md")
    assert (found.id, found.holder, found.grant.limits.usd_day) == ("g1", "rook", 500_000_000)
    assert found.counts_at(NOW)
    assert not found.counts_at(NOW + timedelta(days=99))
    again = parse_grant(render_grant(found), "_fleet/grants/g1.md")
    assert again == found
    assert not parse_grant(HEAD.replace("holder: rook", "holder: rook\nstate: revoked"), "g1.md").counts_at(NOW)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (HEAD.replace("tools:", "tool:"), 4),
        (HEAD.replace("usd_day", "usd_dya"), 6),
        (HEAD.replace("until: 2026-12-31", "until: some day"), 8),
        (HEAD.replace("holder: rook", "holder: 3"), 3),
        (HEAD.replace("type: grant", "state: maybe"), 2),
        (HEAD.replace("type: grant", "grant: g2"), 2),
        ("no head at all", 1),
        (HEAD.replace("tools:", "tools: ["), 5),
    ],
)
def test_a_grant_that_is_not_understood_is_refused_with_its_line(text: str, line: int) -> None:
    with pytest.raises(PolicyInvalid) as caught:
        parse_grant(text, "_fleet/grants/g1.md")
    assert caught.value.line == line


@pytest.mark.parametrize(
    "given_fields",
    [
        {"tols": []},
        {"tools": "mail"},
        {"tools": ["a b"]},
        {"tools": ["*mail"]},
        {"paths": ["/etc"]},
        {"paths": ["../../x"]},
        {"hosts": ["http://x"]},
        {"hosts": ["a*b.org"]},
        {"max_class": "harmless"},
        {"mode": "wild"},
        {"limits": {"usd_day": -1}},
        {"limits": {"depth": 1.5}},
        {"limits": {"active_s": float("inf")}},
        {"limits": []},
        {"until": "soon"},
    ],
)
def test_a_grant_as_json_is_checked(given_fields: dict[str, Any]) -> None:
    with pytest.raises(ArgosyError):
        grant_from_json(given_fields, "rook")


@pytest.mark.parametrize("name", ["", "../x", "a/b", "a.md", "x" * 65, "ä"])
def test_an_id_of_a_grant_never_leads_elsewhere(name: str) -> None:
    with pytest.raises(InvalidArgument):
        grant_path(name)


def test_a_grant_file_names_its_holder() -> None:
    assert "# Grant to rook" in render_grant(GrantFile("g1", "rook", UNLIMITED))
