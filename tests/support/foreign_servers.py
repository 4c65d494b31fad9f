"""Servers of somebody else's that a vault names."""

from __future__ import annotations

from pathlib import Path

from warm import warm


def named(name: str, script: Path, *arguments: object) -> str:
    """What an agent's ``mcp.md`` says of a server *name* that *script* runs, started warm."""
    command, *rest = warm(str(script), *map(str, arguments))
    return f"## {name}\ncommand: {command}\nargs: {', '.join(rest)}\n"
