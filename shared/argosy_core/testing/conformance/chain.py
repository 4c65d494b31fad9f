"""The promises of `Chain`. What needs a way behind the store's back is in `chain_tampering` and `chain_files`."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from datetime import date
from functools import partial
from typing import Any

import anyio
import anyio.lowlevel
from anyio import CancelScope

from argosy_core.clock import parse_time
from argosy_core.errors import Conflict, InvalidArgument, NotFound
from argosy_core.storage.base import Chain, Entry
from argosy_core.testing.conformance import FLEET_STREAM, OTHER_STREAM, STREAM, UNICODE_STREAM, Opener
from argosy_core.testing.conformance.chain_entries import check_links, check_whole
from argosy_core.testing.conformance.chain_files import FILE_CHECKS
from argosy_core.testing.conformance.chain_tampering import TAMPER_CHECKS
from argosy_core.testing.conformance.promises import BOUND_SECONDS, at_once, promise, refused, same
from argosy_core.testing.fakes import FakeClock

__all__ = ["CHECKS", "FILE_CHECKS", "TAMPER_CHECKS"]
Open = Opener[Chain]
Check = Callable[[Open], Coroutine[Any, Any, None]]
DAY_SECONDS = 86_400.0
EVENTS: tuple[Mapping[str, Any], ...] = (
    {},
    {"kind": "note.write", "text": "línea\nzwei\u2028drei\u0085\r\0 日本 🚢", "n": [1, 1.5, -0.0, 10**20, None, True]},
    {"日本": {"б": {"a": [{}, [], ""]}}, "": 0, "z": 1, "a": 2},
    {"text": "x" * 100_000},
)
HOSTILE_STREAMS = (
    "",
    ".",
    "..",
    "../x",
    "/etc",
    "harbor/..",
    "harbor/log",
    "none",
    "a\0b",
    "a\nb",
    ".argosy",
    "x" * 300,
)
HOSTILE_WRITERS = ("", "a\nb", "a\0b", "\ud800", "x" * 101)


async def check_numbers_are_dense_and_hashes_chain(open_chain: Open) -> None:
    """The entries of a writer count from 1, each names the hash before it, and its own hash is that of the rule."""
    async with open_chain() as chain:
        entries = [await chain.append(STREAM, "w", event) for event in EVENTS]
        same([e.seq for e in entries], list(range(1, len(EVENTS) + 1)), "numbers are dense from 1")
        same([e.event for e in entries], list(EVENTS), "an entry holds its event")
        check_links(entries)
        last = entries[-1]
        heads = [(h.stream, h.writer, h.seq, h.hash) for h in await chain.heads(STREAM)]
        same(heads, [(STREAM, "w", last.seq, last.hash)], "the head is the last entry")
        await check_whole(chain, STREAM, len(EVENTS))


async def check_each_writer_and_stream_has_its_own_chain(open_chain: Open) -> None:
    """Writers of one stream, and one writer in several streams, count on their own; names of any script are kept."""
    writers = ("host", "журнал", "a b'c;--", "🚢")
    streams = (STREAM, OTHER_STREAM, UNICODE_STREAM, FLEET_STREAM)
    async with open_chain() as chain:
        for number in (1, 2):
            for stream in streams:
                for writer in writers:
                    entry = await chain.append(stream, writer, {"n": number})
                    same((entry.stream, entry.writer, entry.seq), (stream, writer, number), "the entry's place")
        found = [(h.stream, h.writer, h.seq) for h in await chain.heads()]
        same(found, sorted((s, w, 2) for s in streams for w in writers), "heads, sorted by stream and writer")
        same(list(await chain.streams()), sorted(streams), "streams, sorted")
        report = await chain.verify()
        same((report.entries, report.findings), (2 * len(streams) * len(writers), ()), "all chains are whole")


async def check_a_key_appends_once(open_chain: Open) -> None:
    """The same key with the same event gives the first entry again, with another event Conflict; on every handle."""
    async with open_chain() as one, open_chain() as two:
        first = await one.append(STREAM, "w", {"n": 1}, key="k")
        for chain in (one, two):
            await chain.append(STREAM, "w", {"n": 0})
            same(await chain.append(STREAM, "w", {"n": 1}, key="k"), first, "the same key gives the first entry")
            with refused(Conflict, what="a key used for another event"):
                await chain.append(STREAM, "w", {"n": 2}, key="k")
        other = await two.append(STREAM, "other", {"n": 2}, key="k")
        same(other.seq, 1, "another writer's keys are its own")
        same((await two.append(OTHER_STREAM, "w", {"n": 3}, key="k")).seq, 1, "another stream's keys are its own")
    async with open_chain() as chain:
        same(await chain.append(STREAM, "w", {"n": 1}, key="k"), first, "a key outlives the handle")
        with refused(Conflict, what="a key used for another event before the handle was opened"):
            await chain.append(STREAM, "w", {"n": 2}, key="k")
        await check_whole(chain, STREAM, 4)


async def check_many_callers_with_one_key_append_once(open_chain: Open) -> None:
    """Of many callers at once with one key all get the same entry, and there is one."""
    async with open_chain() as one, open_chain() as two:
        entries: list[Entry] = []

        async def append(number: int) -> None:
            entries.append(await (one, two)[number % 2].append(STREAM, "w", {"n": 1}, key="k"))

        await at_once([partial(append, n) for n in range(16)])
        same(entries, entries[:1] * 16, "one entry for all")
        await check_whole(one, STREAM, 1)


async def check_an_entry_is_found_by_its_key(open_chain: Open) -> None:
    """`find` gives the entry of a writer's key from every handle, and None for keys that nobody used."""
    async with open_chain() as one, open_chain() as two:
        entry = await one.append(STREAM, "w", {"n": 1}, key="ключ 🔑")
        for chain in (one, two):
            same(await chain.find(STREAM, "w", "ключ 🔑"), entry, "the entry of the key")
            same(await chain.find(STREAM, "w", "none"), None, "no entry for an unused key")
            same(await chain.find(STREAM, "other", "ключ 🔑"), None, "no entry for another writer")
            same(await chain.find(OTHER_STREAM, "w", "ключ 🔑"), None, "no entry in another stream")


async def check_an_expected_number_decides(open_chain: Open) -> None:
    """With expect_seq the entry gets that number or the append raises Conflict; of many at once one wins."""
    async with open_chain() as one, open_chain() as two:
        same((await one.append(STREAM, "w", {}, expect_seq=1)).seq, 1, "the expected number")
        for wrong in (-1, 0, 1, 3):
            with refused(Conflict, what=f"expecting {wrong} where 2 comes"):
                await two.append(STREAM, "w", {}, expect_seq=wrong)
        won: list[int] = []

        async def append(number: int) -> None:
            try:
                won.append((await (one, two)[number % 2].append(STREAM, "w", {"n": number}, expect_seq=2)).seq)
            except Conflict:
                return

        await at_once([partial(append, n) for n in range(8)])
        same(won, [2], "one of eight wins")
        await check_whole(one, STREAM, 2)


async def check_many_callers_at_once_all_get_their_entry(open_chain: Open) -> None:
    """Sixty-four callers at once each get an entry of their own; one with a bad event fails alone."""
    async with open_chain() as chain:
        entries: dict[int, Entry] = {}
        failed: list[int] = []

        async def append(number: int) -> None:
            event = {"n": float("nan")} if number % 16 == 7 else {"n": number}
            try:
                entries[number] = await chain.append(STREAM, f"w{number % 3}", event)
            except InvalidArgument:
                failed.append(number)

        await at_once([partial(append, n) for n in range(64)])
        same(sorted(failed), [7, 23, 39, 55], "the callers with a bad event fail")
        same({n: e.event for n, e in entries.items()}, {n: {"n": n} for n in entries}, "each has its own event")
        for writer in ("w0", "w1", "w2"):
            check_links(sorted((e for e in entries.values() if e.writer == writer), key=lambda e: e.seq))
        await check_whole(chain, STREAM, 60)


async def check_handles_that_take_turns_make_one_chain(open_chain: Open) -> None:
    """Two handles that append in turn, to one stream or several, make one chain with all entries."""
    async with open_chain() as one, open_chain() as two:
        entries = [await (one, two)[n % 2].append(STREAM, "w", {"n": n}) for n in range(20)]
        check_links(entries)
        for number in range(10):
            await (one, two)[number % 2].append((OTHER_STREAM, STREAM)[number % 3 == 0], "w", {})
        await check_whole(two, STREAM, 24)
        same(await one.heads(), await two.heads(), "both handles see the same heads")


async def check_handles_that_append_at_once_lose_nothing(open_chain: Open) -> None:
    """Several handles that append at once make one chain with every acknowledged entry."""
    async with open_chain() as one, open_chain() as two, open_chain() as three:
        entries: list[Entry] = []

        async def append(chain: Chain, name: str) -> None:
            entries.extend([await chain.append(STREAM, "w", {"who": name, "n": number}) for number in range(12)])

        await at_once([partial(append, c, str(n)) for n, c in enumerate((one, one, two, two, three))])
        check_links(sorted(entries, key=lambda e: e.seq))
        await check_whole(one, STREAM, 60)


async def check_a_cancelled_caller_harms_nobody(open_chain: Open) -> None:
    """A caller that is cancelled in mid-append loses no entry of another, tears nothing, and the next append works."""
    async with open_chain() as chain:
        acknowledged: list[int] = []

        async def append(number: int) -> None:
            acknowledged.append((await chain.append(STREAM, "w", {"n": number})).seq)

        with anyio.fail_after(BOUND_SECONDS):
            for rounds in range(12):
                async with anyio.create_task_group() as tasks:
                    with CancelScope() as scope:
                        tasks.start_soon(append, rounds)
                        async with anyio.create_task_group() as cancelled:
                            for number in range(rounds % 4 + 1):
                                cancelled.start_soon(append, number)
                            for _ in range(rounds):
                                await anyio.lowlevel.checkpoint()
                            scope.cancel()
                    tasks.start_soon(append, rounds)
        stored = [line["seq"] async for line in chain.scan(STREAM)]
        promise(set(acknowledged) <= set(stored), "what was acknowledged is there", sorted(set(acknowledged)))
        promise(len(acknowledged) >= 24, "those that were not cancelled are acknowledged", len(acknowledged))
        await chain.append(STREAM, "w", {})
        await check_whole(chain, STREAM, len(stored) + 1)


async def check_a_day_changes_and_the_chain_goes_on(open_chain: Open) -> None:
    """Numbers and hashes go on over days and months, also when a clock goes back; times are those of the clock."""
    clock = FakeClock()
    async with open_chain(clock) as chain:
        entries: list[Entry] = []
        for step in (0, 0, 1, 40, -2, 0, 3):
            clock.advance(step * DAY_SECONDS)
            entries.append(await chain.append(STREAM, "w", {"step": step}))
            same(parse_time(entries[-1].ts), clock.now(), "an entry's time is the clock's")
        check_links(entries)
        await check_whole(chain, STREAM, 7)
    async with open_chain(clock) as chain:
        entries.append(await chain.append(STREAM, "w", {}))
        check_links(entries)
        await check_whole(chain, STREAM, 8)


async def check_clocks_that_disagree_break_no_chain(open_chain: Open) -> None:
    """Handles whose clocks are days apart still make one chain."""
    early, late = FakeClock(), FakeClock()
    async with open_chain(early) as one, open_chain(late) as two:
        entries = [await one.append(STREAM, "w", {})]
        for days in (1, 31):
            late.advance(days * DAY_SECONDS)
            entries += [await two.append(STREAM, "w", {}), await one.append(STREAM, "w", {})]
            entries += [await one.append(STREAM, "w", {}), await two.append(STREAM, "w", {})]
        check_links(entries)
        await check_whole(one, STREAM, len(entries))


async def check_scanning_gives_lines_in_order(open_chain: Open) -> None:
    """`scan` gives all lines of the days asked for, in order or newest first, each with its event and its place."""
    clock = FakeClock()
    days = [date(2026, 11, 20), date(2026, 11, 21), date(2026, 12, 5)]
    async with open_chain(clock) as chain:
        for day in days:
            clock.advance((day - clock.now().date()).days * DAY_SECONDS)
            for event in EVENTS[:2]:
                await chain.append(STREAM, "w", event)
        for since, until, seqs in (
            (None, None, [1, 2, 3, 4, 5, 6]),
            (days[1], None, [3, 4, 5, 6]),
            (None, days[1], [1, 2, 3, 4]),
            (days[1], days[1], [3, 4]),
            (date(2027, 1, 1), None, []),
        ):
            lines = [line async for line in chain.scan(STREAM, since=since, until=until)]
            same([line["seq"] for line in lines], seqs, f"lines since {since} until {until}")
            back = [line async for line in chain.scan(STREAM, since=since, until=until, newest_first=True)]
            same(back, lines[::-1], "newest first is the other way round")
            for line in lines:
                event = EVENTS[(int(line["seq"]) - 1) % 2]
                same({name: line[name] for name in event}, dict(event), "a line holds its event")
                same((line["stream"], line["writer"]), (STREAM, "w"), "a line names its place")
        same([line async for line in chain.scan(OTHER_STREAM)], [], "a stream without entries has no lines")


async def check_a_chain_outlives_its_handle(open_chain: Open) -> None:
    """What was appended is there when all handles are opened anew, and the chain goes on."""
    entries: list[Entry] = []
    for number in range(4):
        async with open_chain() as chain:
            entries += [await chain.append(STREAM, "w", {"n": number}) for _ in range(3)]
            check_links(entries)
            same([h.hash for h in await chain.heads(STREAM)], [entries[-1].hash], "the head")
            await check_whole(chain, STREAM, len(entries))


async def check_bad_names_and_events_are_refused(open_chain: Open) -> None:
    """A stream that is not there, a bad writer and an event that JSON cannot carry are refused, and nothing is made."""
    deep: dict[str, Any] = {}
    for _ in range(100_000):
        deep = {"d": deep}
    bad: tuple[Mapping[Any, Any], ...] = (
        *({name: 1} for name in ("stream", "writer", "seq", "prev", "digest", "hash", "salt", "ts", "key")),
        *({"x": value} for value in (float("nan"), float("inf"), b"x", {1}, object(), "\ud800", {1: 2}, {None: 1})),
        *({"\ud800": 1}, {2: 1, 10: 1}, {"x": "y" * 300_000}, deep),
    )
    async with open_chain() as chain:
        for stream in HOSTILE_STREAMS:
            with refused(NotFound, InvalidArgument, what=f"the stream {stream[:20]!a}"):
                await chain.append(stream, "w", {})
            with refused(NotFound, InvalidArgument, what=f"find in the stream {stream[:20]!a}"):
                await chain.find(stream, "w", "k")
            with refused(NotFound, InvalidArgument, what=f"scan of the stream {stream[:20]!a}"):
                same([line async for line in chain.scan(stream)], [], "no lines")
        for stream in HOSTILE_STREAMS[1:]:  # the empty name is not one stream
            with refused(NotFound, InvalidArgument, what=f"heads of the stream {stream[:20]!a}"):
                await chain.heads(stream)
            with refused(NotFound, InvalidArgument, what=f"verify of the stream {stream[:20]!a}"):
                await chain.verify(stream)
        for writer in HOSTILE_WRITERS:
            with refused(InvalidArgument, what=f"the writer {writer[:20]!a}"):
                await chain.append(STREAM, writer, {})
        for event in bad:
            with refused(InvalidArgument, what=f"the event {ascii(event)[:40] if event is not deep else 'too deep'}"):
                await chain.append(STREAM, "w", event)
        for key in ("", "\ud800", "x" * 1001):
            with refused(InvalidArgument, what=f"the key {key[:20]!a}"):
                await chain.append(STREAM, "w", {}, key=key)
        same(list(await chain.heads()), [], "nothing was appended")
        same((await chain.append(STREAM, "w", {})).seq, 1, "the next append works")


CHECKS: tuple[Check, ...] = (
    check_numbers_are_dense_and_hashes_chain,
    check_each_writer_and_stream_has_its_own_chain,
    check_a_key_appends_once,
    check_many_callers_with_one_key_append_once,
    check_an_entry_is_found_by_its_key,
    check_an_expected_number_decides,
    check_many_callers_at_once_all_get_their_entry,
    check_handles_that_take_turns_make_one_chain,
    check_handles_that_append_at_once_lose_nothing,
    check_a_cancelled_caller_harms_nobody,
    check_a_day_changes_and_the_chain_goes_on,
    check_clocks_that_disagree_break_no_chain,
    check_scanning_gives_lines_in_order,
    check_a_chain_outlives_its_handle,
    check_bad_names_and_events_are_refused,
)
