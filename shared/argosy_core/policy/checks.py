"""Typed values out of entries. Anything else than what a key takes is PolicyInvalid with its line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, NoReturn, TypeVar

from argosy_core.policy.entries import Entry
from argosy_core.policy.errors import PolicyInvalid, nearest

Read = Callable[[Entry], Any]

_E = TypeVar("_E", bound=StrEnum)
_T = TypeVar("_T")


class Checks:
    """The checks of one file. *lines* gathers where each key was set, nested keys with a dot."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.lines: dict[str, int] = {}

    def fail(self, line: int, reason: str, *, hint: str | None = None, **detail: object) -> NoReturn:
        raise PolicyInvalid(self.where, line, reason, hint=hint, **detail)

    def expected(self, entry: Entry, what: str) -> NoReturn:
        """Refuse the value of *entry*."""
        shown = "a map" if entry.is_map else "nothing" if entry.value is None else repr(entry.value)[:80]
        self.fail(entry.line, f"{entry.key} must be {what}, not {shown}", key=entry.key)

    def unknown(self, entry: Entry, known: tuple[str, ...], place: str) -> NoReturn:
        """Refuse the key of *entry*."""
        hint = nearest(entry.key, known) or f"keys read here: {', '.join(known)}"
        self.fail(entry.line, f"unknown key {entry.key!r} in {place}", hint=hint, key=entry.key)

    def text(self, entry: Entry) -> str:
        if entry.is_map or not isinstance(entry.value, str) or not entry.value.strip():
            self.expected(entry, "a text")
        return entry.value.strip()

    def boolean(self, entry: Entry) -> bool:
        if not isinstance(entry.value, bool):
            self.expected(entry, "true or false")
        return entry.value

    def number(self, entry: Entry) -> float:
        if isinstance(entry.value, bool) or not isinstance(entry.value, int | float) or entry.value < 0:
            self.expected(entry, "a number that is not negative")
        return entry.value

    def number_or_none(self, entry: Entry) -> float | None:
        return None if entry.value is None and not entry.is_map else self.number(entry)

    def positive_int(self, entry: Entry) -> int:
        if isinstance(entry.value, bool) or not isinstance(entry.value, int) or entry.value <= 0:
            self.expected(entry, "a whole number above 0")
        return entry.value

    def choice(self, entry: Entry, choices: tuple[str, ...]) -> Any:
        if entry.value not in choices or entry.is_map:
            hint = nearest(entry.value, choices) if isinstance(entry.value, str) else None
            shown = "a map" if entry.is_map else repr(entry.value)[:80]
            reason = f"{entry.key} must be one of {', '.join(choices)}, not {shown}"
            self.fail(entry.line, reason, hint=hint, key=entry.key)
        return entry.value

    def member(self, entry: Entry, enum: type[_E], *allowed: _E) -> _E:
        return enum(self.choice(entry, tuple(str(item) for item in allowed or tuple(enum))))

    def children(self, entry: Entry) -> tuple[Entry, ...]:
        """The entries of a map, none of them twice."""
        if not entry.is_map and entry.value is not None:
            self.expected(entry, "a map of keys")
        seen: dict[str, int] = {}
        for child in entry.children:
            if child.key in seen:
                self.fail(
                    child.line, f"{child.key} is set a second time (first on line {seen[child.key]})", key=child.key
                )
            seen[child.key] = child.line
        return entry.children

    def record(self, entry: Entry, table: Mapping[str, Read], make: Callable[..., _T]) -> _T:
        """A dataclass from a map whose keys are all in *table*."""
        values: dict[str, Any] = {}
        for child in self.children(entry):
            if child.key not in table:
                self.unknown(child, tuple(table), entry.key)
            self.lines[f"{entry.key}.{child.key}"] = child.line
            values[child.key] = table[child.key](child)
        return make(**values)

    def mapping(self, entry: Entry, keys: type[_E], value: Callable[[Entry], _T]) -> dict[_E, _T]:
        """A map whose keys are all members of *keys*."""
        found: dict[_E, _T] = {}
        for child in self.children(entry):
            if child.key not in tuple(keys):
                self.unknown(child, tuple(str(key) for key in keys), entry.key)
            self.lines[f"{entry.key}.{child.key}"] = child.line
            found[keys(child.key)] = value(child)
        return found
