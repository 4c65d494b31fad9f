"""What an answer is bound to: the exact call that waits, and the hashes that show whether it is still that call."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, cast

from argosy_core.canonical import arguments_hash, canonical_json, sha256_hex
from argosy_core.errors import ArgosyError, InvalidArgument, TooLarge
from argosy_core.sections import code_blocks
from argosy_core.types import ActionClass
from argosy_core.yamltext import YamlProblem, load_map

MAX_BYTES = 256 * 1024
CLIENT = "client"  # in a binding: the principal of the gateway's client that asked
_CALL = ("server", "tool_name", "tool_definition_hash", "arguments_hash", CLIENT)
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")


def check_binding(binding: Mapping[str, Any]) -> dict[str, str]:
    """The hashes to keep beside *binding*. Raises InvalidArgument and TooLarge."""
    data = canonical_json(binding)
    if len(data) > MAX_BYTES:
        raise TooLarge(f"a binding has at most {MAX_BYTES} bytes", hint="bind a file's path instead of its content")
    proposal = binding.get("proposal_id")
    if proposal is not None and (not isinstance(proposal, str) or not _ID.fullmatch(proposal)):
        raise InvalidArgument("proposal_id is no id", hint="letters, digits, '_' and '-'; at most 100")
    stated, computed = binding.get("arguments_hash"), _hash_of_arguments(binding)
    if computed is not None and stated not in (None, computed):
        raise InvalidArgument("arguments_hash does not fit the arguments", hint="hash what is asked for")
    kept = computed or stated
    hashes = {"arguments_hash": kept} if isinstance(kept, str) else {}
    return {**hashes, "binding_hash": sha256_hex(data)}


def action_class_of(binding: Mapping[str, Any] | None) -> str | None:
    """The class of the bound call, when it states a known one."""
    stated = (binding or {}).get("action_class") or (binding or {}).get("classification")
    return next((member.value for member in ActionClass if member.value == stated), None)


def call_of(binding: Mapping[str, Any] | None) -> tuple[Any, ...]:
    """What two bindings have in common when they are about one call, made twice by one client."""
    return tuple((binding or {}).get(name) for name in _CALL)


def read_binding(section: str) -> dict[str, Any] | None:
    """The binding in a proposal's fenced block, JSON or (older files) YAML; None when it cannot be read."""
    blocks = code_blocks(section)
    if not blocks:
        return None
    try:
        found = json.loads(blocks[0].text)
    except ValueError:
        try:
            found = load_map(blocks[0].text)
        except YamlProblem:
            return None
    except RecursionError:
        return None
    return cast("dict[str, Any]", found) if isinstance(found, dict) else None


def is_tampered(fields: Mapping[str, Any], section: str | None, binding: Mapping[str, Any] | None) -> bool:
    """Whether the proposal in the file is another than the one that was asked; what cannot be checked counts as one."""
    stated = [fields.get("arguments_hash"), (binding or {}).get("arguments_hash")]
    if section is None and stated == [None, None] and "binding_hash" not in fields:
        return False
    if binding is None:
        return True
    try:
        computed = _hash_of_arguments(binding)
        whole = sha256_hex(canonical_json(binding))
    except ArgosyError:
        return True
    hashes = {value for value in stated if value is not None}
    if computed is not None and hashes != {computed}:
        return True
    return fields.get("binding_hash", whole) != whole or len(hashes) > 1


def _hash_of_arguments(binding: Mapping[str, Any]) -> str | None:
    for name in ("tool_arguments", "arguments"):
        found: Any = binding.get(name)
        if isinstance(found, Mapping):
            return arguments_hash(cast("Mapping[str, Any]", found))
    return None
