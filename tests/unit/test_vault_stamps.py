"""Looking at several files of a folder at once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from argosy_core.errors import InvalidArgument, PermissionDenied
from argosy_core.vault import Vault


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    vault = Vault(tmp_path)
    vault.replace("top.md", b"one")
    vault.replace("rook/a.md", b"four")
    yield vault
    vault.close()


def test_stamps_are_those_that_info_gives(vault: Vault) -> None:
    info, top = vault.info("rook/a.md"), vault.info("top.md")
    assert info is not None
    assert top is not None
    assert vault.stamps("rook", ["a.md", "b.md"]) == (info.stamp, None)
    assert vault.stamps("", ["top.md"]) == (top.stamp,)


def test_nothing_is_there_in_a_folder_that_is_not(vault: Vault) -> None:
    assert vault.stamps("nobody", ["a.md", "b.md"]) == (None, None)


def test_a_link_is_refused_and_not_taken_for_a_missing_file(vault: Vault) -> None:
    (vault.root / "rook/link.md").symlink_to(vault.root / "top.md")
    (vault.root / "alias").symlink_to(vault.root / "rook")
    os.mkfifo(vault.root / "rook/pipe.md")
    for folder, name in (("rook", "link.md"), ("alias", "a.md"), ("rook", "pipe.md")):
        with pytest.raises(PermissionDenied):
            vault.stamps(folder, [name])


@pytest.mark.parametrize(
    ("folder", "name"), [("rook", "../top.md"), ("..", "a"), ("a/b", "c"), ("rook", "x/y"), ("/", "a")]
)
def test_only_single_names_are_looked_at(vault: Vault, folder: str, name: str) -> None:
    with pytest.raises(InvalidArgument):
        vault.stamps(folder, [name])
