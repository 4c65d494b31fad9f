"""The nouns as types. Plain frozen dataclasses: they cross modules, not the wire."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class _Ordered(StrEnum):
    """A ladder: members compare by the order they are written in, lowest first."""

    rank: int

    def __init__(self, value: str) -> None:
        # Members are made in their order; asked for so often that looking it up would show.
        self.rank = len(type(self).__members__)


class ActionClass(_Ordered):
    """What a tool may do to the world. Declared, never guessed; unknown is `EXTERNAL_SIDE_EFFECT`."""

    READ_ONLY = "read_only"
    REVERSIBLE_WRITE = "reversible_write"
    EXTERNAL_SIDE_EFFECT = "external_side_effect"
    HIGH_RISK = "high_risk"


class ClassPolicy(_Ordered):
    """What a policy file asks for a class of action; a later member is stricter."""

    BYPASS = "bypass"
    ALLOW_WITH_AUDIT = "allow_with_audit"
    JUDGE_REQUIRED = "judge_required"
    ESCALATE = "escalate"


class Verdict(_Ordered):
    """A judge's answer; a later member is stricter and the strictest of several wins."""

    ALLOW = "allow"
    REVISE = "revise"
    ESCALATE = "escalate"
    BLOCK = "block"


class Mode(_Ordered):
    """How far a run may act by itself; a later member is freer and the lowest of several counts."""

    DRY = "dry"
    PROPOSE = "propose"
    WATCHED = "watched"
    FREE = "free"


class Role(_Ordered):
    """Who is calling. `HOST` needs a valid run token; no flag grants it."""

    AGENT = "agent"
    OPERATOR = "operator"
    HOST = "host"


LOCAL_PRINCIPAL = "local"  # whoever started the server on this machine, as the older system has it
UNATTENDED_PRINCIPAL = "agent"  # an agent at work for nobody who is there


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is calling, resolved by the server, never an argument a model could set.

    *source* is where the identity came from: ``bearer``, ``run_token``, ``client``, ``flag`` or ``default``; a
    ``client`` has the gateway's word for it, and *run* is then what its calls are logged under. *principal* is whose
    the call is, as a folder's name: what is kept for each principal is found by no other.
    """

    agent: str | None
    role: Role = Role.AGENT
    source: str = "default"
    run: str | None = None
    grant: str | None = None
    generation: int = 0
    scopes: tuple[str, ...] = field(default=())
    principal: str = LOCAL_PRINCIPAL
