"""Schemas as a model gets them: nothing in them that says nothing, and nothing lost."""

from __future__ import annotations

from typing import Annotated, Any, Literal

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
    assert compact["properties"]["note"] == {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None}
    assert "additionalProperties" not in compact
    assert "title" not in compact
    assert "title" in compact["properties"]


def test_what_is_compacted_is_left_as_it_was() -> None:
    given = schema()
    compact_input(given)
    compact_output(given)
    assert given == schema()
