from __future__ import annotations

import posixpath
import sys
import unicodedata
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy_core.policy.scope import check_write, find_paths
from argosy_core.policy.tools_md import ToolsFile, parse_tools

TOOLS = parse_tools(
    """## Write paths

- `memory/` — notes
- `~/agents/alder/output/`
- `~/agents/orchard/` — the harvest books
- `log/` — a wish that is not granted
- `~/agents/birch/` — another's
- `drafts/**`
- `sketches/*.md`
- `~/elsewhere/` — not in the vault

## Read-only paths

- `output/Archive/`
- `sketches/old*`
"""
)
AGENTS = ("alder", "birch")


@pytest.mark.parametrize(
    "target",
    [
        "memory/user_hives.md",
        "~/agents/alder/memory/x.md",
        "./output/../memory/x.md",
        "output/report 1.md",
        "~/agents/orchard/2026.md",
        "drafts/a/b.md",
        "memory/persona/x.md",
        "../alder/memory/x.md",
        "file:memory/x.md",
        "/srv/vault/alder/memory/x.md",
    ],
)
def test_a_write_inside_the_write_paths_is_allowed(target: str) -> None:
    check = check_write(TOOLS, "alder", target, agents=AGENTS, root="/srv/vault")

    assert check.allowed, check.reason
    assert "write path on line" in check.reason


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("wiki/x.md", "no write path"),
        ("MEMORY/x.md", "no write path"),
        ("sketches/x.md", "read-only path on line 15"),
        ("output/archive/2020.md", "read-only path on line 14"),
        ("output/ARCHIVE/2020.md", "read-only path on line 14"),
        ("memory/x.md ", None),
        ("sketches/old_map.md", "read-only path on line 15"),
        ("log/2026-03/x.jsonl", "log is a standing document"),
        ("persona/IDENTITY.md", "persona is a standing document"),
        ("PERSONA/identity.md", "persona is a standing document"),
        ("vault/escalations/high_risk/q.md", "vault is a standing document"),
        ("judges.md", "judges.md is a standing document"),
        ("Judges.MD", "judges.md is a standing document"),
        ("judges.md. ", "judges.md is a standing document"),
        ("judges\u200b.md", "judges.md is a standing document"),
        ("goal_history.jsonl", "standing document"),
        ("~/agents/registry.json", "registry.json is a standing document"),
        ("~/agents/policy.md", "policy.md is a standing document"),
        ("~/agents/_fleet/triggers/x.md", "_fleet is a standing document"),
        ("~/agents/.argosy/index.sqlite", "hidden"),
        ("memory/.versions/x.md", "hidden"),
        ("~/agents/birch/memory/x.md", "birch is another agent's folder"),
        ("~/agents/Birch/memory/x.md", "Birch is another agent's folder"),
        ("~/agents/Alder/memory/x.md", "another spelling"),
        ("memory/x.md:stream", "colon"),
        ("~/agents/", "the vault's root"),
        ("~/elsewhere/x.md", "outside the vault"),
        ("/etc/passwd", "outside the vault"),
        ("memory/../../../etc/passwd", "outside the vault"),
        ("memory/%2e%2e/judges.md", "judges.md is a standing document"),
        ("memory/%252e%252e%252fjudges.md", "standing document"),
        ("memory/．．/judges.md", "standing document"),
        ("memory∕..∕judges.md", "standing document"),
        ("memory／．．／judges.md", "no write path"),
        ("memory\\..\\judges.md", "standing document"),
        ("memory/..%5c..%5cbirch", "birch is another agent's folder"),
        ("memory/%c0%ae%c0%ae/x", "outside the vault"),
        ("memory/%25252525252525252e/x", "outside the vault"),
        ("C:/x", "outside the vault"),
        ("\\\\host\\share", "outside the vault"),
        ("~root/.ssh/authorized_keys", "outside the vault"),
        ("$HOME/x", "outside the vault"),
    ],
)
def test_a_write_outside_is_refused_with_the_rule_that_says_so(target: str, said: str | None) -> None:
    check = check_write(TOOLS, "alder", target, agents=AGENTS)
    if said is None:
        assert check.allowed
        return

    assert not check.allowed
    assert said in check.reason or "hidden" in check.reason


def test_without_write_paths_an_agent_writes_in_its_own_folder() -> None:
    for tools in (None, ToolsFile(), parse_tools("## Read paths\n- `~/agents/birch/`\n")):
        assert check_write(tools, "alder", "anywhere/x.md").allowed
        assert not check_write(tools, "alder", "model.md").allowed
        assert not check_write(tools, "alder", "~/agents/orchard/x.md").allowed


def test_an_empty_list_of_write_paths_allows_nothing() -> None:
    assert not check_write(ToolsFile(write_paths=()), "alder", "memory/x.md").allowed


def test_without_the_agents_names_every_other_folder_counts_as_one() -> None:
    tools = parse_tools("## Write paths\n- `~/agents/`\n")

    assert not check_write(tools, "alder", "~/agents/orchard/x.md").allowed
    assert check_write(tools, "alder", "~/agents/orchard/x.md", agents=AGENTS).allowed
    assert check_write(tools, "alder", "~/agents/notes.md").allowed


def test_read_only_wins_over_the_own_folder_too() -> None:
    tools = parse_tools("## Read-only paths\n- `raw/`\n")

    assert not check_write(tools, "alder", "raw/x.md").allowed
    assert check_write(tools, "alder", "raw2/x.md").allowed


def test_paths_are_found_at_any_depth_under_any_key() -> None:
    arguments = {
        "filename": "/etc/passwd",
        "outputPath": "x",
        "old_file": "y.md",
        "files": ["judges.md"],
        "to": "z",
        "a/b": [{"~c": "../x"}, "plain text", "and/or", 7, None],
        "note": "~/secrets",
        "wrapped": "\n /etc/shadow \n",
        "hidden": "%2e%2e%2fetc",
        "wide": "．．／etc",
        "win": "C:\\x",
        "share": "\\\\host\\x",
        "url": "file:///x",
        "long": "/" + "./" * 800 + "etc/passwd",
        "climb": "my notes/../../x y",
    }
    found = dict(find_paths(arguments))

    assert set(found) == {
        "/filename",
        "/outputPath",
        "/old_file",
        "/files/0",
        "/to",
        "/a~1b/0/~0c",
        "/a~1b/2",
        "/note",
        "/wrapped",
        "/hidden",
        "/wide",
        "/win",
        "/share",
        "/url",
        "/long",
        "/climb",
    }
    assert found["/a~1b/0/~0c"] == "../x"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "two words",
        "https://x.example/a/b",
        "First line.\n/second line",
        "~5 hives, 50% fuller",
        "either / or",
        "/9j/" + "4AAQSkZJRgABAQ" * 100,
        "日本語のメモ",
    ],
)
def test_prose_links_and_data_are_no_paths(text: str) -> None:
    assert find_paths({"body": text, "profile": "casual", "total": "12"}) == []


def test_arguments_of_any_depth_are_searched() -> None:
    nested: object = "../x"
    for _ in range(sys.getrecursionlimit() * 2):
        nested = [nested]

    assert len(find_paths({"a": nested})) == 1


@given(st.text(st.sampled_from("./\\~%2eE5cCfF:．／∕ \u200b") | st.characters(), max_size=24))
def test_nothing_that_is_allowed_can_be_read_as_a_way_out(target: str) -> None:
    if not check_write(None, "alder", f"memory/{target}").allowed:
        return
    once = unquote(target)
    wide = unicodedata.normalize("NFKC", once)
    for form in (target, once, unquote(once), wide, unquote(wide), target.replace("\\", "/")):
        place = posixpath.normpath("/vault/alder/memory/" + form.strip(" "))
        assert place == "/vault/alder" or place.startswith("/vault/alder/"), form
        assert not place.startswith(("/vault/alder/persona", "/vault/alder/log/", "/vault/alder/judges.md")), form


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(), lambda v: st.lists(v) | st.dictionaries(st.text(), v)
)


@given(json_values)
def test_any_arguments_are_searched(arguments: object) -> None:
    for pointer, text in find_paths(arguments):
        value = arguments
        for step in pointer.split("/")[1:]:
            name = step.replace("~1", "/").replace("~0", "~")
            value = value[int(name)] if isinstance(value, list) else value[name]  # type: ignore[index]
        assert value == text
