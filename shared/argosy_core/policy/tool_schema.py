"""Whether changed arguments still fit the tool they are for, before anybody judges them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any, cast

from argosy_core.policy.judges_model import Validation
from argosy_core.policy.judgment import JudgeAmendedProposalRejected

LIBRARY = "jsonschema"
# A schema without any of these says nothing of arguments.
_BOUNDING = frozenset(
    {"properties", "patternProperties", "additionalProperties", "required", "propertyNames", "maxProperties", "$ref"}
    | {"allOf", "anyOf", "oneOf", "const", "enum"}
)
_JSON_TYPES: Mapping[str, type | tuple[type, ...]] = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "object": dict,
    "array": list,
    "null": type(None),
}


def check_fit(arguments: Mapping[str, Any], schema: Mapping[str, Any] | None, validation: Validation) -> None:
    """Whether *arguments* fit the tool's *schema*: in its outline (``weakened``), or by all of it (``strict``).

    Raises JudgeAmendedProposalRejected, under ``strict`` also when there is no schema.
    """
    if validation == "strict":
        if schema is None:
            raise JudgeAmendedProposalRejected("validation is strict, and the tool's schema is not known")
        _fit_strictly(arguments, schema)
    elif schema is not None:
        _fit_outline(arguments, schema)


def schema_problem(schema: Mapping[str, Any] | None) -> str | None:
    """Why arguments cannot be checked against *schema* under ``strict``; None when they can."""
    if not schema or not _BOUNDING.intersection(schema):
        return "has no schema for its arguments"
    if not has_library():
        return None  # that is named once, not for every tool
    try:
        next(_errors({}, schema), None)
    except Exception:  # one that is none, loops, or would be fetched
        return "has a schema that cannot be used"
    return None


def has_library() -> bool:
    """Whether what checks arguments under ``strict`` is installed."""
    return find_spec(LIBRARY) is not None


def _fit_strictly(arguments: Mapping[str, Any], schema: Mapping[str, Any]) -> None:
    if not has_library():
        raise JudgeAmendedProposalRejected(f"validation is strict, and {LIBRARY} is not installed")
    try:
        problem = next(_errors(arguments, schema), None)
    except Exception as error:  # a schema that points elsewhere, loops or is none
        raise JudgeAmendedProposalRejected("the tool's schema cannot be used") from error
    if problem is not None:
        place = "/".join(map(str, problem.absolute_path)) or "tool_arguments"
        raise JudgeAmendedProposalRejected(f"{place} does not fit the tool's schema ({problem.validator})")


def _errors(arguments: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[Any]:
    """What *schema* finds wrong with *arguments*. Raises what the library raises; nothing is fetched."""
    library: Any = import_module(LIBRARY)  # when it is asked for: it costs more to load than the server
    nowhere: Any = import_module("referencing").Registry()
    library.Draft202012Validator.check_schema(dict(schema))
    found: Iterator[Any] = library.Draft202012Validator(dict(schema), registry=nowhere).iter_errors(dict(arguments))
    return found


def _fit_outline(arguments: Mapping[str, Any], schema: Mapping[str, Any]) -> None:
    required = cast("list[str]", schema.get("required") or [])
    if missing := [name for name in required if name not in arguments]:
        raise JudgeAmendedProposalRejected(f"{', '.join(missing)[:200]} is missing in tool_arguments")
    properties = cast("Mapping[str, Any]", schema.get("properties") or {})
    if schema.get("additionalProperties") is False and (extra := sorted(arguments.keys() - properties.keys())):
        raise JudgeAmendedProposalRejected(f"the tool does not take {', '.join(extra)[:200]}")
    for name, value in arguments.items():
        wanted = properties.get(name, {}).get("type")
        expected = _JSON_TYPES.get(wanted) if isinstance(wanted, str) else None
        numeric = wanted in ("integer", "number") and isinstance(value, bool)
        if expected is not None and (numeric or not isinstance(value, expected)):
            raise JudgeAmendedProposalRejected(f"{name} is no {wanted}")
