"""The specialist for mandates: whether the permission that a call cites covers it (the older system's spec 29).

The reasons are words that stay the same for ever, so that a log can be searched for them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from argosy_core.budget.caps import mandate_caps, purses_of
from argosy_core.budget.ledger import Amount, Ledger
from argosy_core.clock import parse_time
from argosy_core.errors import ArgosyError
from argosy_core.policy.grant_file import ID
from argosy_core.policy.mandates_model import Mandate, Target, mandate_of_grant
from argosy_core.policy.patterns import covers, name_inside
from argosy_core.secrets.hosts import hosts_in
from argosy_core.types import ActionClass, Verdict
from argosy_core.yamltext import is_list, is_map
from argosy_judge.cases import Case, Charge, Opinion
from argosy_judge.grant_store import GrantStore

# Under these names an argument says whom or what a call reaches; copies of a letter reach somebody too.
TARGET_KEYS = ("to", "recipient", "target", "url", "repository", "customer_id", "channel_id")
_ALSO = frozenset({"cc", "bcc", "recipients", "targets", "urls", "channel", "customer", "repo", "host"})
_ADDRESSES = frozenset({"url", "urls", "host"})
_HIGH_RISK = ActionClass.HIGH_RISK


@dataclass(frozen=True, slots=True)
class MandateRules:
    """The nine checks, in their order. A mandate that covers a call decides it where the policy asks for a judge."""

    grants: GrantStore
    name: str = "mandate"

    def evaluate(self, case: Case) -> Opinion:
        cited = case.proposal.mandate
        if cited is None or case.action_class is ActionClass.READ_ONLY:
            return Opinion(Verdict.ALLOW, "no mandate is cited")
        if case.standing.mandate_faults:
            return _block(f"mandate_not_found: {case.standing.mandate_faults[0].message}")
        try:
            mandate = self._find(case, cited)
            ledger = case.situation.ledger()
        except ArgosyError as error:
            return _block(f"mandate_cost_unreadable: {error.message}")
        if mandate is None:
            return _block(f"mandate_not_found: there is no mandate {cited!r} for {case.agent}")
        for check in (_source, _state, _tool, _target, _window, _caps, _thresholds):
            refused = check(case, mandate, ledger)
            if refused is not None:
                return refused
        return Opinion(Verdict.ALLOW, f"covered by the mandate {mandate.id} of {mandate.granted_by}", decides=True)

    def _find(self, case: Case, cited: str) -> Mandate | None:
        mandate = case.standing.mandates.get(cited)
        if mandate is not None or not ID.fullmatch(cited):
            return mandate
        found = self.grants.find(cited)
        if found is None or found[0].holder != case.agent:
            return None
        return mandate_of_grant(found[0], f"grant {cited}", found[1])


Check = Callable[[Case, Mandate, Ledger], Opinion | None]


def throttle_name(case: Case) -> str:
    """Under what name a suspicious citing is kept from being tried again at once."""
    return f"{case.proposal.mandate}|{case.situation.run}"


def rebind_until(case: Case) -> Any:
    """Until when a citing with a wrong hash keeps its mandate from this run."""
    seconds = case.standing.policy.settings.mandates.suspicious_rebind_throttle_s
    return case.situation.now + timedelta(seconds=seconds)


def _source(case: Case, mandate: Mandate, ledger: Ledger) -> Opinion | None:
    until = ledger.throttled.get(throttle_name(case))
    if until is not None and parse_time(until) > case.situation.now:
        return _block("mandate_rebind_suspicious_throttled: this run cited another text of it a moment ago")
    stated = case.proposal.mandate_hash
    if stated is not None and stated.removeprefix("sha256:") != mandate.source_hash:
        return _block("mandate_state_inconsistent: the mandate's text is not the one that is cited")
    return None


def _state(case: Case, mandate: Mandate, ledger: Ledger) -> Opinion | None:
    if mandate.state == "revoked":
        return _block(f"mandate_revoked: {mandate.id}")
    return _block(f"mandate_expired: {mandate.id}") if mandate.has_expired(case.situation.now) else None


def _tool(case: Case, mandate: Mandate, ledger: Ledger) -> Opinion | None:
    # By its full name: a server that calls its tool like another one is not that other.
    allowed = covers(mandate.constraints.allowed_tools, case.tool.full_name, name_inside)
    return None if allowed else _block(f"mandate_tool_not_allowed: {case.tool.full_name}")


def _target(case: Case, mandate: Mandate, ledger: Ledger) -> Opinion | None:
    bounds = mandate.constraints
    if bounds.allowed_targets is None and not bounds.blocked_targets:
        return None
    found = list(targets_of(case.proposal.arguments))
    server = None if case.tool.own else case.tool.server
    if not found:
        verdict = case.standing.policy.settings.mandates.unextractable_target_action
        return Opinion(verdict, "mandate_target_unextractable: no argument says whom this reaches")
    for kind, value in found:
        hosts = [host.rpartition("://")[2] for host in hosts_in({kind: value})] if kind in _ADDRESSES else []
        if any(_named(bounds.blocked_targets, None, name, server) for name in (value, *hosts)):  # whatever its name
            return _block(f"mandate_target_blocked: {_shown(value)}")
        allowed = bounds.allowed_targets
        if allowed is None or _named(allowed, kind, value, server):
            continue
        if not hosts or not all(_named(allowed, "host", host, server) for host in hosts):
            return _block(f"mandate_target_not_allowed: {_shown(value)}")
    return None


def _window(case: Case, mandate: Mandate, ledger: Ledger) -> Opinion | None:
    window = mandate.constraints.window
    if window is None or window.holds_at(case.situation.now):
        return None
    verdict = Verdict.ESCALATE if case.action_class is _HIGH_RISK else Verdict.BLOCK
    return Opinion(verdict, "mandate_outside_time_window")


def _caps(case: Case, mandate: Mandate, ledger: Ledger) -> Opinion | None:
    now = case.situation.now
    token = ledger.breaches(Amount(), list(mandate_caps(mandate, "token")), now)
    used_up = [b for b in token if b.spent + b.outstanding >= b.cap.limit]
    if used_up:
        case.breaches.extend(used_up)
        return _breach(case, "token")
    caps = list(mandate_caps(mandate, "external"))
    nano = _cost(case)
    needs_cost = caps or "external" in mandate.constraints.escalate_above
    if needs_cost and nano is None:
        return _block("mandate_external_cost_unprojectable: tools.md states no cost of this tool")
    if breaches := ledger.breaches(Amount(nano or 0), caps, now):
        case.breaches.extend(breaches)
        return _breach(case, "external")
    if nano:
        purses = purses_of("actor", caps, mandate.id, "external")
        # The agent's own purse was charged by the budget specialist already.
        case.charges.append(Charge(nano, tuple(p for p in purses if p != "actor"), tuple(caps), mandate.id))
    return None


def _breach(case: Case, kind: str) -> Opinion:
    stated = case.standing.policy.settings.mandates.cap_breach_action_class_default.get(case.action_class)
    if case.action_class is _HIGH_RISK and stated is not Verdict.BLOCK:
        return Opinion(Verdict.ESCALATE, f"mandate_cap_would_exceed_high_risk: {kind}")
    return Opinion(stated or Verdict.BLOCK, f"mandate_cap_would_exceed: {kind}")


def _thresholds(case: Case, mandate: Mandate, ledger: Ledger) -> Opinion | None:
    above = mandate.constraints.escalate_above
    spent = ledger.spent(f"mandate:{mandate.id}:token", "day", case.situation.now)
    if "token" in above and spent > above["token"]:
        return Opinion(Verdict.ESCALATE, "mandate_escalation_threshold_hit_token")
    if "external" in above and (_cost(case) or 0) > above["external"]:
        return Opinion(Verdict.ESCALATE, "mandate_escalation_threshold_hit_external")
    return None


def _cost(case: Case) -> int | None:
    if case.standing.tools is None:
        return None
    costs = case.standing.tools.costs
    return costs.get(case.tool.full_name, costs.get(case.tool.name))


def targets_of(arguments: Any) -> Iterator[tuple[str, str]]:
    """Whom or what a call reaches, as (kind, value): every text under a name of `TARGET_KEYS`, at any depth.

    Who is hidden deeper or in a copy is found as well.
    """
    pending: list[tuple[str, Any]] = [("", arguments)]
    while pending:
        key, value = pending.pop()
        kind = key.casefold()
        if is_map(value):
            pending += [(f"{kind}" if _is_target(kind) and not _is_target(name) else name, item)
                for name, item in value.items()]  # fmt: skip
        elif is_list(value):
            pending += [(key, item) for item in value]
        elif _is_target(kind) and isinstance(value, str | int | float) and not isinstance(value, bool):
            for part in _parts(str(value)):
                yield kind, part


def _parts(value: str) -> Iterator[str]:
    for part in value.replace(";", ",").split(","):
        if part.strip():
            yield part.strip()


def _is_target(key: str) -> bool:
    return key.casefold() in TARGET_KEYS or key.casefold() in _ALSO


def _named(targets: tuple[Target, ...], kind: str | None, value: str, server: str | None) -> bool:
    return any(target.covers(kind, value, server) for target in targets)


def _shown(value: str) -> str:
    return ascii(value[:120])


def _block(reason: str) -> Opinion:
    return Opinion(Verdict.BLOCK, reason)
