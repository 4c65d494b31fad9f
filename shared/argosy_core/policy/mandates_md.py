"""Parser of ``mandates.md``: ``## <id>`` sections, each a YAML body in a fence or bare.

The whole file is invalid on any malformed section, on an id that is there twice, and on a key that is not known: a
permission that is not understood permits nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import time
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from argosy_core.canonical import sha256_hex
from argosy_core.clock import parse_time
from argosy_core.errors import InvalidArgument
from argosy_core.policy.checks import Checks, Read
from argosy_core.policy.entries import Entry, yaml_entries
from argosy_core.policy.errors import PolicyInvalid, decode
from argosy_core.policy.mandates_model import (
    DAYS,
    KINDS,
    PERIODS,
    Constraints,
    Mandate,
    MandatesFile,
    Target,
    TimeWindow,
)
from argosy_core.policy.markdown import Section, read_markdown
from argosy_core.policy.money import nano_usd
from argosy_core.policy.patterns import check_names
from argosy_core.yamltext import YamlProblem, is_list, is_map

FILE = "mandates.md"
META = "_meta"
_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_REQUIRED = ("granted_by", "granted_at", "scope", "revocation_state")
_CAPS = tuple(f"{period}_{kind}_usd" for period in PERIODS for kind in KINDS)
_ABOVE = tuple(f"requires_escalation_above_{kind}_usd" for kind in KINDS)
_CLOCK = re.compile(r"([01]?\d|2[0-4]):([0-5]\d)")


def parse_mandates(source: str | bytes, where: str = FILE) -> MandatesFile:
    """The mandates in *source*. Raises PolicyInvalid."""
    text, checks = decode(source, where), Checks(where)
    try:
        return _Reading(text, checks).file()
    except YamlProblem as problem:
        raise PolicyInvalid(where, problem.line, problem.reason, hint="mend the YAML") from problem


class _Reading:
    def __init__(self, text: str, checks: Checks) -> None:
        self._lines = text.split("\n")
        self._checks = checks
        document = read_markdown(text)
        if document.open_line is not None:
            checks.fail(document.open_line, "what begins here is never closed", hint="close the fence or comment")
        self._sections = [section for section in document.sections if section.level > 0]

    def file(self) -> MandatesFile:
        mandates: dict[str, Mandate] = {}
        meta: dict[str, Any] = {}
        for at, section in enumerate(self._sections):
            if section.level != 2:
                self._refuse_level(section)
                continue
            title = section.title.strip().strip("`")
            if title == META:
                meta = self._meta(section)
                continue
            if not _ID.fullmatch(title):
                self._checks.fail(section.line, f"{title[:80]!r} is no id of a mandate", hint="letters, digits, dashes")
            if title in mandates:
                self._checks.fail(section.line, f"{title} is there a second time (line {mandates[title].line})")
            mandates[title] = self._mandate(title, section, self._text(at))
        return MandatesFile(mandates, **meta)

    def _refuse_level(self, section: Section) -> None:
        if section.level > 2 or section.fences:
            self._checks.fail(section.line, "a mandate stands under ## and its id", hint="write ## its-id")

    def _text(self, at: int) -> str:
        """The whole text of a section, up to the next heading of a mandate."""
        begin = self._sections[at].line - 1
        end = self._sections[at + 1].line - 1 if at + 1 < len(self._sections) else len(self._lines)
        return "\n".join(self._lines[begin:end])

    def _entries(self, section: Section) -> tuple[Entry, ...]:
        if len(section.fences) > 1:
            self._checks.fail(section.fences[1].line, "a mandate has one block of YAML")
        if section.fences:
            return yaml_entries(section.fences[0].text, section.fences[0].line)
        bare = [line for line in section.lines if line.text.strip()]
        if not bare:
            self._checks.fail(section.line, "nothing stands under this heading")
        return yaml_entries("\n".join(line.text for line in section.lines), section.lines[0].number)

    def _meta(self, section: Section) -> dict[str, Any]:
        checks = self._checks
        entry = Entry(META, section.line, None, self._entries(section), True)
        table: Mapping[str, Read] = {
            "per_agent_mandate_policy": lambda e: checks.choice(e, ("open", "listed", "forbidden")),
            "allowed_per_agent_ids": lambda e: frozenset(_texts(e, checks)),
        }
        found = checks.record(entry, table, dict[str, Any])
        names = {"per_agent_mandate_policy": "agent_policy", "allowed_per_agent_ids": "allowed_ids"}
        return {names[key]: value for key, value in found.items()}

    def _mandate(self, name: str, section: Section, text: str) -> Mandate:
        checks = self._checks
        entry = Entry(name, section.line, None, self._entries(section), True)
        table: Mapping[str, Read] = {
            "granted_by": checks.text,
            "granted_at": lambda e: str(e.value),
            "scope": checks.text,
            "revocation_state": lambda e: checks.choice(e, ("active", "revoked")),
            "expires_at": lambda e: _moment(e, checks),
            "revocable_by": checks.text,
            "revoked_at": lambda e: None if e.value is None else str(e.value),
            "revocation_reason": lambda e: None if e.value is None else checks.text(e),
            "constraints": lambda e: _constraints(e, checks),
        }
        found = checks.record(entry, table, dict[str, Any])
        missing = [key for key in _REQUIRED if key not in found]
        if missing:
            checks.fail(section.line, f"{name} does not say {', '.join(missing)}", hint="every mandate says these")
        bounds = found.pop("constraints", Constraints())
        _check_bounded(name, bounds, section.line, checks)
        state = found.pop("revocation_state")
        return Mandate(
            id=name, state=state, constraints=bounds, source_hash=sha256_hex(text.encode("utf-8", "surrogatepass")),
            where=checks.where, line=section.line, **found,
        )  # fmt: skip


def _check_bounded(name: str, bounds: Constraints, line: int, checks: Checks) -> None:
    listed = bounds.allowed_tools is not None or bounds.allowed_targets is not None or bool(bounds.blocked_targets)
    structured = listed or bool(bounds.caps or bounds.escalate_above or bounds.window)
    if bounds.unconstrained and not bounds.justification:
        checks.fail(line, f"{name} is unconstrained and does not say why", hint="add justification")
    if not structured and not bounds.unconstrained:
        checks.fail(line, f"{name} has no bounds", hint="add constraints, or unconstrained: true and a justification")


def _constraints(entry: Entry, checks: Checks) -> Constraints:
    money: Read = lambda e: _money(e, checks)  # noqa: E731
    table: Mapping[str, Read] = {
        "allowed_tools": lambda e: _tools(e, checks),
        "allowed_targets": lambda e: _targets(e, checks),
        "blocked_targets": lambda e: _targets(e, checks),
        "time_window": lambda e: _window(e, checks),
        "unconstrained": checks.boolean,
        "justification": checks.text,
        **dict.fromkeys((*_CAPS, *_ABOVE), money),
    }
    found = checks.record(entry, table, dict[str, Any])
    caps = {key.removesuffix("_usd"): found.pop(key) for key in _CAPS if key in found}
    above = {key.split("_")[3]: found.pop(key) for key in _ABOVE if key in found}
    return Constraints(caps=caps, escalate_above=above, window=found.pop("time_window", None), **found)


def _money(entry: Entry, checks: Checks) -> int:
    try:
        return nano_usd(checks.number(entry), entry.key)
    except InvalidArgument as error:
        checks.fail(entry.line, error.message, hint=error.hint, key=entry.key)


def _tools(entry: Entry, checks: Checks) -> frozenset[str]:
    try:
        return check_names(_texts(entry, checks), entry.key)
    except InvalidArgument as error:
        checks.fail(entry.line, error.message, hint=error.hint, key=entry.key)


def _texts(entry: Entry, checks: Checks) -> list[str]:
    if not is_list(entry.value) or not all(isinstance(item, str) and item.strip() for item in entry.value):
        checks.expected(entry, "a list of names")
    return [item.strip() for item in entry.value]


def _targets(entry: Entry, checks: Checks) -> tuple[Target, ...]:
    if not is_list(entry.value):
        checks.expected(entry, "a list of {kind, value} or {prefix}")
    return tuple(_target(item, entry, checks) for item in entry.value)


def _target(item: object, entry: Entry, checks: Checks) -> Target:
    if isinstance(item, str) and item.strip():
        return Target(value=item.strip())
    if is_map(item) and all(isinstance(value, str) and value.strip() for value in item.values()):
        if item.keys() == {"prefix"}:
            return Target(prefix=item["prefix"])
        if "value" in item and item.keys() <= {"kind", "value"}:
            return Target(kind=item.get("kind"), value=item["value"])
    checks.fail(entry.line, f"{entry.key}: a target is {{kind, value}} or {{prefix}}", key=entry.key)


def _window(entry: Entry, checks: Checks) -> TimeWindow:
    table: Mapping[str, Read] = {
        "days": lambda e: _days(e, checks),
        "hours_local": lambda e: _hours(e, checks),
        "start": lambda e: _clock(str(e.value), e, checks),
        "end": lambda e: _clock(str(e.value), e, checks),
        "tz": lambda e: _zone(e, checks),
        "start_utc": lambda e: _clock(str(e.value), e, checks),
        "end_utc": lambda e: _clock(str(e.value), e, checks),
    }
    found = checks.record(entry, table, dict[str, Any])
    start, end = found.get("hours_local") or (found.get("start"), found.get("end"))
    start, end = start or found.get("start_utc"), end or found.get("end_utc")
    zone = ZoneInfo("UTC") if "tz" not in found else found["tz"]
    return TimeWindow(found.get("days", frozenset()), start or time(0), end or time(0), zone)


def _days(entry: Entry, checks: Checks) -> frozenset[int]:
    days = _texts(entry, checks)
    for day in days:
        if day[:3].lower() not in DAYS:
            checks.fail(entry.line, f"{day[:20]!r} is no day", hint=f"days: {', '.join(DAYS)}")
    return frozenset(DAYS.index(day[:3].lower()) for day in days)


def _hours(entry: Entry, checks: Checks) -> tuple[time, time]:
    value = entry.value
    parts = value.replace("–", "-").split("-") if isinstance(value, str) else value if is_list(value) else []
    if len(parts) != 2:
        checks.expected(entry, "two times, like 09:00-17:30")
    start, end = (_clock(str(part), entry, checks) for part in parts)
    return start, end


def _clock(text: str, entry: Entry, checks: Checks) -> time:
    match = _CLOCK.fullmatch(text.strip())
    if match is None or (match[1] == "24" and match[2] != "00"):
        checks.expected(entry, "a time, like 09:00")
    return time(int(match[1]) % 24, int(match[2]))


def _zone(entry: Entry, checks: Checks) -> ZoneInfo:
    try:
        return ZoneInfo(checks.text(entry))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        checks.expected(entry, "the name of a time zone, like Europe/Berlin")


def _moment(entry: Entry, checks: Checks) -> Any:
    try:
        return None if entry.value is None else parse_time(str(entry.value))
    except ValueError:
        checks.expected(entry, "a time, like 2026-12-31T18:00:00Z")


def merged(root: MandatesFile | None, own: MandatesFile | None) -> Iterator[Mandate]:
    """The mandates that hold for an agent: the fleet's, and of its own those that the fleet's file lets it have.

    Raises PolicyInvalid when an agent's file takes the name of one of the fleet's, or has one that it may not.
    """
    fleet = root or MandatesFile()
    yield from fleet.mandates.values()
    for mandate in (own or MandatesFile()).mandates.values():
        if mandate.id in fleet.mandates:
            raise PolicyInvalid(
                mandate.where, mandate.line, f"{mandate.id} is a mandate of the fleet", hint="rename it"
            )
        listed = fleet.agent_policy == "listed" and mandate.id not in fleet.allowed_ids
        if fleet.agent_policy == "forbidden" or listed:
            reason = f"the fleet's {FILE} does not let an agent have {mandate.id}"
            raise PolicyInvalid(mandate.where, mandate.line, reason, hint="remove it, or list it there")
        yield mandate
