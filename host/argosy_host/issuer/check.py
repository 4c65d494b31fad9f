"""Whether a JWT is a bearer token of one issuer for one server here (RFC 7519, RFC 8707, RFC 9068).

A refused token is refused without a reason to whoever sent it; the log has the kind of it, and never the token.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from typing import Any, cast

import jwt
from mcp.server.auth.provider import AccessToken, TokenVerifier

from argosy_core.clock import Clock
from argosy_core.serving.admission import Admission
from argosy_core.serving.identity import OPERATOR_SCOPE
from argosy_host.issuer.keys import ALGORITHMS, IssuerKeys
from argosy_host.tokens import PREFIX

LEEWAY_SECONDS = 30.0  # by which the issuer's clock may differ from ours
MAX_TOKEN_CHARS = 16_384
_REQUIRED = ["iss", "aud", "exp", "sub"]
logger = logging.getLogger(__name__)


def admission(own: TokenVerifier, issuer: str, clock: Clock) -> Admission:
    """Who is let in where *issuer*'s tokens are believed beside the vault's *own*."""
    keys = IssuerKeys(issuer, clock)
    return Admission(lambda resource: EitherCheck(own, IssuedCheck(issuer, resource, keys, clock)), issuer)


class EitherCheck:
    """The vault's own tokens, which say by their beginning that they are, and an issuer's."""

    def __init__(self, own: TokenVerifier, issued: TokenVerifier) -> None:
        self._own = own
        self._issued = issued

    async def verify_token(self, token: str) -> AccessToken | None:
        check = self._own if token.startswith(PREFIX) else self._issued
        return await check.verify_token(token)


class IssuedCheck:
    """Believes what *issuer* signed for *resource*, the URL of a server here."""

    def __init__(self, issuer: str, resource: str, keys: IssuerKeys, clock: Clock) -> None:
        self._issuer = issuer
        self._resource = resource
        self._keys = keys
        self._clock = clock

    async def verify_token(self, token: str) -> AccessToken | None:
        """The caller's rights, None for a token that is not believed. Raises Unavailable (the issuer is away)."""
        try:
            claims = await self._claims(token)
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError) as error:
            logger.info("a bearer token is refused: %s", type(error).__name__)
            return None
        return AccessToken(
            token=token,
            client_id=str(claims.get("client_id") or claims.get("azp") or self._issuer),
            scopes=[OPERATOR_SCOPE] if OPERATOR_SCOPE in _scopes(claims) else [],
            resource=self._resource,
            subject=claims["sub"],
            claims={"iss": self._issuer},
        )

    async def _claims(self, token: str) -> Mapping[str, Any]:
        """What a token says that is believed. Raises PyJWTError, Unavailable."""
        if len(token) > MAX_TOKEN_CHARS:
            raise jwt.InvalidTokenError("too long")
        header = jwt.get_unverified_header(token)
        algorithm = str(header.get("alg"))
        if algorithm not in ALGORITHMS.values():
            raise jwt.InvalidAlgorithmError("not an algorithm of two keys")
        key = await self._keys.find(header.get("kid"), algorithm)
        if key is None:
            raise jwt.InvalidKeyError("not a key of the issuer")
        claims = jwt.decode(
            token,
            key,
            algorithms=[algorithm],
            audience=self._resource,
            issuer=self._issuer,
            # The times are looked at below, by the clock that this program goes by.
            options={"require": _REQUIRED, "verify_exp": False, "verify_nbf": False, "verify_iat": False},
        )
        self._check_times(claims)
        if not claims["sub"]:
            raise jwt.InvalidTokenError("nobody's")
        return claims

    def _check_times(self, claims: Mapping[str, Any]) -> None:
        now = self._clock.now().timestamp()
        if _moment(claims["exp"]) <= now - LEEWAY_SECONDS:
            raise jwt.ExpiredSignatureError("expired")
        if "nbf" in claims and _moment(claims["nbf"]) > now + LEEWAY_SECONDS:
            raise jwt.ImmatureSignatureError("not valid yet")


def _moment(value: Any) -> float:
    """A NumericDate: seconds since 1970. Raises InvalidTokenError for anything else."""
    if type(value) not in (int, float) or not math.isfinite(value):
        raise jwt.InvalidTokenError("not a time")
    return float(value)


def _scopes(claims: Mapping[str, Any]) -> set[str]:
    """``scope`` in words (RFC 8693 section 4.2), or ``scp``, as some issuers write it, in words or as a list."""
    found: set[str] = set()
    stated: tuple[object, ...] = (claims.get("scope"), claims.get("scp"))
    for words in stated:
        if isinstance(words, str):
            found.update(words.split(" "))
        elif isinstance(words, list):
            found.update(word for word in cast("list[object]", words) if isinstance(word, str))
    return found
