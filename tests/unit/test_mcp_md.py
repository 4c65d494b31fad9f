from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy_core.policy.errors import PolicyInvalid
from argosy_core.policy.mcp_md import DEFAULT_COMMANDS, McpEntry, digest, parse_mcp
from argosy_core.types import ActionClass

MCP = """# MCP servers

Servers that Alder asks for.

## filesystem
command: npx
args: -y, @scope/server-files, ~/agents/alder/raw, "a, b"
env: TOKEN=$FILES_TOKEN, MODE=${FILES_MODE}
description: Reads: the harvest books
  and nothing else

## `weather`

- command: `uvx`
- args:
  - weather-server
  - --units: metric
- env:
  - WEATHER_KEY: $WEATHER_KEY
- default_action_class: `read_only` — it only asks

## forge

```yaml
url: https://forge.example/mcp
transport: http
env: {FORGE_KEY: $FORGE_KEY}
default_action_class: external_side_effect
```

## Tool overrides

- forge__delete_repository: high_risk

## Allowed commands

- npx, `uvx`
"""


def test_servers_are_read_with_their_lines() -> None:
    file = parse_mcp(MCP)

    assert file.entries == (
        McpEntry(
            server="filesystem",
            line=5,
            command="npx",
            args=("-y", "@scope/server-files", "~/agents/alder/raw", "a, b"),
            env={"TOKEN": "FILES_TOKEN", "MODE": "FILES_MODE"},
            description="Reads: the harvest books and nothing else",
        ),
        McpEntry(
            server="weather",
            line=12,
            command="uvx",
            args=("weather-server", "--units: metric"),
            env={"WEATHER_KEY": "WEATHER_KEY"},
            default_action_class=ActionClass.READ_ONLY,
        ),
        McpEntry(
            server="forge",
            line=22,
            env={"FORGE_KEY": "FORGE_KEY"},
            transport="http",
            url="https://forge.example/mcp",
            default_action_class=ActionClass.EXTERNAL_SIDE_EFFECT,
        ),
    )
    assert list(file) == list(file.entries)
    assert file.overrides == {"forge__delete_repository": ActionClass.HIGH_RISK}
    assert file.allowed_commands == {"npx", "uvx"}


def test_without_a_list_of_commands_the_default_one_holds() -> None:
    assert parse_mcp("").allowed_commands == DEFAULT_COMMANDS
    assert parse_mcp("## Allowed commands\n\nnone at all\n").allowed_commands == frozenset()


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("## two words\ncommand: x", 1, "no server name"),
        ("## a\nargs: x", 1, "has no command"),
        ("## a\ncommand: x\ncomand: y", 3, "unknown key 'comand'"),
        ("## a\ncommand: x\ncommand: y", 3, "a second time"),
        ("## a\ncommand: x\n\n## a\ncommand: y", 4, "a second time"),
        ("## a\ncommand: x\nenv: KEY=hunter2", 3, "never a value"),
        ("## a\ncommand: x\nenv:\n- KEY=$A B", 4, "must be `key: value`"),
        ("## a\ncommand: x\ntransport: pigeon", 3, "transport must be one of"),
        ("## a\ncommand: x\n- some prose", 3, "must be `key: value`"),
        ("## a\ncommand:\n  - x", 3, "nothing may stand below"),
        ("## a\ncommand: x\ndefault_action_class: harmless", 3, "must be one of"),
        ("## tool overrides\n- x: high", 2, "x must be one of"),
        ("## a\n```yaml\ncommand: a: b\n```", 3, "must stand in quotes"),
        ("## a\n```yaml\ncommand: x\n", 2, "never closed"),
    ],
)
def test_what_is_not_understood_is_refused_with_its_line(text: str, line: int, said: str) -> None:
    with pytest.raises(PolicyInvalid) as caught:
        parse_mcp(text, "alder/mcp.md")

    assert caught.value.message.startswith(f"alder/mcp.md line {line}: ")
    assert said in caught.value.message
    assert "hunter2" not in str(caught.value)


def test_the_digest_follows_all_that_would_run_and_nothing_else() -> None:
    entry = parse_mcp(MCP).entries[0]
    same = [replace(entry, description="other"), replace(entry, line=1), replace(entry, default_action_class=None)]
    others = [
        replace(entry, server="x"),
        replace(entry, command="x"),
        replace(entry, args=entry.args[:-1]),
        replace(entry, env={**entry.env, "TOKEN": "OTHER"}),
        replace(entry, env={}),
        replace(entry, transport="sse"),
        replace(entry, url="https://x.example"),
    ]

    assert {digest(item) for item in same} == {digest(entry)}
    assert len({digest(item) for item in [entry, *others]}) == 8
    assert len(digest(entry)) == 64


@given(st.text() | st.lists(st.sampled_from(MCP.splitlines()), max_size=12).map("\n".join))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        file = parse_mcp(text)
    except PolicyInvalid as refused:
        assert refused.line >= 1
    else:
        assert all(entry.command or entry.url for entry in file)
