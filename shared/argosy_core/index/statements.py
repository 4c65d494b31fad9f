"""The SQL files of a package, by statement name."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import resources

from argosy_core.index.text import TOKENIZER

PACKAGE = "argosy_core.index"


@cache
def script(name: str, package: str = PACKAGE) -> str:
    """The text of an SQL file."""
    return resources.files(package).joinpath(name).read_text(encoding="utf-8")


@cache
def statement(name: str, agent: int = 0) -> str:
    """A named statement; *agent* is the number of the agent whose full-text table it is about."""
    return named_statements()[name].replace("{fts}", f"fts_{agent}").replace("{tokenizer}", TOKENIZER)


@cache
def named_statements(package: str = PACKAGE) -> Mapping[str, str]:
    """The statements of a package's ``queries.sql``, each under its ``-- name:`` line."""
    _, *blocks = script("queries.sql", package).split("-- name: ")
    return {name.strip(): text.strip().rstrip(";") for name, _, text in (block.partition("\n") for block in blocks)}
