"""Taking known values out of everything that leaves: results, errors, events, log lines."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any, TypeVar, cast

from argosy_core.errors import ArgosyError
from argosy_core.secrets.occurrences import Occurrences
from argosy_core.secrets.secret import WITHHELD, Secret, check_value, shown_as

_PASSES = 4  # a value may be made of a marker and what stands beside it; more than a few times is somebody's trick
_Error = TypeVar("_Error", bound=ArgosyError)


class Redactor:
    """Knows the values that were handed out in this process and takes each out of texts and structures.

    Found are all forms of `encodings.forms_of`, and parts of long values. Safe to use from several threads.
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._known: list[tuple[str, Secret]] = []
        self._occurrences = Occurrences(())

    def learn(self, name: str, secret: Secret) -> None:
        """Take *secret* out from now on. Raises InvalidArgument when it is too short to be told from other text."""
        check_value(name, secret.reveal())
        with self._guard:
            if not any(known == secret for _, known in self._known):
                self._known.append((name, secret))
                if not self._occurrences.with_value(name, secret.reveal()):
                    self._occurrences = Occurrences([(known, value.reveal()) for known, value in self._known])

    def redact_text(self, text: str) -> str:
        """*text* with ``[secret:NAME]`` in place of each value."""
        occurrences = self._occurrences
        for _ in range(_PASSES):
            spans = occurrences.find(text)
            if not spans:
                return text
            text = _replaced(text, spans)
        return text if not occurrences.find(text) else WITHHELD

    def redact_json(self, value: Any) -> Any:
        """*value* (JSON types) with every text, name and number in it redacted; itself while nothing is known."""
        if not self._known:
            return value
        try:
            return self._redacted(value)
        except RecursionError:
            return WITHHELD

    def _redacted(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.redact_text(value)
        if isinstance(value, Mapping):
            fields: Mapping[Any, Any] = value  # pyright: ignore[reportUnknownVariableType]
            return {self._redacted(name): self._redacted(item) for name, item in fields.items()}
        if isinstance(value, list | tuple):
            return [self._redacted(item) for item in cast("list[Any]", value)]
        if isinstance(value, int | float) and not isinstance(value, bool):
            shown = str(value)
            return value if self.redact_text(shown) == shown else WITHHELD
        return value

    def redact_error(self, error: _Error) -> _Error:
        """An error of the same kind without values in message, hint and detail; its cause and traceback stay behind."""
        hint = None if error.hint is None else self.redact_text(error.hint)
        clean = type(error).__new__(type(error))
        ArgosyError.__init__(clean, self.redact_text(error.message), hint=hint, **self.redact_json(dict(error.detail)))
        return clean


PROCESS = Redactor()
"""The one that knows what was handed out in this process, by whichever part of it."""


def _replaced(text: str, spans: list[tuple[int, int, str]]) -> str:
    parts: list[str] = []
    done = 0
    for first, end, name in spans:
        parts += (text[done:first], shown_as(name))
        done = end
    return "".join((*parts, text[done:]))
