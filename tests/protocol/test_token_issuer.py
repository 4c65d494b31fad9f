"""Tokens of an issuer over HTTP: believed for this server, while they last, from this issuer, and never otherwise."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import httpx2
import jwt
import pytest
from children import MODERN, MODERN_META
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from fleet_fixtures import make_vault
from hypothesis import given
from hypothesis import strategies as st
from local_issuer import KEYS, METADATA, LocalIssuer, Signer, local_issuer, private_key
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from served import Bench
from tiny_server import create
from transports import ERAS, environment, http_server

from argosy_core.errors import InvalidArgument, Unavailable
from argosy_core.serving.http import Address, build_app
from argosy_core.testing.fakes import FakeClock
from argosy_host.cli import run_cli
from argosy_host.issuer import asking, check, keys
from argosy_host.issuer.asking import ask_for_keys
from argosy_host.issuer.keys import IssuerKeys, keys_of
from argosy_host.issuer.places import check_issuer, may_be_asked, metadata_places
from argosy_host.tokens import BearerCheck, Tokens

pytestmark = pytest.mark.anyio
HERE = Address("127.0.0.1", 8750)
URL = f"{HERE.origin}/mcp"
PART_URL = f"{HERE.origin}/part/mcp"
FAR = 4_102_444_800  # seconds since 1970: the year 2100
HEADERS = {
    "accept": "application/json, text/event-stream",
    "content-type": "application/json",
    "mcp-protocol-version": MODERN,
    "mcp-method": "tools/call",
}
Answer = httpx2.Response


@pytest.fixture
def issuer() -> Generator[LocalIssuer]:
    with local_issuer() as found:
        yield found


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def bench(tmp_path: Path, clock: FakeClock) -> Bench:
    (tmp_path / "vault").mkdir()
    return Bench(tmp_path / "vault", clock)


class Served:
    """The tiny server at ``/mcp`` and once more at ``/part/mcp``, in process, by a clock that stands still."""

    def __init__(self, bench: Bench, issuer: LocalIssuer, client: httpx2.AsyncClient) -> None:
        self.bench = bench
        self.issuer = issuer
        self.client = client

    def claims(self, **changes: Any) -> dict[str, Any]:
        """What a good token says; a change to None leaves the claim out."""
        now = int(self.bench.clock.now().timestamp())
        good = {"iss": self.issuer.url, "aud": URL, "sub": "ada", "exp": now + 600, "nbf": now - 5}
        return {name: value for name, value in {**good, **changes}.items() if value is not None}

    async def call(self, token: str | None, tool: str = "tiny_who", url: str = URL, **headers: str) -> Answer:
        params = {"name": tool, "arguments": {}, "_meta": MODERN_META}
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})
        shown = {} if token is None else {"authorization": f"Bearer {token}"}
        return await self.client.post(url, content=body, headers={**HEADERS, "mcp-name": tool, **shown, **headers})

    async def said(self, token: str) -> str:
        return str((await self.call(token)).json()["result"]["content"][0]["text"])


@pytest.fixture
async def served(bench: Bench, issuer: LocalIssuer, tmp_path: Path) -> AsyncGenerator[Served]:
    async with serving(bench, issuer, tmp_path) as found:
        yield found


@asynccontextmanager
async def serving(bench: Bench, issuer: LocalIssuer, state: Path) -> AsyncGenerator[Served]:
    own = BearerCheck(Tokens(state / "s", bench.root, bench.clock))
    admitted = check.admission(own, issuer.url, bench.clock)
    app = build_app(create(bench.config()), {"part": create(bench.config())}, HERE, admitted)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url=HERE.origin) as client,
    ):
        yield Served(bench, issuer, client)


@asynccontextmanager
async def client_with(token: str, url: str, era: str) -> AsyncGenerator[Client]:
    async with httpx2.AsyncClient(headers={"authorization": f"Bearer {token}"}, timeout=20) as http:
        transport: Any = streamable_http_client(url, http_client=http)
        async with Client(transport, mode=era, cache=None) as client:
            yield client


@pytest.mark.usefixtures("own_state")
async def test_who_the_issuer_vouches_for_is_served_beside_the_vaults_own_in_either_era(
    issuer: LocalIssuer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    vault = make_vault(tmp_path / "vault")
    assert run_cli(["token", "new", "--vault", str(vault)]) == 0
    own = capsys.readouterr().out.strip()
    async with http_server(("journal",), vault, "--token-issuer", issuer.url) as url:
        for era in ERAS:
            subject = f"ada in {era}"
            claims = {"iss": issuer.url, "aud": url, "sub": subject, "exp": FAR}
            turn = {"conversation": "tides", "role": "user", "text": "When does it turn?"}
            async with client_with(Signer().sign(claims), url, era) as client:
                assert not (await client.call_tool("conversation_add", turn)).is_error
                assert (await client.call_tool("journal_doctor", {})).is_error
            operator = Signer().sign({**claims, "sub": "bo", "scope": "openid argosy:operator"})
            async with client_with(operator, url, era) as client:
                assert not (await client.call_tool("journal_doctor", {})).is_error
                theirs = await client.call_tool("conversation_list", {})
                assert (theirs.structured_content or {})["items"] == []
            async with client_with(own, url, era) as client:
                assert not (await client.call_tool("journal_days", {})).is_error
            principal = hashlib.sha256(f"{issuer.url}\0{subject}".encode()).hexdigest()
            assert [path for path in vault.rglob("*") if principal in str(path) and path.is_file()]


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
@pytest.mark.parametrize("key_id", ["one", None])
async def test_a_token_is_believed_for_the_server_that_it_is_meant_for(
    algorithm: str, key_id: str | None, served: Served
) -> None:
    signer = Signer(key_id, algorithm)
    served.issuer.publish(signer)
    assert await served.said(signer.sign(served.claims())) == "harbor agent bearer None None"
    assert await served.said(signer.sign(served.claims(aud=["https://else.example", URL]))) == (
        "harbor agent bearer None None"
    )
    parts = signer.sign(served.claims(aud=PART_URL))
    assert (await served.call(parts, url=PART_URL)).status_code == 200
    assert (await served.call(parts)).status_code == 401


SCOPES: list[tuple[dict[str, Any], str]] = [
    ({"scope": "argosy:operator"}, "operator"),
    ({"scope": "openid argosy:operator email"}, "operator"),
    ({"scp": ["argosy:operator"]}, "operator"),
    ({"scp": "argosy:operator"}, "operator"),
    ({"scope": "argosy:operators xargosy:operator ARGOSY:OPERATOR"}, "agent"),
    ({"scope": ["argosy:*"], "role": "operator", "argosy/agent": "reef"}, "agent"),
    ({"scope": {"argosy:operator": True}, "scp": [["argosy:operator"], 5]}, "agent"),
    ({}, "agent"),
]


async def test_a_scope_makes_an_operator_and_nothing_else_does(served: Served) -> None:
    for stated, role in SCOPES:
        token = Signer().sign(served.claims(**stated))
        assert await served.said(token) == f"harbor {role} bearer None None", stated
        operated = (await served.call(token, "tiny_operator")).json()["result"]
        assert operated.get("isError", False) == (role == "agent"), stated


async def test_clocks_may_differ_a_little(served: Served) -> None:
    now = served.bench.clock.now().timestamp()
    for changes in ({"exp": now - 29}, {"nbf": now + 29.5}):
        assert (await served.call(Signer().sign(served.claims(**changes)))).status_code == 200


def bare(header: Mapping[str, Any], claims: Mapping[str, Any], signature: bytes = b"") -> str:
    """A token put together by hand."""
    parts = (json.dumps(header).encode(), json.dumps(claims).encode(), signature)
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)


def with_public_key_as_secret(claims: Mapping[str, Any], form: str) -> str:
    """What a verifier believes that lets the token choose between one key and two."""
    public = private_key("EdDSA").public_key()
    secret = public.public_bytes_raw() if form == "raw" else public.public_bytes(
        Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
    )  # fmt: skip
    head, body, _ = bare({"alg": "HS256", "kid": "one", "typ": "JWT"}, claims).split(".")
    signed = hmac.digest(secret, f"{head}.{body}".encode(), "sha256")
    return f"{head}.{body}.{base64.urlsafe_b64encode(signed).decode().rstrip('=')}"


def with_other_claims(good: str, claims: Mapping[str, Any]) -> str:
    """The signature of *good* under other claims."""
    head, _, signature = good.split(".")
    return f"{head}.{bare({}, claims).split('.')[1]}.{signature}"


def nested(served: Served) -> str:
    deep = base64.urlsafe_b64encode(b"[" * 6000).decode().rstrip("=")
    return f"{deep}.{deep}.x"


Wrong = Callable[[Served], str]
WRONG: dict[str, Wrong] = {
    "for another server": lambda s: Signer().sign(s.claims(aud="https://else.example/mcp")),
    "for the whole host": lambda s: Signer().sign(s.claims(aud=HERE.origin)),
    "for what begins alike": lambda s: Signer().sign(s.claims(aud=f"{URL}x")),
    "for this server under another name": lambda s: Signer().sign(s.claims(aud="http://localhost:8750/mcp")),
    "for another server here": lambda s: Signer().sign(s.claims(aud=PART_URL)),
    "for nobody in particular": lambda s: Signer().sign(s.claims(aud=None)),
    "for an empty list": lambda s: Signer().sign(s.claims(aud=[])),
    "for what is no name": lambda s: Signer().sign(s.claims(aud=[URL, 5])),
    "of another issuer": lambda s: Signer().sign(s.claims(iss="https://id.example")),
    "of the issuer with a slash": lambda s: Signer().sign(s.claims(iss=f"{s.issuer.url}/")),
    "of no issuer": lambda s: Signer().sign(s.claims(iss=None)),
    "of the vault, it says": lambda s: Signer().sign(s.claims(iss="argosy")),
    "expired": lambda s: Signer().sign(s.claims(exp=s.bench.clock.now().timestamp() - 30)),
    "for ever": lambda s: Signer().sign(s.claims(exp=None)),
    "until infinity": lambda s: Signer().sign(s.claims(exp=float("inf"))),
    "until no number": lambda s: Signer().sign(s.claims(exp=float("nan"))),
    "until true": lambda s: Signer().sign(s.claims(exp=True)),
    "until words": lambda s: Signer().sign(s.claims(exp="9999999999")),
    "not yet valid": lambda s: Signer().sign(s.claims(nbf=s.bench.clock.now().timestamp() + 31)),
    "not before true": lambda s: Signer().sign(s.claims(nbf=True)),
    "not before words": lambda s: Signer().sign(s.claims(nbf="0")),
    "nobody's": lambda s: Signer().sign(s.claims(sub=None)),
    "of a subject without a name": lambda s: Signer().sign(s.claims(sub="")),
    "of a subject that is no name": lambda s: bare_signed(s, sub=["ada"]),
    "of a key nobody knows": lambda s: Signer("two", number=1).sign(s.claims()),
    "of another key under a known id": lambda s: Signer("one", number=1).sign(s.claims()),
    "of another kind of key under a known id": lambda s: Signer("one", "ES256").sign(s.claims()),
    "of a key that it brings along": lambda s: Signer("one", number=1).sign(s.claims(), jwk=Signer(number=1).jwk),
    "of a key without an id": lambda s: Signer(None, number=1).sign(s.claims()),
    "with no signature": lambda s: bare({"alg": "none", "kid": "one"}, s.claims()),
    "with no signature, in capitals": lambda s: bare({"alg": "NONE", "kid": "one"}, s.claims()),
    "with an empty signature": lambda s: bare({"alg": "EdDSA", "kid": "one"}, s.claims()),
    "with no algorithm": lambda s: bare({"kid": "one"}, s.claims()),
    "with a list of algorithms": lambda s: bare({"alg": ["EdDSA"], "kid": "one"}, s.claims()),
    "with a number for a key": lambda s: bare({"alg": "EdDSA", "kid": 1}, s.claims()),
    "signed with the public key as a secret": lambda s: with_public_key_as_secret(s.claims(), "pem"),
    "signed with the public key's bytes": lambda s: with_public_key_as_secret(s.claims(), "raw"),
    "signed for somebody else": lambda s: with_other_claims(Signer().sign(s.claims()), s.claims(sub="bo")),
    "with something critical": lambda s: Signer().sign(s.claims(), crit=["new"], new=1),
    "nested without end": nested,
    "too long": lambda s: Signer().sign(s.claims(note="x" * 16_384)),
    "not a token": lambda s: "not.a.token",
    "two parts": lambda s: "a.b",
    "a vault's that is none": lambda s: "argosy_x",
    "empty": lambda s: "",
}


def bare_signed(served: Served, **changes: Any) -> str:
    """A token signed as it stands: the library would not make it."""
    return jwt.PyJWS().encode(
        json.dumps(served.claims(**changes)).encode(), private_key("EdDSA"), "EdDSA", {"kid": "one"}
    )


async def test_a_token_that_is_not_good_is_refused_and_named_nowhere(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    where = f"{HERE.origin}/.well-known/oauth-protected-resource/mcp"
    for name, wrong in WRONG.items():
        caplog.clear()
        token = wrong(served)
        answer = await served.call(token)
        assert answer.status_code == 401, name
        assert answer.headers["www-authenticate"].startswith("Bearer "), name
        assert f'resource_metadata="{where}"' in answer.headers["www-authenticate"], name
        told = answer.text + str(answer.headers) + caplog.text
        assert not any(len(part) > 8 and part in told for part in token.split(".")), name
        assert (await served.call(Signer().sign(served.claims()))).status_code == 200, name


async def test_a_token_is_looked_for_in_one_header_and_nowhere_else(served: Served) -> None:
    good = Signer().sign(served.claims())
    assert (await served.call(None)).status_code == 401
    assert (await served.call(None, url=f"{URL}?access_token={good}")).status_code == 401
    assert (await served.call(None, authorization=f"Basic {good}")).status_code == 401
    params = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "ping"})
    twice = [*HEADERS.items(), ("authorization", f"Bearer {good}"), ("authorization", f"Bearer {good}x")]
    assert (await served.client.post(URL, content=params, headers=twice)).status_code == 401
    assert (await served.client.get("/health/live")).status_code == 200


@given(st.data())
def test_no_other_character_anywhere_in_a_good_token_is_believed(data: st.DataObject) -> None:
    clock = FakeClock()
    good = Signer().sign({"iss": "https://id.example", "aud": URL, "sub": "ada", "exp": FAR})

    async def answer(_: str) -> Mapping[str, Any]:
        return {"keys": [Signer().jwk]}

    one = check.IssuedCheck("https://id.example", URL, IssuerKeys("https://id.example", clock, answer), clock)
    at = data.draw(st.integers(0, len(good) - 1))
    other = data.draw(st.sampled_from("ABab01-_.=+/ \0é").filter(lambda found: found != good[at]))
    assert anyio.run(one.verify_token, good) is not None
    assert anyio.run(one.verify_token, good[:at] + other + good[at + 1 :]) is None
    assert anyio.run(one.verify_token, good[:at]) is None


async def test_a_token_that_names_no_key_is_no_riddle(served: Served) -> None:
    one, other = Signer("one"), Signer("other", number=1)
    served.issuer.publish(one, other, Signer("third", "ES256"))
    for signer in (one, other):
        unnamed = Signer(None, number=signer.number)
        assert (await served.call(unnamed.sign(served.claims()))).status_code == 401
    assert (await served.call(Signer(None, "ES256").sign(served.claims()))).status_code == 200


@pytest.mark.parametrize(("path", "resource"), [("/mcp", URL), ("/part/mcp", PART_URL)])
async def test_each_server_says_who_issues_tokens_for_it_and_no_web_page_reads_that(
    path: str, resource: str, served: Served
) -> None:
    answer = await served.client.get(
        f"/.well-known/oauth-protected-resource{path}", headers={"origin": "http://evil.example"}
    )
    stated = answer.json()
    assert (stated["resource"], stated["authorization_servers"]) == (resource, [served.issuer.url])
    assert stated["scopes_supported"] == ["argosy:operator"]
    assert not any(name.startswith("access-control") for name in answer.headers)
    refused = await served.call(None, url=resource)
    assert f'/.well-known/oauth-protected-resource{path}"' in refused.headers["www-authenticate"]


async def test_a_token_named_by_nobody_here_asks_the_issuer_once_a_minute(served: Served, clock: FakeClock) -> None:
    old, new = Signer("old"), Signer("new", number=1)
    served.issuer.publish(old)
    assert (await served.call(old.sign(served.claims()))).status_code == 200
    served.issuer.publish(new)
    for _ in range(5):
        assert (await served.call(new.sign(served.claims()))).status_code == 401
        clock.advance(keys.ASK_AGAIN_SECONDS / 5 - 0.1)
    assert served.issuer.asked == [METADATA, KEYS]
    clock.advance(0.5)
    assert (await served.call(new.sign(served.claims()))).status_code == 200
    assert (await served.call(old.sign(served.claims()))).status_code == 401
    assert served.issuer.asked == [METADATA, KEYS] * 2


async def test_a_key_that_was_withdrawn_is_believed_for_an_hour_at_most(served: Served, clock: FakeClock) -> None:
    assert (await served.call(Signer().sign(served.claims()))).status_code == 200
    served.issuer.publish(Signer("two", number=1))
    clock.advance(keys.KEPT_SECONDS - 1)
    assert (await served.call(Signer().sign(served.claims()))).status_code == 200
    clock.advance(1)
    assert (await served.call(Signer().sign(served.claims()))).status_code == 401


async def test_while_the_issuer_is_away_nobody_new_comes_in_and_nobody_is_called_a_liar(
    served: Served, clock: FakeClock
) -> None:
    good = Signer().sign(served.claims(exp=FAR))
    served.issuer.answer(METADATA, b"{}", 500)
    for _ in range(3):
        answer = await served.call(good)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "10")
        assert answer.json()["error"] == "temporarily_unavailable" and good not in answer.text
    assert served.issuer.asked == [METADATA]
    served.issuer.metadata()
    assert (await served.call(good)).status_code == 503
    clock.advance(keys.AWAY_SECONDS)
    assert (await served.call(good)).status_code == 200
    served.issuer.answer(KEYS, b"{}", 500)
    clock.advance(keys.KEPT_SECONDS - 1)
    assert (await served.call(good)).status_code == 200
    assert (await served.call(Signer("two", number=1).sign(served.claims()))).status_code == 503
    clock.advance(1)
    assert (await served.call(good)).status_code == 503
    assert (await served.call("argosy_x")).status_code == 401


async def test_many_who_come_at_once_ask_the_issuer_once(served: Served) -> None:
    codes: list[int] = []

    async def come(number: int) -> None:
        signer = Signer() if number % 2 else Signer(f"unknown {number}", number=1)
        codes.append((await served.call(signer.sign(served.claims()))).status_code)

    async with anyio.create_task_group() as tasks:
        for number in range(20):
            tasks.start_soon(come, number)
    assert sorted(codes) == [200] * 10 + [401] * 10
    assert served.issuer.asked == [METADATA, KEYS]
    assert not any(name.lower() in ("authorization", "cookie") for sent in served.issuer.headers for name in sent)


async def test_an_issuer_that_is_slow_keeps_nobody_waiting_for_long(issuer: LocalIssuer, clock: FakeClock) -> None:
    found = IssuerKeys(issuer.url, clock, partial(ask_for_keys, within_seconds=0.1))
    issuer.held.clear()
    with anyio.fail_after(20):
        for _ in range(3):
            with pytest.raises(Unavailable, match="does not answer"):
                await found.find("one", "EdDSA")
        assert issuer.asked == [METADATA]
        issuer.held.set()
        clock.advance(keys.AWAY_SECONDS)
        lasting = IssuerKeys(issuer.url, clock)
        assert await lasting.find("one", "EdDSA") is not None


async def test_whoever_leaves_while_the_issuer_is_asked_leaves_nothing_open(
    issuer: LocalIssuer, clock: FakeClock
) -> None:
    asked, left = anyio.Event(), anyio.Event()

    async def never(_: str) -> Mapping[str, Any]:
        asked.set()
        await left.wait()
        return {}

    found = IssuerKeys(issuer.url, clock, never)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(found.find, "one", "EdDSA")
        await asked.wait()
        tasks.cancel_scope.cancel()
    with pytest.raises(Unavailable):
        await found.find("one", "EdDSA")


ODD: dict[str, tuple[Callable[[LocalIssuer], None], str]] = {
    "as somebody else": (lambda i: i.metadata(issuer="https://id.example"), "another name"),
    "with a slash": (lambda i: i.metadata(issuer=f"{i.url}/"), "another name"),
    "keys in plain HTTP elsewhere": (lambda i: i.metadata(jwks_uri="http://id.example/keys"), "no place"),
    "keys in a file": (lambda i: i.metadata(jwks_uri="file:///etc/passwd"), "no place"),
    "keys nowhere": (lambda i: i.metadata(jwks_uri=None), "no place"),
    "keys not there": (lambda i: i.metadata(jwks_uri=f"{i.url}/none"), "not where it says"),
    "nothing": (lambda i: i.answer(METADATA, b"{}", 404), "no metadata"),
    "sent on": (lambda i: i.answer(METADATA, b"", 302, location="https://id.example/"), "answered 302"),
    "no JSON": (lambda i: i.answer(METADATA, b"<html>"), "JSONDecodeError"),
    "a list": (lambda i: i.answer(KEYS, b"[]"), "not of the form"),
    "nested without end": (lambda i: i.answer(KEYS, b"[" * 200_000), "RecursionError"),
    "far too much": (lambda i: i.answer(KEYS, b" " * (asking.MAX_ANSWER_BYTES + 1)), "too large"),
    "more than it says": (lambda i: i.answer(KEYS, b"{}", content_length="500000"), "does not answer"),
    "packed": (lambda i: i.answer(KEYS, b"\x1f\x8b\x08\0", content_encoding="gzip"), "does not answer"),
}


@pytest.mark.parametrize(("odd", "said"), ODD.values(), ids=ODD)
async def test_an_issuer_that_answers_oddly_is_away(
    odd: Callable[[LocalIssuer], None], said: str, issuer: LocalIssuer
) -> None:
    odd(issuer)
    with pytest.raises(Unavailable, match=said):
        await ask_for_keys(issuer.url, 2 if said != "does not answer" else 0.3)


async def test_a_port_where_nobody_listens_is_an_issuer_that_is_away() -> None:
    with local_issuer() as gone:
        url = gone.url
    with pytest.raises(Unavailable, match="ConnectError"):
        await ask_for_keys(url)


@pytest.mark.parametrize(
    "place",
    [
        "/.well-known/oauth-authorization-server/realms/home",
        "/.well-known/openid-configuration/realms/home",
        "/realms/home/.well-known/openid-configuration",
    ],
)
async def test_metadata_is_found_where_either_standard_puts_it(place: str, issuer: LocalIssuer) -> None:
    named = f"{issuer.url}/realms/home"
    issuer.metadata(place, issuer=named)
    assert (await ask_for_keys(named))["keys"] == [Signer().jwk]
    assert set(issuer.asked) <= {place, KEYS, *(url.removeprefix(issuer.url) for url in metadata_places(named))}


def test_keys_that_may_not_verify_are_left_out() -> None:
    good = Signer().jwk
    other = [
        {**good, "kid": "encrypts", "use": "enc"},
        {**good, "kid": "signs", "key_ops": ["sign"]},
        {**good, "kid": "odd", "key_ops": 5},
        {**good, "kid": "another algorithm", "alg": "ES256"},
        {**good, "kid": "private", "d": "AAAA"},
        {**good, "kid": "short", "x": "AAAA"},
        {**good, "kid": 5},
        {**good, "kid": "curve", "crv": "Ed448"},
        {"kty": "oct", "kid": "secret", "k": "c2VjcmV0", "alg": "HS256"},
        {"kty": "RSA", "kid": "tiny", "n": "vv8", "e": "AQAB"},
        {"kty": "RSA", "kid": "no numbers"},
        {"kty": "EC", "kid": "off the curve", "crv": "P-256", "x": "AQ", "y": "AQ"},
        {"kty": ["OKP"], "kid": "list"},
        "text",
        None,
    ]
    rsa = {**Signer("rsa", "RS256").jwk, "alg": "RS256"}
    assert set(keys_of({"keys": [*other, good, rsa]})) == {("one", "EdDSA"), ("rsa", "RS256")}
    for wrong in ({}, {"keys": {}}, {"keys": [good] * (keys.MAX_KEYS + 1)}):
        with pytest.raises(Unavailable):
            keys_of(wrong)


@pytest.mark.parametrize(
    "url",
    [
        "http://id.example",
        "http://10.0.0.1:8080",
        "http://localhost.example",
        "ftp://id.example",
        "id.example",
        "https://",
        "https://ada:word@id.example",
        "https://id.example?x=1",
        "https://id.example#x",
        "https://id.example/a b",
        "https://id.example:port",
        "https://[::1",
        "https://id.example/\n",
        f"https://id.example/{'x' * 2048}",
        "",
    ],
)
def test_what_cannot_be_an_issuer_is_refused_at_the_start(url: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument):
        check_issuer(url)
    line = ["serve", "journal", "--vault", str(tmp_path), "--http", "127.0.0.1:0", "--token-issuer", url]
    assert run_cli(line) == 2


def test_an_issuer_is_another_machine_by_https_or_this_one() -> None:
    for url in ("https://id.example", "https://id.example/realms/home/", "http://127.0.0.1:9", "http://[::1]:9/a"):
        assert check_issuer(url) == url
    assert may_be_asked("https://keys.example/v1?kind=sig", "https://id.example")
    assert not may_be_asked("http://127.0.0.1:9/keys", "https://id.example")
    assert may_be_asked("http://localhost:9/keys", "http://127.0.0.1:9")


def test_a_server_that_believes_no_issuer_imports_nothing_for_one(tmp_path: Path) -> None:
    given = """
import sys
from pathlib import Path
from mcp.server import MCPServer
from argosy_core.clock import SystemClock
from argosy_core.serving.http import Address, build_app
from argosy_host.cli.serve_alone import ServeOptions, _admission
options = ServeOptions((), Path(), None, "agent", None, "127.0.0.1:0", None, "default", "INFO")
assert _admission(options, Path(), SystemClock()) is None
build_app(MCPServer("x"), {}, Address("127.0.0.1", 1))
print([name for name in sys.modules if name.startswith(("argosy_host.issuer", "argosy_core.serving.admission"))])
"""
    line = [sys.executable, "-P", "-c", given]
    done = subprocess.run(line, capture_output=True, text=True, env=environment(XDG_STATE_HOME=str(tmp_path)))
    assert done.stdout == "[]\n", done.stderr


@pytest.mark.usefixtures("own_state")
def test_an_issuer_opens_neither_pipes_nor_other_machines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    vault = make_vault(tmp_path / "vault")
    line = ["serve", "journal", "--vault", str(vault), "--token-issuer", "https://id.example"]
    assert run_cli(line) == 2
    assert "--http" in capsys.readouterr().err
    assert run_cli([*line, "--http", "0.0.0.0:8750"]) != 0
    assert "127.0.0.1" in capsys.readouterr().err
