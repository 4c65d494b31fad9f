"""What is in force for an agent: its policy files and the fleet's, parsed once and kept while they do not change."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from argosy_core.clock import Clock
from argosy_core.errors import ArgosyError
from argosy_core.fleet import FILE, Registry, load_registry, packaged
from argosy_core.policy.errors import PolicyInvalid
from argosy_core.policy.judges_md import ResolvedPolicy, merge_floor, parse_judges, policy_version
from argosy_core.policy.mandates_md import merged, parse_mandates
from argosy_core.policy.mandates_model import Mandate
from argosy_core.policy.mcp_md import McpFile, parse_mcp
from argosy_core.policy.policy_md import PolicyRules, parse_policy
from argosy_core.policy.tools_md import ToolsFile, parse_tools
from argosy_core.storage.base import Files
from argosy_core.types import ActionClass
from argosy_core.views.vault_reader import VaultReader

JUDGES, TOOLS, MCP, POLICY, MANDATES, REGISTRY = "judges.md", "tools.md", "mcp.md", "policy.md", "mandates.md", FILE
_FLEETS = (JUDGES, POLICY, MANDATES, REGISTRY)
_AGENTS = (JUDGES, TOOLS, MCP, MANDATES)
# A file changed twice within one tick of its clock may keep its stamp: so young a file is read every time.
SETTLED_AFTER_SECONDS = 2
_T = TypeVar("_T")
_Stamps = tuple[tuple[int, int] | None, ...]


@dataclass(frozen=True, slots=True)
class Fault:
    """A policy file that cannot be read: where, and what to do about it."""

    message: str
    file: str
    line: int | None = None
    hint: str | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """Everything a verdict rests on, as it stood at one moment.

    A fault in `gate` (judges.md, policy.md, tools.md) stops every action above reading, one in `foreign` (mcp.md,
    registry.json) those of tools that are not our own, one in `mandate_faults` those that cite a mandate. *tools* is
    None when there is no ``tools.md``.
    """

    agent: str
    policy: ResolvedPolicy
    tools: ToolsFile | None
    mcp: McpFile
    registry: Registry
    version: str
    gate: tuple[Fault, ...] = ()
    foreign: tuple[Fault, ...] = ()
    rules: PolicyRules = field(default_factory=PolicyRules)
    mandates: Mapping[str, Mandate] = field(default_factory=dict[str, Mandate])
    mandate_faults: tuple[Fault, ...] = ()

    @property
    def classification(self) -> Mapping[str, ActionClass]:
        """The classes that ``tools.md`` gives to tools."""
        return self.tools.classification if self.tools else {}


def files_of(agent: str) -> tuple[str, ...]:
    """The files a verdict on *agent* rests on."""
    return (*_FLEETS, *(f"{agent}/{name}" for name in _AGENTS))


class StandingPolicies:
    """Gives the standing of an agent; a call costs a few `stat` while nothing changed. Blocks: use it in a thread."""

    def __init__(self, files: Files, clock: Clock) -> None:
        self._files = files
        self._reader = VaultReader(files)
        self._clock = clock
        self._kept: dict[str, tuple[_Stamps, Standing]] = {}

    def current(self, agent: str) -> Standing:
        """What is in force for *agent* now. Faults are in it, not raised."""
        stamps = self._stamps(agent)
        kept = self._kept.get(agent)
        if kept is not None and stamps == kept[0]:
            return kept[1]
        standing = _Reading(self._reader, agent).standing()
        # Only what was the same before and after the reading belongs to these stamps.
        if stamps is not None and self._is_settled(stamps) and stamps == self._stamps(agent):
            self._kept[agent] = stamps, standing
        return standing

    def _stamps(self, agent: str) -> _Stamps | None:
        """The stamps of all files; None when one is neither a plain file nor missing."""
        try:
            return self._files.stamps("", _FLEETS) + self._files.stamps(agent, _AGENTS)
        except ArgosyError:
            return None

    def _is_settled(self, stamps: _Stamps) -> bool:
        settled_ns = (self._clock.now().timestamp() - SETTLED_AFTER_SECONDS) * 1e9
        return all(stamp is None or stamp[0] < settled_ns for stamp in stamps)


class _Reading:
    """One reading of all policy files of one agent."""

    def __init__(self, reader: VaultReader, agent: str) -> None:
        self._reader = reader
        self._agent = agent
        self._data: dict[str, bytes | None] = {}
        self._faults: list[Fault] = []

    def standing(self) -> Standing:
        judges, tools, mcp = (f"{self._agent}/{name}" for name in (JUDGES, TOOLS, MCP))
        floor = self._parsed(JUDGES, partial(parse_judges, where=JUDGES))
        own = self._parsed(judges, partial(parse_judges, where=judges))
        policy = self._guarded(judges, lambda: merge_floor(floor, own)) or merge_floor(floor, None)
        tools_file = self._parsed(tools, partial(parse_tools, where=tools))
        fleet = self._parsed(POLICY, parse_policy)
        gate = self._take_faults()
        mcp_file = self._parsed(mcp, partial(parse_mcp, where=mcp))
        registry = self._parsed(REGISTRY, load_registry)
        foreign = self._take_faults()
        mandates = self._mandates()
        return Standing(
            agent=self._agent,
            policy=policy,
            tools=tools_file,
            mcp=mcp_file or McpFile(),
            registry=registry or packaged(),
            version=policy_version(
                self._data.get(tools), self._data.get(judges), self._data.get(JUDGES), self._data.get(POLICY)
            ),
            gate=gate,
            foreign=foreign,
            rules=fleet.rules_for(self._agent) if fleet else PolicyRules(),
            mandates=mandates,
            mandate_faults=self._take_faults(),
        )

    def _mandates(self) -> Mapping[str, Mandate]:
        path = f"{self._agent}/{MANDATES}"
        fleet = self._parsed(MANDATES, partial(parse_mandates, where=MANDATES))
        own = self._parsed(path, partial(parse_mandates, where=path))
        found = self._guarded(path, lambda: list(merged(fleet, own)))
        return {mandate.id: mandate for mandate in found or ()}

    def _parsed(self, path: str, parse: Callable[[bytes], _T]) -> _T | None:
        data = self._guarded(path, lambda: self._reader.read(path))
        self._data[path] = data
        return None if data is None else self._guarded(path, lambda: parse(data))

    def _guarded(self, path: str, look: Callable[[], _T]) -> _T | None:
        try:
            return look()
        except PolicyInvalid as error:
            self._faults.append(Fault(error.message, error.where, error.line, error.hint))
        except ArgosyError as error:
            line = error.detail.get("line")
            message = error.message if path in error.message else f"{path}: {error.message}"
            self._faults.append(Fault(message, path, line if isinstance(line, int) else None, error.hint))
        except Exception as error:  # a defect of a parser must not open the gate
            self._faults.append(Fault(f"{path} cannot be read: {type(error).__name__}", path, hint="report it"))
        return None

    def _take_faults(self) -> tuple[Fault, ...]:
        taken, self._faults = tuple(self._faults), []
        return taken
