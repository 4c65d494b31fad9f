"""A real HTTP server that speaks the embeddings call of the OpenAI API, with vectors that a test can foresee."""

from __future__ import annotations

import hashlib
import json
import math
import re
import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

DIMENSIONS = 256


def vector_of(text: str, meanings: Mapping[str, str], dimensions: int = DIMENSIONS) -> list[float]:
    """The sum of one fixed direction for each word; words of one meaning, by *meanings*, have one direction."""
    total = [0.0] * dimensions
    for word in re.findall(r"\w+", text.casefold()):
        for at, value in enumerate(_direction(meanings.get(word, word), dimensions)):
            total[at] += value
    length = math.sqrt(sum(value * value for value in total)) or 1.0
    return [value / length for value in total]


@cache
def _direction(word: str, dimensions: int) -> Sequence[float]:
    data = b""
    while len(data) < dimensions:
        data += hashlib.sha256(f"{word}{len(data)}".encode()).digest()
    return [(byte - 127.5) / 127.5 for byte in data[:dimensions]]


class EmbeddingsApi:
    """What it was asked, and how it is to answer: *status* other than 200 fails, *answer* is sent as it is."""

    def __init__(self, vector: Callable[[str], Sequence[float]]) -> None:
        self.vector = vector
        self.status = 200
        self.answer: bytes | None = None
        self.texts: list[str] = []
        self.headers: list[Mapping[str, str]] = []
        self.url = ""

    def reply(self, body: Mapping[str, Any]) -> bytes:
        if self.answer is not None:
            return self.answer
        texts = list(body["input"])
        self.texts += texts
        made = [{"object": "embedding", "index": at, "embedding": self.vector(text)} for at, text in enumerate(texts)]
        made.reverse()  # the order is the index's to tell
        return json.dumps({"object": "list", "model": body["model"], "data": made}).encode()


@contextmanager
def embeddings_api(
    meanings: Mapping[str, str] | None = None, vector: Callable[[str], Sequence[float]] | None = None
) -> Generator[EmbeddingsApi]:
    """The server on a free port of this machine while the block runs; *vector* in place of `vector_of`."""
    api = EmbeddingsApi(vector or (lambda text: vector_of(text, meanings or {})))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            api.headers.append(dict(self.headers))
            data = api.reply(body) if api.status == 200 else b"{}"
            self.send_response(api.status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    api.url = f"http://127.0.0.1:{server.server_port}/v1/embeddings"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield api
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
