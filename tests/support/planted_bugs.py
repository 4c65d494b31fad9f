"""The bugs that crash-safe storage may have, each put back into the real code on demand.

A bug is a function that is given `setattr`, or pytest's, and replaces a few names. What must catch it stands with the
tests of the mutants.
"""

from __future__ import annotations

import builtins
import inspect
import os
import textwrap
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from typing import Any

from argosy_core import vault as vault_module
from argosy_core.canonical import sha256_hex
from argosy_core.content import Content
from argosy_core.drafts import open_draft
from argosy_core.errors import ArgosyError
from argosy_core.fs import FileSystem, PosixFileSystem
from argosy_core.storage import chain_lines, document_leases, item_rules
from argosy_core.storage.chain_trail import StreamTrail
from argosy_core.storage.chain_v0 import ChainV0
from argosy_core.storage.files import chain_stream, item_folders, item_queue
from argosy_core.storage.files.chain_stream import StreamLog
from argosy_core.storage.files.item_folders import QueueFolders
from argosy_core.storage.files.item_queue import LockedQueue
from argosy_core.storage.item import Item
from argosy_core.testing.power import PowerFileSystem
from argosy_core.testing.power.nodes import FileNode, FolderNode
from argosy_core.vault import Vault
from argosy_core.walk import FolderWalk

Set = Callable[[Any, str, Any], None]
BUGS: dict[str, Callable[[Set], None]] = {}


def bug(plant: Callable[[Set], None]) -> Callable[[Set], None]:
    """Register *plant* under its name."""
    BUGS[plant.__name__.replace("_", " ")] = plant
    return plant


def plant(name: str, set: Set = setattr) -> None:
    """Put the bug *name* into the code that runs."""
    BUGS[name](set)


def _sync_only(set: Set, kind: type[FileNode] | type[FolderNode]) -> None:
    """Let syncs of the other kind do nothing, over the real file system and the simulated one."""
    real, simulated = PosixFileSystem.fsync, PowerFileSystem.fsync

    def fsync(fs: PosixFileSystem, fd: int) -> None:
        if os.path.isdir(f"/proc/self/fd/{fd}") == (kind is FolderNode):
            real(fs, fd)

    def simulated_fsync(fs: PowerFileSystem, fd: int) -> None:
        if isinstance(fs._opened(fd).node, kind):  # pyright: ignore[reportPrivateUsage]
            simulated(fs, fd)

    set(PosixFileSystem, "fsync", fsync)
    set(PowerFileSystem, "fsync", simulated_fsync)


@bug
def no_file_is_synced(set: Set) -> None:
    _sync_only(set, FolderNode)


@bug
def no_folder_is_synced(set: Set) -> None:
    _sync_only(set, FileNode)


@bug
def names_left_by_others_are_not_synced(set: Set) -> None:
    def settle(walk: FolderWalk, folder: int, identity: tuple[int, int]) -> None:
        return None

    set(FolderWalk, "_settle", settle)


@bug
def a_folder_kept_open_is_not_looked_at_again(set: Set) -> None:
    def known(walk: FolderWalk, above: int, parts: tuple[str, ...]) -> Any:
        kept = walk._kept.get(parts)
        if kept is not None:
            kept.users += 1
        return kept

    set(FolderWalk, "_known", known)


@bug
def the_number_of_a_removed_folder_counts_for_the_next(set: Set) -> None:
    class Never(builtins.set[tuple[int, int]]):
        def discard(self, element: object) -> None:
            return None

    real = FolderWalk.__init__

    def make(walk: FolderWalk, fs: FileSystem, root_fd: int) -> None:
        real(walk, fs, root_fd)
        walk._settled = Never()

    set(FolderWalk, "__init__", make)


def _content(path: str, data: bytes) -> Content:
    return Content(path, data, sha256_hex(data), (0, len(data)))


@bug
def written_in_place(set: Set) -> None:
    def replace_in(vault: Vault, folder: int, name: str, path: str, data: bytes, **_: Any) -> Content:
        fd = vault.fs.open(name, os.O_WRONLY | os.O_CREAT, dir_fd=folder)
        vault.fs.truncate(fd, 0)
        vault._write_all(fd, data)
        vault.fs.fsync(fd)
        vault.fs.close(fd)
        vault.fs.fsync(folder)
        return _content(path, data)

    set(Vault, "_replace_in", replace_in)


@bug
def synced_after_the_rename(set: Set) -> None:
    def replace_in(vault: Vault, folder: int, name: str, path: str, data: bytes, **_: Any) -> Content:
        draft, fd = open_draft(vault.fs, folder, name, vault._ids)
        vault._write_all(fd, data)
        vault.fs.rename(draft, name, dir_fd=folder)
        vault.fs.fsync(fd)
        vault.fs.close(fd)
        vault.fs.fsync(folder)
        return _content(path, data)

    set(Vault, "_replace_in", replace_in)


@bug
def the_time_is_set_after_the_sync(set: Set) -> None:
    def replace_in(vault: Vault, folder: int, name: str, path: str, data: bytes, **_: Any) -> Content:
        draft, fd = open_draft(vault.fs, folder, name, vault._ids)
        old = vault._copy_mode(fd, folder, name, path)
        vault._write_all(fd, data)
        vault.fs.fsync(fd)
        mtime = vault._later_mtime(fd, old)
        vault.fs.close(fd)
        vault.fs.rename(draft, name, dir_fd=folder)
        vault.fs.fsync(folder)
        return Content(path, data, sha256_hex(data), (mtime, len(data)))

    set(Vault, "_replace_in", replace_in)


@bug
def acknowledged_before_it_is_written(set: Set) -> None:
    """The write comes with the next one; the first is told to be done while nothing is."""
    waiting: list[Callable[[], Content]] = []
    real = Vault.replace

    def replace(vault: Vault, path: str, data: bytes, **more: Any) -> Content:
        for write in waiting:
            write()
        waiting[:] = [lambda: real(vault, path, data, **more)]
        return _content(path, data)

    set(Vault, "replace", replace)


@bug
def a_version_is_kept_after_the_new_text(set: Set) -> None:
    real_keep, real_replace = Vault._keep, Vault._replace_in
    later: list[tuple[str, str, Content]] = []

    def keep(vault: Vault, parent: str, name: str, old: Content) -> None:
        later.append((parent, name, old))

    def replace_in(vault: Vault, folder: int, name: str, path: str, data: bytes, **more: Any) -> Content:
        done = real_replace(vault, folder, name, path, data, **more)
        if later:
            real_keep(vault, *later.pop())
        return done

    set(Vault, "_keep", keep)
    set(Vault, "_replace_in", replace_in)


@bug
def a_tail_is_cut_and_not_set_aside(set: Set) -> None:
    def cut_tail(vault: Vault, path: str, keep_bytes: int) -> str:
        fd = vault.open_append(path)
        vault.fs.truncate(fd, keep_bytes)
        vault.fs.fsync(fd)
        vault.fs.close(fd)
        return ""

    set(Vault, "cut_tail", cut_tail)


@bug
def no_lock_is_held(set: Set) -> None:
    def lock(vault: Vault, name: str, wait_seconds: float = 10.0) -> AbstractContextManager[None]:
        return nullcontext()

    set(Vault, "lock", lock)


# The log


@bug
def a_torn_tail_stays(set: Set) -> None:
    def mend_tail(log: StreamLog, state: Any, path: str, offset: int, tail: bytes) -> None:
        state.read_to(path, offset + len(tail), tail)

    set(StreamLog, "_mend_tail", mend_tail)


@bug
def a_hole_in_the_last_write_stays(set: Set) -> None:
    def is_torn_write(data: bytes) -> bool:
        return False

    set(chain_lines, "is_torn_write", is_torn_write)
    set(chain_stream, "is_torn_write", is_torn_write)


@bug
def a_group_commit_acknowledges_before_the_sync(set: Set) -> None:
    def append_to(vault: Vault, fd: int, path: str, data: bytes) -> int:
        before = vault.fs.fstat(fd).st_size
        vault._write_all(fd, data)
        return before + len(data)

    set(Vault, "append_to", append_to)


@bug
def a_failed_sync_is_taken_for_a_passing_thing(set: Set) -> None:
    def cut_unsynced(log: StreamLog) -> None:
        return None

    set(StreamLog, "_cut_unsynced", cut_unsynced)


@bug
def a_failed_append_stays_in_the_file(set: Set) -> None:
    def take_back(vault: Vault, fd: int, size: int) -> None:
        return None

    set(Vault, "_take_back", take_back)
    a_failed_sync_is_taken_for_a_passing_thing(set)


@bug
def a_key_is_forgotten(set: Set) -> None:
    def entry_of_key(log: StreamLog, state: Any, writer: str, key: str) -> None:
        return None

    set(StreamLog, "_entry_of_key", entry_of_key)


# Verifying the log


def _edited(function: Any, part: str, instead: str) -> Any:
    """*function* with *instead* for *part* of its source. Raises AttributeError when that is not there."""
    source = textwrap.dedent(inspect.getsource(function))
    if part not in source:
        raise AttributeError(f"the plant does not fit the code any more: {part!r} is not there")
    made: dict[str, Any] = {}
    header = "from __future__ import annotations\n"
    exec(compile(header + source.replace(part, instead), "<planted>", "exec"), function.__globals__, made)
    return made[function.__name__]


@bug
def the_check_of_prev_is_left_out(set: Set) -> None:
    """Each entry is taken to follow on whatever it says that it follows on."""
    own = _edited(
        StreamTrail._hash_problem, 'if fields.get("prev") != prev:', 'prev = str(fields.get("prev"))\n    if False:'
    )
    set(StreamTrail, "_hash_problem", own)


@bug
def the_quick_check_of_prev_is_left_out(set: Set) -> None:
    """What the line names is not looked at where its hashes are right."""
    set(StreamTrail, "_proven", _edited(StreamTrail._proven, " or prev != writer.hash.encode()", ""))


@bug
def the_check_of_prev_in_version_0_is_left_out(set: Set) -> None:
    own = _edited(ChainV0.follow, "if entry.prev != prev:", "prev = entry.prev\n    if False:")
    set(ChainV0, "follow", own)


# Items and leases


@bug
def an_item_is_dropped_before_it_is_put(set: Set) -> None:
    def change(queue: LockedQueue, changes: Any) -> None:
        for before, item in changes:
            if before is not None and before != item.state:
                queue._folders.drop(before, [item.id])
        real(queue, [(item.state, item) for _, item in changes])

    real = LockedQueue.change
    set(LockedQueue, "change", change)


@bug
def a_dead_workers_move_is_not_synced_before_the_older_file_goes(set: Set) -> None:
    real = QueueFolders.survey

    def survey(folders: QueueFolders, state: Any, is_known: Any) -> Any:
        fs, folders._fs = folders._fs, _Unsynced(folders._fs)  # type: ignore[assignment]
        try:
            return real(folders, state, is_known)
        finally:
            folders._fs = fs

    set(QueueFolders, "survey", survey)


class _Unsynced:
    """A file system whose syncs do nothing."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return (lambda fd: None) if name == "fsync" else getattr(self._inner, name)


@bug
def the_older_file_of_a_move_stays(set: Set) -> None:
    real = LockedQueue._adopt

    def adopt(queue: LockedQueue, rows: Any, item: Item, stamp: Any, stale: Any) -> None:
        real(queue, rows, item, stamp, [])

    set(LockedQueue, "_adopt", adopt)


@bug
def a_read_error_stops_an_item_for_good(set: Set) -> None:
    set(item_queue, "UNREAD", (0, 0))
    set(item_folders, "UNREAD", (0, 0))
    real = QueueFolders.read

    def read(folders: QueueFolders, state: Any, id: str) -> Any:
        try:
            return real(folders, state, id)
        except ArgosyError:
            found = folders._vault.info(f"{folders.path}/{state}/{id}.json")
            if found is None:
                raise
            return b"", found.stamp

    set(QueueFolders, "read", read)


@bug
def an_older_token_is_accepted(set: Set) -> None:
    def check_token(item: Item, token: str) -> Any:
        return item.lease

    set(item_rules, "check_token", check_token)


@bug
def a_generation_begins_anew(set: Set) -> None:
    real = item_rules.abandoned

    def abandoned(item: Item, now: Any) -> Item:
        return replace(real(item, now), generation=0)

    set(item_rules, "abandoned", abandoned)


@bug
def a_lease_forgets_its_generation(set: Set) -> None:
    async def release(leases: Any, lease: Any) -> None:
        leases._vault.remove(document_leases.lease_path(lease.name))

    set(document_leases.DocumentLeases, "release", release)


@bug
def an_ended_lease_is_never_given_on(set: Set) -> None:
    def is_abandoned(item: Item, now: Any) -> bool:
        return False

    set(item_rules, "is_abandoned", is_abandoned)


@bug
def a_lease_is_given_on_early(set: Set) -> None:
    real = LockedQueue.settle

    def settle(queue: LockedQueue, count: int = 100) -> Sequence[Item]:
        now = queue._clock.now()
        changes = []
        for item_place in queue._ask(lambda rows: rows.stamps("leased")):
            item = queue.find(item_place)
            if item is not None:
                changes.append((item.state, item_rules.abandoned(item, now)))
        if changes:
            queue.change(changes)
        return [item for _, item in changes] or real(queue, count)

    set(LockedQueue, "settle", settle)


@bug
def a_failed_writers_draft_stays(set: Set) -> None:
    def keep(fs: Any, folder: int, draft: str) -> None:
        return None

    set(vault_module, "discard", keep)


@bug
def nothing_is_swept(set: Set) -> None:
    def sweep(vault: Vault, **more: Any) -> list[str]:
        return []

    set(Vault, "sweep", sweep)


@contextmanager
def planted(name: str) -> Generator[None]:
    """The bug *name* while the block runs."""
    put: list[tuple[Any, str, Any]] = []

    def set_and_remember(owner: Any, attribute: str, value: Any) -> None:
        put.append((owner, attribute, getattr(owner, attribute)))
        setattr(owner, attribute, value)

    try:
        plant(name, set_and_remember)
        yield
    finally:
        for owner, attribute, value in reversed(put):
            setattr(owner, attribute, value)


def names() -> Iterator[str]:
    """Every bug there is."""
    yield from BUGS


__all__ = ["BUGS", "names", "plant", "planted"]
