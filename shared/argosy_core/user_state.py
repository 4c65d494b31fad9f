"""The user's own state folder: what must not travel with a vault lies there."""

from __future__ import annotations

import os
from pathlib import Path


def state_folder() -> Path:
    """``$XDG_STATE_HOME/argosy``, else ``~/.local/state/argosy``."""
    base = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(base).expanduser() / "argosy"
