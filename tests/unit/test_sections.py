"""Headings of Markdown, and what is no heading."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from argosy_core.sections import code_blocks, end_of, fence_for, headings, lines_of, section


def test_headings_are_found_with_their_level_and_place() -> None:
    found = headings("# A #\n\ntext\n  ## B\n####### no\n#no\n#\n")
    assert [(h.level, h.text, h.line) for h in found] == [(1, "A", 0), (2, "B", 3), (1, "", 6)]


def test_fenced_code_holds_no_headings() -> None:
    text = "```py\n# a\n````\n# b\n~~~\n# c\n```\n~~~\n# d\n"
    assert [h.text for h in headings(text)] == ["b", "d"]


def test_an_unclosed_fence_reaches_to_the_end() -> None:
    assert headings("# a\n```\n# b\n") == headings("# a\n")


def test_a_section_ends_at_the_next_heading_of_its_level() -> None:
    text = "## A\n\none\n\n### B\n\ntwo\n\n## C\n"
    found = headings(text)
    assert section(text, "A") == "one\n\n### B\n\ntwo"
    assert text[found[1].end : end_of(found[1], found, text)].strip() == "two"
    assert section(text, "D") is None


def test_fenced_blocks_are_found_with_their_line() -> None:
    found = code_blocks("a\n```yaml\nb: 1\n\n  ```\nc\n~~~\nd")
    assert [(code.info, code.text, code.line) for code in found] == [("yaml", "b: 1\n", 1), ("", "d", 6)]


@given(st.text(alphabet=st.sampled_from("#`~ a\n\r"), max_size=60))
def test_the_lines_are_the_text(text: str) -> None:
    lines = list(lines_of(text))
    assert "".join(text[line.start : line.end] for line in lines) == text
    assert [line.number for line in lines] == list(range(len(lines)))


@given(st.text(alphabet=st.sampled_from("`~ a\n"), max_size=60))
def test_what_is_fenced_stays_inside(text: str) -> None:
    fence = fence_for(text)
    page = f"{fence}\n{text}\n{fence}\n# after\n"
    assert [h.text for h in headings(page)] == ["after"]
    assert [code.text for code in code_blocks(page)] == [text]
