"""Rules of the house that a reader relies on: sizes, names, layers, versions."""

from __future__ import annotations

import ast
import json
import os
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from argosy_core import __version__

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted(path for root in ("servers", "shared", "host") for path in (ROOT / root).rglob("*.py"))
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
REGISTRY: list[dict[str, Any]] = json.loads((ROOT / "registry.json").read_text())["servers"]
MAX_LINES = 400
VAGUE = ("utils", "util", "helpers", "helper", "common", "manager", "managers", "misc")
UNTRACKED = {
    *(".git", ".venv", ".argosy", "demo-vault", "build", "dist", "__pycache__"),
    *(".hypothesis", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".import_linter_cache"),
}
# In parts, so that this file passes its own test.
REGISTRY_HOSTS = [
    ".".join(parts)
    for parts in (("pypi", "org"), ("pythonhosted", "org"), ("npmjs", "org"), ("npmjs", "com"), ("docker", "io"))
]
# It lists the hosts that registry.json must not name.
NAMES_HOSTS = {Path("tests/unit/test_registry_json.py")}


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def tracked_files() -> Iterator[Path]:
    for folder, names, files in os.walk(ROOT):
        names[:] = [name for name in names if name not in UNTRACKED and not name.startswith("argosy-bench-")]
        yield from (Path(folder, file) for file in files)


def test_no_module_has_more_lines_than_somebody_reads_at_once() -> None:
    long = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in MODULES}
    assert {path: lines for path, lines in long.items() if lines > MAX_LINES} == {}


def test_no_module_has_a_name_that_says_nothing() -> None:
    names = [path.parent.name if path.stem == "__init__" else path.stem for path in MODULES]
    assert [name for name in names if set(name.split("_")) & set(VAGUE)] == []


def test_no_server_imports_another_one() -> None:
    servers = {path.name for path in (ROOT / "servers").iterdir() if path.name.startswith("argosy_")}
    crossed = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in (ROOT / "servers").rglob("*.py")
        for name in imported(path)
        if name.partition(".")[0] in servers - {path.relative_to(ROOT / "servers").parts[0]}
    ]
    assert crossed == []


def test_every_module_says_what_it_is() -> None:
    silent = [path for path in MODULES if ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) is None]
    assert [str(path.relative_to(ROOT)) for path in silent] == []


def test_every_package_is_typed_and_has_a_name_of_its_own() -> None:
    packages = {path.parent for root in ("servers", "shared", "host") for path in (ROOT / root).glob("*/__init__.py")}
    assert all(package.name.startswith("argosy_") for package in packages)
    assert [package.name for package in packages if not (package / "py.typed").is_file()] == []


@pytest.mark.parametrize("entry", REGISTRY, ids=lambda entry: entry["_meta"]["io.github.argosy/fleet"]["name"])
def test_tool_names_are_legal_in_every_client(entry: dict[str, Any]) -> None:
    tools = entry["_meta"]["io.github.argosy/fleet"]["tools"]
    assert tools
    assert [name for name in tools if not re.fullmatch(r"[a-z][a-z0-9_]{0,30}", name)] == []


def test_there_is_one_version() -> None:
    assert PROJECT["project"]["version"] == __version__
    assert {entry["server"]["version"] for entry in REGISTRY} == {__version__}
    assert {package["version"] for entry in REGISTRY for package in entry["server"]["packages"]} == {__version__}
    newest = re.search(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert newest is not None
    assert newest[1] == __version__


def test_the_tools_that_check_know_every_package() -> None:
    packages = {path.parent.name for root in ("servers", "shared", "host") for path in (ROOT / root).glob("*/py.typed")}
    tool = PROJECT["tool"]
    assert set(tool["mypy"]["packages"]) == packages
    assert set(tool["importlinter"]["root_packages"]) == packages
    assert set(tool["ruff"]["lint"]["isort"]["known-first-party"]) == packages


def test_constraints_pin_what_the_project_asks_for_and_name_no_place() -> None:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    assert [line for line in lines if not re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9._+!-]+", line)] == []
    pinned = {_plain(line.partition("==")[0]) for line in lines}
    project = PROJECT["project"]
    asked = [*project["dependencies"], *project["optional-dependencies"]["anthropic"]]
    asked += project["optional-dependencies"]["openai"]
    asked += [line for group in PROJECT["dependency-groups"].values() for line in group]
    assert {_plain(re.split(r"[<>=!~\[; ]", line)[0]) for line in asked} <= pinned


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_no_file_names_the_host_of_a_package_registry() -> None:
    named = [
        f"{path.relative_to(ROOT)} names {host}"
        for path in tracked_files()
        if path.relative_to(ROOT) not in NAMES_HOSTS and path.stat().st_size < 2_000_000
        for host in REGISTRY_HOSTS
        if host.encode() in path.read_bytes()
    ]
    assert named == []
