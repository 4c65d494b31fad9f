"""The promises of a `Chain` whose entries are lines of day files that people can reach too."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from argosy_core.errors import Conflict
from argosy_core.storage.base import Chain
from argosy_core.testing.conformance import OTHER_STREAM, STREAM, STREAMS, FolderOpener
from argosy_core.testing.conformance.chain_entries import check_whole
from argosy_core.testing.conformance.promises import promise, refused, same
from argosy_core.testing.fakes import FakeClock
from argosy_core.vault import STATE_FOLDER

Open = FolderOpener[Chain]
Check = Callable[[Open], Coroutine[Any, Any, None]]


async def check_entries_are_lines_of_the_days_file(open_chain: Open) -> None:
    """An entry is one line of JSON in ``<stream>/log/YYYY-MM/YYYY-MM-DD.jsonl``, the day being the clock's."""
    async with open_chain(FakeClock()) as chain:
        entry = await chain.append(STREAM, "w", {"text": "línea\n日本"}, key="k")
    data = (open_chain.root / STREAM / "log/2026-11/2026-11-20.jsonl").read_bytes()
    same((data.count(b"\n"), data[-1:]), (1, b"\n"), "one line")
    fields = json.loads(data)
    place = {"stream": STREAM, "writer": "w", "seq": 1, "prev": entry.prev, "digest": entry.digest, "hash": entry.hash}
    same({name: fields[name] for name in place}, place, "the line has the chain's fields")
    same((fields["text"], fields["key"], fields["ts"]), ("línea\n日本", "k", entry.ts), "the line has the event")
    promise("日本".encode() in data, "text is readable in the file", data)


async def check_a_torn_last_line_is_set_aside(open_chain: Open) -> None:
    """A torn last line is kept under .argosy/recovered and taken off, and the chain goes on after the last entry."""
    for stream in STREAMS:
        async with open_chain() as chain:
            for number in range(3):
                await chain.append(stream, "w", {"n": number})
        torn = b'{"ts":"2026-11-20T09:00:00.000Z","text":"\xe6\x97'
        file = _day_file(open_chain.root, stream)
        file.write_bytes(file.read_bytes() + torn)
        async with open_chain() as chain:
            same((await chain.verify(stream)).findings, (), "a torn last line is no finding")
            same((await chain.append(stream, "w", {})).seq, 4, "the chain goes on")
            await check_whole(chain, stream, 4)
        aside = [path.read_bytes() for path in (open_chain.root / STATE_FOLDER / "recovered").iterdir()]
        promise(torn in aside, "the torn line is kept", aside)
        shutil.rmtree(open_chain.root / STATE_FOLDER / "recovered")


async def check_a_torn_line_of_an_open_chain_is_set_aside(open_chain: Open) -> None:
    """What another process tore while a handle was open is set aside too, also when the day has changed since."""
    clock = FakeClock()
    async with open_chain(clock) as chain:
        for seq in (1, 2, 3):
            same((await chain.append(STREAM, "w", {})).seq, seq, "the chain goes on")
            file = _day_file(open_chain.root, STREAM)
            file.write_bytes(file.read_bytes() + b'{"torn": ')
            clock.advance(0 if seq == 1 else 86_400)
        same((await chain.append(STREAM, "w", {})).seq, 4, "the chain goes on")
        await check_whole(chain, STREAM, 4)
    aside = list((open_chain.root / STATE_FOLDER / "recovered").iterdir())
    same(len(aside), 3, "every torn line is kept")


async def check_a_line_without_newline_is_completed(open_chain: Open) -> None:
    """A last line that is whole but for its newline, as some editors leave it, is kept."""
    async with open_chain() as chain:
        first = await chain.append(STREAM, "w", {"n": 1}, key="k")
        file = _day_file(open_chain.root, STREAM)
        file.write_bytes(file.read_bytes().rstrip(b"\n"))
    async with open_chain() as chain:
        same(await chain.append(STREAM, "w", {"n": 1}, key="k"), first, "the line is an entry")
        file.write_bytes(file.read_bytes() + b'{"a":"person\'s line"}')
        same((await chain.append(STREAM, "w", {})).seq, 2, "the chain goes on")
        report = await chain.verify(STREAM)
        same((report.entries, report.unchained, report.findings), (2, 1, ()), "all lines are there")


async def check_a_deleted_state_folder_loses_nothing(open_chain: Open) -> None:
    """When .argosy is deleted, while handles are open or between two, chains and keys go on."""
    entries = 0
    async with open_chain() as one, open_chain() as two:
        first = await one.append(STREAM, "w", {"n": 0}, key="first")
        for number in range(6):
            chain = (one, two)[number % 2]
            kept = await chain.append(STREAM, "w", {"n": number}, key=f"key {number}")
            shutil.rmtree(open_chain.root / STATE_FOLDER)
            for again in (chain, one, two):
                same(await again.append(STREAM, "w", {"n": number}, key=f"key {number}"), kept, "a key is remembered")
                same(await again.append(STREAM, "w", {"n": 0}, key="first"), first, "an older key is remembered")
        entries = 7
        await check_whole(one, STREAM, entries)
    for _ in range(2):
        shutil.rmtree(open_chain.root / STATE_FOLDER)
        async with open_chain() as chain:
            same(await chain.append(STREAM, "w", {"n": 0}, key="first"), first, "a key is remembered")
            with refused(Conflict, what="a key used for another event"):
                await chain.append(STREAM, "w", {"n": 1}, key="first")
            entries += 1
            same((await chain.append(STREAM, "w", {})).seq, entries, "the chain goes on")
            await check_whole(chain, STREAM, entries)


async def check_damaged_state_loses_nothing(open_chain: Open) -> None:
    """Whatever .argosy holds, garbage, folders or nothing, chains and keys are read from the files."""
    async with open_chain() as chain:
        first = await chain.append(STREAM, "w", {}, key="k")
    state = open_chain.root / STATE_FOLDER
    for damage in (b"", b"garbage" * 1000, None):
        for path in [path for path in state.iterdir() if path.is_file()]:
            path.unlink()
            if damage is None:
                path.mkdir()
            else:
                path.write_bytes(damage)
        async with open_chain() as chain:
            same(await chain.append(STREAM, "w", {}, key="k"), first, "a key is remembered")
            await chain.append(STREAM, "w", {})
        async with open_chain() as chain:
            same(await chain.append(STREAM, "w", {}, key="k"), first, "a key is remembered")
            same((await chain.verify(STREAM)).findings, (), "the chain is whole")


async def check_a_file_replaced_by_an_editor_is_followed(open_chain: Open) -> None:
    """When an editor saves the day's file as a new one, with lines before, between or after, appends go into that."""
    line = b'{"a":"person\'s line"}\n'
    async with open_chain() as one, open_chain() as two:
        await one.append(STREAM, "w", {}, key="k")
        for number in range(6):
            await (one, two)[number % 2].append(STREAM, "w", {})
            file = _day_file(open_chain.root, STREAM)
            lines = file.read_bytes().splitlines(keepends=True)
            lines.insert((0, 1, len(lines))[number % 3], line)
            (file.parent / "new").write_bytes(b"".join(lines))
            (file.parent / "new").replace(file)
        same((await one.append(STREAM, "w", {})).seq, 8, "the chain goes on")
        same((await two.append(STREAM, "w", {}, key="k")).seq, 1, "keys are remembered")
        report = await two.verify(STREAM)
        same((report.entries, report.unchained, report.findings), (8, 6, ()), "nothing is lost")


async def check_an_older_copy_put_back_is_continued(open_chain: Open) -> None:
    """When a person puts an older copy of the day's file back, the chain goes on after what that holds."""
    async with open_chain() as one, open_chain() as two:
        await one.append(STREAM, "w", {})
        file = _day_file(open_chain.root, STREAM)
        older = file.read_bytes()
        for _ in range(3):
            await one.append(STREAM, "w", {"long": "x" * 500}, key="k")
        file.write_bytes(older)
        same((await two.append(STREAM, "w", {}, key="k")).seq, 2, "the chain goes on after the copy")
        for _ in range(4):
            await two.append(STREAM, "w", {"long": "x" * 500})
        same((await one.append(STREAM, "w", {})).seq, 7, "for the handle that knew the newer file too")
        await check_whole(one, STREAM, 7)
        shutil.rmtree(file.parent)
        same((await one.append(STREAM, "w", {})).seq, 1, "a chain whose files are gone starts over")
        same((await two.append(STREAM, "w", {})).seq, 2, "on every handle")


async def check_other_files_in_the_log_are_left_alone(open_chain: Open) -> None:
    """Copies, conflict files and notes beside the day files are neither read as the chain nor written."""
    async with open_chain() as chain:
        await chain.append(STREAM, "w", {"n": 1})
    file = _day_file(open_chain.root, STREAM)
    copies = [
        file.with_name(f"{file.stem}.sync-conflict-1.jsonl"),
        file.with_name(f"{file.stem} copy.jsonl"),
        file.with_name("zzz.jsonl"),
        file.parent / "sub" / file.name,
        file.parent.parent / "9999-99.jsonl",
        file.parent.parent / "backup" / file.name,
    ]
    other = file.read_bytes().replace(b'"seq":1', b'"seq":9')
    for copy in copies:
        copy.parent.mkdir(exist_ok=True)
        copy.write_bytes(other)
    async with open_chain() as chain:
        same((await chain.append(STREAM, "w", {"n": 2})).seq, 2, "the chain goes on")
        await check_whole(chain, STREAM, 2)
        same(len([line async for line in chain.scan(STREAM)]), 2, "only the chain's lines are read")
    promise(all(copy.read_bytes() == other for copy in copies), "copies are left as they are")


async def check_streams_are_found_by_their_folders(open_chain: Open) -> None:
    """A log that was copied into the vault is a stream like any other, and its chain goes on."""
    async with open_chain() as chain:
        await chain.append(STREAM, "w", {}, key="k")
    shutil.copytree(open_chain.root / STREAM / "log", open_chain.root / OTHER_STREAM / "log")
    async with open_chain() as chain:
        same(list(await chain.streams()), [STREAM, OTHER_STREAM], "both streams")
        found = [(f.kind, f.stream, f.seq) for f in (await chain.verify(OTHER_STREAM)).findings]
        same(found, [("moved", OTHER_STREAM, 1)], "the copied entry belongs elsewhere")
        same(
            (await chain.append(OTHER_STREAM, "w", {"n": 2}, key="k")).seq, 1, "nothing is taken from the other stream"
        )


def _day_file(root: Path, stream: str) -> Path:
    """The newest day's file of *stream*."""
    return sorted((root / stream / "log").glob("*/*.jsonl"))[-1]


FILE_CHECKS: tuple[Check, ...] = (
    check_entries_are_lines_of_the_days_file,
    check_a_torn_last_line_is_set_aside,
    check_a_torn_line_of_an_open_chain_is_set_aside,
    check_a_line_without_newline_is_completed,
    check_a_deleted_state_folder_loses_nothing,
    check_damaged_state_loses_nothing,
    check_a_file_replaced_by_an_editor_is_followed,
    check_an_older_copy_put_back_is_continued,
    check_other_files_in_the_log_are_left_alone,
    check_streams_are_found_by_their_folders,
)
