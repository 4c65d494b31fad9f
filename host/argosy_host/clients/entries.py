"""What a client is told to start: this interpreter, our package, one vault. Never with the rights of an operator."""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from argosy_core.errors import InvalidArgument, NotFound

NAME = "argosy"
# Cursor leaves out a tool when the names of server and tool have more than 60 characters; ours have up to 31.
MAX_NAME_CHARS = 28
_START = ("-m", "argosy_host", "serve")
Entry = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Client:
    """How one client writes a server. *key* holds the servers; *typed* entries say that they speak over stdio."""

    name: str
    title: str
    key: str
    typed: bool
    next_step: str


CLIENTS = {
    client.name: client
    for client in (
        Client("claude-desktop", "Claude Desktop", "mcpServers", False, "Quit it fully and start it again."),
        Client("claude-code", "Claude Code", "mcpServers", True, "Start a new session; /mcp shows the server."),
        Client("cursor", "Cursor", "mcpServers", False, "Restart it; its settings list the server under MCP."),
        Client("vscode", "VS Code", "servers", True, "Run 'MCP: List Servers', choose the server, start it."),
    )
}


@dataclass(frozen=True, slots=True)
class Target:
    """What the client gets: the servers (none named: the whole fleet) of one agent of one vault."""

    vault: Path
    agent: str | None = None
    servers: tuple[str, ...] = ()


def client_called(name: str) -> Client:
    """The client *name*. Raises NotFound."""
    if name not in CLIENTS:
        raise NotFound(f"there is no client {name!r}", hint=f"clients: {', '.join(CLIENTS)}")
    return CLIENTS[name]


def entry_name(agent: str | None, servers: Sequence[str]) -> str:
    """``argosy``, with the agent and the servers when some are chosen, in characters that every client takes."""
    name = "-".join([NAME, *([_plain(agent)] if agent else []), *sorted(set(servers))])
    return name if len(name) <= MAX_NAME_CHARS else f"{name[: MAX_NAME_CHARS - 5].rstrip('-')}-{_digest(name)}"


def _plain(agent: str) -> str:
    if re.fullmatch(r"[a-z0-9_-]+", agent):
        return agent
    ascii_only = unicodedata.normalize("NFKD", agent).encode("ascii", "ignore").decode().lower()
    kept = re.sub(r"[^a-z0-9]+", "-", ascii_only).strip("-")
    return f"{kept}-{_digest(agent)}".lstrip("-")  # two agents may differ only in what was left out


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:4]


def entry_of(client: Client, target: Target, interpreter: str, environ: Mapping[str, str]) -> Entry:
    """The entry for *target*. It holds absolute paths only, so that it works from any folder.

    Raises InvalidArgument for a path that the client would not pass on as it is.
    """
    # -P: clients start servers in the user's project, and a folder named like our package must not be run instead.
    args = ["-P", *_START, *dict.fromkeys(target.servers), "--vault", os.path.abspath(target.vault)]
    if target.agent:
        args += ["--agent", target.agent]
    entry: Entry = {"type": "stdio"} if client.typed else {}
    entry |= {"command": os.path.abspath(interpreter), "args": args}
    if folders := _source_folders(environ):
        entry["env"] = {"PYTHONPATH": folders}
    for text in (entry["command"], *args, folders):
        _check_passed_on(text)
    return entry


def _source_folders(environ: Mapping[str, str]) -> str:
    """The part of ``PYTHONPATH`` that our packages come from: the client does not pass the variable on by itself."""
    folders = [os.path.abspath(folder) for folder in environ.get("PYTHONPATH", "").split(os.pathsep) if folder]
    ours = [folder for folder in folders if any(name.startswith("argosy_") for name in _names(folder))]
    return os.pathsep.join(ours)


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _check_passed_on(text: str) -> None:
    if "${" in text:
        raise InvalidArgument(f"clients replace ${{…}} in {text}", hint="give the folder another name")
    if any(0xD800 <= ord(char) <= 0xDFFF for char in text):
        raise InvalidArgument(f"the name {text!a} is not UTF-8", hint="give the folder another name")


def is_ours(entry: object) -> bool:
    """Whether *entry* starts this program the way `entry_of` writes it."""
    args = cast("dict[str, Any]", entry).get("args") if isinstance(entry, dict) else None
    words = cast("list[object]", args) if isinstance(args, list) else []
    return any(tuple(words[at : at + len(_START)]) == _START for at in range(len(words)))
