"""Bearer tokens for HTTP: who holds one may call as the agent and in the role that it was made for.

A token is ``argosy_`` and 32 random bytes. It is shown once; what is kept, in the user's own state folder and outside
every vault, is its SHA-256. A revoked or expired one stays on record: a vault that ever had a token is never open to
callers without one.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from anyio import to_thread
from mcp.server.auth.provider import AccessToken

from argosy_core.clock import Clock, parse_time, rfc3339
from argosy_core.errors import Corrupted, InvalidArgument, NotFound
from argosy_core.ids import Ids, new_id
from argosy_core.serving.identity import AGENT_CLAIM, OPERATOR_SCOPE
from argosy_core.types import Role
from argosy_core.vault import Vault

FILE = "tokens.json"
PREFIX = "argosy_"
ISSUER = "argosy"
MAX_DAYS = 366


@dataclass(frozen=True, slots=True)
class TokenRecord:
    """What is kept of a token: never the token. Times are RFC 3339."""

    id: str
    vault: str
    agent: str
    role: str
    expires_at: str
    digest: str
    revoked_at: str | None = None

    def state(self, clock: Clock) -> str:
        """``active``, ``revoked`` or ``expired``."""
        if self.revoked_at is not None:
            return "revoked"
        return "active" if parse_time(self.expires_at) > clock.now() else "expired"


class Tokens:
    """The tokens of one vault. All methods block."""

    def __init__(self, folder: Path, vault: Path, clock: Clock) -> None:
        self._folder = folder
        self._vault = str(vault.resolve())
        self._clock = clock

    def new(self, agent: str, role: Role, days: float, ids: Ids) -> tuple[TokenRecord, str]:
        """A new token and its record. Raises InvalidArgument (no such length of time)."""
        if not 0 < days <= MAX_DAYS:
            raise InvalidArgument(f"a token lasts up to {MAX_DAYS} days", hint="--expires 90d")
        secret = PREFIX + base64.urlsafe_b64encode(ids.random(32)).decode().rstrip("=")
        ends = rfc3339(self._clock.now() + timedelta(days=days))
        record = TokenRecord(new_id("token", self._clock, ids), self._vault, agent, role.value, ends, _digest(secret))
        self._change(lambda found: [*found, record])
        return record, secret

    def revoke(self, token: str) -> TokenRecord:
        """End the token of that id; again changes nothing. Raises NotFound."""
        known = next((record for record in self.listed() if record.id == token), None)
        if known is None:
            raise NotFound(f"there is no token {token[:80]!r} for this vault", hint="mcp-host token list")
        ended = known if known.revoked_at else replace(known, revoked_at=rfc3339(self._clock.now()))
        self._change(lambda found: [ended if record.id == token else record for record in found])
        return ended

    def listed(self) -> Sequence[TokenRecord]:
        """Every token that the vault ever had. Raises Corrupted: nobody is let in by a file that cannot be read."""
        return [record for record in self._load() if record.vault == self._vault]

    def find(self, secret: str) -> TokenRecord | None:
        """The active token that *secret* is."""
        digest = _digest(secret)
        same = [record for record in self.listed() if hmac.compare_digest(record.digest, digest)]
        return next((record for record in same if record.state(self._clock) == "active"), None)

    def _change(self, change: Callable[[list[TokenRecord]], list[TokenRecord]]) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        keeper = Vault(self._folder)
        try:
            with keeper.lock(FILE):
                records = [asdict(record) for record in change(self._load())]
                keeper.replace(FILE, json.dumps(records, indent=2).encode() + b"\n")
        finally:
            keeper.close()

    def _load(self) -> list[TokenRecord]:
        path = self._folder / FILE
        try:
            found: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
            return [TokenRecord(**fields) for fields in found]
        except FileNotFoundError:
            return []
        except (ValueError, TypeError, OSError) as error:
            raise Corrupted(f"{FILE} in the state folder cannot be read", hint="mend it, or delete it") from error


class BearerCheck:
    """What an HTTP server asks about each request's token (the SDK's ``TokenVerifier``)."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    async def verify_token(self, token: str) -> AccessToken | None:
        """The caller's rights; None for a token that is unknown, revoked or expired."""
        try:
            record = await to_thread.run_sync(self._tokens.find, token)
        except Corrupted:
            return None
        if record is None:
            return None
        scopes = [OPERATOR_SCOPE] if record.role == Role.OPERATOR else []
        return AccessToken(
            token=token,
            client_id=ISSUER,
            scopes=scopes,
            expires_at=int(parse_time(record.expires_at).timestamp()),
            subject=record.id,
            claims={"iss": ISSUER, AGENT_CLAIM: record.agent},
        )


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
