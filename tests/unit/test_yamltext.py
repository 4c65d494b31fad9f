from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy_core.yamltext import YamlProblem, load, load_map, plain


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", True),
        ("Off", False),
        ("null", None),
        ("~", None),
        ("-12", -12),
        ("1.50", 1.5),
        ("1.5e+3", 1500.0),
        ("2026-03-01", "2026-03-01"),
        ("12:30", "12:30"),
        ("007", "007"),
        ("0x1F", "0x1F"),
        ("1e5", "1e5"),
        ("1.2.3", "1.2.3"),
        ("y", "y"),
        ("1.0e999", "1.0e999"),
    ],
)
def test_an_unquoted_word_means_what_a_person_expects(text: str, value: object) -> None:
    assert plain(text) == value
    assert type(plain(text)) is type(value)


def test_keys_are_text_and_quoted_values_too() -> None:
    assert load("1: '2'\nno: \"3\"\n") == {"1": "2", "no": "3"}


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("a: 1\nb: c: d", 2, "must stand in quotes"),
        ('a: 1\nb: "open\nc: 2', 2, "never closed"),
        ("a: [1, 2\nb: 3", 1, "never closed"),
        ("a: 1\nb: *x", 2, "aliases"),
        ("a: !!python/object:os.system x", 1, "tags are not read"),
        ("a: !x 1", 1, "tags are not read"),
        ("a: 1\nb: 2\na: 3", 3, "a second time"),
        ("a: 1\n? [b]\n: 2", 2, "must be plain text"),
        ("a: 1\nb: @c", 2, "put it in quotes"),
        ("a: 1\nb: \x07", 2, "control character"),
        ("a: \ud800", 1, "control character"),
        ("a: 1\n---\nb: 2", 2, "second document"),
        ("a: 1\n b: 2", 2, "must stand in quotes"),
    ],
)
def test_what_is_refused_is_named_with_its_line(text: str, line: int, said: str) -> None:
    with pytest.raises(YamlProblem) as caught:
        load(text, first_line=1)

    assert caught.value.line == line
    assert said in caught.value.reason
    assert str(caught.value) == f"line {line}: {caught.value.reason}"


def test_lines_count_from_where_the_caller_stands() -> None:
    with pytest.raises(YamlProblem) as caught:
        load("a: 1\nb: c: d", first_line=40)

    assert caught.value.line == 41


def test_a_map_is_asked_for_and_a_list_refused() -> None:
    assert load_map("") == {}
    with pytest.raises(YamlProblem, match="not `key: value`"):
        load_map("- a\n")


@pytest.mark.parametrize("text", ["[" * 60_000, "- " * 30_000, "? " * 30_000, "{a: " * 16_000, "x" * 70_000])
def test_what_would_exhaust_the_stack_or_memory_is_refused_at_once(text: str) -> None:
    started = time.perf_counter()
    with pytest.raises(YamlProblem):
        load(text)

    assert time.perf_counter() - started < 1


def test_sixty_levels_are_read_and_seventy_are_not() -> None:
    assert load("[" * 60 + "]" * 60) is not None
    with pytest.raises(YamlProblem, match="too deeply"):
        load("[" * 70 + "]" * 70)


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        value: Any = load(text)
    except YamlProblem as problem:
        assert problem.line >= 1
    else:
        assert value is None or isinstance(value, str | int | float | bool | list | dict)
