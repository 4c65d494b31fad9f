"""Parser of ``judges.md``, in both layouts that people write.

Fenced YAML (``class_policy:`` and so on as one map) or bare sections (``## Class policy`` with ``- key: value`` lines),
also mixed. An unknown heading or key, a bad value, a key set twice, bad YAML or bad UTF-8 is PolicyInvalid: a policy
that is not understood must not turn into the default one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from argosy_core.policy.checks import Checks, Read
from argosy_core.policy.entries import Entry
from argosy_core.policy.errors import PolicyInvalid, decode
from argosy_core.policy.floor import ResolvedPolicy, merge_floor, policy_version
from argosy_core.policy.judges_layout import gather
from argosy_core.policy.judges_model import (
    AGGREGATIONS,
    AXES,
    BUDGET_KEYS,
    FAILURES,
    Budget,
    Escalation,
    FailurePolicy,
    JudgesFile,
    MandateRules,
)
from argosy_core.types import ActionClass, ClassPolicy, Verdict
from argosy_core.yamltext import YamlProblem, is_list

FILE = "judges.md"
__all__ = ["JudgesFile", "PolicyInvalid", "ResolvedPolicy", "merge_floor", "parse_judges", "policy_version"]


def load_judges(read: Callable[[str], bytes | None], agent: str) -> ResolvedPolicy:
    """What the fleet's file and *agent*'s say together; *read* gives a file of the vault, None where there is none.

    Raises PolicyInvalid, and what *read* raises.
    """
    paths = (FILE, f"{agent}/{FILE}")
    floor, own = (None if (data := read(path)) is None else parse_judges(data, path) for path in paths)
    return merge_floor(floor, own)


def parse_judges(source: str | bytes, where: str = "judges.md") -> JudgesFile:
    """The settings in *source*; *where* names the file in errors. Raises PolicyInvalid."""
    checks = Checks(where)
    try:
        given = gather(decode(source, where), checks)
    except YamlProblem as problem:
        raise PolicyInvalid(where, problem.line, problem.reason, hint="mend the YAML") from problem
    read = _readers(checks)
    values = {key: read[key](entry) for key, entry in given.items()}
    return JudgesFile(where=where, lines=checks.lines, **values)


def _readers(checks: Checks) -> Mapping[str, Read]:
    return {
        "backend": lambda e: checks.choice(e, ("rules", "llm")),
        "model": lambda e: None if e.value is None and not e.is_map else checks.text(e),
        "timeout_ms": checks.positive_int,
        "budget": lambda e: checks.record(e, dict.fromkeys(BUDGET_KEYS, checks.number_or_none), Budget),
        "class_policy": lambda e: checks.mapping(e, ActionClass, lambda c: checks.member(c, ClassPolicy)),
        "specialist_composition": lambda e: _specialists(e, checks),
        "aggregation": lambda e: _aggregation(e, checks),
        "escalation": lambda e: _escalation(e, checks),
        "failure_policy": lambda e: _failure_policy(e, checks),
        "judge_captures": checks.boolean,
        "read_audit_mode": checks.boolean,
        "validation": lambda e: _validation(e, checks),
        "mandates": lambda e: _mandates(e, checks),
    }


def _specialists(entry: Entry, checks: Checks) -> dict[str, str]:
    found: dict[str, str] = {}
    for child in checks.children(entry):
        if child.key not in AXES:
            checks.unknown(child, AXES, "specialist_composition")
        checks.lines[f"{entry.key}.{child.key}"] = child.line
        found[child.key] = checks.text(child)
    return found


def _aggregation(entry: Entry, checks: Checks) -> tuple[str, ...]:
    wanted = entry.value if is_list(entry.value) else [entry.value]
    return tuple(checks.choice(Entry(entry.key, entry.line, rule), AGGREGATIONS) for rule in wanted)


def _validation(entry: Entry, checks: Checks) -> Any:
    if entry.value in ("audit", "paranoid"):
        checks.fail(entry.line, f"validation {entry.value} is reserved and not there yet", hint="use strict")
    return checks.choice(entry, ("weakened", "strict"))


def _escalation(entry: Entry, checks: Checks) -> Escalation:
    table: Mapping[str, Read] = {
        "destination": lambda e: _destination(e, checks),
        "operator_notification": lambda e: None if e.value is None and not e.is_map else checks.text(e),
        "auto_decide_after_seconds": checks.number_or_none,
        "fallback_on_timeout": lambda e: _on_timeout(e, checks),
        "resolution_poll_cycle_seconds": checks.number,
    }
    return checks.record(entry, table, Escalation)


def _destination(entry: Entry, checks: Checks) -> str:
    path = checks.text(entry)
    if path.startswith(("/", "~", "\\")) or ".." in path.split("/") or ":" in path:
        checks.expected(entry, "a folder inside the agent's own")
    return path


def _on_timeout(entry: Entry, checks: Checks) -> Mapping[str, str]:
    if not entry.is_map:
        return {"default": checks.choice(entry, ("allow", "block"))}
    allowed = ("default", *map(str, ActionClass))
    found: dict[str, str] = {}
    for child in checks.children(entry):
        if child.key not in allowed:
            checks.unknown(child, allowed, "fallback_on_timeout")
        found[child.key] = checks.choice(child, ("allow", "block"))
    if "default" not in found:
        checks.fail(entry.line, "fallback_on_timeout needs a default", hint="add `default: block`")
    return found


def _failure_policy(entry: Entry, checks: Checks) -> FailurePolicy:
    children = checks.children(entry)
    classes = [child for child in children if child.is_map or child.key in tuple(ActionClass)]
    if classes and len(classes) < len(children):
        other = next(child for child in children if child not in classes)
        reason = f"failure_policy goes by class or for all classes, not both ({other.key}, {classes[0].key})"
        checks.fail(other.line, reason, key=other.key)
    if classes:
        return FailurePolicy(by_class=checks.mapping(entry, ActionClass, lambda c: _failures(c, checks)))
    return FailurePolicy(flat=_failures(entry, checks))


def _failures(entry: Entry, checks: Checks) -> dict[str, Verdict]:
    found: dict[str, Verdict] = {}
    for child in checks.children(entry):
        if child.key not in FAILURES:
            checks.unknown(child, FAILURES, entry.key)
        checks.lines[f"{entry.key}.{child.key}"] = child.line
        found[child.key] = checks.member(child, Verdict, Verdict.ALLOW, Verdict.ESCALATE, Verdict.BLOCK)
    return found


def _mandates(entry: Entry, checks: Checks) -> MandateRules:
    stop = (Verdict.ESCALATE, Verdict.BLOCK)
    table: Mapping[str, Read] = {
        "suspicious_rebind_throttle_s": checks.number,
        "unextractable_target_action": lambda e: checks.member(e, Verdict, *stop),
        "reservation_ttl_s": checks.number,
        "cap_breach_action_class_default": lambda e: checks.mapping(
            e, ActionClass, lambda c: checks.member(c, Verdict, *stop)
        ),
        "high_risk_lock_timeout_s": checks.number,
        "no_expiry_warning": checks.boolean,
    }
    return checks.record(entry, table, MandateRules)
