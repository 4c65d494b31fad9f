"""The thin end of ``serve`` while the fleet is up: bytes between this process's stdio and the running process.

The first line in each direction is a JSON object: what is wanted, and whether it is given. Then MCP, line by line.
"""

from __future__ import annotations

import json
import os
import socket
import threading
from contextlib import suppress
from typing import Any

from argosy_core import __version__
from argosy_host.runtime import Facts, Place

CONNECT_SECONDS = 5.0
CHUNK = 1 << 16
MAX_HELLO_BYTES = 1 << 16
ANY_VERSION = ("status", "stop")


class NotRelayed(Exception):
    """Raised when the running process does not take this client: then it works alone."""


def connect(place: Place, hello: dict[str, Any]) -> socket.socket:
    """A connection on which *hello* was accepted. Raises NotRelayed."""
    door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    door.settimeout(CONNECT_SECONDS)
    try:
        door.connect(str(place.socket))
        door.sendall(json.dumps(hello).encode() + b"\n")
        answer = json.loads(_read_line(door))
    except (OSError, ValueError) as exc:
        door.close()
        raise NotRelayed(str(exc)) from exc
    if not answer.get("ok"):
        door.close()
        raise NotRelayed(str(answer.get("error", "refused")))
    door.settimeout(None)
    return door


def _read_line(door: socket.socket) -> bytes:
    line = b""
    while not line.endswith(b"\n") and len(line) < MAX_HELLO_BYTES:
        # One byte at a time: what follows the line belongs to the protocol.
        byte = door.recv(1)
        if not byte:
            break
        line += byte
    return line


def pump(door: socket.socket, stdin: int = 0, stdout: int = 1) -> None:
    """Pass bytes both ways until the running process closes or nobody reads; the end of stdin is passed on.

    Each way in a thread of its own: a client that sends much before it reads anything would stop both else.
    """
    with suppress(BrokenPipeError, ConnectionResetError), door:
        threading.Thread(target=_send_on, args=(stdin, door), name="argosy-relay", daemon=True).start()
        while data := door.recv(CHUNK):
            _write_all(stdout, data)


def _send_on(stdin: int, door: socket.socket) -> None:
    with suppress(OSError):  # the other way has ended, and has closed the door
        while data := os.read(stdin, CHUNK):
            door.sendall(data)
        door.shutdown(socket.SHUT_WR)


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def hello_for(facts: Facts, **wanted: Any) -> dict[str, Any]:
    """What a client says first; the running process refuses another vault, store or version.

    To ask how it is or to end it takes no like version: an upgrade begins with that.
    """
    version = facts.version if wanted.get("want") in ANY_VERSION else __version__
    return {"vault": facts.vault, "store": facts.store, "version": version, **wanted}
