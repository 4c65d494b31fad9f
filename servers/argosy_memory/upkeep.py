"""Keeping notes in order: marking, archiving, going back to an earlier version."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from argosy_core.errors import AlreadyExists, Conflict, InvalidArgument, NotFound, PermissionDenied
from argosy_core.frontmatter import REMOVE, edit
from argosy_core.serving.config import ServerConfig
from argosy_core.serving.results import clamp_limit, decode_offset, encode_cursor
from argosy_core.storage.base import ABSENT
from argosy_core.types import Caller, Role
from argosy_core.views.notes import NoteView
from argosy_memory.models import SHORT_VERSION, Written, note_fields
from argosy_memory.note_files import NoteFiles, kept_at, short_version, text_of
from argosy_memory.paths import path_of
from argosy_memory.recording import Recorder
from argosy_memory.upkeep_models import History, Version

TRIES = 10
MAX_WHY_CHARS = 500
PERSONS_MARKS = frozenset({"confirmed", "disputed"})


_Change = Callable[[NoteView], Mapping[str, Any]]


class Upkeep:
    """Changes of notes that leave their text alone, or bring an earlier one back."""

    def __init__(self, config: ServerConfig, files: NoteFiles, recorder: Recorder) -> None:
        self._clock = config.clock
        self._files = files
        self._recorder = recorder

    async def mark(self, agent: str, caller: Caller, name: str, provenance: str) -> Written:
        """Say how much *name* weighs as evidence. Only an operator gives or lifts `confirmed` and lifts `disputed`.

        Raises PermissionDenied, NotFound, InvalidArgument (a superseded note).
        """

        def change(note: NoteView) -> Mapping[str, Any]:
            if note.superseded_by:
                raise InvalidArgument(f"{note.name} is superseded", hint=f"mark {note.superseded_by} instead")
            if note.provenance == provenance:
                return {}
            if caller.role is not Role.OPERATOR:
                _refuse_agents(note.provenance, provenance)
            return {"provenance": provenance}

        return await self._change(agent, caller, name, change, "memory.mark", provenance=provenance)

    async def archive(self, agent: str, caller: Caller, name: str, why: str) -> Written:
        """Take *name* out of search and recall; it stays readable. Raises NotFound, InvalidArgument."""
        why = " ".join(why.split())
        if not why or len(why) > MAX_WHY_CHARS:
            raise InvalidArgument(f"why is 1 to {MAX_WHY_CHARS} characters", hint="say why the note is done with")

        def change(note: NoteView) -> Mapping[str, Any]:
            if note.archived:
                return {}
            return {"archived": True, "archived_at": self._today(), "archive_reason": why}

        return await self._change(agent, caller, name, change, "memory.archive", why=why)

    async def history(self, agent: str, name: str, limit: int, cursor: str | None) -> History:
        """The versions of *name*, the current one first. Raises NotFound when there is neither file nor version."""
        path = path_of(agent, name)
        current = await self._files.load(path)
        kept = await self._files.versions(path)
        if current is None and not kept:
            raise NotFound(f"there is no note {name[:200]!r}", hint="memory_search finds notes by words")
        versions = [
            Version(version=short_version(info), replaced_at=kept_at(info), bytes=info.stamp[1]) for info in kept
        ]
        if current is not None:
            content = current[1]
            versions.insert(0, Version(version=content.version, replaced_at=None, bytes=len(content.data)))
        start, most = decode_offset(cursor), clamp_limit(limit)
        page = versions[start : start + most]
        more = start + most < len(versions)
        return History(items=page, next_cursor=encode_cursor(start + most) if more else None)

    async def restore(self, agent: str, caller: Caller, name: str, version: str) -> Written:
        """Make *version* the current text of *name* again, and take it out of the archive; what is there now becomes a
        version itself. Who superseded it still does. Raises NotFound."""
        path = path_of(agent, name)
        if len(version) < SHORT_VERSION:
            raise InvalidArgument(
                f"a version has at least {SHORT_VERSION} characters", hint="memory_history lists them"
            )
        for _ in range(TRIES):
            current = await self._files.load(path)
            if current is not None and current[1].version.startswith(version):
                return Written(**note_fields(*current), duplicate=True)
            old, content = await self._files.version(path, version)
            text = edit(text_of(content), _restored_fields(old, current[0] if current else None, caller))
            if current is not None and text == text_of(current[1]):
                return Written(**note_fields(*current), duplicate=True)
            expect = current[1].version if current else ABSENT
            with suppress(Conflict, AlreadyExists):
                saved = await self._recorder.save(
                    agent, caller, "memory.restore", path, text, expect, restored=content.version
                )
                return Written(**note_fields(*saved))
        raise Conflict(f"many writers are at {name}", hint="try again in a moment")

    def _today(self) -> str:
        return self._clock.now().date().isoformat()

    async def _change(
        self, agent: str, caller: Caller, name: str, change: _Change, kind: str, **fields: str
    ) -> Written:
        for _ in range(TRIES):
            note, content = await self._files.find(agent, name)
            changes: Mapping[str, Any] = change(note)
            if not changes:
                return Written(**note_fields(note, content), duplicate=True)
            text = edit(text_of(content), changes)
            with suppress(Conflict):
                saved = await self._recorder.save(
                    agent, caller, kind, note.path, text, content.version, view=None, key=None, **fields
                )
                return Written(**note_fields(*saved))
        raise Conflict(f"many writers are at {name}", hint="try again in a moment")


def _refuse_agents(there: str, wanted: str) -> None:
    if wanted == "confirmed":
        raise PermissionDenied("only a person confirms a note", hint="ask for it; an operator may: --role operator")
    if there in PERSONS_MARKS:
        raise PermissionDenied(f"the note is {there}; only a person changes that", hint="ask for it, or supersede it")


def _restored_fields(old: NoteView, current: NoteView | None, caller: Caller) -> dict[str, Any]:
    """What of an earlier version does not come back: its place in a chain, and marks that a person has to give."""
    changes: dict[str, Any] = dict.fromkeys(("archived", "archived_at", "archive_reason"), REMOVE)
    changes = {name: value for name, value in changes.items() if name in old.fields}
    if current is not None and current.superseded_by != old.superseded_by:
        changes["superseded_by"] = current.superseded_by or None
    if caller.role is Role.OPERATOR:
        return changes
    if current is not None and current.provenance == "disputed":
        changes["provenance"] = "disputed"
    elif old.provenance in ("confirmed", "legacy") and (current is None or current.provenance != old.provenance):
        changes["provenance"] = "observed" if old.sources else "generated"
    return changes
