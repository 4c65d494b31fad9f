"""The bundle that a client installs with one click: its form, and its program on a folder that a person chose."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client

pytestmark = [pytest.mark.packaging, pytest.mark.timeout(280)]

ROOT = Path(__file__).resolve().parents[2]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CHECKER = "@anthropic-ai/mcpb@2.1.2"


def make(target: Path) -> bytes:
    subprocess.run([sys.executable, "-P", ROOT / ".ci/bundle.py", target], cwd="/", check=True, timeout=250)
    return target.read_bytes()


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("bundle") / "dist/argosy.mcpb"
    make(target)
    return target


@pytest.fixture(scope="module")
def unpacked(bundle: Path) -> Path:
    folder = bundle.parent / "unpacked"
    with zipfile.ZipFile(bundle) as opened:
        opened.extractall(folder)
    return folder


@pytest.fixture(scope="module")
def manifest(unpacked: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((unpacked / "manifest.json").read_text())
    return found


def test_the_bundle_holds_a_wheel_and_what_names_it(unpacked: Path) -> None:
    wheel = f"argosy-{PROJECT['version']}-py3-none-any.whl"
    assert {path.name for path in unpacked.iterdir()} == {
        "LICENSE",
        "manifest.json",
        "pyproject.toml",
        "server.py",
        wheel,
    }
    requirements = tomllib.loads((unpacked / "pyproject.toml").read_text())
    assert requirements["tool"]["uv"]["sources"] == {"argosy": {"path": wheel}}
    assert any(pin.startswith("mcp==") for pin in requirements["tool"]["uv"]["constraint-dependencies"])


def test_equal_sources_give_equal_bytes(bundle: Path, tmp_path: Path) -> None:
    assert make(tmp_path / "again.mcpb") == bundle.read_bytes()


def test_the_manifest_says_what_the_project_says(manifest: dict[str, Any]) -> None:
    assert (manifest["name"], manifest["version"]) == (PROJECT["name"], PROJECT["version"])
    asked = set(re.findall(r"\$\{user_config\.(\w+)\}", json.dumps(manifest["server"])))
    assert asked == set(manifest["user_config"]) == {"vault", "agent"}


@pytest.mark.skipif(shutil.which("npx") is None, reason="the format's own checker needs Node")
def test_the_formats_own_checker_takes_the_manifest(unpacked: Path, tmp_path: Path) -> None:
    words = ["npx", "-y", CHECKER, "validate", str(unpacked / "manifest.json")]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=250, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "passes" in done.stdout


@pytest.mark.parametrize("vault", ["empty", "missing"])
@pytest.mark.anyio
async def test_the_program_makes_a_vault_of_an_empty_folder_and_serves_it(
    vault: str, unpacked: Path, manifest: dict[str, Any], tmp_path: Path
) -> None:
    [wheel] = unpacked.glob("*.whl")
    with zipfile.ZipFile(wheel) as opened:
        opened.extractall(tmp_path / "site")
    folder = tmp_path / "my vault"
    if vault == "empty":
        folder.mkdir()
    config = manifest["server"]["mcp_config"]
    chosen = {"vault": str(folder), "agent": manifest["user_config"]["agent"]["default"]}
    env = {name: chosen[text.removeprefix("${user_config.").removesuffix("}")] for name, text in config["env"].items()}
    server = StdioServerParameters(
        command=sys.executable,
        args=[str(unpacked / config["args"][-1])],
        env={**env, "PYTHONPATH": str(tmp_path / "site"), "PYTHONDONTWRITEBYTECODE": "1"},
        cwd=unpacked,
    )
    async with Client(stdio_client(server), read_timeout_seconds=60) as client:
        result = await client.call_tool("memory_search", {"query": "paste"})
    assert (result.structured_content or {})["hits"]
    assert (folder / "harbor/model.md").is_file()


@pytest.mark.skipif(shutil.which("uv") is None, reason="uv is not installed")
@pytest.mark.anyio
async def test_uv_installs_and_starts_the_bundle(unpacked: Path, manifest: dict[str, Any], tmp_path: Path) -> None:
    folder = shutil.copytree(unpacked, tmp_path / "bundle")
    config = manifest["server"]["mcp_config"]
    server = StdioServerParameters(
        command=config["command"],
        args=[word.replace("${__dirname}", str(folder)) for word in config["args"]],
        env={**os.environ, "ARGOSY_VAULT": str(tmp_path / "vault"), "ARGOSY_AGENT": "${user_config.agent}"},
        cwd="/",
    )
    async with Client(stdio_client(server), read_timeout_seconds=250) as client:
        assert (await client.call_tool("memory_search", {"query": "paste"})).structured_content
