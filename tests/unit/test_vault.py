"""The vault: safe names, all-or-nothing writes, compare-and-swap."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy_core.errors import (
    AlreadyExists,
    ArgosyError,
    Conflict,
    Corrupted,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    TooLarge,
    Unavailable,
)
from argosy_core.fs import PosixFileSystem
from argosy_core.names import check_new_name, check_path, slug
from argosy_core.vault import ABSENT, MAX_FILE_BYTES, Vault

HOSTILE = [
    "",
    "/etc/passwd",
    "../x",
    "a/../../x",
    "a//b",
    "./a",
    "a/.",
    "a\\b",
    "C:\\x" + "\\y",
    "a\0b",
    "a\nb",
    "a\u202eb",
    "a\u200bb",
    "x" * 201,
    "/".join("d" * 40),
]


@pytest.fixture
def vault(tmp_path: Path):
    (tmp_path / "v").mkdir()
    opened = Vault(tmp_path / "v")
    yield opened
    opened.close()


@pytest.mark.parametrize("path", HOSTILE)
def test_a_hostile_path_is_refused_by_every_call(vault: Vault, path: str) -> None:
    for call in (vault.read, vault.info, lambda p: vault.replace(p, b"x"), lambda p: vault.append(p, b"x")):
        with pytest.raises(InvalidArgument):
            call(path)
    assert list(vault.root.iterdir()) == []


@pytest.mark.parametrize("name", ["a:b", "a*", "con", "LPT1.md", "a.", ".hidden", "a|b", "a#b", "[x]", "a/b"])
def test_a_new_name_that_some_system_cannot_hold_is_refused(name: str) -> None:
    with pytest.raises(InvalidArgument):
        check_new_name(name)


@given(st.text(max_size=40))
def test_any_text_is_either_refused_or_stays_inside(text: str) -> None:
    try:
        parts = check_path(text)
    except InvalidArgument:
        return
    assert ".." not in parts and all(parts) and not text.startswith("/")


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("Debt priority — order", "debt_priority_order"),
        ("C++", "c_plus_plus"),
        ("C#", "c_sharp"),
        ("日本", "日本"),
        ("Привет мир", "привет_мир"),
        ("हिन्दी", "हिन्दी"),
        ("  ... ", ""),
        ("# heading", "heading"),
        ("a--b__c", "a_b_c"),
    ],
)
def test_a_title_becomes_a_slug_of_its_own_script(title: str, expected: str) -> None:
    assert slug(title) == expected


def test_a_written_file_is_read_back_with_its_version(vault: Vault) -> None:
    written = vault.replace("a/b/c.md", b"hello")

    assert vault.read("a/b/c.md") == written
    info = vault.info("a/b/c.md")
    assert info is not None and info.stamp == written.stamp


def test_a_missing_file_is_not_found(vault: Vault) -> None:
    with pytest.raises(NotFound):
        vault.read("a/none.md")
    assert vault.info("a/none.md") is None


def test_a_write_that_expects_nothing_fails_when_something_is_there(vault: Vault) -> None:
    vault.replace("a.md", b"one", expect=ABSENT)

    with pytest.raises(AlreadyExists) as caught:
        vault.replace("a.md", b"two", expect=ABSENT)
    assert vault.read("a.md").data == b"one"
    assert caught.value.detail["version"] == vault.read("a.md").version


def test_a_write_that_expects_an_older_version_conflicts_and_changes_nothing(vault: Vault) -> None:
    first = vault.replace("a.md", b"one")
    vault.replace("a.md", b"two", expect=first.version)

    with pytest.raises(Conflict) as caught:
        vault.replace("a.md", b"three", expect=first.version)
    assert vault.read("a.md").data == b"two"
    assert caught.value.detail["version"] == vault.read("a.md").version


def test_the_old_content_is_kept_when_asked_for(vault: Vault) -> None:
    vault.replace("m/n.md", b"one")
    vault.replace("m/n.md", b"two", keep_version=True)
    vault.replace("m/n.md", b"two", keep_version=True)

    kept = list((vault.root / "m/.versions/n").iterdir())
    assert [path.read_bytes() for path in kept] == [b"one"]


def test_the_mode_of_a_persons_file_is_kept_and_a_new_file_is_private(vault: Vault) -> None:
    (vault.root / "theirs.md").write_text("x", encoding="utf-8")
    (vault.root / "theirs.md").chmod(0o664)

    vault.replace("theirs.md", b"y")
    vault.replace("ours.md", b"y")

    assert (vault.root / "theirs.md").stat().st_mode & 0o777 == 0o664
    assert (vault.root / "ours.md").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("kind", ["file", "folder", "chain", "fifo"])
def test_nothing_behind_a_link_or_special_file_is_touched(vault: Vault, tmp_path: Path, kind: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"secret")
    path = "link/secret"
    if kind == "file":
        (vault.root / "link").mkdir()
        (vault.root / "link/secret").symlink_to(outside / "secret")
    elif kind == "folder":
        (vault.root / "link").symlink_to(outside)
    elif kind == "chain":
        (vault.root / "hop").symlink_to(outside)
        (vault.root / "link").symlink_to(vault.root / "hop")
    else:
        (vault.root / "link").mkdir()
        os.mkfifo(vault.root / "link/secret")

    with pytest.raises(ArgosyError):
        vault.read(path)
    with pytest.raises(ArgosyError):
        vault.append(path, b"x")
    if kind != "fifo":
        assert (outside / "secret").read_bytes() == b"secret"
    if kind in ("folder", "chain"):
        with pytest.raises(PermissionDenied):
            vault.files("link")


def test_a_replace_over_a_link_replaces_nothing_outside(vault: Vault, tmp_path: Path) -> None:
    (tmp_path / "target").write_bytes(b"theirs")
    (vault.root / "a.md").symlink_to(tmp_path / "target")

    with pytest.raises(PermissionDenied):
        vault.replace("a.md", b"ours")
    assert (tmp_path / "target").read_bytes() == b"theirs"


def test_an_oversized_file_is_refused_in_both_directions(vault: Vault) -> None:
    vault.replace("a.md", b"x" * 100)

    with pytest.raises(TooLarge):
        vault.read("a.md", max_bytes=99)
    with pytest.raises(TooLarge):
        vault.replace("b.md", bytes(MAX_FILE_BYTES + 1))
    assert vault.info("b.md") is None


class Failing(PosixFileSystem):
    """Fails the Nth call of one name with an error number, as a sick disk would."""

    def __init__(self, call: str, number: int, code: int) -> None:
        self.armed = False
        self._call, self._number, self._code = call, number, code

    def __getattribute__(self, name: str):
        found = super().__getattribute__(name)
        if name.startswith("_") or name == "armed" or not self.armed or name != self._call:
            return found
        self._number -= 1
        if self._number == 0:
            raise OSError(self._code, os.strerror(self._code))
        return found


@pytest.mark.parametrize("call", ["open", "write", "fsync", "rename", "fstat"])
@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_failing_disk_leaves_the_old_content_or_the_new(tmp_path: Path, call: str, number: int) -> None:
    fs = Failing(call, number, 28)
    vault = Vault(tmp_path, fs=fs)
    vault.replace("a.md", b"old")
    fs.armed = True
    try:
        vault.replace("a.md", b"new")
    except (ArgosyError, OSError) as error:
        assert isinstance(error, Unavailable | OSError)
    fs.armed = False

    assert vault.read("a.md").data in (b"old", b"new")
    assert [p.name for p in tmp_path.iterdir() if p.suffix == ".tmp"] == []
    vault.close()


def test_a_failed_append_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    fs = Failing("fsync", 1, 5)
    vault = Vault(tmp_path, fs=fs)
    vault.append("log/a.jsonl", b"one\n")
    fs.armed = True

    with pytest.raises(Corrupted):
        vault.append("log/a.jsonl", b"two\n")
    fs.armed = False
    assert vault.read("log/a.jsonl").data == b"one\n"
    vault.close()


def test_one_of_many_writers_with_one_version_wins(vault: Vault) -> None:
    start = vault.replace("a.md", b"start")
    outcomes: list[str] = []

    def write(number: int) -> None:
        try:
            vault.replace("a.md", f"{number}".encode(), expect=start.version)
            outcomes.append("won")
        except Conflict:
            outcomes.append("lost")

    threads = [threading.Thread(target=write, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)

    assert sorted(outcomes) == ["lost"] * 7 + ["won"]


def test_a_lock_whose_folder_was_deleted_still_excludes(vault: Vault) -> None:
    import shutil

    with vault.lock("x"):
        shutil.rmtree(vault.root / ".argosy")
        with pytest.raises(Unavailable), vault.lock("x", wait_seconds=0.01):
            pytest.fail("two holders")


def test_a_cut_tail_is_set_aside_and_not_lost(vault: Vault) -> None:
    vault.append("log/a.jsonl", b"one\ntorn")

    aside = vault.cut_tail("log/a.jsonl", 4)

    assert vault.read("log/a.jsonl").data == b"one\n"
    assert (vault.root / aside).read_bytes() == b"torn"


def test_listing_leaves_links_and_hidden_files_out(vault: Vault, tmp_path: Path) -> None:
    vault.replace("m/b.md", b"x")
    vault.replace("m/a.md", b"x")
    vault.replace("m/sub/c.md", b"x")
    (vault.root / "m/.hidden.md").write_bytes(b"x")
    (vault.root / "m/l.md").symlink_to(tmp_path)

    assert [info.path for info in vault.files("m", ".md")] == ["m/a.md", "m/b.md"]
    assert sorted(info.path for info in vault.walk("m", ".md")) == ["m/a.md", "m/b.md", "m/sub/c.md"]
    assert sorted(info.path for info in vault.walk("m", ".md", deep=False)) == ["m/a.md", "m/b.md"]
    assert vault.folders() == ["m"]
    assert vault.files("none") == []


def test_a_vault_that_is_not_there_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="mcp-host init"):
        Vault(tmp_path / "none")


def test_stamps_are_those_of_plain_files_and_no_link_leads_to_one(vault: Vault, tmp_path: Path) -> None:
    vault.replace("harbor/tools.md", b"# Tools\n")
    known = vault.info("harbor/tools.md")
    assert known is not None
    assert vault.stamps("harbor", ["tools.md", "gone.md"]) == (known.stamp, None)
    assert vault.stamps("nobody", ["tools.md"]) == (None,)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/tools.md").write_text("# Loose\n")
    (vault.root / "linked").symlink_to(tmp_path / "elsewhere")
    (vault.root / "harbor/loose.md").symlink_to(tmp_path / "elsewhere/tools.md")
    for folder, name in (("linked", "tools.md"), ("harbor", "loose.md"), ("harbor/tools.md", "x")):
        with pytest.raises(ArgosyError):
            vault.stamps(folder, [name])
    (vault.root / "plain").write_text("no folder")
    with pytest.raises(ArgosyError):
        vault.stamps("plain", ["x"])
