"""Where an agent may write, and which arguments of a call name a place to write to."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

from argosy_core.policy.paths import UNREADABLE, readings, resolve_path
from argosy_core.policy.tools_md import PathRule, ToolsFile
from argosy_core.yamltext import is_list, is_map

# The last word of a key under which every text is a place: `path`, `output_path`, `targetDir`, `files`.
PATH_WORDS = frozenset({"path", "file", "filename", "dir", "directory", "folder", "destination"})
PATH_KEYS = frozenset({"to", "write_to"})
# What decides about agents, or proves what they did: no tool of an agent writes it, whatever tools.md says.
STANDING_FOLDERS = frozenset({"persona", "log", "vault", "_fleet"})
STANDING_FILES = frozenset(
    {
        "agent.yaml",
        "bundle.md",
        "fleet.md",
        "goal_history.jsonl",
        "governance.md",
        "judges.md",
        "mandates.md",
        "mcp.json",
        "mcp.md",
        "model.md",
        "persona.link.md",
        "policy.md",
        "registry.json",
        "roster.md",
        "serve.md",
        "tools.md",
        "tools.override.md",
    }
)

_MAX_TEXT = 1024
_MAX_PATH = 4096
_ABSOLUTE = re.compile(r"/|~(?:$|[/\\]|[\w.-]+[/\\])|\.{1,2}[/\\]|file:|[A-Za-z]:[/\\]|\\\\", re.I)
_CLIMBS = re.compile(r"(?:^|[/\\])\.{1,2}[/\\]|(?:^|[/\\])\.\.$|[/\\]{4}")
_WEB = re.compile(r"(?:https?|wss?)://", re.I)
_FRACTION = re.compile(r"[0-9]{1,4}(?:/[0-9]{1,4}){1,2}")  # 50/50, 11/20/2026
# Under `to` a letter's address or a number to call is as common as a place.
_RECIPIENT = re.compile(r"[^\s/\\@%]+@[^\s/\\@%]+\.[A-Za-z]{2,}|\+?[0-9][0-9 ()-]{4,20}")
_WORD = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])")
_GLOB = re.compile(r"[*?\[]")


class WriteCheck(NamedTuple):
    """Whether a write is inside an agent's scope, and the rule that says so."""

    allowed: bool
    reason: str


def check_write(
    paths: ToolsFile | None,
    agent: str,
    target: str,
    *,
    agents: Collection[str] | None = None,
    root: str | None = None,
) -> WriteCheck:
    """Whether *agent* may write to *target*, under the rules of its ``tools.md`` (None when it has none).

    *target* is read like a path in ``tools.md`` (see `resolve_path`), and refused unless every way to read it stays
    inside. *agents* are the names of all agents: without it every other folder at the root counts as an agent's.
    """
    for form in readings(target):
        place = resolve_path(form, agent, root)
        if place is None:
            return WriteCheck(False, "outside the vault")
        reason = _standing(place, agent, agents) or _refused(paths, agent, place, root)
        if reason:
            return WriteCheck(False, reason)
    place = resolve_path(target, agent, root) or ""
    rule = _covering(paths.write_paths or (), agent, place, root) if paths else None
    return WriteCheck(True, f"write path on line {rule.line} of tools.md" if rule else "the agent's own folder")


def find_paths(arguments: Any) -> list[tuple[str, str]]:
    """Every text at any depth of *arguments* that names a place on disk, with its JSON pointer."""
    return [(pointer, text) for pointer, key, text in _texts(arguments) if _names_a_place(key, text)]


def is_path_key(key: str) -> bool:
    """Whether every text under an argument of this name is a place."""
    words = [word.lower() for word in _WORD.findall(key)]
    return key.lower() in PATH_KEYS or bool(
        words and (words[-1] in PATH_WORDS or words[-1].removesuffix("s") in PATH_WORDS)
    )


def _standing(place: str, agent: str, agents: Collection[str] | None) -> str | None:
    first, *below = place.split("/")
    parts = [_fold(part) for part in (first, *below)]
    own = parts[0] == _fold(agent)
    if place == ".":
        return "the vault's root"
    if any(part.startswith(".") or not part for part in parts):
        return "hidden files and folders are never written by an agent"
    if ":" in place:
        return "a name with a colon may mean a drive or a stream"
    if own and first != agent:
        return "another spelling of the agent's own folder"
    inside = parts[1:] if own else parts
    if inside and (inside[0] in STANDING_FOLDERS or (len(inside) == 1 and inside[0] in STANDING_FILES)):
        return f"{inside[0]} is a standing document: only a person changes it"
    if not own and _is_agents(parts[0], below, agents):
        return f"{first} is another agent's folder"
    return None


def _is_agents(name: str, below: list[str], agents: Collection[str] | None) -> bool:
    if agents is None:
        return bool(below) or "." not in name
    return name in map(_fold, agents)


def _refused(paths: ToolsFile | None, agent: str, place: str, root: str | None) -> str | None:
    rule = _read_only(paths.read_only_paths, agent, place, root) if paths else None
    if rule:
        return f"read-only path on line {rule.line} of tools.md"
    if paths is None or paths.write_paths is None:
        return None if _under(place, agent) else "outside the agent's own folder"
    return None if _covering(paths.write_paths, agent, place, root) else "no write path of tools.md covers it"


def _covering(rules: Collection[PathRule], agent: str, place: str, root: str | None) -> PathRule | None:
    # A pattern covers nothing but what its plain folder does: `notes/**` is `notes`, `notes/*.md` is no place.
    for rule in rules:
        base = resolve_path(rule.path.removesuffix("*").removesuffix("*"), agent, root)
        if base is not None and not _GLOB.search(base) and _under(place, base):
            return rule
    return None


def _read_only(rules: Collection[PathRule], agent: str, place: str, root: str | None) -> PathRule | None:
    # Here a pattern covers all of its folder, and names are compared as the most forgiving file system does.
    folded = "/".join(map(_fold, place.split("/")))
    for rule in rules:
        plain = rule.path[: match.start()].rpartition("/")[0] if (match := _GLOB.search(rule.path)) else rule.path
        base = resolve_path(plain, agent, root)
        if base is not None and _under(folded, "/".join(map(_fold, base.split("/"))) if base != "." else "."):
            return rule
    return None


def _under(place: str, base: str) -> bool:
    return base == "." or place == base or place.startswith(base + "/")


def _fold(part: str) -> str:
    text = unicodedata.normalize("NFKC", part).casefold().partition(":")[0]
    return "".join(char for char in text if unicodedata.category(char) != "Cf").rstrip(". ")


def _texts(arguments: Any) -> Iterator[tuple[str, str, str]]:
    """Pointer, nearest key and text of every text; without recursion, since a caller chooses the depth."""
    pending: list[tuple[str, str, Any]] = [("", "", arguments)]
    while pending:
        pointer, key, value = pending.pop()
        if isinstance(value, str):
            yield pointer, key, value
        elif is_map(value):
            pending += [(f"{pointer}/{_escaped(name)}", name, item) for name, item in reversed(value.items())]
        elif is_list(value):
            pending += [(f"{pointer}/{i}", key, item) for i, item in reversed(list(enumerate(value)))]


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


def _names_a_place(key: str, text: str) -> bool:
    if not text.strip() or _WEB.match(text.strip()):
        return False
    if is_path_key(key):
        return not (key.lower() == "to" and _RECIPIENT.fullmatch(text.strip()))
    if len(text) >= _MAX_PATH or _FRACTION.fullmatch(text.strip()):
        return False
    disguised = "%" in text or not text.isascii()
    return any(map(_reads_as_path, readings(text))) if disguised else _reads_as_path(text)


def _reads_as_path(text: str) -> bool:
    text = text.strip()
    if text == UNREADABLE or "\n" in text or not text or _WEB.match(text):
        return text == UNREADABLE
    spaced = any(char.isspace() for char in text)
    if len(text) >= _MAX_TEXT:
        # Long text that begins with a slash is mostly data in base64; a path grows so long by detours.
        return not spaced and bool(_ABSOLUTE.match(text) and _CLIMBS.search(text))
    return bool(_ABSOLUTE.match(text) or _CLIMBS.search(text)) or (not spaced and ("/" in text or "\\" in text))
