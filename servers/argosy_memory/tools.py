"""Memory's tools: validate, call, shape."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from argosy_core.serving.identity import WhoCalls
from argosy_core.serving.results import DEFAULT_LIMIT
from argosy_core.serving.server import need_agent
from argosy_core.serving.toolbox import ToolBox
from argosy_core.types import ActionClass
from argosy_memory.models import (
    Confidence,
    Note,
    NotePage,
    NoteType,
    Recall,
    RecallMode,
    Scope,
    SearchMode,
    SearchResult,
    Written,
)
from argosy_memory.notebook import Notebook
from argosy_memory.notes import Draft
from argosy_memory.searching import MOST_HITS, Question
from argosy_memory.upkeep_tools import add_upkeep_tools
from argosy_memory.wiki_tools import add_wiki_tools

Types = Annotated[list[NoteType] | None, Field(description="Only these types")]
Tags = Annotated[list[str] | None, Field(description="Only with all these tags")]


def build_tools(notebook: Notebook) -> ToolBox:
    """The tools over *notebook*."""
    box = ToolBox()
    _add_writing(box, notebook)
    _add_finding(box, notebook)
    add_upkeep_tools(box, notebook)
    add_wiki_tools(box, notebook)
    return box


def _add_writing(box: ToolBox, notebook: Notebook) -> None:
    @box.tool("Write a note", ActionClass.REVERSIBLE_WRITE, default=True, idempotent=True)
    async def memory_write(
        caller: WhoCalls,
        type: NoteType,
        title: Annotated[str, Field(description="At most 80 characters; names the note")],
        body: Annotated[str, Field(description="Markdown; why it matters and how to apply it")],
        description: Annotated[str | None, Field(description="One line for the index")] = None,
        tags: list[str] | None = None,
        sources: Annotated[list[str] | None, Field(description="Where it comes from")] = None,
        confidence: Confidence | None = None,
        pinned: bool | None = None,
        expires_at: Annotated[str | None, Field(description="YYYY-MM-DD")] = None,
        supersedes: Annotated[str | None, Field(description="Note this one replaces")] = None,
        merge_into: Annotated[str | None, Field(description="Note to add the body to")] = None,
        expect_version: Annotated[str | None, Field(description="Replace that very version")] = None,
        key: Annotated[str | None, Field(description="Repeat-safe")] = None,
    ) -> Written:
        """Remember something for later runs: what would surprise a fresh agent. Also updates memory/INDEX.md."""
        draft = Draft(
            type,
            title,
            body,
            description,
            tuple(tags) if tags is not None else None,
            tuple(sources) if sources is not None else None,
            confidence,
            pinned,
            expires_at,
            supersedes,
            merge_into,
        )
        return await notebook.writer.write(need_agent(caller), caller, draft, expect_version, key)

    @box.tool("Read a note", default=True)
    async def memory_read(
        caller: WhoCalls,
        name: Annotated[str, Field(description="Name or uri of a hit")],
        version: Annotated[str | None, Field(description="An earlier version")] = None,
        offset: Annotated[int, Field(ge=0, description="Of a long body")] = 0,
    ) -> Note:
        """The whole text of one note, or of a raw source by its uri."""
        return await notebook.read(need_agent(caller), name, version, offset)


def _add_finding(box: ToolBox, notebook: Notebook) -> None:
    @box.tool("Search memory", default=True)
    async def memory_search(
        caller: WhoCalls,
        query: Annotated[str, Field(description='Words in any order; "a phrase"; begin*')],
        scope: Scope = "notes",
        types: Types = None,
        tags: Tags = None,
        mode: SearchMode = "hybrid",
        limit: Annotated[int, Field(description="At most this many, up to 500")] = 10,
        include_archived: bool = False,
        explain: Annotated[bool, Field(description="Say why each hit ranks where it does")] = False,
    ) -> SearchResult:
        """Find notes, wiki pages or raw sources by words in title, description or text, best first: what is known about
        something."""
        most = max(1, min(limit, MOST_HITS))
        question = Question(query, scope, types or (), tags or (), mode, most, include_archived, explain, caller)
        return await notebook.search(need_agent(caller), question)

    @box.tool("List notes", default=True)
    async def memory_list(
        caller: WhoCalls,
        types: Types = None,
        tags: Tags = None,
        pinned: bool | None = None,
        stale_days: Annotated[int | None, Field(ge=0, le=36500, description="Not seen for so many days")] = None,
        limit: Annotated[int, Field(description="Up to 500")] = DEFAULT_LIMIT,
        cursor: Annotated[str | None, Field(description="next_cursor of the page before")] = None,
    ) -> NotePage:
        """Notes, most recently seen first."""
        return await notebook.list_notes(need_agent(caller), types or [], tags or [], pinned, stale_days, limit, cursor)

    @box.tool("Recall for a task", default=True)
    async def memory_recall(
        caller: WhoCalls,
        task: Annotated[str, Field(description="What is to be done, in words")],
        token_budget: Annotated[int, Field(description="Upper bound of the text")] = 2000,
        mode: Annotated[
            RecallMode, Field(description="temporal: newest first; sequential: oldest first; semantic: by meaning")
        ] = "contextual",
    ) -> Recall:
        """Everything worth knowing for a task, as one text within a token budget: pinned, matching, linked and recent
        notes."""
        return await notebook.recall(need_agent(caller), caller, task, token_budget, mode)
