"""Who is calling: a verified bearer token, the host's signed run token, the launch flag, in this order.

A run token is ``base64url(JSON) "." base64url(Ed25519 signature over the JSON bytes)``; the JSON holds agent, run,
grant, generation, exp (seconds since 1970) and, where the run is somebody's, principal. The gateway's own token for a
call that a client makes has the client's role besides: whoever shows it is that client in a run, and no host.

The principal is never an argument. Over stdio and the private door it is ``local``, the user who started the server.
Over HTTP it is made from the verified token: SHA-256 of issuer, NUL and subject in hex, the older system's rule; of the
JSON list of client, issuer and subject where the token lacks one of them. A run has the principal that its host signed
for, and without one it is the agent's own, ``agent``: a run that nobody stands behind reads nobody's conversations.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.auth.provider import AccessToken, principal_components
from mcp.server.mcpserver import Context, Resolve

from argosy_core.clock import Clock
from argosy_core.errors import Unauthenticated
from argosy_core.names import check_new_name
from argosy_core.types import UNATTENDED_PRINCIPAL, Caller, Role

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

RUN_META = "argosy/run"
OPERATOR_SCOPE = "argosy:operator"
AGENT_CLAIM = "argosy/agent"  # of a verified bearer token: as which agent its holder calls
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
        self,
        agent: str,
        run: str,
        *,
        grant: str | None = None,
        generation: int = 0,
        ttl_seconds: float = 3600,
        principal: str | None = None,
        role: Role = Role.HOST,
    ) -> str:
        """A token for one run, valid for *ttl_seconds*; *principal* is whose run it is.

        With another *role* than the host's it names a client of the gateway, and gives it no more than that role.
        """
        fields = {
            "agent": agent,
            "run": run,
            "grant": grant,
            "generation": generation,
            "exp": self._clock.now().timestamp() + ttl_seconds,
        }
        if principal is not None:
            fields["principal"] = principal
        if role is not Role.HOST:
            fields["role"] = role.value
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
    principal = fields.get("principal", UNATTENDED_PRINCIPAL)
    if not isinstance(principal, str) or check_new_name(principal) != principal:
        raise ValueError("a principal is the name of a folder")
    role = Role(fields.get("role", Role.HOST))
    source = "run_token" if role is Role.HOST else "client"
    caller = Caller(agent, role, source, run=run, grant=grant, generation=generation, principal=principal)
    return caller, float(expires)


def bearer_principal(token: AccessToken) -> str:
    """The principal of a verified bearer token, as 64 hex characters: no two tokens' owners share one."""
    client, issuer, subject = principal_components(token)
    # JSON has no bare NUL, and the two parts none either: no owner can be written in two ways, and no two in one.
    is_plain = bool(issuer) and subject is not None and "\0" not in f"{issuer}{subject}"
    owner = f"{issuer}\0{subject}" if is_plain else json.dumps([client, issuer, subject])
    return hashlib.sha256(owner.encode("utf-8", "surrogatepass")).hexdigest()


def identify(meta: Mapping[str, Any] | None, launched: Caller, verifier: TokenVerifier) -> Caller:
    """The caller of one request: *meta* is the request's ``_meta``, *launched* what the flags said."""
    bearer = get_access_token()
    if bearer is not None:
        operator = OPERATOR_SCOPE in bearer.scopes
        role = Role.OPERATOR if operator else Role.AGENT
        principal = bearer_principal(bearer)
        stated = (bearer.claims or {}).get(AGENT_CLAIM)
        agent = stated if isinstance(stated, str) else launched.agent
        return Caller(agent, role, source="bearer", scopes=tuple(bearer.scopes), principal=principal)
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
