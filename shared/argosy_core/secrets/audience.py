"""Who may receive which secret: ``secrets:`` in ``fleet.md``.

    secrets:
      GITHUB_TOKEN:
        tools: [github__create_issue]
        arguments: [/headers/Authorization, token]
        hosts: [api.github.com]

A tool is named as a model calls it. An argument is a JSON pointer, in which ``*`` stands for one step, or the name of a
top-level argument, with all that is in it. A host is ``host``, ``host:port`` or ``http://host``; ``*`` is any. A secret
without tools or arguments goes nowhere, and so does every secret of a file that cannot be read.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, cast

from argosy_core.frontmatter import key_line, parse
from argosy_core.policy.errors import PolicyInvalid, Problem, decode
from argosy_core.secrets.secret import NAME_PATTERN
from argosy_core.views.fleet import FILE
from argosy_core.views.reader import Reader

KEY = "secrets"
_NAME = re.compile(NAME_PATTERN)
_FIELDS = ("tools", "arguments", "hosts")


@dataclass(frozen=True, slots=True)
class Audience:
    """Where one secret may go."""

    tools: frozenset[str] = frozenset()
    arguments: tuple[str, ...] = ()
    hosts: frozenset[str] = frozenset()

    def allows(self, tool: str, pointer: str, hosts_in_arguments: Collection[str]) -> bool:
        """Whether the value may be put at *pointer* of a call of *tool* whose arguments name these hosts."""
        return self.refusal(tool, pointer, hosts_in_arguments) is None

    def refusal(self, tool: str, pointer: str, hosts_in_arguments: Collection[str]) -> str | None:
        """Why the value may not go there; None when it may."""
        if tool not in self.tools:
            return f"the tool {tool} is not in its audience"
        if not any(_covers(place, pointer) for place in self.arguments):
            return f"the argument {pointer} is not in its audience"
        others = [] if "*" in self.hosts else sorted(set(hosts_in_arguments) - self.hosts)
        return f"the host {others[0][:200]} is not in its audience" if others else None

    def as_json(self) -> dict[str, list[str]]:
        """As ``fleet.md`` has it."""
        return {"tools": sorted(self.tools), "arguments": list(self.arguments), "hosts": sorted(self.hosts)}


@dataclass(frozen=True, slots=True)
class Audiences:
    """All of one vault. *listed* are the names that ``fleet.md`` has, those without an audience too."""

    by_name: Mapping[str, Audience]
    listed: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()


def load_audiences(reader: Reader) -> Audiences:
    """The audiences in *reader*'s ``fleet.md``; what the file says wrongly is a problem, and goes nowhere."""
    return read_audiences(reader.read(FILE))


def read_audiences(data: bytes | None) -> Audiences:
    """The audiences in the bytes of a ``fleet.md``; None when there is none."""
    if data is None:
        return Audiences({})
    try:
        page = parse(decode(data, FILE))
    except PolicyInvalid as exc:
        return _nothing(exc.line, exc.reason, exc.hint or "mend the file")
    if page.problem:
        return _nothing(*page.problem, "mend the frontmatter")
    return parse_audiences(page.fields.get(KEY), key_line(page, KEY))


def parse_audiences(value: Any, line: int = 1) -> Audiences:
    """The audiences in the value of ``secrets:``; *line* is where it stands, for problems."""
    if value is None:
        return Audiences({})
    if isinstance(value, list):  # only listed
        value = {str(name): None for name in cast("list[object]", value)}
    if not isinstance(value, dict):
        return _nothing(line, "secrets is no map of names", "write  NAME: {tools: […], arguments: […], hosts: […]}")
    found: dict[str, Audience] = {}
    listed: list[str] = []
    problems: list[Problem] = []
    for name, fields in cast("dict[str, Any]", value).items():
        if not _NAME.fullmatch(name):
            problems.append(_problem(line, f"{name[:80]!r} is no name of a secret", "use A-Z, 0-9 and _"))
            continue
        listed.append(name)
        reason = _misshapen(fields)
        if reason:
            problems.append(_problem(line, f"{name} goes nowhere: {reason}", "list tools, arguments and hosts"))
            continue
        found[name] = _audience(fields)
    return Audiences(found, tuple(listed), tuple(problems))


def _misshapen(fields: Any) -> str | None:
    if not isinstance(fields, dict):
        return "it has no audience"
    entries = cast("dict[str, Any]", fields)
    unknown = sorted(entries.keys() - set(_FIELDS))
    if unknown:
        return f"unknown key {unknown[0][:80]!r}"
    for key in _FIELDS:
        values: Any = entries.get(key, [])
        if not isinstance(values, list) or not all(isinstance(v, str) and v for v in cast("list[object]", values)):
            return f"{key} is no list of names"
    missing = [key for key in ("tools", "arguments") if not entries.get(key)]
    return f"it lists no {missing[0]}" if missing else None


def _audience(fields: Mapping[str, Any]) -> Audience:
    hosts = (str(host).strip().lower().rstrip("./") for host in fields.get("hosts", []))
    return Audience(tools=frozenset(fields["tools"]), arguments=tuple(fields["arguments"]), hosts=frozenset(hosts))


def _covers(place: str, pointer: str) -> bool:
    if not place.startswith("/"):
        top = "/" + place.replace("~", "~0").replace("/", "~1")
        return pointer == top or pointer.startswith(top + "/")
    wanted, steps = place.split("/"), pointer.split("/")
    return len(wanted) == len(steps) and all(want in ("*", step) for want, step in zip(wanted, steps, strict=True))


def _problem(line: int, message: str, fix: str) -> Problem:
    return Problem(line, message, "error", fix, FILE)


def _nothing(line: int, reason: str, fix: str) -> Audiences:
    return Audiences({}, (), (_problem(line, f"no secret goes anywhere: {reason}", fix),))
