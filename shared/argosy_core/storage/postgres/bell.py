"""The bell over a database: rings go out by NOTIFY, and one connection listens. Who lost it hears that anything may
have changed once it listens again."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Collection, Iterator
from contextlib import suppress
from functools import partial
from typing import Any

from argosy_core.canonical import sha256_hex
from argosy_core.ids import Ids
from argosy_core.storage.listening_bell import ANYTHING, ListeningBell
from argosy_core.storage.outbox import Outbox, message_of, paths_in
from argosy_core.storage.postgres.database import Database, Session

FILE = "bell.sql"
MAX_PAYLOAD_BYTES = 7_900  # PostgreSQL takes less than 8,000
LISTEN_AGAIN_SECONDS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
CLOSE_SECONDS = 2.0
logger = logging.getLogger(__name__)


class PostgresBell(ListeningBell):
    """`Bell` over *database*."""

    def __init__(self, database: Database, ids: Ids) -> None:
        super().__init__()
        self._database = database
        self._channel = f"argosy_{sha256_hex(database.address.schema.encode())[:16]}"
        self._me = ids.random(8).hex()
        self._outbox = Outbox()

    def ring(self, *paths: str) -> None:
        super().ring(*paths)
        if self._outbox.add(paths):
            self._database.background.spawn(self._send_all)

    def flush(self) -> None:
        """Wait until what was rung went out, at most two seconds."""
        self._outbox.flush(CLOSE_SECONDS)

    async def _send_all(self) -> None:
        try:
            while paths := self._outbox.take():
                await self._database.run(FILE, partial(self._send, list(payloads_of(self._me, paths))))
        except BaseException as failure:  # a ring is a cue: who missed it reads all the same
            self._outbox.give_up()
            if not isinstance(failure, Exception):
                raise
            logger.warning("rings were not heard by others: the database did not take them", exc_info=True)

    async def _send(self, payloads: list[str], session: Session, _: bool) -> None:
        await session.rows("ring", channel=self._channel, payloads=payloads)

    # Listening

    def _watch_on(self) -> None:
        stop = asyncio.Event()
        self._database.background.spawn(lambda: self._listen(stop))
        self._stop.wait()
        self._database.background.post(stop.set)

    async def _listen(self, stop: asyncio.Event) -> None:
        failures = 0
        while not stop.is_set():
            try:
                connection = await self._database.connect()
            except Exception:
                failures += 1
            else:
                failures = 0
                await self._listen_on(connection, stop)
            pause = LISTEN_AGAIN_SECONDS[min(failures, len(LISTEN_AGAIN_SECONDS) - 1)]
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), pause)

    async def _listen_on(self, connection: Any, stop: asyncio.Event) -> None:
        """Listen until *stop* or until the connection is lost."""
        lost = asyncio.Event()
        connection.add_termination_listener(lambda _: lost.set())
        waits = [asyncio.ensure_future(stop.wait()), asyncio.ensure_future(lost.wait())]
        try:
            await connection.add_listener(self._channel, self._hear)
            if not stop.is_set():
                self._arm()
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        except Exception:
            logger.debug("the bell's connection was lost", exc_info=True)
        finally:
            self._armed = False
            for wait in waits:
                wait.cancel()
            with suppress(Exception):
                await connection.close(timeout=CLOSE_SECONDS)

    def _hear(self, _connection: Any, _pid: int, _channel: str, payload: str) -> None:
        self._tell(paths_in(payload, self._me))


def payloads_of(sender: str, paths: Collection[str]) -> Iterator[str]:
    """*paths* as messages that are short enough; where they come to too many, their folders stand for them."""
    paths = _folded(paths)
    message: list[str] = []
    for path in sorted(paths):
        if message and len(message_of(sender, [*message, path])) > MAX_PAYLOAD_BYTES:
            yield message_of(sender, message)
            message = []
        message.append(path if len(message_of(sender, [path])) <= MAX_PAYLOAD_BYTES else "")
    yield message_of(sender, message)


def _folded(paths: Collection[str]) -> Collection[str]:
    while sum(map(_size_of_path, paths)) > 4 * MAX_PAYLOAD_BYTES and set(paths) != ANYTHING:
        paths = {path.rpartition("/")[0] for path in paths}
    return paths


def _size_of_path(path: str) -> int:
    return len(json.dumps(path)) + 2
