"""Tools that keep notes in order."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from argosy_core.serving.identity import WhoCalls
from argosy_core.serving.results import DEFAULT_LIMIT
from argosy_core.serving.server import need_agent
from argosy_core.serving.toolbox import ToolBox
from argosy_core.types import ActionClass
from argosy_memory.capture import capture
from argosy_memory.models import Written
from argosy_memory.notebook import Notebook
from argosy_memory.upkeep_models import Captured, History, LintPage, Provenance

Name = Annotated[str, Field(description="As in search hits")]
Limit = Annotated[int, Field(description="Up to 500")]
Cursor = Annotated[str | None, Field(description="next_cursor of the page before")]


def add_upkeep_tools(box: ToolBox, notebook: Notebook) -> None:
    """Declare them in *box*."""

    @box.tool("Archive a note", ActionClass.REVERSIBLE_WRITE, default=True, idempotent=True)
    async def memory_archive(caller: WhoCalls, name: Name, why: str) -> Written:
        """Take a note out of search and recall; it stays readable."""
        return await notebook.upkeep.archive(need_agent(caller), caller, name, why)

    @box.tool("Mark a note's weight", ActionClass.REVERSIBLE_WRITE, idempotent=True)
    async def memory_mark(caller: WhoCalls, name: Name, provenance: Provenance) -> Written:
        """Say how much a note weighs as evidence; a disputed one leaves recall. Only an operator confirms."""
        return await notebook.upkeep.mark(need_agent(caller), caller, name, provenance)

    @box.tool("Versions of a note")
    async def memory_history(
        caller: WhoCalls, name: Name, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None
    ) -> History:
        """The versions of a note, a wiki page (wiki/NAME) too, newest first; memory_read shows one."""
        return await notebook.upkeep.history(need_agent(caller), name, limit, cursor)

    @box.tool("Restore a version", ActionClass.REVERSIBLE_WRITE, idempotent=True)
    async def memory_restore(
        caller: WhoCalls,
        name: Name,
        version: Annotated[str, Field(description="From memory_history; 8 characters are enough")],
    ) -> Written:
        """Bring an earlier version back, or a note out of the archive; what is there now becomes a version."""
        return await notebook.upkeep.restore(need_agent(caller), caller, name, version)

    @box.tool("Lint memory")
    async def memory_lint(caller: WhoCalls, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None) -> LintPage:
        """What in memory wants a look: duplicates, contradictions, stale and expired notes, broken links and chains,
        broken heads, missing sources, notes worth promoting. Changes nothing."""
        return await notebook.lint(need_agent(caller), limit, cursor)

    @box.tool("Capture notes from a text", ActionClass.REVERSIBLE_WRITE, idempotent=True)
    async def memory_capture(
        caller: WhoCalls, text: Annotated[str, Field(description="With ```atomic_capture blocks of JSON")]
    ) -> Captured:
        """Write a note for every fenced atomic_capture block of a text; bad blocks are reported with their line."""
        return await capture(notebook.writer, need_agent(caller), caller, text)
