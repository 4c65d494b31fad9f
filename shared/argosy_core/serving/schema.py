"""Making generated JSON schemas small: what says nothing to a model is left out."""

from __future__ import annotations

from typing import Any, cast


def compact_input(schema: dict[str, Any]) -> dict[str, Any]:
    """An input schema without title noise, with nullable parameters shown as plainly optional, closed to unknowns."""
    compact = cast("dict[str, Any]", _strip(schema, nullable=True))
    compact["additionalProperties"] = False
    return compact


def compact_output(schema: dict[str, Any]) -> dict[str, Any]:
    """An output schema without title noise; nulls stay, since clients validate results against it.

    They do so at every call, and following references takes most of that: a definition stands where it is referred to.
    """
    stripped = cast("dict[str, Any]", _strip(schema, nullable=False))
    definitions: dict[str, Any] = stripped.pop("$defs", {})
    placed = cast("dict[str, Any]", _placed(stripped, definitions, ()))
    recursive = {name: _placed(definitions[name], definitions, (name,)) for name in _named(placed, definitions)}
    return {**placed, "$defs": recursive} if recursive else placed


def _placed(node: Any, definitions: dict[str, Any], inside: tuple[str, ...]) -> Any:
    """*node* with definitions in the place of references to them, but for those it is *inside* of."""
    if isinstance(node, list):
        return [_placed(item, definitions, inside) for item in node]  # pyright: ignore[reportUnknownVariableType]
    if not isinstance(node, dict):
        return node
    fields = _with_types(cast("dict[str, Any]", node))
    name = _name(fields)
    if name in definitions and name not in inside:
        rest = {key: value for key, value in fields.items() if key != "$ref"}
        return _placed({**definitions[name], **rest}, definitions, (*inside, name))
    return {key: _placed(value, definitions, inside) for key, value in fields.items()}


def _name(fields: dict[str, Any]) -> str:
    return str(fields.get("$ref", "")).removeprefix("#/$defs/")


def _named(node: Any, definitions: dict[str, Any]) -> set[str]:
    """The definitions that are still referred to: those that hold themselves."""
    if isinstance(node, list):
        named = (_named(item, definitions) for item in node)  # pyright: ignore[reportUnknownVariableType]
        return set[str]().union(*named)
    if not isinstance(node, dict):
        return set()
    fields = cast("dict[str, Any]", node)
    return {_name(fields)} & definitions.keys() | _named(list(fields.values()), definitions)


def _with_types(fields: dict[str, Any]) -> dict[str, Any]:
    """A choice among mere types as a list of them."""
    choices = cast("list[Any]", fields.get("anyOf", []))
    if not choices or not all(choice.keys() == {"type"} for choice in choices):
        return fields
    rest = {key: value for key, value in fields.items() if key != "anyOf"}
    return {"type": [choice["type"] for choice in choices], **rest}


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
