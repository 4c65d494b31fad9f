"""The knowledge graph of @modelcontextprotocol/server-memory: JSON Lines of entities and relations.

``{"type":"entity","name","entityType","observations":[…]}`` and ``{"type":"relation","from","to","relationType"}``, as
its version 2026.8.31 writes them. An entity becomes a note: its observations a list, its relations links.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from argosy_core.errors import TooLarge
from argosy_host.importing.foreign import Into, Item, Page, Unusable
from argosy_host.importing.streams import lines

MAX_BYTES = 512 * 1024 * 1024
TYPES = {
    "project": "project",
    "goal": "project",
    "decision": "decision",
    "user": "user",
    "feedback": "feedback",
    "preference": "feedback",
}


class ServerMemory:
    """One memory file."""

    kind = "server-memory"
    label = ""
    into: Into = "notes"

    def __init__(self, path: Path) -> None:
        self._path = path

    def items(self) -> Iterator[Item]:
        if self._path.stat().st_size > MAX_BYTES:
            raise TooLarge(f"{self._path.name} has more than {MAX_BYTES // 1024**2} MiB", hint="import a part of it")
        entities: dict[str, tuple[str, list[str]]] = {}
        relations: dict[str, dict[tuple[str, str], None]] = {}
        with self._path.open("rb") as file:
            for number, line in lines(file):
                problem = "is too long" if line is None else _take(line, entities, relations)
                if problem:
                    yield Unusable(f"line {number}", problem)
        for name, (kind, observations) in entities.items():
            yield _page(name, kind, observations, relations.get(name, {}))
        for name, others in relations.items():
            if name not in entities:
                yield Unusable(f"{len(others)} relations from {name[:80]!r}", "there is no such entity")


def _take(
    line: bytes, entities: dict[str, tuple[str, list[str]]], relations: dict[str, dict[tuple[str, str], None]]
) -> str | None:
    """Take one line in; why it cannot be, else None."""
    try:
        found: Any = json.loads(line)
    except (ValueError, RecursionError):
        return "is no JSON"
    if not isinstance(found, dict):
        return "is no object"
    fields: dict[str, Any] = found  # pyright: ignore[reportUnknownVariableType]
    if fields.get("type") == "entity":
        name, observations = fields.get("name"), fields.get("observations")
        if not isinstance(name, str) or not name.strip() or not isinstance(observations, list):
            return "is an entity without a name or observations"
        said = [str(text) for text in observations]  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
        kind, known = entities.get(name, (str(fields.get("entityType") or ""), list[str]()))
        entities[name] = kind, list(dict.fromkeys((*known, *said)))
        return None
    if fields.get("type") == "relation":
        start, end, how = fields.get("from"), fields.get("to"), fields.get("relationType")
        if not (isinstance(start, str) and isinstance(end, str) and isinstance(how, str)):
            return "is a relation without its ends"
        relations.setdefault(start, {})[how, end] = None
        return None
    return "is neither an entity nor a relation"


def _page(name: str, kind: str, observations: list[str], relations: dict[tuple[str, str], None]) -> Item:
    said = [f"- {_one_line(text)}" for text in observations if text.strip()]
    linked = [f"- {_one_line(how)} [[{_one_line(end)}]]" for how, end in relations]
    parts = ["\n".join(said), "## Relations\n\n" + "\n".join(linked) if linked else ""]
    body = "\n\n".join(part for part in parts if part)
    if not body:
        return Unusable(name[:80], "is an entity of which nothing is said")
    tags = (kind.strip().replace(" ", "-"),) if kind.strip() else ()
    return Page(
        id=name,
        title=" ".join(name.split()),
        body=body,
        place=name,
        type=TYPES.get(kind.strip().lower(), "reference"),
        tags=tags,
        links=tuple(dict.fromkeys((name, _one_line(name)))),
    )


def _one_line(text: str) -> str:
    return " ".join(text.split())
