"""Which calls that only read go before the judge all the same: those that the owner's policies make more of.

Reading is open by default. An owner may raise a tool's class in ``tools.md``, or ask for more than ``bypass`` for the
class ``read_only`` in a ``judges.md``. Policies that cannot be read close acting, not reading.
"""

from __future__ import annotations

from dataclasses import dataclass

from argosy_core.errors import ArgosyError
from argosy_core.policy.judges_md import merge_floor, parse_judges
from argosy_core.types import ActionClass, ClassPolicy
from argosy_core.views.agents import AgentView
from argosy_core.views.reader import Reader


@dataclass(frozen=True, slots=True)
class JudgedReads:
    """*all* reading is judged, or the calls of *tools*."""

    all: bool = False
    tools: frozenset[str] = frozenset()

    def covers(self, tool: str) -> bool:
        """Whether a call of *tool*, which only reads, is judged."""
        return self.all or tool in self.tools


def judged_reads(reader: Reader, view: AgentView) -> JudgedReads:
    """What the policies of the agent in *view* make of reading."""
    raised = [name for name, found in view.tools.classification.items() if found is not ActionClass.READ_ONLY]
    return JudgedReads(_reading_is_judged(reader, view.name), frozenset(raised))


def _reading_is_judged(reader: Reader, agent: str) -> bool:
    try:
        floor, own = (
            parse_judges(data, path) if (data := reader.read(path)) is not None else None
            for path in ("judges.md", f"{agent}/judges.md")
        )
        return merge_floor(floor, own).class_policy[ActionClass.READ_ONLY] is not ClassPolicy.BYPASS
    except ArgosyError:
        return False
