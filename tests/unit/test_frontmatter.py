from __future__ import annotations

import time

import pytest
import yaml
from hypothesis import event, example, given
from hypothesis import strategies as st

from argosy_core.errors import InvalidArgument, TooLarge
from argosy_core.frontmatter import REMOVE, edit, key_line, parse, render, written
from argosy_core.frontmatter.block import find_block

NOTE = """---
schema_version: 1
name: Two hives moved to the orchard
type: project
captured: 2026-03-01
sources:
  - conversation_2026-03-01
  - journal/2026-03-01.md
pinned: false
expires_at: null
tags: [bees, orchard]
---

The *eastern* row now holds both.
"""

BROKEN = """---
name: Feed before frost
description: Agreed: syrup first, fondant later
tags: [bees, winter]
sources:
  - conversation_a
  - note: with: colons
---

Body.
"""

# Text whose characters meet every corner of the grammar, and YAML that is close to valid.
odd_text = st.text(
    st.sampled_from(" \t\n\r\x85\u2028\ufeff:-#'\"[]{},&*!|>%@`?ab0.~\\é") | st.characters(), max_size=40
)
key_names = st.text(st.sampled_from("abcXY_- :#'\"é0"), min_size=1, max_size=8)
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
    | st.sampled_from(
        ["2026-03-01", "12:30", "007", "no", "a: b", "x #y", "- z", "", "null", "1_000", "=", "~/a", "a\nb\n"]
    )
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(key_names, inner, max_size=3)
)
fields = st.dictionaries(key_names, values, max_size=5)
head_lines = st.sampled_from(
    [
        "a: 1",
        "b: 'two'",
        "c:",
        "  - x",
        "- y",
        "  z: 1",
        "# note",
        "",
        "  # inner",
        "d: [p, q]  # tail",
        "e: |",
        "  text",
        "f: un: quoted",
        'g: "open',
        'close"',
        "h: {k: v}",
        "a: again",
        "i: *x",
        "j: &x 1",
        "k: !t 1",
        "just words",
        "? q",
        ": r",
        "'l m': 3",
        "\tn: 1",
        "o: >-",
        "  folded",
        "\u2028p: 1",
        "{s: 1, t: 2}",
        "  u: 1",
        "v: @w",
        "...x: 1",
        "%Y: 1",
        "d: [p,",
        "q]",
    ]
)
heads = st.lists(head_lines, max_size=8).map("\n".join)
pages = st.builds(
    lambda mark, head, end, body, eol: (mark + "---\n" + head + "\n" + end + body).replace("\n", eol),
    st.sampled_from(["", "\ufeff"]),
    heads,
    st.sampled_from(["---\n", "---\n\n", "...\n", "--- \n", "", "\n"]),
    odd_text,
    st.sampled_from(["\n", "\r\n"]),
)


def test_a_note_is_read_into_fields_and_body() -> None:
    page = parse(NOTE)

    assert page.fields["sources"] == ["conversation_2026-03-01", "journal/2026-03-01.md"]
    assert page.fields["tags"] == ["bees", "orchard"]
    assert page.fields["pinned"] is False
    assert page.fields["expires_at"] is None
    assert page.body == "The *eastern* row now holds both.\n"
    assert page.degraded is None
    assert page.body_line == 14
    assert NOTE.splitlines()[page.body_line - 2] == ""


def test_dates_stay_text() -> None:
    page = parse("---\na: 2026-03-01\nb: 2026-03-01T10:00:00Z\nc: 12:30\nd: 007\n---\n")

    assert page.fields == {"a": "2026-03-01", "b": "2026-03-01T10:00:00Z", "c": "12:30", "d": "007"}


def test_keys_stay_as_written() -> None:
    assert parse("---\nyes: 1\n2026: 2\n'on': 3\n---\n").fields == {"yes": 1, "2026": 2, "on": 3}


def test_a_value_with_an_unquoted_colon_is_read_and_reported_with_its_line() -> None:
    page = parse(BROKEN)

    assert page.fields["description"] == "Agreed: syrup first, fondant later"
    assert page.fields["tags"] == ["bees", "winter"]
    assert page.fields["sources"] == ["conversation_a", {"note": "with: colons"}] or page.fields["sources"] == [
        "conversation_a",
        "note: with: colons",
    ]
    assert page.degraded is not None
    assert page.degraded.startswith("line 3: ")
    assert page.body == "Body.\n"


@pytest.mark.parametrize(
    ("head", "key", "value", "line"),
    [
        ('a: "open\nb: 2', "a", '"open', 2),
        ("a: [one, two\nb: 2", "a", ["one", "two"], 2),
        ("a: 1\na: 2", "a", 2, 3),
        ("a: &x 1\nb: *x", "b", "*x", 2),
        ("a: !!python/none 1", "a", "!!python/none 1", 2),
        ("a: @home", "a", "@home", 2),
        ("a: 1\n words", "a", "1 words", None),
        ("words\na: 1", "a", 1, 3),
        ("a: b: c\nlong: >\n  one\n  two\n", "long", "one two\n", 2),
        ("a: b: c\nlist:\n- x\n- 'y'\n- 3", "list", ["x", "y", 3], 2),
        ("a: \x01", "a", "\x01", 2),
    ],
)
def test_what_can_be_read_of_a_broken_head_is_read(head: str, key: str, value: object, line: int | None) -> None:
    page = parse(f"---\n{head}\n---\nbody")

    assert page.fields[key] == value
    assert line is None if page.degraded is None else page.degraded.startswith(f"line {line}: ")
    assert page.body == "body"


def test_a_page_without_a_head_is_all_body() -> None:
    assert parse("Just text.\n---\nmore\n") == parse("Just text.\n---\nmore\n")
    page = parse("Just text.\n")

    assert (page.fields, page.body, page.degraded) == ({}, "Just text.\n", None)


def test_a_rule_at_the_top_of_a_page_is_not_a_head() -> None:
    page = parse("---\n\nA page that begins with a rule.\n")

    assert page.degraded is None
    assert page.body.startswith("---\n")


def test_a_head_that_is_never_closed_is_read_and_reported() -> None:
    page = parse("---\nname: Lost its end\narchived: true\n\nBody: here\n")

    assert page.fields == {"name": "Lost its end", "archived": True}
    assert page.degraded == "line 1: the head opened here has no closing ---"
    assert page.body == "Body: here\n"


def test_a_head_that_is_no_map_is_reported() -> None:
    page = parse("---\n- a\n- b\n---\n")

    assert page.fields == {}
    assert page.degraded == "line 2: this is not `key: value`"


def test_byte_order_mark_and_windows_line_ends_are_read_and_kept() -> None:
    text = "\ufeff---\r\nname: Hedge\r\ntags: [a]\r\n---\r\n\r\nBody\r\n"
    page = parse(text)

    assert page.fields == {"name": "Hedge", "tags": ["a"]}
    assert page.body == "Body\r\n"
    assert edit(text, {"name": "Ditch", "new": 1}) == (
        "\ufeff---\r\nname: Ditch\r\ntags: [a]\r\nnew: 1\r\n---\r\n\r\nBody\r\n"
    )


def test_alias_bombs_deep_nesting_and_huge_heads_are_refused_quickly() -> None:
    bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{c}: &{c} [*{p},*{p},*{p},*{p}]\n" for p, c in zip("abcdefgh", "bcdefghi", strict=True)
    )
    deep = ["a: " + "[" * 60_000, "a:\n" + "- " * 30_000, "? " * 30_000]
    huge = "k" * 1_000_000 + ": 1"
    started = time.perf_counter()
    reasons = [parse(f"---\n{head}\n---\nbody").degraded for head in (bomb, *deep, huge)]

    assert all(reasons), reasons
    assert "anchors" in str(reasons[0])
    assert "nested too deeply" in str(reasons[1])
    assert "longer than 64 KiB" in str(reasons[4])
    assert time.perf_counter() - started < 2


def test_the_line_of_a_key_and_its_written_form_are_found() -> None:
    page = parse("---\nname: No\nversion: 1.10 # two\n---\n")

    assert page.fields["name"] is False
    assert (written(page, "name"), written(page, "version"), written(page, "none")) == ("No", "1.10", None)
    assert (key_line(page, "version"), key_line(page, "none")) == (3, 1)


def test_a_new_page_is_written_in_the_house_style() -> None:
    data = {
        "name": "Feed: before frost",
        "captured": "2026-03-01",
        "sources": ["conversation_1", "wiki/a b.md"],
        "pinned": False,
        "supersedes": None,
        "tags": ["bees", "a, b"],
        "steps": [{"id": "one", "needs": []}, {"id": "two"}],
        "why": "First.\n\nSecond.\n",
    }

    assert render(data, "Body.\n") == (
        '---\nname: "Feed: before frost"\ncaptured: 2026-03-01\nsources:\n  - conversation_1\n  - wiki/a b.md\n'
        'pinned: false\nsupersedes: null\ntags: [bees, "a, b"]\nsteps:\n  - id: one\n    needs: []\n  - id: two\n'
        "why: |\n  First.\n\n  Second.\n---\n\nBody.\n"
    )


def test_words_that_other_readers_take_for_something_else_are_quoted() -> None:
    words = ["no", "On", "null", "~", "12:30", "1_000", "007", "0x1F", ".inf", "=", "<<", "1e5", "- a", "a:", "'q'"]
    text = render({"words": words}, "")
    loaded = yaml.safe_load(text.split("---\n")[1])

    assert loaded == {"words": words}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), b"x", {1: 2}, "\ud800", object(), {"k" * 200: 1}])
def test_a_value_that_json_cannot_hold_is_refused(value: object) -> None:
    with pytest.raises(InvalidArgument):
        render({"a": value}, "")


def test_a_head_above_64_kib_is_refused() -> None:
    with pytest.raises(TooLarge):
        render({"a": "x" * 70_000}, "")
    with pytest.raises(TooLarge):
        edit(NOTE, {"a": "x" * 70_000})


EDITED_BY_HAND = """---
# who
name: 'Ann''s page'   # keep me
"odd key": 1

tags: [a, b]  # in brackets
sources:
  # the first one
  - x
  - y
# below the list

text: |
  one
  # not a comment

flag: yes
---
Body
"""


@pytest.mark.parametrize(
    ("changes", "before", "after"),
    [
        ({"name": "New: name"}, "'Ann''s page'", '"New: name"'),
        ({"odd key": [2]}, '"odd key": 1\n', '"odd key":\n  - 2\n'),
        ({"tags": ["c"]}, "[a, b]", "[c]"),
        ({"sources": ["z"]}, "  # the first one\n  - x\n  - y\n", "  - z\n"),
        ({"sources": REMOVE}, "sources:\n  # the first one\n  - x\n  - y\n", ""),
        ({"text": None}, "text: |\n  one\n  # not a comment\n", "text: null\n"),
        ({"flag": False}, "flag: yes\n", "flag: false\n"),
        ({"new": "x", "also": 1}, "flag: yes\n", "flag: yes\nnew: x\nalso: 1\n"),
        ({"missing": REMOVE}, "", ""),
        ({"flag": True, "tags": ["a", "b"]}, "", ""),
    ],
)
def test_an_edit_keeps_every_other_byte(changes: dict[str, object], before: str, after: str) -> None:
    assert edit(EDITED_BY_HAND, changes) == EDITED_BY_HAND.replace(before, after, 1)


def test_a_broken_head_can_be_edited_and_mended() -> None:
    archived = edit(BROKEN, {"archived": True})
    mended = edit(BROKEN, {"description": "Agreed: syrup", "sources": ["conversation_a"]})

    assert archived == BROKEN.replace("---\n\nBody", "archived: true\n---\n\nBody")
    assert parse(mended).degraded is None
    assert parse(mended).fields["description"] == "Agreed: syrup"


def test_a_head_is_made_where_there_is_none() -> None:
    assert edit("Text\n", {"a": 1}) == "---\na: 1\n---\n\nText\n"
    assert edit("\ufeffText\r\n", {"a": 1}) == "\ufeff---\r\na: 1\r\n---\r\n\r\nText\r\n"
    assert edit("", {"a": None}) == "---\na: null\n---\n"
    assert edit("Text\n", {"a": REMOVE}) == "Text\n"


def test_a_head_in_braces_is_written_anew() -> None:
    text = edit("---\n{a: 1, b: 2}\n---\nBody\n", {"b": 3})

    assert text == "---\na: 1\nb: 3\n---\nBody\n"


@given(fields, odd_text)
def test_what_is_rendered_is_parsed_back(data: dict[str, object], body: str) -> None:
    page = parse(render(data, body))

    assert page.degraded is None
    assert page.fields == data
    assert list(page.fields) == list(data)
    assert page.body == body


@given(fields)
def test_what_is_rendered_means_the_same_to_an_ordinary_yaml_reader(data: dict[str, object]) -> None:
    page = render({"data": data}, "body")
    loader = yaml.BaseLoader

    assert set(yaml.load(page.split("---\n")[1], Loader=loader)["data"]) == set(data)


@given(st.text() | odd_text | pages)
@example("---\nk:\n---\n")
def test_reading_never_raises_and_an_empty_edit_changes_nothing(text: str) -> None:
    page = parse(text)

    assert edit(text, {}) == text
    assert text.endswith(page.body)
    block = find_block(text)
    assert block is None or block.opening + block.head + block.closing + block.rest == text


@given(pages | odd_text, st.sampled_from("abcdefghvz"), scalars | values)
def test_an_edit_changes_the_named_field_and_no_other(text: str, key: str, value: object) -> None:
    before = parse(text)
    after = parse(edit(text, {key: value}))

    event("degraded" if before.degraded else "valid")
    assert after.fields[key] == value
    assert after.body == before.body
    assert before.degraded or after.fields == {**before.fields, key: value}


@given(pages | odd_text, st.sampled_from("abcdefghvz"))
def test_a_removed_field_is_gone_and_the_others_stay(text: str, key: str) -> None:
    before = parse(text)
    after = parse(edit(text, {key: REMOVE}))

    assert key not in after.fields
    assert before.degraded or after.fields == {name: item for name, item in before.fields.items() if name != key}


@given(pages)
def test_an_edit_keeps_the_lines_of_a_broken_head(text: str) -> None:
    edited = edit(text, {"new": 1})

    assert [line for line in text.splitlines() if line not in edited] == [] or not parse(text).degraded


@given(fields, odd_text, st.sampled_from(["one", "two"]), values)
def test_an_edit_of_a_rendered_page_leaves_all_other_lines(
    data: dict[str, object], body: str, key: str, value: object
) -> None:
    text = render({**data, "last one": 1}, body)
    edited = edit(text, {key: value})

    assert edited.startswith(text[: text.index("last one")])
    assert edited.endswith(body)
    assert edit(edited, {key: REMOVE}) == text
