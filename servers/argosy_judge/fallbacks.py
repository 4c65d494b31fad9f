"""The cheaper model that a cap of ``model.md`` leaves, and whether stricter documents let it be taken.

``policy.md`` is the owner's word over every ``model.md``, a run's grant that of whoever started it: a fallback that one
of them does not let the run use is not taken, and the cap stops the run as if there were none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from argosy_core.policy.grants import Grant
from argosy_core.policy.model_md import ModelFile
from argosy_core.policy.model_names import is_same_model, split_model


@dataclass(frozen=True, slots=True)
class FallbackModel:
    """The fallback *name*, if any. *barred* says why it is not taken, *remedy* what to change for that; *decision* has
    the models in the fields of a policy decision."""

    name: str | None = None
    barred: str | None = None
    remedy: str = ""
    decision: Mapping[str, str] = field(default_factory=dict[str, str])

    def is_in_use(self, model: str | None) -> bool:
        """Whether *model* is the fallback, and may be."""
        return None not in (self.name, model) and not self.barred and is_same_model(str(self.name), str(model))


NO_FALLBACK = FallbackModel()


def fallback_model(agent: str, file: ModelFile, ruled: str | None, grant: Grant) -> FallbackModel:
    """The fallback of *agent* by its *file*, where *ruled* is the model of ``policy.md`` and *grant* the run's."""
    name = file.fallback_model
    if name is None:
        return NO_FALLBACK
    told = {"model_from_model_md": name}
    if ruled is not None and not is_same_model(name, ruled):
        barred = f"its fallback {name} is not taken, because policy.md rules the model {ruled} for {agent}"
        remedy = f"raise the cap, or let policy.md rule {name} for {agent}, or no model"
        return FallbackModel(name, barred, remedy, told | {"model_from_policy": ruled})
    if not any(grant.allows_model(known) for known in (name, split_model(name)[1])):
        barred = f"its fallback {name} is not taken, because the run's grant does not hold that model"
        return FallbackModel(name, barred, f"raise the cap, or have a grant issued that holds {name}", told)
    return FallbackModel(name, decision=told | {"decision_kind": "override"})
