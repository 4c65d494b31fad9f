"""Writing notes: a new one, a merge, the same again, another text under one title."""

from __future__ import annotations

from argosy_core.clock import Clock
from argosy_core.errors import AlreadyExists, Conflict, InvalidArgument
from argosy_core.frontmatter import edit
from argosy_core.index.library import Library
from argosy_core.serving.config import ServerConfig
from argosy_core.storage.base import ABSENT, Content
from argosy_core.types import Caller
from argosy_core.views.notes import NoteView
from argosy_memory.index_page import IndexPages
from argosy_memory.models import Written, note_fields
from argosy_memory.note_files import NoteFiles
from argosy_memory.notes import Draft, check_draft, file_stems, merged_page, new_page, replaced_page, same_content
from argosy_memory.shelves import document_of

TRIES = 10


class NoteWriter:
    """Puts notes where they belong and tells index, log and listeners of it."""

    def __init__(self, config: ServerConfig, files: NoteFiles, library: Library, pages: IndexPages) -> None:
        self._store = config.store
        self._clock: Clock = config.clock
        self._files = files
        self._library = library
        self._pages = pages

    def _today(self) -> str:
        return self._clock.now().date().isoformat()

    async def write(
        self,
        agent: str,
        caller: Caller,
        draft: Draft,
        *,
        supersedes: str | None,
        merge_into: str | None,
        expect_version: str | None,
        key: str | None,
    ) -> Written:
        """Write a note (`vault.md`: new, merge, same again, different).

        Raises AlreadyExists (the title is there with other content), Conflict (the version or the key), NotFound (what
        is to be merged into or superseded), InvalidArgument, TooLarge.
        """
        draft = check_draft(draft)
        if merge_into is not None and supersedes is not None:
            raise InvalidArgument("merge_into and supersedes exclude each other", hint="choose one")
        if key is not None and (known := await self._repeated(agent, key, draft)) is not None:
            return known
        old = await self._files.find(agent, supersedes) if supersedes else None
        if merge_into is not None:
            note, content, duplicate = await self._merge(agent, merge_into, draft, expect_version)
        else:
            superseded = old[0].path.rsplit("/", 1)[-1] if old else None
            note, content, duplicate = await self._put(agent, caller, draft, superseded, expect_version)
        if old is not None and old[0].superseded_by != f"{note.name}.md":
            await self._link_back(agent, caller, old[0], note)
        if not duplicate:
            self._learn(agent, note, content)
            await self._log(agent, caller, "memory.write", note, content, key, draft)
        return Written(**note_fields(note, content), duplicate=duplicate)

    async def _repeated(self, agent: str, key: str, draft: Draft) -> Written | None:
        entry = await self._store.chain.find(agent, "memory", key)
        if entry is None:
            return None
        if entry.event.get("arguments_sha256") != draft.fingerprint:
            raise Conflict("the key was used for another note", hint="use a new key for a new note")
        note, content = await self._files.find(agent, str(entry.event["name"]))
        return Written(**note_fields(note, content), duplicate=True)

    async def _put(
        self, agent: str, caller: Caller, draft: Draft, superseded: str | None, expect_version: str | None
    ) -> tuple[NoteView, Content, bool]:
        for stem in file_stems(draft.type, draft.title):
            path = f"{agent}/memory/{stem}.md"
            if not expect_version:
                try:  # nearly always the name is free, and looking first would cost every writer
                    return await self._save(path, new_page(draft, caller, self._today(), superseded), ABSENT)
                except AlreadyExists:
                    pass
            there = await self._files.load(path)
            if there is None:
                raise Conflict("there is no such note to replace", hint="leave expect_version out", version=None)
            if there[0].title == draft.title:
                return await self._rewrite(there, draft, expect_version)
        raise AlreadyExists("too many notes have this title's name", hint="choose another title")

    async def _rewrite(
        self, there: tuple[NoteView, Content], draft: Draft, expect_version: str | None
    ) -> tuple[NoteView, Content, bool]:
        note, content = there
        if same_content(note, draft):
            return note, content, True
        if expect_version is None:
            raise AlreadyExists(
                f"the note {note.name} exists with other content",
                hint=f"merge_into={note.name} adds to it, expect_version={content.version} replaces it",
                name=note.name,
                version=content.version,
            )
        text = replaced_page(content.data.decode("utf-8", "replace"), note, draft, self._today())
        return await self._save(note.path, text, expect_version)

    async def _merge(
        self, agent: str, name: str, draft: Draft, expect_version: str | None
    ) -> tuple[NoteView, Content, bool]:
        for _ in range(TRIES):
            note, content = await self._files.find(agent, name)
            if expect_version is not None and expect_version != content.version:
                raise Conflict(f"{name} was changed", hint="read it again", version=content.version)
            if note.body.rstrip().endswith(draft.body):
                return note, content, True
            text = merged_page(content.data.decode("utf-8", "replace"), note, draft, self._today())
            try:
                return await self._save(note.path, text, content.version)
            except Conflict:
                if expect_version is not None:
                    raise
        raise Conflict(f"many writers are at {name}", hint="try again in a moment")

    async def _link_back(self, agent: str, caller: Caller, old: NoteView, new: NoteView) -> None:
        for _ in range(TRIES):
            note, content = await self._files.find(agent, old.name)
            text = edit(content.data.decode("utf-8", "replace"), {"superseded_by": f"{new.name}.md"})
            try:
                note, content, _ = await self._save(note.path, text, content.version)
            except Conflict:
                continue
            self._learn(agent, note, content)
            await self._log(agent, caller, "memory.supersede", note, content)
            return
        raise Conflict(f"many writers are at {old.name}", hint="try again in a moment")

    async def _save(self, path: str, text: str, expect: str) -> tuple[NoteView, Content, bool]:
        note, content = await self._files.save(path, text, expect)
        return note, content, False

    def _learn(self, agent: str, note: NoteView, content: Content) -> None:
        self._library.put(document_of(agent, note, content.stamp))
        self._pages.mark(agent)
        self._store.bell.ring(content.path)

    async def _log(
        self,
        agent: str,
        caller: Caller,
        kind: str,
        note: NoteView,
        content: Content,
        key: str | None = None,
        draft: Draft | None = None,
    ) -> None:
        event = {
            "kind": kind,
            "name": note.name,
            "path": note.path,
            "version": content.version,
            "arguments_sha256": draft.fingerprint if draft else None,
            "run_id": caller.run,
        }
        await self._store.chain.append(
            agent, "memory", {name: value for name, value in event.items() if value is not None}, key=key
        )
