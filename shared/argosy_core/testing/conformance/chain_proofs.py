"""The promises of a `Chain` beyond its own links: what anchors prove, and what redaction takes away and leaves."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from argosy_core.canonical import NO_PREVIOUS, chain_hash_v0
from argosy_core.errors import Corrupted, InvalidArgument, NotFound
from argosy_core.storage.base import Chain, Entry
from argosy_core.storage.chain_anchors import Anchor
from argosy_core.storage.chain_lines import make_entry
from argosy_core.storage.chain_redaction import redaction_event
from argosy_core.storage.chain_v0 import EntryV0
from argosy_core.testing.conformance import FLEET_STREAM, STREAM, Opener, Tamperer
from argosy_core.testing.conformance.promises import promise, refused, same


class Open(Opener[Chain], Protocol):
    """An opener of a store whose entries can be reached by another way too."""

    def tamper(self) -> AbstractAsyncContextManager[Tamperer]:
        """That other way."""
        ...


Check = Callable[[Open], Coroutine[Any, Any, None]]
LENGTH = 6
TEXT = "the harbour master's name"


async def check_a_tail_cut_off_behind_an_anchor_is_named(open_chain: Open) -> None:
    """When an anchor event of another writer names a head, entries cut off before it are `truncated` at the first."""
    async with open_chain() as chain, open_chain.tamper() as store:
        await _fill(chain)
        await _anchor(chain, STREAM)
        lines = list(await store.lines(STREAM))
        same((await chain.verify(STREAM)).findings, (), "what an anchor names is there")
        await store.put(STREAM, [*lines[:3], lines[-1]])
        same(await _findings(chain, STREAM), [("truncated", STREAM, "w", 4)], "the entries 4 to 6 are missed")


async def check_a_log_written_anew_is_named(open_chain: Open) -> None:
    """When entries are replaced by others with right hashes, anchors show it: after the last one that holds."""
    async with open_chain() as chain, open_chain.tamper() as store:
        await _fill(chain, 3)
        await _anchor(chain, FLEET_STREAM)
        await _fill(chain, LENGTH - 3)
        await _anchor(chain, FLEET_STREAM)
        lines = list(await store.lines(STREAM))
        await store.put(STREAM, [*lines[:3], *_forged(lines[2], LENGTH - 3)])
        for stream in (STREAM, None):
            same(await _findings(chain, stream), [("rewritten", STREAM, "w", 4)], "from entry 4 on it is another log")


async def check_a_whole_log_that_is_gone_is_missed(open_chain: Open) -> None:
    """When nothing of a stream is left, anchors in the fleet's stream still know it, from its first entry on."""
    async with open_chain() as chain, open_chain.tamper() as store:
        await _fill(chain)
        await _anchor(chain, FLEET_STREAM)
        await store.put(STREAM, [])
        for stream in (STREAM, None):
            found = await _findings(chain, stream)
            same([each[1:] for each in found], [(STREAM, "w", 1)], "all is missed")
            promise(found[0][0] in ("missing", "truncated"), "and its kind is told", found)


async def check_redaction_leaves_a_chain_that_holds(open_chain: Open) -> None:
    """A redacted entry has lost its text and salt for every reader, and the chain holds and goes on."""
    async with open_chain() as chain, open_chain() as other, open_chain.tamper() as store:
        entries = [await chain.append(STREAM, "w", {"n": n, "text": TEXT}, key=f"k{n}") for n in range(LENGTH)]
        for entry in (entries[1], entries[-1]):
            await chain.append(STREAM, "log", redaction_event("w", entry.seq, "asked for", "operator"))
            redacted = await chain.redact(STREAM, "w", entry.seq)
            same((redacted.hash, redacted.digest), (entry.hash, entry.digest), "hash and digest stay")
            same(await other.redact(STREAM, "w", entry.seq), redacted, "redacting again changes nothing")
            line = json.loads((await store.lines(STREAM))[entry.seq - 1])
            promise("salt" not in line and TEXT not in str(line), "text and salt are gone", line)
            same(await other.find(STREAM, "w", f"k{entry.seq - 1}"), None, "its key is forgotten")
        for handle in (chain, other):
            same((await handle.verify(STREAM)).findings, (), "nothing is wrong")
        same((await other.append(STREAM, "w", {"n": 9})).seq, LENGTH + 1, "the chain goes on")
        same((await chain.append(STREAM, "w", {"n": 10})).seq, LENGTH + 2, "for every handle")
        same((await chain.append(STREAM, "w", {"n": 0, "text": TEXT}, key="k0")).seq, 1, "other keys are kept")
        same((await chain.verify(STREAM)).findings, (), "nothing is wrong then")


async def check_text_taken_away_without_a_redaction_is_named(open_chain: Open) -> None:
    """An entry without text and salt that no later redaction names is `altered`; so is one that another event names."""
    async with open_chain() as chain:
        await _fill(chain)
        await chain.redact(STREAM, "w", 3)
        same(await _findings(chain, STREAM), [("altered", STREAM, "w", 3)], "nothing says why")
        await chain.append(STREAM, "log", redaction_event("w", 2, "for another", "operator"))
        same(await _findings(chain, STREAM), [("altered", STREAM, "w", 3)], "another redaction does not count")
        await chain.append(STREAM, "log", redaction_event("w", 3, "now", "operator"))
        same(await _findings(chain, STREAM), [], "a later redaction names it")


async def check_what_proves_others_is_not_redacted(open_chain: Open) -> None:
    """An anchor, a redaction, an entry that is not there and one that was altered cannot be redacted."""
    async with open_chain() as chain, open_chain.tamper() as store:
        entry = await chain.append(STREAM, "w", {"n": 1})
        await _anchor(chain, STREAM)
        await chain.append(STREAM, "log", redaction_event("w", entry.seq, "why", "operator"))
        for seq in (1, 2):
            with refused(InvalidArgument, what="what proves others"):
                await chain.redact(STREAM, "log", seq)
        for writer, seq in (("w", 2), ("nobody", 1)):
            with refused(NotFound, what="an entry that is not there"):
                await chain.redact(STREAM, writer, seq)
        lines = list(await store.lines(STREAM))
        await store.put(STREAM, [lines[0].replace(b'"n":1', b'"n":2'), *lines[1:]])
        with refused(Corrupted, what="an altered entry"):
            await chain.redact(STREAM, "w", 1)


async def check_an_older_chain_that_is_carried_is_checked(open_chain: Open) -> None:
    """Entries of version 0 that events carry hold while they follow on each other; where one does not, it is named."""
    first = chain_hash_v0(None, b"one")
    second = chain_hash_v0(first, b"two")
    stray = chain_hash_v0(bytes(32), b"two")  # right in itself, after an entry that is not there
    for carried, kind in (
        (EntryV0("s", "a", 2, first, second, b"two"), None),
        (EntryV0("s", "a", 2, bytes(32), stray, b"two"), "rewritten"),
        (EntryV0("s", "a", 2, None, chain_hash_v0(None, b"two"), b"two"), "rewritten"),
        (EntryV0("s", "a", 2, first, second, b"too"), "altered"),
        (EntryV0("s", "a", 3, second, chain_hash_v0(second, b"three"), b"three"), "gap"),
        (EntryV0("s", "a", 1, None, first, b"one"), "rewritten"),
    ):
        async with open_chain() as chain, open_chain.tamper() as store:
            await store.put(STREAM, [])
            for entry in (EntryV0("s", "a", 1, None, first, b"one"), carried):
                await chain.append(STREAM, "import", entry.as_event())
            expected = [] if kind is None else [(kind, STREAM, "import", 2)]
            same(await _findings(chain, STREAM), expected, "the entry that does not follow on is named")


async def _fill(chain: Chain, count: int = LENGTH) -> None:
    for number in range(count):
        await chain.append(STREAM, "w", {"n": number})


async def _anchor(chain: Chain, into: str) -> Entry:
    times = {line["seq"]: line["ts"] async for line in chain.scan(STREAM) if line["writer"] == "w"}
    heads = [head for head in await chain.heads(STREAM) if head.writer == "w"]
    told = [Anchor(times[h.seq], h.stream, h.writer, h.seq, h.hash, h.seq).as_json() for h in heads]
    return await chain.append(into, "log", {"kind": "anchor", "heads": told})


def _forged(last: bytes, count: int) -> list[bytes]:
    """*count* entries that follow on the line *last*, all their hashes right."""
    fields = json.loads(last)
    seq, prev = fields["seq"], bytes.fromhex(fields["hash"])
    lines: list[bytes] = []
    for number in range(count):
        entry, line = make_entry(STREAM, "w", seq + number + 1, prev, fields["ts"], {"forged": number}, bytes(16))
        prev = bytes.fromhex(entry.hash)
        lines.append(line.rstrip(b"\n"))
    assert prev != NO_PREVIOUS
    return lines


async def _findings(chain: Chain, stream: str | None) -> Sequence[tuple[str, str, str, int]]:
    return [(f.kind, f.stream, f.writer, f.seq) for f in (await chain.verify(stream)).findings]


PROOF_CHECKS: tuple[Check, ...] = (
    check_a_tail_cut_off_behind_an_anchor_is_named,
    check_a_log_written_anew_is_named,
    check_a_whole_log_that_is_gone_is_missed,
    check_redaction_leaves_a_chain_that_holds,
    check_text_taken_away_without_a_redaction_is_named,
    check_what_proves_others_is_not_redacted,
    check_an_older_chain_that_is_carried_is_checked,
)
