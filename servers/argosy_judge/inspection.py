"""What is wrong with the policy of an agent, each with a fix."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from argosy_core.errors import ArgosyError
from argosy_core.fleet.servers import SEPARATOR
from argosy_core.policy.grants import UNLIMITED
from argosy_core.policy.judges_model import NOTIFICATIONS, Escalation
from argosy_core.policy.model_md import ModelFile, parse_model
from argosy_core.policy.tool_schema import LIBRARY, has_library
from argosy_core.serving.results import DoctorFinding
from argosy_core.views.vault_reader import VaultReader
from argosy_judge.backends import get_backend
from argosy_judge.fallbacks import fallback_model
from argosy_judge.seats import backend_seats, model_seats
from argosy_judge.standing import MCP, TOOLS, Standing

SOON = timedelta(days=14)
# Marks that folder-synchronising programs leave in the folder they carry away.
SYNC_MARKS = (".stfolder", ".dropbox", ".dropbox.cache", ".sync", ".nextcloudsync.log", ".owncloudsync.log", ".icloud")
_FAMILY = re.compile(r"[a-z]+")
_FAMILIES = {"o": "gpt", "chatgpt": "gpt", "codex": "gpt"}


def inspect(standing: Standing, reader: VaultReader, root: Path, now: datetime) -> Iterator[DoctorFinding]:
    """Faults that block, then what is written down and has no effect, then what could be arranged better."""
    for fault in (*standing.gate, *standing.foreign, *standing.mandate_faults):
        loosened = "looser than the fleet's floor" in fault.message
        yield DoctorFinding(
            status="fail",
            check="judge_policy_floor" if loosened else "judge_policy",
            message=f"{fault.message}; until it is mended, {_stopped(standing, fault)} is blocked",
            file=fault.file,
            line=fault.line,
            fix=fault.hint or "mend the file",
        )
    yield from _tools_problems(standing)
    yield from _vain_classes(standing)
    yield from _shadows(standing)
    yield from _judges(standing)
    yield from _notification(standing)
    yield from _destination(standing)
    yield from _family(standing, reader)
    yield from _fallback(standing, reader)
    yield from _captures(standing, root)
    yield from _unclassified(standing)
    yield from _mandates(standing, now)


def _stopped(standing: Standing, fault: object) -> str:
    return "every action that cites a mandate" if fault in standing.mandate_faults else "what is above reading"


def _judges(standing: Standing) -> Iterator[DoctorFinding]:
    """Judges that are asked for and are not there, and a validation that has nothing to go by."""
    settings = standing.policy.settings
    for axis, name in backend_seats(settings).items():
        try:
            get_backend(name)
        except ArgosyError as error:
            yield DoctorFinding(
                status="fail", check="judge_health", fix=error.hint or "install it", file=settings.where,
                message=f"{axis}: {error.message}; what it should judge is stopped",
                line=settings.line(f"specialist_composition.{axis}"),
            )  # fmt: skip
    if settings.validation == "strict" and not has_library():
        yield DoctorFinding(
            status="fail", check="judge_schemas", file=settings.where, line=settings.line("validation"),
            message=f"validation is strict, and {LIBRARY} is not installed: every revision is refused",
            fix=f"install {LIBRARY}, or take the line out",
        )  # fmt: skip
    if settings.validation == "strict" and not model_seats(settings) and not backend_seats(settings):
        yield DoctorFinding(
            status="warn", check="judge_schemas", message="validation is strict, and no judge here revises anything",
            file=settings.where, line=settings.line("validation"), fix="take the line out, or name a judge",
        )  # fmt: skip


def _destination(standing: Standing) -> Iterator[DoctorFinding]:
    """A place for questions that is not the one they have here."""
    settings = standing.policy.settings
    wanted = settings.escalation.destination
    if wanted.strip("/") != Escalation().destination.strip("/"):
        yield DoctorFinding(
            status="warn", check="judge_escalation", file=settings.where, line=settings.line("escalation.destination"),
            message=f"destination {wanted[:80]!r} has no effect: questions lie in {Escalation().destination}",
            fix="take the line out",
        )  # fmt: skip


def _notification(standing: Standing) -> Iterator[DoctorFinding]:
    """A word for how escalations are told that says nothing here: then they are told as all others."""
    settings = standing.policy.settings
    wanted = settings.escalation.operator_notification
    if wanted is not None and wanted.casefold() not in NOTIFICATIONS and not wanted.startswith(("https://", "http://")):
        yield DoctorFinding(
            status="warn", check="judge_notification", file=settings.where,
            line=settings.line("escalation.operator_notification"),
            message=f"operator_notification {wanted[:80]!r} is not known: notify in fleet.md tells them",
            fix=f"write {', '.join(NOTIFICATIONS)}, or the https:// address of a webhook",
        )  # fmt: skip


def _family(standing: Standing, reader: VaultReader) -> Iterator[DoctorFinding]:
    """A judge of the actor's own family shares its blind spots."""
    settings = standing.policy.settings
    if settings.model is None or not model_seats(settings):
        return
    actor = _model(standing, reader).default_model
    if actor is not None and family(actor) == family(settings.model):
        yield DoctorFinding(
            status="warn", check="judge_model_family", file=settings.where, line=settings.line("model"),
            message=f"{standing.agent} acts with {actor} and is judged by {settings.model}, of the same family",
            fix="let a model of another family judge",
        )  # fmt: skip


def _fallback(standing: Standing, reader: VaultReader) -> Iterator[DoctorFinding]:
    """A cap that is to fall back on a model which the fleet's policy does not let this agent use."""
    file = _model(standing, reader)
    rails = file.cost_guardrails
    other = fallback_model(standing.agent, file, standing.rules.model, UNLIMITED)
    stated = ((rails.daily_cap_usd, rails.daily_cap_action), (rails.monthly_cap_usd, rails.monthly_cap_action))
    if rails.enabled and other.barred and any(cap is not None and act == "fallback" for cap, act in stated):
        yield DoctorFinding(
            status="warn", check="judge_fallback", file=f"{standing.agent}/model.md",
            message=f"a cap of {standing.agent} stops it instead of going on: {other.barred}", fix=other.remedy,
        )  # fmt: skip


def _model(standing: Standing, reader: VaultReader) -> ModelFile:
    return parse_model((reader.read(f"{standing.agent}/model.md") or b"").decode("utf-8", "replace"))


def family(model: str) -> str:
    """What a model's name begins with, without its maker's: ``vendor/claude-x`` is ``claude``."""
    match = _FAMILY.search(model.rpartition("/")[2].casefold())
    name = match[0] if match else model.casefold()
    return _FAMILIES.get(name, name)


def _captures(standing: Standing, root: Path) -> Iterator[DoctorFinding]:
    """Whether a vault that is carried elsewhere by a program is judged when an agent writes down what others said."""
    if standing.policy.settings.judge_captures:
        return
    # Not asked of the reader: to it, names that begin with a dot are not in the vault.
    synced = next((mark for mark in SYNC_MARKS if (root / mark).exists()), None)
    if synced is not None:
        yield DoctorFinding(
            status="warn", check="vault_synced_judge_captures_off",
            message=f"the vault is synchronised ({synced}), and captures of {standing.agent} are not judged",
            file=standing.policy.settings.where, fix="set `judge_captures: true` in judges.md",
        )  # fmt: skip


def _unclassified(standing: Standing) -> Iterator[DoctorFinding]:
    """Servers whose tools nobody gave a class: each of them is an external side effect."""
    said = {*standing.mcp.overrides, *standing.classification}
    for entry in standing.mcp.entries:
        named = any(name.startswith(f"{entry.server}{SEPARATOR}") for name in said)
        if entry.default_action_class is None and not named:
            yield DoctorFinding(
                status="warn", check="mcp_tool_classification", file=f"{standing.agent}/{MCP}", line=entry.line,
                message=f"no tool of {entry.server} has a class: all count as external side effects",
                fix="add default_action_class, or lines under ## Tool classification in tools.md",
            )  # fmt: skip


def _mandates(standing: Standing, now: datetime) -> Iterator[DoctorFinding]:
    wanted = standing.policy.settings.mandates.no_expiry_warning
    for mandate in standing.mandates.values():
        ends = mandate.expires_at
        if mandate.state == "revoked":
            continue
        if ends is None and wanted:
            message, fix = f"the mandate {mandate.id} never ends", "add expires_at"
        elif ends is not None and now < ends <= now + SOON:
            message, fix = f"the mandate {mandate.id} ends on {ends.date()}", "renew it, or let it end"
        else:
            continue
        yield DoctorFinding(
            status="warn", check="judge_mandates", message=message, file=mandate.where, line=mandate.line, fix=fix
        )


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
