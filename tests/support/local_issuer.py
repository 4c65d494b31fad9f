"""A token issuer on this machine: its own keys, its metadata and key set over real HTTP, and tokens of every kind."""

from __future__ import annotations

import json
import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import get_default_algorithms

METADATA = "/.well-known/oauth-authorization-server"
KEYS = "/keys"


@cache
def private_key(algorithm: str, number: int = 0) -> Any:
    """A key that signs with *algorithm*; another *number* is another key."""
    if algorithm == "RS256":
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return ec.generate_private_key(ec.SECP256R1()) if algorithm == "ES256" else ed25519.Ed25519PrivateKey.generate()


@dataclass(frozen=True, slots=True)
class Signer:
    """One key of an issuer, under the id *key_id*."""

    key_id: str | None = "one"
    algorithm: str = "EdDSA"
    number: int = 0

    @property
    def jwk(self) -> dict[str, Any]:
        """The public half, as it stands in a key set."""
        public = private_key(self.algorithm, self.number).public_key()
        fields = json.loads(get_default_algorithms()[self.algorithm].to_jwk(public))
        return {**fields, "use": "sig", **({} if self.key_id is None else {"kid": self.key_id})}

    def sign(self, claims: Mapping[str, Any], **header: Any) -> str:
        headers = {**({} if self.key_id is None else {"kid": self.key_id}), **header}
        return jwt.encode(dict(claims), private_key(self.algorithm, self.number), self.algorithm, headers)


class LocalIssuer:
    """What stands at its paths, and what it was asked; *held* keeps every answer back until it is set."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.asked: list[str] = []
        self.headers: list[Mapping[str, str]] = []
        self.held = threading.Event()
        self.held.set()
        self.pages: dict[str, tuple[int, Mapping[str, str], bytes]] = {}
        self.metadata()
        self.publish(Signer())

    def metadata(self, path: str = METADATA, **fields: Any) -> None:
        stated = {"issuer": self.url, "jwks_uri": f"{self.url}{KEYS}", **fields}
        self.pages[path] = (200, {}, json.dumps(stated).encode())

    def publish(self, *signers: Signer) -> None:
        """These keys, and no others."""
        self.answer(KEYS, json.dumps({"keys": [signer.jwk for signer in signers]}).encode())

    def answer(self, path: str, data: bytes, status: int = 200, **headers: str) -> None:
        self.pages[path] = (status, {name.replace("_", "-"): value for name, value in headers.items()}, data)


@contextmanager
def local_issuer() -> Generator[LocalIssuer]:
    """The issuer on a free port while the block runs."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            issuer.asked.append(self.path)
            issuer.headers.append(dict(self.headers))
            issuer.held.wait()
            status, headers, data = issuer.pages.get(self.path, (404, {}, b"{}"))
            self.send_response(status)
            for name, value in {"Content-Length": str(len(data)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            try:
                self.wfile.write(data)
            except OSError:
                return  # who asked has heard enough

        def log_message(self, format: str, *args: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    issuer = LocalIssuer(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield issuer
    finally:
        issuer.held.set()
        server.shutdown()
        server.server_close()
        thread.join()
