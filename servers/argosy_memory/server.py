"""Builds the memory server."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from argosy_core.serving.completion import matching
from argosy_core.serving.config import ServerConfig
from argosy_core.serving.results import MAX_LIMIT
from argosy_core.serving.server import ArgosyServer, need_agent
from argosy_core.types import Caller
from argosy_memory.health import MemoryDomain
from argosy_memory.notebook import Notebook
from argosy_memory.searching import Question
from argosy_memory.tools import build_tools


def create(config: ServerConfig) -> ArgosyServer:
    """The memory server for *config*."""
    notebook = Notebook(config)
    server = ArgosyServer(
        "memory",
        config,
        MemoryDomain(config, notebook),
        build_tools(notebook),
        title="Memory",
        instructions="Notes the agent keeps as Markdown. Recall before you work, search to look things up, write what "
        "would surprise a fresh agent.",
        background=notebook.close,
    )

    async def index(agent: str) -> str:
        return await notebook.index_page(agent)

    async def note(agent: str, name: str) -> str:
        return (await notebook.read(agent, name)).render()

    async def page(agent: str, name: str) -> str:
        return (await notebook.wiki.read(agent, name)).render()

    async def source(agent: str, name: str) -> str:
        return (await notebook.read(agent, f"raw/{name}")).body

    @server.resource(
        "memory://index", name="memory_index", title="Index of notes", mime_type="text/markdown",
        description="Every note with its one line, by type, and what a person wrote around them",
    )  # fmt: skip
    async def memory_index() -> str:
        return await server.resource_of(index)

    @server.resource(
        "memory://note/{name}", name="memory_note", title="A note", mime_type="text/markdown",
        description="One note as Markdown; name is its file's stem, like user_keeper",
    )  # fmt: skip
    async def memory_note(name: str) -> str:
        return await server.resource_of(note, name)

    @server.resource(
        "wiki://{+page_name}", name="wiki_page", title="A wiki page", mime_type="text/markdown",
        description="One page of distilled knowledge with its sources and what links to it",
    )  # fmt: skip
    async def wiki_page(page_name: str) -> str:
        return await server.resource_of(page, page_name)

    @server.resource(
        "raw://{+source_name}", name="raw_source", title="A source", mime_type="text/plain",
        description="One source text as it was kept",
    )  # fmt: skip
    async def raw_source(source_name: str) -> str:
        return await server.resource_of(source, source_name)

    @server.prompt(name="remember", title="Remember something", description="Keep a fact for later runs")
    def remember(what: Annotated[str, Field(description="The fact, and where it comes from")]) -> str:
        return (
            f"Remember this: {what}\n\nSearch memory first. If a note about it exists, add to it with merge_into or "
            "replace it with supersedes; otherwise write one with memory_write: the right type, a short title, why it "
            "matters and how to apply it, and where it comes from."
        )

    @server.prompt(name="answer_with_sources", title="Answer with sources", description="Answer from memory, cited")
    def answer_with_sources(question: Annotated[str, Field(description="What you want to know")]) -> str:
        return (
            f"Answer from what is remembered: {question}\n\nUse memory_recall and memory_search, read what matters "
            "with memory_read or wiki_read, and end every claim with its source as [name]. Say what is not known."
        )

    async def notes(caller: Caller, typed: str) -> list[str]:
        agent = need_agent(caller)
        newest = await notebook.list_notes(agent, [], [], None, None, MAX_LIMIT, None)
        words = " ".join(typed.replace("_", " ").split())
        found = (await notebook.search(agent, Question(f"{words}*", mode="keyword", limit=50))).hits if words else []
        return matching(list(dict.fromkeys([*(hit.name for hit in found), *(n.name for n in newest.items)])), typed)

    async def pages(caller: Caller) -> list[str]:
        folder = f"{need_agent(caller)}/wiki/"
        found = await config.store.documents.list(folder.rstrip("/"), ".md", deep=True)
        return [info.path.removeprefix(folder).removesuffix(".md") for info in found]

    server.completions.add("memory://note/{name}", "name", notes)
    server.completions.add_names(pages, ("wiki://{+page_name}", "page_name"))
    return server
