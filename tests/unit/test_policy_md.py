"""policy.md: the fleet's floor, read in every layout or refused with its line."""

from __future__ import annotations

import pytest

from argosy_core.policy.errors import PolicyInvalid
from argosy_core.policy.policy_md import Caps, parse_policy

USD = 1_000_000_000


@pytest.mark.parametrize(
    "text",
    [
        "---\ncost_caps:\n  daily_usd: 5\n  monthly_usd: 90\ntools:\n  deny: [mail__send]\n---\n# Policy\n\nProse.\n",
        "# Policy\n\n```yaml\ncost_caps:\n  daily_usd: 5\n  monthly_usd: 90\ntools:\n  deny: [mail__send]\n```\n",
        "# Policy\n\n## Cost caps\n\n- daily_usd: 5\n- monthly_usd: 90\n\n## Tools\n\n- deny: mail__send\n",
        "## Cost caps\n\n```yaml\ndaily_usd: 5\nmonthly_usd: 90\n```\n\n## Tools\n\n```yaml\ndeny: [mail__send]\n```\n",
    ],
)
def test_every_layout_says_the_same(text: str) -> None:
    rules = parse_policy(text).rules_for("rook")
    assert rules.cost_caps == Caps(5 * USD, 90 * USD)
    assert rules.tools.refuses("mail__send") == "deny"
    assert rules.tools.refuses("mail__read") is None


def test_an_agents_entry_takes_the_lower_cap_and_both_lists() -> None:
    text = (
        "```yaml\ncost_caps: {daily_usd: 5, monthly_usd: 90}\ntools: {allow: [a], deny: [d]}\nmodel: x\n"
        "agents:\n  rook:\n    cost_caps: {daily_usd: 9, monthly_usd: 3}\n    tools: {allow: [b], deny: [b]}\n```\n"
    )
    file = parse_policy(text)
    rook, other = file.rules_for("rook"), file.rules_for("reef")
    assert rook.cost_caps == Caps(5 * USD, 3 * USD)
    assert [rook.tools.refuses(name) for name in "abcd"] == [None, "deny", "allow", "deny"]
    assert [other.tools.refuses(name) for name in "abcd"] == [None, "allow", "allow", "deny"]
    assert rook.model == "x"


def test_an_empty_file_caps_nothing() -> None:
    assert parse_policy("").rules_for("rook").cost_caps == Caps()
    assert parse_policy("# Policy\n\nWe trust each other: nothing is capped.\n").rules_for("rook").cost_caps == Caps()


def test_no_cap_and_a_cap_of_nothing_are_two_things() -> None:
    caps = parse_policy("## Cost caps\n\n- daily_usd: 0\n- monthly_usd: null\n").fleet.cost_caps
    assert caps == Caps(0, None)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("## Cost cap\n\n- daily_usd: 5\n", 1),
        ("# P\n\n## Cost caps\n\n- dayly_usd: 5\n", 5),
        ("## Cost caps\n\n- daily_usd: -5\n", 3),
        ("## Cost caps\n\n- daily_usd: five\n", 3),
        ("## Cost caps\n\n- daily_usd: 1e40\n", 3),
        ("## Cost caps\n\n- daily_usd: 5\n- daily_usd: 6\n", 4),
        ("```yaml\nagents: [rook]\n```\n", 2),
        ("```yaml\nagents:\n  ../x: {}\n```\n", 3),
        ("```yaml\nagents:\n  rook: {agents: {}}\n```\n", 3),
        ("```yaml\ntools: {allow: {a: b}}\n```\n", 2),
        ("```yaml\ntools: {deny: ['a*b']}\n```\n", 2),
        ("```yaml\ncost_caps: [\n```\n", 2),
        ("---\nagent: x\ncaps: 3\n---\n", 2),
        ("```yaml\ncost_caps: {}\n", 1),
        ("# P\n\ncost_caps: 5 and daily_usd: 3 are what we want\n", 3),
        ("```toml\ndaily_usd = 5\n```\n", 1),
        ("## Tools\n\n- mail__send\n", 3),
        (b"## Cost caps\n\n- daily_usd: \xff\n", 3),
    ],
)
def test_what_is_not_understood_is_refused_with_its_line(text: str | bytes, line: int) -> None:
    with pytest.raises(PolicyInvalid) as caught:
        parse_policy(text)
    assert caught.value.line == line
    assert caught.value.where == "policy.md"


@pytest.mark.parametrize(
    ("line", "refused", "left"),
    [
        ("- deny: shell__*", "shell__run", "mail__send"),
        ("- **deny:** shell__*", "shell__run", "mail__send"),
        ("- deny: **shell__***", "shell__run", "mail__send"),
        ("- deny: mail__*, shell__* (for now)", "shell__run", "bank__pay"),
        ("- deny: **shell__run** # for now", "shell__run", "shell__show"),
        ("- allow: mail__*", "shell__run", "mail__send"),
    ],
)
def test_a_prefix_written_as_a_list_item_keeps_its_star(line: str, refused: str, left: str) -> None:
    tools = parse_policy(f"## Tools\n\n{line}\n").fleet.tools
    assert tools.refuses(refused) is not None
    assert tools.refuses(left) is None


def test_a_star_alone_is_everything() -> None:
    assert parse_policy("## Tools\n\n- deny: *\n").fleet.tools.refuses("shell__run") == "deny"
