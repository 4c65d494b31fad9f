"""How a person at the command line shows that they are there."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from argosy_core.attendance import KEY_VARIABLE, Channel, proves_key
from argosy_core.errors import PermissionDenied
from argosy_core.user_state import state_folder


def seen_here(vault: Path) -> Channel | None:
    """``terminal`` where somebody types and reads, ``key`` where a script has the user's key; else None. Blocks."""
    if sys.stdin.isatty() and sys.stdout.isatty():
        return "terminal"
    try:
        return "key" if proves_key(os.environ.get(KEY_VARIABLE), state_folder(), vault) else None
    except PermissionDenied:
        return None
