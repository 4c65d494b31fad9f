"""Notes and pages as files: found by name, read, written by compare-and-swap."""

from __future__ import annotations

from collections.abc import Sequence

from argosy_core.errors import NotFound
from argosy_core.storage.base import Content, Documents, FileInfo
from argosy_core.views.notes import NoteView, read_note
from argosy_memory.models import SHORT_VERSION
from argosy_memory.paths import path_of


class NoteFiles:
    """The notes, pages and sources of every agent of one vault."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    async def find(self, agent: str, name: str) -> tuple[NoteView, Content]:
        """The document *name* (`paths.path_of`). Raises NotFound, InvalidArgument."""
        found = await self.load(path_of(agent, name))
        if found is None:
            raise NotFound(f"there is no note {name[:200]!r}", hint="memory_search finds notes by words")
        return found

    async def load(self, path: str) -> tuple[NoteView, Content] | None:
        try:
            content = await self._documents.read(path)
        except NotFound:
            return None
        return read_note(path, text_of(content)), content

    # Versions

    async def versions(self, path: str) -> Sequence[FileInfo]:
        """What earlier contents are kept, newest first."""
        return await self._documents.versions(path)

    async def version(self, path: str, version: str) -> tuple[NoteView, Content]:
        """The content of *path* that *version* (8 or more characters of it) names. Raises NotFound."""
        for info in await self.versions(path):
            if len(version) >= SHORT_VERSION and short_version(info) == version[:SHORT_VERSION]:
                kept = await self._documents.read(info.path)
                if kept.version.startswith(version):
                    return read_note(path, text_of(kept)), kept
        raise NotFound(f"there is no version {version[:16]!r}", hint="memory_history lists the versions")


def whole_version(expected: str, there: Content | None) -> str:
    """*expected* in full, where it is the beginning of the version that is there; any other as it is."""
    is_begun = there is not None and len(expected) >= SHORT_VERSION and there.version.startswith(expected)
    return there.version if there is not None and is_begun else expected


def text_of(content: Content) -> str:
    """The text of a file; what is not UTF-8 in it is replaced."""
    return content.data.decode("utf-8", "replace")


def short_version(info: FileInfo) -> str:
    """The first characters of the version that a kept file holds: ``<stamp>_<8hex>.md``."""
    return info.path.rsplit("/", 1)[-1].rpartition("_")[2].partition(".")[0]


def kept_at(info: FileInfo) -> str:
    """When a version was replaced, RFC 3339; empty when its file's name does not say."""
    stamp = info.path.rsplit("/", 1)[-1].partition("_")[0]
    digits = stamp.replace("T", "").rstrip("Z")
    if len(digits) < 14 or not digits.isdigit():
        return ""
    day, time = f"{digits[:4]}-{digits[4:6]}-{digits[6:8]}", f"{digits[8:10]}:{digits[10:12]}:{digits[12:14]}"
    return f"{day}T{time}.{digits[14:17].ljust(3, '0')}Z"
