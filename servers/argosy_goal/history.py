"""``goal_history.jsonl``: one line for each change of a goal, the older system's record, kept beside the log."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from argosy_core.errors import AlreadyExists, Conflict, NotFound
from argosy_core.storage.base import ABSENT, Documents

NAME = "goal_history.jsonl"
TRIES = 20


async def append_history(documents: Documents, agent: str, line: Mapping[str, Any]) -> None:
    """Add *line*. Raises Conflict when other writers were first in every round, TooLarge when the file is full."""
    path = f"{agent}/{NAME}"
    added = json.dumps(line, ensure_ascii=False).encode() + b"\n"
    for _ in range(TRIES):
        try:
            content = await documents.read(path)
            present, version = content.data, content.version
        except NotFound:
            present, version = b"", ABSENT
        gap = b"\n" if present and not present.endswith(b"\n") else b""
        try:
            await documents.write(path, present + gap + added, expect=version)
            return
        except (Conflict, AlreadyExists):
            continue
    raise Conflict(f"many writers are at {path}", hint="try again in a moment")
