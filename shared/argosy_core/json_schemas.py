"""JSON Schemas that people and agents write: small ones, that neither fetch anything nor run anybody's patterns."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from importlib import import_module
from typing import Any, cast

from argosy_core.errors import InvalidArgument, TooLarge

MAX_BYTES = 16 * 1024
MAX_DEPTH = 16
# References can reach the network, and a pattern can take for ever.
_REFUSED = frozenset({"$ref", "$dynamicRef", "$recursiveRef", "pattern", "patternProperties"})


def check_schema(schema: Mapping[str, Any]) -> None:
    """Raises InvalidArgument and TooLarge for a schema that is not taken."""
    if len(json.dumps(schema, default=str)) > MAX_BYTES:
        raise TooLarge(f"a schema has at most {MAX_BYTES} bytes", hint="ask for less at once")
    used = sorted(_REFUSED.intersection(_keys(schema, 0)))
    if used:
        raise InvalidArgument(f"the schema uses {', '.join(used)}", hint="use types, enum and lengths")
    errors = _library().exceptions
    try:
        _library().Draft202012Validator.check_schema(dict(schema))
    except errors.SchemaError as exc:
        raise InvalidArgument("not a JSON Schema", hint="it follows draft 2020-12") from exc


def fit(schema: Mapping[str, Any], text: str) -> Any:
    """The value that *text* is under *schema*: JSON, or *text* itself. Raises ValueError with what does not fit."""
    complaint = ""
    for value in _readings(text):
        found = complaint_about(schema, value)
        if found is None:
            return value
        complaint = complaint or found
    raise ValueError(complaint)


def complaint_about(schema: Mapping[str, Any], value: Any) -> str | None:
    """Why *value* is not what *schema* describes, with the place; None when it is."""
    validator = _library().Draft202012Validator(dict(schema))
    for error in validator.iter_errors(value):
        place = ".".join(map(str, error.absolute_path))
        return f"{f'{place}: ' if place else ''}{str(error.message)[:200]}"
    return None


def _library() -> Any:
    # Loaded by the first schema: it costs more to import than the rest of the server. It ships no types.
    return import_module("jsonschema")


def _readings(text: str) -> Iterator[Any]:
    with suppress(ValueError, RecursionError):
        yield json.loads(text, parse_constant=_refuse)
    yield text


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON")


def _keys(node: object, depth: int) -> Iterator[str]:
    if depth > MAX_DEPTH:
        raise InvalidArgument("the schema is nested too deeply", hint="ask for less at once")
    if isinstance(node, Mapping):
        for key, child in cast("Mapping[str, object]", node).items():
            yield key
            yield from _keys(child, depth + 1)
    elif isinstance(node, list):
        for child in cast("list[object]", node):
            yield from _keys(child, depth + 1)
