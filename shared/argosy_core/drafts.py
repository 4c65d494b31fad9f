"""Drafts: the temporary files that writes begin in, ``.<name>.<12 hex>.tmp`` beside the file they become.

A writer holds a lock on its draft while it is open. So a draft that nobody has locked, and that is not just being
made, was left by a process that died, or by a disk that refused to remove it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import suppress

from argosy_core.fs import FileSystem
from argosy_core.ids import Ids
from argosy_core.walk import DIRECTORY, FolderWalk

MIN_AGE_SECONDS = 3600.0
MAX_DEPTH = 40
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
_FOUND = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
_DRAFT = re.compile(r"\..+\.[0-9a-f]{12}\.tmp", re.DOTALL)
_KEPT_OUT = frozenset({".git", ".obsidian", "locks"})
_FILE_SUFFIXES = (".md", ".json", ".jsonl", ".yaml", ".yml", ".txt")  # a folder of such a name is not entered


def open_draft(fs: FileSystem, folder: int, name: str, ids: Ids) -> tuple[str, int]:
    """A new draft of the file *name* in *folder*: its own name, and its descriptor for the caller to close."""
    draft = f".{name[:60]}.{ids.random(6).hex()}.tmp"
    fd = fs.open(draft, _NEW, dir_fd=folder)
    try:
        fs.try_lock(fd)
    except BaseException:
        fs.close(fd)
        discard(fs, folder, draft)
        raise
    return draft, fd


def discard(fs: FileSystem, folder: int, draft: str) -> None:
    """Remove a draft that came to nothing; when that fails too, `sweep_drafts` finds it later."""
    with suppress(OSError):  # why the write failed is what the caller must hear
        fs.unlink(draft, dir_fd=folder)


def sweep_drafts(
    fs: FileSystem,
    walk: FolderWalk,
    now: float,
    *,
    min_age_seconds: float = MIN_AGE_SECONDS,
    is_stopped: Callable[[], bool] = lambda: False,
) -> Iterator[str]:
    """Remove what dead writers left below the root; the vault-relative path of each.

    *now* is in seconds since the epoch; a draft younger than *min_age_seconds* may not have its lock yet.
    """
    before_ns = int((now - min_age_seconds) * 1e9)
    with walk.own_folder(()) as root:
        yield from _sweep(fs, walk, root, "", before_ns, is_stopped, MAX_DEPTH)


def _sweep(
    fs: FileSystem, walk: FolderWalk, folder: int, path: str, before_ns: int, is_stopped: Callable[[], bool], depth: int
) -> Iterator[str]:
    for name in fs.names(folder):
        if is_stopped() or not depth:
            return
        if _DRAFT.fullmatch(name):
            if _is_left(fs, walk, folder, name, before_ns):
                fs.unlink(name, dir_fd=folder)
                yield f"{path}{name}"
        elif name not in _KEPT_OUT and not name.endswith(_FILE_SUFFIXES):
            with suppress(OSError), walk.opened(folder, name, DIRECTORY) as inner:
                yield from _sweep(fs, walk, inner, f"{path}{name}/", before_ns, is_stopped, depth - 1)


def _is_left(fs: FileSystem, walk: FolderWalk, folder: int, name: str, before_ns: int) -> bool:
    with suppress(OSError), walk.opened(folder, name, _FOUND) as fd:
        return fs.fstat(fd).st_mtime_ns <= before_ns and fs.try_lock(fd)
    return False
