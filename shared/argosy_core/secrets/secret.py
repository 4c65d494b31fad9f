"""A value that does not show itself, and which names and values there may be."""

from __future__ import annotations

import hmac
import re
from typing import Any, NoReturn, SupportsIndex

from argosy_core.errors import InvalidArgument, TooLarge

NAME_PATTERN = r"[A-Z][A-Z0-9_]{0,63}"
MIN_CHARS = 6  # a shorter value cannot be told from ordinary text, so it could not be taken out again
MAX_BYTES = 16 * 1024
WITHHELD = "[withheld]"  # stands for a text that cannot be cleaned
_NAME = re.compile(NAME_PATTERN)


class Secret:
    """Holds one value; printing, formatting, copying, pickling and serialising it give nothing or fail.

    Two are equal when their values are; comparing takes the same time wherever they differ. `reveal` is the only way to
    the value: search for it to find every place that handles one.
    """

    __slots__ = ("_value",)
    __hash__ = None  # type: ignore[assignment]  # a hash would be a way to test guesses

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The value itself."""
        return self._value

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        mine, theirs = self._value.encode("utf-8", "surrogatepass"), other._value.encode("utf-8", "surrogatepass")
        return hmac.compare_digest(mine, theirs)

    def __repr__(self) -> str:
        return "Secret(hidden)"

    __str__ = __repr__

    def __format__(self, spec: str) -> NoReturn:
        raise TypeError("a secret is not put into text")

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        raise TypeError("a secret is neither copied nor pickled")

    def __getstate__(self) -> NoReturn:
        raise TypeError("a secret is neither copied nor pickled")

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> NoReturn:
        raise TypeError("a secret is no field of a model: models are written out")


def check_name(name: str) -> str:
    """*name* as it is. Raises InvalidArgument."""
    if not _NAME.fullmatch(name):
        raise InvalidArgument(
            "not a name of a secret", hint="use A-Z, 0-9 and _, beginning with a letter, at most 64 characters"
        )
    return name


def check_value(name: str, value: str) -> Secret:
    """*value* as a secret called *name*. Raises InvalidArgument, TooLarge; neither repeats the value."""
    if len(value) < MIN_CHARS:
        raise InvalidArgument(
            f"the value has fewer than {MIN_CHARS} characters",
            hint="so short a value cannot be kept out of texts; use a longer one",
        )
    if len(value.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise TooLarge(f"a value has at most {MAX_BYTES} bytes", hint="store a path or a key instead of the data")
    if "\0" in value or any("\ud800" <= char <= "\udfff" for char in value):
        raise InvalidArgument("the value holds characters that are no text", hint="encode it, for example as base64")
    if value in shown_as(name) or value in WITHHELD:
        raise InvalidArgument("the value is part of what stands in its place", hint="use another one")
    return Secret(value)


def shown_as(name: str) -> str:
    """What stands in a text where the value of *name* stood."""
    return f"[secret:{name}]"
