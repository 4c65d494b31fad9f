"""Which tool a name means, and its class: what it may do to the world. Declared somewhere, never guessed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from argosy_core.fleet.servers import SEPARATOR
from argosy_core.types import ActionClass
from argosy_judge.standing import Standing


@dataclass(frozen=True, slots=True)
class KnownTool:
    """A tool as a proposal names it. *own* says that it is one of this installation's."""

    name: str
    server: str | None
    own: bool
    declared: ActionClass | None

    @property
    def full_name(self) -> str:
        """``server__tool`` for a tool of a server that is not our own."""
        return self.name if self.own or self.server is None else f"{self.server}{SEPARATOR}{self.name}"


@dataclass(frozen=True, slots=True)
class Classified:
    """A class, and which of tools.md, registry, mcp.md or default_unknown gave it."""

    action_class: ActionClass
    source: str


def identify(name: str, server: str | None, standing: Standing) -> KnownTool:
    """The tool that *name* means, alone or on *server*.

    ``server__tool`` is never one of ours, whatever that server calls itself: ours have no prefix.
    """
    found = standing.registry.find(name, server)
    if found is not None:
        return KnownTool(name, found[0].name, found[0].own, found[1])
    prefix, separator, rest = name.partition(SEPARATOR)
    if server is None and not (separator and prefix and rest):
        return KnownTool(name, None, False, None)
    bare = rest if server is None else name.removeprefix(f"{server}{SEPARATOR}")
    found = standing.registry.find(bare, server or prefix)
    declared = found[1] if found is not None and not found[0].own else None
    return KnownTool(bare, server or prefix, False, declared)


def classify(tool: KnownTool, standing: Standing) -> Classified:
    """The class of *tool*: tools.md, then the registry (which tools.md can only raise), then mcp.md, then unknown."""
    stated = standing.classification
    said = stated.get(tool.full_name)
    if tool.declared is not None and (said is None or said.rank <= tool.declared.rank):
        found = Classified(tool.declared, "registry")
    elif said is not None:
        found = Classified(said, "tools.md")
    else:
        found = _by_mcp(tool, standing) or Classified(ActionClass.EXTERNAL_SIDE_EFFECT, "default_unknown")
    return _raised_by_bare_name(found, tool, stated)


def _by_mcp(tool: KnownTool, standing: Standing) -> Classified | None:
    overrides = standing.mcp.overrides
    said = overrides.get(tool.full_name, overrides.get(tool.name))
    if said is None:
        said = next((e.default_action_class for e in standing.mcp.entries if e.server == tool.server), None)
    return Classified(said, "mcp.md") if said is not None else None


def _raised_by_bare_name(found: Classified, tool: KnownTool, stated: Mapping[str, ActionClass]) -> Classified:
    # A name without its server may mean several tools: it counts where it makes the class stricter.
    said = stated.get(tool.name)
    return Classified(said, "tools.md") if said is not None and said.rank > found.action_class.rank else found
