"""atomic-agents-stack has no server for its memory: this one, run by its own Python, calls its backend directly."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any


def main() -> None:
    from atomic_agents.corpus import FilesystemCorpusBackend  # type: ignore[import-not-found, unused-ignore]
    from atomic_agents.memory.backend import WritePolicy  # type: ignore[import-not-found, unused-ignore]
    from atomic_agents.memory.filesystem import FilesystemBackend  # type: ignore[import-not-found, unused-ignore]
    from atomic_agents.types import Capture  # type: ignore[import-not-found, unused-ignore]

    agent = Path(sys.argv[1])
    backend: Any = FilesystemBackend(agent)
    pages: Any = FilesystemCorpusBackend(agent)
    policy: Any = WritePolicy(write_paths=[agent / "memory"])
    for line in sys.stdin:
        message = json.loads(line)
        if "id" not in message:
            continue
        try:
            result = answer(backend, pages, policy, Capture, message)
        except Exception as error:
            result = {"isError": True, "content": f"{type(error).__name__}: {error}"}
        print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}), flush=True)


def answer(backend: Any, pages: Any, policy: Any, capture: Any, message: dict[str, Any]) -> dict[str, Any]:
    if message["method"] != "tools/call":
        return {}
    name, given = message["params"]["name"], message["params"]["arguments"]
    if name == "write":
        note = capture(
            type="project",
            name=given["title"],
            description=given["title"],
            confidence="medium",
            sources=["observation"],
            body=given["body"],
        )
        backend.write_note(note, policy)
        return {}
    if name == "find_pages":
        return {"titles": [page.title for page in pages.query(given["query"], "wiki", top_k=10)]}
    return {"names": [note.name for note in backend.search(given["query"], limit=10)]}


if __name__ == "__main__":
    main()
