from __future__ import annotations

from collections.abc import Mapping

import pytest

from argosy_core.errors import Corrupted, InvalidArgument, NotFound
from argosy_core.policy.scope import check_write
from argosy_core.types import ActionClass, ClassPolicy
from argosy_core.views.agents import default_agent, list_agents, load_agent, load_fleet
from argosy_core.views.reader import MappingReader

ALDER = {
    "alder/model.md": "## Default model\n\n`large-1`\n",
    "alder/persona/IDENTITY.md": "# Alder\n\nKeeps hedges and lanes. More.\n\n## Operating mode\n\nhybrid\n",
    "alder/tools.md": "## Write paths\n- `memory/`\n\n## Tool classification\n- send_mail: high_risk\n",
    "alder/judges.md": "## Class policy\n- high_risk: escalate\n",
    "alder/mcp.md": "## files\ncommand: npx\n",
    "alder/roster.md": "# Roster\n\n## Delegate to\n\n- **birch** — figures\n- oak\n- alder\n",
    "alder/agent.yaml": "agent:\n  name: alder\n  capabilities: [hedges, lanes]\n",
    "alder/skills/laying/SKILL.md": "---\ndescription: Lays hedges\n---\n",
    "birch/agent.yaml": "description: Adds up\n",
    "_fleet/model.md": "",
    ".argosy/model.md": "",
    "orchard/2026.md": "",
}


def vault(changes: Mapping[str, str | bytes] | None = None) -> MappingReader:
    return MappingReader({**ALDER, **(changes or {})})


class Broken(MappingReader):
    """A reader for which some files exist and cannot be read."""

    def read(self, path: str) -> bytes | None:
        if path == "alder/tools.md":
            raise Corrupted(f"{path} is a pipe", hint="replace it by a file")
        return super().read(path)


def test_an_agent_is_a_folder_with_a_model_or_a_contract() -> None:
    assert list_agents(vault()) == ["alder", "birch"]
    assert list_agents(MappingReader({})) == []


def test_an_agents_files_make_one_view() -> None:
    agent = load_agent(vault(), "alder")

    assert (agent.name, agent.description, agent.mode) == ("alder", "Keeps hedges and lanes.", "hybrid")
    assert agent.is_goal_driven
    assert agent.model.default_model == "large-1"
    assert agent.tools.classification == {"send_mail": ActionClass.HIGH_RISK}
    assert agent.judges is not None
    assert agent.judges.class_policy == {ActionClass.HIGH_RISK: ClassPolicy.ESCALATE}
    assert [entry.server for entry in agent.mcp] == ["files"]
    assert [skill.name for skill in agent.skills] == ["laying"]
    assert agent.roster == ("birch", "oak")
    assert agent.capabilities == ("hedges", "lanes")
    assert [(p.file, p.line, p.message) for p in agent.problems] == [
        ("alder/roster.md", 6, "there is no agent 'oak'"),
        ("alder/roster.md", 7, "an agent cannot delegate to itself"),
    ]


def test_a_contract_alone_makes_an_agent() -> None:
    agent = load_agent(vault(), "birch")

    assert (agent.description, agent.mode, agent.is_goal_driven) == ("Adds up", "reactive", False)
    assert (agent.problems, agent.judges, agent.tools.write_paths) == ((), None, None)


@pytest.mark.parametrize(
    ("path", "text", "line", "said"),
    [
        ("tools.md", "## Tool classification\n- send_mail: risky\n", 2, "must be one of"),
        ("tools.md", b"## Write paths\n- \xff\n", 2, "not valid UTF-8"),
        ("judges.md", "## Class policy\n\n- high_risk: never\n", 3, "must be one of"),
        ("mcp.md", "# M\n\n## files\nargs: x\n", 3, "has no command"),
        ("model.md", "```yaml\ncost_guardrails: none\n```\n", 2, "must be a map"),
        ("agent.yaml", "agent:\n  a: b: c\n", 2, "must stand in quotes"),
        ("agent.yaml", "capabilities: hedges\n", 1, "a list of texts"),
        ("persona/IDENTITY.md", b"# A\n\n\xff\n", 3, "not UTF-8"),
        ("persona/IDENTITY.md", "## Operating mode\nquick\n", 1, "no operating mode"),
        ("skills/laying/SKILL.md", "---\ndescription: a: b\n---\n", 2, "must stand in quotes"),
    ],
)
def test_one_bad_file_is_named_with_its_line_and_hides_no_other(
    path: str, text: str | bytes, line: int, said: str
) -> None:
    agent = load_agent(vault({f"alder/{path}": text, "alder/roster.md": ""}), "alder")

    assert [(problem.file, problem.line) for problem in agent.problems] == [(f"alder/{path}", line)]
    assert said in agent.problems[0].message
    assert agent.problems[0].fix
    assert len(agent.skills) == 1


def test_while_tools_md_is_not_understood_nothing_is_writable() -> None:
    agent = load_agent(vault({"alder/tools.md": "## Tool classification\n- a: b\n"}), "alder")

    assert not check_write(agent.tools, "alder", "memory/x.md").allowed


def test_a_file_that_cannot_be_read_is_a_problem_too() -> None:
    agent = load_agent(Broken(ALDER), "alder")

    assert agent.problems[0].file == "alder/tools.md"
    assert agent.problems[0].fix == "replace it by a file"


def test_judges_looser_than_the_fleets_floor_are_a_problem() -> None:
    floor = "## Class policy\n- read_only: judge_required\n"
    agent = load_agent(
        vault({"judges.md": floor, "alder/judges.md": "## Class policy\n- read_only: bypass\n"}), "alder"
    )

    assert agent.judges is None
    assert any("looser than the fleet's floor" in problem.message for problem in agent.problems)


@pytest.mark.parametrize("name", ["oak", "", "..", "alder/", "_fleet", "orchard"])
def test_an_unknown_agent_is_not_found(name: str) -> None:
    with pytest.raises(NotFound):
        load_agent(vault(), name)


def test_the_default_agent_is_the_named_one_else_the_only_one() -> None:
    assert default_agent(vault({"fleet.md": "---\ndefault_agent: birch\n---\n"})) == "birch"
    assert default_agent(MappingReader({"alder/model.md": ""})) == "alder"


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (ALDER, "agents: alder, birch"),
        ({}, "there is none"),
        ({**ALDER, "fleet.md": "---\ndefault_agent: oak\n---\n"}, "names default_agent 'oak'"),
    ],
)
def test_without_a_default_agent_the_error_lists_the_agents(files: dict[str, str | bytes], said: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        default_agent(MappingReader(files))

    assert said in str(caught.value)


def test_the_fleets_settings_are_read() -> None:
    fleet = load_fleet(vault({"fleet.md": "---\napproval: attended\ncaps: {daily_usd: 5}\n---\n\nProse.\n"}))

    assert (fleet.approval, fleet.settings["caps"], fleet.problems) == ("attended", {"daily_usd": 5}, ())
    assert load_fleet(vault()).approval == "file"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("---\na: 1\nb: c: d\n---\n", 3),
        ("---\napproval: sometimes\n---\n", 2),
        (b"---\n\xff\n---\n", 2),
    ],
)
def test_while_the_fleets_settings_are_not_understood_a_person_must_be_there(text: str | bytes, line: int) -> None:
    fleet = load_fleet(vault({"fleet.md": text}))

    assert fleet.approval == "attended"
    assert [(problem.file, problem.line, problem.severity) for problem in fleet.problems] == [
        ("fleet.md", line, "error")
    ]
