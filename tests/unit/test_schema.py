"""Schemas as a model gets them: nothing in them that says nothing, and nothing lost."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import BaseModel, Field, TypeAdapter

from argosy_core.serving.schema import compact_input, compact_output


class Part(BaseModel):
    title: str
    size: int | None = None


class Arguments(BaseModel):
    title: Annotated[str, Field(description="What it is called")]
    kind: Literal["a", "b"] = "a"
    note: str | None = None
    either: int | str | None = None
    parts: list[Part] = Field(default_factory=list[Part])
    names: dict[str, str | None] | None = None
    limit: Annotated[int, Field(ge=1, le=5)] = 3
    anything: Any = None


def schema() -> dict[str, Any]:
    return TypeAdapter(Arguments).json_schema()


def test_titles_go_but_fields_called_title_stay() -> None:
    compact = compact_input(schema())
    assert "title" not in compact
    assert compact["properties"]["title"] == {"type": "string", "description": "What it is called"}
    assert compact["$defs"]["Part"]["properties"]["title"] == {"type": "string"}
    assert "title" not in compact["$defs"]["Part"]
    assert compact["required"] == ["title"]


def test_a_nullable_argument_is_plainly_optional() -> None:
    properties = compact_input(schema())["properties"]
    assert properties["note"] == {"type": "string"}
    assert properties["either"] == {"anyOf": [{"type": "integer"}, {"type": "string"}]}
    assert properties["names"] == {"type": "object", "additionalProperties": {"type": "string"}}


def test_bounds_choices_and_defaults_stay() -> None:
    properties = compact_input(schema())["properties"]
    assert properties["limit"] == {"type": "integer", "minimum": 1, "maximum": 5, "default": 3}
    assert properties["kind"] == {"type": "string", "enum": ["a", "b"], "default": "a"}
    assert properties["parts"]["items"] == {"$ref": "#/$defs/Part"}


def test_an_input_schema_is_closed() -> None:
    assert compact_input(schema())["additionalProperties"] is False
    assert compact_input({"type": "object", "properties": {}, "title": "x"}) == {
        "type": "object",
        "properties": {},
        "additionalProperties": False,
    }


def test_an_output_schema_keeps_its_nulls() -> None:
    compact = compact_output(schema())
    assert compact["properties"]["note"] == {"type": ["string", "null"], "default": None}
    assert "additionalProperties" not in compact
    assert "title" not in compact
    assert "title" in compact["properties"]


class Tree(BaseModel):
    """Holds itself."""

    name: str
    parts: list[Part]
    children: list[Tree]
    parent: Tree | None = None


def test_an_output_schema_refers_only_to_what_holds_itself() -> None:
    assert "$" not in json.dumps(compact_output(schema()))
    compact = compact_output(TypeAdapter(list[Tree]).json_schema())
    assert compact["items"]["properties"]["parts"]["items"]["properties"]["size"] == {
        "type": ["integer", "null"],
        "default": None,
    }
    assert set(compact["$defs"]) == {"Tree"}


def trees() -> st.SearchStrategy[Any]:
    names = st.one_of(st.text(max_size=3), st.integers())
    parts = st.lists(st.fixed_dictionaries({"title": names}, optional={"size": names}), max_size=2)
    leaf = st.fixed_dictionaries({"name": names, "parts": parts, "children": st.just([])})
    return st.recursive(
        leaf,
        lambda inner: st.fixed_dictionaries(
            {"name": names, "parts": parts, "children": st.lists(inner, max_size=2)},
            optional={"parent": st.none() | inner},
        ),
        max_leaves=4,
    )


@given(trees())
def test_a_compact_output_schema_takes_what_the_whole_one_takes(value: Any) -> None:
    whole = TypeAdapter(Tree).json_schema()
    assert is_valid(compact_output(whole), value) == is_valid(whole, value)


def is_valid(schema: dict[str, Any], value: Any) -> bool:
    return bool(Draft202012Validator(schema).is_valid(value))


def test_what_is_compacted_is_left_as_it_was() -> None:
    given = schema()
    compact_input(given)
    compact_output(given)
    assert given == schema()
