"""The policy in force for an agent: its own ``judges.md`` over the fleet's, which it may not loosen."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

from argosy_core.policy.errors import PolicyInvalid
from argosy_core.policy.judges_model import CLASS_DEFAULTS, Budget, FailurePolicy, JudgesFile
from argosy_core.types import ActionClass, ClassPolicy

Source = Literal["judges.md", "project_floor", "default"]


@dataclass(frozen=True, slots=True)
class ResolvedPolicy:
    """One policy for every class, and for each where it came from.

    *settings* holds everything else, the agent's where it says something, else the floor's. *declared* is whether any
    ``judges.md`` exists: without one the older system had no judge at all, here the defaults are in force.
    """

    class_policy: Mapping[ActionClass, ClassPolicy]
    source: Mapping[ActionClass, Source]
    settings: JudgesFile
    declared: bool


def merge_floor(floor: JudgesFile | None, agent: JudgesFile | None) -> ResolvedPolicy:
    """The policy that *agent*'s file and the fleet's *floor* make together; either may be missing.

    A class that neither sets has its default, and setting one below its default is the owner's right. Raises
    PolicyInvalid where the agent's file is looser than what the floor sets: a class, the validation, a failure's
    outcome.
    """
    if floor and agent:
        _refuse_looser(floor, agent)
    policy: dict[ActionClass, ClassPolicy] = {}
    source: dict[ActionClass, Source] = {}
    for action_class, default in CLASS_DEFAULTS.items():
        policy[action_class], source[action_class] = default, "default"
        if floor and action_class in floor.class_policy:
            policy[action_class], source[action_class] = floor.class_policy[action_class], "project_floor"
        if agent and action_class in agent.class_policy:
            policy[action_class], source[action_class] = agent.class_policy[action_class], "judges.md"
    settings = replace(_settings(floor, agent), class_policy=policy)
    return ResolvedPolicy(policy, source, settings, floor is not None or agent is not None)


def policy_version(
    tools_md: bytes | None, judges_md: bytes | None, floor: bytes | None = None, policy_md: bytes | None = None
) -> str:
    """What a judgment names as its policy: ``tools.md@sha256:…+judges.md@sha256:…``, ``absent`` for a missing file.

    With a fleet floor ``+floor@sha256:…`` follows, with a fleet policy ``+policy.md@sha256:…``. Two versions are equal
    when every byte of the files is.
    """
    parts = [f"tools.md@{_digest(tools_md)}", f"judges.md@{_digest(judges_md)}"]
    parts += [f"floor@{_digest(floor)}"] if floor is not None else []
    parts += [f"policy.md@{_digest(policy_md)}"] if policy_md is not None else []
    return "+".join(parts)


def _digest(data: bytes | None) -> str:
    return "absent" if data is None else "sha256:" + hashlib.sha256(data).hexdigest()


def _refuse_looser(floor: JudgesFile, agent: JudgesFile) -> None:
    for action_class, wanted in agent.class_policy.items():
        least = floor.class_policy.get(action_class)
        if least is not None and wanted.rank < least.rank:
            _looser(agent, f"class_policy.{action_class}", action_class, wanted, least, floor)
    if floor.validation == "strict" and agent.validation == "weakened" and "validation" in agent.lines:
        _looser(agent, "validation", "validation", "weakened", "strict", floor)
    for action_class in ActionClass:
        _refuse_looser_failures(floor, agent, action_class)


def _refuse_looser_failures(floor: JudgesFile, agent: JudgesFile, action_class: ActionClass) -> None:
    least, wanted = _failures(floor, action_class), _failures(agent, action_class)
    for failure in least.keys() & wanted.keys():
        if wanted[failure].rank < least[failure].rank:
            nested = action_class in agent.failure_policy.by_class
            key = f"{action_class if nested else 'failure_policy'}.{failure}"
            _looser(agent, key, failure, wanted[failure], least[failure], floor)


def _failures(file: JudgesFile, action_class: ActionClass) -> Mapping[str, Any]:
    policy: FailurePolicy = file.failure_policy
    return policy.by_class.get(action_class, policy.flat)


def _looser(agent: JudgesFile, key: str, what: str, wanted: str, least: str, floor: JudgesFile) -> None:
    raise PolicyInvalid(
        agent.where,
        agent.line(key),
        f"{what}: {wanted} is looser than the fleet's floor, {least} ({floor.where} line {floor.line(key)})",
        hint=f"use {least} or a stricter value, or change the floor",
        key=what,
    )


def _settings(floor: JudgesFile | None, agent: JudgesFile | None) -> JudgesFile:
    if floor is None or agent is None:
        return agent or floor or JudgesFile()
    own = {key.partition(".")[0] for key in agent.lines}
    inherited = {f.name: getattr(floor, f.name) for f in fields(floor) if f.name not in {*own, "where", "lines"}}
    return replace(agent, **inherited | {"budget": _least(floor.budget, agent.budget)})


def _least(floor: Budget, agent: Budget) -> Budget:
    def least(name: str) -> float | None:
        caps = [cap for cap in (getattr(floor, name), getattr(agent, name)) if cap is not None]
        return min(caps, default=None)

    return Budget(least("daily_usd"), least("monthly_usd"), least("per_action_usd"))
