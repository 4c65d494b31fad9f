"""What the documentation says is run: its command blocks, its snippets, its client configurations, its links."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from warm import warm

from argosy_core.fleet import load_registry, packaged
from argosy_core.policy.judges_md import parse_judges
from argosy_core.policy.tools_md import parse_tools
from argosy_core.types import ActionClass, ClassPolicy

pytestmark = [pytest.mark.docs, pytest.mark.timeout(300)]

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
ALL_PAGES = [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", ROOT / "vault-template/README.md"]
SOURCES = [str(ROOT / root) for root in ("servers", "shared", "host")]
COMMAND_SECONDS = 120  # a bound for a machine that is busy, not a measure
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
_FILE = re.compile(r"# (\w+\.py)\n")  # the first line of a snippet that is a file of its own
_LINK = re.compile(r"(?<!!)\[[^\]]+\]\(([^)\s]+)\)")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: *language* as written, and the *page* and *line* it begins at."""

    page: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(*languages: str, pages: list[Path] = PAGES) -> list[Block]:
    return [block for page in pages for block in blocks_of(page) if block.language in languages]


def blocks_of(page: Path) -> Iterator[Block]:
    text = page.read_text(encoding="utf-8")
    for match in _FENCE.finditer(text):
        yield Block(page, text[: match.start()].count("\n") + 1, match[1], match[2])


@dataclass(frozen=True, slots=True)
class Machine:
    """An empty home with ``mcp-host`` on the path, of this tree or of the installation under test."""

    home: Path

    @property
    def environment(self) -> dict[str, str]:
        path = f"{self.home / 'bin'}:{os.environ['PATH']}"
        # What one start keeps for the next, the pages keep together: making it takes longer than most commands.
        kept = {"XDG_CACHE_HOME": os.environ["XDG_CACHE_HOME"]}
        return {"HOME": str(self.home), "PATH": path, "LANG": "C.UTF-8", **kept}

    def bash(self, script: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=self.home,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    (tmp_path / "bin").mkdir()
    path = f'PYTHONPATH="{os.pathsep.join(SOURCES)}"'
    for name, line in (
        ("mcp-host", f"exec {shlex.join(warm('-m', 'argosy_host'))}"),
        ("python", f"{path} exec {shlex.quote(sys.executable)} -P"),
    ):
        command = tmp_path / "bin" / name
        command.write_text(f'#!/bin/sh\n{line} "$@"\n')
        command.chmod(0o755)
    return Machine(tmp_path)


def put_files(page: Path, folder: Path) -> list[Block]:
    """Write the snippets of *page* that are files into *folder*; the others."""
    rest: list[Block] = []
    for block in blocks("python", pages=[page]):
        if name := _FILE.match(block.text):
            (folder / name[1]).write_text(block.text)
        else:
            rest.append(block)
    return rest


def test_there_are_blocks_to_run() -> None:
    pages = {block.page.name for block in blocks("sh", "bash")}
    assert {"README.md", "policies.md"} <= pages
    assert {block.page.name for block in blocks("python")} == {"writing-a-server.md", "writing-a-store.md"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_commands_of_a_page_run_one_after_another(page: Path, machine: Machine) -> None:
    scripts = blocks("sh", "bash", pages=[page])
    put_files(page, machine.home)
    if not any("mcp-host init" in block.text for block in scripts):
        assert machine.bash("mcp-host init ~/vault").returncode == 0
    for block in scripts:
        done = machine.bash(block.text)
        assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"


def test_the_question_of_the_readme_is_answered_with_its_sources(machine: Machine) -> None:
    machine.bash("mcp-host init ~/vault")
    done = machine.bash(
        'mcp-host run harbor "What should I focus on this week?" --vault ~/vault --model offline --json'
    )
    answer = json.loads(done.stdout)
    assert answer["status"] == "ok"
    assert answer["text"]
    assert answer["citations"]


@pytest.mark.parametrize("page", sorted({block.page for block in blocks("python")}), ids=lambda page: page.name)
def test_the_snippets_of_a_page_run(page: Path, tmp_path: Path) -> None:
    program = tmp_path / "snippet.py"
    program.write_text("\n".join(block.text for block in put_files(page, tmp_path)))
    done = subprocess.run(
        [sys.executable, "-P", "-W", "error", str(program)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(SOURCES)},
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def client_entries() -> Iterator[Any]:
    for block in blocks("json"):
        found = json.loads(block.text)
        servers: Any = found.get("mcpServers", found["servers"] if isinstance(found.get("servers"), dict) else {})
        yield from (pytest.param(entry, id=str(block)) for entry in servers.values())


@pytest.mark.anyio
@pytest.mark.parametrize("entry", [*client_entries()])
async def test_a_client_that_is_configured_so_gets_answers(entry: dict[str, Any], machine: Machine) -> None:
    assert machine.bash("mcp-host init ~/vault").returncode == 0
    assert entry["command"].endswith("/bin/mcp-host")
    arguments = [str(machine.home / "vault") if word == "/home/you/vault" else word for word in entry["args"]]
    command = str(machine.home / "bin" / "mcp-host")
    started = StdioServerParameters(command=command, args=arguments, env=machine.environment, cwd=machine.home)
    async with Client(stdio_client(started), read_timeout_seconds=COMMAND_SECONDS) as client:
        result = await client.call_tool("memory_search", {"query": "paste"})
    assert not result.is_error
    assert (result.structured_content or {})["hits"]


def test_the_entry_for_a_server_of_ones_own_is_read() -> None:
    [registry] = [block for block in blocks("json") if '"_meta"' in block.text]
    server = load_registry(registry.text.encode()).server("tally")
    assert (server.own, server.entry_point, list(server.tools)) == (False, "tally", ["tally_add"])


def test_the_policies_shown_are_policies() -> None:
    texts = [block.text for block in blocks("markdown", pages=[ROOT / "docs/policies.md"])]
    [judges] = [text for text in texts if "Class policy" in text]
    [tools] = [text for text in texts if "Write paths" in text]
    [fenced] = [block.text for block in blocks("yaml")]
    assert parse_judges(judges).class_policy
    assert len(parse_judges(f"## Class policy\n\n```yaml\n{fenced}```\n").class_policy) == 4
    read = parse_tools(tools)
    assert (len(read.write_paths or ()), len(read.read_only_paths), len(read.classification)) == (2, 1, 1)
    assert read.problems == ()


def test_every_tool_the_pages_name_exists() -> None:
    servers = [server.name for server in packaged().servers]
    tools = {tool for server in packaged().servers for tool in server.tools} | {"tally_add", "tally_status"}
    nouns = {tool.partition("_")[0] for tool in tools if "_" in tool}
    assert set(servers) - {"registry"} <= nouns
    for page in PAGES:
        named = set(re.findall(r"`([a-z]+_[a-z]+(?:_[a-z]+)*)`", page.read_text()))
        named -= {*ActionClass, *ClassPolicy, "raw_outcome"}
        assert {name for name in named if name.partition("_")[0] in nouns} <= tools | {"tally_doctor"}, page


def test_every_server_is_in_the_table_of_the_readme() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", (ROOT / "README.md").read_text(), re.M)
    assert sorted(rows) == [server.name for server in packaged().servers]


def test_every_make_verb_the_pages_name_is_in_the_makefile() -> None:
    targets = set(re.findall(r"^([a-z]+)(?= *:| [a-z ]+:)", (ROOT / "Makefile").read_text(), re.M))
    named = {verb for page in ALL_PAGES for verb in re.findall(r"\bmake ([a-z]+)\b(?=[`\s])", commands_in(page))}
    assert {"demo", "test"} <= named <= targets


def commands_in(page: Path) -> str:
    """What stands in backticks or console blocks."""
    text = page.read_text(encoding="utf-8")
    fenced = "\n".join(match[2] for match in _FENCE.finditer(text))
    return fenced + "\n" + " ".join(f"{span} " for span in re.findall(r"`([^`\n]+)`", _FENCE.sub("", text)))


def test_the_two_commands_stand_first_in_the_readme() -> None:
    first = next(blocks_of(ROOT / "README.md"))
    assert first.language == "console"
    assert first.text.splitlines() == ["$ make demo", "$ make test"]
    assert first.line < 12


@pytest.mark.parametrize("page", ALL_PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_to_files_lead_somewhere(page: Path) -> None:
    links = [link for link in _LINK.findall(_FENCE.sub("", page.read_text(encoding="utf-8"))) if "://" not in link]
    broken = [link for link in links if not (page.parent / link.partition("#")[0]).exists()]
    assert broken == []
