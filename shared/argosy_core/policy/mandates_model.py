"""What ``mandates.md`` can say (the older system's spec 29): standing permissions with their bounds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, time
from typing import Literal
from zoneinfo import ZoneInfo

from argosy_core.policy.grant_file import GrantFile
from argosy_core.policy.patterns import Patterns, host_inside

MandateState = Literal["active", "revoked"]
AgentPolicy = Literal["open", "listed", "forbidden"]
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
PERIODS = ("daily", "monthly", "cumulative")
KINDS = ("token", "external")


@dataclass(frozen=True, slots=True)
class Target:
    """Whom or what an action may reach: one value of a kind, or everything that begins with *prefix*."""

    kind: str | None = None
    value: str | None = None
    prefix: str | None = None

    def covers(self, kind: str | None, value: str, server: str | None = None) -> bool:
        """Whether *value* of *kind* (the argument's name; None is any), on *server* when it is foreign, is this one."""
        value = value.casefold()
        if self.prefix is not None:
            full = f"mcp:{server.casefold()}:{value}" if server else value
            prefix = self.prefix.casefold()
            return any(form.startswith(prefix) for form in (value, f"{(kind or '').casefold()}:{value}", full))
        wanted = (self.value or "").casefold()
        if self.kind == "host" and kind in (None, "host"):
            return host_inside(value, wanted)
        same = value == wanted or (bool(server) and f"mcp:{server}:{value}".casefold() == wanted)
        return same and (kind is None or (self.kind or kind).casefold() == kind.casefold())


@dataclass(frozen=True, slots=True)
class TimeWindow:
    """When a mandate may be used: *days* (0 is Monday; empty is all), between *start* and *end* in *zone*."""

    days: frozenset[int] = frozenset()
    start: time = time(0, 0)
    end: time = time(0, 0)
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))

    def holds_at(self, now: datetime) -> bool:
        """Whether *now* lies in it. A window that ends at or before its start runs past midnight, from its day on."""
        local = now.astimezone(self.zone)
        clock, day = local.time().replace(tzinfo=None), local.weekday()
        if self.start < self.end:
            return self._on(day) and self.start <= clock < self.end
        return (self._on(day) and clock >= self.start) or (self._on((day - 1) % 7) and clock < self.end)

    def _on(self, day: int) -> bool:
        return not self.days or day in self.days


@dataclass(frozen=True, slots=True)
class Constraints:
    """The bounds of a mandate; money in billionths of a dollar, by ``<period>_<kind>``."""

    allowed_tools: Patterns = None
    allowed_targets: tuple[Target, ...] | None = None
    blocked_targets: tuple[Target, ...] = ()
    caps: Mapping[str, int] = field(default_factory=dict[str, int])
    escalate_above: Mapping[str, int] = field(default_factory=dict[str, int])
    window: TimeWindow | None = None
    unconstrained: bool = False
    justification: str | None = None


@dataclass(frozen=True, slots=True)
class Mandate:
    """One standing permission. *source_hash* is the SHA-256 of its text; *where* and *line* say where it stands."""

    id: str
    granted_by: str
    granted_at: str
    scope: str
    state: MandateState
    constraints: Constraints
    source_hash: str
    where: str
    line: int
    expires_at: datetime | None = None
    revocable_by: str | None = None
    revoked_at: str | None = None
    revocation_reason: str | None = None

    def has_expired(self, now: datetime) -> bool:
        """Whether its time is over; that is derived and never written."""
        return self.expires_at is not None and self.expires_at <= now


@dataclass(frozen=True, slots=True)
class MandatesFile:
    """One ``mandates.md``; *agent_policy* and *allowed_ids* (root only) say which agents' own files count."""

    mandates: Mapping[str, Mandate] = field(default_factory=dict[str, Mandate])
    agent_policy: AgentPolicy = "open"
    allowed_ids: frozenset[str] = frozenset()


def mandate_of_grant(file: GrantFile, where: str, source_hash: str) -> Mandate:
    """An issued grant as a mandate that an action can cite. Its folders and hosts are the targets it allows."""
    grant = file.grant
    caps = {"daily": grant.limits.usd_day, "monthly": grant.limits.usd_month, "cumulative": grant.limits.usd_total}
    paths = [Target(prefix=f"{path}") for path in sorted(grant.paths or ())]
    hosts = [Target(kind="host", value=host) for host in sorted(grant.hosts or ())]
    targets = None if grant.paths is None and grant.hosts is None else (*paths, *hosts)
    bounds = Constraints(
        allowed_tools=grant.tools,
        allowed_targets=targets,
        caps={f"{period}_{kind}": cap for period, cap in caps.items() if cap is not None for kind in KINDS},
    )
    return Mandate(
        id=file.id,
        granted_by=file.by or "operator",
        granted_at=file.issued_at or "",
        scope=file.why or "",
        state=file.state,
        constraints=bounds,
        source_hash=source_hash,
        where=where,
        line=1,
        expires_at=grant.until,
    )
