"""Agents as tools: an agent's contract is the tool's schema."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from mcp_types import Tool as MCPTool
from mcp_types import ToolAnnotations

from argosy_core.canonical import sha256_hex
from argosy_core.errors import ArgosyError, InvalidArgument
from argosy_core.fleet import packaged
from argosy_core.json_schemas import check_schema, complaint_about
from argosy_core.serving.toolbox import CLASS_META, ROLE_META, SHOWN_META
from argosy_core.types import ActionClass, Role
from argosy_core.views.agents import AgentView, list_agents, load_agent
from argosy_core.views.reader import Reader
from argosy_core.yamltext import is_list, is_map

PREFIX = "agent_"
MAX_NAME_CHARS = 31
MAX_SCHEMA_BYTES = 4_000  # a longer contract is the agent's own to read; a model is shown every tool on every turn
_TASK = {
    "type": "object",
    "properties": {"task": {"type": "string", "description": "What to do, with all it needs to know"}},
    "required": ["task"],
    "additionalProperties": False,
}


@dataclass(frozen=True, slots=True)
class Contract:
    """One agent as a tool; *targets* are the agents it may start itself, None means every one."""

    agent: str
    tool: str
    description: str
    input_schema: Mapping[str, Any]

    def shown(self, output_schema: Mapping[str, Any]) -> MCPTool:
        """The tool as a list shows it."""
        hints = ToolAnnotations(
            title=f"Agent {self.agent}",
            read_only_hint=False,
            destructive_hint=False,
            idempotent_hint=False,
            open_world_hint=False,
        )
        meta = {CLASS_META: ActionClass.REVERSIBLE_WRITE.value, ROLE_META: Role.AGENT.value, SHOWN_META: True}
        return MCPTool(
            name=self.tool,
            title=f"Agent {self.agent}",
            description=self.description,
            input_schema=dict(self.input_schema),
            output_schema=dict(output_schema),
            annotations=hints,
            _meta=meta,
        )

    def task_of(self, arguments: Mapping[str, Any]) -> str:
        """The task that *arguments* ask for. Raises InvalidArgument when they are not what the contract takes."""
        complaint = complaint_about(self.input_schema, dict(arguments))
        if complaint is not None:
            raise InvalidArgument(
                f"{self.tool} does not take this: {complaint}",
                hint=f"it takes: {', '.join(self.input_schema.get('properties', {})) or 'any object'}",
            )
        if set(arguments) == {"task"} and isinstance(arguments["task"], str):
            return str(arguments["task"])
        return "Do what you are for, with this input:\n" + json.dumps(dict(arguments), ensure_ascii=False, indent=2)


def read_contracts(reader: Reader) -> list[Contract]:
    """Every agent of the vault as a tool. One whose files cannot be read is left out; the registry names it."""
    taken = {tool for server in packaged().servers for tool in server.tools}
    found: list[Contract] = []
    for name in list_agents(reader):
        try:
            view = load_agent(reader, name)
        except ArgosyError:
            continue
        tool = _tool_name(name, taken)
        taken.add(tool)
        what = view.description or "An agent of this vault."
        found.append(Contract(name, tool, f"Have the agent {name} do a task and answer. {what}"[:600], _schema(view)))
    return found


def may_start(view: AgentView, target: str) -> bool:
    """Whether a run of the agent in *view* may start *target*: its roster or its contract names it."""
    requires = view.contract.get("requires")
    wanted: Mapping[str, Any] = requires if is_map(requires) else {}
    if wanted.get("spawn_agents") is True:
        return True
    return target in view.roster or target in set(_required(wanted.get("agents")))


def _required(agents: Any) -> Iterable[str]:
    for entry in agents if is_list(agents) else []:
        name = entry.get("name") if is_map(entry) else entry
        if isinstance(name, str):
            yield name


def _tool_name(agent: str, taken: set[str]) -> str:
    plain = unicodedata.normalize("NFKD", agent).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "_", plain).strip("_") or f"x{sha256_hex(agent.encode())[:6]}"
    name = f"{PREFIX}{slug}"[:MAX_NAME_CHARS].rstrip("_")
    number = 1
    while name in taken:
        number += 1
        suffix = f"_{number}"
        name = f"{PREFIX}{slug}"[: MAX_NAME_CHARS - len(suffix)].rstrip("_") + suffix
    return name


def _schema(view: AgentView) -> Mapping[str, Any]:
    """The contract's ``input.schema`` when it describes an object; a task in words otherwise."""
    given: Any = view.contract.get("input")
    given = given.get("schema") if is_map(given) else None
    if not is_map(given):
        return _TASK
    schema = dict(given)
    try:
        check_schema(schema)
        return schema if schema.get("type") == "object" and len(json.dumps(schema)) <= MAX_SCHEMA_BYTES else _TASK
    except (ArgosyError, TypeError, ValueError):
        return _TASK
