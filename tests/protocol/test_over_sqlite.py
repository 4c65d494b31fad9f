"""Servers and runs over a database: nothing of theirs assumes a folder of files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio import to_thread
from fleet_fixtures import FILES, Recorder, Scripted, calls, says
from mcp import Client

from argosy_core.serving.config import ServerConfig
from argosy_core.serving.server import ArgosyServer
from argosy_core.storage.address import Address
from argosy_core.storage.base import Store
from argosy_core.storage.opening import open_store
from argosy_core.types import Role
from argosy_host.cli import run_cli
from argosy_host.compose import load_server
from argosy_host.session import RunOptions, run_task

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("own_state")]
ADDRESS = "sqlite:///fleet.sqlite"
TEMPLATE = Path(__file__).resolve().parents[2] / "vault-template"
BELL = {"type": "decision", "title": "Bell rope", "body": "The bell rope is renewed every spring.", "sources": ["me"]}


@pytest.fixture
async def vault(tmp_path: Path) -> Path:
    """A folder with nothing but a database in it, which holds a small vault with the agent ada."""
    store = open_store(tmp_path / "vault", ADDRESS, create=True)
    for path, text in FILES.items():
        await store.archive.write(path, text.encode())
    store.close()
    return tmp_path / "vault"


class Served:
    """Servers over one store, called by name."""

    def __init__(self, store: Store) -> None:
        self.store = store

    async def call(self, tool: str, role: Role = Role.AGENT, /, **arguments: Any) -> dict[str, Any]:
        config = ServerConfig(self.store, "ada", role, profile="full")
        server: ArgosyServer = load_server(tool.partition("_")[0], config)
        async with Client(server, mode="2026-07-28", cache=None) as client:
            result = await client.call_tool(tool, arguments)
        assert not result.is_error, result.content
        return result.structured_content or {}


@pytest.fixture(params=["sqlite", "postgres"])
def address(request: pytest.FixtureRequest) -> str:
    return ADDRESS if request.param == "sqlite" else str(request.getfixturevalue("postgres").url())


async def test_memory_and_journal_are_searched(address: str, vault: Path, tmp_path: Path) -> None:
    store = open_store(vault, address)
    served = Served(store)
    await served.call("memory_write", **BELL)
    await served.call("journal_append", text="The harbor bell was rung at noon.")
    by_form = await served.call("memory_search", query="renewing spring*", explain=True)
    phrase = await served.call("memory_search", query='"bell rope"', types=["decision"])
    days = await served.call("journal_search", query="harbor bells")
    await to_thread.run_sync(store.close)
    assert by_form["hits"][0]["name"] == phrase["hits"][0]["name"] == "decision_bell_rope"
    assert "rung at noon" in str(days)
    if address != ADDRESS:
        assert not list(tmp_path.rglob("index.sqlite")), "no host keeps an index of its own"


@pytest.fixture
async def served(vault: Path) -> Any:
    store = open_store(vault, ADDRESS)
    yield Served(store)
    await to_thread.run_sync(store.close)


async def test_notes_are_written_found_updated_and_listed(served: Served) -> None:
    note = await served.call("memory_write", **BELL)
    hits = (await served.call("memory_search", query="renewed spring"))["hits"]
    read = await served.call("memory_read", name=note["name"])
    listed = await served.call("memory_list")
    assert hits[0]["name"] == note["name"] == "decision_bell_rope"
    assert "renewed every spring" in str(read)
    assert {"decision_bell_rope", "decision_lamp_oil"} <= {item["name"] for item in listed["items"]}
    assert (await served.store.documents.read(note["path"])).data


async def test_the_log_is_appended_queried_and_verified(served: Served) -> None:
    for number in [*range(7), *range(2)]:  # two of them again, under their keys
        body = {"number": number, "text": "日本 " * number}
        await served.call("log_append", Role.OPERATOR, kind="note.test", body=body, key=f"k{number}")
    page = await served.call("log_query", Role.OPERATOR, kinds=["note.test"], limit=5)
    rest = await served.call("log_query", Role.OPERATOR, kinds=["note.test"], limit=5, cursor=page["next_cursor"])
    verified = await served.call("log_verify", Role.OPERATOR)
    assert (len(page["items"]), len(rest["items"]), rest["next_cursor"]) == (5, 2, None)
    assert (verified["entries"], verified["findings"]) == (7, [])


async def test_work_is_enqueued_claimed_completed_and_its_history_is_logged(served: Served) -> None:
    made = await served.call("queue_enqueue", queue="mail", payload={"to": "rhea"}, key="k")
    again = await served.call("queue_enqueue", queue="mail", payload={"to": "rhea"}, key="k")
    [item] = (await served.call("queue_claim", Role.OPERATOR, queue="mail", worker="w", lease_s=30))["items"]
    lease = item["lease"]
    done = await served.call(
        "queue_complete", Role.OPERATOR, item=item["id"], token=lease["token"], result={"sent": True}
    )
    shown = await served.call("queue_inspect", Role.OPERATOR, queue="mail", state="done")
    kinds = [line["kind"] async for line in served.store.chain.scan("ada")]
    assert made["id"] == again["id"] == item["id"]
    assert done["state"] == "done"
    assert [one["id"] for one in shown["items"]] == [item["id"]]
    assert [kind for kind in kinds if kind.startswith("queue.")] == ["queue.enqueue", "queue.claim", "queue.complete"]


async def test_every_doctor_finds_a_healthy_vault(served: Served) -> None:
    await served.store.chain.append("ada", "w", {"kind": "x"})
    for server in ("memory", "journal", "log", "goal", "judge", "desk", "queue", "scheduler"):
        findings = (await served.call(f"{server}_doctor", Role.OPERATOR))["findings"]
        assert findings and [found for found in findings if found["status"] == "fail"] == [], server


async def test_a_run_reads_writes_and_leaves_its_record(vault: Path) -> None:
    steps = [calls(("memory_search", {"query": "lamp"})), calls(("memory_write", BELL)), says("Noted.")]
    options = RunOptions(
        vault=vault, agent="ada", task="Look after it", model="scripted", store=Address(ADDRESS), journal=True
    )
    model = Scripted(steps)
    with anyio.fail_after(30):
        result = await run_task(options, Recorder(), model=lambda: model)
    store = open_store(vault, ADDRESS)
    kinds = [line["kind"] async for line in store.chain.scan("ada")]
    assert (await store.documents.read("ada/memory/decision_bell_rope.md")).data
    assert (await store.chain.verify()).ok
    days = [store.files.read(info.path).data.decode() for info in store.files.walk("ada/journal")]
    journal = [text for text in days if result.run in text]
    store.close()
    assert result.status == "ok" and "rapeseed" in model.returned(1)[0]
    told = [kind for kind in kinds if kind in ("run.start", "judgment", "memory.write", "run.end")]
    assert told == ["run.start", "judgment", "memory.write", "run.end"]
    assert "Look after it" in journal[0]
    assert sorted(path.name for path in vault.iterdir()) == [".argosy", "fleet.sqlite"], "no file of the vault is made"


def test_the_command_line_runs_an_agent_whose_vault_is_a_database(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    vault = tmp_path / "vault"
    anyio.run(move_in, vault)
    where = ["--vault", str(vault), "--store", ADDRESS]
    with pytest.raises(SystemExit) as ended:
        run_cli(["run", "harbor", "What should I focus on this week?", "--model", "offline", *where])
    assert ended.value.code == 0
    ran = capsys.readouterr()
    assert "[" in ran.out, "it cites what it read"
    assert f"--store {ADDRESS}" in ran.err.splitlines()[-1], "how to see more works as it stands"
    assert run_cli(["trace", *where]) == 0
    assert "memory_" in capsys.readouterr().out
    assert not (vault / "harbor").exists()


async def move_in(vault: Path) -> None:
    """Put the template's files into a new database."""
    store = open_store(vault, ADDRESS, create=True)
    for path in sorted(TEMPLATE.rglob("*")):
        if path.is_file():
            await store.archive.write(str(path.relative_to(TEMPLATE)), path.read_bytes())
    store.close()
