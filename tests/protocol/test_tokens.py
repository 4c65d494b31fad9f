"""Bearer tokens over HTTP: made once, kept as a digest, believed until revoked; without one nobody comes in."""

from __future__ import annotations

import json
from pathlib import Path

import httpx2
import pytest
from children import MODERN, MODERN_META
from fleet_fixtures import make_vault
from transports import http_server

from argosy_core.errors import Corrupted, InvalidArgument, NotFound
from argosy_core.ids import SystemIds
from argosy_core.testing.fakes import FakeClock
from argosy_core.types import Role
from argosy_host.cli import run_cli
from argosy_host.tokens import BearerCheck, Tokens
from argosy_host.trust import state_folder

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state/argosy"


@pytest.fixture
def vault(tmp_path: Path) -> Path:
    return make_vault(tmp_path / "vault", {"bo/model.md": "# Model\n", "fleet.md": "---\ndefault_agent: ada\n---\n"})


def new(capsys: pytest.CaptureFixture[str], vault: Path, *more: str) -> str:
    assert run_cli(["token", "new", "--vault", str(vault), *more]) == 0
    return capsys.readouterr().out.strip()


async def called(url: str, tool: str, token: str | None, arguments: dict[str, str] | None = None) -> httpx2.Response:
    params = {"name": tool, "arguments": arguments or {}, "_meta": MODERN_META}
    headers = {
        "accept": "application/json, text/event-stream",
        "content-type": "application/json",
        "mcp-protocol-version": MODERN,
        "mcp-method": "tools/call",
        "mcp-name": tool,
    } | ({"authorization": f"Bearer {token}"} if token is not None else {})
    async with httpx2.AsyncClient(timeout=20) as client:
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})
        return await client.post(url, content=body, headers=headers)


async def test_a_vault_that_has_a_token_lets_nobody_in_without_one(
    vault: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    agents, operators = new(capsys, vault, "--agent", "bo"), new(capsys, vault, "--role", "operator")
    async with http_server(("journal",), vault) as url:
        for wrong in (None, "argosy_x", agents[:-1], agents.removeprefix("argosy_")):
            answer = await called(url, "journal_days", wrong)
            assert answer.status_code == 401, wrong
        written = await called(url, "journal_append", agents, {"text": "The tide turned."})
        assert written.status_code == 200
        assert list((vault / "bo/journal").rglob("*.md")) and "tide" not in str(list((vault / "ada").rglob("*tide*")))
        refused = (await called(url, "journal_doctor", agents)).json()["result"]
        assert refused["isError"]
        assert not (await called(url, "journal_doctor", operators)).json()["result"].get("isError")
        [first, _] = Tokens(state_folder(), vault, FakeClock()).listed()
        assert run_cli(["token", "revoke", first.id, "--vault", str(vault)]) == 0
        assert (await called(url, "journal_days", agents)).status_code == 401
        assert (await called(url, "journal_days", operators)).status_code == 200
        async with httpx2.AsyncClient(timeout=20) as client:
            assert (await client.get(url.replace("/mcp", "/health/live"))).status_code == 200


def test_what_is_kept_is_no_token_and_lies_outside_the_vault(
    vault: Path, state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = new(capsys, vault)
    kept = (state / "tokens.json").read_text()
    assert secret not in kept and secret.removeprefix("argosy_") not in kept
    assert not [path for path in vault.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]
    assert run_cli(["token", "list", "--vault", str(vault), "--json"]) == 0
    shown = capsys.readouterr().out
    assert secret not in shown
    assert json.loads(shown)["items"][0]["state"] == "active"


async def test_a_token_ends_when_it_was_said_to_and_is_of_one_vault(tmp_path: Path, vault: Path) -> None:
    clock = FakeClock()
    tokens = Tokens(tmp_path / "s", vault, clock)
    record, secret = tokens.new("ada", Role.AGENT, 1, SystemIds())
    assert await BearerCheck(tokens).verify_token(secret) is not None
    assert await BearerCheck(Tokens(tmp_path / "s", tmp_path, clock)).verify_token(secret) is None
    clock.advance(24 * 3600 + 1)
    assert await BearerCheck(tokens).verify_token(secret) is None
    assert (record.state(clock), len(tokens.listed())) == ("expired", 1)


async def test_a_file_that_cannot_be_read_lets_nobody_in_and_is_not_written_over(tmp_path: Path, vault: Path) -> None:
    tokens = Tokens(tmp_path / "s", vault, FakeClock())
    _, secret = tokens.new("ada", Role.AGENT, 1, SystemIds())
    (tmp_path / "s/tokens.json").write_text("[{")
    assert await BearerCheck(tokens).verify_token(secret) is None
    for attempt in (tokens.listed, lambda: tokens.new("ada", Role.AGENT, 1, SystemIds())):
        with pytest.raises(Corrupted):
            attempt()
    assert (tmp_path / "s/tokens.json").read_text() == "[{"


def test_what_cannot_be_is_refused(vault: Path, tmp_path: Path) -> None:
    tokens = Tokens(tmp_path / "s", vault, FakeClock())
    with pytest.raises(InvalidArgument):
        tokens.new("ada", Role.AGENT, 367, SystemIds())
    with pytest.raises(NotFound):
        tokens.revoke("token_x")
    for arguments in (["--expires", "soon"], ["--expires", "0d"]):
        assert run_cli(["token", "new", "--vault", str(vault), *arguments]) == 2
