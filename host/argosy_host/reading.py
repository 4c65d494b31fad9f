"""Which calls that only read go before the judge all the same: those that the owner's policies make more of.

Reading is open by default. An owner may raise a tool's class in ``tools.md``, or ask for more than ``bypass`` for the
class ``read_only`` in a ``judges.md``. Policies that cannot be read close acting, not reading.
"""

from __future__ import annotations

from dataclasses import dataclass

from argosy_core.errors import ArgosyError
from argosy_core.policy.judges_md import load_judges
from argosy_core.types import ActionClass, ClassPolicy
from argosy_core.views.agents import AgentView
from argosy_core.views.reader import Reader


@dataclass(frozen=True, slots=True)
class JudgedReads:
    """*all* reading is judged, or the calls of *tools*; with *for_the_record*, the rest too, and never stopped."""

    all: bool = False
    tools: frozenset[str] = frozenset()
    for_the_record: bool = False

    def covers(self, tool: str) -> bool:
        """Whether a call of *tool*, which only reads, is judged."""
        return self.for_the_record or self.all or tool in self.tools

    def only_records(self, tool: str) -> bool:
        """Whether a call of *tool*, which only reads, is judged and made even when nobody judges it."""
        return self.for_the_record and tool not in self.tools


def judged_reads(reader: Reader, view: AgentView) -> JudgedReads:
    """What the policies of the agent in *view* make of reading."""
    raised = [name for name, found in view.tools.classification.items() if found is not ActionClass.READ_ONLY]
    try:
        policy = load_judges(reader.read, view.name)
    except ArgosyError:
        return JudgedReads(tools=frozenset(raised))
    judged = policy.class_policy[ActionClass.READ_ONLY] is not ClassPolicy.BYPASS
    return JudgedReads(judged, frozenset(raised), policy.settings.read_audit_mode)
