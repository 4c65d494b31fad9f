"""JSON of unknown shape, read by field name: a value is given back only when it has the type asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast


def mapping_of(value: object) -> Mapping[str, object]:
    """The value if it is an object, else an empty one."""
    return cast("Mapping[str, object]", value) if isinstance(value, Mapping) else {}


def list_of(value: object) -> Sequence[object]:
    """The value if it is an array, else an empty one."""
    return cast("Sequence[object]", value) if isinstance(value, list | tuple) else ()


def objects_of(value: object) -> list[Mapping[str, object]]:
    """The objects of an array."""
    return [fields for item in list_of(value) if (fields := mapping_of(item))]


def text_of(fields: Mapping[str, object], *names: str) -> str:
    """The first of the fields that holds text, else an empty string."""
    for name in names:
        value = fields.get(name)
        if isinstance(value, str) and value.strip():
            return value
    return ""
