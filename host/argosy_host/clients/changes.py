"""What connecting would change in the text of a configuration, and how that is shown before it is done."""

from __future__ import annotations

import difflib
import os
import re
from dataclasses import dataclass
from typing import Any, Literal, cast

from argosy_core.errors import AlreadyExists, Corrupted
from argosy_host.clients.entries import Client, Entry, is_ours
from argosy_host.clients.jsonc import find, find_in, put, take
from argosy_host.clients.jsonc_syntax import JsoncError, parse

Action = Literal["added", "updated", "replaced", "removed", "none"]
CONTEXT_LINES = 2
_HUNK = re.compile(r"@@ -(\d+)(,\d+)? \+(\d+)(,\d+)? @@")


@dataclass(frozen=True, slots=True)
class Change:
    """The file's text after the change; equal to the one before when *action* is none."""

    action: Action
    text: str


def connect_in(text: str, client: Client, name: str, entry: Entry, file: str, *, force: bool) -> Change:
    """*text* with *entry* as *name*. What a person added to an entry of ours stays.

    Raises Corrupted for a text that cannot be read, AlreadyExists for another's entry of that name unless *force*.
    """
    path = (client.key, name)
    with _Reading(file):
        found = find(text, path)
        if found is None:
            return Change("added", put(text, path, entry))
        if not is_ours(found.value):
            _refuse_others(text, found.start, name, file, force=force)
            return Change("replaced", put(text, path, entry))
        changed = text
        for keys, value in _differing(found.value, entry):
            changed = put(changed, (*path, *keys), value)
    return Change("none" if changed == text else "updated", changed)


def _differing(old: dict[str, Any], entry: Entry) -> list[tuple[tuple[str, ...], Any]]:
    """What in *entry* is not so in *old*; of the variables each one by itself."""
    env = cast("dict[str, Any]", entry.get("env", {}))
    kept = old.get("env")
    had = cast("dict[str, Any]", kept) if isinstance(kept, dict) else {}
    plain = [((key,), value) for key, value in entry.items() if key != "env" and old.get(key) != value]
    return [*plain, *((("env", key), value) for key, value in env.items() if had.get(key) != value)]


def disconnect_in(text: str, client: Client, name: str, file: str, *, force: bool) -> Change:
    """*text* without the entry *name*. Raises as `connect_in`."""
    path = (client.key, name)
    with _Reading(file):
        found = find(text, path)
        if found is None:
            return Change("none", text)
        if not is_ours(found.value):
            _refuse_others(text, found.start, name, file, force=force)
        return Change("removed", take(text, path))


def ours_in(text: str, client: Client, file: str) -> list[str]:
    """The names of all entries that `connect_in` wrote."""
    with _Reading(file):
        found = find(text, (client.key,))
    members = found.members if found is not None else None
    return [member.key for member in members or () if is_ours(member.node.value)]


def _refuse_others(text: str, position: int, name: str, file: str, *, force: bool) -> None:
    if not force:
        line = text.count("\n", 0, position) + 1
        hint = "--yes takes it; with --agent or --server the entry has another name"
        raise AlreadyExists(f"{file}:{line}: the entry {name} is not one that connect wrote", hint=hint)


class _Reading:
    """Turns a mistake in the file into an error that names its line."""

    def __init__(self, file: str) -> None:
        self._file = file

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if isinstance(error, JsoncError):
            hint = "nothing was changed; mend that line, then try again"
            raise Corrupted(f"{self._file}:{error.line}: {error.message}", hint=hint) from error


# Showing


def diff(before: str, after: str, client: Client, name: str, file: str) -> str:
    """The change as a unified diff. Values of others are not shown: configurations hold keys and passwords."""
    old, new = _lines(before, client, name), _lines(after, client, name)
    top = _equal(old, new)
    bottom = _equal(old[top:][::-1], new[top:][::-1])
    # Only the part that differs is compared: some clients keep many megabytes in this file.
    skip = max(0, top - CONTEXT_LINES)
    ends = (len(old) - max(0, bottom - CONTEXT_LINES), len(new) - max(0, bottom - CONTEXT_LINES))
    names = (file if before else os.devnull, file)
    found = difflib.unified_diff(old[skip : ends[0]], new[skip : ends[1]], *names, lineterm="", n=CONTEXT_LINES)
    return "\n".join(_moved(line, skip) for line in found)


def _lines(text: str, client: Client, name: str) -> list[str]:
    if not text.strip():
        return []
    root = parse(text)
    own = find_in(text, root, (client.key, name))
    shown: list[str] = []
    at = 0
    for node in root.strings(without=own if own is not None and is_ours(own.value) else None):
        shown += [text[at : node.start], '"…"']
        at = node.end
    return [line.rstrip("\r") for line in "".join([*shown, text[at:]]).removesuffix("\n").split("\n")]


def _equal(old: list[str], new: list[str]) -> int:
    pairs = enumerate(zip(old, new, strict=False))
    return next((at for at, (left, right) in pairs if left != right), min(len(old), len(new)))


def _moved(line: str, by: int) -> str:
    match = _HUNK.fullmatch(line)
    if match is None:
        return line
    return f"@@ -{int(match[1]) + by}{match[2] or ''} +{int(match[3]) + by}{match[4] or ''} @@"
