"""Reading a proposal: what a host asks to be judged.

Only the fields the contract names are looked at. Class, hashes and ids that a proposal brings along count for nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from argosy_core.canonical import arguments_hash
from argosy_core.errors import InvalidArgument
from argosy_core.policy.judgment import JudgeProposalInvalid, Provenance, Reversibility
from argosy_core.types import ActionClass
from argosy_core.yamltext import is_list, is_map

MAX_NAME_CHARS = 256
MAX_STATEMENT_CHARS = 4_000
MAX_EVIDENCE = 50
MAX_CHAIN, MAX_SKILLS = 20, 50
FEW_VALUES, FEW_CHARS = 100, 10_000
MANDATE = "mandate:"
_TEXTS = ("reason", "expected_consequence", "rollback_path", "target_audience")
_REVERSIBILITY = tuple(map(str, Reversibility))
# What a model's interface takes for a tool's name, with the separators of older systems: look-alikes fall outside.
_TOOL_NAME = re.compile(r"[A-Za-z0-9_.:/-]+")

ProposalInvalid = JudgeProposalInvalid


@dataclass(frozen=True, slots=True)
class Evidence:
    """What an actor brings for its call; *provenance* is its own word for how far that is to be believed."""

    source: str
    claim: str
    provenance: str | None = None


@dataclass(frozen=True, slots=True)
class Proposal:
    """A tool call that has not run yet. *arguments_hash* binds the arguments as judged.

    *statements* is what the actor says about it. *mandate* is the permission it cites, with the hash of its text when
    it names one. *revision_of* and *least_class* are set when it is the amended form of an earlier one, *amendment*
    when a person changed it. *delegate_chain* and *loaded_skills* are the host's word about the run.
    """

    tool_name: str
    server: str | None
    tool_call_id: str
    arguments: Mapping[str, Any]
    arguments_hash: str
    reversibility: str | None = None
    statements: Mapping[str, str] = field(default_factory=dict[str, str])
    evidence: Sequence[Evidence] = ()
    mandate: str | None = None
    mandate_hash: str | None = None
    revision_of: str | None = None
    least_class: ActionClass | None = None
    amendment: Mapping[str, Any] | None = None
    input_schema: Mapping[str, Any] | None = None
    delegate_chain: Sequence[str] = ()
    loaded_skills: Sequence[Mapping[str, str]] = ()


def read_proposal(raw: Mapping[str, Any]) -> Proposal:
    """*raw* as a proposal; it is not changed. Raises JudgeProposalInvalid."""
    tool_name = _name(raw, "tool_name")
    if not _TOOL_NAME.fullmatch(tool_name):
        raise JudgeProposalInvalid("tool_name holds a sign that no tool's name has")
    call_id = _name(raw, "tool_call_id")
    server = _name(raw, "server") if raw.get("server") is not None else None
    arguments: Any = raw.get("tool_arguments")
    if not isinstance(arguments, dict):
        raise JudgeProposalInvalid("tool_arguments is not an object")
    mandate, mandate_hash = _cited(raw, call_id)
    evidence = _evidence(raw) if "evidence" in raw else ()
    _check_statements(raw, call_id)
    try:
        digest = arguments_hash(cast("dict[str, Any]", arguments))
    except InvalidArgument as exc:
        raise JudgeProposalInvalid(f"tool_arguments is {exc.message}") from exc
    return Proposal(
        tool_name=tool_name,
        server=server,
        tool_call_id=call_id,
        arguments=cast("dict[str, Any]", arguments),
        arguments_hash=digest,
        reversibility=raw.get("reversibility"),
        statements={name: raw[name] for name in _TEXTS if raw.get(name)},
        evidence=evidence,
        mandate=mandate,
        mandate_hash=mandate_hash,
        revision_of=_name(raw, "revision_of") if raw.get("revision_of") is not None else None,
        least_class=_least_class(raw),
        amendment=_object(raw, "amendment"),
        input_schema=_object(raw, "input_schema"),
        delegate_chain=_chain(raw),
        loaded_skills=_skills(raw),
    )


def is_small(raw: Mapping[str, Any]) -> bool:
    """Whether judging *raw* takes no time to speak of: few values, short texts."""
    pending: list[Any] = [raw]
    values = chars = 0
    while pending:
        value = pending.pop()
        values += 1
        if isinstance(value, str):
            chars += len(value)
        elif is_map(value):
            chars += sum(map(len, value))
            pending += value.values()
        elif is_list(value):
            pending += value
        if values + len(pending) > FEW_VALUES or chars > FEW_CHARS:
            return False
    return True


def _name(raw: Mapping[str, Any], field_name: str) -> str:
    value = raw.get(field_name)
    if not isinstance(value, str) or not value.strip():
        raise JudgeProposalInvalid(f"{field_name} is missing")
    if len(value) > MAX_NAME_CHARS or not value.isprintable():
        raise JudgeProposalInvalid(f"{field_name} is too long, or holds control or invisible characters")
    return value


def _object(raw: Mapping[str, Any], name: str) -> Mapping[str, Any] | None:
    value: Any = raw.get(name)
    if not isinstance(value, dict | None):
        raise JudgeProposalInvalid(f"{name} is not an object")
    return cast("Mapping[str, Any] | None", value)


def _chain(raw: Mapping[str, Any]) -> tuple[str, ...]:
    value: Any = raw.get("delegate_chain") or []
    if not isinstance(value, list) or not all(isinstance(name, str) for name in cast("list[object]", value)):
        raise JudgeProposalInvalid("delegate_chain is no list of agents")
    return tuple(cast("list[str]", value)[-MAX_CHAIN:])


def _skills(raw: Mapping[str, Any]) -> tuple[Mapping[str, str], ...]:
    value: Any = raw.get("loaded_skills") or []
    found: Sequence[Any] = value if is_list(value) else [None]
    if not all(is_map(skill) and all(isinstance(part, str) for part in skill.values()) for skill in found):
        raise JudgeProposalInvalid("loaded_skills is no list of {name, file_hash}")
    return tuple(
        {name: skill[name] for name in ("name", "file_hash") if name in skill} for skill in found[-MAX_SKILLS:]
    )


def _least_class(raw: Mapping[str, Any]) -> ActionClass | None:
    value = raw.get("least_class")
    if value is None:
        return None
    if value not in tuple(ActionClass):
        raise JudgeProposalInvalid("least_class is no class")
    return ActionClass(value)


def _check_statements(raw: Mapping[str, Any], call_id: str) -> None:
    """Check what the actor says about its own call: it may be left out, not be malformed."""
    marker = raw.get("side_channel_for_tool_call_id")
    if marker is not None and marker != call_id:
        raise JudgeProposalInvalid("side_channel_for_tool_call_id names another call")
    for name in _TEXTS:
        if not isinstance(raw.get(name), str | None):
            raise JudgeProposalInvalid(f"{name} is not text")
    if raw.get("reversibility") not in (None, *_REVERSIBILITY):
        raise JudgeProposalInvalid(f"reversibility is not one of {', '.join(_REVERSIBILITY)}")


def _evidence(raw: Mapping[str, Any]) -> tuple[Evidence, ...]:
    given: Any = raw["evidence"]
    if not isinstance(given, list | None):
        raise JudgeProposalInvalid("evidence is not a list")
    found = cast("list[object]", given or [])
    if len(found) > MAX_EVIDENCE:
        raise JudgeProposalInvalid(f"evidence has more than {MAX_EVIDENCE} parts")
    return tuple(map(_piece, found))


def _piece(item: object) -> Evidence:
    if isinstance(item, str):
        return Evidence("", item[:MAX_STATEMENT_CHARS])
    if not isinstance(item, dict):
        raise JudgeProposalInvalid("a part of the evidence is neither an object nor text")
    fields = cast("dict[str, Any]", item)
    source, claim, provenance = fields.get("source", ""), fields.get("claim", ""), fields.get("provenance")
    if not isinstance(source, str) or not isinstance(claim, str) or provenance not in (None, *Provenance):
        raise JudgeProposalInvalid("a part of the evidence is not {source, claim, provenance}")
    return Evidence(source[:MAX_NAME_CHARS], claim[:MAX_STATEMENT_CHARS], provenance)


def _cited(raw: Mapping[str, Any], call_id: str) -> tuple[str | None, str | None]:
    """The mandate that the call cites. It counts only with the marker that binds the citing to this very call."""
    given: Any = raw.get("authorization")
    if not isinstance(given, dict | str | None):
        raise JudgeProposalInvalid("authorization is neither an object nor text")
    fields: Mapping[str, Any] = cast("dict[str, Any]", given) if isinstance(given, dict) else {"granted_by": given}
    by, digest = fields.get("granted_by"), fields.get("source_hash")
    if not isinstance(by, str) or not by.startswith(MANDATE):
        return None, None
    if raw.get("side_channel_for_tool_call_id") != call_id:
        raise JudgeProposalInvalid("a mandate is cited, and side_channel_for_tool_call_id does not name this call")
    return by.removeprefix(MANDATE)[:MAX_NAME_CHARS], digest if isinstance(digest, str) else None
