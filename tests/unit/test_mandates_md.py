"""mandates.md: standing permissions, read strictly."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from argosy_core.policy.errors import PolicyInvalid
from argosy_core.policy.mandates_md import merged, parse_mandates
from argosy_core.policy.mandates_model import Target, TimeWindow

BODY = (
    "granted_by: marit\ngranted_at: 2026-11-01\nscope: rent\nrevocation_state: active\n"
    "constraints:\n  allowed_tools: [bank__pay]\n  daily_external_usd: 10\n"
)
ONE = f"# Mandates\n\n## pay-rent\n\n```yaml\n{BODY}```\n"


def test_a_mandate_is_read_fenced_or_bare() -> None:
    fenced = parse_mandates(ONE).mandates["pay-rent"]
    bare = parse_mandates(f"## pay-rent\n\n{BODY}").mandates["pay-rent"]
    assert (fenced.constraints, fenced.scope) == (bare.constraints, bare.scope)
    assert fenced.constraints.caps == {"daily_external": 10_000_000_000}
    assert fenced.line == 3


def test_the_hash_is_of_the_sections_own_text() -> None:
    two = f"{ONE}\n## other\n\n```yaml\n{BODY}```\n"
    first, second = parse_mandates(two).mandates.values()
    assert first.source_hash != second.source_hash
    changed = parse_mandates(two.replace("## other\n", "## other-one\n")).mandates
    assert changed["pay-rent"].source_hash == first.source_hash
    assert (
        parse_mandates(ONE.replace("scope: rent", "scope: rents")).mandates["pay-rent"].source_hash != first.source_hash
    )


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (ONE.replace("## pay-rent", "## Pay rent"), 3),
        (ONE + f"\n## pay-rent\n\n```yaml\n{BODY}```\n", 15),
        (ONE.replace("scope: rent\n", ""), 3),
        (ONE.replace("active", "perhaps"), 9),
        (ONE.replace("allowed_tools", "allowed_tool"), 11),
        (ONE.replace("daily_external_usd: 10", "daily_external_usd: -1"), 12),
        (ONE.partition("constraints")[0] + "```\n", 3),
        (ONE.partition("constraints")[0] + "constraints:\n  unconstrained: true\n```\n", 3),
        (ONE.replace("[bank__pay]", "bank__pay"), 11),
        (ONE.replace("```yaml\n", "```yaml\n- "), 7),
        ("## pay-rent\n", 1),
        (ONE.removesuffix("```\n"), 5),
    ],
)
def test_what_is_not_understood_makes_the_whole_file_invalid(text: str, line: int) -> None:
    with pytest.raises(PolicyInvalid) as caught:
        parse_mandates(text)
    assert caught.value.line == line


def test_an_unconstrained_mandate_says_why() -> None:
    text = ONE.partition("constraints")[0] + "constraints:\n  unconstrained: true\n  justification: a drill\n```\n"
    assert parse_mandates(text).mandates["pay-rent"].constraints.unconstrained


def test_the_fleets_file_says_which_of_an_agents_count() -> None:
    own = parse_mandates(ONE, "rook/mandates.md")
    meta = "## _meta\n\nper_agent_mandate_policy: listed\nallowed_per_agent_ids: [{}]\n"
    assert [m.id for m in merged(None, own)] == ["pay-rent"]
    assert [m.id for m in merged(parse_mandates(meta.format("pay-rent")), own)] == ["pay-rent"]
    for refusing in (meta.format("x"), meta.replace("listed", "forbidden").format("pay-rent"), ONE):
        with pytest.raises(PolicyInvalid):
            list(merged(parse_mandates(refusing), own))


@pytest.mark.parametrize(
    ("window", "moment", "holds"),
    [
        ("{days: [mon, fri], hours_local: 09:00-17:00, tz: Europe/Berlin}", "2026-11-20T08:30", True),
        ("{days: [mon, fri], hours_local: 09:00-17:00, tz: Europe/Berlin}", "2026-11-20T16:00", False),
        ("{days: [mon], hours_local: 09:00-17:00}", "2026-11-20T10:00", False),
        ("{days: [thu], hours_local: 22:00-02:00}", "2026-11-20T01:00", True),
        ("{days: [fri], hours_local: 22:00-02:00}", "2026-11-20T01:00", False),
        ("{start: '08:00', end: '12:00'}", "2026-11-20T11:59", True),
        ("{start: '08:00', end: '12:00'}", "2026-11-20T12:00", False),
        ("{days: [fri]}", "2026-11-20T23:59", True),
    ],
)
def test_a_time_window_holds_by_its_own_clock(window: str, moment: str, holds: bool) -> None:
    text = ONE.replace("  daily_external_usd: 10\n", f"  time_window: {window}\n")
    found = parse_mandates(text).mandates["pay-rent"].constraints.window
    assert isinstance(found, TimeWindow)
    assert found.holds_at(datetime.fromisoformat(moment).replace(tzinfo=UTC)) is holds


@pytest.mark.parametrize(
    ("target", "kind", "value", "server", "covered"),
    [
        (Target(value="A@b.example"), "to", "a@B.example", None, True),
        (Target(kind="to", value="a@b.example"), "cc", "a@b.example", None, False),
        (Target(kind="to", value="a@b.example"), None, "a@b.example", None, True),
        (Target(prefix="https://ok.example/"), "url", "https://ok.example/x", None, True),
        (Target(prefix="https://ok.example/"), "url", "https://ok.example.evil/x", None, False),
        (Target(prefix="mcp:mail:"), "to", "anybody", "mail", True),
        (Target(prefix="mcp:mail:"), "to", "anybody", "other", False),
        (Target(value="bob"), "to", "bobby", None, False),
    ],
)
def test_a_target_covers_what_it_names(
    target: Target, kind: str | None, value: str, server: str | None, covered: bool
) -> None:
    assert target.covers(kind, value, server) is covered
