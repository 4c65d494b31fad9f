"""The storage code over a disk that loses power, and what it finds when it is opened again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from argosy_core.testing.fakes import FakeClock, SeededIds
from argosy_core.testing.power import Crash, FolderImage, PowerFileSystem, crashes, disk_with
from argosy_core.vault import Vault

Acknowledge = Callable[[Any], None]
Program = Callable[[Vault, Acknowledge], None]
LIMIT = 300  # disks a moment
LONG = (pytest.mark.soak, pytest.mark.timeout(1800))
BARE = (".argosy/locks", ".argosy/recovered")


def vault_on(root: Path, disk: FolderImage, ids: int = 1) -> Vault:
    """A vault over a simulated disk; *root* is there and stays empty."""
    return Vault(root, fs=PowerFileSystem(str(root.resolve()), disk), clock=FakeClock(), ids=SeededIds(ids))


def cut(
    root: Path,
    files: dict[str, bytes],
    program: Program,
    limit: int = LIMIT,
    beside: Callable[[], Any] = lambda: None,
) -> list[Crash]:
    """Every crash of *program* over a vault that held *files*; more as `crashes` has it."""
    vault = vault_on(root, disk_with(files, BARE))
    assert isinstance(vault.fs, PowerFileSystem)
    return crashes(vault.fs, lambda acknowledge: program(vault, acknowledge), limit=limit, beside=beside)


def visible(disk: FolderImage) -> dict[str, bytes]:
    """What a person sees of a disk: no temporary files, nothing that is rebuilt."""
    return {path: data for path, data in disk.files() if not path.startswith(".argosy/") and not path.endswith(".tmp")}


def drafts(disk: FolderImage) -> list[str]:
    """The temporary files on a disk."""
    return [path for path, _ in disk.files() if path.endswith(".tmp")]


class Died(BaseException):
    """A process that ends in the middle: nothing it would do then is done."""


def dying_after(fs: PowerFileSystem, steps: int) -> None:
    """Let every step after the next *steps* be one too many."""
    left = steps

    def guard(_: str) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise Died

    fs.guard = guard
