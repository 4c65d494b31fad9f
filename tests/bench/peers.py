"""Servers that people would take instead, each in an environment of its own under the build folder, and ours.

Each says how it is installed, started, filled and asked, and what it kept.
"""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from vaults import Prose, make_agent

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
BUILD = ROOT / "build" / "peers"
INSTALL_SECONDS = 400
KEPT = re.compile(r"keep(\d+)x")
Call = tuple[str, dict[str, Any]]
Ways = Mapping[str, Callable[[str], Call]]


class NotHere(Exception):
    """Raised when a peer cannot be installed or filled, with the reason."""


class Peer:
    """One server of memories."""

    name = ""
    version = ""
    note = ""

    def install(self) -> None:
        """Make its environment, unless it is there. Raises NotHere."""

    def seed(self, data: Path, count: int) -> int:
        """Put *count* entries into *data* before the server starts; how many were put. The rest is written."""
        return 0

    def command(self, data: Path) -> Sequence[str]:
        raise NotImplementedError

    def environment(self, data: Path) -> Mapping[str, str]:
        return {}

    def write(self, number: int, text: str) -> Call:
        """The call that stores *text* under a name that *number* makes."""
        raise NotImplementedError

    def search(self, query: str) -> Call:
        raise NotImplementedError

    def texts(self, data: Path) -> str:
        """Everything that the stopped server kept, in one text."""
        return "\n".join(path.read_text(encoding="utf-8", errors="replace") for path in data.rglob("*.md"))

    def kept(self, data: Path) -> set[int]:
        """Which numbers it kept."""
        return {int(number) for number in KEPT.findall(self.texts(data))}

    def edit(self, data: Path, word: str) -> bool:
        """Do as a person does who writes a file with *word* by hand; False where there are no files."""
        return False

    def shows(self, answer: str, word: str) -> bool:
        """Whether the answer to a search holds the file of *word*, and not only the question."""
        return False

    def rebuild(self, data: Path) -> bool:
        """Make the index anew from the files, for a peer that has both and a command for it; False for the others."""
        return False

    # Retrieval (P17) over texts that somebody labelled

    def put(self, data: Path, texts: Mapping[str, str]) -> None:
        """Put *texts*, by title, into *data* before the server starts. Raises NotHere where there are no files."""
        raise NotHere(f"{self.name} keeps no files that could be put there")

    def told(self, title: str, text: str) -> Call | None:
        """The call that stores *text*, for a peer that `put` does nothing for; None for the others."""
        return None

    def ways(self) -> Ways:
        """The ways of searching that are worth trying for a question of several words, by what they are."""
        return {"": self.search}

    def retrieval_environment(self, data: Path, embeddings: str) -> Mapping[str, str]:
        """The environment for `put` texts; *embeddings* is the address of an endpoint with vectors of a real model."""
        return self.environment(data)

    def ranked(self, result: Mapping[str, Any]) -> list[str]:
        """The titles in the answer to a search, best first."""
        raise NotHere(f"{self.name} does not say what it found by title")


class Ours(Peer):
    name = "argosy"

    def seed(self, data: Path, count: int) -> int:
        make_agent(data, count)
        return count

    def command(self, data: Path) -> Sequence[str]:
        return [sys.executable, "-m", "argosy_host", "serve", "memory", "--vault", str(data), "--agent", "bench"]

    def environment(self, data: Path) -> Mapping[str, str]:
        return {"PYTHONPATH": os.pathsep.join(str(ROOT / part) for part in ("servers", "shared", "host"))}

    def write(self, number: int, text: str) -> Call:
        return "memory_write", {"type": "project", "title": f"bench {number}", "body": f"{text} keep{number}x"}

    def search(self, query: str) -> Call:
        return "memory_search", {"query": query}

    def edit(self, data: Path, word: str) -> bool:
        return _write_note(data, word)

    def shows(self, answer: str, word: str) -> bool:
        return f"project_{word}" in answer

    def put(self, data: Path, texts: Mapping[str, str]) -> None:
        make_agent(data, 0)
        for number, (title, text) in enumerate(texts.items()):
            page = f"---\nname: {json.dumps(title)}\ntype: reference\n---\n\n{text}\n"
            (data / "bench" / "memory" / f"reference_text_{number}.md").write_text(page, encoding="utf-8")

    def ranked(self, result: Mapping[str, Any]) -> list[str]:
        return [hit["title"] for hit in result["structuredContent"]["hits"]]


class ServerMemory(Peer):
    name, version = "server-memory", "2026.8.31"

    def install(self) -> None:
        if shutil.which("npm") is None:
            raise NotHere("there is no npm")
        folder = BUILD / self.name
        if not (folder / "node_modules").is_dir():
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "package.json").write_text("{}", encoding="utf-8")
            _run(
                "npm",
                "install",
                "--no-audit",
                "--no-fund",
                f"@modelcontextprotocol/{self.name}@{self.version}",
                folder=folder,
            )

    def seed(self, data: Path, count: int) -> int:
        prose = Prose(1)
        data.mkdir(parents=True)
        with (data / "memory.jsonl").open("w", encoding="utf-8") as file:
            for number in range(count):
                said = [" ".join(prose.words(90))]
                entity = {"type": "entity", "name": f"seed {number}", "entityType": "note", "observations": said}
                file.write(json.dumps(entity) + "\n")
        return count

    def command(self, data: Path) -> Sequence[str]:
        place = BUILD / self.name / "node_modules/@modelcontextprotocol/server-memory/dist/index.js"
        return ["node", str(place)]

    def environment(self, data: Path) -> Mapping[str, str]:
        return {"MEMORY_FILE_PATH": str(data / "memory.jsonl")}

    def write(self, number: int, text: str) -> Call:
        entity = {"name": f"bench {number}", "entityType": "note", "observations": [f"{text} keep{number}x"]}
        return "create_entities", {"entities": [entity]}

    def search(self, query: str) -> Call:
        # It looks for the whole query as one piece of text.
        return "search_nodes", {"query": query.split(" ")[0]}

    def ways(self) -> Ways:
        return {"by the longest word": lambda question: self.search(_longest(question))}

    def put(self, data: Path, texts: Mapping[str, str]) -> None:
        data.mkdir(parents=True)
        with (data / "memory.jsonl").open("w", encoding="utf-8") as file:
            for title, text in texts.items():
                entity = {"type": "entity", "name": title, "entityType": "note", "observations": [text]}
                file.write(json.dumps(entity) + "\n")

    def ranked(self, result: Mapping[str, Any]) -> list[str]:
        return [entity["name"] for entity in json.loads(result["content"][0]["text"])["entities"]]

    def texts(self, data: Path) -> str:
        return (data / "memory.jsonl").read_text(encoding="utf-8", errors="replace")


class _PipPeer(Peer):
    """A peer of the Python index."""

    package = ""
    python = ""  # what the interpreter must be able to do, as an expression that is true there

    @property
    def environment_folder(self) -> Path:
        return BUILD / self.name

    @property
    def interpreter(self) -> Path:
        return self.environment_folder / "bin" / "python"

    def install(self) -> None:
        if (self.environment_folder / ".done").is_file():
            return
        python = _interpreter(self.python)
        if python is None:
            raise NotHere(f"no Python here for which: {self.python}")
        shutil.rmtree(self.environment_folder, ignore_errors=True)
        # Our pip installs into it: a system's Python may come without one.
        _run(python, "-m", "venv", "--without-pip", str(self.environment_folder), folder=ROOT)
        what = f"{self.package or self.name}=={self.version}"
        _run(sys.executable, "-m", "pip", "--python", str(self.interpreter), "install", "--quiet", what, folder=ROOT)
        _run(
            str(self.interpreter),
            "-m",
            "compileall",
            "-q",
            str(self.environment_folder / "lib"),
            folder=ROOT,
            check=False,
        )
        (self.environment_folder / ".done").touch()


class McpMemoryService(_PipPeer):
    name, version = "mcp-memory-service", "12.2.0"
    python = "sys.version_info >= (3, 10) and hasattr(sqlite3.Connection, 'enable_load_extension')"
    note = "hash vectors, no model"

    def command(self, data: Path) -> Sequence[str]:
        return [str(self.environment_folder / "bin" / "memory"), "server"]

    def environment(self, data: Path) -> Mapping[str, str]:
        data.mkdir(parents=True, exist_ok=True)
        return {
            "MCP_MEMORY_STORAGE_BACKEND": "sqlite_vec",
            "MCP_MEMORY_SQLITE_PATH": str(data / "memory.db"),
            "MCP_MEMORY_BASE_DIR": str(data),
            "MCP_MEMORY_ALLOW_HASH_EMBEDDINGS": "1",
            "HF_HUB_OFFLINE": "1",
            "HOME": str(data),
        }

    def write(self, number: int, text: str) -> Call:
        # A conversation keeps it from taking one note for another like it.
        return "memory_store", {"content": f"{text} keep{number}x", "conversation_id": "bench"}

    def search(self, query: str) -> Call:
        return "memory_search", {"query": query, "limit": 10}

    def put(self, data: Path, texts: Mapping[str, str]) -> None:
        """Nothing: it is told them."""

    def retrieval_environment(self, data: Path, embeddings: str) -> Mapping[str, str]:
        model = {"MCP_EXTERNAL_EMBEDDING_URL": embeddings, "MCP_EXTERNAL_EMBEDDING_MODEL": "static"}
        return {**self.environment(data), **model}

    def ways(self) -> Ways:
        modes = ("semantic", "hybrid")
        return {f"{mode}, the suite's model": functools.partial(self._in_mode, mode) for mode in modes}

    def _in_mode(self, mode: str, question: str) -> Call:
        return "memory_search", {"query": question, "limit": 10, "mode": mode}

    def told(self, title: str, text: str) -> Call | None:
        return "memory_store", {"content": f"[{title}] {text}", "conversation_id": "bench"}

    def ranked(self, result: Mapping[str, Any]) -> list[str]:
        return re.findall(r"\[([^\[\]]+, passage \d+)\]", str(result["content"]))

    def texts(self, data: Path) -> str:
        with closing(sqlite3.connect(data / "memory.db")) as database:
            return "\n".join(row[0] for row in database.execute("SELECT content FROM memories"))


class BasicMemory(_PipPeer):
    name, version = "basic-memory", "0.24.1"
    python = "sys.version_info >= (3, 12)"

    def seed(self, data: Path, count: int) -> int:
        prose = Prose(1)
        (data / "notes").mkdir(parents=True)
        for number in range(count):
            text = (
                f"---\ntitle: seed {number}\ntype: note\npermalink: seed-{number}\n---\n\n{' '.join(prose.words(90))}\n"
            )
            (data / "notes" / f"seed {number}.md").write_text(text, encoding="utf-8")
        self.seed_index(data)
        return count

    def seed_index(self, data: Path) -> None:
        """Have it index what was put there; it would also do so by and by."""
        command = [str(self.environment_folder / "bin" / "basic-memory"), "reindex", "--search", "--full"]
        _run(*command, folder=data, environment=self.environment(data), check=False)

    def command(self, data: Path) -> Sequence[str]:
        return [str(self.environment_folder / "bin" / "basic-memory"), "mcp"]

    def environment(self, data: Path) -> Mapping[str, str]:
        return {
            "HOME": str(data),
            "BASIC_MEMORY_HOME": str(data / "notes"),
            "BASIC_MEMORY_CONFIG_DIR": str(data / ".basic-memory"),
            "BASIC_MEMORY_SEMANTIC_SEARCH_ENABLED": "false",
            "HF_HUB_OFFLINE": "1",
        }

    def write(self, number: int, text: str) -> Call:
        return "write_note", {"title": f"bench {number}", "directory": "bench", "content": f"{text} keep{number}x"}

    def search(self, query: str) -> Call:
        return "search_notes", {"query": query, "search_type": "text"}

    def edit(self, data: Path, word: str) -> bool:
        (data / "notes" / f"{word}.md").write_text(
            f"---\ntitle: {word}\n---\n\nA person wrote {word}.\n", encoding="utf-8"
        )
        return True

    def shows(self, answer: str, word: str) -> bool:
        return f"### {word}" in answer

    def rebuild(self, data: Path) -> bool:
        self.seed_index(data)
        return True

    def ways(self) -> Ways:
        # As it is asked, and as its own help says to put several words of which one is enough.
        return {
            "as asked": self.search,
            "its words joined by OR": lambda question: self.search(" OR ".join(re.findall(r"\w+", question))),
        }

    def put(self, data: Path, texts: Mapping[str, str]) -> None:
        (data / "notes").mkdir(parents=True)
        for number, (title, text) in enumerate(texts.items()):
            page = f"---\ntitle: {json.dumps(title)}\n---\n\n{text}\n"
            (data / "notes" / f"text {number}.md").write_text(page, encoding="utf-8")
        self.seed_index(data)

    def ranked(self, result: Mapping[str, Any]) -> list[str]:
        return re.findall(r"^### (.+)$", str(result["content"][0]["text"]), re.MULTILINE)


class AtomicAgents(_PipPeer):
    name, version = "atomic-agents-stack", "2.0.0"
    python = "sys.version_info >= (3, 11)"
    note = "in process; searches names only"

    def seed(self, data: Path, count: int) -> int:
        make_agent(data, count)
        return count

    def command(self, data: Path) -> Sequence[str]:
        return [str(self.interpreter), str(HERE / "atomic_driver.py"), str(data / "bench")]

    def write(self, number: int, text: str) -> Call:
        return "write", {"title": f"bench {number}", "body": f"{text} keep{number}x"}

    def search(self, query: str) -> Call:
        return "search", {"query": query.split(" ")[0]}

    def edit(self, data: Path, word: str) -> bool:
        return _write_note(data, word)

    def shows(self, answer: str, word: str) -> bool:
        return f"project_{word}" in answer

    def put(self, data: Path, texts: Mapping[str, str]) -> None:
        """As pages of its wiki: of notes it searches the names only."""
        wiki = make_agent(data, 0) / "bench" / "wiki"
        wiki.mkdir()
        for number, (title, text) in enumerate(texts.items()):
            page = f"---\ntitle: {json.dumps(title)}\n---\n\n{text}\n"
            (wiki / f"text_{number}.md").write_text(page, encoding="utf-8")

    def ways(self) -> Ways:
        return {"its wiki, by the longest word": lambda question: ("find_pages", {"query": _longest(question)})}

    def ranked(self, result: Mapping[str, Any]) -> list[str]:
        return list(result["titles"])


PEERS: tuple[Peer, ...] = (ServerMemory(), McpMemoryService(), BasicMemory(), AtomicAgents())


def _write_note(data: Path, word: str) -> bool:
    text = f"---\nname: {word}\ntype: project\n---\n\nA person wrote {word}.\n"
    (data / "bench" / "memory" / f"project_{word}.md").write_text(text, encoding="utf-8")
    return True


def _longest(question: str) -> str:
    """The word that tells most to a server that looks for one piece of text."""
    return max(re.findall(r"\w+", question), key=len)


def _interpreter(condition: str) -> str | None:
    """A Python of this machine for which *condition* holds, the newest first."""
    names = [f"python3.{minor}" for minor in range(14, 9, -1)]
    folders = [*os.environ.get("PATH", "").split(os.pathsep), "/usr/bin"]
    folders += [str(path) for path in sorted(Path.home().glob(".pyenv/versions/3.*/bin"), reverse=True)]
    for name in names:
        for folder in folders:
            python = Path(folder) / name
            if python.is_file() and _holds(python, condition):
                return str(python)
    return None


def _holds(python: Path, condition: str) -> bool:
    test = f"import sqlite3, sys; sys.exit(not ({condition}))"
    return subprocess.run([str(python), "-c", test], check=False, capture_output=True).returncode == 0


def _run(*command: str, folder: Path, environment: Mapping[str, str] | None = None, check: bool = True) -> None:
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, **(environment or {})},
            check=False,
            capture_output=True,
            text=True,
            timeout=INSTALL_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise NotHere(f"{command[0]}: {exc}") from exc
    if check and done.returncode:
        last = [line for line in done.stderr.splitlines() if line.strip() and not line.startswith("WARNING")][-1:]
        raise NotHere(f"{Path(command[0]).name} {command[1] if len(command) > 1 else ''}: {' '.join(last)[:200]}")
