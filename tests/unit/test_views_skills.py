from __future__ import annotations

from argosy_core.views.reader import MappingReader
from argosy_core.views.skills import list_skills, load_skill, read_skill

SKILL = """---
name: hedge-laying
description: >
  Lays a hedge
  by hand.
when_to_use: |
  In winter:
  - when sap is down
---

## Steps
"""


def test_a_skill_shows_name_description_and_occasion() -> None:
    skill = read_skill("alder/skills/hedges/SKILL.md", SKILL)

    assert (skill.name, skill.path) == ("hedge-laying", "alder/skills/hedges/SKILL.md")
    assert skill.description == "Lays a hedge by hand."
    assert skill.when_to_use == "In winter: - when sap is down"
    assert (skill.degraded, skill.problems) == (None, ())


def test_a_skill_without_a_name_is_called_like_its_folder() -> None:
    assert read_skill("alder/skills/hedges/SKILL.md", "---\ndescription: x\n---\n").name == "hedges"


def test_an_agents_skills_come_before_the_fleets_and_hide_their_namesakes() -> None:
    reader = MappingReader(
        {
            "alder/skills/hedges/SKILL.md": SKILL,
            "alder/skills/_draft/SKILL.md": SKILL,
            "alder/skills/empty/notes.md": "",
            "_fleet/skills/hedge-laying/SKILL.md": SKILL,
            "_fleet/skills/accounts/SKILL.md": "---\ndescription: Sums\n---\n",
        }
    )

    assert [skill.path for skill in list_skills(reader, "alder")] == [
        "alder/skills/hedges/SKILL.md",
        "_fleet/skills/accounts/SKILL.md",
    ]
    assert [skill.name for skill in list_skills(reader, None)] == ["accounts", "hedge-laying"]
    assert load_skill(reader, "alder/skills/none/SKILL.md") is None


def test_what_is_wrong_with_a_skill_is_listed_with_its_line() -> None:
    text = f"---\nname: Hedge Laying\ndescription: {'d' * 1100}\nwhen_to_use: {'w ' * 201}\n---\n" + "line\n" * 501
    skill = read_skill("a/skills/x/SKILL.md", text)

    assert len(skill.description) == 1024
    assert [problem.line for problem in skill.problems] == [2, 3, 4, 6]
    assert {problem.file for problem in skill.problems} == {"a/skills/x/SKILL.md"}
    assert [p.message for p in read_skill("a/skills/claude/SKILL.md", "---\ndescription: a: b\n---\n").problems] == [
        'unexpected ": " (a value that holds it must stand in quotes)',
        "'claude' is no name for a skill",
    ]
    assert "no description" in read_skill("a/skills/x/SKILL.md", "text").problems[0].message
