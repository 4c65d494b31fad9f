"""Choosing notes for a task and fitting them into a token budget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

BYTES_PER_TOKEN = 4  # of UTF-8: the usual estimate for English, and near enough for scripts that cost more a character
SMALLEST_CUT = 200  # bytes: less of a note than this says nothing
PINNED_SHARE = 0.5  # of the budget, when there is anything else to tell


@dataclass(frozen=True, slots=True)
class Belief:
    """A note that another one replaced: it held from *since* until *until* (ISO dates, *until* may be empty)."""

    name: str
    title: str
    since: str
    until: str

    def __str__(self) -> str:
        return f"{self.since or '?'} to {self.until or '?'}"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A note that may be recalled. *why* is for people: pinned, matches, recent, linked from …; *before* is what was
    believed before it, latest first."""

    name: str
    title: str
    type: str
    provenance: str
    day: str
    captured: str
    body: str
    why: str
    before: tuple[Belief, ...] = ()


@dataclass(frozen=True, slots=True)
class Assembled:
    """The text, its estimated tokens, and the notes in it with why each was chosen."""

    text: str
    used_tokens: int
    chosen: tuple[tuple[str, str], ...]


def tokens_of(text: str) -> int:
    """An estimate of how many tokens *text* costs."""
    return -(-_size(text) // BYTES_PER_TOKEN)


def _size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "replace"))


def order(candidates: Sequence[Candidate], mode: str) -> list[Candidate]:
    """*candidates* without repeats, in the order in which *mode* takes them while there is room.

    ``temporal`` takes the newest first; the others keep the order given (pinned, matching, linked, recent).
    """
    first: dict[str, Candidate] = {}
    for candidate in candidates:
        first.setdefault(candidate.name, candidate)
    unique = list(first.values())
    if mode == "temporal":
        return sorted(unique, key=lambda c: c.day, reverse=True)
    return unique


def assemble(candidates: Sequence[Candidate], token_budget: int, mode: str = "contextual") -> Assembled:
    """As many of *candidates*, in their order, as fit; long ones may be cut at the end of a sentence or line.

    Pinned notes get half of the budget at most while there are others: a task is answered by what is about it.
    ``sequential`` tells what was taken as a story, oldest first.
    """
    left = token_budget * BYTES_PER_TOKEN
    are_mixed = len({candidate.why == "pinned" for candidate in candidates}) == 2
    pinned_left = int(left * PINNED_SHARE) if are_mixed else left
    taken: list[tuple[Candidate, str]] = []
    for candidate in candidates:
        is_pinned = candidate.why == "pinned"
        section = _section(candidate, min(left, pinned_left) if is_pinned else left)
        if section is None:
            continue
        used = _size(section) + 2
        left -= used
        pinned_left -= used if is_pinned else 0
        taken.append((candidate, section))
    if mode == "sequential":
        taken.sort(key=lambda pair: pair[0].captured or pair[0].day)
    text = "\n\n".join(section for _, section in taken)
    return Assembled(text, tokens_of(text), tuple((candidate.name, candidate.why) for candidate, _ in taken))


def _section(candidate: Candidate, room: int) -> str | None:
    head = f"## {candidate.title} [{candidate.name}]\n({candidate.type}, {candidate.provenance}, {candidate.day})\n"
    head += "".join(f"Before it: {belief.title} [{belief.name}], {belief}\n" for belief in candidate.before) + "\n"
    body = _without_heads(candidate.body.strip())
    left = room - _size(head)
    if _size(body) <= left:
        return head + body
    if left < SMALLEST_CUT:
        return None
    return f"{head}{_cut(body, left - 4)} …"


def _without_heads(body: str) -> str:
    """*body* with nothing in it that passes for the head of another note, with a provenance of its own."""
    lines = body.splitlines(keepends=True)
    return "".join("\\" * _is_head(line) + line for line in lines) if any(map(_is_head, lines)) else body


def _is_head(line: str) -> bool:
    stripped = line.strip()
    return stripped.startswith("#") and stripped.endswith("]")


def _cut(body: str, room: int) -> str:
    """The beginning of *body* in at most *room* bytes, to the end of a sentence, a line or a word."""
    part = body[:room].encode("utf-8", "replace")[:room].decode("utf-8", "ignore")
    end = max(part.rfind(". "), part.rfind(".\n"), part.rfind("\n"), part.rfind("。"))
    if end > len(part) // 2:
        return part[: end + 1].rstrip()
    return part.rsplit(" ", 1)[0]
