from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy_core.policy.errors import PolicyInvalid
from argosy_core.policy.tools_md import PathRule, ToolsFile, parse_tools, resolve_path
from argosy_core.types import ActionClass

TOOLS = """# TOOLS — Alder

## Read paths

- `~/agents/alder/` — own folder
- ~/agents/orchard/ the harvest books

## Write paths (own folder ONLY)

- `memory/` and `wiki/` — notes; see `raw/`
- output/reports
- (none)

## Read-only paths

- `output/archive/`
- `raw/*.pdf`

## Hard NOs (no exceptions)

- ❌ **Never send mail.** Not even drafts.

## External APIs

- **Weather** — forecasts

## Tool classification

Mail leaves the house: be strict.

- send_mail: high_risk
- `forge__open_issue`: external_side_effect — public
weather: read_only

## Helpers

- prose for the agent
"""


def test_each_section_is_read_with_its_lines() -> None:
    tools = parse_tools(TOOLS)

    assert tools.read_paths == (
        PathRule("~/agents/alder/", 5, "own folder"),
        PathRule("~/agents/orchard/", 6),
    )
    assert tools.write_paths is not None
    assert [(rule.path, rule.line) for rule in tools.write_paths] == [
        ("memory/", 10),
        ("wiki/", 10),
        ("output/reports", 11),
    ]
    assert [rule.path for rule in tools.read_only_paths] == ["output/archive/", "raw/*.pdf"]
    assert tools.hard_nos == ("❌ Never send mail. Not even drafts.",)
    assert tools.external_apis == ("Weather — forecasts",)
    assert tools.classification == {
        "send_mail": ActionClass.HIGH_RISK,
        "forge__open_issue": ActionClass.EXTERNAL_SIDE_EFFECT,
        "weather": ActionClass.READ_ONLY,
    }
    assert tools.problems == ()


def test_no_write_section_is_not_an_empty_one() -> None:
    assert parse_tools("# T\n").write_paths is None
    assert parse_tools("## Write paths\n\nnone\n").write_paths == ()
    assert parse_tools("") == ToolsFile()


def test_classes_may_stand_in_yaml() -> None:
    tools = parse_tools("## Tool classification\n\n```yaml\nsend_mail: high_risk\n```\n")

    assert tools.classification == {"send_mail": ActionClass.HIGH_RISK}


def test_what_is_not_read_is_listed() -> None:
    tools = parse_tools(
        "## Write paths\n\n- wherever it likes\n- `notes/*.md`\n\n## Write path for friends\n\n- `x/`\n"
    )

    assert [(problem.line, problem.severity) for problem in tools.problems] == [
        (3, "warning"),
        (4, "warning"),
        (6, "warning"),
    ]
    assert "no path found" in tools.problems[0].message
    assert "is a pattern" in tools.problems[1].message
    assert "read as prose" in tools.problems[2].message


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("## Tool classification\n- send_mail: high-risk", 2, "send_mail must be one of"),
        ("## Tool classification\n- send mail high_risk", 2, "not `- tool: class`"),
        ("## Tool classification\n-send_mail: high_risk", 2, "not `- tool: class`"),
        ("## Tool classification\n| send_mail | high_risk |", 2, "not `- tool: class`"),
        ("## Tool classification\n```text\nsend_mail: high_risk\n```", 3, "not read"),
        ("## Tool classification\n- a: high_risk\n- a: read_only", 3, "two classes"),
        ("## Tool classification\n```yaml\na: b: c\n```", 3, "must stand in quotes"),
        ("## Read-only paths\n- everything old", 2, "no path found"),
        ("## Hard NOs\n<!--\n## Read-only paths\n- `x`", 2, "never closed"),
    ],
)
def test_what_would_allow_too_much_is_refused_with_its_line(text: str, line: int, said: str) -> None:
    with pytest.raises(PolicyInvalid) as caught:
        parse_tools(text, "alder/tools.md")

    assert caught.value.message.startswith(f"alder/tools.md line {line}: ")
    assert said in caught.value.message


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("memory/a.md", "alder/memory/a.md"),
        ("./memory//a.md", "alder/memory/a.md"),
        ("memory/../wiki", "alder/wiki"),
        ("../birch/x", "birch/x"),
        ("~/agents/birch/x/", "birch/x"),
        ("~/docs/agents", "."),
        ("..", "."),
        ("日本/ノート.md", "alder/日本/ノート.md"),
        ("../../x", None),
        ("~/agents/../x", None),
        ("/etc/passwd", None),
        ("~", None),
        ("~birch/x", None),
        ("C:\\notes", None),
        ("c:notes", None),
        ("\\\\host\\share", None),
        ("//host/share", None),
        ("file:///etc/passwd", None),
        ("file://host/share", None),
        ("file:memory/a.md", "alder/memory/a.md"),
        ("https://x.example/a", None),
        ("$HOME/a", None),
        ("%APPDATA%/a", None),
        ("memory\\a.md", "alder/memory/a.md"),
        ("memory∕..∕..∕birch", "birch"),
        ("a\0b", None),
        ("a\nb", None),
    ],
)
def test_a_path_becomes_its_place_in_the_vault_or_none(path: str, place: str | None) -> None:
    assert resolve_path(path, "alder") == place


def test_the_vaults_absolute_path_is_inside_when_it_is_known() -> None:
    assert resolve_path("/srv/vault/alder/x", "alder", root="/srv/vault") == "alder/x"
    assert resolve_path("/srv/vault-evil/x", "alder", root="/srv/vault") is None
    assert resolve_path("/srv/vault/../x", "alder", root="/srv/vault") is None


@given(st.text() | st.lists(st.sampled_from(TOOLS.splitlines()), max_size=12).map("\n".join))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        parse_tools(text)
    except PolicyInvalid as refused:
        assert refused.line >= 1


@given(st.text(st.sampled_from("./\\~%2eE5cC f:．／∕") | st.characters(), max_size=20))
def test_no_path_resolves_to_a_place_outside(path: str) -> None:
    place = resolve_path(path, "alder")

    assert place is None or place == "." or not any(part in ("", ".", "..") for part in place.split("/"))
