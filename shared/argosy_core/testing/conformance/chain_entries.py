"""What the checks of a chain look at in its entries."""

from __future__ import annotations

from collections.abc import Sequence

from argosy_core.canonical import NO_PREVIOUS, chain_hash
from argosy_core.storage.base import Chain, Entry
from argosy_core.testing.conformance.promises import same


def check_links(entries: Sequence[Entry]) -> None:
    """*entries*, one writer's from the first on, count densely and each hash follows from the one before."""
    same([e.seq for e in entries], list(range(1, len(entries) + 1)), "numbers are dense from 1")
    prev = NO_PREVIOUS
    for entry in entries:
        same(entry.prev, prev.hex(), f"entry {entry.seq} names the hash before it")
        prev = chain_hash(entry.stream, entry.writer, entry.seq, prev, bytes.fromhex(entry.digest))
        same(entry.hash, prev.hex(), f"the hash of entry {entry.seq} is that of the rule")


async def check_whole(chain: Chain, stream: str, entries: int) -> None:
    """`verify` counts that many *entries* and finds nothing."""
    report = await chain.verify(stream)
    same((report.entries, report.findings), (entries, ()), f"{stream} has {entries} entries without a finding")
