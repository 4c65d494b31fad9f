"""What may be asked of a work queue, the same over every substrate: bounds and forms of arguments."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any, cast

from argosy_core.canonical import canonical_json
from argosy_core.errors import InvalidArgument, TooLarge
from argosy_core.names import check_new_name
from argosy_core.storage.item import NewItem

MAX_PAYLOAD_BYTES = 256 * 1024
MAX_DEPTH = 32  # an item's file is indented for people: depth is width
MAX_TEXT_CHARS = 4_000
MAX_NAME_CHARS = 200
MAX_GRANT_CHARS = 64_000  # an id, or all of it as JSON
MAX_QUEUE_BYTES = 100
MAX_NAMES = 20
MAX_PRIORITY = 1_000_000
MAX_ATTEMPTS = 100
MAX_CLAIM = 100
MAX_LEASE_SECONDS = 86_400
MAX_RETRY_SECONDS = 30 * 86_400


def check_new(new: NewItem) -> None:
    """Raises InvalidArgument or TooLarge when *new* cannot be an item."""
    check_queue(new.queue)
    check_content(new.payload, "payload")
    _check_needs(new.needs)
    _check_names(new.conflict_keys, "conflict_keys")
    for hold in new.holds:
        check_text(hold, "a hold")
    for name, value in (("key", new.key), ("creator", new.creator), ("trigger", new.trigger)):
        if value is not None:
            check_name(value, name)
    if new.grant is not None and (not new.grant or len(new.grant) > MAX_GRANT_CHARS):
        raise InvalidArgument(f"a grant has 1 to {MAX_GRANT_CHARS} characters")
    check_priority(new.priority)
    if not _is_number(new.max_attempts, int) or not 1 <= new.max_attempts <= MAX_ATTEMPTS:
        raise InvalidArgument(f"max_attempts is a number from 1 to {MAX_ATTEMPTS}")


def check_queue(queue: str) -> str:
    """*queue* when it may name one. Raises InvalidArgument."""
    if not queue or len(queue.encode("utf-8", "surrogatepass")) > MAX_QUEUE_BYTES or check_new_name(queue) != queue:
        hint = f"use letters, digits, '-' and '_', at most {MAX_QUEUE_BYTES} bytes"
        raise InvalidArgument("not a name of a queue", hint=hint)
    return queue


def check_content(content: Mapping[str, Any], name: str) -> None:
    """Raises InvalidArgument or TooLarge unless *content* may be a payload or a result."""
    if _depth(content) > MAX_DEPTH:
        raise InvalidArgument(f"the {name} is nested deeper than {MAX_DEPTH} levels", hint="make it flatter")
    size = len(canonical_json(content))
    if size > MAX_PAYLOAD_BYTES:
        hint = "put the content into a note or a file, and its name into the item"
        raise TooLarge(f"the {name} has {size} bytes; the limit is {MAX_PAYLOAD_BYTES}", hint=hint)


def _depth(value: Any, level: int = 0) -> int:
    if level > MAX_DEPTH or not isinstance(value, Mapping | list | tuple):
        return level
    inner = cast("Mapping[str, Any]", value).values() if isinstance(value, Mapping) else cast("Sequence[Any]", value)
    return max((_depth(part, level + 1) for part in inner), default=level + 1)


def check_name(value: str, name: str) -> None:
    """Raises InvalidArgument unless *value* is one line of a sensible length."""
    bad = not value.strip() or len(value) > MAX_NAME_CHARS
    if bad or any(unicodedata.category(char) in ("Cc", "Cs") for char in value):
        hint = "leave out line breaks and other control characters, or shorten it"
        raise InvalidArgument(f"{name} is one line of 1 to {MAX_NAME_CHARS} characters", hint=hint)


def _check_names(values: Sequence[str], name: str) -> None:
    if len(values) > MAX_NAMES:
        raise InvalidArgument(f"{name} are at most {MAX_NAMES}")
    for value in values:
        check_name(value, f"each of {name}")


def check_text(text: str, name: str) -> None:
    """Raises InvalidArgument unless *text* says something and is of a sensible length."""
    if not text.strip() or len(text) > MAX_TEXT_CHARS:
        raise InvalidArgument(f"{name} is text of 1 to {MAX_TEXT_CHARS} characters", hint="say it in a sentence or two")


def _check_needs(needs: Mapping[str, Any]) -> None:
    _check_names(list(needs), "needs")
    for name, value in needs.items():
        if isinstance(value, list):
            _check_names(cast("list[str]", value), f"needs.{name}")
        elif not isinstance(value, bool | int | float | str):
            raise InvalidArgument(f"needs.{name} is a text, a number, true, or a list of texts")
    canonical_json(needs)


def check_priority(priority: int) -> None:
    """Raises InvalidArgument unless *priority* is one."""
    if not _is_number(priority, int) or abs(priority) > MAX_PRIORITY:
        raise InvalidArgument(f"priority is a number from -{MAX_PRIORITY} to {MAX_PRIORITY}")


def check_claim(queue: str, worker: str, lease_seconds: float, count: int) -> None:
    """Raises InvalidArgument unless these are the arguments of a claim."""
    check_queue(queue)
    check_name(worker, "worker")
    check_lease_seconds(lease_seconds)
    if not _is_number(count, int) or not 1 <= count <= MAX_CLAIM:
        raise InvalidArgument(f"count is a number from 1 to {MAX_CLAIM}")


def check_lease_seconds(lease_seconds: float) -> None:
    """Raises InvalidArgument unless a lease may last so long."""
    if not 0 < lease_seconds <= MAX_LEASE_SECONDS:
        raise InvalidArgument(f"a lease lasts more than 0 and at most {MAX_LEASE_SECONDS} seconds")


def _is_number(value: Any, kind: type) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)


def check_failure(retry_in_seconds: float | None) -> None:
    """Raises InvalidArgument unless an item may wait so long for its next attempt."""
    if retry_in_seconds is not None and not 0 <= retry_in_seconds <= MAX_RETRY_SECONDS:
        raise InvalidArgument(f"retry_in_s is from 0 to {MAX_RETRY_SECONDS} seconds")
