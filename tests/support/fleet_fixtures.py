"""A small vault, and a model that says what a test wants."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mcp.types import CallToolResult, GetPromptResult, ReadResourceResult, TextContent, TextResourceContents

from argosy_core.serving.config import ServerConfig, open_store
from argosy_core.types import Role
from argosy_host.progress import Progress
from argosy_host.providers.base import ModelReply, ModelRequest, TextSink, ToolCall, Usage

NOTE = """---
schema_version: 1
name: {title}
description: {title}.
type: {type}
captured: 2026-10-01
last_seen: 2026-11-01
sources:
  - observation
confidence: high
pinned: false
expires_at: null
supersedes: null
superseded_by: null
tags: []
---

{body}
"""
FILES = {
    "fleet.md": "---\ndefault_agent: ada\n---\n",
    "ada/model.md": "# Model\n",
    "ada/persona/IDENTITY.md": "# Ada\n\nAda keeps the lighthouse's books.\n\n## Operating mode\n\nreactive\n",
    "ada/tools.md": "## Write paths\n\n- `memory/`\n- `wiki/`\n- `journal/`\n- `goals/`\n",
    "ada/memory/decision_lamp_oil.md": NOTE.format(
        title="Lamp oil", type="decision", body="The lamp burns rapeseed oil, because it does not freeze above -10 °C."
    ),
    "ada/memory/user_keeper.md": NOTE.format(
        title="Keeper", type="user", body="The keeper sleeps from 9 to 15 and reads letters at dusk."
    ),
    "ada/journal/2026-11/2026-11-02.md": "# 2026-11-02\n\n## 08:10\nThe fog bell was repaired.\n",
}


def make_vault(root: Path, files: Mapping[str, str] | None = None) -> Path:
    """A vault at *root* with the agent ``ada``, changed by *files*."""
    for path, text in {**FILES, **(files or {})}.items():
        place = root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")
    return root


def config_for(vault: Path, agent: str | None = "ada", **fields: Any) -> ServerConfig:
    """A server's config over *vault*; the caller closes its store."""
    return ServerConfig(store=open_store(vault), agent=agent, role=fields.pop("role", Role.AGENT), **fields)


Step = ModelReply | Exception | Callable[[ModelRequest], ModelReply]


def says(text: str) -> ModelReply:
    """A final answer."""
    return ModelReply(text=text, calls=(), stop="end_turn", usage=Usage(10, 5), model="scripted")


def calls(*wanted: tuple[str, Mapping[str, Any]], text: str = "") -> ModelReply:
    """A turn that wants tools called."""
    made = tuple(ToolCall(f"call_{i}_{name}", name, arguments) for i, (name, arguments) in enumerate(wanted))
    return ModelReply(text=text, calls=made, stop="tool_use", usage=Usage(10, 5), model="scripted")


class Scripted:
    """A model that plays its steps and remembers what it was asked."""

    provider = "scripted"

    def __init__(self, steps: Sequence[Step]) -> None:
        self.steps = list(steps)
        self.requests: list[ModelRequest] = []
        self.closed = 0

    async def complete(self, request: ModelRequest, on_text: TextSink | None = None) -> ModelReply:
        self.requests.append(request)
        step = self.steps.pop(0)
        if isinstance(step, Exception):
            raise step
        reply = step(request) if callable(step) else step
        if on_text and reply.text:
            on_text(reply.text)
        return reply

    async def close(self) -> None:
        self.closed += 1

    def returned(self, index: int = -1) -> list[str]:
        """The texts of the tool returns in request *index*'s last message."""
        return [result.text for result in self.requests[index].messages[-1].returns]


class Recorder(Progress):
    """Keeps what a run told."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self.verdicts: list[tuple[str, str, str]] = []

    def problem(self, text: str) -> None:
        self.problems.append(text)

    def judged(self, tool: str, verdict: str, reason: str) -> None:
        self.verdicts.append((tool, verdict, reason))


def text_of(result: CallToolResult) -> str:
    """What a model reads of a tool's result."""
    block = result.content[0]
    assert isinstance(block, TextContent)
    return block.text


def resource_text(result: ReadResourceResult) -> str:
    """A resource that is text."""
    found = result.contents[0]
    assert isinstance(found, TextResourceContents)
    return found.text


def prompt_text(result: GetPromptResult) -> str:
    """The first message of a prompt."""
    block = result.messages[0].content
    assert isinstance(block, TextContent)
    return block.text
