"""The registry server through the protocol."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError
from served import Answer, Bench, call, text_in

from argosy_core.clock import SystemClock
from argosy_core.types import Role
from argosy_registry.server import create

FLEET = ["desk", "goal", "host", "journal", "judge", "log", "memory", "queue", "registry", "scheduler", "secrets"]
pytestmark = pytest.mark.anyio

IDENTITY = "# Harbor\n\nI keep the week of a bindery.\n\n## Operating mode\n\nThis agent is **goal-driven**.\n"
TOOLS = "## Write paths\n\n- `memory/`\n\n## Read-only paths\n\n- `persona/`\n\n## Hard NOs\n\n- Never send mail\n"
SKILL = "---\nname: week\ndescription: Close a week\nwhen_to_use: On Sundays\n---\n\n# Week\n\nRead, count, write.\n"


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    bench = Bench(tmp_path)
    bench.write("harbor/model.md", "```yaml\ndefault_model: some-model-5\nfallback_model: small-model-5\n```\n")
    bench.write("harbor/agent.yaml", "description: Keeps the week\ncapabilities: [planning, counting]\n")
    bench.write("harbor/persona/IDENTITY.md", IDENTITY)
    bench.write("harbor/persona/SOUL.md", "# Soul\n\nCalm.\n")
    bench.write("harbor/tools.md", TOOLS)
    bench.write("harbor/skills/week/SKILL.md", SKILL)
    bench.write("harbor/skills/week/references/figures.md", "Count text blocks.")
    bench.write("_fleet/skills/fog/SKILL.md", "---\ndescription: Sound the horn\n---\n\nTwice a minute.\n")
    return bench


async def ask(bench: Bench, tool: str, role: Role = Role.AGENT, **arguments: Any) -> Answer:
    return await call(create, bench.config(role=role), tool, **arguments)


async def names(bench: Bench, tool: str = "agent_list", **arguments: Any) -> list[str]:
    return [item["name"] for item in (await ask(bench, tool, **arguments)).fields["items"]]


# Agents


async def test_agents_are_listed_with_what_each_is_for(bench: Bench) -> None:
    listed = await ask(bench, "agent_list")
    harbor, reef = listed.fields["items"]
    assert harbor == {
        "name": "harbor",
        "description": "Keeps the week",
        "mode": "goal-driven",
        "model": "some-model-5",
        "capabilities": ["planning", "counting"],
        "skills": ["week", "fog"],
        "problems": 0,
        "uri": "agent://harbor",
    }
    assert (reef["name"], reef["mode"], reef["model"]) == ("reef", "reactive", None)
    assert listed.text.splitlines()[0] == "harbor (goal-driven): Keeps the week"


async def test_agents_are_found_by_capability_and_by_words(bench: Bench) -> None:
    assert await names(bench, capability="Planning") == ["harbor"]
    assert await names(bench, capability="plan") == []
    assert await names(bench, query="WEEK keeps") == ["harbor"]
    assert await names(bench, query="week nothing") == []


async def test_agents_come_in_pages(bench: Bench) -> None:
    for number in range(5):
        bench.write(f"crew{number}/model.md", "# MODEL\n")
    seen: list[str] = []
    cursor = None
    while True:
        page = (await ask(bench, "agent_list", limit=3, cursor=cursor)).fields
        seen += [item["name"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == ["crew0", "crew1", "crew2", "crew3", "crew4", "harbor", "reef"]


async def test_a_cursor_of_nobodys_is_refused(bench: Bench) -> None:
    for tool in ("agent_list", "skill_list", "server_list"):
        assert (await ask(bench, tool, cursor="nonsense")).code == "invalid_argument"


async def test_an_agent_is_described_in_full(bench: Bench) -> None:
    bench.write("harbor/roster.md", "## Delegate to\n\n- reef — soundings\n")
    bench.write("harbor/mcp.md", "## weather\ncommand: uvx\nargs: weather-server\n")
    told = (await ask(bench, "agent_describe", agent="harbor")).fields
    assert told["model"] == {"default": "some-model-5", "fallback": "small-model-5", "provider": None}
    assert (told["write_paths"], told["read_only_paths"]) == (["memory/"], ["persona/"])
    assert (told["never"], told["delegates_to"], told["servers"]) == (["Never send mail"], ["reef"], ["weather"])
    assert [(skill["name"], skill["source"]) for skill in told["skills"]] == [("week", "agent"), ("fog", "fleet")]
    assert told["problems"] == []


async def test_an_agent_without_write_paths_writes_its_own_folder(bench: Bench) -> None:
    assert (await ask(bench, "agent_describe", agent="reef")).fields["write_paths"] == ["reef/"]


@pytest.mark.parametrize("name", ["nobody", "", "..", "harbor/persona", "/etc", "_fleet", ".argosy", "harbor\0"])
async def test_what_is_no_agent_is_not_found(bench: Bench, name: str) -> None:
    assert (await ask(bench, "agent_describe", agent=name)).code == "not_found"


async def test_problems_of_an_agents_files_are_named_with_file_line_and_fix(bench: Bench) -> None:
    bench.write("harbor/tools.md", "## Write paths\n\n- everywhere\n")
    bench.write("harbor/agent.yaml", "description: [\n")
    (bench.root / "harbor/persona/SOUL.md").unlink()
    (bench.root / "harbor/skills/odd").mkdir()
    (bench.root / "harbor/skills/odd/SKILL.md").symlink_to(bench.root / "reef/model.md")
    told = await ask(bench, "agent_describe", agent="harbor")
    found = {problem["file"]: problem for problem in told.fields["problems"]}
    assert set(found) == {"harbor/tools.md", "harbor/agent.yaml", "harbor/skills/odd/SKILL.md"}
    assert found["harbor/tools.md"]["line"] == 3
    assert all(problem["fix"] for problem in found.values())
    assert "harbor/tools.md:3" in told.text
    assert (await ask(bench, "agent_list")).fields["items"][0]["problems"] == 3
    assert [skill["name"] for skill in told.fields["skills"]] == ["week", "fog"]


# Skills


async def test_skills_of_the_agent_and_of_the_fleet_are_listed(bench: Bench) -> None:
    listed = await ask(bench, "skill_list")
    assert [(item["name"], item["source"]) for item in listed.fields["items"]] == [("fog", "fleet"), ("week", "agent")]
    assert "week: Close a week Use: On Sundays" in listed.text


async def test_skills_come_in_pages(bench: Bench) -> None:
    first = (await ask(bench, "skill_list", limit=1)).fields
    assert [item["name"] for item in first["items"]] == ["fog"]
    rest = (await ask(bench, "skill_list", limit=1, cursor=first["next_cursor"])).fields
    assert ([item["name"] for item in rest["items"]], rest["next_cursor"]) == (["week"], None)


async def test_an_agents_own_skill_goes_before_the_fleets_of_the_same_name(bench: Bench) -> None:
    bench.write("harbor/skills/fog/SKILL.md", "---\nname: fog\ndescription: Ours\n---\n\nOnce a minute.\n")
    assert (await ask(bench, "skill_load", skill="fog")).fields["text"] == "Once a minute.\n"


async def test_another_agents_skills_are_its_own(bench: Bench) -> None:
    bench.write("reef/skills/dive/SKILL.md", "---\ndescription: Dive\n---\n")
    assert await names(bench, "skill_list") == ["fog", "week"]
    assert (await ask(bench, "skill_load", skill="dive")).code == "not_found"


async def test_a_skill_is_loaded_without_its_head(bench: Bench) -> None:
    loaded = await ask(bench, "skill_load", skill="week")
    assert loaded.fields["text"] == "# Week\n\nRead, count, write.\n"
    assert loaded.fields["files"] == ["SKILL.md", "references/figures.md"]
    assert loaded.text.endswith("Files of this skill: references/figures.md")


async def test_a_skill_is_known_by_its_folder_too(bench: Bench) -> None:
    bench.write("harbor/skills/folder/SKILL.md", "---\nname: Long Name\n---\n\nText.\n")
    assert (await ask(bench, "skill_load", skill="Long Name")).fields["text"] == "Text.\n"
    assert (await ask(bench, "skill_load", skill="folder")).fields["text"] == "Text.\n"


async def test_a_skills_other_files_are_loaded_by_name(bench: Bench) -> None:
    loaded = await ask(bench, "skill_load", skill="week", file="references/figures.md")
    assert loaded.fields["text"] == "Count text blocks."


@pytest.mark.parametrize(
    "file",
    [
        "../../tools.md",
        "references/../../../tools.md",
        "/etc/passwd",
        "..",
        "a/b/c.md",
        "references\\..\\..\\tools.md",
        "./SKILL.md",
        "SKILL.md\0",
        "references//figures.md",
    ],
)
async def test_a_file_outside_the_skill_or_deeper_is_refused(bench: Bench, file: str) -> None:
    refused = await ask(bench, "skill_load", skill="week", file=file)
    assert refused.code == "invalid_argument"


async def test_a_percent_encoded_climb_is_just_a_name_that_is_not_there(bench: Bench) -> None:
    assert (await ask(bench, "skill_load", skill="week", file="%2e%2e%2ftools.md")).code == "not_found"


async def test_a_link_out_of_the_skill_is_refused(bench: Bench) -> None:
    (bench.root / "harbor/skills/week/out.md").symlink_to("/etc/hostname")
    (bench.root / "harbor/skills/week/up").symlink_to(bench.root)
    assert (await ask(bench, "skill_load", skill="week", file="out.md")).code == "permission_denied"
    assert (await ask(bench, "skill_load", skill="week", file="up/fleet.md")).code == "permission_denied"
    assert (await ask(bench, "skill_load", skill="week")).fields["files"] == ["SKILL.md", "references/figures.md"]


async def test_a_file_that_is_no_text_or_too_long_is_named(bench: Bench) -> None:
    bench.write("harbor/skills/week/logo.png", b"\x89PNG\n\xff\xff")
    bench.write("harbor/skills/week/long.md", "x" * 300_000)
    broken = await ask(bench, "skill_load", skill="week", file="logo.png")
    assert (broken.code, broken.detail["line"]) == ("corrupted", 1)
    assert (await ask(bench, "skill_load", skill="week", file="long.md")).code == "too_large"


@pytest.mark.parametrize("name", ["nothing", "../skills/week", "week/", "", "/week"])
async def test_what_is_no_skill_is_not_found(bench: Bench, name: str) -> None:
    assert (await ask(bench, "skill_load", skill=name)).code == "not_found"


async def test_without_an_agent_the_fleets_skills_are_there(bench: Bench) -> None:
    listed = await call(create, bench.config(agent=None), "skill_list")
    assert [item["name"] for item in listed.fields["items"]] == ["fog"]


async def test_the_run_token_says_whose_skills_are_meant(bench: Bench) -> None:
    bench.write("reef/skills/dive/SKILL.md", "---\ndescription: Dive\n---\n")
    listed = await call(create, bench.config(), "skill_list", bench.run_meta("reef"))
    assert [item["name"] for item in listed.fields["items"]] == ["dive", "fog"]


# Servers


def vault_registry(**meta: Any) -> str:
    entry = {"server": {"description": "Rain or not"}, "_meta": {"io.github.argosy/fleet": meta}}
    return json.dumps({"servers": [entry]})


async def test_servers_of_fleet_and_vault_are_listed(bench: Bench) -> None:
    bench.write("registry.json", vault_registry(name="weather", transport="stdio", command=["uvx", "w", "--key=hush"]))
    listed = await ask(bench, "server_list")
    servers = {item["name"]: item for item in listed.fields["items"]}
    assert list(servers) == [*FLEET, "weather"]
    assert servers["memory"]["own"] is True
    assert (servers["weather"]["own"], servers["weather"]["transport"]) == (False, "stdio")
    assert len(servers["weather"]["digest"]) == 64
    assert "off until approved" in listed.text
    assert "hush" not in listed.text + json.dumps(listed.fields)


async def test_servers_come_in_pages(bench: Bench) -> None:
    first = (await ask(bench, "server_list", limit=4)).fields
    rest = (await ask(bench, "server_list", limit=4, cursor=first["next_cursor"])).fields
    assert [item["name"] for item in rest["items"]] == FLEET[4:8]


async def test_a_broken_registry_is_named_beside_the_packaged_servers(bench: Bench) -> None:
    bench.write("registry.json", "{\n  broken")
    listed = await ask(bench, "server_list")
    assert len(listed.fields["items"]) == len(FLEET)
    assert "registry.json: line 2" in listed.fields["problems"][0]
    assert "problem: registry.json: line 2" in listed.text


# Resources and prompts


async def test_agents_personas_and_skills_are_resources(bench: Bench) -> None:
    async with Client(create(bench.config())) as client:
        told = json.loads(text_in((await client.read_resource("agent://harbor")).contents[0]))
        persona = text_in((await client.read_resource("persona://harbor")).contents[0])
        skill = text_in((await client.read_resource("skill://week")).contents[0])
        for missing in ("agent://nobody", "persona://nobody", "skill://nobody", "persona://reef"):
            with pytest.raises(MCPError):
                await client.read_resource(missing)
    assert told["name"] == "harbor"
    assert persona == f"{IDENTITY.strip()}\n\n# Soul\n\nCalm."
    assert skill.startswith("# Week")


async def test_assuming_an_agent_gives_its_whole_context_in_order(bench: Bench) -> None:
    bench.write("harbor/memory/decision_hours.md", "---\nname: Hours\npinned: true\n---\n\nOpen at noon.\n")
    bench.write("harbor/journal/2026-11/2026-11-19.md", "# 2026-11-19\n\n## 09:00\nQuiet.\n")
    async with Client(create(bench.config())) as client:
        prompt = await client.get_prompt("assume", {"agent": "harbor"})
    [message] = prompt.messages
    text = text_in(message.content)
    marks = [
        "# Harbor",
        "# Soul",
        "## Write paths",
        '<note name="decision_hours"',
        '<journal day="2026-11-19">',
        "- week:",
    ]
    places = [text.index(mark) for mark in marks]
    assert places == sorted(places)
    assert text.startswith("From here on you are the agent harbor.")


async def test_assuming_an_agent_says_what_could_not_be_read(bench: Bench) -> None:
    bench.write("harbor/persona/USER.md", b"\xff")
    async with Client(create(bench.config())) as client:
        prompt = await client.get_prompt("assume", {"agent": "harbor"})
    assert "could not be read: harbor/persona/USER.md:1" in text_in(prompt.messages[0].content)


@pytest.mark.parametrize("name", ["nobody", "../harbor", "_fleet"])
async def test_nobody_can_be_assumed_that_is_no_agent(bench: Bench, name: str) -> None:
    async with Client(create(bench.config())) as client:
        with pytest.raises(MCPError, match="there is no agent"):
            await client.get_prompt("assume", {"agent": name})


async def test_every_text_skill_is_a_prompt_and_follows_the_files(bench: Bench) -> None:
    async with Client(create(bench.config()), cache=None) as client:
        before = {prompt.name: prompt.description for prompt in (await client.list_prompts()).prompts}
        bench.write("harbor/skills/tide/SKILL.md", "---\ndescription: Read the tide\n---\n\nLook.\n")
        bench.write("harbor/skills/odd/SKILL.md", "---\nname: 'not for a client: this name'\n---\n")
        after = [prompt.name for prompt in (await client.list_prompts()).prompts]
        text = text_in((await client.get_prompt("skill_tide")).messages[0].content)
        with pytest.raises(MCPError, match="there is no skill"):
            await client.get_prompt("skill_none")
    assert before["skill_week"] == "Close a week"
    assert set(before) == {"assume", "skill_week", "skill_fog"}
    assert after == ["assume", "skill_fog", "skill_tide", "skill_week"]
    assert text == "Look.\n"


async def test_clients_are_told_of_a_new_prompt_and_of_no_other_agents(bench: Bench) -> None:
    config = bench.config()
    async with Client(create(config), cache=None) as client:
        with anyio.fail_after(20):
            async with client.listen(prompts_list_changed=True, resource_subscriptions=["agent://reef"]) as heard:
                events = aiter(heard)
                for path in ("reef/skills/reef/SKILL.md", "harbor/skills/tide/SKILL.md", "_fleet/skills/tide/SKILL.md"):
                    bench.write(path, "---\ndescription: Read the tide\n---\n")
                    config.store.bell.ring(path)
                told = [type(await anext(events)).__name__ for _ in range(3)]
        prompts = [prompt.name for prompt in (await client.list_prompts()).prompts]
    assert told == ["ResourceUpdated", "PromptsListChanged", "PromptsListChanged"]
    assert "skill_tide" in prompts


# Status, doctor, notices


async def test_the_doctor_names_every_broken_file(bench: Bench) -> None:
    assert "PASS registry" in (await ask(bench, "registry_doctor", Role.OPERATOR)).text
    bench.write("registry.json", "[]")
    bench.write("fleet.md", "---\ndefault_agent: nobody\n---\n")
    bench.write("harbor/tools.md", "## Tool classification\n\n- x: harmless\n")
    report = (await ask(bench, "registry_doctor", Role.OPERATOR)).fields
    found = {finding["check"]: finding for finding in report["findings"]}
    assert set(found) == {"registry_json", "default_agent", "agent_files"}
    assert (found["agent_files"]["file"], found["agent_files"]["line"]) == ("harbor/tools.md", 3)
    assert all(finding["fix"] for finding in found.values())


async def test_the_status_counts_agents_skills_and_servers(bench: Bench) -> None:
    status = await ask(bench, "registry_status", Role.OPERATOR)
    assert status.fields["counts"] == {"agents": 2, "skills": 2, "servers": len(FLEET)}


async def test_changes_are_announced_by_what_they_touch(bench: Bench) -> None:
    uris_of = create(bench.config()).domain.uris_of
    assert uris_of("harbor/model.md") == ["agent://harbor"]
    assert uris_of("harbor/persona/SOUL.md") == ["persona://harbor", "agent://harbor"]
    assert uris_of("harbor/skills/week/SKILL.md") == ["skill://week", "agent://harbor"]
    assert uris_of("_fleet/skills/fog/SKILL.md") == ["skill://fog"]
    assert uris_of("harbor/memory/decision_x.md") == []
    assert uris_of("fleet.md") == []


async def test_an_agent_is_shown_the_default_profile(bench: Bench) -> None:
    async with Client(create(bench.config())) as client:
        tools = (await client.list_tools()).tools
    assert [tool.name for tool in tools] == ["agent_list", "agent_describe", "skill_list", "skill_load"]
    for tool in tools:
        shown = {"name": tool.name, "description": tool.description, "inputSchema": tool.input_schema}
        assert len(json.dumps(shown, ensure_ascii=False)) <= 650, tool.name
    refused = await ask(bench, "agent_list", everything=True)
    assert refused.code == "invalid_argument"
    assert (await ask(bench, "registry_doctor")).code == "permission_denied"


async def test_many_readers_and_a_writer_do_not_disturb_each_other(tmp_path: Path) -> None:
    bench = Bench(tmp_path, SystemClock())
    seen: list[int] = []
    async with Client(create(bench.config())) as first, Client(create(bench.config())) as second:

        async def read(client: Client) -> None:
            for _ in range(10):
                result = await client.call_tool("agent_list", {})
                seen.append(len((result.structured_content or {})["items"]))

        async def found() -> None:
            for number in range(10):
                await anyio.to_thread.run_sync(bench.write, f"crew{number}/model.md", "# MODEL\n")

        async with anyio.create_task_group() as group:
            for client in (first, second, first, second):
                group.start_soon(read, client)
            group.start_soon(found)
        result = await second.call_tool("agent_list", {})
    assert len((result.structured_content or {})["items"]) == 12
    assert all(2 <= count <= 12 for count in seen)
