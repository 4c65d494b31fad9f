"""Making generated JSON schemas small: what says nothing to a model is left out."""

from __future__ import annotations

from typing import Any, cast


def compact_input(schema: dict[str, Any]) -> dict[str, Any]:
    """An input schema without title noise, with nullable parameters shown as plainly optional, closed to unknowns."""
    compact = cast("dict[str, Any]", _strip(schema, nullable=True))
    compact["additionalProperties"] = False
    return compact


def compact_output(schema: dict[str, Any]) -> dict[str, Any]:
    """An output schema without title noise; nulls stay, since clients validate results against it."""
    return cast("dict[str, Any]", _strip(schema, nullable=False))


def _strip(node: Any, *, nullable: bool, names: bool = False) -> Any:
    """*names* is set when the keys of *node* are property names, which may be called ``title`` themselves."""
    if isinstance(node, list):
        return [_strip(item, nullable=nullable) for item in node]  # pyright: ignore[reportUnknownVariableType]
    if not isinstance(node, dict):
        return node
    fields = cast("dict[str, Any]", node)
    if names:
        return {name: _strip(value, nullable=nullable) for name, value in fields.items()}
    fields = {name: value for name, value in fields.items() if not (name == "title" and isinstance(value, str))}
    if nullable:
        fields = _without_null(fields)
    return {
        name: _strip(value, nullable=nullable, names=name in ("properties", "$defs")) for name, value in fields.items()
    }


def _without_null(fields: dict[str, Any]) -> dict[str, Any]:
    choices = cast("list[Any]", fields.get("anyOf", []))
    kept = [choice for choice in choices if choice != {"type": "null"}]
    if len(kept) == len(choices):
        return fields
    rest = {
        name: value for name, value in fields.items() if name != "anyOf" and not (name == "default" and value is None)
    }
    return {**kept[0], **rest} if len(kept) == 1 else {"anyOf": kept, **rest}
