from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy_core.policy.persona import MODES, describe_agent, in_brief, mode_problems, operating_mode


@pytest.mark.parametrize(
    ("text", "mode"),
    [
        ("", "reactive"),
        ("# Alder\n\nA goal-driven gardener.\n", "reactive"),
        ("## Operating mode\n\ngoal-driven\n", "goal-driven"),
        ("## Operating mode\n\n**Hybrid** — mostly reactive.\n", "hybrid"),
        ("## Operating mode\n\nIt is `goal_driven`, not reactive.\n", "goal-driven"),
        ("## Operating Mode (since spring)\n\n- Goal driven, and seldom reactive\n", "goal-driven"),
        ("## Operating mode\n\n```\nhybrid\n```\n", "reactive"),
        ("---\nname: a\n---\n## Operating mode\n\nhybrid\n", "hybrid"),
    ],
)
def test_the_operating_mode_is_the_one_its_section_names(text: str, mode: str) -> None:
    assert operating_mode(text) == mode


def test_a_section_that_names_no_mode_is_a_problem() -> None:
    (problem,) = mode_problems("# A\n\n## Operating mode\n\nproactive\n")

    assert problem.line == 3
    assert "goal-driven" in problem.fix
    assert mode_problems("## Operating mode\nhybrid") == ()


@pytest.mark.parametrize(
    ("text", "description"),
    [
        ("---\ndescription: Prunes.\n---\nOther.", "Prunes."),
        ("# A\n\nProse first.\n\n- **Role**: Keeper of *hedges*\n", "Keeper of hedges"),
        ("# A\n\n**Role:** Keeper of hedges\n", "Keeper of hedges"),
        (
            "# IDENTITY — Alder\n\n## Who I am\n\nAlder. Kit's **gardener**, see [the book](x.md). More.\n",
            "Kit's gardener, see the book.",
        ),
        (
            "- a list\n\n> a quote\n\n| a | table |\n\nThe prose at last\ngoes on. Then more.",
            "The prose at last goes on.",
        ),
        ("Purpose-built for hedges and lanes. More.", "Purpose-built for hedges and lanes."),
        ("", ""),
    ],
)
def test_an_agent_is_described_by_field_role_or_first_sentence(text: str, description: str) -> None:
    assert describe_agent(text) == description


def test_a_description_is_cut_between_words() -> None:
    short = in_brief("word " * 100)

    assert len(short) <= 200
    assert short.endswith("word…")


@given(st.text())
def test_any_text_is_read(text: str) -> None:
    assert operating_mode(text) in MODES
    assert len(describe_agent(text)) <= 200
