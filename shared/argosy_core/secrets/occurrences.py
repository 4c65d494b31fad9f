"""Finding many values in many forms in a text, in little time."""

from __future__ import annotations

from collections.abc import Sequence

from argosy_core.secrets.encodings import Form, forms_of
from argosy_core.secrets.secret import MIN_CHARS

LEAST = 16  # characters in a row that count as a long value; short ones make it less
_MIN_GRAM, _MAX_GRAM = 4, 8


class Occurrences:
    """Finds the values *known*, pairs of name and value, in texts.

    All forms are kept by short pieces of them. A text is sampled at a stride and read closely only where a sample is
    such a piece. Nothing is missed: what counts as a match is longer than a piece by at least the stride less one, so
    it holds a whole sample. Reading is far faster so than with one regular expression, which tries every form at every
    character.
    """

    def __init__(self, known: Sequence[tuple[str, str]], least: int = LEAST) -> None:
        self._forms: list[tuple[str, Form]] = []
        self._places: dict[str, list[tuple[int, int]]] = {}
        self._least = min([least, *(form.enough for _, value in known for form in _long_enough(value))])
        self._gram = max(_MIN_GRAM, min(_MAX_GRAM, self._least // 2))
        self._stride = self._least - self._gram + 1
        for name, value in known:
            self._add(name, _long_enough(value))

    def with_value(self, name: str, value: str) -> bool:
        """Look for *value* too; False when it is too short for the stride, so that all must be built anew."""
        forms = _long_enough(value)
        if any(form.enough < self._least for form in forms):
            return False
        self._add(name, forms)
        return True

    def _add(self, name: str, forms: Sequence[Form]) -> None:
        for form in forms:
            number = len(self._forms)
            self._forms.append((name, form))  # first: another thread may read while this one adds
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
                name, form = self._forms[number]
                first, end = _grown(text, start, form.text, at, gram)
                if end - first >= form.enough:
                    found.append((first, end, name))
        return _merged(found)


def _long_enough(value: str) -> list[Form]:
    return [form for form in forms_of(value) if len(form.text) >= MIN_CHARS]


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
