"""What the memory server says of its own state."""

from __future__ import annotations

import re
from collections.abc import Sequence

from anyio import to_thread

from argosy_core.errors import ArgosyError
from argosy_core.serving.config import ServerConfig
from argosy_core.serving.results import DoctorFinding
from argosy_core.views.notes import NOTE_TYPES, read_note
from argosy_memory.notebook import Notebook
from argosy_memory.shelves import ALL_SCOPES, INDEX_NAMES

NOT_WATCHED = "what others change is found by comparing sizes and times, not heard at once"
WATCHES = "raise fs.inotify.max_user_watches (a folder takes one), then start the server again"
_LINE = re.compile(r"line (\d+)")


class MemoryDomain:
    """Counts, doctor and resource names for the server base."""

    def __init__(self, config: ServerConfig, notebook: Notebook) -> None:
        self._files = config.store.files
        self._clock = config.clock
        self._notebook = notebook

    async def counts(self, agent: str | None) -> dict[str, int]:
        if agent is None:
            return {}
        return await to_thread.run_sync(self._count, agent)

    def _count(self, agent: str) -> dict[str, int]:
        library = self._notebook.library
        counts = library.fresh(agent, ALL_SCOPES).counts(agent)
        if progress := library.progress(agent, ALL_SCOPES):
            counts |= {"files_to_index": progress.total, "files_indexed": progress.done}
        return counts

    async def doctor(self, agent: str | None) -> Sequence[DoctorFinding]:
        return [] if agent is None else await to_thread.run_sync(self._examine, agent)

    def _examine(self, agent: str) -> list[DoctorFinding]:
        found: list[DoctorFinding] = []
        names: set[str] = set()
        for info in self._files.files(f"{agent}/memory", ".md"):
            name = info.path.rsplit("/", 1)[-1]
            if name not in INDEX_NAMES:
                names.add(name)
                found += self._examine_note(info.path)
        if not found:
            found.append(
                DoctorFinding(status="pass", check="notes", message=f"{len(names)} notes of {agent} read well")
            )
        if (why := self._notebook.library.not_watched) is not None:
            found.append(DoctorFinding(status="warn", check="watching", message=f"{NOT_WATCHED}: {why}", fix=WATCHES))
        return found

    def _examine_note(self, path: str) -> list[DoctorFinding]:
        try:
            note = read_note(path, self._files.read(path).data.decode())
        except UnicodeDecodeError as exc:
            line = exc.object.count(b"\n", 0, exc.start) + 1
            return [_finding("note_text", "not UTF-8", path, "save the file as UTF-8", line)]
        except ArgosyError as error:
            return [_finding("note_file", error.message, path, error.hint or "look at the file")]
        found: list[DoctorFinding] = []
        if note.degraded:
            place = _LINE.match(note.degraded)
            at = int(place[1]) if place else None
            found.append(_finding("note_frontmatter", note.degraded, path, 'quote the value: "a: b"', at))
        if note.type not in NOTE_TYPES:
            found.append(
                _finding("note_type", f"type {note.type!r} is none of {', '.join(NOTE_TYPES)}", path, "set one")
            )
        if not note.hidden and not note.is_live(self._clock.now().date().isoformat()):
            found.append(
                _finding("note_expired", f"expired on {note.expires_at}", path, "archive it, or move the date")
            )
        return found

    def uris_of(self, path: str) -> Sequence[str]:
        parts = path.split("/", 2)
        if len(parts) != 3:
            return []
        if parts[1] == "raw":
            return [f"raw://{parts[2]}"]
        if not path.endswith(".md"):
            return []
        stem = parts[2].removesuffix(".md")
        if parts[1] == "memory" and "/" not in stem:
            return ["memory://index"] if stem == "INDEX" else [f"memory://note/{stem}"]
        return [f"wiki://{stem}"] if parts[1] == "wiki" else []


def _finding(check: str, message: str, path: str, fix: str, line: int | None = None) -> DoctorFinding:
    return DoctorFinding(status="warn", check=check, message=message, file=path, line=line, fix=fix)
