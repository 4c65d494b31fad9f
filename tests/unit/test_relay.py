"""The thin end of ``serve``: what goes through it."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from argosy_host.relay import pump

MUCH = 4_000_000
WAIT_SECONDS = 20.0


class Ends:
    """A relay at work: *client* writes and reads its pipes, *fleet* is the running process's end."""

    def __init__(self) -> None:
        self.fleet, door = socket.socketpair()
        stdin, writes = os.pipe()
        reads, stdout = os.pipe()
        self.client_in, self.client_out = os.fdopen(reads, "rb", 0), os.fdopen(writes, "wb", 0)
        self._kept = [os.fdopen(stdin, "rb", 0), os.fdopen(stdout, "wb", 0)]
        self._relay = in_thread(lambda: pump(door, stdin, stdout))

    def has_ended(self) -> bool:
        self._relay.join(WAIT_SECONDS)
        return not self._relay.is_alive()

    def close(self) -> None:
        self.fleet.close()
        for end in (self.client_out, self.client_in, *self._kept):
            end.close()


def in_thread(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


@pytest.fixture
def ends() -> Iterator[Ends]:
    made = Ends()
    yield made
    made.close()


def received(door: socket.socket) -> int:
    """How many bytes come until the other end sends no more."""
    return sum(map(len, iter(lambda: door.recv(1 << 16), b"")))


def test_a_client_that_sends_much_before_it_reads_anything_stops_nothing(ends: Ends) -> None:
    taken: list[int] = []
    answers = in_thread(lambda: ends.fleet.sendall(bytes(MUCH)))
    questions = in_thread(lambda: taken.append(received(ends.fleet)))

    def ask() -> None:
        left = memoryview(bytes(MUCH))
        while left:
            left = left[ends.client_out.write(left) :]
        ends.client_out.close()

    asking = in_thread(ask)
    asking.join(WAIT_SECONDS)
    questions.join(WAIT_SECONDS)
    assert not asking.is_alive() and taken == [MUCH]
    got = 0
    while got < MUCH:
        got += len(ends.client_in.read(1 << 16))
    answers.join(WAIT_SECONDS)
    ends.fleet.close()
    assert got == MUCH and ends.has_ended()


def test_what_is_said_after_the_end_of_stdin_still_arrives(ends: Ends) -> None:
    ends.client_out.write(b"last\n")
    ends.client_out.close()
    assert received(ends.fleet) == len(b"last\n")
    ends.fleet.sendall(b"answer\n")
    assert ends.client_in.read(100) == b"answer\n"
    ends.fleet.close()
    assert ends.has_ended()


def test_it_ends_when_nobody_reads(ends: Ends) -> None:
    ends.client_in.close()
    ends.fleet.sendall(b"for nobody\n")
    assert ends.has_ended()
    assert received(ends.fleet) == 0
