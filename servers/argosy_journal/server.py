"""Builds the journal server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mcp.server.mcpserver import Context

from argosy_core.serving.config import ServerConfig
from argosy_core.serving.results import MAX_LIMIT, DoctorFinding
from argosy_core.serving.server import ArgosyServer, need_agent
from argosy_core.types import Caller
from argosy_journal.conversations import Conversations
from argosy_journal.journal import Journal, last_days
from argosy_journal.tools import build_tools


def create(config: ServerConfig) -> ArgosyServer:
    """The journal server for *config*."""
    journal, conversations = Journal(config), Conversations(config)
    server = ArgosyServer(
        "journal",
        config,
        _Domain(journal, conversations),
        build_tools(journal, conversations),
        title="Journal",
        instructions="The agent's diary, one Markdown file a day. Append what happened; read or search what did. "
        "And conversations: each caller's own, read by nobody else.",
    )

    @server.resource(
        "journal://{day}", name="journal_day", title="Journal of a day", mime_type="text/markdown",
        description="One day's journal as Markdown; day is YYYY-MM-DD",
    )  # fmt: skip
    async def journal_day(day: str) -> str:
        return await server.resource_of(journal.day, day)

    @server.resource(
        "conversation://{id}", name="conversation", title="Conversation", mime_type="text/markdown",
        description="The end of one of your conversations; id is its name",
    )  # fmt: skip
    async def conversation(id: str, ctx: Context[Any, Any]) -> str:
        # Who asks counts, and not who started the server: over HTTP these are different people.
        caller = server.caller_of(ctx)

        async def read(agent: str) -> str:
            return await conversations.text(caller.agent or agent, caller, id)

        return await server.resource_of(read)

    @server.prompt(name="week_review", title="Review the week", description="Go through the last seven days")
    def week_review() -> str:
        since, until = last_days(config.clock.now().date(), 7)
        return (
            f"Read the journal from {since} to {until} with journal_read and the active goals with goal_list. "
            "Say what moved, what did not and why, and name the three things that matter most next week. "
            "Cite days as [YYYY-MM-DD]."
        )

    @server.prompt(name="daily_brief", title="Brief for today", description="What matters today")
    def daily_brief() -> str:
        since, until = last_days(config.clock.now().date(), 2)
        return (
            f"Read the journal from {since} to {until}, the active goals and what memory_recall gives for today. "
            "Write a brief of at most eight lines: what is open, what is due, what to do first."
        )

    async def days(caller: Caller) -> list[str]:
        return [day.day for day in (await journal.days(need_agent(caller), MAX_LIMIT, None)).items]

    async def own(caller: Caller) -> list[str]:
        found = await conversations.list_conversations(need_agent(caller), caller, MAX_LIMIT, None)
        return [item.conversation for item in found.items]

    server.completions.add_names(days, ("journal://{day}", "day"))
    server.completions.add_names(own, ("conversation://{id}", "id"))
    return server


class _Domain:
    """Both parts, as the server base asks for them."""

    def __init__(self, journal: Journal, conversations: Conversations) -> None:
        self._journal = journal
        self._conversations = conversations

    async def counts(self, agent: str | None) -> dict[str, int]:
        return await self._journal.counts(agent)

    async def doctor(self, agent: str | None) -> Sequence[DoctorFinding]:
        if agent is None:
            return []
        return [*await self._journal.doctor(agent), *await self._conversations.doctor(agent)]

    def uris_of(self, path: str) -> Sequence[str]:
        return self._journal.uris_of(path)
