from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from argosy_core.policy.entries import items, split_item, without_remark, yaml_entries
from argosy_core.policy.markdown import Line, bullets, code_spans, paragraphs, read_markdown, tidy

PAGE = """# Rules

Before.

## Write paths (own folder ONLY)

- `notes/` — what it learns
  and keeps
* second
  1. nested

```yaml
## not a heading
- not a bullet
```

<!-- - hidden -->
<!--
## Hidden
-->
### **Hard** NOs — no exceptions ###
> quoted
| table |
Last words
go on.
"""


def test_sections_keep_their_lines_and_fences() -> None:
    page = read_markdown(PAGE)

    assert [(s.level, s.name, s.line) for s in page.sections] == [
        (0, "", 1),
        (1, "rules", 1),
        (2, "write paths", 5),
        (3, "hard nos", 21),
    ]
    assert page.open_line is None
    fence = page.sections[2].fences[0]
    assert (fence.language, fence.line, fence.text) == ("yaml", 13, "## not a heading\n- not a bullet\n")


def test_list_items_know_their_line_and_their_continuation() -> None:
    section = read_markdown(PAGE).named("write paths")[0]

    assert [(b.line, b.text, b.indent) for b in bullets(section.lines)] == [
        (7, "`notes/` — what it learns and keeps", 0),
        (9, "second", 0),
        (10, "nested", 2),
    ]


def test_paragraphs_leave_out_lists_tables_and_quotes() -> None:
    assert paragraphs(read_markdown(PAGE).named("hard nos")[0].lines) == ["Last words go on."]


def test_a_fence_or_comment_that_never_ends_is_named() -> None:
    assert read_markdown("a\n~~~\nb\n").open_line == 2
    assert read_markdown("a\n\n<!-- b\n## c\n").open_line == 3
    assert read_markdown("````\n```\n````\n").open_line is None


def test_an_indented_fence_loses_its_indentation() -> None:
    fence = read_markdown("- a\n  ```yaml\n  b:\n    c: 1\n  ```\n").sections[0].fences[0]

    assert fence.text == "b:\n  c: 1\n"


def test_marks_and_links_are_taken_off() -> None:
    assert tidy("**Never** use [the web](https://x.example) or `rm`, snake_case stays") == (
        "Never use the web or rm, snake_case stays"
    )
    assert code_spans("`a/` and `b c` — ` `") == ["a/", "b c"]


def test_lines_become_a_tree_by_their_indentation() -> None:
    lines = ["- **budget**:", "  - daily_usd: 1", "  - monthly_usd: 20", "- note: first", "  second", "Plain words"]
    found = items(Line(number, text) for number, text in enumerate(lines, 1))

    assert [(item.key, item.text, item.is_bullet, len(item.children)) for item in found] == [
        ("budget", "", True, 2),
        ("note", "first second", True, 0),
        ("", "Plain words", False, 0),
    ]
    assert [child.line for child in found[0].children] == [2, 3]


def test_key_and_value_are_told_from_prose() -> None:
    assert split_item("**Role**: gardener") == ("Role", "gardener")
    assert split_item("`tool`: high_risk") == ("tool", "high_risk")
    assert split_item("**Role:** gardener") == ("Role", "gardener")
    assert split_item("see https://x.example") is None
    assert split_item("no colon") is None


def test_remarks_are_taken_off_values() -> None:
    for text in ("`x` — why", "x (why)", "x # why", "**x**", "`x`", "x — why"):
        assert without_remark(text) == "x"
    assert without_remark("{a: 1} # why") == "{a: 1} # why"
    assert without_remark("a/b (c)/d") == "a/b (c)/d"


def test_yaml_entries_carry_lines_of_the_file() -> None:
    (outer,) = yaml_entries("a:\n  b: 1\n  c: [x]\n", first_line=10)

    assert (outer.line, outer.is_map) == (10, True)
    assert [(child.key, child.line, child.value) for child in outer.children] == [("b", 11, 1), ("c", 12, ["x"])]


@given(st.text(st.sampled_from("#-*` ~<!>\n\tab:|") | st.characters()))
def test_any_text_is_cut_without_losing_count_of_lines(text: str) -> None:
    page = read_markdown(text)
    lines = text.split("\n")

    for section in page.sections:
        bullets(section.lines)
        paragraphs(section.lines)
        items(section.lines)
        assert all(
            line.text.strip() in lines[line.number - 1] or "<!--" in lines[line.number - 1] for line in section.lines
        )
