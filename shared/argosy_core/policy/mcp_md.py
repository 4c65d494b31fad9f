"""Parser of ``mcp.md``: the servers an agent asks for (the older system's format).

One ``## name`` a server with ``key: value`` lines, ``## Tool overrides`` with ``tool: class`` lines, and
``## Allowed commands``, which replaces the default list. What is not understood is PolicyInvalid: a server is started
as it was meant or not at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from argosy_core.canonical import canonical_json, sha256_hex
from argosy_core.policy.checks import Checks
from argosy_core.policy.entries import Entry, Item, items, without_remark, yaml_entries
from argosy_core.policy.errors import PolicyInvalid, decode, nearest
from argosy_core.policy.markdown import Section, bullets, read_markdown, tidy
from argosy_core.types import ActionClass
from argosy_core.yamltext import YamlProblem, is_list

WHERE = "mcp.md"
DEFAULT_COMMANDS = frozenset({"npx", "uvx", "python", "python3", "node", "docker"})
TRANSPORTS = ("stdio", "http", "streamable-http", "sse", "url")

_KEYS = ("command", "args", "env", "transport", "url", "description", "default_action_class")
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,30}")
_VARIABLE = re.compile(r"\$(?:\{([A-Za-z_]\w*)\}|([A-Za-z_]\w*))")
_QUOTED_OR_PLAIN = re.compile(r"""\s*(?:"([^"]*)"|'([^']*)'|`([^`]*)`|([^,]*?))\s*(?:,|$)""")
_OVERRIDES, _ALLOWED = "tool overrides", "allowed commands"


@dataclass(frozen=True, slots=True)
class McpEntry:
    """One server as the file asks for it. *env* maps the child's variables to names of ours (``KEY=$VAR``)."""

    server: str
    line: int
    command: str = ""
    args: tuple[str, ...] = ()
    env: dict[str, str] = field(default_factory=dict[str, str])
    transport: str = "stdio"
    url: str | None = None
    description: str = ""
    default_action_class: ActionClass | None = None


@dataclass(frozen=True, slots=True)
class McpFile:
    """All servers, the classes given to single tools (``server__tool`` or ``tool``), and the commands they may name."""

    entries: tuple[McpEntry, ...] = ()
    overrides: dict[str, ActionClass] = field(default_factory=dict[str, ActionClass])
    allowed_commands: frozenset[str] = DEFAULT_COMMANDS

    def __iter__(self) -> Iterator[McpEntry]:
        return iter(self.entries)


def parse_mcp(source: str | bytes, where: str = WHERE) -> McpFile:
    """The servers in *source*. Raises PolicyInvalid, with the line, for what cannot be read."""
    reading = _Reading(Checks(where))
    document = read_markdown(decode(source, where))
    if document.open_line is not None:
        raise PolicyInvalid(where, document.open_line, "what begins here is never closed", hint="close it")
    try:
        for section in document.sections:
            if section.level > 1:
                reading.take(section)
    except YamlProblem as problem:
        raise PolicyInvalid(where, problem.line, problem.reason, hint="mend the line") from problem
    return McpFile(tuple(reading.servers.values()), reading.overrides, reading.allowed())


def digest(entry: McpEntry) -> str:
    """SHA-256 over everything that decides what would run or be connected to. What a person approves is this."""
    return sha256_hex(
        canonical_json(
            {
                "name": entry.server,
                "command": entry.command,
                "args": entry.args,
                "env": entry.env,
                "transport": entry.transport,
                "url": entry.url,
            }
        )
    )


class _Reading:
    def __init__(self, checks: Checks) -> None:
        self._checks = checks
        self.servers: dict[str, McpEntry] = {}
        self.overrides: dict[str, ActionClass] = {}
        self.commands: frozenset[str] | None = None

    def take(self, section: Section) -> None:
        if section.name == _OVERRIDES:
            self.overrides |= {entry.key: self._class(entry) for entry in self._entries(section, None)}
        elif section.name == _ALLOWED:
            self.commands = frozenset(_commands(section))
        else:
            entry = self._server(section)
            if entry.server in self.servers:
                self._checks.fail(section.line, f"the server {entry.server!r} stands here a second time")
            self.servers[entry.server] = entry

    def allowed(self) -> frozenset[str]:
        return DEFAULT_COMMANDS if self.commands is None else self.commands

    def _server(self, section: Section) -> McpEntry:
        name = tidy(section.title).strip().lower()
        if not _NAME.fullmatch(name):
            self._checks.fail(section.line, f"{section.title!r} is no server name", hint="use a-z, 0-9, _ and -")
        given = Entry(name, section.line, None, tuple(self._entries(section, _KEYS)), True)
        found = {entry.key: entry for entry in self._checks.children(given)}
        command, url = self._text(found, "command"), self._text(found, "url")
        if not command and not url:
            self._checks.fail(section.line, f"the server {name!r} has no command", hint="add a `command:` line")
        transport = found.get("transport")
        action_class = found.get("default_action_class")
        return McpEntry(
            server=name,
            line=section.line,
            command=command,
            args=tuple(word for word, _ in _words(found.get("args"))),
            env=dict(self._variable(word, line) for word, line in _words(found.get("env"))),
            transport=self._checks.choice(transport, TRANSPORTS) if transport else "url" if url else "stdio",
            url=url or None,
            description=self._text(found, "description"),
            default_action_class=self._class(action_class) if action_class else None,
        )

    def _entries(self, section: Section, keys: tuple[str, ...] | None) -> Iterator[Entry]:
        for fence in section.fences:
            if fence.language in ("yaml", "yml", ""):
                for entry in yaml_entries(fence.text, fence.line):
                    yield self._known(entry, keys)
        for item in items(section.lines):
            if item.key and " " not in item.key:
                yield self._known(_entry(item), keys)
            elif item.is_bullet:
                self._checks.fail(
                    item.line, "a list item here must be `key: value`", hint="write prose without a bullet"
                )

    def _known(self, entry: Entry, keys: tuple[str, ...] | None) -> Entry:
        if keys is not None and entry.key not in keys:
            hint = nearest(entry.key, keys) or f"keys read here: {', '.join(keys)}"
            self._checks.fail(entry.line, f"unknown key {entry.key!r}", hint=hint, key=entry.key)
        return entry

    def _class(self, entry: Entry) -> ActionClass:
        return self._checks.member(entry, ActionClass)

    def _text(self, found: dict[str, Entry], key: str) -> str:
        entry = found.get(key)
        return "" if entry is None or (entry.value is None and not entry.is_map) else self._checks.text(entry)

    def _variable(self, word: str, line: int) -> tuple[str, str]:
        name, _, value = word.partition("=")
        match = _VARIABLE.fullmatch(value.strip())
        if not match or not name.strip().isidentifier():
            # Never shown: what stands there may be a secret, which has no place in a vault.
            self._checks.fail(line, "env takes KEY=$VARIABLE, and never a value", hint="name a variable: KEY=$KEY")
        return name.strip(), match[1] or match[2]


def _entry(item: Item) -> Entry:
    """A line as an entry; of ``args`` and ``env`` each list item below it is one word, however it is written."""
    if item.key in ("args", "env"):
        joint = ": " if item.key == "args" else "="
        texts = [f"{child.key}{joint}{child.text}" if child.key else child.text for child in item.children]
        below = [Entry("", child.line, text) for child, text in zip(item.children, texts, strict=True)]
        return Entry(item.key, item.line, item.text or None, tuple(below))
    if item.children:
        raise YamlProblem(item.children[0].line, f"nothing may stand below {item.key}")
    text = item.text if item.key == "description" else without_remark(item.text)
    return Entry(item.key, item.line, text or None)


def _words(entry: Entry | None) -> Iterator[tuple[str, int]]:
    """The words of ``args`` or ``env`` with their lines: a comma list, a YAML list or map, or list items below it."""
    if entry is None:
        return
    if is_list(entry.value):
        yield from ((str(word), entry.line) for word in entry.value)
    elif entry.value is not None:
        yield from ((word, entry.line) for word in _split(str(entry.value)))
    for child in entry.children:
        yield f"{child.key}={child.value}" if child.key else _unquoted(str(child.value)), child.line


def _split(text: str) -> list[str]:
    text = text.strip()
    if text.startswith("[") and text.endswith("]"):
        text = text[1:-1]
    found = ([group for group in match.groups() if group is not None] for match in _QUOTED_OR_PLAIN.finditer(text))
    return [groups[0].strip() for groups in found if groups and groups[0].strip()]


def _unquoted(word: str) -> str:
    return word[1:-1] if len(word) > 1 and word[0] in "'\"`" and word[-1] == word[0] else word


def _commands(section: Section) -> Iterator[str]:
    for bullet in bullets(section.lines):
        yield from (without_remark(word) for word in _split(bullet.text))
