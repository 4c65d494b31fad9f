"""The storage code over a disk that loses power, and what it finds when it is opened again."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from argosy_core.testing.fakes import FakeClock, SeededIds
from argosy_core.testing.power import Crash, FolderImage, PowerFileSystem, crashes, disk_with
from argosy_core.vault import Vault

Acknowledge = Callable[[Any], None]
Program = Callable[[Vault, Acknowledge], None]
LIMIT = int(os.environ.get("ARGOSY_CRASH_LIMIT", "300"))  # disks a moment; `make soak` takes more
BARE = (".argosy/locks", ".argosy/recovered")


def vault_on(root: Path, disk: FolderImage, ids: int = 1) -> Vault:
    """A vault over a simulated disk; *root* is there and stays empty."""
    return Vault(root, fs=PowerFileSystem(str(root.resolve()), disk), clock=FakeClock(), ids=SeededIds(ids))


def cut(root: Path, files: dict[str, bytes], program: Program, **more: Any) -> list[Crash]:
    """Every crash of *program* over a vault that held *files*."""
    vault = vault_on(root, disk_with(files, BARE))
    assert isinstance(vault.fs, PowerFileSystem)
    return crashes(vault.fs, lambda acknowledge: program(vault, acknowledge), **{"limit": LIMIT, **more})


def visible(disk: FolderImage) -> dict[str, bytes]:
    """What a person sees of a disk: no temporary files, nothing that is rebuilt."""
    return {path: data for path, data in disk.files() if not path.startswith(".argosy/") and not path.endswith(".tmp")}


def drafts(disk: FolderImage) -> list[str]:
    """The temporary files on a disk."""
    return [path for path, _ in disk.files() if path.endswith(".tmp")]
