"""``mcp-host connect`` as a person uses it: the file before and after, and the servers that the client then starts."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from warm import PYTHONPATH

from argosy_host.cli import run_cli
from argosy_host.clients.entries import CLIENTS
from argosy_host.clients.jsonc_syntax import parse

pytestmark = pytest.mark.timeout(120)
FILES = {
    "claude-desktop": ".config/Claude/claude_desktop_config.json",
    "claude-code": ".claude.json",
    "cursor": ".cursor/mcp.json",
    "vscode": ".config/Code/User/mcp.json",
}
FOLDERS = (".config/Claude", ".claude", ".cursor", ".config/Code")
WORK = """\
{
\t// what I use at work
\t"mcpServers": {
\t\t"web": {"command": "web", "env": {"KEY": "hunter2"}}, // keep
\t},
}
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home on Linux with every client in it."""
    for name in ("XDG_CONFIG_HOME", "CLAUDE_CONFIG_DIR", "VSCODE_APPDATA", "VSCODE_PORTABLE", "PYTHONPATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for folder in FOLDERS:
        (tmp_path / "home" / folder).mkdir(parents=True)
    return tmp_path / "home"


@pytest.fixture
def vault(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    assert run_cli(["init", str(home / "vault")]) == 0
    monkeypatch.setenv("ARGOSY_VAULT", str(home / "vault"))
    return home / "vault"


@pytest.fixture
def cursor(home: Path) -> Path:
    return home / FILES["cursor"]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def names(file: Path) -> list[str]:
    return sorted(path.name for path in file.parent.iterdir())


def servers_in(client: str, file: Path) -> dict[str, Any]:
    found: dict[str, Any] = parse(file.read_text(encoding="utf-8-sig")).value[CLIENTS[client].key]
    return found


@pytest.mark.parametrize("client", list(CLIENTS))
def test_the_entry_is_in_the_file_of_the_client_and_goes_again(
    client: str, home: Path, vault: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = home / FILES[client]
    assert run_cli(["connect", client]) == 0
    shown = capsys.readouterr().out
    assert servers_in(client, file)["argosy"]["args"][-2:] == ["--vault", str(vault)]
    assert f"+++ {file}" in shown
    assert f"Added argosy in {file}." in shown
    assert CLIENTS[client].next_step in shown

    assert run_cli(["connect", client]) == 0
    assert "Nothing to do" in capsys.readouterr().out
    assert run_cli(["connect", client, "--remove"]) == 0
    assert servers_in(client, file) == {}
    assert "Removed argosy" in capsys.readouterr().out
    assert run_cli(["connect", client, "--remove"]) == 0
    assert "Nothing to do" in capsys.readouterr().out


@pytest.mark.parametrize("encoded", ["plain", "crlf", "bom"])
def test_everything_else_in_the_file_stays_byte_for_byte(
    encoded: str, cursor: Path, vault: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = WORK.replace("\n", "\r\n") if encoded == "crlf" else WORK
    before = text.encode("utf-8-sig" if encoded == "bom" else "utf-8")
    cursor.write_bytes(before)
    assert run_cli(["connect", "cursor", "--server", "memory"]) == 0
    after = cursor.read_bytes()
    start = before.index(b"// keep") + len(b"// keep")
    assert after.startswith(before[:start])
    assert after.endswith(before[start:])
    assert after.count(b"\r\n") == (after.count(b"\n") if encoded == "crlf" else 0)
    assert list(servers_in("cursor", cursor)) == ["web", "argosy-memory"]
    assert run_cli(["connect", "cursor", "--server", "memory", "--remove"]) == 0
    assert cursor.read_bytes() == before
    assert "hunter2" not in capsys.readouterr().out


def test_every_change_keeps_the_file_it_found(cursor: Path, vault: Path) -> None:
    cursor.write_text(WORK)
    cursor.chmod(0o644)
    assert run_cli(["connect", "cursor"]) == 0
    [backup] = [name for name in names(cursor) if name != "mcp.json"]
    assert backup.startswith("mcp.json.argosy-backup-")
    assert cursor.with_name(backup).read_text() == WORK
    assert run_cli(["connect", "cursor"]) == 0
    assert len(names(cursor)) == 2


@pytest.mark.parametrize("remove", [[], ["--remove"]])
def test_a_broken_file_is_refused_with_its_line_and_left_alone(
    remove: list[str], cursor: Path, vault: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = '{\n  "mcpServers": {\n    "web": {}\n    "argosy": {}\n  }\n}\n'
    cursor.write_text(broken)
    assert run_cli(["connect", "cursor", "--yes", *remove]) == 1
    assert f"corrupted: {cursor}:4: a comma" in capsys.readouterr().err
    assert cursor.read_text() == broken
    assert names(cursor) == ["mcp.json"]


def test_somebody_elses_entry_is_not_taken(cursor: Path, vault: Path, capsys: pytest.CaptureFixture[str]) -> None:
    theirs = '{"mcpServers": {"argosy": {"command": "ship"}}}'
    cursor.write_text(theirs)
    for words in ([], ["--remove"]):
        assert run_cli(["connect", "cursor", *words]) == 1
        assert "--yes" in capsys.readouterr().err
    assert cursor.read_text() == theirs
    assert run_cli(["connect", "cursor", "--yes"]) == 0
    assert servers_in("cursor", cursor)["argosy"]["command"] == sys.executable


def test_another_vault_takes_the_place_of_the_first(cursor: Path, vault: Path, home: Path) -> None:
    assert run_cli(["connect", "cursor"]) == 0
    assert run_cli(["init", str(home / "second")]) == 0
    assert run_cli(["connect", "cursor", "--vault", str(home / "second")]) == 0
    assert servers_in("cursor", cursor)["argosy"]["args"][-1] == str(home / "second")


def test_an_entry_can_go_when_its_vault_is_gone(cursor: Path, vault: Path, home: Path) -> None:
    assert run_cli(["connect", "cursor"]) == 0
    assert run_cli(["connect", "cursor", "--vault", str(home / "gone"), "--remove"]) == 0
    assert servers_in("cursor", cursor) == {}


def test_other_entries_of_ours_are_named_when_one_goes(
    cursor: Path, vault: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_cli(["connect", "cursor", "--agent", "harbor"]) == 0
    capsys.readouterr()
    assert run_cli(["connect", "cursor", "--remove"]) == 0
    assert "Still there: argosy-harbor" in capsys.readouterr().out


def test_json_is_one_object_that_says_what_was_done(
    cursor: Path, vault: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cursor.write_text(WORK)
    assert run_cli(["connect", "cursor", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["client"], found["name"], found["action"]) == ("cursor", "argosy", "added")
    assert found["entry"] == servers_in("cursor", cursor)["argosy"]
    assert Path(found["backup"]).read_text() == WORK
    assert found["diff"].startswith("--- ") and found["next"]
    assert run_cli(["connect", "cursor", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["action"] == "none"


# Before anything is written


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["--vault", "/nonexistent"], 1, "mcp-host init"),
        (["--vault", "{home}"], 1, "holds no agent"),
        (["--agent", "nobody"], 1, "agents: harbor"),
        (["--server", "mail"], 1, "servers: desk"),
        (["emacs"], 2, "Usage"),
    ],
)
def test_what_could_not_start_is_not_written(
    words: list[str],
    code: int,
    says: str,
    home: Path,
    cursor: Path,
    vault: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run_cli(["connect", "cursor", *(word.replace("{home}", str(home)) for word in words)]) == code
    assert says in capsys.readouterr().err
    assert names(cursor) == []


def test_a_client_that_is_not_there_gets_a_file_only_when_asked(
    home: Path, vault: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / ".config/Code").rmdir()
    assert run_cli(["connect", "vscode"]) == 1
    assert "VS Code does not seem to be here" in capsys.readouterr().err
    assert not (home / ".config/Code").exists()
    assert run_cli(["connect", "vscode", "--yes"]) == 0
    assert (home / FILES["vscode"]).is_file()


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("n\n", 1), ("", 1)])
def test_a_terminal_is_asked(
    answer: str, code: int, cursor: Path, vault: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    assert run_cli(["connect", "cursor"]) == code
    assert "Write this?" in capsys.readouterr().err
    assert cursor.exists() == (code == 0)


def test_yes_asks_nothing(cursor: Path, vault: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(""))
    assert run_cli(["connect", "cursor", "--yes"]) == 0


def test_an_interpreter_that_may_vanish_is_mentioned(
    cursor: Path, vault: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "executable", "/home/ada/.cache/uv/archive-v0/abc/bin/python")
    assert run_cli(["connect", "cursor"]) == 0
    assert "uv tool install argosy" in capsys.readouterr().err


# What the client starts


@pytest.mark.parametrize(("client", "flags"), [(name, []) for name in CLIENTS] + [("cursor", ["--server", "memory"])])
@pytest.mark.anyio
async def test_an_entry_starts_from_anywhere_with_an_empty_environment(
    client: str, flags: list[str], home: Path, vault: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", PYTHONPATH)  # this tree need not be installed
    assert run_cli(["connect", client, *flags]) == 0
    [entry] = servers_in(client, home / FILES[client]).values()
    variables = [f"{name}={value}" for name, value in entry["env"].items()]
    line = ["-i", *variables, entry["command"], *entry["args"]]
    server = StdioServerParameters(command="/usr/bin/env", args=line, cwd="/")
    async with Client(stdio_client(server), read_timeout_seconds=60) as session:
        tools = {tool.name for tool in (await session.list_tools()).tools}
        result = await session.call_tool("memory_search", {"query": "paste"})
    assert ("goal_create" in tools) == (not flags)
    assert "desk_answer" not in tools
    assert not result.is_error
    assert (result.structured_content or {})["hits"]
