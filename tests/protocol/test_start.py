"""What a start imports beyond the SDK: little, and nothing heavy."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from fleet_fixtures import make_vault
from transports import command, environment

pytestmark = pytest.mark.timeout(120)
SDK = "import anyio, mcp.server, mcp.client\nanyio.run(anyio.sleep, 0)\nmcp.server.MCPServer('x')"
ALWAYS = {"argosy_core", "argosy_host", "yaml"}
HELLO = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "0"}}
MESSAGES = [
    {"id": 1, "method": "initialize", "params": HELLO},
    {"method": "notifications/initialized"},
    {"id": 2, "method": "tools/call", "params": {"name": "memory_read", "arguments": {"name": "decision_lamp_oil"}}},
]


@pytest.fixture
def vault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "rt").mkdir()
    return make_vault(tmp_path / "vault")


@pytest.fixture(scope="module")
def sdk() -> set[str]:
    return imported([sys.executable, "-P", "-c", SDK], "", environment())


def imported(line: list[str], given: str, env: dict[str, str]) -> set[str]:
    """The modules that the process imports, by the interpreter's own account."""
    done = subprocess.run(
        [line[0], "-X", "importtime", *line[1:]], input=given, capture_output=True, text=True, timeout=60, env=env
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return {row.split("|")[-1].strip() for row in done.stderr.split("\n") if row.startswith("import time:")}


def packages(modules: set[str]) -> set[str]:
    """Their packages outside the standard library."""
    return {name.partition(".")[0] for name in modules} - set(sys.stdlib_module_names)


def test_one_server_imports_its_own_package_and_no_other(vault: Path, sdk: set[str]) -> None:
    given = "".join(json.dumps({"jsonrpc": "2.0", **message}) + "\n" for message in MESSAGES)
    env = environment(XDG_RUNTIME_DIR=str(vault.parent / "rt"))
    found = imported(command("serve", "memory", "--vault", str(vault), "--agent", "ada"), given, env)

    assert packages(found) - packages(sdk) <= ALWAYS | {"argosy_memory"}
    unneeded = {"argosy_host.session", "argosy_host.gateway", "argosy_core.policy.judges_model", "argosy_host.issuer"}
    assert not unneeded & found


def test_a_run_imports_the_servers_and_no_provider_that_it_does_not_ask(vault: Path, sdk: set[str]) -> None:
    env = environment(XDG_RUNTIME_DIR=str(vault.parent / "rt"))
    line = command("run", "ada", "What burns in the lamp?", "--vault", str(vault), "--model", "offline")
    found = packages(imported(line, "", env)) - packages(sdk)

    servers = {name for name in found if name.startswith("argosy_")}
    assert found - servers <= ALWAYS | {"cronsim", "blake3", "cryptography"}


COMPLETE = """
from importlib import import_module
from pydantic import BaseModel
from argosy_core.fleet import packaged

def below(kind):
    for one in kind.__subclasses__():
        yield one
        yield from below(one)

for server in packaged().servers:
    import_module("argosy_host.server" if server.name == "host" else f"argosy_{server.name}.server")
print(*(one.__name__ for one in below(BaseModel) if one.__module__.startswith("argosy_") and one.__pydantic_complete__))
"""


def test_no_model_is_completed_before_it_is_used() -> None:
    line = [sys.executable, "-P", "-c", COMPLETE]
    done = subprocess.run(line, capture_output=True, text=True, timeout=60, env=environment())

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() in ([], ["Page"])  # the base that pages are made from is, when the first of them is made


def test_the_command_line_is_eased_and_the_process_it_becomes_is_not(vault: Path) -> None:
    program = (
        "import gc, sys\n"
        "usual = gc.get_threshold()\n"
        "import argosy_core.serving.stdio as stdio\n"
        "async def serve(_):\n    print(gc.get_threshold() == usual, gc.get_freeze_count() > 100_000)\n"
        "stdio.serve_stdio = serve\n"
        "from argosy_host.cli import main\n"
        "main()\n"
    )
    env = environment(XDG_RUNTIME_DIR=str(vault.parent / "rt"))
    line = [sys.executable, "-P", "-c", program, "serve", "memory", "--vault", str(vault)]
    done = subprocess.run(line, capture_output=True, text=True, timeout=60, env={**os.environ, **env})

    assert done.stdout == "True True\n", done.stderr
