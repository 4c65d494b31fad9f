"""Writing notes: a new one, a merge, the same again, another text under one title; and the chain of superseding."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from argosy_core.clock import Clock
from argosy_core.errors import AlreadyExists, Conflict, InvalidArgument
from argosy_core.frontmatter import edit
from argosy_core.serving.config import ServerConfig
from argosy_core.storage.base import ABSENT, Content
from argosy_core.types import Caller
from argosy_core.views.notes import NoteView
from argosy_memory.models import Written, note_fields
from argosy_memory.note_files import NoteFiles, text_of, whole_version
from argosy_memory.notes import (
    Draft,
    check_draft,
    composed,
    file_stems,
    merged_page,
    new_note,
    replaced_page,
    same_content,
)
from argosy_memory.recording import WRITER, Recorder

TRIES = 50  # each time one of those who write at once gets through, so this many at once all do
LONGEST_CHAIN = 1_000


@dataclass(frozen=True, slots=True)
class _Put:
    """One call of `NoteWriter.write`."""

    agent: str
    caller: Caller
    draft: Draft
    expect_version: str | None
    key: str | None


class NoteWriter:
    """Puts notes where they belong."""

    def __init__(self, config: ServerConfig, files: NoteFiles, recorder: Recorder) -> None:
        self._chain = config.store.chain
        self._clock: Clock = config.clock
        self._files = files
        self._recorder = recorder

    def _today(self) -> str:
        return self._clock.now().date().isoformat()

    async def write(
        self, agent: str, caller: Caller, draft: Draft, expect_version: str | None = None, key: str | None = None
    ) -> Written:
        """Write a note (`vault.md`: new, merge, same again, different).

        Raises AlreadyExists (the title is there with other content), Conflict (the version, the key, or somebody else
        superseded the note first), NotFound (what is to be merged into or superseded), InvalidArgument, TooLarge.
        """
        draft = check_draft(draft)
        if key is not None and (known := await self._repeated(agent, key, draft)) is not None:
            return known
        old = await self._superseded(agent, draft) if draft.supersedes else None
        put = _Put(agent, caller, draft, expect_version, key)
        if draft.merge_into is not None:
            note, content, duplicate = await self._merge(put, draft.merge_into)
        else:
            note, content, duplicate = await self._put(put, old)
        if old is not None and old.superseded_by != f"{note.name}.md":
            await self._link_back(agent, caller, old, note)
        return Written(**note_fields(note, content), duplicate=duplicate)

    async def _repeated(self, agent: str, key: str, draft: Draft) -> Written | None:
        entry = await self._chain.find(agent, WRITER, key)
        if entry is None:
            return None
        if entry.event.get("arguments_sha256") != draft.fingerprint:
            raise Conflict("the key was used for another note", hint="use a new key for a new note")
        note, content = await self._files.find(agent, str(entry.event["name"]))
        return Written(**note_fields(note, content), duplicate=True)

    # The four cases

    async def _put(self, put: _Put, old: NoteView | None) -> tuple[NoteView, Content, bool]:
        superseded = f"{old.name}.md" if old else None
        draft = put.draft
        for stem in file_stems(draft.type, draft.title):
            path = f"{put.agent}/memory/{stem}.md"
            if not put.expect_version:
                text, view = new_note(path, draft, put.caller, self._today(), superseded)
                try:  # nearly always the name is free, and looking first would cost every writer
                    return *await self._save(put, path, text, ABSENT, view), False
                except AlreadyExists:
                    pass
            there = await self._files.load(path)
            if there is None:
                raise Conflict("there is no such note to replace", hint="leave expect_version out", version=None)
            if composed(there[0].title) == draft.title:
                if old is not None:
                    await self._refuse_circle(put.agent, there[0], old)
                return await self._rewrite(put, there, superseded)
        raise AlreadyExists("too many notes have this title's name", hint="choose another title")

    async def _rewrite(
        self, put: _Put, there: tuple[NoteView, Content], superseded: str | None
    ) -> tuple[NoteView, Content, bool]:
        note, content = there
        if same_content(note, put.draft, superseded):
            return note, content, True
        if put.expect_version is None:
            raise AlreadyExists(
                f"the note {note.name} exists with other content",
                hint=f"merge_into={note.name} adds to it, expect_version={content.version} replaces it",
                name=note.name,
                version=content.version,
            )
        text = replaced_page(text_of(content), note, put.draft, put.caller, self._today(), superseded)
        return *await self._save(put, note.path, text, whole_version(put.expect_version, content)), False

    async def _merge(self, put: _Put, name: str) -> tuple[NoteView, Content, bool]:
        for _ in range(TRIES):
            note, content = await self._files.find(put.agent, name)
            if put.expect_version is not None and whole_version(put.expect_version, content) != content.version:
                raise Conflict(f"{name} was changed", hint="read it again", version=content.version)
            if note.body.rstrip().endswith(put.draft.body):
                return note, content, True
            text = merged_page(text_of(content), note, put.draft, put.caller, self._today())
            try:
                return *await self._save(put, note.path, text, content.version), False
            except Conflict:
                if put.expect_version is not None:
                    raise
        raise Conflict(f"many writers are at {name}", hint="try again in a moment")

    async def _save(
        self, put: _Put, path: str, text: str, expect: str, view: NoteView | None = None
    ) -> tuple[NoteView, Content]:
        return await self._recorder.save(
            put.agent, put.caller, "memory.write", path, text, expect, view=view, key=put.key,
            arguments_sha256=put.draft.fingerprint if put.key else None,
        )  # fmt: skip

    # Superseding

    async def _superseded(self, agent: str, draft: Draft) -> NoteView:
        """The note that *draft* replaces. Raises Conflict when another one replaced it already."""
        old, content = await self._files.find(agent, draft.supersedes or "")
        successor = old.superseded_by.removesuffix(".md")
        if successor and successor not in file_stems(draft.type, draft.title):
            raise Conflict(
                f"{old.name} was superseded by {successor}",
                hint=f"supersede {successor} instead, or read it first",
                name=successor,
                version=content.version,
            )
        return old

    async def _refuse_circle(self, agent: str, note: NoteView, old: NoteView) -> None:
        """Raises InvalidArgument when *note* replacing *old* would make a chain return to itself."""
        seen = {old.name}
        current: NoteView | None = old
        while current is not None and len(seen) < LONGEST_CHAIN:
            if current.name == note.name:
                raise InvalidArgument(
                    f"{note.name} would supersede itself, through {old.name}", hint="write a note with a new title"
                )
            name = current.supersedes.removesuffix(".md")
            if not name or name in seen or "/" in name:
                return
            seen.add(name)
            found = await self._files.load(f"{agent}/memory/{name}.md")
            current = found[0] if found else None

    async def _link_back(self, agent: str, caller: Caller, old: NoteView, new: NoteView) -> None:
        for _ in range(TRIES):
            note, content = await self._files.find(agent, old.name)
            if note.superseded_by not in ("", f"{new.name}.md"):
                raise Conflict(
                    f"{old.name} was superseded by {note.superseded_by} meanwhile",
                    hint=f"{new.name} is written; archive it or merge it into the other",
                    name=note.superseded_by,
                )
            text = edit(text_of(content), {"superseded_by": f"{new.name}.md"})
            with suppress(Conflict):
                await self._recorder.save(
                    agent, caller, "memory.supersede", note.path, text, content.version, by=new.name
                )
                return
        raise Conflict(f"many writers are at {old.name}", hint="try again in a moment")
