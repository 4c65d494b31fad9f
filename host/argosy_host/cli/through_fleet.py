"""The command line's side of what the running fleet does for a terminal: asked on one line, told on the others.

Nothing heavy may be imported here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from socket import socket
from typing import Any

from argosy_core.errors import Unavailable, error_class
from argosy_core.storage.address import Address
from argosy_host.progress import Progress
from argosy_host.providers.keys import reachable
from argosy_host.relay import MAX_HELLO_BYTES, NotRelayed, connect, hello_for
from argosy_host.runtime import find_up

_TOLD = frozenset(name for name in vars(Progress) if not name.startswith("_"))


class FleetEnded(Unavailable):
    """Raised when the running fleet went away before it was done; *run* had begun by then, None where none was told."""

    def __init__(self, run: str | None) -> None:
        hint = "mcp-host runs says how far it came"
        super().__init__("the running fleet ended in the middle of the run", hint=hint)
        self.run = run


def ask_fleet(vault: Path, store: Address | None, watcher: Progress, want: str, **asked: Any) -> dict[str, Any] | None:
    """The result of *want* in the running fleet; None when there is none that takes it, and nothing has begun.

    Raises FleetEnded, and what the fleet raised.
    """
    found = find_up(vault)
    if found is None or not found[1].serves(store):
        return None
    place, facts = found
    hello = hello_for(facts, want=want, keys=reachable(), **asked)
    if len(json.dumps(hello)) >= MAX_HELLO_BYTES:
        return None
    try:
        door = connect(place, hello)
    except NotRelayed:
        return None
    run: str | None = None
    for message in told_by(door):
        if message.get("tell") in _TOLD:
            run = message["args"][0] if message["tell"] == "started" else run
            getattr(watcher, message["tell"])(*message["args"])
        elif "error" in message:
            failed = message["error"]
            raise error_class(failed["code"])(failed["message"], hint=failed["hint"])
        elif "result" in message:
            result: dict[str, Any] = message["result"]
            return result
    raise FleetEnded(run)


def told_by(door: socket) -> Iterator[dict[str, Any]]:
    """What is told, until the end: a line that was cut off by it is none."""
    with door, door.makefile("rb") as lines:
        while True:
            try:
                line = lines.readline()
            except OSError:
                return
            if not line.endswith(b"\n"):
                return
            yield json.loads(line)
