"""Searching through memory's tools: why hits rank, meaning, sources of vectors that fail, an index that fills."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio import to_thread
from embeddings_api import EmbeddingsApi, embeddings_api
from fleet_fixtures import NOTE, make_vault, text_of
from mcp import Client
from memory_client import call, call_embedded, configure, memory
from static_model import make_model_folder

from argosy_core.budget.ledger import read_ledger
from argosy_core.clock import SystemClock
from argosy_core.index import sync
from argosy_core.serving.identity import RUN_META, RunTokens

pytestmark = pytest.mark.anyio
MEANINGS = {"petroleum": "oil", "rapeseed": "oil", "fuel": "oil", "burns": "light", "illumination": "light"}
KEY = "a-key-that-nobody-must-see"


@pytest.fixture
def api() -> Iterator[EmbeddingsApi]:
    with embeddings_api(MEANINGS) as running:
        yield running


@pytest.fixture
def vault(tmp_path: Path) -> Path:
    return make_vault(tmp_path / "vault")


async def search(client: Client, query: str, **arguments: Any) -> dict[str, Any]:
    return await call(client, "memory_search", query=query, **arguments)


async def search_embedded(client: Client, query: str, **arguments: Any) -> dict[str, Any]:
    return await call_embedded(client, "memory_search", query=query, **arguments)


# Why


async def test_a_search_explains_each_hit_and_how_fresh_the_index_is(vault: Path) -> None:
    async with memory(vault) as client:
        await call(client, "memory_write", type="user", title="Oil can", body="Stands by the lamp.")
        found = await search(client, "lamp oil", explain=True)
        plain = await search(client, "lamp oil")

    told = found["explain"]
    assert [each["name"] for each in told["hits"]] == [hit["name"] for hit in found["hits"]]
    first = told["hits"][0]
    assert first["keyword_rank"] == 1 and first["every_word"] and first["semantic_rank"] is None
    assert first["score"] == pytest.approx(first["bm25"] * first["recency"] * first["exactness"], rel=1e-3)
    assert first["matched"] == "title: oil; description: lamp" or "title: lamp" in first["matched"]
    assert told["index"]["documents"] == 3 and told["index"]["waiting"] == 0 and told["index"]["filling"] is None
    assert plain["explain"] is None


async def test_a_hit_that_lacks_a_word_is_told_from_one_that_has_all(vault: Path) -> None:
    async with memory(vault) as client:
        told = (await search(client, "lamp kittiwake", explain=True))["explain"]

    assert told["relaxed"] and [each["every_word"] for each in told["hits"]] == [False]


# Meaning


async def test_what_no_word_finds_is_found_by_meaning(vault: Path, api: EmbeddingsApi) -> None:
    configure(vault, api.url)
    async with memory(vault) as client:
        by_words = await search(client, "petroleum illumination", mode="keyword")
        semantic = await search_embedded(client, "petroleum illumination", mode="semantic")
        hybrid = await search(client, "petroleum illumination", explain=True)
        both = await search(client, "lamp rapeseed", explain=True)
        recall = await call(client, "memory_recall", task="petroleum illumination", mode="semantic")

    assert by_words["hits"] == []
    assert semantic["mode"] == "semantic" and semantic["hits"][0]["name"] == "decision_lamp_oil"
    assert hybrid["mode"] == "hybrid" and hybrid["hits"][0]["name"] == "decision_lamp_oil"
    assert hybrid["explain"]["hits"][0]["semantic_rank"] == 1
    assert both["explain"]["hits"][0]["keyword_rank"] == 1 and both["explain"]["hits"][0]["semantic_rank"] == 1
    assert both["hits"][0]["score"] == 1.0 and both["note"] is None
    assert "rapeseed" in recall["text"]


async def test_a_model_in_a_folder_finds_by_meaning_and_one_that_is_gone_leaves_the_words(
    vault: Path, tmp_path: Path
) -> None:
    for folder in (make_model_folder(tmp_path / "static"), tmp_path / "gone"):
        (vault / "fleet.md").write_text(f"---\nembeddings:\n  folder: {folder}\n---\n", encoding="utf-8")
        async with memory(vault) as client:
            if folder.name == "static":
                await call(client, "memory_write", type="reference", title="Mills", body="Bales for the factories.")
            found = await search_embedded(client, "cotton")
            if folder.name == "static":
                assert found["mode"] == "hybrid" and found["note"] is None
                assert found["hits"][0]["name"] == "reference_mills"
                assert (await search(client, "cotton", mode="keyword"))["hits"] == []
            else:
                assert found["mode"] == "keyword" and "embedding folder has no model.safetensors" in found["note"]


def events(vault: Path, kind: str) -> list[dict[str, Any]]:
    """The events of a kind in ada's log."""
    lines = [line for file in vault.glob("ada/log/**/*.jsonl") for line in file.read_text("utf-8").splitlines()]
    return [event for line in lines if (event := json.loads(line)).get("kind") == kind]


def embedded(vault: Path) -> list[dict[str, Any]]:
    return events(vault, "memory.embed")


async def test_every_batch_says_what_it_cost_and_the_ledger_holds_the_sum(vault: Path, api: EmbeddingsApi) -> None:
    configure(vault, api.url, "  price_usd: 100\n")
    async with memory(vault) as client:
        await search_embedded(client, "petroleum illumination")

    batches = embedded(vault)
    assert sum(event["texts"] for event in batches) == len(api.texts) == len(set(api.texts)) == 3
    assert all(event["cost_source"] == "embedding" and event["input_tokens"] > 0 for event in batches)
    assert all(event["cost_usd"] == pytest.approx(event["input_tokens"] * 100 / 1e6) for event in batches)
    ledger = read_ledger((vault / "_fleet/budgets/ada.json").read_bytes(), "ada.json")
    for purse in ("embed", "actor"):
        assert ledger.purses[purse].total == sum(round(event["cost_usd"] * 1e9) for event in batches)
    assert not ledger.open


async def test_a_cap_that_is_reached_stops_embedding_and_leaves_the_words(vault: Path, api: EmbeddingsApi) -> None:
    configure(vault, api.url, "  price_usd: 100\n")
    (vault / "policy.md").write_text("## cost_caps\n- daily_usd: 0.0001\n", encoding="utf-8")
    async with memory(vault) as client:
        found = await search(client, "rapeseed oil")

    assert found["mode"] == "keyword" and found["hits"][0]["name"] == "decision_lamp_oil"
    assert "no vectors are made: policy.md allows $0.0001 today" in found["note"]
    assert api.texts == [] and embedded(vault) == []


async def search_in_run(vault: Path, run: str, grant: str | None, query: str) -> dict[str, Any]:
    """What a run of ada's under *grant* finds, once what the vault holds was embedded."""
    tokens = RunTokens(SystemClock())
    async with memory(vault, host_key=tokens.public_key) as client:
        await search_embedded(client, "keeper")
        meta: Any = {RUN_META: tokens.issue("ada", run, grant=grant)}
        result = await client.call_tool("memory_search", {"query": query}, meta=meta)
    assert not result.is_error and result.structured_content is not None, text_of(result)
    return result.structured_content


@pytest.mark.parametrize("limits", [{"usd_run": 0.0001}, {"tokens_run": 10}])
async def test_the_sums_of_a_runs_grant_bind_the_vectors_that_it_asks_for(
    vault: Path, api: EmbeddingsApi, limits: dict[str, float]
) -> None:
    configure(vault, api.url, "  price_usd: 100\n")
    found = await search_in_run(vault, "run-1", json.dumps({"limits": limits}), "rapeseed oil in the evening")
    free = await search_in_run(vault, "run-2", None, "rapeseed oil in the evening")

    assert found["mode"] == "keyword" and free["mode"] == "hybrid"
    assert "no vectors are made: the run's grant allows" in found["note"]


async def test_a_question_in_a_run_is_paid_out_of_the_runs_purses(vault: Path, api: EmbeddingsApi) -> None:
    configure(vault, api.url, "  price_usd: 100\n")
    found = await search_in_run(vault, "run-1", json.dumps({"limits": {"usd_run": 1}}), "rapeseed oil")

    [mine] = [event for event in embedded(vault) if event.get("run_id") == "run-1"]
    ledger = read_ledger((vault / "_fleet/budgets/ada.json").read_bytes(), "ada.json")
    assert found["mode"] == "hybrid" and mine["cost_usd"] > 0
    assert ledger.purses["run:run-1"].total == round(mine["cost_usd"] * 1e9)
    assert [event["run_id"] for event in events(vault, "budget.reserve") if event.get("run_id")] == ["run-1"]


async def test_a_grant_by_its_id_binds_all_runs_under_it_and_one_that_is_revoked_pays_nothing(
    vault: Path, api: EmbeddingsApi
) -> None:
    configure(vault, api.url, "  price_usd: 100\n")
    grants = vault / "_fleet/grants"
    grants.mkdir(parents=True)
    for name, state, limit in (("small", "active", 0.0001), ("over", "revoked", 10)):
        text = f"---\ntype: grant\ngrant: {name}\nholder: ada\nstate: {state}\nlimits:\n  usd_day: {limit}\n---\n"
        (grants / f"{name}.md").write_text(text, "utf-8")
    small = await search_in_run(vault, "run-1", "small", "rapeseed oil in the evening")
    over = await search_in_run(vault, "run-2", "over", "rapeseed oil in the morning")

    assert small["mode"] == over["mode"] == "keyword"
    assert "grant small allows $0.0001 today" in small["note"]
    assert "no vectors are made: over is revoked" in over["note"]


MODEL = """# MODEL

## Fallback

`small`, when the large one is out.

```yaml
cost_guardrails:
  enabled: true
  daily_cap_usd: 0.0001
  daily_cap_action: {action}
```
"""


async def test_a_cap_that_only_alerts_lets_vectors_be_made_and_says_so(vault: Path, api: EmbeddingsApi) -> None:
    configure(vault, api.url, "  price_usd: 100\n")
    (vault / "ada/model.md").write_text(MODEL.format(action="alert"), "utf-8")
    async with memory(vault) as client:
        await search_embedded(client, "keeper")
        found = await search(client, "rapeseed oil")

    assert found["mode"] == "hybrid"
    assert "over its cap: ada/model.md allows $0.0001 today" in found["note"]
    warnings = events(vault, "budget.warning")
    assert warnings and len({(event["purse"], event["threshold"]) for event in warnings}) == len(warnings)
    assert all(event["source"] == "ada/model.md" for event in warnings)


async def test_a_cap_that_falls_back_makes_no_vectors_for_none_of_another_model_could_be_compared(
    vault: Path, api: EmbeddingsApi
) -> None:
    configure(vault, api.url, "  price_usd: 100\n")
    (vault / "ada/model.md").write_text(MODEL.format(action="fallback"), "utf-8")
    async with memory(vault) as client:
        found = await search(client, "rapeseed oil")

    assert found["mode"] == "keyword" and api.texts == []
    assert "no vectors are made: ada/model.md allows $0.0001 today" in found["note"]


async def test_nothing_is_embedded_twice(vault: Path, api: EmbeddingsApi) -> None:
    configure(vault, api.url)
    async with memory(vault) as client:
        await search_embedded(client, "lamp")
    first = list(api.texts)
    async with memory(vault) as client:
        await search_embedded(client, "lamp")
        await call(client, "memory_mark", name="user_keeper", provenance="inferred")
        await search_embedded(client, "keeper")
        await call(client, "memory_write", type="user", title="New", body="A new text.")
        with anyio.fail_after(20):
            while not any(text.startswith("New\n") for text in api.texts):
                await anyio.sleep(0.02)
                await search(client, "keeper")

    assert len(first) == len(set(first)) == 3  # two notes and the question
    later = [text for text in api.texts[len(first) :] if "\n" in text]
    assert len(later) == 1 and later[0].startswith("New\n")


async def test_archived_and_filtered_documents_are_not_found_by_meaning(vault: Path, api: EmbeddingsApi) -> None:
    configure(vault, api.url)
    async with memory(vault) as client:
        await search_embedded(client, "petroleum", mode="semantic")
        typed = await search(client, "petroleum", mode="semantic", types=["user"])
        await call(client, "memory_archive", name="decision_lamp_oil", why="gone")
        hidden = await search_embedded(client, "petroleum", mode="semantic")
        asked = await search(client, "petroleum", mode="semantic", include_archived=True)

    assert "decision_lamp_oil" not in {hit["name"] for hit in (*typed["hits"], *hidden["hits"])}
    assert asked["hits"][0]["name"] == "decision_lamp_oil"


async def test_a_source_that_fails_leaves_the_words_and_is_named(vault: Path, api: EmbeddingsApi) -> None:
    configure(vault, api.url)
    api.status = 500
    async with memory(vault) as client:
        found = await search(client, "rapeseed")
        again = await search(client, "rapeseed", mode="semantic")

    for each in (found, again):
        assert each["mode"] == "keyword" and [hit["name"] for hit in each["hits"]] == ["decision_lamp_oil"]
        assert "embedding source" in each["note"] and "keywords" in each["note"]


async def test_the_key_goes_to_the_source_and_nowhere_else(
    vault: Path, api: EmbeddingsApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARGOSY_EMBEDDINGS_KEY_TEST", KEY)
    configure(vault, api.url, "  key_env: ARGOSY_EMBEDDINGS_KEY_TEST\n")
    async with memory(vault) as client:
        found = await search_embedded(client, "rapeseed", explain=True)
        api.status = 401
        failed = await search(client, "another question")
        status = await call(client, "memory_status")

    assert api.headers[0]["Authorization"] == f"Bearer {KEY}"
    assert KEY not in str((found, failed, status))
    assert all(KEY.encode() not in path.read_bytes() for path in vault.rglob("*") if path.is_file())


async def test_a_source_that_nobody_on_this_machine_agreed_to_gets_nothing(vault: Path) -> None:
    configure(vault, "https://example.org/v1/embeddings")
    async with memory(vault) as client:
        found = await search(client, "rapeseed")

    assert found["hits"] and "ARGOSY_EMBEDDINGS_HOSTS" in found["note"]


# While the index fills


async def test_a_search_answers_while_the_index_fills_and_says_how_far_it_is(
    vault: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(40):
        (vault / f"ada/memory/project_fog_{number:02}.md").write_text(
            NOTE.format(title=f"Fog {number}", type="project", body="The horn sounds."), encoding="utf-8"
        )
    go_on, reached = threading.Event(), threading.Event()
    seen: list[str] = []

    def slow(
        index: Any, agent: str, scope: str, listing: Any, load: Any, batch: int = 500, progress: Any = None
    ) -> Any:
        def load_slowly(path: str) -> Any:
            seen.append(path)
            if len(seen) == 25:
                reached.set()
                go_on.wait(30)
            return load(path)

        return sync.reconcile(index, agent, scope, listing, load_slowly, 10, progress)

    monkeypatch.setattr("argosy_core.index.filling.reconcile", slow)
    monkeypatch.setattr("argosy_core.index.library.PATIENCE_SECONDS", 0.05)
    async with memory(vault) as client:
        with anyio.fail_after(30):
            await search(client, "horn")
            await to_thread.run_sync(reached.wait)
            part = await search(client, "horn", limit=100, explain=True)
            listed = await call(client, "memory_list")
            status = await call(client, "memory_status")
            written = await call(client, "memory_write", type="user", title="Meanwhile", body="A horn, too.")
            now = await search(client, "meanwhile")
            go_on.set()
            while (whole := await search(client, "horn", limit=100))["note"]:
                await anyio.sleep(0.02)

    assert len(part["hits"]) == 18 and "20 of 42" in part["note"] and part["explain"]["index"]["filling"] == "20/42"
    assert "20 of 42" in listed["note"] and status["counts"]["files_to_index"] == 42
    assert [hit["name"] for hit in now["hits"]] == [written["name"]]
    assert len(whole["hits"]) == 41
