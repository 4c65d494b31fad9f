"""Which document an object of a result is of: its name, its address, its day and its kind."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date

from argosy_host.providers.offline.shapes import text_of

# How the fleet addresses what a server's tools return, for results that leave the address out.
_SCHEMES = {
    "memory": "memory://note/",
    "wiki": "wiki://",
    "goal": "goal://",
    "agent": "agent://",
    "skill": "skill://",
    "log": "log://run/",
}
_NAMES = ("name", "page", "goal", "question", "run", "agent", "id")
_LONGEST_NAME = 200
_UNSHOWABLE = re.compile(r"[\[\]\x00-\x1f\x7f]")


def identity_of(fields: Mapping[str, object], tool: str) -> tuple[str, str]:
    """Name and address of the document an object is of."""
    uri = text_of(fields, "uri")
    if day := day_of(fields, uri):
        return f"journal/{day}", uri or f"journal://{day}"
    # A name is shown in brackets, so it can hold none; else it stays as it is, for it is an address.
    named = _UNSHOWABLE.sub(" ", text_of(fields, *_NAMES, "title")[:_LONGEST_NAME])
    name = " ".join(named.split()) or tool
    prefix = tool.partition("_")[0]
    made = f"{_SCHEMES[prefix]}{name}" if prefix in _SCHEMES and name != tool else ""
    return name, uri or made


def day_of(fields: Mapping[str, object], uri: str) -> str:
    """The day of a journal entry, from its field or its address; empty for anything else."""
    if "://" in uri and not uri.startswith("journal:"):
        return ""
    day = text_of(fields, "day") or uri.removeprefix("journal://")
    try:
        return date.fromisoformat(day[:10]).isoformat()
    except ValueError:
        return ""


def kind_of(fields: Mapping[str, object], uri: str, tool: str) -> str:
    """A note's type, from its field or its name; else the first word of the address or the tool."""
    if declared := text_of(fields, "type", "kind"):
        return declared
    name = text_of(fields, "name")
    if uri.startswith("memory://") and "_" in name:
        return name.partition("_")[0]
    return uri.partition(":")[0] or tool.partition("_")[0]
