"""Reading a proposal: what a host asks to be judged.

Only the fields the contract names are looked at. Class, hashes and ids that a proposal brings along count for nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from argosy_core.canonical import arguments_hash
from argosy_core.errors import InvalidArgument

MAX_NAME_CHARS = 256
_TEXTS = ("reason", "expected_consequence", "rollback_path", "target_audience")
_REVERSIBILITY = ("reversible", "reversible_with_artifact", "irreversible")


class ProposalInvalid(Exception):
    """Raised when a proposal cannot be judged as what it claims to be; becomes a block."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """A tool call that has not run yet. *arguments_hash* binds the arguments as judged."""

    tool_name: str
    server: str | None
    tool_call_id: str
    arguments: Mapping[str, Any]
    arguments_hash: str
    reversibility: str | None = None


def read_proposal(raw: Mapping[str, Any]) -> Proposal:
    """*raw* as a proposal; it is not changed. Raises ProposalInvalid."""
    tool_name = _name(raw, "tool_name")
    call_id = _name(raw, "tool_call_id")
    server = _name(raw, "server") if raw.get("server") is not None else None
    arguments: Any = raw.get("tool_arguments")
    if not isinstance(arguments, dict):
        raise ProposalInvalid("tool_arguments is not an object")
    _check_statements(raw, call_id)
    try:
        digest = arguments_hash(arguments)  # pyright: ignore[reportUnknownArgumentType]
    except InvalidArgument as exc:
        raise ProposalInvalid(f"tool_arguments is {exc.message}") from exc
    return Proposal(tool_name, server, call_id, arguments, digest, raw.get("reversibility"))  # pyright: ignore[reportUnknownArgumentType]


def _name(raw: Mapping[str, Any], field: str) -> str:
    value = raw.get(field)
    if not isinstance(value, str) or not value.strip():
        raise ProposalInvalid(f"{field} is missing")
    if len(value) > MAX_NAME_CHARS or not value.isprintable():
        raise ProposalInvalid(f"{field} is too long, or holds control or invisible characters")
    return value


def _check_statements(raw: Mapping[str, Any], call_id: str) -> None:
    """Check what the actor says about its own call: it may be left out, not be malformed."""
    marker = raw.get("side_channel_for_tool_call_id")
    if marker is not None and marker != call_id:
        raise ProposalInvalid("side_channel_for_tool_call_id names another call")
    for field in _TEXTS:
        if not isinstance(raw.get(field), str | None):
            raise ProposalInvalid(f"{field} is not text")
    if not isinstance(raw.get("evidence"), list | None):
        raise ProposalInvalid("evidence is not a list")
    if not isinstance(raw.get("authorization"), dict | str | None):
        raise ProposalInvalid("authorization is neither an object nor text")
    if raw.get("reversibility") not in (None, *_REVERSIBILITY):
        raise ProposalInvalid(f"reversibility is not one of {', '.join(_REVERSIBILITY)}")
