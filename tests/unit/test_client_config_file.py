"""A client's configuration file on disk: replaced at once, kept as it was beside it, never lost."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from argosy_core.errors import Conflict, Corrupted, PermissionDenied
from argosy_core.testing.fakes import FakeClock, SeededIds
from argosy_host.clients import config_file
from argosy_host.clients.config_file import BOM, ConfigFile, decode, encode


@pytest.fixture
def file(tmp_path: Path) -> ConfigFile:
    return ConfigFile(tmp_path / "mcp.json", FakeClock(), SeededIds(1))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_that_is_not_there_is_made_with_its_folders_for_the_user_alone(tmp_path: Path) -> None:
    file = ConfigFile(tmp_path / "Code/User/mcp.json", FakeClock(), SeededIds(1))
    assert file.read() is None
    assert file.replace(None, b"{}") is None
    assert file.read() == b"{}"
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    assert names(file.path.parent) == ["mcp.json"]


def test_what_was_there_is_kept_beside_it_with_its_mode(file: ConfigFile) -> None:
    file.path.write_bytes(b"old")
    file.path.chmod(0o640)
    backup = file.replace(b"old", b"new")
    assert backup is not None
    assert backup.name.startswith("mcp.json.argosy-backup-2")
    assert (file.path.read_bytes(), backup.read_bytes()) == (b"new", b"old")
    assert {stat.S_IMODE(path.stat().st_mode) for path in (file.path, backup)} == {0o640}


def test_backups_of_one_second_do_not_replace_each_other(file: ConfigFile) -> None:
    file.path.write_bytes(b"0")
    kept = [file.replace(str(n).encode(), str(n + 1).encode()) for n in range(3)]
    assert [path.read_bytes() for path in kept if path] == [b"0", b"1", b"2"]


def test_a_link_stays_and_what_it_points_to_is_replaced(file: ConfigFile, tmp_path: Path) -> None:
    dotfiles = tmp_path / "dotfiles"
    dotfiles.mkdir()
    (dotfiles / "cursor.json").write_bytes(b"old")
    file.path.symlink_to("dotfiles/cursor.json")
    backup = file.replace(b"old", b"new")
    assert os.readlink(file.path) == "dotfiles/cursor.json"
    assert (dotfiles / "cursor.json").read_bytes() == b"new"
    assert backup is not None and backup.parent == tmp_path
    assert names(dotfiles) == ["cursor.json"]


def test_a_link_to_nothing_gets_what_it_points_to(file: ConfigFile, tmp_path: Path) -> None:
    file.path.symlink_to("dotfiles/cursor.json")
    assert file.read() is None
    file.replace(None, b"{}")
    assert (tmp_path / "dotfiles/cursor.json").read_bytes() == b"{}"
    assert file.path.is_symlink()


def test_a_file_that_the_client_wrote_meanwhile_is_left_alone(file: ConfigFile, tmp_path: Path) -> None:
    file.path.write_bytes(b"newer")
    with pytest.raises(Conflict):
        file.replace(b"old", b"ours")
    with pytest.raises(Conflict):
        file.replace(None, b"ours")
    assert names(tmp_path) == ["mcp.json"]
    assert file.path.read_bytes() == b"newer"


def test_a_write_that_fails_leaves_the_file_and_nothing_else(
    file: ConfigFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(source: object, target: object) -> None:
        raise PermissionError(13, "no")

    file.path.write_bytes(b"old")
    monkeypatch.setattr(config_file.os, "replace", fails)
    with pytest.raises(PermissionDenied):
        file.replace(b"old", b"new")
    assert names(tmp_path) == ["mcp.json"]
    assert file.path.read_bytes() == b"old"


def test_the_new_file_is_on_the_disk_before_it_takes_the_place(
    file: ConfigFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    sync, replace = os.fsync, os.replace

    def synced(fd: int) -> None:
        steps.append("folder" if stat.S_ISDIR(os.fstat(fd).st_mode) else "file")
        sync(fd)

    def replaced(source: Path, target: Path) -> None:
        steps.append("replace")
        replace(source, target)

    monkeypatch.setattr(config_file.os, "fsync", synced)
    monkeypatch.setattr(config_file.os, "replace", replaced)
    file.path.write_bytes(b"old")
    file.replace(b"old", b"new")
    assert steps == ["file", "folder", "file", "replace", "folder"]


@pytest.mark.parametrize("kind", ["folder", "pipe", "loop"])
def test_what_is_no_file_is_not_read(file: ConfigFile, kind: str) -> None:
    if kind == "folder":
        file.path.mkdir()
    elif kind == "pipe":
        os.mkfifo(file.path)
    else:
        file.path.symlink_to(file.path.name)
    with pytest.raises(PermissionDenied):
        file.read()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_file_of_another_user_stays_theirs(file: ConfigFile) -> None:
    file.path.write_bytes(b"old")
    os.chown(file.path, 1234, 1235)
    backup = file.replace(b"old", b"new")
    assert backup is not None
    assert [(path.stat().st_uid, path.stat().st_gid) for path in (file.path, backup)] == [(1234, 1235)] * 2


def test_a_byte_order_mark_is_no_part_of_the_text_and_stays() -> None:
    assert decode(BOM + b"{}", "f") == "{}"
    assert encode("[]", BOM + b"{}") == BOM + b"[]"
    assert encode("[]", b"{}") == encode("[]", None) == b"[]"


@pytest.mark.parametrize("data", [b"{\n\xff}", '{\n"a": "\u00e9"}'.encode("latin-1"), b"\xff\xfe{\x00\n\x00"])
def test_bytes_that_are_no_text_are_refused_with_their_line(data: bytes) -> None:
    line = 1 if data.startswith(b"\xff") else 2
    with pytest.raises(Corrupted, match=rf"mcp\.json:{line}: not UTF-8"):
        decode(data, "mcp.json")
