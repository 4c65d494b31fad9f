"""Tools whose arguments nobody can check, where a policy asks for ``validation: strict``.

What a judge or a person makes of a call to one of them is refused.

The judge knows no tool's schema but from the call itself; the host sees them all.
"""

from __future__ import annotations

from collections.abc import Sequence

from anyio import to_thread

from argosy_core.errors import ArgosyError
from argosy_core.fleet import FleetServer
from argosy_core.policy.judges_md import load_judges
from argosy_core.policy.judges_model import JudgesFile
from argosy_core.policy.tool_schema import schema_problem
from argosy_core.serving.config import ServerConfig
from argosy_core.serving.results import DoctorFinding
from argosy_core.storage.base import Store
from argosy_core.types import Role
from argosy_core.views.agents import load_agent
from argosy_core.views.vault_reader import VaultReader
from argosy_host.compose import compose
from argosy_host.progress import Progress
from argosy_host.session import fleet_servers
from argosy_host.trust import Approvals

CHECK = "judge_schemas"


async def schema_findings(store: Store, agents: Sequence[str], approvals: Approvals) -> list[DoctorFinding]:
    """Every tool of an agent with a strict policy that no argument can be checked for; its servers are started."""
    return [finding for agent in agents for finding in await _of_agent(store, agent, approvals)]


async def _of_agent(store: Store, agent: str, approvals: Approvals) -> list[DoctorFinding]:
    try:
        settings = await to_thread.run_sync(_settings, store, agent)
        servers = await to_thread.run_sync(_servers, store, agent, approvals)
    except ArgosyError:
        return []  # what cannot be read is named by the judge's doctor and the registry's
    if settings.validation != "strict":
        return []
    config = ServerConfig(store=store, agent=agent, role=Role.AGENT, profile="full")
    async with compose(servers, config) as fleet:
        problems = [(tool, schema_problem(tool.input_schema)) for tool in fleet.catalog.all()]
        away = dict(fleet.problems)
    return [
        *(
            _finding(settings, f"{agent}: {name} could not be looked at: {what}", "mend it")
            for name, what in away.items()
        ),
        *(
            _finding(
                settings,
                f"{agent}: {tool.name} {problem}, and validation is strict: no revision of it is made",
                f"have {tool.server} say what the tool takes",
            )
            for tool, problem in problems
            if problem is not None
        ),
    ]


def _settings(store: Store, agent: str) -> JudgesFile:
    return load_judges(VaultReader(store.files).read, agent).settings


def _servers(store: Store, agent: str, approvals: Approvals) -> list[FleetServer]:
    reader = VaultReader(store.files)
    return fleet_servers(reader, load_agent(reader, agent), approvals, store.root, Progress())


def _finding(settings: JudgesFile, message: str, fix: str) -> DoctorFinding:
    where, line = settings.where, settings.line("validation")
    return DoctorFinding(status="warn", check=CHECK, message=message, file=where, line=line, fix=fix)
