"""Which kind of store a path holds."""

from __future__ import annotations

import json
from pathlib import Path

from argosy_core.errors import InvalidArgument, NotFound
from argosy_host.importing import KINDS
from argosy_host.importing.chat_exports import ChatGpt, Claude, kind_of
from argosy_host.importing.containers import Bundle
from argosy_host.importing.foreign import Reader
from argosy_host.importing.markdown_folders import MarkdownFolder, is_basic_memory
from argosy_host.importing.server_memory import ServerMemory

FIRST_BYTES = 64 * 1024


def open_reader(path: Path, kind: str | None = None) -> Reader:
    """The reader for *path*. Raises NotFound, InvalidArgument when it is none of `KINDS`, and what a hostile archive
    is refused with."""
    if not path.exists():
        raise NotFound(f"there is nothing at {path}", hint="give the folder or file of the export")
    kind = kind or _kind_of(path)
    if kind in ("basic-memory", "obsidian"):
        if not path.is_dir():
            raise InvalidArgument(f"{path.name} is no folder", hint=f"{kind} keeps a folder of Markdown")
        return MarkdownFolder(path, kind, "notes" if kind == "basic-memory" else "wiki")
    if kind == "server-memory":
        if not path.is_file():
            raise InvalidArgument(f"{path.name} is no file", hint="server-memory keeps one file, memory.jsonl")
        return ServerMemory(path)
    return ChatGpt(Bundle(path)) if kind == "chatgpt" else Claude(Bundle(path))


def _kind_of(path: Path) -> str:
    if path.is_dir() and not any((path / name).is_file() for name in ("conversations.json",)):
        if (path / ".obsidian").is_dir():
            return "obsidian"
        return "basic-memory" if is_basic_memory(path) else "obsidian"
    if path.is_file() and _is_graph(path):
        return "server-memory"
    found = kind_of(Bundle(path))
    if found is None:
        raise InvalidArgument(
            f"{path.name} is none of: {', '.join(KINDS)}", hint="say what it is: --kind NAME, or give another path"
        )
    return found


def _is_graph(path: Path) -> bool:
    with path.open("rb") as file:
        line = file.readline(FIRST_BYTES).strip()
    try:
        found: object = json.loads(line)
    except (ValueError, RecursionError):
        # The first entity may have more to say than that.
        return line.startswith(b'{"type":"entity","name":')
    return isinstance(found, dict) and found.get("type") in ("entity", "relation")  # pyright: ignore[reportUnknownMemberType]
