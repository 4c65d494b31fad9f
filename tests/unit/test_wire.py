"""The ends of stdio: lines come out whole however they come in, answers go out whole however slowly they are read."""

from __future__ import annotations

import os
import threading
from collections.abc import Generator
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy_core.serving import wire
from argosy_core.serving.wire import MAX_LINE_BYTES, Lines, Output, Pieces, Threaded

pytestmark = pytest.mark.anyio


@pytest.fixture
def pipe() -> Generator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for fd in ends:
        try:
            os.close(fd)
        except OSError:
            continue  # the test closed it


def feed(fd: int, *pieces: bytes) -> threading.Thread:
    """Write *pieces* one by one, then end, from another thread."""

    def write() -> None:
        for piece in pieces:
            view = memoryview(piece)
            while view:
                view = view[os.write(fd, view) :]
        os.close(fd)

    thread = threading.Thread(target=write)
    thread.start()
    return thread


def read_all(fd: int) -> list[str]:
    """What the thread that reads a descriptor makes of it; run here."""
    reader = Threaded(fd, Pieces())
    return list(iter(reader.line, None))


async def watch_all(fd: int) -> list[str]:
    """What a loop that watches a descriptor makes of it."""
    return [line async for line in Lines(fd)]


@given(
    st.lists(st.text(st.characters(blacklist_characters="\n", blacklist_categories=("Cs",)), max_size=50)),
    st.data(),
    st.booleans(),
)
def test_lines_are_whole_however_they_are_cut(texts: list[str], data: st.DataObject, is_watched: bool) -> None:
    whole = "".join(f"{text}\n" for text in texts).encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=6)))
    read_fd, write_fd = os.pipe()
    thread = feed(write_fd, *(whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)))
    try:
        assert (anyio.run(watch_all, read_fd) if is_watched else read_all(read_fd)) == texts
    finally:
        thread.join(10)
        os.close(read_fd)


@pytest.mark.parametrize("is_watched", [True, False], ids=["watched", "in a thread"])
async def test_what_is_too_long_or_no_text_is_an_empty_line_and_the_next_one_counts(
    pipe: tuple[int, int], is_watched: bool
) -> None:
    longest = b"x" * MAX_LINE_BYTES
    thread = feed(pipe[1], longest, b"\n", longest, b"x\n", longest * 3, b"\nnext\n", b"\xff\n", b"last")
    found = await watch_all(pipe[0]) if is_watched else read_all(pipe[0])
    assert found == [longest.decode(), "", "", "next", "", "last"]
    thread.join(10)


def test_a_descriptor_that_does_not_block_is_waited_for(pipe: tuple[int, int]) -> None:
    os.set_blocking(pipe[0], False)
    found: list[str | None] = []
    reader = threading.Thread(target=lambda: found.append(Threaded(pipe[0], Pieces()).line()))
    reader.start()
    feed(pipe[1], b"late\n").join(10)
    reader.join(10)
    assert found == ["late"]


async def test_lines_are_read_as_they_are_asked_for(pipe: tuple[int, int]) -> None:
    thread = feed(pipe[1], b"one\ntwo\n")
    assert [line async for line in Lines(pipe[0])] == ["one", "two"]
    thread.join(10)


async def test_lines_of_a_file_are_read_in_a_thread(tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(b"one\ntwo\nlast")
    with open(tmp_path / "in", "rb") as file:
        assert await watch_all(file.fileno()) == ["one", "two", "last"]


async def test_no_more_is_read_ahead_than_one_line_may_have(pipe: tuple[int, int]) -> None:
    lines = Lines(pipe[0])
    thread = feed(pipe[1], b"first\n", *[b"x" * 65_535 + b"\n"] * 100, b"last\n")
    assert await anext(lines) == "first"
    while thread.is_alive() and len(lines.pieces) <= MAX_LINE_BYTES:
        await anyio.lowlevel.checkpoint()
    for _ in range(50):
        await anyio.lowlevel.checkpoint()
    assert len(lines.pieces) < MAX_LINE_BYTES + 100_000
    rest = [line async for line in lines]
    assert [len(line) for line in rest] == [65_535] * 100 + [4]
    thread.join(10)


async def test_short_answers_are_written_at_once(pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("no other thread is needed")

    monkeypatch.setattr(wire.to_thread, "run_sync", refuse)
    output = Output(pipe[1])
    await output.write('{"a":"日本"}')
    await output.write("\n")
    await output.flush()
    await output.flush()
    assert os.read(pipe[0], 100) == '{"a":"日本"}\n'.encode()


async def test_a_long_answer_to_a_slow_reader_is_whole(pipe: tuple[int, int]) -> None:
    got = bytearray()

    def read() -> None:
        while piece := os.read(pipe[0], 1000):
            got.extend(piece)

    reader = threading.Thread(target=read)
    output = Output(pipe[1])
    for number in range(200):  # more than the pipe holds
        await output.write(f"{number} " * 10)
    reader.start()
    await output.flush()
    for size in (4096, 4097, 100_000, 1):
        await output.write("y" * size)
        await output.flush()
    os.close(pipe[1])
    reader.join(10)
    assert bytes(got) == "".join(f"{n} " * 10 for n in range(200)).encode() + b"y" * (4096 + 4097 + 100_000 + 1)


async def test_a_full_pipe_is_waited_for_in_another_thread(pipe: tuple[int, int]) -> None:
    os.set_blocking(pipe[1], False)
    filled = 0
    try:
        while True:
            filled += os.write(pipe[1], b"x" * 4096)
    except BlockingIOError:
        pass
    output = Output(pipe[1])
    drain = threading.Thread(target=lambda: [os.read(pipe[0], 4096) for _ in range(filled // 4096 + 1)])
    drain.start()
    await output.write("short")
    await output.flush()
    drain.join(10)
    assert not drain.is_alive()


async def test_answers_to_a_file_are_written_too(tmp_path: object) -> None:
    path = os.path.join(str(tmp_path), "out")
    fd = os.open(path, os.O_WRONLY | os.O_CREAT)
    output = Output(fd)
    await output.write("x\n")
    await output.flush()
    os.close(fd)
    with open(path) as file:
        assert file.read() == "x\n"
