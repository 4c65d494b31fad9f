"""What ``make official`` relies on, without Node: the page's table, the comparing with it, the fixture server."""

from __future__ import annotations

import json
import shlex
import sys
from collections import Counter
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import pytest
from excepted import ERAS, PAGE, compare, read_table
from fixture_server import create
from mcp import MCPError
from mcp.types import CreateMessageResult, ElicitResult, ListRootsResult, Root, TextContent
from official_suite import SCENARIOS, NoSuite, run_suite, suite_command
from places import PLACES, offer_fixture
from served import Bench
from subscribers import client_of

TABLE = read_table(PAGE.read_text(encoding="utf-8"))
ROUNDS = "test_input_required_result_"
ARGUMENTS: dict[str, dict[str, Any]] = {
    "test_sampling": {"prompt": "Where?"},
    "test_elicitation": {"message": "Who?"},
    "test_x_mcp_header": {"region": "north"},
    "json_schema_2020_12_tool": {"phone": "1"},
}


def test_every_exception_has_a_reason_and_a_place_that_is_run() -> None:
    assert {(row.place, row.era) for row in TABLE} == {(place, era) for place in PLACES for era in ERAS}
    assert [row.name for row in TABLE if len(row.why.split()) < 4] == []


def test_nothing_is_excepted_twice() -> None:
    count = Counter((row.place, row.era, row.name) for row in TABLE)
    assert [row for row, times in count.items() if times > 1] == []
    whole = {(row.place, row.era, row.name) for row in TABLE}
    assert [row for row in TABLE if (row.place, row.era, row.name.partition(":")[0]) in whole and ":" in row.name] == []


def test_the_fixture_is_excepted_only_what_the_fleet_is_excepted_too() -> None:
    excepted = {place: {(row.era, row.name) for row in TABLE if row.place == place} for place in PLACES}
    assert excepted["fixture"] < excepted["gateway"] < excepted["fleet"]


def test_the_fixture_is_excepted_nothing_that_an_era_requires() -> None:
    excepted = {row.name for row in TABLE if row.place == "fixture"}
    assert {name for name in excepted if not name.startswith("tasks-")} == {"server-sse-polling"}


def test_every_row_of_the_table_is_read() -> None:
    _, _, section = PAGE.read_text(encoding="utf-8").partition("## What is excepted")
    table, _, _ = section.partition("\n\nThe suite's")
    assert set(table.replace(" ", "").partition("|why|")[2].split("`")[1::2]) == {row.name for row in TABLE} | {
        word for row in TABLE for word in row.why.replace(" ", "").split("`")[1::2]
    }


def test_an_era_that_is_none_is_not_passed_over() -> None:
    with pytest.raises(ValueError, match="2025-06-18"):
        read_table("| fleet | 2025-06-18 | `ping` | it is too old for that |\n")


@pytest.mark.parametrize(
    ("failing", "excepted", "unlisted", "stale"),
    [
        ({"a": {"x"}, "b": set()}, {"a"}, [], []),
        ({"a": {"x"}, "b": {"y"}}, {"a"}, ["b:y"], []),
        ({"a": set(), "b": set()}, {"a"}, [], ["a"]),
        ({"b": set()}, {"a", "b:y"}, [], ["a", "b:y"]),
        ({"a": {"x", "y"}}, {"a:x"}, ["a:y"], []),
        ({"a": {"x"}}, {"a:x", "a:y"}, [], ["a:y"]),
    ],
)
def test_a_run_is_as_the_page_says_when_exactly_what_is_excepted_does_not_pass(
    failing: dict[str, set[str]], excepted: set[str], unlisted: list[str], stale: list[str]
) -> None:
    verdict = compare({name: frozenset(checks) for name, checks in failing.items()}, frozenset(excepted))
    assert (verdict.unlisted, verdict.stale) == (unlisted, stale)
    assert verdict.holds is (not unlisted and not stale)


def suite_of(folder: Path, scenarios: dict[str, str]) -> list[str]:
    """A command that leaves results as the suite does: for each scenario one check with that status."""
    program = folder / "suite.py"
    program.write_text(
        "import json, pathlib, sys\n"
        f"for name, status in {scenarios!r}.items():\n"
        "    found = pathlib.Path(sys.argv[-1], f'server-{name}-2026-11-30T14-51-35-430Z')\n"
        "    found.mkdir(parents=True)\n"
        "    checks = [{'id': 'one', 'status': status}, {'id': 'two', 'status': 'INFO'}]\n"
        "    (found / 'checks.json').write_text(json.dumps(checks))\n"
        "sys.exit('it broke')\n"
    )
    return suite_command(shlex.join([sys.executable, "-S", str(program)]))


def test_failures_and_warnings_are_read_from_what_the_suite_leaves(tmp_path: Path) -> None:
    names = {f"quiet-{number}": "SUCCESS" for number in range(SCENARIOS[ERAS[0]] - 2)}
    command = suite_of(tmp_path, {**names, "ping": "FAILURE", "caching-2": "WARNING"})
    found = run_suite(command, "http://127.0.0.1:1/mcp", ERAS[0], tmp_path / "out")
    assert {name: checks for name, checks in found.items() if checks} == {"ping": {"one"}, "caching-2": {"one"}}


def test_a_suite_that_ends_early_says_nothing_for_us(tmp_path: Path) -> None:
    with pytest.raises(NoSuite, match=r"1 scenarios of 33.*\n.*it broke"):
        run_suite(suite_of(tmp_path, {"ping": "SUCCESS"}), "http://127.0.0.1:1/mcp", ERAS[0], tmp_path / "out")


def test_without_npx_it_is_said_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NoSuite, match="install Node 22 or newer"):
        suite_command(None)


def test_the_fixture_is_offered_as_an_installed_package_would_be(tmp_path: Path) -> None:
    [offered] = distributions(path=[str(offer_fixture(tmp_path))])
    [entry] = offered.entry_points.select(group="argosy.servers")
    assert entry.name == "fixture" and entry.load() is create


async def elicited(_: Any, params: Any) -> ElicitResult:
    """What a person fills in: what is there already, the first choice, or a word."""
    properties: dict[str, Any] = params.requested_schema["properties"]
    return ElicitResult(action="accept", content={name: filled(shape) for name, shape in properties.items()})


def filled(shape: dict[str, Any]) -> Any:
    if "default" in shape:
        return shape["default"]
    if shape["type"] == "array":
        return ["tide"]
    return {"string": "tide", "boolean": True}[shape["type"]]


async def sampled(*_: Any) -> CreateMessageResult:
    return CreateMessageResult(role="assistant", content=TextContent(type="text", text="Lisbon"), model="none")


async def rooted(*_: Any) -> ListRootsResult:
    return ListRootsResult(roots=[Root(uri="file:///harbor")])  # pyright: ignore[reportArgumentType]


@pytest.mark.anyio
@pytest.mark.parametrize("era", ["2026-07-28", "legacy"])
@pytest.mark.filterwarnings("ignore::mcp.shared.exceptions.MCPDeprecationWarning")
async def test_the_fixture_answers_all_that_it_lists(era: str, tmp_path: Path) -> None:
    callbacks = {"elicitation_callback": elicited, "sampling_callback": sampled, "list_roots_callback": rooted}
    async with client_of(create(Bench(tmp_path).config()), era, **callbacks) as client:
        names = [tool.name for tool in (await client.list_tools()).tools]
        for name in names:
            if name.startswith(ROUNDS) and era == "legacy":
                continue  # rounds are of the newer era
            result = await client.call_tool(name, ARGUMENTS.get(name, {}))
            assert result.is_error is (name == "test_error_handling"), (name, result)
            assert result.content
        for resource in (await client.list_resources()).resources:
            assert (await client.read_resource(resource.uri)).contents
        assert json.loads((await client.read_resource("test://template/7/data")).contents[0].text)["id"] == "7"
        for prompt in (await client.list_prompts()).prompts:
            if prompt.name.startswith(ROUNDS) and era == "legacy":
                continue
            given = {argument.name: "test://a" for argument in prompt.arguments or ()}
            assert (await client.get_prompt(prompt.name, given)).messages
    assert len(names) == len(set(names)) > 25


@pytest.mark.anyio
async def test_the_fixture_refuses_a_client_that_cannot_do_what_a_tool_needs(tmp_path: Path) -> None:
    async with client_of(create(Bench(tmp_path).config()), "2026-07-28") as client:
        with pytest.raises(MCPError, match="sampling"):
            await client.call_tool("test_missing_capability", {})
