"""The promises of a `Chain` to whoever keeps a projection of it and reads on from where it stopped."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from typing import Any

from argosy_core.errors import NotFound
from argosy_core.storage.base import Chain
from argosy_core.storage.chain_days import is_day_path
from argosy_core.testing.conformance import OTHER_STREAM, STREAM, UNICODE_STREAM, Opener
from argosy_core.testing.conformance.promises import promise, refused, same
from argosy_core.testing.fakes import FakeClock

Open = Opener[Chain]
Check = Callable[[Open], Coroutine[Any, Any, None]]
DAY_SECONDS = 86_400


async def check_reading_on_gives_every_line_once(open_chain: Open) -> None:
    """Pieces, each read from the position of the one before, give every line once and in order, across days."""
    clock = FakeClock()
    async with open_chain(clock) as chain, open_chain(clock) as reader:
        position, read = "", list[int]()
        for number in range(40):
            await chain.append(UNICODE_STREAM, "w", {"n": number, "text": "日本" * number})
            if number % 7 == 0:
                clock.advance(DAY_SECONDS)
            if number % 3 == 0:
                position = await _read_all(reader, position, read, 200)
        await _read_all(reader, position, read, 200)
        same(read, list(range(40)), "every line once, in order")
        lines = (await reader.read_on(UNICODE_STREAM)).lines
        same([json.loads(line)["n"] for _, line in lines], list(range(40)), "from the beginning all of them")
        promise(all(is_day_path(path) for path, _ in lines), "each line names its day file", lines[:1])
        promise(len({path for path, _ in lines}) > 1, "days have files of their own", lines[0])


async def _read_all(chain: Chain, position: str, into: list[int], max_bytes: int) -> str:
    while True:
        piece = await chain.read_on(UNICODE_STREAM, position, max_bytes)
        same(piece.is_anew, False, "the position is still one of the stream")
        if not piece.lines:
            return piece.position
        into += [json.loads(line)["n"] for _, line in piece.lines]
        position = piece.position


async def check_a_position_outlives_its_handle(open_chain: Open) -> None:
    """A position that one handle gave is good on another, later, and gives nothing twice."""
    async with open_chain() as chain:
        await chain.append(STREAM, "w", {"n": 1})
        position = (await chain.read_on(STREAM)).position
    async with open_chain() as chain:
        same(list((await chain.read_on(STREAM, position)).lines), [], "nothing new")
        await chain.append(STREAM, "w", {"n": 2})
        piece = await chain.read_on(STREAM, position)
        same([json.loads(line)["n"] for _, line in piece.lines], [2], "what was appended since")
        same(piece.is_anew, False, "the position is still one of the stream")


async def check_a_foreign_position_begins_anew(open_chain: Open) -> None:
    """A position that is none of this stream's gives the lines from the beginning and says so."""
    async with open_chain() as chain:
        await chain.append(OTHER_STREAM, "w", {"n": 9, "long": "x" * 300})
        foreign = (await chain.read_on(OTHER_STREAM)).position
        await chain.append(STREAM, "w", {"n": 1})
        for position in (foreign, "nonsense", "1:2:3", "::::", "-5"):
            piece = await chain.read_on(STREAM, position)
            same(piece.is_anew, True, f"{position} is not a position of the stream")
            same([json.loads(line)["n"] for _, line in piece.lines], [1], "from the beginning")


async def check_an_empty_stream_has_no_pieces(open_chain: Open) -> None:
    """A stream without entries gives no lines and a position to go on from; one that cannot be is NotFound."""
    async with open_chain() as chain:
        piece = await chain.read_on(STREAM)
        same((len(piece.lines), piece.is_anew), (0, False), "nothing yet")
        await chain.append(STREAM, "w", {"n": 1})
        same(len((await chain.read_on(STREAM, piece.position)).lines), 1, "and then something")
        with refused(NotFound, what="a stream that is no agent"):
            await chain.read_on("none")


CHECKS: tuple[Check, ...] = (
    check_reading_on_gives_every_line_once,
    check_a_position_outlives_its_handle,
    check_a_foreign_position_begins_anew,
    check_an_empty_stream_has_no_pieces,
)
