"""A conversation that the running process holds for somebody's terminal: which one, and then turn by turn.

What is told goes back as for a run of its own (`remote_run`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from argosy_core.clock import Clock
from argosy_core.errors import InvalidArgument
from argosy_core.ids import Ids
from argosy_host.chatting import Chat, begin_conversation
from argosy_host.door import Handler
from argosy_host.progress import Progress
from argosy_host.remote_run import ended, options_of, serve_told
from argosy_host.session import Shared


def beginning(hello: Mapping[str, Any], shared: Shared, clock: Clock, ids: Ids) -> Handler:
    """Who says which agent and conversation a terminal means. Raises InvalidArgument."""
    agent, conversation = hello.get("agent"), hello.get("conversation")
    if not isinstance(agent, str | None) or not isinstance(conversation, str | None):
        raise InvalidArgument("no proper request for a conversation")

    async def begin(_: Progress) -> Mapping[str, Any]:
        return await begin_conversation(shared.store, agent, conversation, hello.get("last") is True, clock, ids)

    return lambda _, stream, rest: serve_told(stream, rest, begin)


def turn(hello: Mapping[str, Any], shared: Shared, clock: Clock, ids: Ids) -> Handler:
    """Who has one thing said and answered. Raises InvalidArgument, PermissionDenied as `options_of` does."""
    options, conversation = options_of(hello, shared), hello.get("conversation")
    if not isinstance(conversation, str):
        raise InvalidArgument("no proper request for a turn")
    talk = Chat(options, conversation, clock, ids, shared)

    async def say(progress: Progress) -> Mapping[str, Any]:
        return ended(await talk.say(options.task, progress))

    return lambda _, stream, rest: serve_told(stream, rest, say)
