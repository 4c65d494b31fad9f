"""HTTP without authentication: this machine only, under its own name, for no web page, in bounded pieces."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Generator
from typing import Any
from urllib.parse import urlsplit

import anyio
import httpx2
import pytest
from children import MODERN, MODERN_META, over_http

from argosy_core.errors import InvalidArgument, PermissionDenied, Unavailable
from argosy_core.serving.http import Address, bind, parse_address

CALL = {"name": "tiny_say", "arguments": {"text": "x"}, "_meta": MODERN_META}
HEADERS = {
    "accept": "application/json, text/event-stream",
    "content-type": "application/json",
    "mcp-protocol-version": MODERN,
    "mcp-method": "tools/call",
    "mcp-name": "tiny_say",
}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    vault = tmp_path_factory.mktemp("vault")
    (vault / "harbor").mkdir()
    with over_http(vault) as address:
        yield address


def post(url: str, content: Any = None, **headers: str) -> httpx2.Response:
    body = (
        json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": CALL}) if content is None else content
    )
    with httpx2.Client(timeout=20) as client:
        return client.post(
            url, content=body, headers={**HEADERS, **{k.replace("_", "-"): v for k, v in headers.items()}}
        )


def port_of(url: str) -> int:
    port = urlsplit(url).port
    assert port
    return port


def is_alive(url: str) -> bool:
    answer = post(url)
    return answer.status_code == 200 and answer.json()["result"]["content"][0]["text"] == "x"


def test_the_servers_own_names_are_served(url: str) -> None:
    port = port_of(url)
    assert url == f"http://127.0.0.1:{port}/mcp"
    for host in (f"127.0.0.1:{port}", f"localhost:{port}"):
        assert post(url, host=host).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:PORT",
        "127.0.0.1",
        "127.0.0.1:1",
        "127.0.0.1:PORT.evil.example",
        "127.0.0.1:PORT@evil.example",
        "127.0.0.1.:PORT",
        "127.1:PORT",
        "2130706433:PORT",
        "0.0.0.0:PORT",
        "localhost",
        "localhost.:PORT",
        "localhost.evil.example:PORT",
        "[::]:PORT",
        "[::ffff:127.0.0.1]:PORT",
        "",
    ],
)
def test_any_other_host_is_misdirected(url: str, host: str) -> None:
    answer = post(url, host=host.replace("PORT", str(port_of(url))))
    assert answer.status_code == 421
    assert is_alive(url)


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "null",
        "http://localhost:3000",
        "https://localhost:PORT",
        "http://localhost:PORT@evil.example",
        "http://localhost:PORT.evil.example",
        "http://localhost",
        "http://127.0.0.1:PORT/",
        "file://",
        "chrome-extension://abc",
        "http://[::ffff:127.0.0.1]:PORT",
    ],
)
def test_no_web_page_may_call(url: str, origin: str) -> None:
    origin = origin.replace("PORT", str(port_of(url)))
    assert post(url, origin=origin).status_code == 403
    with httpx2.Client(timeout=20) as client:
        asked = {"origin": origin, "access-control-request-method": "POST"}
        answers = [client.options(url, headers=asked), client.get(url, headers={"origin": origin})]
        answers.append(client.get(url.replace("/mcp", "/health/live"), headers={"origin": origin}))
    assert not any(name.startswith("access-control") for answer in answers for name in answer.headers)
    assert all(answer.status_code >= 400 for answer in answers[:2])


def test_a_page_that_the_server_itself_gave_may_call(url: str) -> None:
    assert post(url, origin=f"http://127.0.0.1:{port_of(url)}").status_code == 200


def chunks() -> Generator[bytes]:
    for _ in range(6):
        yield b"x" * (1 << 20)


@pytest.mark.parametrize("content", [b"x" * (5 << 20), chunks], ids=["whole", "chunked"])
def test_a_body_over_the_bound_is_refused(url: str, content: Any) -> None:
    answer = post(url, content() if callable(content) else content)
    assert answer.status_code == 413
    assert is_alive(url)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello",
        b"[]",
        b"5",
        b"null",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"jsonrpc":"2.0","id":1}',
        b"\0",
    ],
    ids=lambda content: ascii(content[:12]),
)
def test_a_body_that_is_no_message_is_refused(url: str, content: bytes) -> None:
    answer = post(url, content)
    assert 400 <= answer.status_code < 500
    assert "Traceback" not in answer.text
    assert is_alive(url)


@pytest.mark.parametrize(
    "headers",
    [
        {"content_type": "text/plain"},
        {"content_type": "application/x-www-form-urlencoded"},
        {"accept": "text/html"},
        {"mcp_protocol_version": "1999-01-01"},
        {"mcp_method": "tools/list"},
        {"mcp_name": "tiny_operator"},
    ],
    ids=str,
)
def test_headers_that_do_not_fit_are_refused(url: str, headers: dict[str, str]) -> None:
    assert 400 <= post(url, **headers).status_code < 500
    assert is_alive(url)


def test_other_paths_and_methods_are_not_there(url: str) -> None:
    with httpx2.Client(timeout=20) as client:
        assert client.get(url.replace("/mcp", "/health/live")).text == "ok\n"
        for path in ("/", "/mcp/../secret", "/tiny/mcp", "/.well-known/oauth-protected-resource", "/mcp/x"):
            assert client.get(url.replace("/mcp", path)).status_code == 404
        for method in ("PUT", "PATCH", "TRACE"):
            assert client.request(method, url).status_code in (400, 405, 406)


def test_a_connection_that_breaks_off_in_the_middle_harms_nobody(url: str) -> None:
    port = port_of(url)
    head = "POST /mcp HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in HEADERS.items())
    for tail in (
        "",
        f"host: 127.0.0.1:{port}\r\ncontent-length: 1000\r\n\r\n{{",
        "content-length: -5\r\n\r\n",
        "\r\n\r\n",
    ):
        with socket.create_connection(("127.0.0.1", port), timeout=20) as raw:
            raw.sendall((head + tail).encode())
    assert is_alive(url)


@pytest.mark.parametrize(
    "text",
    [
        "0.0.0.0:8750",
        "[::]:8750",
        "192.168.0.7:1",
        "8.8.8.8:1",
        "example.com:1",
        "169.254.169.254:80",
        "localhost.evil:1",
    ],
)
def test_an_address_beyond_this_machine_is_refused(text: str) -> None:
    with pytest.raises(PermissionDenied, match=r"127\.0\.0\.1"):
        parse_address(text)


@pytest.mark.parametrize(
    "text", ["", "127.0.0.1", "127.0.0.1:", ":http", "127.0.0.1:70000", ":-1", "127.0.0.1:8_0", ":１"]
)
def test_what_is_no_address_is_named(text: str) -> None:
    with pytest.raises(InvalidArgument, match="HOST:PORT"):
        parse_address(text)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        (":8750", Address("127.0.0.1", 8750)),
        ("localhost:0", Address("localhost", 0)),
        ("[::1]:8750", Address("::1", 8750)),
        ("127.9.9.9:1", Address("127.9.9.9", 1)),
    ],
)
def test_addresses_of_this_machine_are_taken(text: str, address: Address) -> None:
    assert parse_address(text) == address


@pytest.mark.anyio
async def test_no_piece_of_an_answer_waits_for_the_receipt_of_the_one_before() -> None:
    found: list[int] = []

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        found.append(writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    with bind(Address("127.0.0.1", 0)) as bound:
        async with await asyncio.start_server(serve, sock=bound):
            with anyio.fail_after(20):
                reader, writer = await asyncio.open_connection(*bound.getsockname())
                await reader.read()
                writer.close()
    assert found == [1]


def test_a_port_that_is_taken_is_named() -> None:
    with bind(Address("127.0.0.1", 0)) as taken, pytest.raises(Unavailable, match="cannot listen"):
        bind(Address("127.0.0.1", taken.getsockname()[1]))


@pytest.mark.anyio
async def test_an_answer_nobody_waits_for_harms_nobody(url: str) -> None:
    async with httpx2.AsyncClient(timeout=20) as client:
        for _ in range(5):
            with anyio.move_on_after(0.001):
                await client.post(url, content=b"{}", headers=HEADERS)
    assert await anyio.to_thread.run_sync(is_alive, url)
