"""Which paths of a vault are documents, where logs and items are kept apart from them."""

from __future__ import annotations

from argosy_core.errors import PermissionDenied
from argosy_core.storage.chain_days import is_day_path
from argosy_core.storage.item_record import place_of_path


def check_document(path: str) -> None:
    """Raises PermissionDenied for the path of a log's day or an item: only the log and the queue write these."""
    if is_day_path(path):
        raise PermissionDenied(f"{path} is part of a log", hint="logs are only appended to: log_append", path=path)
    if place_of_path(path) is not None:
        raise PermissionDenied(f"{path} is an item of a queue", hint="queue_enqueue makes one", path=path)
