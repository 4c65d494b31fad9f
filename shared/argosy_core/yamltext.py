"""YAML as people write it into Markdown, read strictly: plain values only, and every problem with its line.

A subset of YAML 1.1 as PyYAML reads it: maps, lists, text, ``true/yes/on``, ``null``, decimal numbers. Dates stay text,
keys stay as written. Tags, anchors, aliases, doubled keys, more than 64 KiB and deep nesting are refused: they have no
place in a page's head, and the last two would exhaust memory or the stack of the C parser.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, TypeGuard

import yaml

MAX_CHARS = 64 * 1024
MAX_DEPTH = 64
BREAK = "\r\n|[\n\r\x85\u2028\u2029]"

_yaml: Any = yaml  # its stubs leave `compose` and `parse` half typed
_UNTAGGED = "?"
_OPENERS_WITHOUT_SCAN = 200
_INT = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,299})")
_FLOAT = re.compile(r"[-+]?(?:(?:0|[1-9][0-9]*)\.[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]{1,3})?")
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_LOWER = {"null": None, "true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
_WORDS = {"": None, "~": None} | {
    form: value for word, value in _LOWER.items() for form in (word, word.capitalize(), word.upper())
}

# What PyYAML says, and what a person can do about it.
_PLAIN_WORDS = (
    ("mapping values are not allowed", 'unexpected ": " (a value that holds it must stand in quotes)'),
    ("could not find expected ':'", "this line is not `key: value`"),
    ("found unexpected end of stream", "a quote is opened here and never closed"),
    ("cannot start any token", "a value cannot start with this character: put it in quotes"),
    ("did not find expected ',' or", "a list or map is opened here and never closed"),
    ("found unknown escape", "unknown escape in double quotes: use single quotes, or double the backslash"),
    ("did not find expected node content", "a list or map is opened here and never closed"),
    ("did not find expected key", "this is not `key: value`, or its indentation does not fit"),
    ("did not find expected '-'", "this is not a list item, or its indentation does not fit"),
    ("expected alphabetic or numeric character", "a value that begins with * or & must stand in quotes"),
    ("found another document", "a second document starts here"),
    ("unacceptable character", "a control character stands here"),
    ("control characters are not allowed", "a control character stands here"),
)


class YamlProblem(ValueError):
    """Raised when text is not YAML of the kind read here. *line* counts from the caller's first line."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(f"line {line}: {reason}")
        self.line = line
        self.reason = reason


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # the C one where it was built
    def resolve(self, kind: object, value: object, implicit: object) -> str:
        """One mark for "no tag written": values are resolved in `plain`, and any other tag was a person's."""
        return _UNTAGGED


def load(text: str, first_line: int = 1) -> Any:
    """The value that *text* holds; None when it holds nothing.

    Raises YamlProblem, whose line counts from *first_line*.
    """
    node = compose(text, first_line)
    return None if node is None else value_of(node, first_line)


def load_map(text: str, first_line: int = 1) -> dict[str, Any]:
    """The map that *text* holds, empty when it holds nothing. Raises YamlProblem for anything else."""
    node = compose(text, first_line)
    if node is not None and not isinstance(node, yaml.MappingNode):
        raise YamlProblem(first_line + line_of(node), "this is not `key: value`")
    return {} if node is None else value_of(node, first_line)


def compose(text: str, first_line: int = 1) -> yaml.Node | None:
    """The node tree of *text*, with marks; None when it is empty. Raises YamlProblem."""
    if len(text) > MAX_CHARS:
        raise YamlProblem(first_line, f"longer than {MAX_CHARS // 1024} KiB")
    try:
        _refuse_bombs(text, first_line)
        node: yaml.Node | None = _yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as exc:
        raise _problem(exc, text, first_line) from exc
    except (yaml.YAMLError, UnicodeError) as exc:
        raise YamlProblem(first_line + _bad_line(text), "a control character stands here") from exc
    except RecursionError as exc:
        raise YamlProblem(first_line, "nested too deeply") from exc
    return node


def value_of(node: yaml.Node, first_line: int = 1, depth: int = 0) -> Any:
    """The plain value of *node*. Raises YamlProblem for a tag, a doubled key, a key that is no text, deep nesting."""
    if depth > MAX_DEPTH or node.tag != _UNTAGGED:
        raise YamlProblem(first_line + line_of(node), "nested too deeply" if depth > MAX_DEPTH else "tags are not read")
    if isinstance(node, yaml.ScalarNode):
        return node.value if node.style else plain(node.value)
    if isinstance(node, yaml.SequenceNode):
        return [value_of(child, first_line, depth + 1) for child in node.value]
    return {key: value_of(child, first_line, depth + 1) for key, _, child in pairs(node, first_line)}


def pairs(node: yaml.Node, first_line: int = 1) -> Iterator[tuple[str, yaml.Node, yaml.Node]]:
    """Key, key node and value node of each pair of a map.

    Raises YamlProblem for a doubled key and for a key that is no text.
    """
    seen: set[str] = set()
    for key, child in node.value:
        line = first_line + line_of(key)
        if not isinstance(key, yaml.ScalarNode) or key.tag != _UNTAGGED:
            raise YamlProblem(line, "a key must be plain text")
        if key.value in seen:
            raise YamlProblem(line, f"the key {key.value!r} stands here a second time")
        seen.add(key.value)
        yield key.value, key, child


def plain(text: str) -> str | int | float | bool | None:
    """What *text* means when it stands unquoted. Dates, ``007``, ``12:30`` and ``0x1F`` are text."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "+-.0123456789":
        return text
    if _INT.fullmatch(text):
        return int(text)
    number = float(text) if _FLOAT.fullmatch(text) else None
    return text if number is None or number in (float("inf"), float("-inf")) else number


def is_list(value: object) -> TypeGuard[list[Any]]:
    """Whether a value that was read is a list."""
    return isinstance(value, list)


def is_map(value: object) -> TypeGuard[dict[str, Any]]:
    """Whether a value that was read is a map; its keys are then text."""
    return isinstance(value, dict)


def line_of(node: yaml.Node) -> int:
    """The line *node* starts on, counted from 0."""
    return node.start_mark.line if node.start_mark else 0


def _refuse_bombs(text: str, first_line: int) -> None:
    # The composer recurses in C without a bound (30,000 nested "? " end the process), and follows aliases: so the
    # flat event stream is looked at first, when a character in the text makes either possible.
    if not ("&" in text or "*" in text or sum(map(text.count, "[{-?")) > _OPENERS_WITHOUT_SCAN):
        return
    depth = 0
    for event in _yaml.parse(text, Loader=_Loader):
        line = first_line + (event.start_mark.line if event.start_mark else 0)
        if getattr(event, "anchor", None):
            raise YamlProblem(line, "anchors (&name) and aliases (*name) are not read: put the value in quotes")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise YamlProblem(line, "nested too deeply")


def _problem(exc: yaml.MarkedYAMLError, text: str, first_line: int) -> YamlProblem:
    problem = exc.problem or "not YAML"
    # For something left open the useful line is where it was opened, not where the text ended.
    opened = any(word in (exc.context or "") for word in ("quoted scalar", "simple key", "flow"))
    mark = (exc.context_mark if opened else exc.problem_mark) or exc.context_mark
    last = len(re.findall(BREAK, text.rstrip()))
    reason = next((said for found, said in _PLAIN_WORDS if found in problem), problem)
    return YamlProblem(first_line + min(mark.line if mark else 0, last), reason)


def _bad_line(text: str) -> int:
    match = _UNPRINTABLE.search(text)
    return len(re.findall(BREAK, text[: match.start()])) if match else 0
