"""A conversation in this process: what ``mcp-host chat`` does while no fleet is up."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anyio

from argosy_core.clock import SystemClock
from argosy_core.ids import SystemIds
from argosy_core.storage.address import Address
from argosy_host.chatting import Chat, begin_conversation
from argosy_host.cli.run_alone import options_for
from argosy_host.direct import opened
from argosy_host.progress import Progress
from argosy_host.remote_run import ended


def begin_alone(
    vault: Path, store: Address | None, agent: str | None, conversation: str | None, last: bool
) -> dict[str, Any]:
    """``{agent, conversation}`` as `begin_conversation` finds them, and raises what it raises."""

    async def begin() -> dict[str, Any]:
        async with opened(vault, store) as found:
            return await begin_conversation(found, agent, conversation, last, SystemClock(), SystemIds())

    return anyio.run(begin)


def say_alone(vault: Path, store: Address | None, asked: Mapping[str, Any], watcher: Progress) -> dict[str, Any]:
    """The result of the turn that *asked* describes. Raises what `Chat.say` raises."""
    talk = _chat(vault, store, asked)
    return ended(anyio.run(functools.partial(talk.say, asked["task"], watcher)))


def keep_alone(vault: Path, store: Address | None, asked: Mapping[str, Any], run: str | None) -> None:
    """Keep what was said in the turn that *asked* describes, which ended without an answer, whatever *run* came to."""
    anyio.run(_chat(vault, store, asked).keep_unanswered, asked["task"], run)


def _chat(vault: Path, store: Address | None, asked: Mapping[str, Any]) -> Chat:
    return Chat(options_for(vault, store, asked), asked["conversation"], SystemClock(), SystemIds())
