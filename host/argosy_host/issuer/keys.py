"""The keys of one issuer, kept for a while and asked for again when a token names one that is not among them."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, cast

import anyio
import jwt

from argosy_core.clock import Clock
from argosy_core.errors import Unavailable
from argosy_host.issuer.asking import ask_for_keys

KEPT_SECONDS = 3600.0  # how long a key that the issuer withdrew is still believed, at most
ASK_AGAIN_SECONDS = 60.0  # between two questions, however many tokens name keys that nobody knows
AWAY_SECONDS = 10.0  # between two questions while there is no key to go by
MAX_KEYS = 100
RSA_BITS = (2048, 8192)
# By what a key is (kty, crv): what it signs with. Nothing symmetric, and never what a token says of itself.
ALGORITHMS: Mapping[tuple[str, str | None], str] = {
    ("RSA", None): "RS256",
    ("EC", "P-256"): "ES256",
    ("OKP", "Ed25519"): "EdDSA",
}

Ask = Callable[[str], Awaitable[Mapping[str, Any]]]
Keys = Mapping[tuple[str | None, str], jwt.PyJWK]
logger = logging.getLogger(__name__)


class IssuerKeys:
    """The keys of *issuer*, for any number of tasks of one event loop."""

    def __init__(self, issuer: str, clock: Clock, ask: Ask = ask_for_keys) -> None:
        self._issuer = issuer
        self._clock = clock
        self._ask = ask
        self._one_at_a_time = anyio.Lock()
        self._keys: Keys = {}
        self._answered_at: float | None = None
        self._asked_at: float | None = None
        self._failure: str | None = None

    async def find(self, key_id: str | None, algorithm: str) -> jwt.PyJWK | None:
        """The key of that id for *algorithm*; the only one without an id, where the token names none.

        Raises Unavailable when the issuer would have to say, and does not.
        """
        if (known := self._known(key_id, algorithm)) is not None:
            return known
        async with self._one_at_a_time:
            if self._may_ask():
                await self._refresh()
            if self._failure is not None:
                raise Unavailable(self._failure)
            return self._known(key_id, algorithm)

    def _known(self, key_id: str | None, algorithm: str) -> jwt.PyJWK | None:
        if not self._is_fresh():
            return None
        if key_id is not None:
            return self._keys.get((key_id, algorithm))
        fitting = [key for (_, used_with), key in self._keys.items() if used_with == algorithm]
        return fitting[0] if len(fitting) == 1 else None

    def _is_fresh(self) -> bool:
        return self._answered_at is not None and self._clock.monotonic() - self._answered_at < KEPT_SECONDS

    def _may_ask(self) -> bool:
        if self._asked_at is None:
            return True
        pause = ASK_AGAIN_SECONDS if self._is_fresh() else AWAY_SECONDS
        return self._clock.monotonic() - self._asked_at >= pause

    async def _refresh(self) -> None:
        self._asked_at = self._clock.monotonic()
        # Until it has answered it is away, also for those who come while this task is cancelled.
        self._failure = "the token issuer does not answer"
        try:
            self._keys = keys_of(await self._ask(self._issuer))
        except Unavailable as error:
            self._failure = error.message
            logger.warning("%s: %s", self._issuer, error.message)
            return
        self._answered_at, self._failure = self._clock.monotonic(), None


def keys_of(answer: Mapping[str, Any]) -> Keys:
    """The keys of a key set that may verify a signature here, by id and algorithm; others are left out.

    Raises Unavailable when it is no key set.
    """
    stated: object = answer.get("keys")
    listed = cast("list[object]", stated) if isinstance(stated, list) else None
    if listed is None or len(listed) > MAX_KEYS:
        raise Unavailable("the token issuer's key set is not of the form")
    keys: dict[tuple[str | None, str], jwt.PyJWK] = {}
    for found in listed:
        if not isinstance(found, dict):
            continue
        fields = cast("dict[str, Any]", found)
        key_id, algorithm = fields.get("kid"), _algorithm(fields)
        if algorithm is not None and (key_id is None or isinstance(key_id, str)):
            key = _loaded(fields, algorithm)
            if key is not None:
                keys[key_id, algorithm] = key
    return keys


def _algorithm(fields: Mapping[str, Any]) -> str | None:
    """What a key verifies here, None for nothing."""
    kind = fields.get("kty")
    found = ALGORITHMS.get((str(kind), None if kind == "RSA" else str(fields.get("crv"))))
    operations: Any = fields.get("key_ops", ["verify"])
    meant = fields.get("use", "sig") == "sig" and isinstance(operations, list) and "verify" in operations
    private = "d" in fields
    return found if meant and not private and fields.get("alg", found) == found else None


def _loaded(fields: dict[str, Any], algorithm: str) -> jwt.PyJWK | None:
    try:
        key = jwt.PyJWK(fields, algorithm)
    except (jwt.PyJWTError, ValueError, TypeError, KeyError, AttributeError):
        return None
    least, most = RSA_BITS
    return key if algorithm != "RS256" or least <= key.key.key_size <= most else None
