"""Which paths documents have: days of logs and items of queues can be read as files, and are written otherwise."""

from __future__ import annotations

from argosy_core.errors import PermissionDenied
from argosy_core.storage.chain_days import is_day_path
from argosy_core.storage.item_record import place_of_path


def check_kind(path: str) -> None:
    """Raises PermissionDenied for what is no document."""
    if is_day_path(path):
        raise PermissionDenied(f"{path} is part of a log", hint="logs are only appended to: log_append", path=path)
    if place_of_path(path) is not None:
        raise PermissionDenied(f"{path} is an item of a queue", hint="queue_enqueue makes one", path=path)
