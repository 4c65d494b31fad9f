"""The journal's tools: validate, call, shape."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from argosy_core.serving.identity import WhoCalls
from argosy_core.serving.results import DEFAULT_LIMIT
from argosy_core.serving.server import need_agent
from argosy_core.serving.toolbox import ToolBox
from argosy_core.types import ActionClass
from argosy_journal.journal import Journal
from argosy_journal.models import Appended, JournalPage

Since = Annotated[str | None, Field(description="First day, YYYY-MM-DD")]
Until = Annotated[str | None, Field(description="Last day, YYYY-MM-DD")]
Limit = Annotated[int, Field(description="At most this many, up to 500")]
Cursor = Annotated[str | None, Field(description="next_cursor of the page before")]


def build_tools(journal: Journal) -> ToolBox:
    """The tools over *journal*."""
    box = ToolBox()

    @box.tool("Append to the journal", ActionClass.REVERSIBLE_WRITE, default=True)
    async def journal_append(
        caller: WhoCalls,
        text: Annotated[str, Field(description="What happened, in plain sentences")],
        tags: Annotated[list[str] | None, Field(description="Words to find it by")] = None,
        key: Annotated[str | None, Field(description="Repeat-safe: the same key adds once a day")] = None,
    ) -> Appended:
        """Add an entry to today's journal: what was done, decided or noticed. For facts to keep, use memory_write."""
        return await journal.append(need_agent(caller), caller, text, tags or [], key)

    @box.tool("Read the journal", default=True)
    async def journal_read(
        caller: WhoCalls,
        since: Since = None,
        until: Until = None,
        limit: Limit = DEFAULT_LIMIT,
        cursor: Cursor = None,
    ) -> JournalPage:
        """Journal entries of a range of days, oldest first: what happened today, yesterday, this week. Without a range,
        the newest entries."""
        return await journal.read(need_agent(caller), since, until, limit, cursor)

    @box.tool("Search the journal", default=True)
    async def journal_search(
        caller: WhoCalls,
        query: Annotated[str, Field(description='Words; "quoted words" stand together')],
        since: Since = None,
        until: Until = None,
        limit: Limit = DEFAULT_LIMIT,
        cursor: Cursor = None,
    ) -> JournalPage:
        """Journal entries that hold the given words, best first: when something happened, was said or decided."""
        return await journal.search(need_agent(caller), query, since, until, limit, cursor)

    return box
