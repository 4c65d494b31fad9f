"""A server that lives long: its memory and its open files stay level."""

from __future__ import annotations

import gc
import resource
import sys
from pathlib import Path

import pytest
from mcp import Client

from argosy_core.serving.config import ServerConfig, open_store
from argosy_journal.server import create as create_journal
from argosy_memory.server import create as create_memory

pytestmark = [
    pytest.mark.soak,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]

NOTES = 200
WARM_UP = 1_000
CALLS = 10_000
MAX_BYTES_A_CALL = 1024


def resident_bytes() -> int:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.anyio
async def test_calls_leave_neither_memory_nor_open_files_behind(tmp_path: Path) -> None:
    (tmp_path / "harbor").mkdir()
    (tmp_path / "harbor" / "model.md").write_text("# MODEL\n")
    store = open_store(tmp_path)
    config = ServerConfig(store, agent="harbor")
    async with Client(create_memory(config)) as memory, Client(create_journal(config)) as journal:

        async def work(number: int) -> None:
            if number < NOTES:  # the vault itself stays as it is then: what grows is what leaks
                note = {"type": "reference", "title": f"Note {number}", "body": f"the {number}th text"}
                written = await memory.call_tool("memory_write", note)
                assert not written.is_error
            found = await memory.call_tool("memory_search", {"query": "text"})
            read = await journal.call_tool("journal_read", {"limit": 5})
            assert not found.is_error
            assert not read.is_error

        for number in range(WARM_UP):
            await work(number)
        memory_before, files_before = resident_bytes(), open_files()
        for number in range(WARM_UP, WARM_UP + CALLS):
            await work(number)
        grown = resident_bytes() - memory_before
        assert open_files() <= files_before
        assert grown / (2 * CALLS) < MAX_BYTES_A_CALL
    store.close()
