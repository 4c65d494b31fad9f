"""The promises of `Chain.verify`: whoever changes stored entries behind the store's back is found out."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from itertools import product
from typing import Any, Protocol

from argosy_core.canonical import chain_hash
from argosy_core.storage.base import Chain
from argosy_core.testing.conformance import OTHER_STREAM, STREAM, Opener, Tamperer
from argosy_core.testing.conformance.promises import promise, same


class Open(Opener[Chain], Protocol):
    """An opener of a store whose entries can be reached by another way too."""

    def tamper(self) -> AbstractAsyncContextManager[Tamperer]:
        """That other way."""
        ...


Check = Callable[[Open], Coroutine[Any, Any, None]]
Lines = list[bytes]
LENGTH = 6
WRITTEN = ((",", ":"), (", ", ": "))  # as the log writes itself, and as others do: verify may read its own way faster
MALFORMED: tuple[dict[str, Any], ...] = (
    {"seq": "x"},
    {"seq": 10**30},
    {"seq": -1},
    {"seq": True},
    {"seq": 3.5},
    {"seq": None},
    {"hash": "zz"},
    {"hash": 5},
    {"hash": ""},
    {"prev": "zz"},
    {"prev": None},
    {"digest": []},
    {"salt": 7},
    {"salt": "x"},
    {"writer": 5},
    {"writer": ["w"]},
    {"stream": None},
)


async def check_an_edit_is_named(open_chain: Open) -> None:
    """Whatever field of an entry's event is changed, added or removed, verify says `altered` at that entry."""
    edits: tuple[Callable[[dict[str, Any]], Any], ...] = (
        lambda fields: fields.update(n=99),
        lambda fields: fields.update(more=1),
        lambda fields: fields.pop("n"),
        lambda fields: fields.update(salt="00" * 16),
        lambda fields: fields.pop("salt"),
    )
    for edit, separators in product(edits, WRITTEN):

        def change(
            lines: Lines, edit: Callable[[dict[str, Any]], Any] = edit, separators: tuple[str, str] = separators
        ) -> Lines:
            fields = json.loads(lines[2])
            edit(fields)
            return [*lines[:2], json.dumps(fields, separators=separators).encode(), *lines[3:]]

        same(await _findings(open_chain, change), [("altered", STREAM, "w", 3)], "an edit of entry 3 is named")


async def check_a_changed_chain_field_is_named(open_chain: Open) -> None:
    """Whatever chain field of an entry is changed, verify finds something at that entry or the next, and no earlier."""
    for name, separators in product(("digest", "hash", "prev", "writer", "seq"), WRITTEN):

        def change(lines: Lines, name: str = name, separators: tuple[str, str] = separators) -> Lines:
            fields = json.loads(lines[2])
            fields[name] = {"writer": "v", "seq": 9}.get(name, "0" * 64)
            return [*lines[:2], json.dumps(fields, separators=separators).encode(), *lines[3:]]

        found = await _findings(open_chain, change)
        promise(found, f"a changed {name} is found", found)
        promise(found[0][3] in (3, 4, 9), f"a changed {name} is found where it is", found)


async def check_a_gap_is_named(open_chain: Open) -> None:
    """When entries are taken out, verify says `gap` at the entry after them."""
    for start, end in ((0, 1), (2, 3), (1, 4)):
        found = await _findings(open_chain, partial(_without, start, end))
        same(found, [("gap", STREAM, "w", end + 1)], f"the entries {start + 1} to {end} are missed")


def _without(start: int, end: int, lines: Lines) -> Lines:
    return lines[:start] + lines[end:]


async def check_another_order_is_named(open_chain: Open) -> None:
    """When entries change places, verify finds something at the first that is out of place."""
    found = await _findings(open_chain, lambda lines: [*lines[:2], lines[3], lines[2], *lines[4:]])
    promise(found and found[0][3] == 4, "entry 4 is found before entry 3", found)
    found = await _findings(open_chain, lambda lines: [*lines, lines[2]])
    same(found, [("rewritten", STREAM, "w", 3)], "a repeated entry is found")


async def check_a_moved_entry_is_named(open_chain: Open) -> None:
    """An entry that stands in another stream is `moved`, and is missed where it was."""
    async with open_chain() as chain, open_chain.tamper() as store:
        await _fill(chain)
        lines = list(await store.lines(STREAM))
        await store.put(STREAM, lines[:2] + lines[3:])
        await store.put(OTHER_STREAM, [*await store.lines(OTHER_STREAM), lines[2]])
        report = await chain.verify()
        found = [(f.kind, f.stream, f.writer, f.seq) for f in report.findings]
        same(found, [("gap", STREAM, "w", 4), ("moved", OTHER_STREAM, "w", 3)], "a moved entry is found in both places")


async def check_a_log_rewritten_from_some_point_is_named(open_chain: Open) -> None:
    """When an entry is replaced by another with right hashes, verify says `rewritten` where the old ones go on."""

    def change(lines: Lines) -> Lines:
        fields = json.loads(lines[2])
        digest = bytes(32)
        fields["hash"] = chain_hash(STREAM, "w", 3, bytes.fromhex(fields["prev"]), digest).hex()
        return [*lines[:2], json.dumps({**fields, "digest": digest.hex()}).encode(), *lines[3:]]

    found = await _findings(open_chain, change)
    same(found, [("altered", STREAM, "w", 3), ("rewritten", STREAM, "w", 4)], "the seam is found")


async def check_lines_of_older_systems_are_counted(open_chain: Open) -> None:
    """Lines that belong to no chain are counted, not found fault with, and the chain goes on around them."""
    old = [b'{"ts":"2026-05-06T11:32:00Z","model":"m"}', b'{"key":"k","hash":"x"}', b'{"seq":1}', b"{}"]
    async with open_chain() as chain, open_chain.tamper() as store:
        await store.put(STREAM, old[:1])
        await _fill(chain)
        lines = list(await store.lines(STREAM))
        same(len(lines), LENGTH + 1, "the older line is kept")
        await store.put(STREAM, [*lines[:3], *old, *lines[3:]])
        report = await chain.verify(STREAM)
        same((report.entries, report.unchained, report.findings), (LENGTH, 5, ()), "five lines outside the chain")
        same((await chain.append(STREAM, "w", {}, key="k")).seq, LENGTH + 1, "the chain goes on")
    async with open_chain() as chain:
        same((await chain.append(STREAM, "w", {})).seq, LENGTH + 2, "the chain goes on when opened anew")
        same((await chain.verify(STREAM)).findings, (), "nothing is wrong")


async def check_a_malformed_entry_stops_nothing(open_chain: Open) -> None:
    """A stored entry with senseless chain fields is found by verify, and appending goes on for every writer."""
    for change in MALFORMED:
        async with open_chain() as chain, open_chain.tamper() as store:
            await store.put(STREAM, [])
            await _fill(chain)
            lines = list(await store.lines(STREAM))
            lines[-1] = json.dumps(json.loads(lines[-1]) | change).encode()
            await store.put(STREAM, lines)
        async with open_chain() as chain:
            report = await chain.verify(STREAM)
            promise(report.findings, f"an entry with {change} is found", report)
            for writer in ("w", "other"):
                await chain.append(STREAM, writer, {"n": 7}, key="k")
            promise((await chain.verify(STREAM)).findings, "it is found still", report)
            same(len([line async for line in chain.scan(STREAM)]), LENGTH + 2, "all lines can be read")


async def check_a_line_that_is_no_entry_stops_nothing(open_chain: Open) -> None:
    """A line that is not JSON, or deep beyond sense, is found by verify; reading and appending go on."""
    for junk in (
        b"not json",
        b"[1]",
        b'"x"',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"n":%s}' % (b"9" * 9999),
    ):
        async with open_chain() as chain, open_chain.tamper() as store:
            await store.put(STREAM, [])
            await _fill(chain)
            lines = list(await store.lines(STREAM))
            await store.put(STREAM, [*lines[:3], junk, *lines[3:]])
        async with open_chain() as chain:
            same((await chain.append(STREAM, "w", {})).seq, LENGTH + 1, "the chain goes on")
            found = [f.kind for f in (await chain.verify(STREAM)).findings]
            same(found, ["altered"], f"the line {junk[:20]!r} is found")
            same(len([line async for line in chain.scan(STREAM)]), LENGTH + 1, "the other lines can be read")


async def _fill(chain: Chain) -> None:
    for number in range(LENGTH):
        await chain.append(STREAM, "w", {"n": number})


async def _findings(open_chain: Open, change: Callable[[Lines], Lines]) -> Sequence[tuple[str, str, str, int]]:
    """What verify says of a fresh chain of six entries after *change*."""
    async with open_chain() as chain, open_chain.tamper() as store:
        await store.put(STREAM, [])
    async with open_chain() as chain, open_chain.tamper() as store:
        await _fill(chain)
        same((await chain.verify(STREAM)).findings, (), "a fresh chain is whole")
        await store.put(STREAM, change(list(await store.lines(STREAM))))
        return [(f.kind, f.stream, f.writer, f.seq) for f in (await chain.verify(STREAM)).findings]


TAMPER_CHECKS: tuple[Check, ...] = (
    check_an_edit_is_named,
    check_a_changed_chain_field_is_named,
    check_a_gap_is_named,
    check_another_order_is_named,
    check_a_moved_entry_is_named,
    check_a_log_rewritten_from_some_point_is_named,
    check_lines_of_older_systems_are_counted,
    check_a_malformed_entry_stops_nothing,
    check_a_line_that_is_no_entry_stops_nothing,
)
