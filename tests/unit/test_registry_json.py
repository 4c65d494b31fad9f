"""registry.json, the entry points, the folders under servers/ and the servers' own declarations are one list."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from argosy_core import __version__
from argosy_core.fleet import packaged
from argosy_core.serving.config import ServerConfig, open_store
from argosy_core.serving.server import ArgosyServer

ROOT = Path(__file__).resolve().parents[2]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
ENTRY_POINTS: dict[str, str] = PROJECT["entry-points"]["argosy.servers"]
ENTRIES: list[dict[str, Any]] = json.loads((ROOT / "registry.json").read_text())["servers"]
FLEET_META = "io.github.argosy/fleet"
NAMES = [server.name for server in packaged().servers]


@pytest.fixture
def config(tmp_path: Path) -> Iterator[ServerConfig]:
    store = open_store(tmp_path)
    yield ServerConfig(store, agent="harbor")
    store.close()


def created(name: str, config: ServerConfig) -> ArgosyServer:
    module, function = ENTRY_POINTS[name].split(":")
    server = getattr(import_module(module), function)(config)
    assert isinstance(server, ArgosyServer)
    return server


def test_the_entries_are_sorted_and_each_stands_once() -> None:
    names = [entry["_meta"][FLEET_META]["name"] for entry in ENTRIES]
    assert names == sorted(set(names))


def test_registry_entry_points_and_folders_name_the_same_servers() -> None:
    folders = {path.parent.name.removeprefix("argosy_") for path in (ROOT / "servers").glob("argosy_*/server.py")}
    assert set(NAMES) == set(ENTRY_POINTS) == folders | {"host"}  # the host is a server too, at home in host/
    assert all(ENTRY_POINTS[name] == f"argosy_{name}.server:create" for name in NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_server_declares_the_tools_and_classes_the_registry_says(name: str, config: ServerConfig) -> None:
    declared = {tool: entry.action_class.value for tool, entry in created(name, config).entries.items()}
    assert declared == packaged().server(name).tools, f"registry.json must say of {name}: {json.dumps(declared)}"


def test_no_tool_name_belongs_to_two_servers() -> None:
    tools = [tool for server in packaged().servers for tool in server.tools]
    assert len(tools) == len(set(tools))


@pytest.mark.parametrize("entry", ENTRIES, ids=NAMES)
def test_the_public_part_of_an_entry_is_what_the_public_registries_take(entry: dict[str, Any]) -> None:
    about, name = entry["server"], entry["_meta"][FLEET_META]["name"]
    assert set(entry) == {"server", "_meta"}
    assert about["$schema"].endswith("/schemas/2025-12-11/server.schema.json")
    assert about["name"] == f"io.github.argosy/{name}"
    assert 0 < len(about["description"]) <= 100
    assert about["version"] == __version__ == PROJECT["version"]
    [package] = about["packages"]
    assert (package["registryType"], package["identifier"], package["version"]) == ("pypi", "argosy", __version__)
    assert package["transport"] == {"type": "stdio"}
    assert [argument["value"] for argument in package["packageArguments"]] == ["serve", name]


def test_the_wheel_carries_the_file_and_no_package_registry_is_named() -> None:
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert build["force-include"]["registry.json"] == "argosy_core/_data/registry.json"
    text = (ROOT / "registry.json").read_text()
    assert not any(host in text for host in ("pypi.org", "npmjs", "pythonhosted", "docker.io", "ghcr.io"))
