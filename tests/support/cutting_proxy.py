"""A socket before a PostgreSQL that loses an answer: the server has done its work, and nobody hears of it."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from urllib.parse import quote

SOCKET = ".s.PGSQL.5432"


class CuttingProxy:
    """Passes all on to the server whose socket is in *target*. Runs in a thread of its own."""

    def __init__(self, folder: Path, target: Path) -> None:
        self._folder = folder
        self._target = target
        self._left = -1
        self._loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(
            asyncio.start_unix_server(self._serve, folder / SOCKET), self._loop
        ).result(10)

    def url(self, url: str) -> str:
        """The way through here to what *url* names."""
        return url.replace(quote(str(self._target), safe=""), quote(str(self._folder), safe=""))

    def cut(self, number: int) -> None:
        """Lose the answer after *number* others; the connection ends with it."""
        self._left = number

    @property
    def was_cut(self) -> bool:
        return self._left < 0

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _end(self) -> None:
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, client_in: asyncio.StreamReader, client_out: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._between(client_in, client_out)
        except (OSError, asyncio.CancelledError):
            return  # the server is not there, or the proxy ends
        finally:
            client_out.close()
            self._tasks.discard(task)

    async def _between(self, client_in: asyncio.StreamReader, client_out: asyncio.StreamWriter) -> None:
        server_in, server_out = await asyncio.open_unix_connection(self._target / SOCKET)
        both = [
            asyncio.ensure_future(self._pass_on(client_in, server_out)),
            asyncio.ensure_future(self._answer(server_in, client_out)),
        ]
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in both:
                one.cancel()
            await asyncio.gather(*both, return_exceptions=True)
            server_out.close()

    async def _pass_on(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(65536):
            sink.write(data)
            await sink.drain()

    async def _answer(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        """Pass answers on; one ends where the server says that it is ready for the next question."""
        while head := await source.read(1):
            length = await source.readexactly(4)
            message = head + length + await source.readexactly(int.from_bytes(length, "big") - 4)
            if head == b"Z" and self._left >= 0:
                self._left -= 1
                if self._left < 0:
                    return
            sink.write(message)
            await sink.drain()
