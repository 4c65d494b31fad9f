"""JSON with comments and trailing commas, read into values that know where in the text they stand."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

MAX_DEPTH = 200
_BLANK = re.compile(r"(?:[ \t\r\n]+|//[^\r\n]*|/\*.*?\*/)*", re.S)
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_WORD = re.compile(r"[A-Za-z_]+")
_STRINGS = json.JSONDecoder()  # the standard library's own rule for strings, with the place of a mistake
_WORDS = {"true": True, "false": False, "null": None}


class JsoncError(ValueError):
    """Raised when a text is not what it should be; *line* and *column* count from 1."""

    def __init__(self, message: str, text: str, position: int) -> None:
        self.message = message
        self.line = text.count("\n", 0, position) + 1
        self.column = position - text.rfind("\n", 0, position)
        super().__init__(f"line {self.line}, column {self.column}: {message}")


@dataclass(frozen=True, slots=True)
class Node:
    """A value and its place: ``text[start:end]``. *members* for an object, *items* for an array, else None."""

    start: int
    end: int
    value: Any
    members: tuple[Member, ...] | None = None
    items: tuple[Node, ...] | None = None

    def strings(self, without: Node | None = None) -> Iterator[Node]:
        """The strings in this value, in the order of the text, but none from *without*, of the same text."""
        if without is not None and self.start == without.start:
            return
        if isinstance(self.value, str):
            yield self
        for part in self.items or [member.node for member in self.members or ()]:
            yield from part.strings(without)


@dataclass(frozen=True, slots=True)
class Member:
    """One key and its value in an object; *comma* is where the comma after it stands, if one does."""

    key: str
    start: int
    node: Node
    comma: int | None

    @property
    def end(self) -> int:
        """Where its value ends."""
        return self.node.end


def parse(text: str) -> Node:
    """The one value in *text*. Raises JsoncError."""
    reader = _Reader(text)
    root = reader.value()
    reader.skip()
    if reader.at < len(text):
        raise JsoncError("something follows the end of the value", text, reader.at)
    return root


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self._depth = 0

    def skip(self) -> str:
        """Go past blanks and comments; the next character, empty at the end."""
        match = _BLANK.match(self.text, self.at)
        assert match is not None
        self.at = match.end()
        if self.text.startswith("/*", self.at):
            raise self._error("a comment has no end")
        return self.text[self.at : self.at + 1]

    def value(self) -> Node:
        first = self.skip()
        if first == "":
            raise self._error("the text ends where a value should stand")
        if first in "{[":
            return self._nested(first)
        if first != '"':
            return self._scalar()
        start = self.at
        value = self._string()
        return Node(start, self.at, value)

    def _nested(self, first: str) -> Node:
        if self._depth == MAX_DEPTH:
            raise self._error(f"more than {MAX_DEPTH} values inside each other")
        self._depth += 1
        node = self._object() if first == "{" else self._array()
        self._depth -= 1
        return node

    def _object(self) -> Node:
        start = self.at
        self.at += 1
        members: list[Member] = []
        while self.skip() != "}":
            if members and members[-1].comma is None:
                raise self._error("a comma or } should stand here")
            members.append(self._member())
        self.at += 1
        return Node(start, self.at, {m.key: m.node.value for m in members}, members=tuple(members))

    def _member(self) -> Member:
        if self.skip() != '"':
            raise self._error("a key in double quotes should stand here")
        start = self.at
        key = self._string()
        if self.skip() != ":":
            raise self._error("a colon should stand here")
        self.at += 1
        node = self.value()
        return Member(key, start, node, self._comma())

    def _array(self) -> Node:
        start = self.at
        self.at += 1
        items: list[Node] = []
        comma: int | None = start
        while self.skip() != "]":
            if comma is None:
                raise self._error("a comma or ] should stand here")
            items.append(self.value())
            comma = self._comma()
        self.at += 1
        return Node(start, self.at, [item.value for item in items], items=tuple(items))

    def _comma(self) -> int | None:
        if self.skip() != ",":
            return None
        self.at += 1
        return self.at - 1

    def _string(self) -> str:
        try:
            value, self.at = _STRINGS.raw_decode(self.text, self.at)
        except json.JSONDecodeError as exc:
            raise JsoncError(f"a string is not right: {exc.msg.lower()}", self.text, exc.pos) from exc
        assert isinstance(value, str)
        return value

    def _scalar(self) -> Node:
        start = self.at
        if word := _WORD.match(self.text, start):
            if word[0] not in _WORDS:
                raise self._error(f"{word[0][:20]} is no value")
            self.at = word.end()
            return Node(start, self.at, _WORDS[word[0]])
        number = _NUMBER.match(self.text, start)
        if number is None:
            raise self._error("a value should stand here")
        self.at = number.end()
        return Node(start, self.at, self._number(number[0]))

    def _number(self, text: str) -> int | float:
        try:
            return int(text) if text.lstrip("-").isdigit() else float(text)
        except ValueError as exc:
            raise self._error("a number is too long") from exc

    def _error(self, message: str) -> JsoncError:
        return JsoncError(message, self.text, self.at)
