"""SQL in files: statements by name, ``-- name: x`` above each, and their arguments by name, ``:x`` in the text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

_ARGUMENT = re.compile(r"(?<!:):([a-z_]+)")


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement with its arguments as ``$1``, ``$2`` and so on, in the order of *names*."""

    text: str
    names: tuple[str, ...]

    def places(self, values: Mapping[str, Any]) -> list[Any]:
        """*values* in the order of the arguments."""
        return [values[name] for name in self.names]


@cache
def script(package: str, file: str) -> str:
    """The text of an SQL file of *package*."""
    return resources.files(package).joinpath(file).read_text(encoding="utf-8")


@cache
def numbered_statements(package: str, file: str) -> Mapping[str, Statement]:
    """The statements of an SQL file of *package*, by name."""
    _, *blocks = script(package, file).split("-- name: ")
    return {name.strip(): _statement(text) for name, _, text in (block.partition("\n") for block in blocks)}


def _statement(text: str) -> Statement:
    names: list[str] = []

    def place(found: re.Match[str]) -> str:
        if found[1] not in names:
            names.append(found[1])
        return f"${names.index(found[1]) + 1}"

    return Statement(_ARGUMENT.sub(place, text.strip().rstrip(";")), tuple(names))
