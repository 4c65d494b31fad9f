"""Parser of ``policy.md``, the fleet's caps and lists (the older system's spec 32): no agent's file loosens it.

Read are a head, fenced YAML, and sections with ``- key: value`` lines, alone or together: ``cost_caps``, ``tools``,
``mcp_servers``, ``model``, ``agents`` (the same for one agent by its name) and ``cache_ttl_s``. An unknown heading or
key, a bad value, a key set twice, bad YAML or bad UTF-8 is PolicyInvalid.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from argosy_core.errors import InvalidArgument
from argosy_core.frontmatter import parse
from argosy_core.frontmatter.page import HEAD_LINE
from argosy_core.names import check_path
from argosy_core.policy.checks import Checks, Read
from argosy_core.policy.entries import Entry, Item, entry_of, items, yaml_entries
from argosy_core.policy.errors import PolicyInvalid, decode, nearest
from argosy_core.policy.grants import Grant, Limits
from argosy_core.policy.markdown import Section, read_markdown
from argosy_core.policy.money import nano_usd
from argosy_core.policy.patterns import covers, name_inside
from argosy_core.yamltext import YamlProblem, is_list

FILE = "policy.md"
_SECTIONS = ("cost_caps", "tools", "mcp_servers", "agents")
_KEYS = (*_SECTIONS, "model", "cache_ttl_s")
_HEAD_KEYS = frozenset({"schema_version", "type", "name", "title", "description", "tags"})
_YAML = frozenset({"yaml", "yml", "json", ""})
_ASSIGNS = re.compile(rf"\b({'|'.join(_KEYS)}|daily_usd|monthly_usd|allow|deny)\b[`*\"' \t]*[:=]")


@dataclass(frozen=True, slots=True)
class Caps:
    """What may be spent in a day and in a month, billionths of a dollar; None is no cap, 0 stops all spending."""

    daily_usd: int | None = None
    monthly_usd: int | None = None

    def least(self, other: Caps) -> Caps:
        """The lower cap of each kind."""
        return Caps(_least(self.daily_usd, other.daily_usd), _least(self.monthly_usd, other.monthly_usd))


@dataclass(frozen=True, slots=True)
class AllowList:
    """Names and ``prefix*``; *deny* wins, and an empty *allow* is everything."""

    allow: frozenset[str] = frozenset()
    deny: frozenset[str] = frozenset()

    def refuses(self, name: str) -> str | None:
        """Which list refuses *name*: ``deny``, ``allow``, or None."""
        if covers(self.deny, name, name_inside):
            return "deny"
        return "allow" if self.allow and not covers(self.allow, name, name_inside) else None

    def joined(self, other: AllowList) -> AllowList:
        """Both lists' names together, as the older system has it for an agent's entry in the fleet's file."""
        return AllowList(self.allow | other.allow, self.deny | other.deny)


@dataclass(frozen=True, slots=True)
class PolicyRules:
    """What holds for one agent, or for all."""

    cost_caps: Caps = field(default_factory=Caps)
    tools: AllowList = field(default_factory=AllowList)
    mcp_servers: AllowList = field(default_factory=AllowList)
    model: str | None = None

    @property
    def grant(self) -> Grant:
        """The same as a grant; servers are left out, a tool's name does not say them."""
        limits = Limits(usd_day=self.cost_caps.daily_usd, usd_month=self.cost_caps.monthly_usd)
        return Grant(tools=self.tools.allow or None, denied=self.tools.deny, limits=limits)


@dataclass(frozen=True, slots=True)
class PolicyFile:
    """One ``policy.md``."""

    fleet: PolicyRules = field(default_factory=PolicyRules)
    agents: Mapping[str, PolicyRules] = field(default_factory=dict[str, PolicyRules])
    cache_ttl_s: float = 0.0
    lines: Mapping[str, int] = field(default_factory=dict[str, int])

    def rules_for(self, agent: str) -> PolicyRules:
        """The fleet's rules and the agent's own entry together: the lower cap, both lists, the agent's model."""
        own = self.agents.get(agent)
        if own is None:
            return self.fleet
        return PolicyRules(
            self.fleet.cost_caps.least(own.cost_caps),
            self.fleet.tools.joined(own.tools),
            self.fleet.mcp_servers.joined(own.mcp_servers),
            own.model or self.fleet.model,
        )


def parse_policy(source: str | bytes, where: str = FILE) -> PolicyFile:
    """The rules in *source*. Raises PolicyInvalid."""
    checks = Checks(where)
    try:
        root = Entry(where, 1, None, tuple(_gather(decode(source, where), checks)), True)
        given = {entry.key: entry for entry in checks.children(root)}
        agents = _agents(given["agents"], checks) if "agents" in given else {}
    except YamlProblem as problem:
        raise PolicyInvalid(where, problem.line, problem.reason, hint="mend the YAML") from problem
    seconds = checks.number(given["cache_ttl_s"]) if "cache_ttl_s" in given else 0.0
    own = tuple(entry for key, entry in given.items() if key not in ("agents", "cache_ttl_s"))
    rules = _rules(Entry("", 1, None, own, True), checks)
    return PolicyFile(rules, agents, seconds, checks.lines)


def _gather(text: str, checks: Checks) -> Iterator[Entry]:
    page = parse(text)
    if page.problem is not None:
        checks.fail(*page.problem, hint="mend the frontmatter")
    for entry in yaml_entries(page.raw_head, HEAD_LINE):
        if entry.key not in _HEAD_KEYS:
            yield _known(entry, checks)
    document = read_markdown(page.body, page.body_line)
    if document.open_line is not None:
        checks.fail(document.open_line, "what begins here is never closed", hint="close the fence or comment")
    for section in document.sections:
        yield from _of_section(section, checks)


def _of_section(section: Section, checks: Checks) -> Iterator[Entry]:
    key = section.name.replace(" ", "_")
    if section.level > 1 and key not in _SECTIONS and key not in ("policy", "model"):
        hint = nearest(key, _SECTIONS) or f"sections read here: {', '.join(_SECTIONS)}"
        checks.fail(section.line, f"unknown heading {section.title!r}", hint=hint, heading=section.title)
    inside = key if section.level > 1 and key in _SECTIONS else ""
    found: list[Entry] = []
    for fence in section.fences:
        if fence.language in _YAML and ":" not in fence.info:
            found += yaml_entries(fence.text, fence.line)
        elif _ASSIGNS.search(fence.text):
            checks.fail(fence.line - 1, "this block holds settings and is not read", hint="begin it with ```yaml")
    found += _written(items(section.lines), bool(inside), checks)
    nested = {entry.key for entry in found} == {inside} if inside else False
    if inside and found and not nested:
        yield Entry(inside, section.line, None, tuple(found), True)
    else:
        yield from (_known(entry, checks) for entry in found)


def _written(found: tuple[Item, ...], inside: bool, checks: Checks) -> Iterator[Entry]:
    for item in found:
        if item.key and (item.is_bullet or item.key in _KEYS or (inside and len(item.text.split()) < 2)):
            yield entry_of(item)
        elif item.is_bullet and inside:
            checks.fail(item.line, "a list item here must be `- key: value`", hint="write prose without a bullet")
        elif _ASSIGNS.search(f"{item.key}: {item.text}"):
            checks.fail(item.line, "this sets nothing, and reads as if it did", hint="write `- key: value`")


def _known(entry: Entry, checks: Checks) -> Entry:
    if entry.key not in _KEYS:
        checks.unknown(entry, _KEYS, checks.where)
    return entry


def _agents(entry: Entry, checks: Checks) -> dict[str, PolicyRules]:
    found: dict[str, PolicyRules] = {}
    for child in checks.children(entry):
        try:
            if len(check_path(child.key)) != 1:
                checks.fail(child.line, f"{child.key!r} is no name of an agent")
        except InvalidArgument as error:
            checks.fail(child.line, f"agents: {error.message}", hint=error.hint)
        found[child.key] = _rules(child, checks)
    return found


def _rules(entry: Entry, checks: Checks) -> PolicyRules:
    money: Mapping[str, Read] = dict.fromkeys(("daily_usd", "monthly_usd"), lambda e: _money(e, checks))
    names: Mapping[str, Read] = dict.fromkeys(("allow", "deny"), lambda e: _names(e, checks))
    table: Mapping[str, Read] = {
        "cost_caps": lambda e: checks.record(e, money, Caps),
        "tools": lambda e: checks.record(e, names, AllowList),
        "mcp_servers": lambda e: checks.record(e, names, AllowList),
        "model": lambda e: None if e.value is None and not e.is_map else checks.text(e),
    }
    return checks.record(entry, table, PolicyRules)


def _money(entry: Entry, checks: Checks) -> int | None:
    if entry.value is None and not entry.is_map:
        return None
    try:
        return nano_usd(checks.number(entry), entry.key)
    except InvalidArgument as error:
        checks.fail(entry.line, error.message, hint=error.hint, key=entry.key)


def _names(entry: Entry, checks: Checks) -> frozenset[str]:
    value: Any = entry.value
    if value is None and not entry.is_map:
        return frozenset()
    if isinstance(value, str):
        value = [part.strip() for part in value.split(",")]
    if not is_list(value) or not all(isinstance(name, str) and name.strip() for name in value):
        checks.expected(entry, "a list of names")
    for name in value:
        if not name.isprintable() or "*" in name.removesuffix("*"):
            checks.fail(entry.line, f"{entry.key}: {name[:80]!r} is no name", hint="a name, or prefix*")
    return frozenset(name.strip() for name in value)


def _least(left: int | None, right: int | None) -> int | None:
    return min((cap for cap in (left, right) if cap is not None), default=None)
