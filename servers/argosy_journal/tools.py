"""The journal's tools: validate, call, shape."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from argosy_core.conversations import TurnRole
from argosy_core.serving.identity import WhoCalls
from argosy_core.serving.results import DEFAULT_LIMIT
from argosy_core.serving.server import need_agent
from argosy_core.serving.toolbox import ToolBox
from argosy_core.types import ActionClass
from argosy_journal.conversations import Conversations
from argosy_journal.journal import Journal
from argosy_journal.models import Appended, ConversationPage, JournalDays, JournalPage, TurnAdded, Turns

Since = Annotated[str | None, Field(description="First day, YYYY-MM-DD")]
Until = Annotated[str | None, Field(description="Last day, YYYY-MM-DD")]
Limit = Annotated[int, Field(description="At most this many, up to 500")]
Cursor = Annotated[str | None, Field(description="next_cursor of the page before")]
Conversation = Annotated[str, Field(description="Its name; a new name begins a new one")]


def build_tools(journal: Journal, conversations: Conversations) -> ToolBox:
    """The tools over *journal* and *conversations*."""
    box = ToolBox()

    @box.tool("Append to the journal", ActionClass.REVERSIBLE_WRITE, default=True)
    async def journal_append(
        caller: WhoCalls,
        text: Annotated[str, Field(description="What happened, in plain sentences")],
        tags: Annotated[list[str] | None, Field(description="Words to find it by")] = None,
        key: Annotated[str | None, Field(description="Repeat-safe: the same key adds once")] = None,
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

    @box.tool("Days of the journal")
    async def journal_days(caller: WhoCalls, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None) -> JournalDays:
        """The days that have journal entries, newest first."""
        return await journal.days(need_agent(caller), limit, cursor)

    @box.tool("Add to a conversation", ActionClass.REVERSIBLE_WRITE)
    async def conversation_add(
        caller: WhoCalls,
        conversation: Conversation,
        role: Annotated[TurnRole, Field(description="Who said it")],
        text: Annotated[str, Field(description="What was said")],
        key: Annotated[str | None, Field(description="Repeat-safe: the same key adds once")] = None,
    ) -> TurnAdded:
        """Add a turn to one of your conversations. Nobody but you can read them."""
        return await conversations.add(need_agent(caller), caller, conversation, role, text, key)

    @box.tool("Turns of a conversation")
    async def conversation_turns(
        caller: WhoCalls,
        conversation: Conversation,
        token_budget: Annotated[int, Field(description="Upper bound of the turns' text")] = 8000,
    ) -> Turns:
        """The newest turns of one of your conversations that fit a budget, in order, and how many were left out."""
        return await conversations.turns(need_agent(caller), caller, conversation, token_budget)

    @box.tool("Your conversations")
    async def conversation_list(
        caller: WhoCalls, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None
    ) -> ConversationPage:
        """Your conversations with this agent, the last one used first."""
        return await conversations.list_conversations(need_agent(caller), caller, limit, cursor)

    return box
