"""A grant as JSON: in a signed run token, in a file's head, in a tool's arguments. Money is in US dollars there."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any, cast

from argosy_core.clock import parse_time, rfc3339
from argosy_core.errors import InvalidArgument
from argosy_core.policy.grants import LIMITS, MONEY, Grant, Limits
from argosy_core.policy.money import nano_usd, usd
from argosy_core.policy.paths import resolve_path
from argosy_core.policy.patterns import Patterns, check_hosts, check_names, path_inside, shortest
from argosy_core.types import ActionClass, Mode
from argosy_core.yamltext import is_list

FIELDS = ("tools", "denied", "max_class", "mode", "paths", "hosts", "models", "limits", "until")
MAX_PATTERNS = 1_000
ROOT = "~/agents"  # the vault, in a path
_SECONDS = frozenset({"active_s", "agent_s", "breaker_s"})


def grant_as_json(grant: Grant) -> dict[str, Any]:
    """*grant* as JSON types; what limits nothing is left out."""
    sets = {name: getattr(grant, name) for name in ("tools", "paths", "hosts", "models")}
    found: dict[str, Any] = {name: sorted(value) for name, value in sets.items() if value is not None}
    if "paths" in found:  # said so that they mean the same for whoever reads them
        found["paths"] = [ROOT if path == "." else f"{ROOT}/{path}" for path in found["paths"]]
    found |= {"denied": sorted(grant.denied)} if grant.denied else {}
    found |= {"max_class": grant.max_class.value, "mode": grant.mode.value}
    limits = limits_as_json(grant.limits)
    found |= {"limits": limits} if limits else {}
    return found | ({"until": rfc3339(grant.until)} if grant.until else {})


def limits_as_json(limits: Limits) -> dict[str, float]:
    """The limits that are set, money in US dollars."""
    stated = {name: getattr(limits, name) for name in LIMITS if getattr(limits, name) is not None}
    return {name: usd(value) if name in MONEY else value for name, value in stated.items()}


def grant_from_json(given: Mapping[str, Any], agent: str) -> Grant:
    """The grant that *given* states; relative paths are *agent*'s. Raises InvalidArgument, also for an unknown name."""
    unknown = sorted(given.keys() - set(FIELDS))
    if unknown:
        raise InvalidArgument(f"a grant has no {', '.join(unknown)}", hint=f"it has: {', '.join(FIELDS)}")
    tools, models = (_texts(given, name) for name in ("tools", "models"))
    hosts, paths = (_texts(given, name) for name in ("hosts", "paths"))
    return Grant(
        tools=None if tools is None else check_names(tools, "tools"),
        denied=check_names(_texts(given, "denied") or (), "denied"),
        max_class=_member(given, "max_class", ActionClass, ActionClass.HIGH_RISK),
        mode=_member(given, "mode", Mode, Mode.FREE),
        paths=None if paths is None else _folders(paths, agent),
        hosts=None if hosts is None else check_hosts(hosts),
        models=None if models is None else check_names(models, "models"),
        limits=limits_from_json({} if given.get("limits") is None else given["limits"]),
        until=_time(given.get("until")),
    )


def limits_from_json(given: object) -> Limits:
    """The limits that *given* states. Raises InvalidArgument."""
    if not isinstance(given, Mapping):
        raise InvalidArgument("limits is no object", hint=f"it has: {', '.join(LIMITS)}")
    stated = cast("Mapping[str, Any]", given)
    unknown = sorted(stated.keys() - set(LIMITS))
    if unknown:
        raise InvalidArgument(f"limits has no {', '.join(map(str, unknown))}", hint=f"there are: {', '.join(LIMITS)}")
    return Limits(**{name: _limit(name, value) for name, value in stated.items() if value is not None})


def _limit(name: str, value: Any) -> Any:
    if name in MONEY:
        return nano_usd(value, f"limits.{name}")
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise InvalidArgument(f"limits.{name} is no number that is 0 or more")
    if name not in _SECONDS and int(value) != value:
        raise InvalidArgument(f"limits.{name} is no whole number")
    return float(value) if name in _SECONDS else int(value)


def _texts(given: Mapping[str, Any], name: str) -> tuple[str, ...] | None:
    value = given.get(name)
    if value is None:
        return None
    if not is_list(value) or not all(isinstance(item, str) for item in value) or len(value) > MAX_PATTERNS:
        raise InvalidArgument(f"{name} is no list of texts", hint="leave it out for everything, [] for nothing")
    return tuple(value)


def _folders(paths: tuple[str, ...], agent: str) -> Patterns:
    found = [resolve_path(path, agent) for path in paths]
    if None in found:
        raise InvalidArgument(f"{paths[found.index(None)][:80]!r} lies outside the vault")
    return shortest((place for place in found if place is not None), path_inside)


def _member(given: Mapping[str, Any], name: str, kind: Any, default: Any) -> Any:
    value = given.get(name, default)
    if value not in tuple(kind):
        raise InvalidArgument(f"{name} is one of {', '.join(kind)}")
    return kind(value)


def _time(value: object) -> datetime | None:
    if value is None:
        return None
    try:
        return parse_time(str(value))
    except ValueError as exc:
        raise InvalidArgument("until is no time", hint="write 2026-12-31T18:00:00Z") from exc
