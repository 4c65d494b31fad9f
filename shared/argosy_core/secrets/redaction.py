"""Taking known values out of everything that leaves: results, errors, events, log lines."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any, TypeVar, cast

from argosy_core.errors import ArgosyError
from argosy_core.secrets.encodings import Form, forms_of
from argosy_core.secrets.secret import MIN_CHARS, WITHHELD, Secret, check_value, shown_as

_PASSES = 4  # a value may be made of a marker and what stands beside it; more than a few times is somebody's trick
_MIN_GRAM, _MAX_GRAM = 4, 8
_Error = TypeVar("_Error", bound=ArgosyError)


class Redactor:
    """Knows the values that were handed out in this process and takes each out of texts and structures.

    Found are all forms of `encodings.forms_of`, and parts of long values. Safe to use from several threads.
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._known: list[tuple[str, Secret]] = []
        self._index = _Index([])

    def learn(self, name: str, secret: Secret) -> None:
        """Take *secret* out from now on. Raises InvalidArgument when it is too short to be told from other text."""
        check_value(name, secret.reveal())
        with self._guard:
            if not any(known == secret for _, known in self._known):
                self._known.append((name, secret))
                self._index = _Index(self._known)

    def redact_text(self, text: str) -> str:
        """*text* with ``[secret:NAME]`` in place of each value."""
        index = self._index
        for _ in range(_PASSES):
            spans = index.find(text)
            if not spans:
                return text
            text = _replaced(text, spans)
        return text if not index.find(text) else WITHHELD

    def redact_json(self, value: Any) -> Any:
        """*value* (JSON types) with every text, name and number in it redacted; the same object when nothing is known."""
        if not self._index.forms:
            return value
        if isinstance(value, str):
            return self.redact_text(value)
        if isinstance(value, Mapping):
            fields = cast("Mapping[Any, Any]", value)
            return {self.redact_json(name): self.redact_json(item) for name, item in fields.items()}
        if isinstance(value, list | tuple):
            return [self.redact_json(item) for item in cast("list[Any]", value)]
        if isinstance(value, int | float) and not isinstance(value, bool):
            shown = str(value)
            return value if self.redact_text(shown) == shown else WITHHELD
        return value

    def redact_error(self, error: _Error) -> _Error:
        """An error of the same kind whose message, hint and detail hold no value; its cause and traceback stay behind."""
        hint = None if error.hint is None else self.redact_text(error.hint)
        clean = type(error).__new__(type(error))
        ArgosyError.__init__(clean, self.redact_text(error.message), hint=hint, **self.redact_json(dict(error.detail)))
        return clean


PROCESS = Redactor()
"""The one that knows what was handed out in this process, by whichever part of it."""


class _Index:
    """All forms by short pieces of them, so that a text is sampled at a stride and read closely only where one hits.

    Whoever occurs holds a whole piece at a sampled place: pieces are shorter than the least match by the stride.
    """

    def __init__(self, known: list[tuple[str, Secret]]) -> None:
        self.forms: list[tuple[str, Form]] = [
            (name, form) for name, secret in known for form in forms_of(secret.reveal()) if len(form.text) >= MIN_CHARS
        ]
        least = min((form.enough for _, form in self.forms), default=MIN_CHARS)
        self._gram = max(_MIN_GRAM, min(_MAX_GRAM, least // 2))
        self._stride = least - self._gram + 1
        self._places: dict[str, list[tuple[int, int]]] = {}
        for number, (_, form) in enumerate(self.forms):
            for at in range(len(form.text) - self._gram + 1):
                self._places.setdefault(form.text[at : at + self._gram], []).append((number, at))

    def find(self, text: str) -> list[tuple[int, int, str]]:
        """Spans to take out with the name of the secret in each; sorted, none overlapping another."""
        gram, places = self._gram, self._places
        if not places:
            return []
        starts = range(0, len(text) - gram + 1, self._stride)
        sampled = [start for start in starts if text[start : start + gram] in places]
        found: list[tuple[int, int, str]] = []
        for start in sampled:
            for number, at in places[text[start : start + gram]]:
                name, form = self.forms[number]
                first, end = _grown(text, start, form.text, at, gram)
                if end - first >= form.enough:
                    found.append((first, end, name))
        return _merged(found)


def _grown(text: str, start: int, form: str, at: int, length: int) -> tuple[int, int]:
    """The longest stretch of *text* around *start* that is a part of *form* around *at*."""
    first, end = start, start + length
    back, on = at, at + length
    while first and back and text[first - 1] == form[back - 1]:
        first, back = first - 1, back - 1
    while end < len(text) and on < len(form) and text[end] == form[on]:
        end, on = end + 1, on + 1
    return first, end


def _merged(spans: list[tuple[int, int, str]]) -> list[tuple[int, int, str]]:
    merged: list[tuple[int, int, str]] = []
    for first, end, name in sorted(spans, key=lambda span: (span[0], -span[1])):
        if merged and first < merged[-1][1]:
            before = merged[-1]
            merged[-1] = (before[0], max(before[1], end), before[2])
        else:
            merged.append((first, end, name))
    return merged


def _replaced(text: str, spans: list[tuple[int, int, str]]) -> str:
    parts: list[str] = []
    done = 0
    for first, end, name in spans:
        parts += (text[done:first], shown_as(name))
        done = end
    return "".join((*parts, text[done:]))
