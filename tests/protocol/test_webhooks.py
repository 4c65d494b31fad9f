"""Webhooks over a real port: what is signed fires once, everything else fires nothing."""

from __future__ import annotations

import base64
import hashlib
import hmac
import urllib.error
import urllib.request
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from anyio import to_thread
from served import Bench

from argosy_core.errors import InvalidArgument, Unauthenticated
from argosy_core.secrets.secret import Secret
from argosy_core.secrets.secret_store import open_secrets
from argosy_core.secrets.signatures import check_signature, delivery_of
from argosy_core.types import Role
from argosy_core.views.vault_reader import VaultReader
from argosy_host.metrics import Metrics, serve_health
from argosy_host.webhooks import MAX_BODY_BYTES, Webhooks
from argosy_scheduler.server import create

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]
KEY = "a-hook-secret-0123456789"
BODY = b'{"ref": "refs/heads/main"}'
TRIGGER = "---\nwebhook: {path: git/push, secret_name: GIT_HOOK}\nagent: harbor\n---\n\nLook at the repository.\n"


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setenv("ARGOSY_SECRET_GIT_HOOK", KEY)
    found = Bench(tmp_path)
    found.write("_fleet/triggers/pushed.md", TRIGGER)
    return found


def github(body: bytes = BODY, key: str = KEY, delivery: str = "72d3162e-cc78-11e3") -> dict[str, str]:
    digest = hmac.new(key.encode(), body, hashlib.sha256).hexdigest()
    return {"x-hub-signature-256": f"sha256={digest}", "x-github-delivery": delivery}


def standard(at: int, body: bytes = BODY, key: bytes = KEY.encode(), delivery: str = "msg_1") -> dict[str, str]:
    signed = hmac.new(key, f"{delivery}.{at}.".encode() + body, hashlib.sha256).digest()
    signature = f"v1,{base64.b64encode(signed).decode()}"
    return {"webhook-id": delivery, "webhook-timestamp": str(at), "webhook-signature": f"v1,bad {signature}"}


@asynccontextmanager
async def door(bench: Bench) -> AsyncGenerator[str]:
    """The address of a fleet's health, with its webhooks."""
    config = bench.config(None, Role.OPERATOR, profile="full")
    secrets = open_secrets(VaultReader(config.store.files), bench.root / ".config", clock=config.clock)
    hooks = Webhooks(create(config), secrets, bench.clock)
    async with anyio.create_task_group() as tasks:
        url: str = await tasks.start(serve_health, "127.0.0.1:0", Metrics(bench.clock), hooks)
        yield f"{url}/hooks/git/push"
        tasks.cancel_scope.cancel()
    config.store.close()


def _send(url: str, body: bytes, headers: dict[str, str]) -> int:
    request = urllib.request.Request(url, data=body, headers=headers, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


async def send(url: str, headers: dict[str, str], body: bytes = BODY) -> int:
    return await to_thread.run_sync(_send, url, body, headers)


async def items(bench: Bench) -> list[dict[str, object]]:
    config = bench.config()
    found, _ = await config.store.items.list(limit=100)
    config.store.close()
    return [dict(item.payload) for item in found]


async def test_a_signed_delivery_fires_once_however_often_and_late_it_comes(bench: Bench) -> None:
    async with door(bench) as url:
        assert await send(url, github()) == 202
        bench.clock.advance(3600)  # type: ignore[attr-defined]
        assert await send(url, github()) == 202
        assert await send(url, github(delivery="another")) == 202
        assert await send(url, standard(int(bench.clock.now().timestamp()))) == 202

    found = await items(bench)
    assert sorted(str(item["delivery"]) for item in found) == ["72d3162e-cc78-11e3", "another", "msg_1"]
    assert {item["task"] for item in found} == {"Look at the repository."}
    assert "refs/heads" not in repr(found)


async def test_many_same_deliveries_at_once_fire_once(bench: Bench) -> None:
    async with door(bench) as url, anyio.create_task_group() as tasks:
        for _ in range(6):
            tasks.start_soon(send, url, github())

    assert len(await items(bench)) == 1


async def test_what_is_not_signed_fires_nothing_and_all_of_it_is_answered_alike(bench: Bench) -> None:
    now = int(bench.clock.now().timestamp())
    async with door(bench) as url:
        refused = [
            await send(url, github(key="another-secret-0123456789")),
            await send(url, github(body=b"{}")),
            await send(url, {"x-github-delivery": "d"}),
            await send(url, standard(now - 3600)),
            await send(url, standard(now) | {"webhook-id": "msg_2"}),
            await send(url.replace("push", "pull"), github()),
            await send(f"{url}/../../triggers", github()),
        ]
        no_id = await send(url, {"x-hub-signature-256": github()["x-hub-signature-256"]})
        page = await send(url, github() | {"Origin": "http://evil.example"})
        rebound = await send(url, github() | {"Host": "evil.example"})
        large = await send(url, github(), b"x" * (MAX_BODY_BYTES + 1))

    assert refused[:6] == [401] * 6 and refused[6] in (401, 404)
    assert (no_id, page, rebound, large) == (400, 403, 400, 413)
    assert await items(bench) == []


@pytest.mark.parametrize(
    "text", [TRIGGER.replace("---\n\n", "enabled: false\n---\n\n"), TRIGGER.replace("GIT_HOOK", "GONE")]
)
async def test_a_trigger_that_is_off_or_has_no_secret_takes_nothing(text: str, bench: Bench) -> None:
    bench.write("_fleet/triggers/pushed.md", text)
    async with door(bench) as url:
        assert await send(url, github()) == 401

    assert await items(bench) == []


async def test_a_key_in_the_second_forms_own_spelling_is_understood() -> None:
    key = b"0123456789abcdef01234567"
    secret = Secret(f"whsec_{base64.b64encode(key).decode()}")

    check_signature(secret, standard(1000, key=key), BODY, 1000.0)
    for wrong in ("", "1e3", "9" * 20, "-5"):
        with pytest.raises(Unauthenticated):
            check_signature(secret, standard(1000, key=key) | {"webhook-timestamp": wrong}, BODY, 1000.0)


@pytest.mark.parametrize("name", ["", "a b", "x" * 201, "ä"])
def test_a_delivery_needs_an_id(name: str) -> None:
    with pytest.raises(InvalidArgument):
        delivery_of({"webhook-id": name})
