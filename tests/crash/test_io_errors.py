"""Every call to the system fails in turn: what comes of it is the old state, the new one, or a named error."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from at_once import ItemsAtOnce, LeasesAtOnce, Now
from power_cuts import BARE, drafts

from argosy_core.errors import ArgosyError
from argosy_core.storage.base import NewItem
from argosy_core.storage.chain_appends import Append
from argosy_core.storage.chain_days import day_files
from argosy_core.storage.chain_verify import verify_stream
from argosy_core.storage.files.chain_state import ChainCache
from argosy_core.storage.files.chain_stream import StreamLog
from argosy_core.testing.fakes import FakeClock, SeededIds
from argosy_core.testing.faults import ALL_CALLS, FaultyFileSystem
from argosy_core.testing.power import FolderImage, PowerFileSystem, disk_with
from argosy_core.vault import Vault

ERRORS = [
    errno.EIO,
    errno.ENOSPC,
    *(pytest.param(error, marks=pytest.mark.soak) for error in (errno.EINTR, errno.EDQUOT, errno.EROFS)),
]
NOTE = "harbor/memory/note.md"
OLD, NEW = b"old", b"new" * 2000
LOG = "harbor/log/2026-11/2026-11-20.jsonl"
MOST_CALLS = 200


def opened(root: Path) -> tuple[Vault, FaultyFileSystem]:
    disk = disk_with({NOTE: OLD, "harbor/torn.jsonl": b"one\ntwo"}, BARE)
    fs = FaultyFileSystem(PowerFileSystem(str(root.resolve()), disk))
    return Vault(root, fs=fs, clock=FakeClock(), ids=SeededIds(1)), fs


def logged(vault: Vault, number: int) -> None:
    log = StreamLog("harbor", vault, vault.clock, SeededIds(3), ChainCache(vault.root / "none/c"), hold=True)
    append = Append("harbor", "w", {"n": number}, None, None)
    log.append([append])
    append.result()


CALLS: dict[str, Callable[[Vault], Any]] = {
    "replace": lambda vault: vault.replace(NOTE, NEW, keep_version=True),
    "create": lambda vault: vault.replace("harbor/new/one.md", NEW),
    "remove": lambda vault: vault.remove(NOTE),
    "append": lambda vault: vault.append("harbor/day.txt", NEW),
    "cut_tail": lambda vault: vault.cut_tail("harbor/torn.jsonl", 4),
    "log": lambda vault: logged(vault, 1),
    "lease": lambda vault: Now(LeasesAtOnce(vault, vault.clock, SeededIds(4))).acquire("desk", "ann", 30),
}
RESULTS: dict[str, tuple[str, bytes | None, bytes | None]] = {
    "replace": (NOTE, OLD, NEW),
    "create": ("harbor/new/one.md", None, NEW),
    "remove": (NOTE, OLD, None),
    "cut_tail": ("harbor/torn.jsonl", b"one\ntwo", b"one\n"),
}


def each_failure(tmp_path: Path, call: str, error: int, *, for_good: bool) -> Iterator[tuple[Vault, bool]]:
    """A vault after *call* failed at its first step, its second, and so on; and whether it was acknowledged."""
    for nth in range(1, MOST_CALLS):
        vault, fs = opened(tmp_path)
        fs.arm(nth, error, for_good=for_good, calls=ALL_CALLS)
        acknowledged = False
        try:
            CALLS[call](vault)
            acknowledged = True
        except ArgosyError as failure:
            assert failure.hint, failure.message
            assert str(tmp_path) not in str(failure)
        was_hit = fs.disarm()
        assert isinstance(fs.inner, PowerFileSystem)
        yield vault, acknowledged
        if not was_hit:
            assert acknowledged
            assert nth > 5
            return
    raise AssertionError("the call never came to its end")


def seen(vault: Vault) -> FolderImage:
    assert isinstance(vault.fs, FaultyFileSystem) and isinstance(vault.fs.inner, PowerFileSystem)
    return vault.fs.inner.seen()


def content(vault: Vault, path: str) -> bytes | None:
    return vault.read(path).data if vault.info(path) else None


@pytest.mark.parametrize("for_good", [False, True], ids=["once", "from then on"])
@pytest.mark.parametrize("error", ERRORS, ids=lambda error: errno.errorcode[error])
@pytest.mark.parametrize("call", RESULTS)
def test_a_failing_call_leaves_the_old_file_or_the_new(call: str, error: int, for_good: bool, tmp_path: Path) -> None:
    path, old, new = RESULTS[call]
    for vault, acknowledged in each_failure(tmp_path, call, error, for_good=for_good):
        assert content(vault, path) in ([new] if acknowledged else [old, new])
        assert for_good or drafts(seen(vault)) == []
        vault.replace(path, b"after")
        assert content(vault, path) == b"after"


@pytest.mark.parametrize("for_good", [False, True], ids=["once", "from then on"])
@pytest.mark.parametrize("error", ERRORS, ids=lambda error: errno.errorcode[error])
def test_a_failing_append_is_not_in_the_log_and_the_log_goes_on(error: int, for_good: bool, tmp_path: Path) -> None:
    for vault, acknowledged in each_failure(tmp_path, "log", error, for_good=for_good):
        logged(vault, 2)
        files = [(info.path, vault.read(info.path).data) for info in day_files(vault, "harbor")]
        report = verify_stream("harbor", files)
        assert report.findings == ()
        # A line that could not be taken back may stand there: then the log goes on after it.
        assert report.entries in ([2] if acknowledged else [1, 2] if for_good else [1])


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: errno.errorcode[error])
def test_a_failing_lease_is_held_once(error: int, tmp_path: Path) -> None:
    for vault, acknowledged in each_failure(tmp_path, "lease", error, for_good=False):
        leases = Now(LeasesAtOnce(vault, vault.clock, SeededIds(5)))
        assert isinstance(vault.clock, FakeClock)
        assert not acknowledged or leases.current("desk") is not None
        vault.clock.advance(60)
        assert leases.acquire("desk", "bob", 30).generation in ([2] if acknowledged else [1, 2])


def test_a_write_that_takes_few_bytes_at_a_time_is_gone_on_with(tmp_path: Path) -> None:
    for call in CALLS:
        vault, fs = opened(tmp_path)
        fs.most_bytes = 7
        CALLS[call](vault)
        if call in RESULTS:
            assert content(vault, RESULTS[call][0]) == RESULTS[call][2]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (errno.ENOSPC, "the disk is full"),
        (errno.EDQUOT, "the disk is full"),
        (errno.EROFS, "read-only"),
        (errno.EIO, "Input/output error"),
        (errno.EINTR, "interrupted"),
    ],
    ids=lambda value: errno.errorcode.get(value) if isinstance(value, int) else None,
)
def test_each_failure_has_a_name_and_says_what_to_do(error: int, said: str, tmp_path: Path) -> None:
    vault, fs = opened(tmp_path)
    fs.arm(1, error, calls={"write"})
    with pytest.raises(ArgosyError, match=said) as caught:
        vault.replace(NOTE, NEW)
    assert caught.value.hint


@pytest.mark.parametrize("move", ["enqueue", "claim", "complete"])
def test_an_item_whose_move_fails_is_where_it_was_or_where_it_should_go(move: str, tmp_path: Path) -> None:
    for nth in range(1, MOST_CALLS):
        root = tmp_path / str(nth)
        root.mkdir()
        vault, fs = opened(root)
        kept = ItemsAtOnce(vault, vault.clock, SeededIds(6))
        items = Now(kept)
        new = NewItem("q", {"n": 1}, key="k")
        if move != "enqueue":
            items.enqueue(new)
        held = items.claim("q", "w", 30) if move == "complete" else []
        fs.arm(nth, errno.EIO, calls=ALL_CALLS)
        try:
            if move == "enqueue":
                items.enqueue(new)
            elif move == "claim":
                items.claim("q", "w", 30)
            else:
                items.complete(held[0].id, held[0].lease.token if held[0].lease else "", {})
        except ArgosyError as failure:
            assert failure.hint, failure.message
        was_hit = fs.disarm()
        assert isinstance(vault.clock, FakeClock)
        vault.clock.advance(60)
        item, _ = items.enqueue(new)
        claimed = items.claim("q", "w", 30, 5)
        assert len(claimed) + (item.state == "done") == 1
        for found in claimed:
            items.complete(found.id, found.lease.token if found.lease else "", {})
        assert dict(items.counts("q")) == {"done": 1}
        kept.close()
        if not was_hit:
            return
    raise AssertionError("the move never came to its end")
