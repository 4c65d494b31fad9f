"""What a caller wants of a trigger, checked before anything is read or written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from argosy_core.errors import InvalidArgument, TooLarge
from argosy_core.frontmatter import REMOVE, edit, parse, render
from argosy_core.names import check_new_name
from argosy_scheduler.slots import Misfire
from argosy_scheduler.trigger_file import (
    MAX_NAME_BYTES,
    NOT_TRIGGERS,
    Target,
    read_jitter,
    read_misfire,
    read_target,
    read_timezone,
)
from argosy_scheduler.when import KINDS, read_when
from argosy_scheduler.zones import load_zone

MAX_TASK_CHARS = 20_000
_RESERVED = frozenset({"agenda", "status"})  # resources of the server


@dataclass(frozen=True, slots=True)
class Draft:
    """A trigger as asked for; None leaves a field of an existing trigger as it is."""

    name: str
    when: Mapping[str, Any]
    target: Target
    task: str | None = None
    timezone: str | None = None
    misfire: Misfire | None = None
    jitter_s: int | None = None
    enabled: bool | None = None

    def written_into(self, text: str, added: Mapping[str, Any]) -> str:
        """*text*, a trigger's file or nothing, with this and the fields *added*; all else stays as it is written."""
        if not text:
            fields = {key: value for key, value in {**self._fields(), **added}.items() if value is not REMOVE}
            return render(fields, f"{self.task}\n" if self.task else "")
        text = edit(text, {**self._fields(), **added})
        body = parse(text).body
        if self.task is None or self.task == body.strip():
            return text
        head = text[: len(text) - len(body)]
        gap = "" if body or head.endswith("\n\n") else "\n"
        return f"{head}{gap}{self.task}\n"

    def _fields(self) -> dict[str, Any]:
        fields: dict[str, Any] = {kind: self.when.get(kind, REMOVE) for kind in KINDS}
        fields |= {"agent": REMOVE, "queue": REMOVE, **self.target.fields()}
        said = {"timezone": self.timezone, "misfire": self.misfire, "jitter_s": self.jitter_s, "enabled": self.enabled}
        return fields | {key: value for key, value in said.items() if value is not None}


def draft_trigger(
    name: str,
    when: Mapping[str, Any],
    target: Mapping[str, Any],
    task: str | None,
    timezone: str | None,
    misfire: str | None,
    jitter_s: int | None,
    enabled: bool | None,
) -> Draft:
    """The draft of a trigger. Raises InvalidArgument, TooLarge."""
    unknown = sorted(when.keys() - set(KINDS))
    if unknown:
        raise InvalidArgument(f"when does not take {', '.join(unknown)}", hint=f"one of {', '.join(KINDS)}")
    zone = read_timezone(timezone)
    parsed = read_when(when, load_zone(zone), None)
    return Draft(
        name=check_name(name),
        # A time without an offset stays as it was given: the zone may be one that the file already names.
        when=dict(when) if parsed.kind == "at" else parsed.fields(),
        target=read_target(target),
        task=_checked_task(task),
        timezone=zone if timezone is not None else None,
        misfire=read_misfire(misfire) if misfire is not None else None,
        jitter_s=read_jitter(jitter_s) if jitter_s is not None else None,
        enabled=enabled,
    )


def check_name(name: str) -> str:
    """*name* as it may be given to a trigger. Raises InvalidArgument."""
    name = check_new_name(name)
    if len(name.encode()) > MAX_NAME_BYTES or not all(c.isalnum() or c in "_-" for c in name):
        raise InvalidArgument("not a name for a trigger", hint="letters, digits, _ and -, at most 100 bytes")
    if name in _RESERVED or name in NOT_TRIGGERS or name[0] == "_":
        raise InvalidArgument(f"{name!r} means something else here", hint="choose another name")
    return name


def _checked_task(task: str | None) -> str | None:
    if task is None:
        return None
    if len(task) > MAX_TASK_CHARS:
        raise TooLarge(f"a task has at most {MAX_TASK_CHARS} characters", hint="put the rest into a note and name it")
    return task.strip()
