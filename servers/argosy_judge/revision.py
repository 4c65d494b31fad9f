"""A proposal that a judge or a person changed: put together again by the framework, never taken as it was sent."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, cast

from argosy_core.canonical import canonical_json
from argosy_core.errors import InvalidArgument
from argosy_core.policy.judges_model import Validation
from argosy_core.policy.judgment import AMENDABLE, JudgeAmendedProposalRejected, JudgeProposalInvalid
from argosy_core.types import ActionClass
from argosy_judge.proposal import Proposal, read_proposal

MAX_BYTES = 256 * 1024
_REPLACED = ("tool_name", "tool_arguments", "target_audience", "expected_consequence", "reversibility", "rollback_path")
_JSON_TYPES: Mapping[str, type | tuple[type, ...]] = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "object": dict,
    "array": list,
    "null": type(None),
}


def amended(
    raw: Mapping[str, Any], amendment: Mapping[str, Any], proposal_id: str, least: ActionClass, validation: Validation
) -> tuple[dict[str, Any], Proposal]:
    """*raw* with *amendment*, as it is judged next: reason and authorization are the first one's, evidence is added.

    *least* is the class of the first one, which the second does not fall below. Raises JudgeAmendedProposalRejected.
    """
    _check(amendment)
    changed = {name: amendment[name] for name in _REPLACED if amendment.get(name) is not None}
    again = {key: value for key, value in raw.items() if key not in ("amendment", "least_class")}
    if "tool_name" in changed and changed["tool_name"] != raw.get("tool_name"):
        again.pop("server", None)
        again.pop("input_schema", None)
    again |= changed
    again["evidence"] = [*(raw.get("evidence") or ()), *(amendment.get("appended_evidence") or ())]
    again |= {"revision_of": proposal_id, "least_class": least.value}
    try:
        if len(canonical_json(again)) > MAX_BYTES:
            raise JudgeAmendedProposalRejected(f"the amended proposal is above {MAX_BYTES} bytes")
        proposal = read_proposal(again)
    except (JudgeProposalInvalid, InvalidArgument) as error:
        raise JudgeAmendedProposalRejected(error.message) from error
    _fit(proposal, validation)
    return again, proposal


def _check(amendment: Mapping[str, Any]) -> None:
    if unknown := sorted(map(str, amendment.keys() - set(AMENDABLE))):
        raise JudgeAmendedProposalRejected(f"an amendment has no {', '.join(unknown)[:200]}")
    note = amendment.get("judge_note")
    if not isinstance(note, str) or not note.strip():
        raise JudgeAmendedProposalRejected("the amendment has no judge_note")
    if not isinstance(amendment.get("appended_evidence"), list | None):
        raise JudgeAmendedProposalRejected("appended_evidence is not a list")
    if all(amendment.get(name) is None for name in (*_REPLACED, "appended_evidence")):
        raise JudgeAmendedProposalRejected("the amendment changes nothing")


def _fit(proposal: Proposal, validation: Validation) -> None:
    """Whether the arguments fit the tool's schema: in its outline (``weakened``), or by all of it (``strict``)."""
    schema = proposal.input_schema
    if validation == "strict":
        if schema is None:
            raise JudgeAmendedProposalRejected("validation is strict, and the tool's schema is not known")
        _fit_strictly(proposal.arguments, schema)
    elif schema is not None:
        _fit_outline(proposal.arguments, schema)


def _fit_strictly(arguments: Mapping[str, Any], schema: Mapping[str, Any]) -> None:
    library: Any = import_module("jsonschema")  # when it is asked for: it costs more to load than the server
    try:
        library.Draft202012Validator.check_schema(dict(schema))
        problem = next(iter(library.Draft202012Validator(dict(schema)).iter_errors(dict(arguments))), None)
    except Exception as error:  # a schema that fetches, loops or is none
        raise JudgeAmendedProposalRejected("the tool's schema cannot be used") from error
    if problem is not None:
        place = "/".join(map(str, problem.absolute_path)) or "tool_arguments"
        raise JudgeAmendedProposalRejected(f"{place} does not fit the tool's schema ({problem.validator})")


def _fit_outline(arguments: Mapping[str, Any], schema: Mapping[str, Any]) -> None:
    required = cast("list[str]", schema.get("required") or [])
    if missing := [name for name in required if name not in arguments]:
        raise JudgeAmendedProposalRejected(f"{', '.join(missing)[:200]} is missing in tool_arguments")
    properties = cast("Mapping[str, Any]", schema.get("properties") or {})
    if schema.get("additionalProperties") is False and (extra := sorted(arguments.keys() - properties.keys())):
        raise JudgeAmendedProposalRejected(f"the tool does not take {', '.join(extra)[:200]}")
    for name, value in arguments.items():
        wanted = properties.get(name, {}).get("type")
        expected = _JSON_TYPES.get(wanted) if isinstance(wanted, str) else None
        numeric = wanted in ("integer", "number") and isinstance(value, bool)
        if expected is not None and (numeric or not isinstance(value, expected)):
            raise JudgeAmendedProposalRejected(f"{name} is no {wanted}")
