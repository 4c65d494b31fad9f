"""The bell over a Redis: rings are published, and a thread listens."""

from __future__ import annotations

import logging
import threading
from contextlib import suppress
from functools import partial
from typing import Any

from argosy_core.ids import Ids
from argosy_core.storage.listening_bell import ListeningBell
from argosy_core.storage.outbox import Outbox, message_of, paths_in
from argosy_core.storage.redis.connection import RedisConnection, driver

HEAR_SECONDS = 0.25  # so long one look at the connection lasts
LISTEN_AGAIN_SECONDS = 0.2
CLOSE_SECONDS = 2.0
logger = logging.getLogger(__name__)


class RedisBell(ListeningBell):
    """`Bell` over a Redis. Call `close` at the end."""

    def __init__(self, connection: RedisConnection, ids: Ids) -> None:
        super().__init__()
        self._connection = connection
        self._channel = f"{connection.prefix}:bell"
        self._me = ids.random(8).hex()
        self._outbox = Outbox()

    def ring(self, *paths: str) -> None:
        super().ring(*paths)
        if self._outbox.add(paths):
            threading.Thread(target=self._send_all, name="argosy-bell-rings", daemon=True).start()

    def close(self) -> None:
        """Stop listening, and wait at most two seconds until what was rung went out."""
        self.stop()
        self._outbox.flush(CLOSE_SECONDS)

    def _send_all(self) -> None:
        try:
            while paths := self._outbox.take():
                self._connection.run(partial(self._publish, message_of(self._me, paths)))
        except Exception:  # a ring is a cue: who missed it reads all the same
            logger.warning("rings were not heard by others: Redis did not take them", exc_info=True)
            self._outbox.give_up()

    def _publish(self, message: str, client: Any) -> None:
        client.publish(self._channel, message)

    def _watch_on(self) -> None:
        while not self._stop.is_set():
            try:
                self._listen()
            except (driver().RedisError, OSError, ValueError):
                logger.debug("the bell's connection was lost", exc_info=True)
            self._armed = False
            self._stop.wait(LISTEN_AGAIN_SECONDS)

    def _listen(self) -> None:
        """Listen until the bell stops. Raises what the driver raises when the connection is lost."""
        listener = self._connection.client.pubsub()
        try:
            listener.subscribe(self._channel)
            while not self._stop.is_set():
                message: dict[str, Any] | None = listener.get_message(timeout=HEAR_SECONDS)
                if message is None:
                    continue
                if message["type"] == "subscribe":
                    self._arm()  # nobody knows what was rung before, or while the connection was lost
                elif message["type"] == "message":
                    self._tell(paths_in(message["data"], self._me))
        finally:
            with suppress(Exception):
                listener.close()
