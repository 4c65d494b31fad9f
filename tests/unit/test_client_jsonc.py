"""One entry in a JSON file with comments: it changes, and nothing else does."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from argosy_host.clients.jsonc import find, put, take
from argosy_host.clients.jsonc_syntax import MAX_DEPTH, JsoncError, parse

PATH = ("mcpServers", "argosy")
ENTRY = {"command": "/usr/bin/python3", "args": ["-P", "-m"]}
COMMENTED = """\
// my servers
{
  "theme": "dark", // or light
  "mcpServers": {
    /* the first one */
    "files": { "command": "files" }, // keep
    // "old": { "command": "old" }
  },
}
"""


def value_of(text: str) -> Any:
    return parse(text).value


# Reading


@pytest.mark.parametrize(
    "text",
    ["{}", "[1, -2.5e3, 0]", '"a\\u00e9\\n"', "true", " null ", '{"a": {"b": [[], {}]}, "c": ""}', "-0.0", "1" * 400],
)
def test_plain_json_is_read_as_the_standard_library_reads_it(text: str) -> None:
    assert value_of(text) == json.loads(text)


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("", 1, "the text ends"),
        ('{\n  "a": 1\n  "b": 2\n}', 3, "comma"),
        ('{\n  "a": \n}', 3, "a value should stand"),
        ('{\n  "a" 1\n}', 2, "colon"),
        ("{\n  a: 1\n}", 2, "double quotes"),
        ("{\n  'a': 1\n}", 2, "double quotes"),
        ('{"a": 1}\n}', 2, "follows the end"),
        ('{"a": "x\n"}', 1, "string"),
        ('{\n"a": "\\q"}', 2, "string"),
        ("{\n/* no end", 2, "comment"),
        ("[1,\n,]", 2, "a value should stand"),
        ("[1\n2]", 2, "comma"),
        ("{,}", 1, "double quotes"),
        ("\n[NaN]", 2, "NaN is no value"),
        ("[01]", 1, "comma"),
        ('{"a": undefined}', 1, "undefined is no value"),
        ("[" * (MAX_DEPTH + 1), 1, "inside each other"),
        ("1" * 5000, 1, "too long"),
        ("{\n\n", 3, "double quotes"),
    ],
)
def test_a_mistake_is_named_with_its_line(text: str, line: int, says: str) -> None:
    with pytest.raises(JsoncError, match=says) as caught:
        parse(text)
    assert caught.value.line == line
    assert f"line {line}, column" in str(caught.value)


def test_what_looks_like_a_comment_inside_a_string_is_text() -> None:
    assert value_of('{"a": "http://x /* y */" /* z */}') == {"a": "http://x /* y */"}


# Adding


def test_an_entry_is_added_after_the_last_one_and_every_comment_stays() -> None:
    assert put(COMMENTED, PATH, {"command": "x"}) == COMMENTED.replace(
        "// keep\n", '// keep\n    "argosy": {\n      "command": "x"\n    },\n'
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", '{\n  "mcpServers": {\n    "argosy": 1\n  }\n}\n'),
        (" \r\n", '{\r\n  "mcpServers": {\r\n    "argosy": 1\r\n  }\r\n}\r\n'),
        ("{}", '{\n  "mcpServers": {\n    "argosy": 1\n  }\n}'),
        ('{"mcpServers":{}}', '{"mcpServers":{"argosy":1}}'),
        ('{"mcpServers": {"a": 1}}', '{"mcpServers": {"a": 1, "argosy": 1}}'),
        ('{"mcpServers": {"a": 1,},}', '{"mcpServers": {"a": 1, "argosy": 1,},}'),
        ('{\n\t"mcpServers": {}\n}\n', '{\n\t"mcpServers": {\n\t\t"argosy": 1\n\t}\n}\n'),
        ('{\n    "a": 1\n}', '{\n    "a": 1,\n    "mcpServers": {\n        "argosy": 1\n    }\n}'),
        ('{\n  "mcpServers": { // none\n  }\n}', '{\n  "mcpServers": { // none\n    "argosy": 1\n  }\n}'),
        ('{\n  "mcpServers": {/* none */}\n}', '{\n  "mcpServers": {/* none */\n    "argosy": 1\n  }\n}'),
        ('{\r\n  "a": 1 // x\r\n}', '{\r\n  "a": 1, // x\r\n  "mcpServers": {\r\n    "argosy": 1\r\n  }\r\n}'),
        ('{\n  "a": 1 }', '{\n  "a": 1,\n  "mcpServers": {\n    "argosy": 1\n  } }'),
        ('{\n  "mcpServers": {"a": 1}\n}', '{\n  "mcpServers": {"a": 1, "argosy": 1}\n}'),
    ],
)
def test_an_entry_is_written_as_the_file_around_it(before: str, after: str) -> None:
    assert put(before, PATH, 1) == after


def test_an_entry_that_is_there_is_replaced_in_its_place() -> None:
    text = '{\n  "mcpServers": {\n    "argosy": [1], // mine\n    "b": 2\n  }\n}'
    assert put(text, PATH, {"x": 1}) == text.replace("[1]", '{\n      "x": 1\n    }')


def test_text_that_is_not_ascii_stays_readable() -> None:
    assert '"päth"' in put("{}", PATH, "päth")


# Removing


def test_an_entry_is_removed_with_its_line_and_its_comma() -> None:
    text = '{\n  "mcpServers": {\n    "a": 1,\n    "argosy": {\n      "x": [] // y\n    },\n    "b": 2\n  }\n}\n'
    assert take(text, PATH) == '{\n  "mcpServers": {\n    "a": 1,\n    "b": 2\n  }\n}\n'


def test_a_comment_on_the_line_of_a_removed_entry_stays() -> None:
    text = '{\n  "mcpServers": {\n    "argosy": 1, // why\n    "b": 2\n  }\n}\n'
    assert take(text, PATH) == '{\n  "mcpServers": {\n    // why\n    "b": 2\n  }\n}\n'


@pytest.mark.parametrize("text", ["", "{}", '{"mcpServers": {}}', '{"argosy": 1}', '{"mcpServers": {"b": {}}}'])
def test_removing_what_is_not_there_changes_nothing(text: str) -> None:
    assert take(text, PATH) == text
    assert find(text, PATH) is None


# What is not edited


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("[]", 1, "to hold mcpServers"),
        ('{\n"mcpServers": []}', 2, "to hold argosy"),
        ('{\n"mcpServers": null}', 2, "to hold argosy"),
        ('{"mcpServers": {},\n"mcpServers": {}}', 2, "mcpServers stands twice"),
        ('{"mcpServers": {"argosy": 1,\n"argosy": 2}}', 2, "argosy stands twice"),
        ("// nothing but this\n", 2, "the text ends"),
    ],
)
def test_what_cannot_hold_the_entry_is_named_with_its_line(text: str, line: int, says: str) -> None:
    for edit in (lambda: put(text, PATH, 1), lambda: take(text, PATH)):
        with pytest.raises(JsoncError, match=says) as caught:
            edit()
        assert caught.value.line == line


# Any text

KEYS = st.sampled_from(["mcpServers", "argosy", "other", "a//b", "/*", '"', "ключ"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from(["", "x", "// no", "*/", "{", "é"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)
SERVERS = st.dictionaries(st.sampled_from(["argosy", "files", "web"]), VALUES, max_size=3)
DOCUMENTS = st.one_of(
    st.dictionaries(st.sampled_from(["a", "b"]), VALUES, max_size=2),
    st.tuples(st.dictionaries(st.sampled_from(["a", "z"]), VALUES, max_size=2), SERVERS, st.booleans()).map(
        lambda parts: {"mcpServers": parts[1], **parts[0]} if parts[2] else {**parts[0], "mcpServers": parts[1]}
    ),
)
REMARKS = [" /* c{0} */ ", " // c{0}\n", "\n// c{0} }} ,\n  ", "/* c{0}\n */"]
GAPS = st.sampled_from(["", " ", "\n", "\n  ", "\n\t", *REMARKS])


@st.composite
def texts(draw: st.DrawFn) -> str:
    """A document in any layout, every comment in it different."""
    count = [0]

    def gap() -> str:
        count[0] += 1
        return draw(GAPS).replace("{0}", f"<{count[0]}>")

    def write(value: Any) -> str:
        if isinstance(value, dict):
            members = [f"{gap()}{json.dumps(key)}{gap()}:{gap()}{write(item)}{gap()}" for key, item in value.items()]
            return "{" + joined(members) + gap() + "}"
        if isinstance(value, list):
            return "[" + joined([gap() + write(item) + gap() for item in value]) + gap() + "]"
        return json.dumps(value, ensure_ascii=draw(st.booleans()))

    def joined(parts: list[str]) -> str:
        return ",".join(parts) + ("," if parts and draw(st.booleans()) else "")

    text = gap() + write(draw(DOCUMENTS)) + gap()
    return text.replace("\n", "\r\n") if draw(st.booleans()) else text


def comments_outside(text: str, path: tuple[str, ...]) -> list[str]:
    """The marks of all comments but those inside the value at *path* and between its key and it."""
    found = find(text, path)
    if found is not None:
        start = text.rfind(json.dumps(path[-1]), 0, found.start)
        text = text[:start] + text[found.end :]
    return re.findall(r"c<\d+>", text)


@given(texts(), VALUES)
@settings(max_examples=120, deadline=None)
def test_an_edit_gives_what_was_meant_and_keeps_every_comment(text: str, value: Any) -> None:
    expected = value_of(text)
    changed = put(text, PATH, value)
    expected.setdefault("mcpServers", {})["argosy"] = value
    assert value_of(changed) == expected
    assert list(value_of(changed)["mcpServers"]) == list(expected["mcpServers"])
    assert comments_outside(changed, PATH) == comments_outside(text, PATH)


@given(texts())
@settings(max_examples=120, deadline=None)
def test_a_removal_takes_one_member_and_no_comment_of_others(text: str) -> None:
    expected = value_of(text)
    expected.get("mcpServers", {}).pop("argosy", None)
    changed = take(text, PATH)
    assert value_of(changed) == expected
    assert comments_outside(changed, PATH) == comments_outside(text, PATH)
    assert take(changed, PATH) == changed


@given(texts(), VALUES)
@settings(max_examples=120, deadline=None)
def test_what_was_added_and_removed_leaves_the_text_as_it_was(text: str, value: Any) -> None:
    if find(text, PATH) is not None:
        text = take(text, PATH)
    servers = find(text, PATH[:1])
    if servers is None or not servers.members:
        return  # an empty object is opened for its first member
    assert take(put(text, PATH, value), PATH) == text


@given(texts(), VALUES)
@settings(max_examples=100, deadline=None)
def test_a_replacement_changes_only_the_value(text: str, value: Any) -> None:
    found = find(text, PATH)
    if found is not None:
        changed = put(text, PATH, value)
        assert changed.startswith(text[: found.start])
        assert changed.endswith(text[found.end :])


@given(st.text(alphabet='{}[]",:/*\n \\a1-', max_size=40))
@settings(max_examples=150, deadline=None)
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        put(text, PATH, ENTRY)
    except JsoncError as exc:
        assert 1 <= exc.line <= text.count("\n") + 1
