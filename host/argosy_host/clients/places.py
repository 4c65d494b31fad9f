"""Where each client keeps the configuration that holds for one user, on each operating system.

Everything the answer depends on is a parameter; paths keep the flavour of the home they are given.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from argosy_core.errors import NotFound


def names_in(folder: PurePath) -> Sequence[str]:
    """The names in *folder*, sorted; none when it cannot be read."""
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return ()


@dataclass(frozen=True, slots=True)
class Machine:
    """What decides where a client's files lie. *platform* is that of `sys`, *names* lists a folder."""

    platform: str
    home: PurePath
    environ: Mapping[str, str]
    names: Callable[[PurePath], Sequence[str]] = names_in

    @classmethod
    def here(cls) -> Machine:
        """The machine and the user we run as."""
        return cls(sys.platform, Path.home(), os.environ)

    def folder(self, variable: str, *default: str) -> PurePath:
        """What the environment says in *variable*, else *default* below the home."""
        said = self.environ.get(variable, "")
        path = type(self.home)(said)
        return path if path.is_absolute() else self.home.joinpath(*default)

    @property
    def application_data(self) -> PurePath:
        """Where desktop programs keep what belongs to the user."""
        if self.platform == "darwin":
            return self.home / "Library" / "Application Support"
        if self.platform == "win32":
            return self.folder("APPDATA", "AppData", "Roaming")
        return self.folder("XDG_CONFIG_HOME", ".config")


@dataclass(frozen=True, slots=True)
class Place:
    """A client's *file*, and the *folder* that is there when the client is, or was, on this machine."""

    file: PurePath
    folder: PurePath


def place_of(client: str, machine: Machine) -> Place:
    """The place of *client*'s configuration on *machine*. Raises NotFound for a client that is not known."""
    find = _PLACES.get(client)
    if find is None:
        raise NotFound(f"there is no client {client!r}", hint=f"clients: {', '.join(sorted(_PLACES))}")
    return find(machine)


def _claude_desktop(machine: Machine) -> Place:
    folder = machine.application_data / "Claude"
    if machine.platform == "win32":
        # The packaged program does not read %APPDATA%: Windows shows it a copy that lies below its package.
        packages = machine.folder("LOCALAPPDATA", "AppData", "Local") / "Packages"
        package = next((name for name in machine.names(packages) if name.startswith("Claude_")), None)
        folder = packages / package / "LocalCache" / "Roaming" / "Claude" if package else folder
    return Place(folder / "claude_desktop_config.json", folder)


def _claude_code(machine: Machine) -> Place:
    own = machine.folder("CLAUDE_CONFIG_DIR", ".claude")
    moved = own != machine.home / ".claude"
    return Place((own if moved else machine.home) / ".claude.json", own)


def _cursor(machine: Machine) -> Place:
    folder = machine.home / ".cursor"
    return Place(folder / "mcp.json", folder)


def _vscode(machine: Machine) -> Place:
    data = machine.folder("VSCODE_APPDATA") / "Code" if machine.environ.get("VSCODE_APPDATA") else None
    if machine.environ.get("VSCODE_PORTABLE"):
        data = machine.folder("VSCODE_PORTABLE") / "user-data"
    data = data or machine.application_data / "Code"
    return Place(data / "User" / "mcp.json", data)


_PLACES: dict[str, Callable[[Machine], Place]] = {
    "claude-code": _claude_code,
    "claude-desktop": _claude_desktop,
    "cursor": _cursor,
    "vscode": _vscode,
}
