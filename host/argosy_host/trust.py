"""What a person approved: digests of commands that a vault names, kept in the user's own state folder.

A vault travels (git, a zip, a colleague); what it would start must not. So approvals lie outside every vault, one JSON
file, and hold for one vault's path and one digest: any change to the command turns it off again.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from argosy_core.user_state import state_folder
from argosy_core.vault import Vault

__all__ = ["Approvals", "state_folder"]

FILE = "approved.json"


@dataclass(frozen=True, slots=True)
class Approvals:
    """The approvals in one state folder."""

    folder: Path

    def allows(self, vault: Path, digest: str) -> bool:
        """Whether *digest* was approved for *vault*."""
        return digest in self._load().get(str(vault), [])

    def approve(self, vault: Path, digest: str) -> None:
        """Remember *digest* for *vault*."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = self._load()
        found[str(vault)] = sorted({*found.get(str(vault), []), digest})
        keeper = Vault(self.folder)
        try:
            keeper.replace(FILE, json.dumps(found, indent=2).encode() + b"\n")
        finally:
            keeper.close()

    def _load(self) -> dict[str, list[str]]:
        try:
            found: Any = json.loads((self.folder / FILE).read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError, ValueError):
            return {}  # nothing is approved by a file that cannot be read
        if not isinstance(found, dict):
            return {}
        entries = cast("dict[str, Any]", found)
        return {path: _texts(digests) for path, digests in entries.items()}


def _texts(value: Any) -> list[str]:
    return [str(item) for item in cast("list[object]", value)] if isinstance(value, list) else []
