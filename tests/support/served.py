"""A vault on disk, and servers over it that are called through the SDK's client in process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mcp import Client

from argosy_core.clock import Clock
from argosy_core.serving.config import ServerConfig, open_store
from argosy_core.serving.identity import RUN_META, RunTokens
from argosy_core.serving.server import ArgosyServer
from argosy_core.serving.shaping import ERROR_META
from argosy_core.testing.fakes import FakeClock, SeededIds
from argosy_core.types import Role


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call gave: *fields* of the structured content, *text*, and for a failure its *code* and *detail*."""

    fields: dict[str, Any]
    text: str
    code: str | None
    detail: dict[str, Any]


class Bench:
    """A vault with the agents harbor and reef, and one clock for all.

    Several processes that write at once need the machine's clock: a lock waits by it.
    """

    def __init__(self, root: Path, clock: Clock | None = None) -> None:
        self.root = root
        self.clock = clock or FakeClock()
        self.tokens = RunTokens(self.clock)
        self._seed = 0
        for agent in ("harbor", "reef"):
            (root / agent).mkdir()
            (root / agent / "model.md").write_text("# MODEL\n")

    def config(self, agent: str | None = "harbor", role: Role = Role.AGENT, **more: Any) -> ServerConfig:
        """The surroundings of one more server process on the vault."""
        self._seed += 1
        ids = SeededIds(self._seed)
        store = open_store(self.root, clock=self.clock, ids=ids)
        key = self.tokens.public_key
        return ServerConfig(store, agent, role, clock=self.clock, ids=ids, host_key=key, **more)

    def run_meta(self, agent: str, run: str = "run-1") -> dict[str, Any]:
        """The ``_meta`` of a call that the host makes for a run."""
        return {RUN_META: self.tokens.issue(agent, run)}

    def write(self, path: str, text: str | bytes) -> None:
        """Put a file into the vault as a person would."""
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(text.encode() if isinstance(text, str) else text)

    def read(self, path: str) -> str:
        """A file of the vault."""
        return (self.root / path).read_bytes().decode()


async def call(
    create: Callable[[ServerConfig], ArgosyServer], config: ServerConfig, tool: str, meta: Any = None, **arguments: Any
) -> Answer:
    """Call one tool of a fresh server."""
    async with Client(create(config), raise_exceptions=True) as client:
        result = await client.call_tool(tool, arguments, meta=meta)
    text = "".join(block.text for block in result.content if block.type == "text")
    error = (result.meta or {}).get(ERROR_META, {})
    if result.is_error:
        assert text.startswith(f"{error['code']}: ")
    return Answer(result.structured_content or {}, text, error.get("code"), error.get("detail", {}))


def text_in(content: Any) -> str:
    """The text of a resource's or prompt's content."""
    text: str = content.text
    return text
