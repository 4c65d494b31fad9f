"""Which notes an agent starts with: the pinned ones, then the newest."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from argosy_core.views.notes import NoteView


def choose_notes(
    notes: Iterable[NoteView], today: str, max_pinned: int, max_recent: int
) -> tuple[Sequence[NoteView], Sequence[NoteView]]:
    """At most *max_pinned* pinned notes and *max_recent* others, each newest first.

    Notes that left recall (archived, superseded, disputed, past their end) are in neither.
    """
    live = sorted((note for note in notes if note.is_live(today)), key=lambda note: note.name)
    live.sort(key=lambda note: note.last_seen, reverse=True)
    pinned = [note for note in live if note.is_pinned][:max_pinned]
    chosen = {note.path for note in pinned}
    return pinned, [note for note in live if note.path not in chosen][:max_recent]
