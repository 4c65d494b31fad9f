"""Starting programs of this tree from a process that has imported all of it (`warm_host.py` says why)."""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PYTHONPATH = os.pathsep.join(str(ROOT / part) for part in ("servers", "shared", "host"))


def warm(*arguments: str) -> list[str]:
    """The command line that does what ``python ARGUMENTS…`` would: ``-m MODULE`` or a file, and its arguments."""
    return [sys.executable, "-I", "-S", str(HERE / "warm_start.py"), _host(), *arguments]


@cache
def _host() -> str:
    """The socket of this process's own host; it ends with this process."""
    folder = tempfile.mkdtemp(prefix="argosy-warm-", dir="/tmp")  # short: a socket's path holds 107 bytes
    path = f"{folder}/host"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    process = subprocess.Popen(
        [sys.executable, "-P", str(HERE / "warm_host.py"), path],
        env={**environment, "PYTHONPATH": PYTHONPATH},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )

    def end() -> None:
        process.kill()
        process.wait(10)
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()
        shutil.rmtree(folder, ignore_errors=True)

    atexit.register(end)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    return path
