"""The secrets server through its tools: names to anyone, values to the host of a run, changes by a person alone."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import anyio
import pytest
from anyio import to_thread
from fleet_fixtures import make_vault
from mcp import Client
from mcp_types import ElicitRequestURLParams, ElicitResult

from argosy_core.clock import SystemClock
from argosy_core.secrets.keys import ScryptCost
from argosy_core.secrets.redaction import Redactor
from argosy_core.secrets.secret_store import Surroundings, open_secrets
from argosy_core.secrets.sources import KeyringSource
from argosy_core.serving.config import ServerConfig, open_store
from argosy_core.serving.identity import RUN_META, RunTokens
from argosy_core.types import Role
from argosy_secrets.server import create

pytestmark = pytest.mark.anyio
VALUE = "token-value-1"
FLEET = (
    "---\ndefault_agent: ada\nsecrets:\n  GITHUB_TOKEN:\n    tools: [github__create]\n    arguments: [token]\n"
    "    hosts: [api.github.com]\n  LATER:\n    tools: [a__b]\n    arguments: [c]\n---\n"
)
ERAS = ("2026-07-28", "legacy")


@pytest.fixture
def vault(tmp_path: Path) -> Path:
    return make_vault(tmp_path / "vault", {"fleet.md": FLEET})


def no_keyring() -> Any:
    raise ImportError("keyring")


def surroundings(**environ: str) -> Surroundings:
    variables = {"ARGOSY_PASSPHRASE": "correct horse", **environ}
    return Surroundings(variables, KeyringSource(no_keyring), None, ScryptCost(n=16), Redactor())


@asynccontextmanager
async def secrets(
    vault: Path,
    role: Role = Role.AGENT,
    *,
    tokens: RunTokens | None = None,
    page_seconds: float = 20.0,
    era: str = ERAS[0],
    environ: dict[str, str] | None = None,
    **client_fields: Any,
) -> AsyncGenerator[Client]:
    store = open_store(vault)
    config = ServerConfig(
        store=store, agent="ada", role=role, profile="full", host_key=tokens.public_key if tokens else None
    )
    variables = {"ARGOSY_SECRET_GITHUB_TOKEN": VALUE} if environ is None else environ
    server = create(
        config, folder=vault.parent / "config", surroundings=surroundings(**variables), page_seconds=page_seconds
    )
    try:
        async with Client(server, mode=era, cache=None, **client_fields) as client:  # type: ignore[arg-type]
            yield client
    finally:
        await to_thread.run_sync(store.close)


async def call(client: Client, tool: str, /, meta: Any = None, **arguments: Any) -> Any:
    result = await client.call_tool(tool, arguments, meta=meta)
    return text_of(result) if result.is_error else result.structured_content


def text_of(result: Any) -> str:
    return "".join(block.text for block in result.content)


def logged(vault: Path) -> str:
    return "".join(path.read_text() for path in (vault / "_fleet").rglob("*.jsonl"))


async def test_the_list_has_names_and_never_values(vault: Path) -> None:
    async with secrets(vault) as client:
        result = await client.call_tool("secrets_list", {})
        first = await call(client, "secrets_list", limit=1)
        rest = await call(client, "secrets_list", cursor=first["next_cursor"])

    assert VALUE not in result.model_dump_json()
    assert result.structured_content == {
        "items": [
            {
                "name": "GITHUB_TOKEN",
                "source": "environment",
                "set_at": None,
                "audience": {"tools": ["github__create"], "arguments": ["token"], "hosts": ["api.github.com"]},
            },
            {
                "name": "LATER",
                "source": None,
                "set_at": None,
                "audience": {"tools": ["a__b"], "arguments": ["c"], "hosts": []},
            },
        ],
        "next_cursor": None,
    }
    assert text_of(result) == "GITHUB_TOKEN (environment) for github__create\nLATER (not set) for a__b"
    assert first["items"] + rest["items"] == result.structured_content["items"]


async def test_a_check_says_whether_a_secret_could_be_used_and_why_not(vault: Path) -> None:
    environ = {"ARGOSY_SECRET_GITHUB_TOKEN": VALUE, "ARGOSY_SECRET_LONE": "lonely-value", "ARGOSY_SECRET_LATER": "abc"}
    async with secrets(vault, environ=environ) as client:
        good = await call(client, "secrets_check", name="GITHUB_TOKEN")
        lone = await call(client, "secrets_check", name="LONE")
        short = await call(client, "secrets_check", name="LATER")
        none = await call(client, "secrets_check", name="NOBODY")

    assert (good["usable"], good["problem"]) == (True, None)
    assert (lone["usable"], lone["problem"]) == (False, "it has no audience")
    assert not short["usable"] and "fewer than 6" in short["problem"] and "abc" not in short["problem"]
    assert none.startswith("not_found:") and "mcp-host secret set NOBODY" in none


@pytest.mark.parametrize("role", [Role.AGENT, Role.OPERATOR, Role.HOST])
async def test_no_flag_gives_a_value(vault: Path, role: Role) -> None:
    async with secrets(vault, role) as client:
        refused = await call(client, "secrets_resolve", name="GITHUB_TOKEN")
    assert refused.startswith("permission_denied:") and VALUE not in refused


async def test_the_host_of_a_run_gets_the_value_and_the_text_has_none_of_it(vault: Path) -> None:
    tokens = RunTokens(SystemClock())
    meta: Any = {RUN_META: tokens.issue("ada", "run-1")}
    async with secrets(vault, tokens=tokens) as client:
        result = await client.call_tool("secrets_resolve", {"name": "GITHUB_TOKEN"}, meta=meta)
        missing = await call(client, "secrets_resolve", meta=meta, name="LATER")
        forged = await call(client, "secrets_resolve", meta={RUN_META: "a.b"}, name="GITHUB_TOKEN")
        other = RunTokens(SystemClock()).issue("ada", "run-1")
        foreign = await call(client, "secrets_resolve", meta={RUN_META: other}, name="GITHUB_TOKEN")

    assert result.structured_content == {"name": "GITHUB_TOKEN", "value": VALUE}
    assert (result.meta or {})["argosy/secret"] is True and VALUE not in text_of(result)
    assert missing.startswith("not_found:")
    assert forged.startswith("unauthenticated:") and foreign.startswith("unauthenticated:")
    assert VALUE not in logged(vault)


@pytest.mark.parametrize("tool", ["secrets_set", "secrets_rotate", "secrets_remove"])
async def test_changes_are_for_operators(vault: Path, tool: str) -> None:
    async with secrets(vault) as client:
        assert (await call(client, tool, name="GITHUB_TOKEN")).startswith("permission_denied:")


async def test_a_run_may_not_change_secrets_either(vault: Path) -> None:
    tokens = RunTokens(SystemClock())
    async with secrets(vault, tokens=tokens) as client:
        answer = await call(client, "secrets_remove", meta={RUN_META: tokens.issue("ada", "r")}, name="GITHUB_TOKEN")
    assert answer.startswith("permission_denied:")


async def test_a_client_that_shows_no_pages_is_told_what_to_type(vault: Path) -> None:
    async with secrets(vault, Role.OPERATOR) as client:
        answer = await call(client, "secrets_set", name="NEW_TOKEN")
        value = await call(client, "secrets_set", name="NEW_TOKEN", value=VALUE)
    assert answer.startswith("unavailable:") and "mcp-host secret set NEW_TOKEN" in answer
    assert value.startswith("invalid_argument:") and VALUE not in value


@pytest.mark.parametrize(
    ("tool", "arguments", "code"),
    [
        ("secrets_check", {"name": "lower"}, "invalid_argument"),
        ("secrets_set", {"name": "lower"}, "invalid_argument"),
        ("secrets_rotate", {"name": "NOBODY"}, "not_found"),
        ("secrets_remove", {"name": "NOBODY"}, "not_found"),
        ("secrets_remove", {"name": "GITHUB_TOKEN"}, "blocked"),
        ("secrets_list", {"cursor": "x"}, "invalid_argument"),
        ("secrets_list", {"values": True}, "invalid_argument"),
    ],
)
async def test_bad_input_is_named(vault: Path, tool: str, arguments: dict[str, Any], code: str) -> None:
    async with secrets(vault, Role.OPERATOR) as client:
        assert (await call(client, tool, **arguments)).startswith(f"{code}:")


async def test_a_broken_fleet_md_is_found_and_sends_nothing_anywhere(vault: Path) -> None:
    (vault / "fleet.md").write_text("---\nsecrets:\n  GITHUB_TOKEN: {tools: [\n---\n")
    async with secrets(vault, Role.OPERATOR) as client:
        report = await call(client, "secrets_doctor")
        listed = await call(client, "secrets_list")
    assert (report["findings"][0]["status"], report["findings"][0]["file"]) == ("fail", "fleet.md")
    assert [item["audience"] for item in listed["items"]] == [None]


async def test_the_doctor_finds_what_has_no_value_and_what_is_passed_over(vault: Path) -> None:
    async with secrets(vault, Role.OPERATOR) as client:
        report = await call(client, "secrets_doctor")
        status = await call(client, "secrets_status")
    assert [f["check"] for f in report["findings"]] == ["secret_missing", "sources"]
    assert "keyring is not installed" in report["findings"][1]["message"]
    assert status["counts"] == {"secrets": 1} and status["healthy"]


async def test_a_file_that_others_may_read_makes_the_server_unhealthy(vault: Path) -> None:
    folder = vault.parent / "config"
    open_secrets(None, folder, surroundings()).set("TOKEN", VALUE)
    (folder / "secrets.json").chmod(0o644)
    async with secrets(vault, Role.OPERATOR) as client:
        status = await call(client, "secrets_status")
        report = await call(client, "secrets_doctor")
        refused = await call(client, "secrets_check", name="TOKEN")
    assert not status["healthy"] and report["findings"][0]["status"] == "fail"
    assert refused.startswith("permission_denied:") and str(vault.parent) not in refused


# The page


async def request(url: str, head: str, body: str = "") -> str:
    parts = urlsplit(url)
    assert parts.hostname == "127.0.0.1"
    stream = await anyio.connect_tcp("127.0.0.1", parts.port or 0)
    async with stream:
        await stream.send(f"{head}\r\n\r\n{body}".encode())
        data = b""
        try:
            while True:
                data += await stream.receive()
        except anyio.EndOfStream:
            return data.decode()


def head(url: str, method: str = "GET", *more: str, host: str | None = None) -> str:
    parts = urlsplit(url)
    return "\r\n".join((f"{method} {parts.path} HTTP/1.1", f"Host: {host or parts.netloc}", *more))


async def post(url: str, csrf: str, value: str, *more: str) -> str:
    body = urlencode({"csrf": csrf, "value": value})
    return await request(url, head(url, "POST", f"Content-Length: {len(body)}", *more), body)


async def csrf_of(url: str) -> str:
    page = await request(url, head(url))
    assert "default-src 'none'" in page and "no-store" in page and "http" not in page.partition("\r\n\r\n")[2]
    found = re.search(r'name="csrf" value="([^"]+)"', page)
    assert found is not None
    return found[1]


@pytest.mark.parametrize("era", ERAS)
async def test_a_person_types_the_value_into_a_page_and_nobody_between_sees_it(vault: Path, era: str) -> None:
    seen: list[str] = []

    async def answer(_: Any, params: Any) -> ElicitResult:
        assert isinstance(params, ElicitRequestURLParams)
        seen.append(params.model_dump_json())
        assert "Done" in await post(params.url, await csrf_of(params.url), "s3cr3t & stuff=1")
        return ElicitResult(action="accept")

    with anyio.fail_after(30):
        async with secrets(vault, Role.OPERATOR, era=era, elicitation_callback=answer) as client:
            result = await client.call_tool("secrets_set", {"name": "NEW_TOKEN"})
            checked = await call(client, "secrets_check", name="NEW_TOKEN")

    assert not result.is_error and result.structured_content is not None
    assert result.structured_content["source"] == "file" and checked["source"] == "file"
    assert "s3cr3t" not in result.model_dump_json() + "".join(seen) + logged(vault)
    assert '"secrets.set"' in logged(vault) and "NEW_TOKEN" in logged(vault)
    kept = open_secrets(None, vault.parent / "config", surroundings()).get("NEW_TOKEN")
    assert kept.reveal() == "s3cr3t & stuff=1"


async def test_the_page_answers_its_own_address_and_its_own_form_alone(vault: Path) -> None:
    answers: dict[str, str] = {}

    async def answer(_: Any, params: Any) -> ElicitResult:
        url = params.url
        origin = f"http://{urlsplit(url).netloc}"
        csrf = await csrf_of(url)
        answers["host"] = await request(url, head(url, host="evil.example"))
        answers["hosts"] = await request(url, head(url, "GET", "Host: evil.example"))
        answers["path"] = await request(url, head(url + "x"))
        answers["csrf"] = await post(url, "x", VALUE)
        answers["origin"] = await post(url, csrf, VALUE, "Origin: http://localhost:1")
        answers["site"] = await post(url, csrf, VALUE, "Sec-Fetch-Site: cross-site")
        answers["method"] = await request(url, head(url, "PUT"))
        answers["large"] = await request(url, head(url, "POST", "Content-Length: 999999999"))
        answers["none"] = await request(url, "nonsense")
        answers["short"] = await post(url, csrf, "a<b>", f"Origin: {origin}", "Sec-Fetch-Site: same-origin")
        answers["first"] = await post(url, csrf, "")
        answers["good"] = await post(url, csrf, VALUE, f"Origin: {origin}")
        with pytest.raises(OSError):
            await post(url, csrf, "another-value")
        return ElicitResult(action="accept")

    with anyio.fail_after(30):
        async with secrets(vault, Role.OPERATOR, environ={}, elicitation_callback=answer) as client:
            assert (await call(client, "secrets_set", name="TOKEN"))["name"] == "TOKEN"

    codes = {name: text.split(" ")[1] if text else "" for name, text in answers.items()}
    refused = {"host": "421", "hosts": "421", "path": "404", "csrf": "403", "origin": "403", "site": "403"}
    assert codes == refused | {
        "method": "405",
        "large": "413",
        "none": "",
        "short": "200",
        "first": "200",
        "good": "200",
    }
    assert "fewer than" in answers["first"] and "fewer than" in answers["short"] and "Done" in answers["good"]


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("action", ["decline", "cancel"])
async def test_a_person_who_declines_changes_nothing(vault: Path, era: str, action: Any) -> None:
    urls: list[str] = []

    async def answer(_: Any, params: Any) -> ElicitResult:
        urls.append(params.url)
        return ElicitResult(action=action)

    async with secrets(vault, Role.OPERATOR, era=era, elicitation_callback=answer) as client:
        assert (await call(client, "secrets_set", name="TOKEN")).startswith("blocked:")
        with pytest.raises(OSError):
            await request(urls[0], head(urls[0]))
    assert not (vault.parent / "config").exists() and logged(vault) == ""


@pytest.mark.parametrize("era", ERAS)
async def test_a_page_that_nobody_fills_in_is_gone_after_its_time(vault: Path, era: str) -> None:
    urls: list[str] = []

    async def answer(_: Any, params: Any) -> ElicitResult:
        urls.append(params.url)
        return ElicitResult(action="accept")

    with anyio.fail_after(30):
        async with secrets(vault, Role.OPERATOR, era=era, page_seconds=0.05, elicitation_callback=answer) as client:
            late = await call(client, "secrets_set", name="TOKEN")
            with pytest.raises(OSError):
                await request(urls[0], head(urls[0]))
    assert late.startswith("unavailable:") and "mcp-host secret set TOKEN" in late


async def test_rotating_asks_for_a_new_value_and_removing_takes_it_away(vault: Path) -> None:
    values = iter([VALUE, VALUE, "token-value-2"])

    async def answer(_: Any, params: Any) -> ElicitResult:
        csrf = await csrf_of(params.url)
        page = await post(params.url, csrf, next(values))
        if "already" in page:
            await post(params.url, csrf, next(values))
        return ElicitResult(action="accept")

    async with secrets(vault, Role.OPERATOR, environ={}, elicitation_callback=answer) as client:
        await call(client, "secrets_set", name="TOKEN")
        await call(client, "secrets_rotate", name="TOKEN")
        assert open_secrets(None, vault.parent / "config", surroundings()).get("TOKEN").reveal() == "token-value-2"
        gone = await call(client, "secrets_remove", name="TOKEN")
    assert gone == {"name": "TOKEN", "removed_from": ["file"]}
    assert re.findall(r'"kind":"(secrets\.\w+)"', logged(vault)) == ["secrets.set", "secrets.rotate", "secrets.remove"]
