"""A tool's arguments are read as the SDK reads them, whatever form a client gives them."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp.server.mcpserver.tools import Tool
from pydantic import BaseModel, Field, ValidationError

from argosy_core.serving.arguments import ArgumentReader


class Place(BaseModel):
    """Somewhere."""

    name: str
    depth: int = 0


async def sail(
    text: str,
    tags: list[str] | None = None,
    place: Place | None = None,
    note: str | None = None,
    count: Annotated[int, Field(ge=0)] = 1,
    json: dict[str, Any] | None = None,  # a name of pydantic's own: the SDK gives it an alias
) -> Place:
    """Sail."""
    return Place(name=text)


METADATA = Tool.from_function(sail).fn_metadata
READER = ArgumentReader(METADATA)
VALUES = st.one_of(
    st.none(),
    st.integers(-3, 3),
    st.text(max_size=5),
    st.sampled_from(
        [
            '["a", "b"]',
            '{"name": "x"}',
            ' {"name": "x", "depth": 2}',
            "null",
            "nan",
            "[1",
            " " * 70 + "[]",
            "",
            " ",
            "3",
        ]
    ),
    st.lists(st.text(max_size=2), max_size=2),
    st.just({"name": "y"}),
)
ARGUMENTS = st.dictionaries(st.sampled_from(["text", "tags", "place", "note", "count", "json"]), VALUES)


def outcome(read: Any, arguments: dict[str, Any]) -> object:
    try:
        return read(arguments)
    except ValidationError as error:
        return sorted(str(problem["loc"]) + problem["type"] for problem in error.errors())


@given(ARGUMENTS)
def test_they_are_what_the_sdk_makes_of_them(arguments: dict[str, Any]) -> None:
    given = dict(arguments)
    assert outcome(READER.read, arguments) == outcome(METADATA.validate_arguments, dict(arguments))
    assert arguments == given


@pytest.mark.parametrize(
    ("given", "read"),
    [('["a"]', ["a"]), (" " * 70 + '["a"]', ["a"]), ("null", None), (["a"], ["a"])],
)
def test_a_list_that_came_as_text_is_a_list(given: object, read: object) -> None:
    assert READER.read({"text": "[1]", "tags": given})["tags"] == read
    assert READER.read({"text": "[1]", "tags": given})["text"] == "[1]"
