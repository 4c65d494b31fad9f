"""Who is calling: run tokens are believed when they are this host's and fresh, and nothing else is."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mcp.server.auth.middleware.auth_context import auth_context_var
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken

from argosy_core.errors import Unauthenticated
from argosy_core.serving.identity import (
    OPERATOR_SCOPE,
    RUN_META,
    RunTokens,
    TokenVerifier,
    bearer_principal,
    identify,
)
from argosy_core.testing.fakes import FakeClock
from argosy_core.types import Caller, Role

QUIET = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy machine is no fault of ours
LAUNCHED = Caller(agent="reef", role=Role.AGENT, source="flag")


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


class Host:
    """A host, a server that believes it, and their clock."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.tokens = RunTokens(self.clock)
        self.verifier = TokenVerifier(self.tokens.public_key, self.clock)

    def signed(self, body: Any) -> str:
        """A token with a right signature over any body."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return f"{encoded(data)}.{encoded(self.tokens._key.sign(data))}"


@pytest.fixture
def host() -> Host:
    return Host()


def test_a_token_names_who_the_run_acts_for(host: Host) -> None:
    token = host.tokens.issue("harbor", "run-1", grant="g1", generation=7)
    caller = host.verifier.verify(token)
    assert caller == Caller("harbor", Role.HOST, "run_token", "run-1", "g1", 7, principal="agent")
    assert host.verifier.verify(token) == caller
    assert host.verifier.verify(host.tokens.issue("日本", "run-2")).agent == "日本"


def test_a_token_ends_when_its_time_is_over_also_when_it_was_seen_before(host: Host) -> None:
    token = host.tokens.issue("harbor", "run-1", ttl_seconds=60)
    host.clock.advance(59)
    host.verifier.verify(token)
    host.clock.advance(1)
    for verifier in (host.verifier, TokenVerifier(host.tokens.public_key, host.clock)):
        with pytest.raises(Unauthenticated, match="expired"):
            verifier.verify(token)


def test_another_hosts_token_is_refused(host: Host) -> None:
    with pytest.raises(Unauthenticated, match="not this host's"):
        host.verifier.verify(RunTokens(host.clock).issue("harbor", "run-1"))


def test_a_server_without_a_host_believes_none(host: Host) -> None:
    with pytest.raises(Unauthenticated, match="no host"):
        TokenVerifier(None, host.clock).verify(host.tokens.issue("harbor", "run-1"))


def test_no_byte_of_a_token_can_be_changed(host: Host) -> None:
    token = host.tokens.issue("harbor", "run-1")
    body, signature = token.split(".")
    for place in range(len(body)):
        changed = "A" if body[place] != "A" else "B"
        with pytest.raises(Unauthenticated):
            host.verifier.verify(f"{body[:place]}{changed}{body[place + 1 :]}.{signature}")
    fields = json.loads(base64.urlsafe_b64decode(body + "=="))
    with pytest.raises(Unauthenticated):
        host.verifier.verify(f"{encoded(json.dumps(fields | {'agent': 'reef'}).encode())}.{signature}")


@pytest.mark.parametrize(
    "token",
    ["", ".", "..", "a.b.c", "x", "é.é", "\ud800.x", "AA==.AA==", "A" * 100_000, f"{'A' * 1000}.{'A' * 86}", "\0.\0"],
    ids=lambda token: ascii(token[:12]),
)
def test_what_has_not_the_shape_of_a_token_is_refused(host: Host, token: str) -> None:
    with pytest.raises(Unauthenticated, match="not this host's"):
        host.verifier.verify(token)


@pytest.mark.parametrize(
    "body",
    [
        b"not json",
        b"\xff",
        [],
        None,
        "text",
        {},
        {"agent": "harbor"},
        {"agent": "harbor", "run": "r", "grant": None, "generation": "x", "exp": 9e9},
        {"agent": "harbor", "run": "r", "grant": None, "generation": None, "exp": 9e9},
        {"agent": "harbor", "run": "r", "grant": None, "generation": 1, "exp": None},
        {"agent": 5, "run": "r", "grant": None, "generation": 1, "exp": 9e9},
        {"agent": "harbor", "run": ["r"], "grant": None, "generation": 1, "exp": 9e9},
        {"agent": "harbor", "run": "r", "grant": {}, "generation": 1, "exp": 9e9},
        {"agent": "harbor", "run": "r", "grant": None, "generation": 1, "exp": "nan"},
        {"agent": "harbor", "run": "r", "grant": None, "generation": 1, "exp": 1e400},
    ],
    ids=ascii,
)
def test_a_signed_body_of_the_wrong_shape_is_refused(host: Host, body: Any) -> None:
    with pytest.raises(Unauthenticated):
        host.verifier.verify(host.signed(body))


def test_a_key_of_the_wrong_shape_believes_nobody(host: Host) -> None:
    for key in (b"", b"x" * 31, b"x" * 33):
        with pytest.raises(Unauthenticated):
            TokenVerifier(key, host.clock).verify(host.tokens.issue("harbor", "run-1"))


def test_a_verifier_remembers_only_so_many(host: Host) -> None:
    for number in range(600):
        host.verifier.verify(host.tokens.issue("harbor", f"run-{number}"))
    assert len(host.verifier._seen) <= 256


def test_the_key_is_32_bytes_and_another_for_each_host(host: Host) -> None:
    key = host.tokens.public_key
    assert len(key) == 32
    assert key != RunTokens(host.clock).public_key
    assert Ed25519PrivateKey.generate().public_key().public_bytes_raw() != key


def test_without_a_token_the_launch_decides(host: Host) -> None:
    for meta in (None, {}, {"other": "x"}, {RUN_META: None}):
        assert identify(meta, LAUNCHED, host.verifier) == LAUNCHED


def test_a_run_token_goes_before_the_launch(host: Host) -> None:
    caller = identify({RUN_META: host.tokens.issue("harbor", "run-1")}, LAUNCHED, host.verifier)
    assert (caller.agent, caller.role, caller.run) == ("harbor", Role.HOST, "run-1")


@pytest.mark.parametrize("token", [5, True, ["a.b"], {"agent": "harbor"}, "", 0, False])
def test_a_token_of_another_type_is_refused_and_never_overlooked(host: Host, token: Any) -> None:
    with pytest.raises(Unauthenticated):
        identify({RUN_META: token}, LAUNCHED, host.verifier)


@pytest.mark.parametrize(
    ("scopes", "role"),
    [
        ([], Role.AGENT),
        (["argosy:oper"], Role.AGENT),
        ([OPERATOR_SCOPE.upper()], Role.AGENT),
        ([OPERATOR_SCOPE, "x"], Role.OPERATOR),
    ],
)
def test_a_verified_bearer_goes_before_a_run_token(host: Host, scopes: list[str], role: Role) -> None:
    user = AuthenticatedUser(AccessToken(token="t", client_id="c", scopes=scopes))
    reset = auth_context_var.set(user)
    try:
        for meta in (None, {RUN_META: host.tokens.issue("harbor", "run-1")}, {RUN_META: "forged"}):
            caller = identify(meta, Caller("reef", Role.OPERATOR, "flag"), host.verifier)
            principal = bearer_principal(user.access_token)
            assert caller == Caller("reef", role, "bearer", scopes=tuple(scopes), principal=principal)
    finally:
        auth_context_var.reset(reset)


def token_of(client: str, subject: str | None, issuer: str | None) -> AccessToken:
    claims = {"iss": issuer} if issuer is not None else None
    return AccessToken(token="t", client_id=client, scopes=[], subject=subject, claims=claims)


def test_a_subject_has_the_older_systems_principal_whatever_the_client() -> None:
    expected = hashlib.sha256(b"https://id.example\0ada").hexdigest()
    for client in ("one", "two"):
        assert bearer_principal(token_of(client, "ada", "https://id.example")) == expected


PART = st.none() | st.sampled_from(["", "\0", "a", "b", "a\0", "\0a", '["c", null, "a"]']) | st.text(max_size=4)


@QUIET
@given(PART, PART, PART, PART)
def test_two_owners_never_share_a_principal(
    one: str | None, other: str | None, here: str | None, there: str | None
) -> None:
    first, second = bearer_principal(token_of("c", one, here)), bearer_principal(token_of("c", other, there))
    assert (first == second) == ((one, here) == (other, there))
    assert first not in ("local", "agent")


def test_a_run_has_the_principal_its_host_signed_for(host: Host) -> None:
    assert host.verifier.verify(host.tokens.issue("harbor", "r", principal="local")).principal == "local"
    assert host.verifier.verify(host.tokens.issue("harbor", "r")).principal == "agent"
    for name in ("", "..", "a/b", "local/x", "\0", "CON", 5):
        with pytest.raises(Unauthenticated):
            host.verifier.verify(host.tokens.issue("harbor", "r", principal=name))  # type: ignore[arg-type]
