"""An item as a JSON file. The folder says the queue and the state, the file's name the id; a person may write one by
hand with nothing but a payload in it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, cast

from argosy_core.clock import parse_time
from argosy_core.errors import ArgosyError, Corrupted, InvalidArgument
from argosy_core.names import is_sound
from argosy_core.storage.item import ITEM_STATES, Failure, Item, ItemState, Lease
from argosy_core.storage.item_checks import check_content, check_priority, check_queue

ROOT = "_fleet/queue"
_PATH = re.compile(rf"{ROOT}/(?P<queue>[^/]+)/(?P<state>{'|'.join(ITEM_STATES)})/(?P<id>[^/.][^/]*)\.json")
INDENTED_BYTES = 64 * 1024  # a longer payload is written in one line: indenting could make it many times as long
_TEXTS = ("key", "reason", "creator", "grant", "trigger")
_NUMBERS = {"priority": 0, "attempt": 0, "max_attempts": 3, "generation": 0, "revision": 0, "seq": 0}
_TIMES = ("not_before", "expires_at", "created_at", "ended_at")


def item_path(queue: str, state: str, id: str) -> str:
    """Where an item is a file."""
    return f"{ROOT}/{queue}/{state}/{id}.json"


def place_of_path(path: str) -> tuple[str, ItemState, str] | None:
    """Queue, state and id of the item whose file *path* is; None when it is the file of none."""
    found = _PATH.fullmatch(path)
    if found is None or not is_sound(found["id"]):
        return None
    try:
        return check_queue(found["queue"]), cast("ItemState", found["state"]), found["id"]
    except InvalidArgument:
        return None


def text_of(item: Item) -> bytes:
    """The file of *item*: what is not set is left out."""
    return _encode(_fields_of(item))


def line_of(item: Item) -> bytes:
    """The same in one line, for a store that nobody reads with an editor."""
    return json.dumps(_fields_of(item), ensure_ascii=False, separators=(",", ":")).encode()


def _fields_of(item: Item) -> dict[str, Any]:
    fields: dict[str, Any] = {"id": item.id, "queue": item.queue, "state": item.state}
    fields |= {name: getattr(item, name) for name in (*_NUMBERS, *_TEXTS)}
    fields |= {name: _moment(getattr(item, name)) for name in _TIMES}
    fields |= {"needs": dict(item.needs), "conflict_keys": list(item.conflict_keys), "holds": list(item.holds)}
    fields["lease"] = _lease_fields(item.lease) if item.lease else None
    fields["failures"] = [{"attempt": f.attempt, "at": _moment(f.at), "error": f.error} for f in item.failures]
    fields = {name: value for name, value in fields.items() if value not in (None, [], {})}
    fields["payload"] = item.payload
    if item.result is not None:
        fields["result"] = item.result
    return fields


def _encode(fields: Mapping[str, Any]) -> bytes:
    text = json.dumps(fields, ensure_ascii=False)
    if len(text) <= INDENTED_BYTES:
        text = json.dumps(fields, ensure_ascii=False, indent=2)
    return text.encode() + b"\n"


def _lease_fields(lease: Lease) -> dict[str, Any]:
    return {
        "holder": lease.holder,
        "token": lease.token,
        "generation": lease.generation,
        "expires_at": _moment(lease.expires_at),
    }


def _moment(moment: datetime | None) -> str | None:
    return moment.isoformat().replace("+00:00", "Z") if moment else None


def read_item(queue: str, state: ItemState, id: str, data: bytes, *, is_checked: bool = False) -> Item:
    """The item in a file's *data*; *is_checked* says that nobody but us wrote it. Raises Corrupted with the line."""
    path = item_path(queue, state, id)
    try:
        fields = json.loads(data.decode())
        if not isinstance(fields, dict):
            raise TypeError("not an object")
        return _item(queue, state, id, cast("dict[str, Any]", fields), is_checked)
    except (ValueError, TypeError, KeyError, RecursionError, ArgosyError) as exc:
        line = getattr(exc, "lineno", 1)
        said = exc.message if isinstance(exc, ArgosyError) else str(getattr(exc, "msg", None) or exc)
        raise Corrupted(
            f"{path} line {line} is not an item: {said[:200]}", hint="mend or remove the file", path=path, line=line
        ) from exc


def given_item(queue: str, state: ItemState, id: str, data: bytes) -> Item:
    """The item in a file; one with its *problem* set when it cannot be read."""
    try:
        return read_item(queue, state, id, data)
    except Corrupted as error:
        return unreadable(queue, state, id, error.message)


def unreadable(queue: str, state: ItemState, id: str, problem: str) -> Item:
    """What stands for a file that cannot be read."""
    return Item(id=id, queue=queue, state=state, payload={}, problem=problem)


def _item(queue: str, state: ItemState, id: str, fields: dict[str, Any], is_checked: bool) -> Item:
    payload = _mapping(fields, "payload")
    if payload is None:
        raise ValueError("it has no payload")
    if not is_checked:
        check_content(payload, "payload")
    plain: dict[str, Any] = {name: _number(fields.get(name, default), name) for name, default in _NUMBERS.items()}
    check_priority(plain["priority"])
    plain |= {name: _text(fields.get(name), name) for name in _TEXTS}
    plain |= {name: _time(fields.get(name), name) for name in _TIMES}
    return Item(
        id=id,
        queue=queue,
        state=state,
        payload=payload,
        result=_mapping(fields, "result"),
        lease=_lease(id, fields["lease"]) if fields.get("lease") else None,
        needs=_mapping(fields, "needs") or {},
        conflict_keys=_text_list(fields, "conflict_keys"),
        holds=_text_list(fields, "holds"),
        failures=tuple(_failure(part) for part in fields.get("failures", [])),
        **plain,
    )


def _mapping(fields: Mapping[str, Any], name: str) -> dict[str, Any] | None:
    value = fields.get(name)
    if value is not None and not isinstance(value, dict):
        raise ValueError(f"{name} is not an object")
    return cast("dict[str, Any] | None", value)


def _number(value: Any, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"{name} is not a whole number")
    return value


def _text(value: Any, name: str) -> str | None:
    if value is not None and not isinstance(value, str):
        raise ValueError(f"{name} is not text")
    return value


def _time(value: Any, name: str) -> datetime | None:
    if value is None:
        return None
    try:
        return parse_time(str(value))
    except ValueError as exc:
        raise ValueError(f"{name} is not a time") from exc


def _text_list(fields: Mapping[str, Any], name: str) -> tuple[str, ...]:
    values: Any = fields.get(name, [])
    if not isinstance(values, list):
        raise ValueError(f"{name} is not a list")
    return tuple(_text(value, f"a part of {name}") or "" for value in values)  # pyright: ignore[reportUnknownVariableType]


def _lease(id: str, fields: dict[str, Any]) -> Lease:
    expires_at = parse_time(str(fields["expires_at"]))
    return Lease(id, str(fields["holder"]), str(fields["token"]), _number(fields["generation"], "lease"), expires_at)


def _failure(fields: dict[str, Any]) -> Failure:
    return Failure(_number(fields["attempt"], "failures"), parse_time(str(fields["at"])), str(fields["error"]))
