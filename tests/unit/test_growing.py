"""Documents that only grow: every addition is there once, whoever else writes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest
from anyio import to_thread

from argosy_core.errors import Conflict, InvalidArgument, TooLarge
from argosy_core.ids import SystemIds
from argosy_core.storage.base import ANY, Content, Expect
from argosy_core.storage.files.documents import FileDocuments
from argosy_core.storage.growing import GrowingDocuments, Make
from argosy_core.testing.fakes import FakeClock
from argosy_core.vault import Vault

pytestmark = pytest.mark.anyio
PATH = "ada/journal/day.md"


class Counted(FileDocuments):
    """Documents that count how often they were written, and may be told to let others in first."""

    def __init__(self, vault: Vault) -> None:
        super().__init__(vault)
        self.writes = 0
        self.intruders: list[bytes] = []

    async def write(self, path: str, data: bytes, *, expect: Expect = ANY, keep_version: bool = False) -> Content:
        self.writes += 1
        if self.intruders:
            there = await self.info(path)
            old = (await self.read(path)).data if there else b""
            await super().write(path, old + self.intruders.pop())
        return await super().write(path, data, expect=expect, keep_version=keep_version)


@pytest.fixture
def documents(tmp_path: Path) -> Iterator[Counted]:
    vault = Vault(tmp_path)
    yield Counted(vault)
    vault.close()


def growing(documents: FileDocuments) -> GrowingDocuments:
    return GrowingDocuments(documents, FakeClock(), SystemIds())


def line(text: str) -> Make:
    return lambda data: f"{text}\n".encode()


async def test_additions_that_arrive_together_share_a_write(documents: Counted) -> None:
    document = growing(documents)
    async with anyio.create_task_group() as tasks:
        for number in range(40):
            tasks.start_soon(document.add, PATH, line(str(number)))

    data = (await documents.read(PATH)).data
    assert sorted(map(int, data.split())) == list(range(40))
    assert documents.writes <= 3


async def test_somebody_elses_addition_stays_in_front_of_ours(documents: Counted) -> None:
    document = growing(documents)
    await document.add(PATH, line("one"))
    documents.intruders = [b"theirs\n", b"and theirs\n"]
    version = await document.add(PATH, line("two"))

    content = await documents.read(PATH)
    assert (content.data, content.version) == (b"one\nand theirs\ntheirs\ntwo\n", version)


async def test_an_addition_sees_what_stands_there_and_may_add_nothing(documents: Counted) -> None:
    document = growing(documents)
    first = await document.add(PATH, line("one"))
    writes, seen = documents.writes, list[bytes]()

    def look(data: bytes) -> bytes:
        seen.append(data)
        return b""

    assert await document.add(PATH, look) == first
    assert (seen, documents.writes) == ([b"one\n"], writes)


async def test_a_refused_addition_takes_no_other_with_it(documents: Counted) -> None:
    document = growing(documents)
    refused: list[Exception] = []

    def refuse(data: bytes) -> bytes:
        raise InvalidArgument("no")

    async def add(make: Make) -> None:
        try:
            await document.add(PATH, make)
        except InvalidArgument as error:
            refused.append(error)

    async with anyio.create_task_group() as tasks:
        for number in range(9):
            tasks.start_soon(add, refuse if number % 3 == 1 else line(str(number)))

    assert sorted((await documents.read(PATH)).data.split()) == [b"0", b"2", b"3", b"5", b"6", b"8"]
    assert len(refused) == 3


async def test_a_cancelled_writer_leaves_the_others_their_additions(documents: Counted) -> None:
    document = growing(documents)
    async with anyio.create_task_group() as tasks:
        for number in range(10):
            tasks.start_soon(document.add, PATH, line(str(number)))
        with anyio.move_on_after(0):
            await document.add(PATH, line("late"))
        with anyio.CancelScope() as scope:
            scope.cancel()
            await document.add(PATH, line("never"))

    assert {int(text) for text in (await documents.read(PATH)).data.split() if text.isdigit()} == set(range(10))
    assert await document.add(PATH, line("after"))


async def test_who_always_loses_gives_up_in_the_end(documents: Counted) -> None:
    await documents.write(PATH, b"")
    documents.intruders = [b"x"] * 10_000
    with pytest.raises(Conflict, match="many writers"):
        await growing(documents).add(PATH, line("mine"))
    assert b"mine" not in (await documents.read(PATH)).data


async def test_a_document_above_the_limit_takes_no_more(documents: Counted) -> None:
    document = growing(documents)
    await to_thread.run_sync(lambda: documents._vault.replace(PATH, b"x" * (16 * 1024 * 1024 - 3)))
    with pytest.raises(TooLarge):
        await document.add(PATH, line("long"))
    await document.add(PATH, line("a"))
