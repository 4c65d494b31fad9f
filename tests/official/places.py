"""What the suite is run against: processes of ``mcp-host serve --http``, each with a vault of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

import children
from warm import PYTHONPATH

from argosy_core.fleet import packaged

HERE = Path(__file__).resolve().parent
HOST = [sys.executable, "-P", "-m", "argosy_host"]
START_SECONDS = 60
STOP_SECONDS = 15

# By the name that the page gives it, which servers there are: none is the whole fleet, as `mcp-host serve` has it.
PLACES: dict[str, Sequence[str]] = {
    "fleet": (),
    "fixture": ("fixture",),
    "gateway": (*(server.name for server in packaged().servers), "fixture"),
}


def offer_fixture(folder: Path) -> Path:
    """Make the fixture server known to whoever has the result on its path, as an installed package would be."""
    offered = folder / "offered"
    described = offered / "argosy_fixture-1.0.dist-info"
    described.mkdir(parents=True)
    (described / "METADATA").write_text("Metadata-Version: 2.1\nName: argosy-fixture\nVersion: 1.0\n")
    (described / "entry_points.txt").write_text("[argosy.servers]\nfixture = fixture_server:create\n")
    return offered


def environment(folder: Path, offered: Path) -> dict[str, str]:
    """Of a child: the source tree and the fixture on its path, and what it keeps for its user under *folder*."""
    path = os.pathsep.join([PYTHONPATH, str(HERE), str(offered)])
    own = {f"XDG_{kind}_HOME": str(folder / kind.lower()) for kind in ("STATE", "CACHE", "CONFIG")}
    return {**children.environment(), **own, "PYTHONPATH": path}


@contextmanager
def served(place: str, folder: Path) -> Generator[str]:
    """The URL of *place*, served from a fresh vault in *folder*; it is stopped at the end.

    Raises RuntimeError with what the process said when it does not start.
    """
    env = environment(folder, offer_fixture(folder))
    vault = str(folder / "vault")
    subprocess.run([*HOST, "init", vault], env=env, check=True, stdout=subprocess.DEVNULL)
    line = [*HOST, "serve", *PLACES[place], "--vault", vault, "--http", "127.0.0.1:0"]
    with subprocess.Popen(line, env=env, stderr=subprocess.PIPE, text=True) as process:
        said = _Said(process)
        try:
            yield said.url()
        finally:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()


class _Said:
    """What a process says: read to its end, so that it never waits for a reader."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._lines: list[str] = []
        self._url = ""
        self._known = threading.Event()
        threading.Thread(target=self._read, daemon=True).start()

    def url(self) -> str:
        self._known.wait(START_SECONDS)
        if not self._url:
            raise RuntimeError("mcp-host serve did not start:\n" + "".join(self._lines[-20:]))
        return self._url

    def _read(self) -> None:
        assert self._process.stderr
        for line in self._process.stderr:
            self._lines.append(line)
            if line.startswith("serving ") and not self._url:
                self._url = line.split()[1]
                self._known.set()
        self._known.set()
