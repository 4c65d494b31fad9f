"""What a model says about its own calls: beside a call it makes another one in the same turn, of ``atomic_action``.

The name and the fields are the older system's. It is no tool: it does nothing, and is only offered where somebody
hears it, a mandate that can be cited or a judge that reads reasons. A statement is bound to one call of its turn; what
names none, or more than one, is bound to none. Two for one call make that call one that cannot be judged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from argosy_core.errors import ArgosyError
from argosy_core.policy.judges_md import load_judges
from argosy_core.policy.judgment import Provenance, Reversibility
from argosy_core.views.agents import AgentView
from argosy_core.views.reader import Reader
from argosy_host.providers.base import ToolCall, ToolReturn, ToolSpec

NAME = "atomic_action"
TARGET = "for_tool_call_id"
MARKER = "side_channel_for_tool_call_id"
MANDATES = "mandates.md"
GRANTS = "_fleet/grants"
_TEXT: Mapping[str, Any] = {"type": "string"}
_FIELDS: Mapping[str, Any] = {
    "reason": {**_TEXT, "description": "Why the call is made"},
    "evidence": {
        "type": "array",
        "description": "What speaks for it",
        "items": {
            "type": "object",
            "properties": {
                "source": {**_TEXT, "description": "A note, page or event by its name"},
                "claim": _TEXT,
                "provenance": {**_TEXT, "enum": [str(value) for value in Provenance]},
            },
            "required": ["source", "claim"],
        },
    },
    "authorization": {
        "type": "object",
        "description": "Who permits it: {granted_by: mandate:NAME} cites a mandate, or a grant that was issued",
        "properties": {"granted_by": _TEXT, "scope": _TEXT, "source_hash": _TEXT},
        "required": ["granted_by"],
    },
    "expected_consequence": {**_TEXT, "description": "What will be different after it"},
    "reversibility": {**_TEXT, "enum": [str(value) for value in Reversibility]},
    "rollback_path": {**_TEXT, "description": "How it would be undone"},
    "target_audience": {**_TEXT, "description": "internal, or external:WHERE"},
}
SPEC = ToolSpec(
    NAME,
    "Say why another call of this same turn is made, for whoever judges it. It does nothing by itself. One for each "
    "call; only calls that do more than read need one, and only where there is something to say or a mandate to cite.",
    {
        "type": "object",
        "properties": {
            TARGET: {
                **_TEXT,
                "description": "Which call of this turn: its id, or its tool's name where that is called once",
            },
            **_FIELDS,
        },
        "required": [TARGET],
        "additionalProperties": False,
    },
    read_only=True,
)


@dataclass(frozen=True, slots=True)
class Turn:
    """The calls of one turn by their places: *said* is what each proposal has beside the call, *noted* what comes
    back for a statement."""

    said: Mapping[int, Mapping[str, Any]] = field(default_factory=dict[int, Mapping[str, Any]])
    noted: Mapping[int, ToolReturn] = field(default_factory=dict[int, ToolReturn])


def sort_out(calls: Sequence[ToolCall]) -> Turn:
    """Which statements of *calls* belong to which of the others."""
    bound: dict[int, list[Mapping[str, Any]]] = {}
    noted: dict[int, ToolReturn] = {}
    for place, call in enumerate(calls):
        if call.name != NAME:
            continue
        found = _meant(calls, call.arguments.get(TARGET))
        unknown = sorted(call.arguments.keys() - {TARGET, *_FIELDS})
        if unknown:
            noted[place] = _refused(call, f"a statement has no {', '.join(unknown)[:200]}")
        elif len(found) != 1:
            noted[place] = _refused(call, f"{TARGET} names {'no call' if not found else 'several calls'} of this turn")
        else:
            bound.setdefault(found[0], []).append(
                {name: call.arguments[name] for name in _FIELDS if name in call.arguments}
            )
            noted[place] = ToolReturn(call.id, NAME, f"said of {calls[found[0]].name}")
    return Turn({place: _proposed(calls[place], statements) for place, statements in bound.items()}, noted)


def _meant(calls: Sequence[ToolCall], target: object) -> list[int]:
    """The places of the calls that *target* may mean: an id before a name, and never a statement."""
    others = [(place, call) for place, call in enumerate(calls) if call.name != NAME]
    by_id = [place for place, call in others if call.id == target]
    return by_id or [place for place, call in others if call.name == target]


def _proposed(call: ToolCall, statements: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    if len(statements) == 1:
        return {**statements[0], MARKER: call.id}
    return {**statements[0], MARKER: [call.id] * len(statements)}  # which the judge refuses to judge


def _refused(call: ToolCall, message: str) -> ToolReturn:
    return ToolReturn(call.id, NAME, f"invalid_argument: {message}", is_error=True)


def are_heard(reader: Reader, view: AgentView) -> bool:
    """Whether anybody makes something of what *view*'s agent says of its calls. Blocks."""
    if any(reader.read(path) is not None for path in (MANDATES, f"{view.name}/{MANDATES}")):
        return True
    if any(name.endswith(".md") for name in reader.list_dir(GRANTS)):
        return True
    try:
        settings = load_judges(reader.read, view.name).settings
    except ArgosyError:
        return False  # then nothing above reading is done
    return settings.backend != "rules" or bool(settings.specialist_composition)
