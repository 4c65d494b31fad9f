"""The wiki that an agent distils from its sources, and the sources themselves, which nobody changes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from anyio import to_thread

from argosy_core.errors import AlreadyExists, InvalidArgument, NotFound, TooLarge
from argosy_core.frontmatter import edit, render
from argosy_core.index.documents import Entry
from argosy_core.index.library import Library
from argosy_core.links import link_key, links_in
from argosy_core.serving.config import ServerConfig
from argosy_core.storage.base import ABSENT, Content
from argosy_core.types import Caller
from argosy_core.views.notes import NoteView
from argosy_memory.models import MAX_BODY_CHARS
from argosy_memory.note_files import NoteFiles, text_of, whole_version
from argosy_memory.notes import MAX_BODY_BYTES, check_list, check_utf8, describe, described_anew, with_body
from argosy_memory.paths import new_path, path_of
from argosy_memory.recording import Recorder
from argosy_memory.shelves import ALL_SCOPES, INDEX_NAMES, page_of, uri_of
from argosy_memory.wiki_models import PageLink, PageWritten, RawFile, WikiPage

MAX_RAW_BYTES = 4 * 1024 * 1024
LINKS_SHOWN = 50


class Wiki:
    """Pages and sources of every agent of one vault."""

    def __init__(self, config: ServerConfig, files: NoteFiles, library: Library, recorder: Recorder) -> None:
        self._clock = config.clock
        self._documents = config.store.documents
        self._files = files
        self._library = library
        self._recorder = recorder

    async def read(self, agent: str, page: str) -> WikiPage:
        """A wiki page. Raises NotFound."""
        path = path_of(agent, page if page.startswith("wiki://") else f"wiki/{page}")
        found = await self._files.load(path)
        if found is None:
            raise NotFound(f"there is no wiki page {page[:200]!r}", hint="memory_search with scope wiki finds pages")
        return WikiPage(**await self._fields(agent, *found))

    async def write(
        self, agent: str, caller: Caller, page: str, body: str, sources: Sequence[str] | None,
        expect_version: str | None,
    ) -> PageWritten:  # fmt: skip
        """Put a page. Raises AlreadyExists (another text is there), Conflict (it has another version), TooLarge,
        InvalidArgument."""
        body = _checked(body, sources)
        path = new_path(agent, "wiki", page, ".md")
        if path.rsplit("/", 1)[-1] in INDEX_NAMES:
            raise InvalidArgument("INDEX is the wiki's own list", hint="give the page another name")
        there = await self._files.load(path)
        if there is None:
            await self._refuse_lookalike(path)
        if (
            there is not None
            and there[0].body.strip() == body
            and list(sources or there[0].sources) == list(there[0].sources)
        ):
            return PageWritten(**await self._fields(agent, *there), duplicate=True)
        text = self._text(path, body, sources, there, expect_version)
        expect = whole_version(expect_version, there[1] if there else None) if expect_version else ABSENT
        note, content = await self._recorder.save(agent, caller, "memory.wiki_write", path, text, expect)
        return PageWritten(**await self._fields(agent, note, content))

    def _text(
        self,
        path: str,
        body: str,
        sources: Sequence[str] | None,
        there: tuple[NoteView, Content] | None,
        expect_version: str | None,
    ) -> str:
        today = self._clock.now().date().isoformat()
        if there is None:
            return render(_new_fields(path, body, sources, today), f"{body}\n")
        note, content = there
        if expect_version is None:
            raise AlreadyExists(
                f"the page {page_of(path)} exists with other content",
                hint=f"read it, then replace it with expect_version={content.version}",
                version=content.version,
            )
        changes: dict[str, Any] = {"last_seen": today, **described_anew(note, body)}
        if sources is not None:
            changes["sources"] = list(sources)
        return with_body(edit(text_of(content), changes), note.body, body)

    async def _refuse_lookalike(self, path: str) -> None:
        """Raises AlreadyExists when a file differs from *path* in case alone: some disks take the two for one."""
        folder, _, name = path.rpartition("/")
        same = [
            info.path
            for info in await self._documents.list(folder, ".md")
            if link_key(info.path) == link_key(name) and info.path != path
        ]
        if same:
            raise AlreadyExists(
                f"there is a page {page_of(same[0])!r}, the same name to some disks", hint="write to that one"
            )

    async def add_raw(self, agent: str, caller: Caller, name: str, content: str) -> RawFile:
        """Keep a source. Raises AlreadyExists when another one has the name: sources do not change."""
        check_utf8(content)
        data = content.encode()
        if not data or len(data) > MAX_RAW_BYTES:
            raise (
                TooLarge(f"a source has 1 byte to {MAX_RAW_BYTES // 2**20} MiB", hint="split it")
                if data
                else InvalidArgument("the source is empty", hint="give its text")
            )
        path = new_path(agent, "raw", name if "." in name.rsplit("/", 1)[-1] else f"{name}.md")
        duplicate = False
        try:
            _, kept = await self._recorder.save(agent, caller, "memory.raw_add", path, content, ABSENT)
        except AlreadyExists:
            kept, duplicate = await self._documents.read(path), True
            if kept.data != data:
                raise AlreadyExists(
                    f"another source is called {page_of(path)!r}", hint="give this one another name"
                ) from None
        inside = path.split("/", 2)[2]
        return RawFile(
            name=inside,
            path=path,
            version=kept.version,
            uri=uri_of("raw", inside),
            bytes=len(data),
            duplicate=duplicate,
        )

    # Links

    async def _fields(self, agent: str, note: NoteView, content: Content) -> dict[str, Any]:
        name = page_of(note.path)
        links, backlinks, unresolved = await to_thread.run_sync(self._linked, agent, note)
        return {
            "page": name,
            "title": note.title,
            "body": note.body[:MAX_BODY_CHARS],
            "next_offset": MAX_BODY_CHARS if len(note.body) > MAX_BODY_CHARS else None,
            "path": note.path,
            "version": content.version,
            "uri": uri_of("wiki", name),
            "frontmatter": note.fields,
            "sources": list(note.sources),
            "links": links,
            "backlinks": backlinks,
            "unresolved": unresolved,
            "degraded": note.degraded,
        }

    def _linked(self, agent: str, note: NoteView) -> tuple[list[PageLink], list[PageLink], list[str]]:
        index = self._library.fresh(agent, ALL_SCOPES)
        links: dict[str, PageLink] = {}
        unresolved: list[str] = []
        for name in links_in(note.body)[:LINKS_SHOWN]:
            found = best_match(index.resolve(agent, link_key(name)), name)
            if found is None:
                unresolved.append(name)
            else:
                links[found.path] = _link(found)
        own = link_key(note.path)
        behind = [entry for entry in index.linking(agent, own, LINKS_SHOWN) if entry.path != note.path]
        return list(links.values()), [_link(entry) for entry in behind], unresolved


def best_match(entries: Sequence[Entry], name: str) -> Entry | None:
    """Which of *entries*, all of one stem, a link with *name* means: the one in the folder it names, else the first."""
    wanted = name.strip().removesuffix(".md").casefold()
    in_folder = [entry for entry in entries if entry.path.casefold().removesuffix(".md").endswith(f"/{wanted}")]
    return next(iter(in_folder or ([] if "/" in wanted else entries)), None)


def _link(entry: Entry) -> PageLink:
    return PageLink(name=entry.name, title=entry.title, uri=uri_of(entry.scope, entry.name))


def _checked(body: str, sources: Sequence[str] | None) -> str:
    body = body.strip()
    if not body:
        raise InvalidArgument("a page needs a body", hint="say what to keep")
    check_utf8(body, *(sources or ()))
    if len(body.encode()) > MAX_BODY_BYTES:
        raise TooLarge(f"a page has at most {MAX_BODY_BYTES // 1024} KiB", hint="split it, or put it into raw/")
    check_list("sources", sources)
    return body


def _new_fields(path: str, body: str, sources: Sequence[str] | None, today: str) -> dict[str, Any]:
    """The head of a page as the older system writes one."""
    heading = next((line[2:].strip() for line in body.split("\n", 1)[:1] if line.startswith("# ")), "")
    return {
        "schema_version": 1,
        "name": (heading or page_of(path).rsplit("/", 1)[-1].replace("_", " "))[:200],
        "description": describe(body),
        "type": "wiki_page",
        "captured": today,
        "last_seen": today,
        "sources": list(sources or ()),
        "provenance": "distilled",
        "related": [],
        "tags": [],
    }
