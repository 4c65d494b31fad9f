"""What a client is told to start, in the shape that its documentation gives."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from argosy_core.errors import AlreadyExists, Corrupted, InvalidArgument, NotFound
from argosy_core.fleet import packaged
from argosy_host.clients.changes import connect_in, diff, disconnect_in, ours_in
from argosy_host.clients.entries import CLIENTS, MAX_NAME_CHARS, Target, client_called, entry_name, entry_of, is_ours
from argosy_host.clients.jsonc_syntax import parse

PYTHON = "/opt/argosy/bin/python"
TARGET = Target(Path("/home/ada/vault"))
ARGS = ["-P", "-m", "argosy_host", "serve", "--vault", "/home/ada/vault"]
CURSOR = CLIENTS["cursor"]
ENTRY = entry_of(CURSOR, TARGET, PYTHON, {})
FILE = "mcp.json"


@pytest.mark.parametrize(
    ("client", "document"),
    [
        ("claude-desktop", {"mcpServers": {"argosy": {"command": PYTHON, "args": ARGS}}}),
        ("claude-code", {"mcpServers": {"argosy": {"type": "stdio", "command": PYTHON, "args": ARGS}}}),
        ("cursor", {"mcpServers": {"argosy": {"command": PYTHON, "args": ARGS}}}),
        ("vscode", {"servers": {"argosy": {"type": "stdio", "command": PYTHON, "args": ARGS}}}),
    ],
)
def test_each_client_gets_the_shape_it_documents(client: str, document: object) -> None:
    known = client_called(client)
    change = connect_in("", known, "argosy", entry_of(known, TARGET, PYTHON, {}), FILE, force=False)
    assert parse(change.text).value == document


def test_an_entry_names_the_servers_and_the_agent_that_were_chosen() -> None:
    target = Target(Path("/v"), "ada", ("memory", "goal", "memory"))
    args = entry_of(CURSOR, target, PYTHON, {})["args"]
    assert args == ["-P", "-m", "argosy_host", "serve", "memory", "goal", "--vault", "/v", "--agent", "ada"]


def test_every_path_in_an_entry_is_absolute_and_keeps_the_links_of_the_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "real").mkdir()
    (tmp_path / "vault").symlink_to("real")
    entry = entry_of(CURSOR, Target(Path("x/../vault")), "env/bin/python", {})
    assert entry["command"] == str(tmp_path / "env/bin/python")
    assert entry["args"][-1] == str(tmp_path / "vault")


def test_no_entry_makes_the_client_an_operator() -> None:
    for client in CLIENTS.values():
        assert "--role" not in entry_of(client, Target(Path("/v"), "ada", ("desk",)), PYTHON, {})["args"]


def test_sources_that_are_on_the_path_of_this_process_are_on_that_of_the_server(tmp_path: Path) -> None:
    for name in ("ours/argosy_core", "theirs/thing"):
        (tmp_path / name).mkdir(parents=True)
    paths = os.pathsep.join([str(tmp_path / "ours"), str(tmp_path / "theirs"), "", str(tmp_path / "none")])
    assert entry_of(CURSOR, TARGET, PYTHON, {"PYTHONPATH": paths})["env"] == {"PYTHONPATH": str(tmp_path / "ours")}
    assert "env" not in entry_of(CURSOR, TARGET, PYTHON, {"PYTHONPATH": str(tmp_path / "theirs")})


@pytest.mark.parametrize("vault", ["/home/${env:USER}/vault", os.fsdecode(b"/home/\xff")])
def test_a_path_that_a_client_would_change_is_refused(vault: str) -> None:
    with pytest.raises(InvalidArgument):
        entry_of(CURSOR, Target(Path(vault)), PYTHON, {})


# Names


@pytest.mark.parametrize(
    ("agent", "servers", "name"),
    [
        (None, (), "argosy"),
        ("ada", (), "argosy-ada"),
        (None, ("memory",), "argosy-memory"),
        ("ada", ("memory", "goal", "goal"), "argosy-ada-goal-memory"),
        ("my_agent-2", (), "argosy-my_agent-2"),
    ],
)
def test_an_entry_is_called_after_what_was_chosen(agent: str | None, servers: tuple[str, ...], name: str) -> None:
    assert entry_name(agent, servers) == name


@pytest.mark.parametrize("agent", ["Ada", "Ада", "ad a", "é", "e\u0301", "a" * 200, "…", "-"])
def test_a_name_is_legal_in_every_client_and_belongs_to_one_choice(agent: str) -> None:
    name = entry_name(agent, ())
    assert name.replace("-", "").replace("_", "").isascii()
    assert name.replace("-", "").replace("_", "").isalnum()
    assert len(name) <= MAX_NAME_CHARS
    assert name not in {entry_name(other, ()) for other in ("ada", "ad-a", "e", "b" * 200, "…x") if other != agent}


def test_a_name_leaves_room_for_the_longest_tool() -> None:
    tools = [tool for server in packaged().servers for tool in server.tools]
    assert MAX_NAME_CHARS + max(map(len, tools)) < 60
    assert len(entry_name("ada", [server.name for server in packaged().servers])) <= MAX_NAME_CHARS


# Whose entry it is


@pytest.mark.parametrize(
    "entry",
    [
        None,
        [],
        {},
        {"args": "-m argosy_host serve"},
        {"command": "mcp-host", "args": ["serve"]},
        {"args": ["-m", "argosy_host", "doctor"]},
        {"url": "https://example.com"},
    ],
)
def test_an_entry_that_connect_did_not_write_is_not_ours(entry: object) -> None:
    assert not is_ours(entry)
    assert is_ours(ENTRY)


OTHERS = '{\n  "mcpServers": {\n    "argosy": {"command": "mine", "env": {"KEY": "hunter2"}}\n  }\n}\n'


def test_an_entry_of_somebody_else_is_taken_only_by_force() -> None:
    with pytest.raises(AlreadyExists, match=r"mcp\.json:3: the entry argosy is not one"):
        connect_in(OTHERS, CURSOR, "argosy", ENTRY, FILE, force=False)
    with pytest.raises(AlreadyExists):
        disconnect_in(OTHERS, CURSOR, "argosy", FILE, force=False)
    change = connect_in(OTHERS, CURSOR, "argosy", ENTRY, FILE, force=True)
    assert change.action == "replaced"
    assert parse(change.text).value == {"mcpServers": {"argosy": ENTRY}}
    assert disconnect_in(OTHERS, CURSOR, "argosy", FILE, force=True).action == "removed"


def test_what_a_person_added_to_our_entry_stays() -> None:
    old = entry_of(CURSOR, Target(Path("/old")), "/old/python", {})
    text = connect_in("", CURSOR, "argosy", {**old, "disabled": True, "env": {"KEY": "1"}}, FILE, force=False).text
    text = text.replace('"disabled": true,', '"disabled": true, // for now')
    entry = {**ENTRY, "env": {"PYTHONPATH": "/src"}}
    change = connect_in(text, CURSOR, "argosy", entry, FILE, force=False)
    assert change.action == "updated"
    found = parse(change.text).value["mcpServers"]["argosy"]
    assert found == {**ENTRY, "disabled": True, "env": {"KEY": "1", "PYTHONPATH": "/src"}}
    assert "// for now" in change.text
    assert connect_in(change.text, CURSOR, "argosy", entry, FILE, force=False).action == "none"


def test_variables_of_ours_that_are_no_object_are_named_with_their_line() -> None:
    text = connect_in("", CURSOR, "argosy", {"env": None, **ENTRY}, FILE, force=False).text
    with pytest.raises(Corrupted, match=r"mcp\.json:4: an object should stand here"):
        connect_in(text, CURSOR, "argosy", {**ENTRY, "env": {"PYTHONPATH": "/src"}}, FILE, force=False)


def test_all_entries_of_ours_are_found() -> None:
    text = connect_in(OTHERS.replace("argosy", "mine"), CURSOR, "argosy-ada", ENTRY, FILE, force=False).text
    assert ours_in(text, CURSOR, FILE) == ["argosy-ada"]
    assert ours_in("", CURSOR, FILE) == []


def test_a_broken_file_is_named_with_its_line() -> None:
    for broken in ('{\n"mcpServers" {}}', '{\n"mcpServers": 3}'):
        with pytest.raises(Corrupted, match=r"mcp\.json:2: "):
            connect_in(broken, CURSOR, "argosy", ENTRY, FILE, force=True)
        with pytest.raises(Corrupted, match=r"mcp\.json:2: "):
            disconnect_in(broken, CURSOR, "argosy", FILE, force=True)


def test_an_unknown_client_is_told_which_there_are() -> None:
    with pytest.raises(NotFound, match="claude-desktop, claude-code, cursor, vscode"):
        client_called("emacs")


# Showing


def test_the_change_is_shown_and_the_values_of_others_are_not() -> None:
    text = OTHERS.replace('"argosy"', '"mine"')
    change = connect_in(text, CURSOR, "argosy", ENTRY, FILE, force=False)
    shown = diff(text, change.text, CURSOR, "argosy", FILE)
    assert shown.startswith("--- mcp.json\n+++ mcp.json\n@@ -1,5 +1,16 @@\n {\n")
    assert f'+      "command": "{PYTHON}",' in shown
    assert '"mine": {"command": "…", "env": {"KEY": "…"}}' in shown
    assert "hunter2" not in shown


def test_the_values_of_an_entry_that_is_replaced_are_not_shown() -> None:
    change = connect_in(OTHERS, CURSOR, "argosy", ENTRY, FILE, force=True)
    assert "hunter2" not in diff(OTHERS, change.text, CURSOR, "argosy", FILE)


def test_a_change_far_down_in_a_long_file_is_shown_with_its_lines() -> None:
    lines = ",\n".join(f'  "k{n}": {n}' for n in range(20_000))
    text = f'{{\n{lines},\n  "mcpServers": {{}}\n}}\n'
    change = connect_in(text, CURSOR, "argosy", ENTRY, FILE, force=False)
    shown = diff(text, change.text, CURSOR, "argosy", FILE).splitlines()
    assert shown[2] == "@@ -20000,4 +20000,16 @@"
    assert [line for line in shown[3:] if line[0] == "-"] == ['-  "mcpServers": {}']
    assert len(shown) == 3 + 4 + 13
