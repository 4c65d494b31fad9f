"""Where the clients keep their configuration: every client on every operating system."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath

import pytest

from argosy_core.errors import NotFound
from argosy_host.clients.entries import CLIENTS
from argosy_host.clients.places import Machine, place_of

MAC = PurePosixPath("/Users/ada")
LINUX = PurePosixPath("/home/ada")
WINDOWS = PureWindowsPath("C:/Users/ada")
ROAMING = {"APPDATA": r"D:\Roaming", "LOCALAPPDATA": r"D:\Local"}
SUPPORT = "/Users/ada/Library/Application Support"
DESKTOP = "claude_desktop_config.json"
PACKAGED = rf"D:\Local\Packages\Claude_pzs8sxrjxfjjc\LocalCache\Roaming\Claude\{DESKTOP}"


def nothing(_: PurePath) -> Sequence[str]:
    return ()


def file_of(client: str, platform: str, home: PurePath, environ: Mapping[str, str]) -> str:
    return str(place_of(client, Machine(platform, home, environ, nothing)).file)


@pytest.mark.parametrize(
    ("client", "platform", "home", "environ", "file"),
    [
        ("claude-desktop", "darwin", MAC, {}, f"{SUPPORT}/Claude/{DESKTOP}"),
        ("claude-desktop", "linux", LINUX, {}, f"/home/ada/.config/Claude/{DESKTOP}"),
        ("claude-desktop", "linux", LINUX, {"XDG_CONFIG_HOME": "/cfg"}, f"/cfg/Claude/{DESKTOP}"),
        ("claude-desktop", "win32", WINDOWS, {}, rf"C:\Users\ada\AppData\Roaming\Claude\{DESKTOP}"),
        ("claude-desktop", "win32", WINDOWS, ROAMING, rf"D:\Roaming\Claude\{DESKTOP}"),
        ("claude-code", "darwin", MAC, {}, "/Users/ada/.claude.json"),
        ("claude-code", "linux", LINUX, {}, "/home/ada/.claude.json"),
        ("claude-code", "linux", LINUX, {"CLAUDE_CONFIG_DIR": "/cfg/claude"}, "/cfg/claude/.claude.json"),
        ("claude-code", "win32", WINDOWS, {}, r"C:\Users\ada\.claude.json"),
        ("cursor", "darwin", MAC, {}, "/Users/ada/.cursor/mcp.json"),
        ("cursor", "linux", LINUX, {"XDG_CONFIG_HOME": "/cfg"}, "/home/ada/.cursor/mcp.json"),
        ("cursor", "win32", WINDOWS, ROAMING, r"C:\Users\ada\.cursor\mcp.json"),
        ("vscode", "darwin", MAC, {}, f"{SUPPORT}/Code/User/mcp.json"),
        ("vscode", "linux", LINUX, {}, "/home/ada/.config/Code/User/mcp.json"),
        ("vscode", "linux", LINUX, {"XDG_CONFIG_HOME": "/cfg"}, "/cfg/Code/User/mcp.json"),
        ("vscode", "linux", LINUX, {"VSCODE_APPDATA": "/apps"}, "/apps/Code/User/mcp.json"),
        ("vscode", "linux", LINUX, {"VSCODE_PORTABLE": "/usb/data"}, "/usb/data/user-data/User/mcp.json"),
        ("vscode", "win32", WINDOWS, ROAMING, r"D:\Roaming\Code\User\mcp.json"),
    ],
)
def test_every_client_has_one_file_for_the_user(
    client: str, platform: str, home: PurePath, environ: dict[str, str], file: str
) -> None:
    assert file_of(client, platform, home, environ) == file


@pytest.mark.parametrize("environ", [{"XDG_CONFIG_HOME": ""}, {"XDG_CONFIG_HOME": "relative"}])
def test_a_folder_that_the_environment_does_not_really_name_is_the_default(environ: dict[str, str]) -> None:
    assert file_of("vscode", "linux", LINUX, environ) == "/home/ada/.config/Code/User/mcp.json"


def test_the_packaged_claude_desktop_of_windows_reads_below_its_package() -> None:
    def names(folder: PurePath) -> Sequence[str]:
        assert str(folder) == r"D:\Local\Packages"
        return ["Anthropic", "Claude_pzs8sxrjxfjjc", "Microsoft.Windows"]

    place = place_of("claude-desktop", Machine("win32", WINDOWS, ROAMING, names))
    assert str(place.file) == PACKAGED


@pytest.mark.parametrize(
    ("client", "folder"),
    [
        ("claude-desktop", "/home/ada/.config/Claude"),
        ("claude-code", "/home/ada/.claude"),
        ("cursor", "/home/ada/.cursor"),
        ("vscode", "/home/ada/.config/Code"),
    ],
)
def test_a_client_that_is_there_has_a_folder_of_its_own(client: str, folder: str) -> None:
    assert str(place_of(client, Machine("linux", LINUX, {}, nothing)).folder) == folder


def test_every_client_that_has_an_entry_has_a_place() -> None:
    for client in CLIENTS:
        assert place_of(client, Machine.here()).file.is_absolute()
    with pytest.raises(NotFound, match="claude-desktop"):
        place_of("emacs", Machine.here())


def test_a_folder_that_cannot_be_listed_holds_nothing(tmp_path: Path) -> None:
    machine = Machine("win32", tmp_path, {"LOCALAPPDATA": str(tmp_path / "none"), "APPDATA": str(tmp_path)})
    assert place_of("claude-desktop", machine).folder == tmp_path / "Claude"
