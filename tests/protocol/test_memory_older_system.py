"""atomic-agents-stack 2.0 and this system on one folder: what either writes the other reads and changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from atomic_agents.corpus.filesystem import FilesystemCorpusBackend  # pyright: ignore[reportMissingTypeStubs]
from atomic_agents.memory.backend import WritePolicy  # pyright: ignore[reportMissingTypeStubs]
from atomic_agents.memory.filesystem import FilesystemBackend  # pyright: ignore[reportMissingTypeStubs]
from atomic_agents.types import Capture  # pyright: ignore[reportMissingTypeStubs]
from fleet_fixtures import make_vault, resource_text
from memory_client import call, memory

pytestmark = pytest.mark.anyio
ROPE = Capture(
    "decision", "Bell rope", "Renewed every spring.", "high", ["a letter"], "Renew it: the sea air rots hemp."
)


class Older:
    """The older system over one agent's folder."""

    def __init__(self, agent: Path) -> None:
        self.memory = FilesystemBackend(agent)
        self.corpus = FilesystemCorpusBackend(agent)
        self._policy = WritePolicy([agent / "memory", agent / "wiki"])

    def write(self, capture: Capture) -> str:
        return str(self.memory.write_note(capture, self._policy).name)

    def listed(self) -> list[str]:
        return sorted(ref.name.removesuffix(".md") for ref in self.memory.list_notes())

    def note(self, name: str) -> Any:
        found = self.memory.read_note(f"{name}.md")
        assert found is not None
        return found


@pytest.fixture
def vault(tmp_path: Path) -> Path:
    return make_vault(tmp_path / "vault")


@pytest.fixture
def older(vault: Path) -> Older:
    return Older(vault / "ada")


async def test_the_older_system_reads_what_was_written_here(vault: Path, older: Older) -> None:
    async with memory(vault) as client:
        await call(
            client, "memory_write", type="decision", title="Lamp: gas — not oil", body="# Why\n\nGas is brighter.",
            tags=["light", "a: b"], sources=["journal/2026-11/2026-11-02.md"], confidence="high", pinned=True,
            expires_at="2027-01-01", supersedes="decision_lamp_oil",
        )  # fmt: skip
        await call(client, "memory_write", type="user", title="日本", body="本文。")
        await call(client, "memory_write", type="project", title="Paint", body="White.")
        await call(client, "memory_archive", name="project_paint", why="done: all of it")
        await call(client, "memory_mark", name="user_keeper", provenance="inferred")
        await call(client, "wiki_write", page="lenses", body="# Lenses\n\nRings.", sources=["raw/a.txt"])
        resource_text(await client.read_resource("memory://index"))

    assert older.listed() == ["decision_lamp_gas_not_oil", "user_keeper", "user_日本"]
    note = older.note("decision_lamp_gas_not_oil")
    assert (note.name, note.pinned, note.type) == ("Lamp: gas — not oil", True, "decision")
    assert note.body.strip() == "# Why\n\nGas is brighter."
    assert older.note("decision_lamp_oil").superseded_by == "decision_lamp_gas_not_oil.md"
    assert older.note("project_paint").archived
    assert older.memory.list_orphans() == [] and older.memory.stats().total_notes == 5
    assert [page.name for page in older.corpus.list_pages("wiki")] == ["lenses"]


async def test_what_the_older_system_wrote_is_read_changed_here_and_read_there_again(vault: Path, older: Older) -> None:
    older.write(ROPE)
    async with memory(vault) as client:
        read = await call(client, "memory_read", name="decision_bell_rope")
        found = await call(client, "memory_search", query="hemp")
        merged = await call(
            client, "memory_write", type="decision", title="Bell rope", body="Manila lasts longer.",
            merge_into="decision_bell_rope", sources=["a test"],
        )  # fmt: skip
        lint = await call(client, "memory_lint")
        resource_text(await client.read_resource("memory://index"))
    there = older.note("decision_bell_rope")
    [version] = older.memory.list_versions("decision_bell_rope.md")
    older.write(Capture("decision", "Bell rope", "x", "high", ["third"], "y", merge_into="decision_bell_rope.md"))
    async with memory(vault) as client:
        history = await call(client, "memory_history", name="decision_bell_rope")
        back = await call(client, "memory_restore", name="decision_bell_rope", version=read["version"])

    assert read["degraded"] is None and read["body"].strip() == ROPE.body
    assert [hit["name"] for hit in found["hits"]] == ["decision_bell_rope"]
    assert ROPE.body in there.body and "Manila" in there.body
    assert merged["frontmatter"]["sources"] == ["a letter", "a test"]
    assert older.memory.read_version(version).body.strip() == ROPE.body
    assert not [item for item in lint["items"] if item["kind"] in ("degraded", "schema_drift", "unlisted")]
    assert len(history["items"]) == 3 and back["body"] == read["body"]


async def test_a_note_here_that_is_superseded_stays_out_of_the_older_systems_lists(vault: Path, older: Older) -> None:
    older.write(ROPE)
    async with memory(vault) as client:
        await call(client, "memory_write", type="decision", title="Wire", body="Wire.", supersedes="decision_bell_rope")

    assert "decision_bell_rope" not in older.listed() and "decision_wire" in older.listed()
