"""Real processes on one vault, killed in the middle of their work. Many at once are in the conformance suites."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from argosy_core.storage.base import Store
from argosy_core.storage.opening import open_store

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]

SOURCES = os.pathsep.join(str(Path(__file__).resolve().parents[2] / part) for part in ("shared", "servers", "host"))
KILLS = {"files": 15, "sqlite": 6}  # as many moments as the time that they may take holds
KILLS_ON_A_SERVER = 4  # a client that dies leaves less behind
LINES = 400  # of a document: enough for several writes of the kernel

COMMON = """
import json, sys
import anyio
from argosy_core.storage.opening import open_store

root, address, name, start = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
store = open_store(root, address)
def say(**fields):
    print(json.dumps(fields), flush=True)
say(ready=True)
sys.stdin.readline()
"""
# Writes for ever, and says so only after it was acknowledged. A step that was not said is done again, under its key.
FOR_EVER = (
    COMMON
    + f"""
async def main():
    number = start
    while True:
        number += 1
        entry = await store.chain.append("harbor", name, {{"n": number}}, key=str(number))
        text = f"{{name}} {{number}}\\n" * {LINES}
        written = await store.documents.write(f"harbor/{{name}}.md", text.encode(), keep_version=number % 5 == 0)
        await store.documents.write("harbor/both.md", text.encode())
        say(n=number, seq=entry.seq, hash=entry.hash, version=written.version)

anyio.run(main)
"""
)


@contextmanager
def child(script: str, *arguments: str) -> Generator[subprocess.Popen[str]]:
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    with subprocess.Popen(
        [sys.executable, "-P", "-W", "error", "-c", script, *arguments],
        env={**env, "PYTHONPATH": SOURCES},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def go(process: subprocess.Popen[str]) -> None:
    """Let a child that is ready begin."""
    assert process.stdout and process.stdin
    assert json.loads(process.stdout.readline()) == {"ready": True}
    process.stdin.write("go\n")
    process.stdin.flush()


def said(process: subprocess.Popen[str]) -> list[dict[str, Any]]:
    """What is left to hear of a child, without a line that its death cut off."""
    assert process.stdout
    return [json.loads(line) for line in process.stdout if line.endswith("\n")]


@pytest.fixture(params=["files", "sqlite:///fleet.sqlite", "postgres"], ids=["files", "sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, str]:
    """The vault and the address of its store, in which there is the agent harbor."""
    is_server = request.param == "postgres"
    address = request.getfixturevalue("postgres").url() if is_server else request.param
    store = open_store(tmp_path, address, create=True)
    store.files.replace("harbor/count.md", b"0")
    store.close()
    return str(tmp_path), address


async def test_a_writer_killed_at_any_moment_loses_nothing_it_acknowledged(place: tuple[str, str]) -> None:
    chance, kills = random.Random(20261120), KILLS.get(place[1].partition(":")[0], KILLS_ON_A_SERVER)
    done = {"ada": 0, "bob": 0}
    acknowledged: dict[tuple[str, int], dict[str, Any]] = {}
    for _ in range(kills):
        with ExitStack() as stack:
            children = {name: stack.enter_context(child(FOR_EVER, *place, name, str(done[name]))) for name in done}
            for process in children.values():
                go(process)
            for name, process in sorted(children.items(), key=lambda _: chance.random()):
                assert process.stdout
                lines = [json.loads(process.stdout.readline()) for _ in range(chance.randint(1, 8))]
                process.kill()
                for line in (*lines, *said(process)):
                    acknowledged[name, line["n"]] = line
                    done[name] = line["n"]
        store = open_store(*place)
        await check_documents(store, done)
        store.close()

    store = open_store(*place)
    await store.chain.append("harbor", "after", {})
    kept = {(line["writer"], line["n"]): line async for line in store.chain.scan("harbor") if "n" in line}
    report = await store.chain.verify("harbor")
    for name, number in done.items():
        # Each step is there once, though it may have been repeated after the kill; at most one more was not said.
        seqs = [line["seq"] for (writer, _), line in kept.items() if writer == name]
        assert seqs == list(range(1, len(seqs) + 1))
        assert [n for writer, n in kept if writer == name] == seqs
        assert number <= len(seqs) <= number + 1
    store.close()
    assert len(acknowledged) >= 2 * kills
    assert {place: line["hash"] for place, line in acknowledged.items()}.items() <= {
        place: line["hash"] for place, line in kept.items()
    }.items()
    assert report.findings == ()
    assert report.entries == len(kept) + 1


async def check_documents(store: Store, done: dict[str, int]) -> None:
    """Every document is whole, and holds what was acknowledged last or what came after."""
    for name, number in done.items():
        first, _, rest = (await store.documents.read(f"harbor/{name}.md")).data.decode().partition("\n")
        assert rest == f"{first}\n" * (LINES - 1)
        assert int(first.removeprefix(f"{name} ")) >= number
    kept = [info.path for name in done for info in await store.documents.versions(f"harbor/{name}.md")]
    for path in ("harbor/both.md", *kept):
        lines = (await store.documents.read(path)).data.decode().splitlines()
        assert lines == lines[:1] * LINES
