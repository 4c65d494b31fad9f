"""JSON of any length, one value at a time: an export of a gigabyte takes the memory of its largest entry."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from typing import IO, Any

from argosy_core.errors import InvalidArgument, TooLarge

PIECE_BYTES = 256 * 1024
MAX_VALUE_CHARS = 64 * 1024 * 1024
MAX_LINE_BYTES = 16 * 1024 * 1024
_SPACE = " \t\r\n"
_OF_NUMBERS = "0123456789.eE+-"
_NUMBER_CHARS = 64  # looked at behind a value: what follows one is a sign of another kind, or the text is not over


def values(stream: IO[bytes], name: str) -> Iterator[Any]:
    """The elements of the array that *stream* holds; of a single object, that object.

    Raises InvalidArgument where it is no JSON, with the place, and TooLarge for one element above 64 MiB.
    """
    text = _Text(stream, name)
    first = text.next_char()
    if first == "{":
        yield text.value()
        return
    if first != "[":
        raise InvalidArgument(f"{name} is no list of JSON objects", hint="give the file as it was exported")
    text.take()
    while text.next_char() != "]":
        if text.next_char() == "":
            raise InvalidArgument(f"{name} ends at character {text.at} in the middle", hint="download it again")
        yield text.value()
        separator = text.next_char()
        if separator == ",":
            text.take()
        elif separator not in ("]", ""):
            raise InvalidArgument(f"{name} is no JSON at character {text.at}", hint="download it again")


class _Text:
    """Text of a stream that is decoded as it is needed; *at* is how many characters were taken."""

    def __init__(self, stream: IO[bytes], name: str) -> None:
        self._stream = stream
        self._name = name
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")()
        self._json = json.JSONDecoder()
        self._text = ""
        self._place = 0
        self._ended = False
        self.at = 0

    def next_char(self) -> str:
        """The next character that is no space, left where it is; "" at the end."""
        while True:
            while self._place < len(self._text) and self._text[self._place] in _SPACE:
                self.take()
            if self._place < len(self._text):
                return self._text[self._place]
            if not self._more(PIECE_BYTES):
                return ""

    def take(self) -> None:
        self._place += 1
        self.at += 1

    def value(self) -> Any:
        """The value that begins here."""
        while True:
            try:
                found, end = self._json.raw_decode(self._text, self._place)
            except RecursionError as exc:
                raise InvalidArgument(f"{self._name} is nested too deeply at character {self.at}") from exc
            except ValueError as exc:
                self._grow(exc)
                continue
            # A number may go on in the next piece, also behind its point.
            if not self._text[end : end + _NUMBER_CHARS].strip(_OF_NUMBERS) and self._more(PIECE_BYTES):
                continue
            self.at += end - self._place
            self._place = end
            return found

    def _grow(self, why: ValueError) -> None:
        """Read as much again as is there: what is incomplete is then tried a few times and not at every piece."""
        held = len(self._text) - self._place
        if held > MAX_VALUE_CHARS:
            raise TooLarge(f"{self._name} has an entry above {MAX_VALUE_CHARS // 1024**2} MiB at {self.at}")
        if not self._more(max(PIECE_BYTES, held)):
            raise InvalidArgument(
                f"{self._name} is no JSON at character {self.at}: {why}", hint="give the file as it was exported"
            ) from why

    def _more(self, size: int) -> bool:
        if self._ended:
            return False
        data = self._stream.read(size)
        self._ended = not data
        try:
            text = self._decoder.decode(data, final=self._ended)
        except UnicodeDecodeError as exc:
            raise InvalidArgument(f"{self._name} is not UTF-8 near character {self.at}") from exc
        self._text = self._text[self._place :] + text
        self._place = 0
        return bool(text) or not self._ended


def lines(stream: IO[bytes]) -> Iterator[tuple[int, bytes | None]]:
    """Number and bytes of each line that is not empty; None for one above 16 MiB."""
    number = 0
    while line := stream.readline(MAX_LINE_BYTES + 1):
        number += 1
        if len(line) > MAX_LINE_BYTES:
            while line and not line.endswith(b"\n"):
                line = stream.readline(MAX_LINE_BYTES)
            yield number, None
        elif line.strip():
            yield number, line
