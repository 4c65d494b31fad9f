"""Arguments for a tool out of its schema and a question; nothing is guessed that the question does not hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from argosy_host.providers.offline.dates import Period
from argosy_host.providers.offline.intent import Question
from argosy_host.providers.offline.shapes import list_of, mapping_of, objects_of

Schema = Mapping[str, object]

_WHOLE_TASK = frozenset({"task", "question", "prompt", "situation"})
_KEYWORDS = frozenset({"query", "q", "text", "search", "keywords", "terms", "topic", "pattern"})
_SINCE = frozenset({"since", "from", "start", "after"})
_UNTIL = frozenset({"until", "to", "end", "before"})
_NUMBERS = {"limit": 8, "count": 8, "top_k": 8, "token_budget": 1500, "max_tokens": 1500}
_TIMED_LIMIT = 60
_CHOICES = {"scope": "all"}
_LONGEST_TEXT = 400


@dataclass(frozen=True, slots=True)
class Material:
    """What arguments are made of: the question, and the keywords of the part of it that is asked now."""

    question: Question
    query: str


def fill(schema: Schema, material: Material) -> dict[str, object] | None:
    """Arguments that satisfy the schema, or None when a required one cannot be known."""
    properties = mapping_of(schema.get("properties"))
    required = set(list_of(schema.get("required")))
    # A search looks at all times unless the question names one; a reader of days has to begin somewhere.
    days = material.question.period if wants_text(schema) else material.question.days
    days = None if _SINCE.isdisjoint(properties) else days
    arguments: dict[str, object] = {}
    for name, declared in properties.items():
        value = _value(name, _resolve(declared, schema), days, name in required, material)
        if value is not None:
            arguments[name] = value
    return arguments if is_complete(schema, arguments) else None


def is_complete(schema: Schema, filled: Mapping[str, object]) -> bool:
    """Whether every required argument is there."""
    return all(name in filled for name in list_of(schema.get("required")))


def wants_text(schema: Schema) -> bool:
    """Whether a required argument is a free text to look for."""
    return any(name in _WHOLE_TASK | _KEYWORDS for name in list_of(schema.get("required")))


def takes_keywords(schema: Schema) -> bool:
    """Whether a required argument is made of keywords, so that each part of a question is asked by itself."""
    return any(name in _KEYWORDS for name in list_of(schema.get("required")))


def only_required(schema: Schema) -> str | None:
    """The name of the one required argument, if there is exactly one and it is a text."""
    required = [str(name) for name in list_of(schema.get("required"))]
    if len(required) != 1:
        return None
    declared = _resolve(mapping_of(schema.get("properties")).get(required[0]), schema)
    return required[0] if "string" in types_of(declared) else None


def types_of(declared: Schema) -> set[str]:
    """The JSON types a resolved declaration allows, alternatives included."""
    kinds = declared.get("type")
    found = {kinds} if isinstance(kinds, str) else {str(kind) for kind in list_of(kinds)}
    for alternative in _alternatives(declared):
        found |= types_of(alternative)
    return found


def choices_of(declared: Schema) -> list[str]:
    """The texts a declaration allows, if it enumerates them."""
    found = [value for value in list_of(declared.get("enum")) if isinstance(value, str)]
    return found + [value for alternative in _alternatives(declared) for value in choices_of(alternative)]


def declared_as(schema: Schema, name: str) -> Schema:
    """The declaration of a property, references resolved."""
    return _resolve(mapping_of(schema.get("properties")).get(name), schema)


def _value(name: str, declared: Schema, days: Period | None, required: bool, material: Material) -> object:
    kinds = types_of(declared)
    if name in _NUMBERS and "integer" in kinds:
        return _clamp(_TIMED_LIMIT if name == "limit" and days else _NUMBERS[name], declared)
    if choices := choices_of(declared):
        return _CHOICES[name] if _CHOICES.get(name) in choices else None
    if "string" not in kinds:
        return declared.get("default") if required else None
    return _day(name, declared, days) or (_text(name, declared, material) if required else None)


def _text(name: str, declared: Schema, material: Material) -> str | None:
    longest = declared.get("maxLength")
    end = min(longest, _LONGEST_TEXT) if isinstance(longest, int) else _LONGEST_TEXT
    whole = " ".join(material.question.text.split())
    if name in _WHOLE_TASK:
        return whole[:end].strip() or None
    if name in _KEYWORDS:
        return (material.query or whole)[:end].strip() or None
    return None


def _day(name: str, declared: Schema, days: Period | None) -> str | None:
    if days is None or name not in _SINCE | _UNTIL:
        return None
    day = (days.since if name in _SINCE else days.until).isoformat()
    if declared.get("format") != "date-time":
        return day
    return f"{day}T00:00:00Z" if name in _SINCE else f"{day}T23:59:59Z"


def _clamp(number: int, declared: Schema) -> int:
    for bounds in (declared, *_alternatives(declared)):
        lowest, highest = bounds.get("minimum"), bounds.get("maximum")
        number = max(number, lowest) if isinstance(lowest, int) else number
        number = min(number, highest) if isinstance(highest, int) else number
    return number


def _alternatives(declared: Schema) -> list[Schema]:
    return objects_of(declared.get("anyOf"))


def _resolve(declared: object, schema: Schema, depth: int = 3) -> Schema:
    """The declaration itself; local references are followed, to a depth that a circle cannot pass."""
    found = mapping_of(declared)
    reference = found.get("$ref")
    if isinstance(reference, str):
        found = {**mapping_of(mapping_of(schema.get("$defs")).get(reference.rpartition("/")[2])), **found}
    options = objects_of(found.get("anyOf")) if depth else []
    return {**found, "anyOf": [_resolve(option, schema, depth - 1) for option in options]}
