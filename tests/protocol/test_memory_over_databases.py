"""What memory promises of files it keeps over databases: writing, conflicts, chains, search, recall, lint, wiki."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio import to_thread
from embeddings_api import EmbeddingsApi, embeddings_api
from fleet_fixtures import FILES, text_of
from mcp import Client
from memory_client import call, call_embedded, error, memory_over

from argosy_core.serving.config import ServerConfig
from argosy_core.storage.opening import open_store
from argosy_core.testing.fakes import FakeClock
from argosy_core.types import Role

pytestmark = pytest.mark.anyio
BELL = {"type": "decision", "title": "Bell rope", "body": "The bell rope is renewed every spring."}
WIRE = {"type": "decision", "title": "Bell wire", "body": "The bell hangs on a wire."}


class Place:
    """A vault in a database, with the agent ada, for one server process after another, on one clock."""

    def __init__(self, folder: Path, address: str) -> None:
        self.folder = folder
        self.address = address
        self.clock = FakeClock()

    async def make(self, **more: str) -> None:
        """Put the files there, and *more* by their names without ``.md``."""
        store = await to_thread.run_sync(lambda: open_store(self.folder, self.address, create=True))
        for path, text in {**FILES, **{f"{name}.md": text for name, text in more.items()}}.items():
            await store.archive.write(path, text.encode())
        await to_thread.run_sync(store.close)

    def memory(self, role: Role = Role.AGENT) -> AbstractAsyncContextManager[Client]:
        store = open_store(self.folder, self.address, clock=self.clock)
        return memory_over(ServerConfig(store, "ada", role, profile="full", clock=self.clock))


@pytest.fixture(params=["sqlite", "postgres"])
def bare(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    is_file = request.param == "sqlite"
    address = "sqlite:///vault.sqlite" if is_file else request.getfixturevalue("postgres").url()
    return Place(tmp_path / "vault", address)


@pytest.fixture
async def place(bare: Place) -> Place:
    await bare.make()
    return bare


@pytest.fixture
def api() -> Iterator[EmbeddingsApi]:
    with embeddings_api({"petroleum": "oil", "rapeseed": "oil"}) as running:
        yield running


async def test_the_four_cases_of_writing(place: Place) -> None:
    async with place.memory() as client:
        new = await call(client, "memory_write", **BELL, sources=["one"])
        same = await call(client, "memory_write", **BELL, sources=["one"])
        other = {**BELL, "body": "By Tove, in 2027."}
        refused = await error(client, "memory_write", **other)
        merged = await call(client, "memory_write", **other, merge_into=new["name"], sources=["two"])
        replaced = await call(client, "memory_write", **other, expect_version=merged["version"])
        history = await call(client, "memory_history", name=new["name"])

    assert same["duplicate"] and same["version"] == new["version"]
    assert refused.startswith("already_exists:") and new["version"] in refused
    assert BELL["body"] in merged["body"] and "Tove" in merged["body"]
    assert merged["frontmatter"]["sources"] == ["one", "two"]
    assert BELL["body"] not in replaced["body"] and "Tove" in replaced["body"]
    assert len(history["items"]) >= 2


async def test_two_processes_that_write_on_one_version_are_one_winner_and_one_conflict(place: Place) -> None:
    async with place.memory() as here, place.memory() as there:
        first = await call(here, "memory_write", **BELL)
        bodies = ("Mine.", "Theirs.")
        results: dict[str, Any] = {}

        async def write(client: Client, body: str) -> None:
            results[body] = await client.call_tool(
                "memory_write", {**BELL, "body": body, "expect_version": first["version"]}
            )

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(write, here, bodies[0])
            tasks.start_soon(write, there, bodies[1])
        kept = await call(there, "memory_read", name=first["name"])

    won, lost = sorted(bodies, key=lambda body: results[body].is_error)
    assert not results[won].is_error and results[lost].is_error
    assert text_of(results[lost]).startswith("conflict:")
    assert results[lost].meta["argosy/error"]["detail"]["version"] == kept["version"]
    assert kept["body"].strip() == won


async def test_many_writers_on_one_note_lose_nothing(place: Place) -> None:
    async with place.memory() as here, place.memory() as there:
        await call(here, "memory_write", **BELL)

        async def merge(client: Client, number: int) -> None:
            body = f"Entry number {number}."
            await call(client, "memory_write", **{**BELL, "body": body}, merge_into="decision_bell_rope")

        async with anyio.create_task_group() as tasks:
            for number in range(12):
                tasks.start_soon(merge, (here, there)[number % 2], number)
        note = await call(here, "memory_read", name="decision_bell_rope")
    assert [number for number in range(12) if f"Entry number {number}." not in note["body"]] == []


async def test_a_superseded_note_leaves_search_and_recall_and_says_when_it_was_believed(place: Place) -> None:
    async with place.memory() as client:
        await call(client, "memory_write", **BELL)
        place.clock.advance(10 * 86_400)
        new = await call(client, "memory_write", **WIRE, supersedes="decision_bell_rope")
        old = await call(client, "memory_read", name="decision_bell_rope")
        hits = (await call(client, "memory_search", query="bell"))["hits"]
        hidden = (await call(client, "memory_search", query="renewed", include_archived=True))["hits"]
        recall = await call(client, "memory_recall", task="what does the bell hang on", token_budget=2000)
        circle = await error(
            client, "memory_write", **BELL, expect_version=old["version"], supersedes="decision_bell_wire"
        )

    assert new["frontmatter"]["supersedes"] == "decision_bell_rope.md"
    assert old["believed"] == "2026-11-20 to 2026-11-30, then decision_bell_wire"
    assert [hit["name"] for hit in hits] == ["decision_bell_wire"]
    assert [hit["name"] for hit in hidden] == ["decision_bell_rope"]
    assert "Before it: Bell rope [decision_bell_rope], 2026-11-20 to 2026-11-30" in recall["text"]
    assert "renewed" not in recall["text"] and recall["used_tokens"] <= 2000
    assert circle.startswith("invalid_argument:")


async def test_search_finds_by_words_forms_phrases_types_and_tags_and_explains(place: Place) -> None:
    async with place.memory() as client:
        await call(client, "memory_write", **BELL, tags=["rigging"])
        await call(client, "memory_write", type="project", title="鐘", body="鐘の綱は毎春に取り替える。🔔")
        found = {
            query: [hit["name"] for hit in (await call(client, "memory_search", query=query, **more))["hits"]]
            for query, more in (
                ("renewing springs", {}),
                ('"rope is renewed"', {}),
                ("renew*", {"types": ["decision"]}),
                ("bell", {"tags": ["rigging"]}),
                ("毎春", {}),
                ("🔔", {}),
                ("renewed", {"types": ["user"]}),
            )
        }
        explained = await call(client, "memory_search", query="rope", explain=True)

    ours = ["decision_bell_rope"]
    assert all(names[:1] == ours for names in list(found.values())[:4]), found
    assert all(names and names[0].startswith("project_") for names in (found["毎春"], found["🔔"])), found
    assert found["renewed"] == []
    assert explained["explain"]["hits"][0]["keyword_rank"] == 1
    assert explained["explain"]["index"]["documents"] >= 2


async def test_an_archived_note_leaves_and_comes_back_and_only_an_operator_confirms(place: Place) -> None:
    async with place.memory() as client:
        first = await call(client, "memory_write", **BELL)
        refused = await error(client, "memory_mark", name="decision_bell_rope", provenance="confirmed")
        await call(client, "memory_archive", name="decision_bell_rope", why="over")
        gone = (await call(client, "memory_search", query="renewed spring"))["hits"]
        read = await call(client, "memory_read", name="decision_bell_rope")
        back = await call(client, "memory_restore", name="decision_bell_rope", version=first["version"])
        again = (await call(client, "memory_search", query="renewed spring"))["hits"]
    async with place.memory(Role.OPERATOR) as client:
        confirmed = await call(client, "memory_mark", name="decision_bell_rope", provenance="confirmed")

    assert refused.startswith("permission_denied:")
    assert gone == [] and "renewed" in read["body"] and "renewed" in back["body"]
    assert [hit["name"] for hit in again] == ["decision_bell_rope"]
    assert confirmed["frontmatter"]["provenance"] == "confirmed"


async def test_lint_finds_near_duplicates_expired_notes_and_links_to_nothing(place: Place) -> None:
    lens = "The great lens of the north tower is cleaned with spirit and a soft linen cloth every"
    async with place.memory() as client:
        await call(client, "memory_write", type="project", title="Lens care", body=f"{lens} 14 days.")
        await call(client, "memory_write", type="project", title="Cleaning of lens", body=f"{lens} 14 days, at noon.")
        await call(client, "memory_write", **{**BELL, "body": "Sees [[nothing_here]]."}, expires_at="2026-11-21")
        place.clock.advance(3 * 86_400)
        findings = (await call(client, "memory_lint", limit=500))["items"]

    told = {(finding["kind"], *sorted(finding["names"])) for finding in findings}
    assert told >= {
        ("duplicate", "project_cleaning_of_lens", "project_lens_care"),
        ("expired", "decision_bell_rope"),
        ("dangling_link", "decision_bell_rope"),
    }


async def test_wiki_pages_are_versioned_and_linked_both_ways(place: Place) -> None:
    async with place.memory() as client:
        page = await call(client, "wiki_write", page="lamps", body="Lamps burn oil. See [[bells]] and [[nowhere]].")
        await call(client, "wiki_write", page="bells", body="Bells are of bronze.")
        stale = await error(client, "wiki_write", page="lamps", body="Other.", expect_version="0" * 64)
        await call(
            client, "wiki_write", page="lamps", body="Lamps burn gas. See [[bells]].", expect_version=page["version"]
        )
        bells = await call(client, "wiki_read", page="bells")
        hits = (await call(client, "memory_search", query="burn gas", scope="wiki"))["hits"]

    assert stale.startswith("conflict:")
    assert "lamps" in str(bells["backlinks"])
    assert hits[0]["uri"] == "wiki://lamps"


async def test_meaning_is_found_and_nothing_is_embedded_twice(bare: Place, api: EmbeddingsApi) -> None:
    fleet = f"---\ndefault_agent: ada\nembeddings:\n  url: {api.url}\n  model: test\n---\n"
    await bare.make(fleet=fleet)
    async with bare.memory() as client:
        found = await call_embedded(client, "memory_search", query="petroleum", mode="semantic", explain=True)
        texts = len(api.texts)
        await call(client, "memory_search", query="petroleum", mode="hybrid")
    async with bare.memory() as client:
        again = await call_embedded(client, "memory_search", query="petroleum", explain=True)

    assert found["hits"][0]["name"] == "decision_lamp_oil"
    compared = "in the database" if bare.address.startswith("postgres") else "here"
    assert found["explain"]["index"]["vectors_compared"] == compared == again["explain"]["index"]["vectors_compared"]
    assert len(set(api.texts)) == texts, "only the question was asked again"
    assert again["hits"][0]["name"] == "decision_lamp_oil"


async def test_the_index_page_and_resources_are_there(place: Place) -> None:
    async with place.memory() as client:
        await call(client, "memory_write", **BELL)
        index = await client.read_resource("memory://index")
        note = await client.read_resource("memory://note/decision_bell_rope")
    assert "decision_bell_rope" in str(index.contents) and "renewed every spring" in str(note.contents)
