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

    ``server__tool`` is always a tool of another server: none of ours is called so, whatever that server calls itself.
    """
    prefix, separator, rest = name.partition(SEPARATOR)
    if server is not None:
        bare = name.removeprefix(f"{server}{SEPARATOR}")
        found = standing.registry.find(bare, server)
        return KnownTool(bare, server, _is_own(found, bare == name), found[1] if found else None)
    found = standing.registry.find(name)
    if found:
        return KnownTool(name, found[0].name, found[0].own, found[1])
    if separator and prefix and rest:
        found = standing.registry.find(rest, prefix)
        return KnownTool(rest, prefix, False, found[1] if found else None)
    return KnownTool(name, None, False, None)


def classify(tool: KnownTool, standing: Standing) -> Classified:
    """The class of *tool*: tools.md, then the registry (which tools.md can only raise), then mcp.md, then unknown."""
    stated = standing.tools.classification if standing.tools else {}
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


def _raised_by_bare_name(
    found: Classified, tool: KnownTool, stated: Mapping[str, ActionClass]
) -> Classified:
    # A name without its server may mean several tools: it counts where it makes the class stricter.
    said = stated.get(tool.name)
    return Classified(said, "tools.md") if said is not None and said.rank > found.action_class.rank else found


def _is_own(found: object, by_its_own_name: bool) -> bool:
    server = found[0] if isinstance(found, tuple) else None
    return by_its_own_name and bool(getattr(server, "own", False))
