"""What thousands of tests would make anew, each for a server and a client of its own, made once in a process.

A client checks every tool's output schema against the meta-schema before its first result, which takes as long as
twenty calls; a server makes models of a tool's signature. Both follow from the code alone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any

from jsonschema import Draft202012Validator
from mcp.server.mcpserver.tools import base
from mcp.server.mcpserver.utilities.func_metadata import FuncMetadata, func_metadata

_sound: set[str] = set()
_models: dict[object, tuple[Callable[..., Any], FuncMetadata]] = {}
_check_schema = Draft202012Validator.check_schema


def make_once() -> None:
    """From now on, in this process and its forks."""
    Draft202012Validator.check_schema = _checked  # type: ignore[method-assign]
    setattr(base, "func_metadata", _model_of)  # noqa: B010 - a name that it imported


def _checked(schema: Any, *more: Any, **options: Any) -> None:
    key = json.dumps(schema, sort_keys=True, default=repr)
    if key not in _sound:
        _check_schema(schema, *more, **options)
        _sound.add(key)


def _model_of(
    func: Callable[..., Any], skip_names: Sequence[str] = (), structured_output: bool | None = None
) -> FuncMetadata:
    code = getattr(func, "__code__", None)
    if code is None or not func.__module__.startswith("argosy_") or hasattr(func, "__signature__"):
        return func_metadata(func, skip_names, structured_output)
    # Annotations may name types of the function around it, and code that was edited may compare equal.
    types = tuple(cell.cell_contents for cell in func.__closure__ or () if isinstance(cell.cell_contents, type))
    given = (repr(func.__defaults__), repr(func.__kwdefaults__), tuple(skip_names), structured_output)
    key = (id(code), func.__name__, func.__doc__, types, given)
    if key not in _models:
        made = func_metadata(func, skip_names, structured_output)
        schema = made.arg_model.model_json_schema(by_alias=True)
        # The SDK asks for it in this one form.
        made.arg_model.model_json_schema = lambda **_: deepcopy(schema)  # type: ignore[method-assign]
        _models[key] = func, made  # the function keeps its code, and with it the number
    return _models[key][1]
