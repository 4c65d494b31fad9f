"""Builds the journal server."""

from __future__ import annotations

from argosy_core.serving.config import ServerConfig
from argosy_core.serving.server import ArgosyServer
from argosy_journal.journal import Journal, last_days
from argosy_journal.tools import build_tools


def create(config: ServerConfig) -> ArgosyServer:
    """The journal server for *config*."""
    journal = Journal(config)
    server = ArgosyServer(
        "journal",
        config,
        journal,
        build_tools(journal),
        title="Journal",
        instructions="The agent's diary, one Markdown file a day. Append what happened; read or search what did.",
    )

    @server.resource(
        "journal://{day}", name="journal_day", title="Journal of a day", mime_type="text/markdown",
        description="One day's journal as Markdown; day is YYYY-MM-DD",
    )  # fmt: skip
    async def journal_day(day: str) -> str:
        return await server.resource_of(journal.day, day)

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

    return server
