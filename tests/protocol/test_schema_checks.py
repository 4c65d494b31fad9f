"""The doctor names what a strict validation cannot check: tools without a schema, and a library that is missing."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest
from fleet_fixtures import config_for, make_vault
from foreign_servers import named
from served import Bench, call

from argosy_core.policy.judgment import JudgeAmendedProposalRejected
from argosy_core.policy.tool_schema import check_fit, schema_problem
from argosy_core.types import Role
from argosy_core.views.vault_reader import VaultReader
from argosy_host.cli.doctor import examine
from argosy_host.foreign import named_servers
from argosy_host.trust import Approvals, state_folder
from argosy_judge.server import create

pytestmark = pytest.mark.anyio
STRICT = "```yaml\nvalidation: strict\n```\n"
FOREIGN = """
import anyio
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp.types import ListToolsResult, Tool

SCHEMAS = {
    "vague": {"type": "object"},
    "clear": {"type": "object", "properties": {"to": {"type": "string"}}},
    "broken": {"type": "object", "properties": {"to": {"type": "strnig"}}},
}

async def listed(ctx, params):
    return ListToolsResult(tools=[Tool(name=name, input_schema=schema) for name, schema in SCHEMAS.items()])

async def main():
    async with stdio_server() as (read, write):
        server = Server("x", on_list_tools=listed)
        await server.run(read, write, server.create_initialization_options())

anyio.run(main)
"""


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def vault_with_foreign(tmp_path: Path, *, judges: str, approve: bool = True) -> Path:
    script = tmp_path / "foreign.py"
    script.write_text(FOREIGN, encoding="utf-8")
    files = {"judges.md": judges, "ada/mcp.md": named("x", script)}
    vault = make_vault(tmp_path / "v", files)
    config = config_for(vault)
    for server in named_servers(VaultReader(config.store.files), "ada"):
        if approve:
            Approvals(state_folder()).approve(config.store.root, server.digest)
    config.store.close()
    return vault


async def schema_messages(vault: Path) -> list[str]:
    found = await examine(vault, None)
    return [finding["message"] for finding in found if finding["check"] == "judge_schemas"]


async def test_tools_without_a_usable_schema_are_named_where_validation_is_strict(tmp_path: Path) -> None:
    found = await schema_messages(vault_with_foreign(tmp_path, judges=STRICT))

    assert any("x__vague has no schema" in message for message in found), found
    assert any("x__broken has a schema that cannot be used" in message for message in found), found
    assert not any("x__clear" in message or "memory_" in message for message in found), found


@pytest.mark.parametrize(("judges", "approve"), [("", True), (STRICT, False)])
async def test_nothing_is_started_that_nobody_asked_for_or_approved(tmp_path: Path, judges: str, approve: bool) -> None:
    assert not any("x__" in message for message in await schema_messages(
        vault_with_foreign(tmp_path, judges=judges, approve=approve)
    ))  # fmt: skip


async def test_a_server_that_does_not_start_is_named_too(tmp_path: Path) -> None:
    vault = vault_with_foreign(tmp_path, judges=STRICT)
    (tmp_path / "foreign.py").write_text("raise SystemExit('no such lamp')", encoding="utf-8")

    assert any("x could not be looked at" in message for message in await schema_messages(vault))


async def test_a_missing_library_is_named_and_refuses_every_revision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(tmp_path)
    bench.write("judges.md", STRICT)
    find = importlib.util.find_spec
    monkeypatch.setattr(
        "argosy_core.policy.tool_schema.find_spec", lambda name: None if name == "jsonschema" else find(name)
    )
    report = await call(create, bench.config("harbor", Role.OPERATOR), "judge_doctor")
    found = [f for f in report.fields["findings"] if f["check"] == "judge_schemas" and f["status"] == "fail"]

    assert [(f["file"], f["line"], "jsonschema" in f["message"]) for f in found] == [("judges.md", 2, True)]
    with pytest.raises(JudgeAmendedProposalRejected, match="not installed"):
        check_fit({}, {"type": "object", "properties": {}}, "strict")
    check_fit({}, {"type": "object", "properties": {}}, "weakened")


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        (None, "no schema"),
        ({}, "no schema"),
        ({"type": "object", "title": "T"}, "no schema"),
        ({"type": "object", "properties": {}}, None),
        ({"type": "object", "additionalProperties": False}, None),
        ({"type": "object", "properties": {"a": {"type": "nothing"}}}, "cannot be used"),
        ({"$ref": "https://example.org/schema.json"}, "cannot be used"),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"type": "object"}}}, None),
    ],
)
def test_a_schema_says_something_of_arguments_or_is_none(schema: Any, says: str | None) -> None:
    problem = schema_problem(schema)
    assert (problem is None) if says is None else (says in (problem or ""))


def test_a_schema_that_points_elsewhere_is_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    monkeypatch.setattr("urllib.request.urlopen", lambda *given, **more: asked.append(given))
    schema = {"type": "object", "properties": {"a": {"$ref": "http://127.0.0.1:9/schema.json"}}}

    with pytest.raises(JudgeAmendedProposalRejected):
        check_fit({"a": 1}, schema, "strict")
    assert asked == []
