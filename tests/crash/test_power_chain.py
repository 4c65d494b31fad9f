"""Power is cut after every step of appending to a log: no acknowledged entry is lost, and the chain goes on whole."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from power_cuts import Acknowledge, cut, vault_on

from argosy_core.errors import Corrupted
from argosy_core.ids import Ids
from argosy_core.storage.chain_appends import Append
from argosy_core.storage.chain_days import day_files
from argosy_core.storage.chain_lines import parse_line
from argosy_core.storage.chain_verify import verify_stream
from argosy_core.storage.files.chain_state import ChainCache
from argosy_core.storage.files.chain_stream import StreamLog
from argosy_core.testing.fakes import FakeClock, SeededIds
from argosy_core.testing.power import Crash, PowerFileSystem, disk_with
from argosy_core.vault import Vault

STREAM = "harbor"
AGENT = {"harbor/model.md": b"# MODEL\n"}
TEXT = "x" * 900


def log_of(vault: Vault, cache: ChainCache | None = None, ids: Ids | None = None) -> StreamLog:
    """The appender's side of one stream. A cache whose folder is not there is kept in memory."""
    kept = cache or ChainCache(vault.root / "nowhere/chain.sqlite")
    return StreamLog(STREAM, vault, vault.clock, ids or SeededIds(3), kept, hold=True)


def append_all(log: StreamLog, numbers: Sequence[int], acknowledge: Acknowledge) -> None:
    """One group commit."""
    appends = [Append(STREAM, f"w{n % 3}", {"n": n, "text": TEXT, "key": f"k{n}"}, f"k{n}", None) for n in numbers]
    if appends:
        log.append(appends)
    for append in appends:
        append.result()
    acknowledge(tuple(numbers))


def lines_of(vault: Vault) -> list[dict[str, Any]]:
    lines = [line for info in day_files(vault, STREAM) for line in vault.read_from(info.path, 0).splitlines()]
    found = [parse_line(line) for line in lines]
    assert None not in found
    return [fields for fields in found if fields is not None]


def check_opened_again(tmp_path: Path, crash: Crash) -> None:
    """The next process appends under a new key and an old one, and finds everything in order."""
    vault = vault_on(tmp_path, crash.disk, ids=9)
    cache = ChainCache(tmp_path / "nowhere/chain.sqlite")
    log = log_of(vault, cache, SeededIds(99))
    told = [number for numbers in crash.acknowledged for number in numbers]
    append_all(log, [1000], lambda _: None)
    numbers = [fields["n"] for fields in lines_of(vault)]
    assert {*told, 1000} <= set(numbers)
    append_all(log, told[-1:], lambda _: None)
    assert [fields["n"] for fields in lines_of(vault)] == numbers, "a key appends once"
    assert len(numbers) == len(set(numbers))
    files = ((info.path, vault.read_from(info.path, 0)) for info in day_files(vault, STREAM))
    report = verify_stream(STREAM, files)
    assert (report.findings, report.unchained) == ((), 0)
    cache.close()


def group_commits(vault: Vault, acknowledge: Acknowledge) -> None:
    log = log_of(vault)
    append_all(log, [1], acknowledge)
    append_all(log, range(2, 12), acknowledge)
    append_all(log, [12, 13], acknowledge)


def over_a_month(vault: Vault, acknowledge: Acknowledge) -> None:
    assert isinstance(vault.clock, FakeClock)
    log = log_of(vault)
    for number in (1, 2, 3):
        append_all(log, [number], acknowledge)
        vault.clock.advance(15 * 86400)


def failing_syncs(vault: Vault, acknowledge: Acknowledge) -> None:
    """One append cannot be synced, and the next one can be neither synced nor taken back."""
    assert isinstance(vault.fs, PowerFileSystem)
    log = log_of(vault)
    append_all(log, [1], acknowledge)

    def guard(step: str) -> None:
        if step == "truncate":
            raise OSError(errno.EIO, "Input/output error")

    for number, refuse in ((20, vault.fs.guard), (40, guard)):
        vault.fs.break_syncs()
        vault.fs.guard = refuse
        with pytest.raises(Corrupted):
            append_all(log, range(number, number + 9), acknowledge)  # several blocks
        vault.fs.guard = lambda _: None
        append_all(log, [number + 9], acknowledge)


@pytest.mark.parametrize("program", [group_commits, over_a_month, failing_syncs])
def test_every_crash_leaves_a_whole_chain_with_all_that_was_acknowledged(program: Any, tmp_path: Path) -> None:
    found = cut(tmp_path, AGENT, program)
    assert len(found) > 20
    for crash in found:
        check_opened_again(tmp_path, crash)


def test_damage_in_the_middle_is_left_for_verify_to_name(tmp_path: Path) -> None:
    vault = vault_on(tmp_path, disk_with(AGENT))
    log = log_of(vault)
    for number in range(6):
        append_all(log, [number], lambda _: None)
        vault.clock.pause(1)
    path = day_files(vault, STREAM)[0].path
    data = vault.read(path).data
    start = data.index(b"\n") + 100
    damaged = data[:start] + bytes(512) + data[start + 512 :]
    vault.replace(path, damaged)
    append_all(log_of(vault, ids=SeededIds(4)), [7], lambda _: None)
    after = vault.read(path).data
    assert after.startswith(damaged)
    assert verify_stream(STREAM, [(path, after)]).findings != ()
