"""A proposal that a judge or a person changed: put together again by the framework, never taken as it was sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from argosy_core.canonical import canonical_json
from argosy_core.errors import InvalidArgument
from argosy_core.policy.judges_model import Validation
from argosy_core.policy.judgment import AMENDABLE, JudgeAmendedProposalRejected, JudgeProposalInvalid
from argosy_core.policy.tool_schema import check_fit
from argosy_core.types import ActionClass
from argosy_judge.proposal import Proposal, read_proposal

MAX_BYTES = 256 * 1024
_REPLACED = ("tool_name", "tool_arguments", "target_audience", "expected_consequence", "reversibility", "rollback_path")


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
    check_fit(proposal.arguments, proposal.input_schema, validation)
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
