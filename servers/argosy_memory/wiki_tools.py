"""Tools of the wiki and its sources."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from argosy_core.serving.identity import WhoCalls
from argosy_core.serving.server import need_agent
from argosy_core.serving.toolbox import ToolBox
from argosy_core.types import ActionClass
from argosy_memory.notebook import Notebook
from argosy_memory.wiki_models import PageWritten, RawFile, WikiPage


def add_wiki_tools(box: ToolBox, notebook: Notebook) -> None:
    """Declare them in *box*."""

    @box.tool("Write a wiki page", ActionClass.REVERSIBLE_WRITE, default=True, idempotent=True)
    async def wiki_write(
        caller: WhoCalls,
        page: Annotated[str, Field(description="Its name; folders by /")],
        body: Annotated[str, Field(description="Markdown; [[name]] links")],
        sources: Annotated[list[str] | None, Field(description="raw/… it distils")] = None,
        expect_version: Annotated[str | None, Field(description="Replace that very version")] = None,
    ) -> PageWritten:
        """Put a page of distilled knowledge."""
        return await notebook.wiki.write(need_agent(caller), caller, page, body, sources, expect_version)

    @box.tool("Read a wiki page", default=True)
    async def wiki_read(caller: WhoCalls, page: Annotated[str, Field(description="As in search hits")]) -> WikiPage:
        """The whole text of one wiki page."""
        return await notebook.wiki.read(need_agent(caller), page)

    @box.tool("Keep a source", ActionClass.REVERSIBLE_WRITE, idempotent=True)
    async def raw_add(
        caller: WhoCalls, name: Annotated[str, Field(description="File name; folders by /")], content: str
    ) -> RawFile:
        """Keep a source text under raw/, unchanged for good; memory_search with scope raw finds it."""
        return await notebook.wiki.add_raw(need_agent(caller), caller, name, content)
