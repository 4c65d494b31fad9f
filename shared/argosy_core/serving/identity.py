"""Who is calling: a verified bearer token, the host's signed run token, the launch flag, in this order.

A run token is ``base64url(JSON) "." base64url(Ed25519 signature over the JSON bytes)``; the JSON holds agent, run,
grant, generation and exp (seconds since 1970).
"""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.mcpserver import Context, Resolve

from argosy_core.clock import Clock
from argosy_core.errors import Unauthenticated
from argosy_core.types import Caller, Role

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

RUN_META = "argosy/run"
OPERATOR_SCOPE = "argosy:operator"
_REMEMBERED = 256  # verified tokens kept, so that a run's later calls cost no signature check


class RunTokens:
    """The host's side: signs who a run acts for. The key lives in this object and nowhere else."""

    def __init__(self, clock: Clock) -> None:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        self._key: Ed25519PrivateKey = Ed25519PrivateKey.generate()
        self._clock = clock

    @property
    def public_key(self) -> bytes:
        """What servers need to believe these tokens: 32 bytes."""
        return self._key.public_key().public_bytes_raw()

    def issue(
        self, agent: str, run: str, *, grant: str | None = None, generation: int = 0, ttl_seconds: float = 3600
    ) -> str:
        """A token for one run, valid for *ttl_seconds*."""
        fields = {
            "agent": agent,
            "run": run,
            "grant": grant,
            "generation": generation,
            "exp": self._clock.now().timestamp() + ttl_seconds,
        }
        body = json.dumps(fields, ensure_ascii=False).encode()
        return f"{_encode(body)}.{_encode(self._key.sign(body))}"


class TokenVerifier:
    """A server's side: believes tokens of one host."""

    def __init__(self, public_key: bytes | None, clock: Clock) -> None:
        self._public_key = public_key
        self._clock = clock
        self._seen: dict[str, tuple[Caller, float]] = {}

    def verify(self, token: str) -> Caller:
        """The caller that *token* names. Raises Unauthenticated when it is forged, expired or nobody's here."""
        known = self._seen.get(token)
        if known is None:
            known = self._check(token)
            if len(self._seen) >= _REMEMBERED:
                self._seen.clear()
            self._seen[token] = known
        caller, expires = known
        if expires <= self._clock.now().timestamp():
            raise Unauthenticated("the run token has expired", hint="start the run again")
        return caller

    def _check(self, token: str) -> tuple[Caller, float]:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        if self._public_key is None:
            raise Unauthenticated("this server knows no host", hint="call it without a run token")
        try:
            body, signature = (_decode(part) for part in token.split("."))
            Ed25519PublicKey.from_public_bytes(self._public_key).verify(signature, body)
            return _claims(json.loads(body))
        except (ValueError, KeyError, TypeError, binascii.Error, InvalidSignature) as exc:
            raise Unauthenticated("the run token is not this host's", hint="start the run again") from exc


def _claims(fields: Mapping[str, Any]) -> tuple[Caller, float]:
    """Who a signed body names, and until when. Raises KeyError or ValueError when it is not of the form."""
    agent, run, grant = fields["agent"], fields["run"], fields["grant"]
    generation, expires = fields["generation"], fields["exp"]
    named = isinstance(agent, str) and isinstance(run, str) and isinstance(grant, str | None)
    if not (named and type(generation) is int and type(expires) in (int, float) and math.isfinite(expires)):
        raise ValueError("not the fields of a run token")
    caller = Caller(agent, Role.HOST, "run_token", run=run, grant=grant, generation=generation)
    return caller, float(expires)


def identify(meta: Mapping[str, Any] | None, launched: Caller, verifier: TokenVerifier) -> Caller:
    """The caller of one request: *meta* is the request's ``_meta``, *launched* what the flags said."""
    bearer = get_access_token()
    if bearer is not None:
        operator = OPERATOR_SCOPE in bearer.scopes
        role = Role.OPERATOR if operator else Role.AGENT
        return Caller(agent=launched.agent, role=role, source="bearer", scopes=tuple(bearer.scopes))
    token = (meta or {}).get(RUN_META)
    if token is not None:
        return verifier.verify(str(token))
    return launched


async def resolve_caller(ctx: Context) -> Caller:
    """The resolver behind `WhoCalls`; the server put the answer on the request's way in."""
    from argosy_core.serving.server import ArgosyServer

    server = ctx.mcp_server
    assert isinstance(server, ArgosyServer)
    return server.caller_of(ctx)


WhoCalls = Annotated[Caller, Resolve(resolve_caller)]
"""Annotate a tool's parameter with this: the SDK fills it, and no schema shows it to a model."""


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _decode(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
