"""Taking a file of the vault away: only the version that the caller knows, and never outside."""

from __future__ import annotations

from pathlib import Path

import pytest

from argosy_core.errors import ArgosyError, Conflict, InvalidArgument, NotFound
from argosy_core.vault import Vault


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    (tmp_path / "house").mkdir()
    (tmp_path / "outside.md").write_text("mine")
    return Vault(tmp_path / "house")


def test_a_file_is_gone_and_its_neighbours_stay(vault: Vault) -> None:
    content = vault.replace("a/b.md", b"text")
    vault.replace("a/c.md", b"other")
    vault.remove("a/b.md", expect=content.version)
    assert [info.path for info in vault.files("a")] == ["a/c.md"]
    with pytest.raises(NotFound):
        vault.remove("a/b.md")


def test_another_version_than_the_expected_one_stays(vault: Vault) -> None:
    old = vault.replace("a.md", b"old")
    vault.replace("a.md", b"new")
    with pytest.raises(Conflict):
        vault.remove("a.md", expect=old.version)
    assert vault.read("a.md").data == b"new"


@pytest.mark.parametrize("path", ["../outside.md", "/etc/passwd", "", "a/../../outside.md"])
def test_no_path_leaves_the_vault(vault: Vault, path: str) -> None:
    with pytest.raises(InvalidArgument):
        vault.remove(path)


def test_a_link_is_left_alone(vault: Vault) -> None:
    (vault.root / "link.md").symlink_to(vault.root.parent / "outside.md")
    (vault.root / "way").symlink_to(vault.root.parent)
    for path in ("link.md", "way/outside.md"):
        with pytest.raises(ArgosyError):
            vault.remove(path)
    assert (vault.root / "link.md").is_symlink() and (vault.root.parent / "outside.md").read_text() == "mine"
