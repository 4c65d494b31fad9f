"""Recall's four modes through the tool: which notes are taken, in what order, and what was believed before them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from embeddings_api import EmbeddingsApi, embeddings_api
from fleet_fixtures import NOTE, make_vault
from memory_client import call, call_embedded, configure, memory

from argosy_core.testing.fakes import FakeClock
from argosy_core.types import Role

pytestmark = pytest.mark.anyio
MODES = ("contextual", "temporal", "sequential", "semantic")


@pytest.fixture
def vault(tmp_path: Path) -> Path:
    return make_vault(tmp_path / "vault")


@pytest.fixture
def api() -> Iterator[EmbeddingsApi]:
    with embeddings_api({"sounding": "horn", "blasts": "horn", "mist": "fog"}) as running:
        yield running


def put(vault: Path, title: str, body: str, captured: str, **fields: str) -> str:
    """A note that a person wrote on a day; its name."""
    text = NOTE.format(title=title, type="project", body=body)
    for field, value in {"captured": captured, "last_seen": captured, **fields}.items():
        old = next(line for line in text.split("\n") if line.startswith(f"{field}:"))
        text = text.replace(old, f"{field}: {value}")
    name = f"project_{title.casefold().replace(' ', '_')}"
    (vault / f"ada/memory/{name}.md").write_text(text, "utf-8")
    return name


async def recalled(vault: Path, mode: str, **arguments: Any) -> dict[str, Any]:
    async with memory(vault, clock=FakeClock(datetime(2026, 11, 20, tzinfo=UTC))) as client:
        return await call(client, "memory_recall", task="fog horn", mode=mode, **{"token_budget": 4000, **arguments})


def names(found: dict[str, Any], *wanted: str) -> list[str]:
    return [note["name"] for note in found["notes"] if not wanted or note["name"] in wanted]


def make_story(vault: Path) -> list[str]:
    """Notes in the order of their days; the middle one says most of what is asked for."""
    told = (
        ("First blast", "The horn of the fog station was tried once.", "2026-03-01"),
        ("Fog horn", "The fog horn: how the fog horn sounds, and when a fog horn is silent.", "2026-05-01"),
        ("New valve", "A valve of the horn was changed after a week of fog.", "2026-09-01"),
    )
    return [put(vault, *each) for each in told]


async def test_temporal_has_the_newest_first_and_sequential_tells_from_the_oldest_on(vault: Path) -> None:
    story = make_story(vault)
    temporal, sequential = await recalled(vault, "temporal"), await recalled(vault, "sequential")
    contextual = await recalled(vault, "contextual")

    assert names(temporal, *story) == story[::-1]
    assert names(sequential, *story) == story
    assert names(contextual, *story)[0] == "project_fog_horn"
    for found in (temporal, sequential, contextual):
        places = [found["text"].index(f"[{name}]") for name in names(found)]
        assert places == sorted(places), "the text has them in the order of the list"


async def test_a_story_that_has_little_room_is_made_of_what_is_about_the_task(vault: Path) -> None:
    story = make_story(vault)
    for number in range(6):
        put(vault, f"Old {number}", "Nothing of it is about that. " * 12, f"2025-0{number + 1}-01", pinned="true")
    found = await recalled(vault, "sequential", token_budget=260)

    assert "project_fog_horn" in names(found)
    assert names(found, *story) == [name for name in story if name in names(found)]
    assert found["used_tokens"] <= 260


async def test_semantic_takes_what_means_the_same_and_says_when_it_cannot(vault: Path, api: EmbeddingsApi) -> None:
    by_meaning = put(vault, "Mist", "Three blasts in thick mist.", "2026-04-01")
    put(vault, "Kelp", "Kelp is brown.", "2026-04-02")
    without = await recalled(vault, "semantic")
    configure(vault, api.url)
    async with memory(vault, clock=FakeClock(datetime(2026, 11, 20, tzinfo=UTC))) as client:
        found = await call_embedded(client, "memory_recall", task="sounding fog", mode="semantic")

    assert "keywords" in without["note"]
    whys = {note["name"]: note["why"] for note in found["notes"]}
    assert whys[by_meaning].startswith("matches: meaning") and "meaning" not in whys.get("project_kelp", "")


async def test_nothing_superseded_expired_archived_or_disputed_is_recalled_in_any_mode(vault: Path) -> None:
    story = make_story(vault)
    put(vault, "Gone", "The fog horn was blue.", "2026-06-01", expires_at="2026-07-01")
    put(vault, "Doubtful", "The fog horn is haunted.", "2026-06-02")
    put(vault, "Laid by", "The fog horn had a rope.", "2026-06-03")
    async with memory(vault, role=Role.OPERATOR) as client:
        await call(client, "memory_mark", name="project_doubtful", provenance="disputed")
        await call(client, "memory_archive", name="project_laid_by", why="over")
        await call(
            client, "memory_write", type="project", title="Two horns", body="There are two fog horns now.",
            supersedes="project_fog_horn",
        )  # fmt: skip
    for mode in MODES:
        found = await recalled(vault, mode)
        hidden = {"project_gone", "project_doubtful", "project_laid_by", "project_fog_horn"}
        assert not hidden & set(names(found)), mode
        assert {story[0], story[2], "project_two_horns"} <= set(names(found)), mode


@pytest.mark.parametrize("mode", MODES)
async def test_a_fact_that_a_later_note_contradicts_keeps_its_dates_in_every_mode(vault: Path, mode: str) -> None:
    clock = FakeClock(datetime(2026, 9, 1, tzinfo=UTC))
    async with memory(vault, clock=clock) as client:
        before = dict[str, str]()
        for metal, days in (("brass", 30), ("steel", 31), ("tin", 0)):
            fact = {"type": "project", "title": f"Horn is {metal}", "body": f"The horn for fog is of {metal}."}
            note = await call(client, "memory_write", **fact, **before)
            before = {"supersedes": note["name"]}
            clock.advance(days * 86_400)
        found = await call(client, "memory_recall", task="fog horn", mode=mode)
        search = await call(client, "memory_search", query="horn brass", include_archived=True)
        brass = await call(client, "memory_read", name="project_horn_is_brass")

    assert "project_horn_is_tin" in names(found)
    beliefs = [line for line in found["text"].split("\n") if line.startswith("Before it:")]
    assert beliefs == [
        "Before it: Horn is steel [project_horn_is_steel], 2026-10-01 to 2026-11-01",
        "Before it: Horn is brass [project_horn_is_brass], 2026-09-01 to 2026-10-01",
    ]
    assert search["hits"][0]["name"] == "project_horn_is_brass"
    assert brass["believed"] == "2026-09-01 to 2026-10-01, then project_horn_is_steel"


async def test_two_notes_that_contradict_each_other_are_both_told_with_their_days(vault: Path) -> None:
    put(vault, "Horn on", "The fog horn is on.", "2026-04-01")
    put(vault, "Horn off", "The fog horn is off.", "2026-08-01")
    found = await recalled(vault, "sequential")

    told = found["text"]
    assert told.index("2026-04-01") < told.index("is on.") < told.index("2026-08-01") < told.index("is off.")
