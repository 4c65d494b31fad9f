"""What a doctor sees in triggers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from argosy_core.errors import ArgosyError
from argosy_core.frontmatter import Page, key_line
from argosy_core.policy.errors import nearest
from argosy_core.serving.results import DoctorFinding
from argosy_scheduler.trigger_file import FIELDS, Trigger
from argosy_scheduler.when import At


def inspect_triggers(
    triggers: Sequence[Trigger],
    broken: Sequence[ArgosyError],
    unknown: Mapping[str, Mapping[str, int]],
    folders: Sequence[str],
    now: datetime,
) -> list[DoctorFinding]:
    """What is wrong with triggers; *unknown* are keys that nobody reads, with their lines, by path."""
    findings = [_unreadable(error) for error in broken]
    for trigger in triggers:
        findings += _loose_ends(trigger, folders, now)
        findings += [_strange(trigger, key, line) for key, line in unknown.get(trigger.path, {}).items()]
    return findings or [DoctorFinding(status="pass", check="trigger_files", message="every trigger can be read")]


def unknown_keys(page: Page) -> dict[str, int]:
    """Keys that look like one of a trigger's own, misspelt, with their lines. Others are a person's own."""
    strange = [key for key in page.fields if key not in FIELDS and nearest(key, FIELDS) is not None]
    return {key: key_line(page, key) for key in strange}


def _unreadable(error: ArgosyError) -> DoctorFinding:
    return DoctorFinding(
        status="fail",
        check="trigger_files",
        message=error.message,
        file=error.detail.get("path"),
        line=error.detail.get("line"),
        fix=error.hint,
    )


def _strange(trigger: Trigger, key: str, line: int) -> DoctorFinding:
    return DoctorFinding(
        status="warn",
        check="trigger_fields",
        message=f"nobody reads {key}",
        file=trigger.path,
        line=line,
        fix=nearest(key, FIELDS),
    )


def _loose_ends(trigger: Trigger, folders: Sequence[str], now: datetime) -> Iterator[DoctorFinding]:
    if trigger.target.kind == "agent" and trigger.target.name not in folders:
        yield _warning(trigger, f"there is no agent {trigger.target.name!r}", "correct agent, or switch it off")
    if trigger.creator is not None and trigger.creator not in folders:
        yield _warning(trigger, f"its creator {trigger.creator!r} is gone", "delete it, or take creator out to own it")
    if isinstance(trigger.when, At) and trigger.enabled and trigger.when.moment < now:
        yield _warning(trigger, "its time is over", "delete it, or give it a new time")


def _warning(trigger: Trigger, message: str, fix: str) -> DoctorFinding:
    return DoctorFinding(status="warn", check="trigger_sense", message=message, file=trigger.path, fix=fix)
