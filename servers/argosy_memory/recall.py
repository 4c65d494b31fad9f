"""Choosing notes for a task and fitting them into a token budget."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

CHARS_PER_TOKEN = 4  # the usual estimate for English prose; other scripts cost more, so it is an estimate only
SMALLEST_CUT = 200  # characters: less of a note than this says nothing
_LINK = re.compile(r"\[\[([^\]|#\n]+)")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A note that may be recalled. *why* is for people: pinned, matches, recent, linked from …"""

    name: str
    title: str
    type: str
    provenance: str
    day: str
    captured: str
    body: str
    why: str


@dataclass(frozen=True, slots=True)
class Assembled:
    """The text, its estimated tokens, and the notes in it with why each was chosen."""

    text: str
    used_tokens: int
    chosen: tuple[tuple[str, str], ...]


def order(candidates: Sequence[Candidate], mode: str) -> list[Candidate]:
    """*candidates* without repeats, in the order of *mode*.

    ``contextual`` and ``semantic`` keep the order given (pinned, matching, linked, recent); ``temporal`` has the newest
    first; ``sequential`` tells the story, oldest first.
    """
    first: dict[str, Candidate] = {}
    for candidate in candidates:
        first.setdefault(candidate.name, candidate)
    unique = list(first.values())
    if mode == "temporal":
        return sorted(unique, key=lambda c: c.day, reverse=True)
    if mode == "sequential":
        return sorted(unique, key=lambda c: c.captured or c.day)
    return unique


def assemble(candidates: Sequence[Candidate], token_budget: int) -> Assembled:
    """As many of *candidates*, in their order, as fit; the last one may be cut at the end of a sentence or line."""
    left = token_budget * CHARS_PER_TOKEN
    sections: list[str] = []
    chosen: list[tuple[str, str]] = []
    for candidate in candidates:
        section = _section(candidate, left)
        if section is None:
            continue
        sections.append(section)
        chosen.append((candidate.name, candidate.why))
        left -= len(section) + 2
    text = "\n\n".join(sections)
    return Assembled(text, -(-len(text) // CHARS_PER_TOKEN), tuple(chosen))


def _section(candidate: Candidate, room: int) -> str | None:
    head = f"## {candidate.title} [{candidate.name}]\n({candidate.type}, {candidate.provenance}, {candidate.day})\n\n"
    body = candidate.body.strip()
    if len(head) + len(body) <= room:
        return head + body
    cut = room - len(head) - 2
    if cut < SMALLEST_CUT:
        return None
    return f"{head}{_cut(body, cut)} …"


def _cut(body: str, room: int) -> str:
    part = body[:room]
    end = max(part.rfind(". "), part.rfind(".\n"), part.rfind("\n"), part.rfind("。"))
    return part[: end + 1].rstrip() if end > room // 2 else part.rsplit(" ", 1)[0]


def links_in(body: str) -> list[str]:
    """Names that *body* links to as ``[[name]]``, once each, in order."""
    return list(dict.fromkeys(name.strip() for name in _LINK.findall(body)))
