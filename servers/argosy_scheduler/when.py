"""When a trigger fires: six forms, read from fields and written back as fields."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, ClassVar

from argosy_core.clock import rfc3339
from argosy_core.errors import InvalidArgument
from argosy_core.yamltext import is_map
from argosy_scheduler.cron import check_cron, cron_slots
from argosy_scheduler.globs import Glob, check_glob

MAX_EVERY_S = 10 * 366 * 86_400
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
KINDS = ("cron", "every_s", "at", "webhook", "watch", "event")
# What the scheduler itself writes: a trigger on it would start itself for ever.
OWN_EVENTS = "schedule."
_EVENT = re.compile(r"[a-z][a-z0-9_]*(\.[a-z0-9_]+)*(\.\*)?")
_WEBHOOK_PATH = re.compile(r"[a-z0-9][a-z0-9_-]*(/[a-z0-9][a-z0-9_-]*)*")
_SECRET = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")


@dataclass(frozen=True, slots=True)
class Cron:
    """At the times an expression names in its zone."""

    kind: ClassVar[str] = "cron"
    expression: str
    zone: tzinfo

    def fields(self) -> dict[str, Any]:
        return {"cron": self.expression}

    def slots(self, after: datetime) -> Iterator[datetime]:
        return cron_slots(self.expression, self.zone, after)


@dataclass(frozen=True, slots=True)
class Every:
    """In even steps of real time, counted from *anchor*."""

    kind: ClassVar[str] = "every_s"
    seconds: int
    anchor: datetime

    def fields(self) -> dict[str, Any]:
        return {"every_s": self.seconds}

    def slots(self, after: datetime) -> Iterator[datetime]:
        step = timedelta(seconds=self.seconds)
        slot = self.anchor + max(1, (after - self.anchor) // step + 1) * step
        while True:
            yield slot
            slot += step


@dataclass(frozen=True, slots=True)
class At:
    """Once."""

    kind: ClassVar[str] = "at"
    moment: datetime

    def fields(self) -> dict[str, Any]:
        return {"at": rfc3339(self.moment)}

    def slots(self, after: datetime) -> Iterator[datetime]:
        if self.moment > after:
            yield self.moment


@dataclass(frozen=True, slots=True)
class Webhook:
    """When an outside system calls *path* of the running fleet, signed with the secret."""

    kind: ClassVar[str] = "webhook"
    path: str
    secret_name: str

    def fields(self) -> dict[str, Any]:
        return {"webhook": {"path": self.path, "secret_name": self.secret_name}}


@dataclass(frozen=True, slots=True)
class Watch:
    """When a file changes."""

    kind: ClassVar[str] = "watch"
    glob: Glob

    def fields(self) -> dict[str, Any]:
        return {"watch": {"glob": self.glob.pattern}}


@dataclass(frozen=True, slots=True)
class OnEvent:
    """When something is logged: *event* is a kind, or the beginning of some as in ``goal.*``."""

    kind: ClassVar[str] = "event"
    event: str

    def fields(self) -> dict[str, Any]:
        return {"event": {"kind": self.event}}

    def means(self, kind: str) -> bool:
        """Whether an event of *kind* is meant; the scheduler's own never are."""
        if kind.startswith(OWN_EVENTS):
            return False
        return kind.startswith(self.event[:-1]) if self.event.endswith("*") else kind == self.event


Clocked = Cron | Every | At
When = Cron | Every | At | Webhook | Watch | OnEvent


def read_when(fields: Mapping[str, Any], zone: tzinfo, created: datetime | None) -> When:
    """The one form that *fields* hold. Raises InvalidArgument, whose detail names the *field*."""
    given = [kind for kind in KINDS if fields.get(kind) is not None]
    if len(given) != 1:
        found = f"both {given[0]} and {given[1]} are" if given else "nothing is"
        raise _wrong(
            given[-1] if given else "cron",
            f"when: {found} given",
            "give exactly one of cron, every_s, at, webhook, watch, event",
        )
    kind, value = given[0], fields[given[0]]
    if kind == "cron":
        return Cron(check_cron(_text(kind, value, "0 7 * * 1-5")), zone)
    if kind == "every_s":
        return Every(_seconds(value), created or EPOCH)
    if kind == "at":
        return At(_moment(_text(kind, value, "2026-12-01T09:00:00Z"), zone))
    if kind == "watch":
        return Watch(check_glob(_part(kind, value, "glob", "inbox/*.md")))
    if kind == "event":
        return OnEvent(_event(_part(kind, value, "kind", "goal.transition")))
    return _webhook(value)


def _seconds(value: object) -> int:
    whole = int(value) if isinstance(value, float) and value.is_integer() else value
    if isinstance(whole, bool) or not isinstance(whole, int) or not 1 <= whole <= MAX_EVERY_S:
        raise _wrong("every_s", "every_s is no whole number of seconds", f"1 to {MAX_EVERY_S}: 3600 is hourly")
    return whole


def _moment(text: str, zone: tzinfo) -> datetime:
    try:
        moment = datetime.fromisoformat(text.strip())
        moment = (moment.replace(tzinfo=zone) if moment.tzinfo is None else moment).astimezone(UTC)
    except (ValueError, OverflowError) as exc:
        hint = "RFC 3339: 2026-12-01T09:00:00Z; without an offset it is taken in timezone"
        raise _wrong("at", f"at is no time: {text[:40]!r}", hint) from exc
    if not 1970 <= moment.year <= 9000:
        raise _wrong("at", f"at lies in the year {moment.year}", "give a year from 1970 to 9000")
    return moment


def _event(kind: str) -> str:
    if not _EVENT.fullmatch(kind) or len(kind) > 100:
        raise _wrong("event", f"{kind[:60]!r} is no kind of event", "a kind like goal.transition, or goal.* for all")
    if kind.startswith(OWN_EVENTS) or kind == OWN_EVENTS[:-1]:
        raise _wrong("event", f"{kind} is the scheduler's own event: it would fire itself for ever", "name another")
    return kind


def _webhook(value: object) -> Webhook:
    path = _part("webhook", value, "path", None).strip("/")
    secret = _part("webhook", value, "secret_name", None)
    if not _WEBHOOK_PATH.fullmatch(path) or len(path) > 200:
        raise _wrong("webhook", f"{path[:60]!r} is no path for a webhook", "small letters, digits, _, - and /")
    if not _SECRET.fullmatch(secret):
        raise _wrong("webhook", "secret_name is no name of a secret", "its name, never its value: secrets_list")
    return Webhook(path, secret)


def _part(kind: str, value: object, part: str, shorthand: str | None) -> str:
    """``{part: text}``, or the text alone where one field says it all."""
    if isinstance(value, str) and shorthand is not None:
        return value.strip()
    fields: dict[str, Any] = value if is_map(value) else {}
    known = ("path", "secret_name") if shorthand is None else (part,)
    unknown = fields.keys() - set(known)
    found = fields.get(part)
    if unknown or not isinstance(found, str) or not found.strip():
        example = f"{part}: {shorthand}" if shorthand else "path: …, secret_name: …"
        raise _wrong(kind, f"{kind} needs {part} as text", f"{kind}: {{{example}}}")
    return found.strip()


def _text(kind: str, value: object, example: str) -> str:
    if not isinstance(value, str):
        raise _wrong(kind, f"{kind} is not text", f'like {kind}: "{example}"')
    return value


def _wrong(field: str, message: str, hint: str) -> InvalidArgument:
    return InvalidArgument(message, hint=hint, field=field)
