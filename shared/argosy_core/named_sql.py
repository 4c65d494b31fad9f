"""SQL files with named statements: each begins with a line ``-- name: <name>``."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import resources


@cache
def sql_text(package: str, file: str) -> str:
    """The text of an SQL file of *package*."""
    return resources.files(package).joinpath(file).read_text(encoding="utf-8")


@cache
def named_statements(package: str, file: str) -> Mapping[str, str]:
    """The statements of an SQL file of *package* by their names."""
    _, *blocks = sql_text(package, file).split("-- name: ")
    return {name.strip(): sql.strip().rstrip(";") for name, _, sql in (block.partition("\n") for block in blocks)}
