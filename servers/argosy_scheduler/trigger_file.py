"""A trigger's file: frontmatter that says when and for whom, prose that says what to do. People write these too.

---
cron: "0 7 * * 1-5"
timezone: Europe/Berlin
agent: harbor
---

Read the inbox and write the brief of the day.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from argosy_core.canonical import arguments_hash
from argosy_core.clock import parse_time, rfc3339
from argosy_core.errors import Corrupted, InvalidArgument
from argosy_core.frontmatter import Page, key_line, parse
from argosy_core.storage.base import Content
from argosy_scheduler.slots import MAX_JITTER_S, MISFIRES, Misfire, Timetable
from argosy_scheduler.when import KINDS, At, Cron, Every, When, read_when
from argosy_scheduler.zones import DEFAULT, load_zone

FOLDER = "_fleet/triggers"
ARCHIVE = f"{FOLDER}/.archive"
RUNS = "runs"
MAX_NAME_BYTES = 100
NOT_TRIGGERS = frozenset({"README", "INDEX"})
FIELDS = (*KINDS, "agent", "queue", "timezone", "misfire", "jitter_s", "enabled", "created", "creator", "grant")
_QUEUE = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


@dataclass(frozen=True, slots=True)
class Target:
    """Who gets the work: an agent, by a run, or whoever works on a queue."""

    kind: Literal["agent", "queue"]
    name: str

    @property
    def queue(self) -> str:
        return RUNS if self.kind == "agent" else self.name

    def fields(self) -> dict[str, str]:
        return {self.kind: self.name}


@dataclass(frozen=True, slots=True)
class Trigger:
    """A trigger as its file says. *creator* is the agent that made it, None for a person; *grant* that agent's."""

    name: str
    path: str
    version: str
    stamp: tuple[int, int]
    when: When
    target: Target
    task: str
    timezone: str = DEFAULT
    misfire: Misfire = "skip"
    jitter_s: int = 0
    enabled: bool = True
    created: datetime | None = None
    creator: str | None = None
    grant: str | None = None

    @property
    def timing(self) -> str:
        """What names the times it fires at: when this changes, its past does not count any more."""
        fields = {**self.when.fields(), "timezone": self.timezone, "jitter_s": self.jitter_s}
        if isinstance(self.when, Every):
            fields["anchor"] = rfc3339(self.when.anchor)
        return arguments_hash(fields)[:16]

    @property
    def timetable(self) -> Timetable | None:
        """Its slots; None when no clock fires it."""
        if isinstance(self.when, Cron | Every | At):
            return Timetable(self.name, self.when, self.jitter_s)
        return None


def path_of(name: str) -> str:
    """Where the trigger *name* is kept."""
    return f"{FOLDER}/{name}.md"


def name_of(path: str) -> str | None:
    """The name of the trigger whose file *path* is; None when it is no trigger's."""
    folder, _, file = path.rpartition("/")
    name = file.removesuffix(".md")
    return name if folder == FOLDER and name != file and name and name[0] != "." and name not in NOT_TRIGGERS else None


def read_trigger(content: Content) -> Trigger:
    """The trigger in *content*. Raises Corrupted with the line that is wrong."""
    page, name = read_page(content), name_of(content.path) or content.path
    if len(name.encode()) > MAX_NAME_BYTES:
        raise _corrupted(content.path, 1, f"a trigger's name has at most {MAX_NAME_BYTES} bytes", "rename the file")
    fields = page.fields
    try:
        timezone = read_timezone(fields.get("timezone"))
        created = _created(fields.get("created"))
        return Trigger(
            name=name,
            path=content.path,
            version=content.version,
            stamp=content.stamp,
            when=read_when(fields, load_zone(timezone), created),
            target=read_target({key: fields[key] for key in ("agent", "queue") if fields.get(key) is not None}),
            task=page.body.strip(),
            timezone=timezone,
            misfire=read_misfire(fields.get("misfire")),
            jitter_s=read_jitter(fields.get("jitter_s")),
            enabled=_enabled(fields.get("enabled")),
            created=created,
            creator=_optional_text("creator", fields.get("creator")),
            grant=_optional_text("grant", fields.get("grant")),
        )
    except InvalidArgument as error:
        raise _corrupted(
            content.path, key_line(page, error.detail.get("field", "")), error.message, error.hint
        ) from error


def read_page(content: Content) -> Page:
    """The file's head and body. Raises Corrupted when it is no text, or its head cannot be read whole."""
    try:
        page = parse(content.data.decode())
    except UnicodeDecodeError as exc:
        line = content.data.count(b"\n", 0, exc.start) + 1
        raise _corrupted(content.path, line, "not UTF-8", "save the file as UTF-8") from exc
    if page.problem is not None:
        raise _corrupted(content.path, *page.problem, "mend the file; it is left as it is")
    return page


def read_target(fields: Mapping[str, Any]) -> Target:
    """``{agent}`` or ``{queue}``. Raises InvalidArgument."""
    given = list(fields)
    if given not in (["agent"], ["queue"]):
        raise _wrong(
            given[-1] if given else "agent", "the target is not one agent or one queue", "agent: NAME, or queue: NAME"
        )
    kind, name = given[0], fields[given[0]]
    if not isinstance(name, str) or not name.strip():
        raise _wrong(kind, f"{kind} is not a name", f"{kind}: NAME")
    name = name.strip()
    if kind == "agent":
        if "/" in name or name[0] in "._":
            raise _wrong(kind, f"{name[:60]!r} is no agent's name", "agent_list shows the agents")
        return Target("agent", name)
    if not _QUEUE.fullmatch(name):
        raise _wrong(kind, f"{name[:60]!r} is no queue's name", "small letters, digits, _ and -, at most 64")
    if name == RUNS:
        raise _wrong(kind, "the queue 'runs' holds runs of agents", "give the agent as the target")
    return Target("queue", name)


def read_timezone(value: object) -> str:
    """The name of a zone that exists, UTC when nothing is said. Raises InvalidArgument."""
    if value is None:
        return DEFAULT
    if not isinstance(value, str):
        raise _wrong("timezone", "timezone is not text", "an IANA name, like Europe/Berlin")
    load_zone(value.strip())
    return value.strip()


def read_misfire(value: object) -> Misfire:
    """A policy, ``skip`` when nothing is said. Raises InvalidArgument."""
    for misfire in MISFIRES:
        if value in (misfire, None):
            return misfire
    raise _wrong("misfire", "misfire is not a policy", "skip (late ones are left out), once (one for all) or all")


def read_jitter(value: object) -> int:
    """Seconds, 0 when nothing is said. Raises InvalidArgument."""
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_JITTER_S:
        raise _wrong("jitter_s", "jitter_s is no number of seconds", f"0 to {MAX_JITTER_S}")
    return value


def _enabled(value: object) -> bool:
    if value is None or isinstance(value, bool):
        return value is not False
    raise _wrong("enabled", "enabled is neither true nor false", "enabled: true, or enabled: false")


def _created(value: object) -> datetime | None:
    if value is None:
        return None
    try:
        return parse_time(str(value))
    except (ValueError, OverflowError) as exc:
        raise _wrong("created", "created is no time", "like 2026-12-01T09:00:00Z, or take the line out") from exc


def _optional_text(field: str, value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value or None
    raise _wrong(field, f"{field} is not text", "a name, or take the line out")


def _wrong(field: str, message: str, hint: str) -> InvalidArgument:
    return InvalidArgument(message, hint=hint, field=field)


def _corrupted(path: str, line: int, reason: str, hint: str | None) -> Corrupted:
    return Corrupted(f"{path} line {line}: {reason}", hint=hint, path=path, line=line)
