"""The SQL files of this package, by statement name."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import resources

from argosy_core.index.text import TOKENIZER


@cache
def script(name: str) -> str:
    """The text of an SQL file."""
    return resources.files("argosy_core.index").joinpath(name).read_text(encoding="utf-8")


@cache
def statement(name: str, agent: int = 0) -> str:
    """A named statement; *agent* is the number of the agent whose full-text table it is about."""
    return _named()[name].replace("{fts}", f"fts_{agent}").replace("{tokenizer}", TOKENIZER)


@cache
def _named() -> Mapping[str, str]:
    _, *blocks = script("queries.sql").split("-- name: ")
    return {name.strip(): text.strip().rstrip(";") for name, _, text in (block.partition("\n") for block in blocks)}
