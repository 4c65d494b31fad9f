"""What the offline model makes of words, Markdown, dates and likeness."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy_host.providers.offline.dates import find_period
from argosy_host.providers.offline.intent import understand
from argosy_host.providers.offline.markdown import plain, read_units, sentences, shorten
from argosy_host.providers.offline.ranking import Bm25, is_near_duplicate, weigh
from argosy_host.providers.offline.words import query_tokens, stem, tokens

SUNDAY = "2026-11-15"


@pytest.mark.parametrize(
    ("forms", "root"),
    [
        (("debts", "debt"), "debt"),
        (("planning", "planned", "plans", "plan"), "plan"),
        (("deciding", "decided", "decides", "decide"), "decid"),
        (("families", "family"), "family"),
        (("boxes", "box"), "box"),
        (("glass",), "glass"),
        (("проекты", "проекта", "проектов", "проект"), "проект"),
    ],
)
def test_forms_of_a_word_meet_in_one_stem(forms: tuple[str, ...], root: str) -> None:
    assert {stem(form) for form in forms} == {root}


def test_names_are_split_where_a_person_would_split_them() -> None:
    assert tokens("feedback_debt_priority_order Sam's café CAFÉ") == [
        "feedback", "debt", "priority", "order", "sam", "cafe", "cafe",
    ]  # fmt: skip


def test_scripts_without_spaces_are_matched_by_pairs_of_signs() -> None:
    assert set(query_tokens("家計簿について")) == {"家計", "計簿"}
    assert set(query_tokens("家計簿について")) <= set(tokens("毎月の家計簿をつける。"))
    assert "हिंदी" in tokens("हिंदी में लिखो")


def test_a_question_of_stop_words_has_no_topic() -> None:
    assert understand("What should I do?", SUNDAY).facets == ()
    assert understand("What do I know about it?", SUNDAY).facets == ()


@pytest.mark.parametrize(
    ("task", "labels"),
    [
        ("What do I know about debt and freelance income, and what should I do next?", ["debt", "freelance income"]),
        ("Tell me about compost. How do the seeds do?", ["compost", "seeds"]),
        ("avalanche or snowball?", ["avalanche", "snowball"]),
        ("For Sam, what matters about debt?", ["Sam matters debt"]),
        ("What about a1, b2, c3, d4 and e5?", ["a1", "b2", "c3, d4, e5"]),
        ("堆肥と種について", ["堆肥", "種"]),
        ("Что я знаю о теплице и семенах?", ["теплице", "семенах"]),
    ],
)
def test_a_question_is_cut_into_its_parts(task: str, labels: list[str]) -> None:
    assert [facet.label for facet in understand(task, SUNDAY).facets] == labels


@pytest.mark.parametrize(
    ("phrase", "since", "until"),
    [
        ("today", "2026-11-15", "2026-11-15"),
        ("yesterday", "2026-11-14", "2026-11-14"),
        ("this week", "2026-11-09", "2026-11-15"),
        ("last week", "2026-11-02", "2026-11-08"),
        ("in the last 3 days", "2026-11-12", "2026-11-15"),
        ("over the past two weeks", "2026-11-01", "2026-11-15"),
        ("lately", "2026-11-01", "2026-11-15"),
        ("this month", "2026-11-01", "2026-11-15"),
        ("last month", "2026-10-01", "2026-10-31"),
        ("last year", "2025-01-01", "2025-12-31"),
        ("in October", "2026-10-01", "2026-10-31"),
        ("in December", "2025-12-01", "2025-12-31"),
        ("in February 2024", "2024-02-01", "2024-02-29"),
        ("since Monday", "2026-11-09", "2026-11-15"),
        ("on Wednesday", "2026-11-11", "2026-11-11"),
        ("last Sunday", "2026-11-08", "2026-11-08"),
        ("since October", "2026-10-01", "2026-11-15"),
        ("on 2026-11-09", "2026-11-09", "2026-11-09"),
        ("in 2026-09", "2026-09-01", "2026-09-30"),
        ("from 2026-11-01 to 2026-11-09", "2026-11-01", "2026-11-09"),
        ("between Monday and Wednesday", "2026-11-09", "2026-11-11"),
        ("on 3 November", "2026-11-03", "2026-11-03"),
        ("on November 3rd, 2025", "2025-11-03", "2025-11-03"),
        ("on 20 November", "2025-11-20", "2025-11-20"),
        ("на прошлой неделе", "2026-11-02", "2026-11-08"),
        ("сегодня", "2026-11-15", "2026-11-15"),
        ("今週", "2026-11-09", "2026-11-15"),
        ("昨日", "2026-11-14", "2026-11-14"),
    ],
)
def test_a_phrase_of_time_means_these_days(phrase: str, since: str, until: str) -> None:
    period, rest = find_period(f"What happened {phrase}?", SUNDAY)
    assert period
    assert (period.since, period.until) == (date.fromisoformat(since), date.fromisoformat(until))
    assert phrase.split()[-1] not in rest


@pytest.mark.parametrize(
    "text", ["What may I do?", "next Monday", "by Friday", "the second may pass", "2026-13-45", "hi"]
)
def test_what_only_looks_like_a_time_means_none(text: str) -> None:
    assert find_period(text, SUNDAY)[0] is None


@pytest.mark.parametrize("today", ["", "soon", "2026-02-30"])
def test_without_a_clock_no_phrase_means_anything(today: str) -> None:
    assert find_period("What happened this week?", today)[0] is None


@given(st.text(max_size=80), st.dates().map(date.isoformat))
def test_a_period_begins_before_it_ends(text: str, today: str) -> None:
    period, _ = find_period(text, today)
    assert period is None or period.since <= period.until


@pytest.mark.parametrize(
    ("marked", "text"),
    [
        ("**Why:** _because_ of `code` and ~~this~~", "Why: because of code and this"),
        ("See [the page](../a/b.md) and [[note_a|the note]] and [[note_b]]", "See the page and the note and note_b"),
        ("5 * 3 = 15 and snake_case_name", "5 * 3 = 15 and snake_case_name"),
        ("a <mark>word</mark><!-- hidden --> and <agent> <https://a.org>", "a word and <agent> https://a.org"),
        ("tab\tand\x1b[31m red\u202e", "tab and[31m red"),
        (r"2 \* 3 \# 4", "2 * 3 # 4"),
    ],
)
def test_marks_are_taken_off_and_words_are_left(marked: str, text: str) -> None:
    assert plain(marked) == text


def test_sentences_end_where_a_reader_would_end_them() -> None:
    text = "Use the plan (e.g. Mr. Bell's). It costs 3.50 pounds! Is it “good?” Yes. 雨が降る。風が吹く。"
    assert sentences(text) == [
        "Use the plan (e.g. Mr. Bell's).", "It costs 3.50 pounds!", "Is it “good?”", "Yes.", "雨が降る。", "風が吹く。",
    ]  # fmt: skip


def test_a_note_is_read_as_sentences_bullets_and_what_they_stand_under() -> None:
    units = read_units(
        "---\nname: x\n---\n# Plan\n\nThe first sentence is here and\ngoes on. The second one is here just as well.\n\n"
        "**How to apply:**\n- [ ] Order the panes\n- [x] Measure\n  the frames\n\n| a | b |\n|---|---|\n\n"
        "```sh\nmake *all*\n```\n***\n"
    )
    assert [(unit.text, unit.heading, unit.box) for unit in units] == [
        ("The first sentence is here and goes on.", "Plan", ""),
        ("The second one is here just as well.", "Plan", ""),
        ("Order the panes", "Plan How to apply:", "open"),
        ("Measure the frames", "Plan How to apply:", "done"),
        ("a | b", "Plan How to apply:", ""),
        ("make *all*", "Plan How to apply:", ""),
    ]


def test_a_sentence_too_short_to_stand_alone_stays_with_the_one_before() -> None:
    assert [unit.text for unit in read_units("He wants six months in the bank. He sleeps better.")] == [
        "He wants six months in the bank. He sleeps better."
    ]


def test_a_long_quotation_is_cut_at_a_word_and_says_so() -> None:
    cut = shorten("word " * 100, 50)
    assert cut.endswith("word …")
    assert len(cut) <= 52
    assert shorten("門" * 100, 50) == "門" * 50 + " …"


def test_a_rare_word_weighs_more_than_a_common_one() -> None:
    corpus = [weigh((text, 1.0)) for text in ("rain rain rain", "rain glass", "rain", "rain wind")]
    scores = Bm25(corpus).scores(["rain", "glass"])
    assert max(scores) == scores[1]
    assert Bm25(corpus).scores(["snow"]) == [0.0] * 4
    assert Bm25([]).scores(["rain"]) == []


def test_likeness_is_seen_whichever_text_is_longer() -> None:
    short, long = frozenset("abcd"), frozenset("abcdefghij")
    assert is_near_duplicate(short, long) and is_near_duplicate(long, short)
    assert not is_near_duplicate(frozenset("abcd"), frozenset("wxyz"))
