"""Tools over a disk that is full or read-only: a named error with a hint, nothing half done, and reading goes on."""

from __future__ import annotations

import errno
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from children import ROOT, environment
from served import Answer, call

from argosy_core.clock import SystemClock
from argosy_core.fs import PosixFileSystem
from argosy_core.ids import SystemIds
from argosy_core.serving.config import ServerConfig
from argosy_core.storage.files.store import FileStore
from argosy_core.testing.faults import FaultyFileSystem
from argosy_core.types import Role
from argosy_core.vault import Vault
from argosy_goal.server import create as create_goal
from argosy_journal.server import create as create_journal
from argosy_log.server import create as create_log
from argosy_memory.server import create as create_memory
from argosy_queue.server import create as create_queue
from argosy_scheduler.server import create as create_scheduler

pytestmark = pytest.mark.anyio
EVERY_DAY = {"cron": "0 7 * * *"}
WRITES: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
    "memory_write": (create_memory, {"type": "reference", "title": "Tides", "body": "high at noon"}),
    "journal_append": (create_journal, {"text": "looked at the tides"}),
    "log_append": (create_log, {"kind": "tide.seen", "body": {"n": 1}, "key": "k"}),
    "queue_enqueue": (create_queue, {"queue": "work", "payload": {"n": 1}, "key": "k"}),
    "goal_create": (create_goal, {"title": "Sail", "why": "leave the harbor"}),
    "schedule_put": (
        create_scheduler,
        {"name": "tides", "when": EVERY_DAY, "target": {"agent": "harbor"}, "input": "look"},
    ),
}
READS: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
    "memory_read": (create_memory, {"name": "reference_tides"}),
    "journal_read": (create_journal, {}),
    "log_query": (create_log, {}),
    "log_verify": (create_log, {}),
    "goal_list": (create_goal, {}),
    "schedule_list": (create_scheduler, {}),
}
CODES = {errno.ENOSPC: "unavailable", errno.EDQUOT: "unavailable", errno.EROFS: "permission_denied"}


def config_on(root: Path, fs: FaultyFileSystem) -> ServerConfig:
    (root / "harbor").mkdir()
    (root / "harbor/model.md").write_text("# MODEL\n")
    store = FileStore(Vault(root, fs=fs), SystemClock(), SystemIds())
    return ServerConfig(store, "harbor", Role.OPERATOR, profile="full")


def check_named(answer: Answer, code: str) -> None:
    assert answer.code == code, answer.text
    assert "(" in answer.text and "Traceback" not in answer.text, f"no hint: {answer.text}"


@pytest.mark.parametrize(
    "error",
    [errno.ENOSPC, *(pytest.param(error, marks=pytest.mark.soak) for error in (errno.EDQUOT, errno.EROFS))],
    ids=lambda error: errno.errorcode[error],
)
@pytest.mark.parametrize("tool", WRITES)
async def test_a_write_says_what_is_wrong_and_works_when_it_is_mended(tool: str, error: int, tmp_path: Path) -> None:
    fs = FaultyFileSystem(PosixFileSystem())
    config = config_on(tmp_path, fs)
    create, given = WRITES[tool]
    fs.arm(1, error, for_good=True)
    check_named(await call(create, config, tool, **given), CODES[error])
    fs.disarm()
    mended = await call(create, config, tool, **given)
    assert mended.code is None, mended.text
    verified = await call(create_log, config, "log_verify")
    assert verified.fields["ok"], verified.text
    config.store.close()


# The same with a real file system, where there may be one: a disk of one megabyte of its own, seen by the child alone.

CHILD = """
import asyncio, json, os, sys
from pathlib import Path
sys.path[:0] = sys.argv[2].split(os.pathsep)
from served import call
from test_sick_disk import READS, WRITES
from argosy_core.serving.config import ServerConfig, open_store
from argosy_core.types import Role

async def main(root, state):
    (root / "harbor").mkdir()
    (root / "harbor/model.md").write_text("# MODEL")
    store = open_store(root)
    config = ServerConfig(store, "harbor", Role.OPERATOR, profile="full")
    if "used" in state:
        for tool, (create, given) in WRITES.items():
            assert (await call(create, config, tool, **given)).code is None
    if "full" in state:
        ballast = os.open(root / "ballast", os.O_WRONLY | os.O_CREAT)
        try:
            while os.write(ballast, bytes(4096)):
                pass
        except OSError:
            os.close(ballast)
    else:
        store.close()
        assert os.system(f"mount -o remount,ro {root}") == 0
        store = open_store(root)
        config = ServerConfig(store, "harbor", Role.OPERATOR, profile="full")
    told = {}
    for tool, (create, given) in READS.items() if state == "used, then read-only" else ():
        answer = await call(create, config, tool, **given)
        told[f"{tool} again"] = (answer.code, answer.text)
    for tool, (create, given) in WRITES.items():
        other = next(name for name in ("key", "title", "input", "text") if name in given)
        given = {**given, other: "Other"}
        answer = await call(create, config, tool, **given)
        told[tool] = (answer.code, answer.text)
    if "full" in state:
        (root / "ballast").unlink()
        for tool, (create, given) in WRITES.items():
            answer = await call(create, config, tool, **given)
            told[f"{tool} again"] = (answer.code, answer.text)
    print(json.dumps(told))
    store.close()

asyncio.run(main(Path(sys.argv[1]), sys.argv[3]))
"""


@pytest.mark.parametrize(
    "state",
    [
        *(pytest.param(state, marks=pytest.mark.soak) for state in ("full", "read-only", "used, then full")),
        "used, then read-only",
    ],
)
def test_a_real_disk_that_is_full_or_read_only_is_named(state: str, tmp_path: Path) -> None:
    own = ["unshare", "--mount", "--map-root-user"]
    mount = f"mount -t tmpfs -o size=1m tmpfs {tmp_path}"
    if not shutil.which("unshare") or subprocess.run([*own, "sh", "-c", mount], capture_output=True).returncode:
        pytest.skip("no mount of one's own may be made here: tried with the faulty file system only")
    paths = f"{ROOT}/tests/support:{ROOT}/tests/crash"
    python = f'exec "{sys.executable}" -P -c "$CHILD" "{tmp_path}" "{paths}" "{state}"'
    ran = subprocess.run(
        [*own, "sh", "-c", f"{mount} && {python}"],
        env={**environment(), "CHILD": CHILD},
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert ran.returncode == 0, ran.stderr
    for tool, (code, text) in json.loads(ran.stdout.splitlines()[-1]).items():
        if tool.endswith(" again"):
            assert code is None, f"{tool}: {text}"
        elif (tool, state) != ("log_append", "used, then full") or code is not None:  # its last block has room
            assert code == ("unavailable" if "full" in state else "permission_denied"), f"{tool}: {text}"
            assert "(" in text and "Traceback" not in text, f"{tool}: {text}"
