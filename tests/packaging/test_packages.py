"""The built packages, used as somebody else uses them: installed elsewhere, from another folder, without the tree."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client

pytestmark = [pytest.mark.packaging, pytest.mark.timeout(280)]

ROOT = Path(__file__).resolve().parents[2]
DATA = "argosy_core/_data"
QUESTION = "What should I focus on this week?"
# Runs whatever is called argosy_core in the folder it stands in, loudly.
SHADOW = "raise SystemExit('the folder of the caller was imported')\n"


def run(*words: object, cwd: Path, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [str(word) for word in words],
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
    return done


@dataclass(frozen=True, slots=True)
class Built:
    """The sdist, the wheel that was built from it, and the wheel that was built from the tree."""

    sdist: Path
    wheel: Path
    wheel_of_tree: Path


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    place = tmp_path_factory.mktemp("built")
    run(sys.executable, "-P", "-m", "build", "--outdir", place / "both", ROOT, cwd=place)
    run(sys.executable, "-P", "-m", "build", "--wheel", "--outdir", place / "tree", ROOT, cwd=place)
    [sdist] = (place / "both").glob("*.tar.gz")
    [wheel] = (place / "both").glob("*.whl")
    [wheel_of_tree] = (place / "tree").glob("*.whl")
    return Built(sdist, wheel, wheel_of_tree)


@dataclass(frozen=True, slots=True)
class Installation:
    """A fresh environment with the wheel in it, and a folder far from the tree to work in."""

    bin: Path
    site: Path
    work: Path

    @property
    def environment(self) -> dict[str, str]:
        return {
            "HOME": str(self.work),
            "PATH": f"{self.bin}:/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "XDG_STATE_HOME": str(self.work / "state"),
        }

    def host(self, *words: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        return run(self.bin / "mcp-host", *words, cwd=cwd or self.work, env=self.environment)


@pytest.fixture(scope="module")
def installation(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    place = tmp_path_factory.mktemp("installed")
    (place / "work").mkdir()
    run(sys.executable, "-m", "venv", place / "env", cwd=place)
    pip = [place / "env/bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    run(*pip, "-c", ROOT / "constraints.txt", built.wheel, cwd=place)
    [site] = (place / "env/lib").glob("python3*/site-packages")
    return Installation(place / "env/bin", site, place / "work")


@pytest.fixture
def vault(installation: Installation, tmp_path: Path) -> Path:
    installation.host("init", tmp_path / "vault")
    return tmp_path / "vault"


# What the packages hold


def names_in(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as opened:
        return opened.namelist()


def template_files() -> list[str]:
    found = [path for path in (ROOT / "vault-template").rglob("*") if path.is_file()]
    return sorted(str(path.relative_to(ROOT)) for path in found if ".argosy" not in path.parts)


def test_the_wheel_holds_our_packages_and_nothing_else_at_its_top(built: Built) -> None:
    tops = {name.partition("/")[0] for name in names_in(built.wheel)}
    sources = {path.name for part in ("servers", "shared", "host") for path in (ROOT / part).glob("argosy_*")}
    assert {top for top in tops if not top.endswith(".dist-info")} == sources


def test_every_package_says_that_it_is_typed(built: Built) -> None:
    names = names_in(built.wheel)
    packages = {name.partition("/")[0] for name in names if name.startswith("argosy_")}
    assert {package for package in packages if f"{package}/py.typed" not in names} == set()


def test_the_wheel_holds_every_file_that_the_code_reads(built: Built) -> None:
    data = {".sql", ".json", ".typed"}
    wanted = {
        str(path.relative_to(ROOT / part))
        for part in ("servers", "shared", "host")
        for path in (ROOT / part).rglob("*")
        if path.suffix in data
    }
    assert wanted <= set(names_in(built.wheel))


def test_the_registry_and_the_whole_template_are_in_the_wheel(built: Built) -> None:
    with zipfile.ZipFile(built.wheel) as opened:
        assert opened.read(f"{DATA}/registry.json") == (ROOT / "registry.json").read_bytes()
        kept = sorted(name.removeprefix(f"{DATA}/") for name in opened.namelist() if f"{DATA}/vault-template/" in name)
        assert kept == template_files()
        assert all(opened.read(f"{DATA}/{name}") == (ROOT / name).read_bytes() for name in kept)
    assert {"vault-template/.gitignore", "vault-template/.obsidian/app.json"} <= set(kept)


def test_the_sdist_makes_the_same_wheel_as_the_tree(built: Built) -> None:
    assert built.wheel.name == built.wheel_of_tree.name
    assert built.wheel.read_bytes() == built.wheel_of_tree.read_bytes()


def test_the_sdist_holds_what_a_packager_needs_and_nothing_that_was_made(built: Built) -> None:
    with tarfile.open(built.sdist) as opened:
        names = {name.partition("/")[2] for name in opened.getnames()}
    assert {"LICENSE", "README.md", "Makefile", "constraints.txt", "tests/conftest.py", "docs/policies.md"} <= names
    made = {".venv", "demo-vault", ".git", ".argosy", "__pycache__", ".pytest_cache", "bench.json", "dist"}
    assert [name for name in names if made & set(name.split("/"))] == []


# What an installation does


def test_an_installation_adds_our_names_and_no_others(installation: Installation) -> None:
    [record] = installation.site.glob("argosy-*.dist-info/RECORD")
    with record.open(newline="") as lines:
        paths = [row[0] for row in csv.reader(lines)]
    commands = {Path(path).name for path in paths if path.startswith("../")}
    tops = {path.partition("/")[0] for path in paths if not path.startswith("../")}
    assert commands == {"mcp-host", "argosy"}
    assert [top for top in tops if not top.startswith(("argosy_", "argosy-"))] == []


def test_the_version_is_that_of_the_wheel(built: Built, installation: Installation) -> None:
    version = built.wheel.name.split("-")[1]
    assert installation.host("--version").stdout.split()[-1] == version
    assert run(installation.bin / "argosy", "--version", cwd=installation.work).stdout.split()[-1] == version


def test_every_entry_point_loads(installation: Installation) -> None:
    program = (
        "from importlib.metadata import entry_points\n"
        "print(sorted(e.name for e in entry_points(group='argosy.servers') if callable(e.load())))"
    )
    done = run(installation.bin / "python", "-P", "-c", program, cwd=installation.work, env=installation.environment)
    registry = json.loads((ROOT / "registry.json").read_text())["servers"]
    assert done.stdout.strip() == str(sorted(e["_meta"]["io.github.argosy/fleet"]["name"] for e in registry))


def test_init_copies_the_whole_template(vault: Path) -> None:
    copied = sorted(f"vault-template/{path.relative_to(vault)}" for path in vault.rglob("*") if path.is_file())
    assert copied == template_files()


def test_a_run_answers_from_the_vault(installation: Installation, vault: Path) -> None:
    done = installation.host("run", "harbor", QUESTION, "--vault", vault, "--model", "offline", "--json")
    answer = json.loads(done.stdout)
    assert (answer["status"], answer["model"]) == ("ok", "offline")
    assert answer["citations"]
    trace = json.loads(installation.host("trace", "--vault", vault, "--json").stdout)
    assert trace["run"] == answer["run"]


@pytest.mark.anyio
async def test_a_client_is_answered_over_stdio(installation: Installation, vault: Path, tmp_path: Path) -> None:
    server = StdioServerParameters(
        command=str(installation.bin / "mcp-host"),
        args=["serve", "memory", "--vault", str(vault)],
        env=installation.environment,
        cwd=shadowed(tmp_path),
    )
    async with Client(stdio_client(server), read_timeout_seconds=60) as client:
        result = await client.call_tool("memory_search", {"query": "paste"})
    assert not result.is_error
    assert (result.structured_content or {})["hits"]


def shadowed(folder: Path) -> Path:
    """*folder* with modules in it that are named like ours."""
    for name in ("argosy_core", "argosy_host", "argosy_memory"):
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text(SHADOW)
        (folder / name / "__main__.py").write_text(SHADOW)
    return folder


def test_the_kit_proves_a_store_without_the_tree_and_without_pytest(installation: Installation) -> None:
    words = ("-P", "-m", "argosy_core.testing", "argosy_core.testing.openers:sqlite", "leases", "processes")
    done = run(installation.bin / "python", *words, cwd=installation.work, env=installation.environment)
    assert "processes: 1 of 1 promises are kept" in done.stdout
    assert not list(installation.site.glob("*pytest*"))


def test_a_folder_named_like_ours_shadows_nothing_for_children(installation: Installation, vault: Path) -> None:
    in_a_process_of_its_own(vault, ["memory"])
    shadowed(vault)  # a child starts in the vault
    words = ["run", "harbor", QUESTION, "--vault", vault, "--model", "offline", "--json"]
    done = installation.host(*words, cwd=shadowed(installation.work))
    answer = json.loads(done.stdout)
    assert answer["status"] == "ok"
    assert "memory" not in done.stderr
    assert {"memory_recall", "memory_search"} & {tool["name"] for tool in answer["tools"]}


def in_a_process_of_its_own(vault: Path, servers: Sequence[str]) -> None:
    entries = [
        {"server": {}, "_meta": {"io.github.argosy/fleet": {"name": name, "transport": "stdio"}}} for name in servers
    ]
    (vault / "registry.json").write_text(json.dumps({"servers": entries}))


def test_the_tests_look_at_the_wheel_and_not_at_the_tree(installation: Installation) -> None:
    program = "import argosy_core, argosy_host; print(argosy_core.__file__, argosy_host.__file__)"
    done = run(installation.bin / "python", "-P", "-c", program, cwd=installation.work, env=installation.environment)
    assert str(ROOT) + os.sep not in done.stdout
    assert done.stdout.count(str(installation.site)) == 2
