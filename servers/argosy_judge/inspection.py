"""What is wrong with the policy of an agent, each with a fix."""

from __future__ import annotations

from collections.abc import Iterator

from argosy_core.fleet.servers import SEPARATOR
from argosy_core.serving.results import DoctorFinding
from argosy_judge.standing import MCP, TOOLS, Standing


def inspect(standing: Standing) -> Iterator[DoctorFinding]:
    """Faults that block, then what is written down and has no effect."""
    for fault in (*standing.gate, *standing.foreign):
        yield DoctorFinding(
            status="fail",
            check="judge_policy",
            message=f"{fault.message}; until it is mended, what is above reading is blocked",
            file=fault.file,
            line=fault.line,
            fix=fault.hint or "mend the file",
        )
    yield from _tools_problems(standing)
    yield from _vain_classes(standing)
    yield from _shadows(standing)


def _tools_problems(standing: Standing) -> Iterator[DoctorFinding]:
    path = f"{standing.agent}/{TOOLS}"
    for problem in standing.tools.problems if standing.tools else ():
        yield DoctorFinding(
            status="fail" if problem.severity == "error" else "warn",
            check="judge_scope",
            message=problem.message,
            file=path,
            line=problem.line,
            fix=problem.fix or "mend the line",
        )


def _vain_classes(standing: Standing) -> Iterator[DoctorFinding]:
    for name, stated in standing.classification.items():
        prefix, separator, rest = name.partition(SEPARATOR)
        found = standing.registry.find(name) or (standing.registry.find(rest, prefix) if separator else None)
        if found is not None and stated.rank < found[1].rank:
            yield DoctorFinding(
                status="warn",
                check="judge_classification",
                message=f"{name}: {stated} has no effect, the registry says {found[1]} and a class can only be raised",
                file=f"{standing.agent}/{TOOLS}",
                fix="remove the line",
            )


def _shadows(standing: Standing) -> Iterator[DoctorFinding]:
    own = {server.name for server in standing.registry.servers if server.own}
    for entry in standing.mcp.entries:
        if entry.server in own:
            yield DoctorFinding(
                status="fail",
                check="judge_shadowed_server",
                message=f"the server {entry.server!r} takes the name of one of the fleet's",
                file=f"{standing.agent}/{MCP}",
                line=entry.line,
                fix="give it another name",
            )
