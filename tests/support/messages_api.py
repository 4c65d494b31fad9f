"""A small Messages API on 127.0.0.1 that speaks the wire format of the real one and says what a test scripted.

    from messages_api import Failure, Reply, Silence, messages_api, text, thinking, tool_use

    with messages_api([Failure(529), Reply(text("Good morning"))]) as api:
        ...                                    # the real client, at ANTHROPIC_BASE_URL=api.url
    assert api.requests[1].body["messages"] == [...]

Each POST to /v1/messages takes the next step. A step may also be a function of the `Request` that returns one.
A request after the last step gets a 400 that says so. An exception in a handler comes out where the block ends.
Entering and leaving wait for a thread: an async test does both through `anyio.to_thread`.
"""

from __future__ import annotations

import json
import socket
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal, cast

Block = dict[str, Any]
Event = tuple[str, dict[str, Any]]
Ending = Literal["cut", "end", "error", "hang"]

PATHS = ("/v1/messages", "/v1/chat/completions")
PIECE_CHARACTERS = 5
_JOIN_SECONDS = 10


@dataclass(frozen=True)
class Request:
    """What came in. Header names are in lower case; *at* is a monotonic time."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: Any
    at: float

    @property
    def key(self) -> str:
        return self.headers.get("authorization", "").removeprefix("Bearer ")


class Reply:
    """A turn of the model, streamed or as JSON, as the request asks.

    With *after* only so many events of the stream are sent, and *then* the connection drops ("cut"), the body ends
    as if all were well ("end"), an error event of *error* comes ("error"), or nothing more comes ("hang").
    """

    def __init__(
        self,
        *content: Block,
        stop: str | None = None,
        usage: Mapping[str, int] | None = None,
        model: str | None = None,
        request_id: str = "req_test",
        stop_details: Mapping[str, Any] | None = None,
        after: int | None = None,
        then: Ending = "cut",
        error: str = "overloaded_error",
    ) -> None:
        calls = any(block["type"] == "tool_use" for block in content)
        self.content = content
        self.stop = stop or ("tool_use" if calls else "end_turn")
        self.usage = {"input_tokens": 10, "output_tokens": 5, **(usage or {})}
        self.model = model
        self.request_id = request_id
        self.stop_details = stop_details
        self.after = after
        self.then = then
        self.error = error


@dataclass(frozen=True)
class Failure:
    """An error status. *headers* may hold retry-after or retry-after-ms."""

    status: int
    kind: str = "api_error"
    message: str = "scripted failure"
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True)
class Raw:
    """Any body at all, as a stream: another API's, or what none should send. *cut* drops the connection behind it."""

    body: str
    content_type: str = "text/event-stream"
    cut: bool = False


@dataclass(frozen=True)
class Silence:
    """The request is read and never answered."""


Step = Reply | Failure | Raw | Silence
Script = Iterable[Step | Callable[[Request], Step]]

MALFORMED = Raw('event: message_start\ndata: {"type": "message_start", "mess\n\n')


def text(words: str) -> Block:
    return {"type": "text", "text": words}


def tool_use(name: str, arguments: Mapping[str, Any] | str, id: str = "toolu_1") -> Block:
    """A call. *arguments* as a string is sent as it is, so it can be half a JSON object."""
    return {"type": "tool_use", "id": id, "name": name, "input": arguments}


def thinking(words: str, signature: str = "c2lnbmVk") -> Block:
    return {"type": "thinking", "thinking": words, "signature": signature}


class Api:
    """A running server: *url*, the *requests* and *connections* so far, and the number of steps *left*."""

    def __init__(self, script: Script, url: str) -> None:
        self.url = url
        self.requests: list[Request] = []
        self.connections = 0
        self.released = threading.Event()
        self._steps = list(script)
        self._lock = threading.Lock()

    @property
    def left(self) -> int:
        return len(self._steps)

    def next_step(self, request: Request) -> Step:
        with self._lock:
            self.requests.append(request)
            step = self._steps.pop(0) if self._steps else _no_more_steps(request)
        return step(request) if callable(step) else step


@contextmanager
def messages_api(script: Script) -> Generator[Api, None, None]:
    """Serve *script* until the block ends; then every connection is closed and every thread is joined."""
    server = _Server()
    api = server.api = Api(script, f"http://127.0.0.1:{server.server_address[1]}")
    accepting = threading.Thread(target=server.serve_forever, args=(0.01,), name="messages-api")
    accepting.start()
    try:
        yield api
    finally:
        api.released.set()
        server.shutdown()
        server.hang_up()
        server.server_close()
        accepting.join(_JOIN_SECONDS)
    if server.errors:
        raise server.errors[0]


def _no_more_steps(request: Request) -> Step:
    return Failure(400, "invalid_request_error", f"the script has no step for {request.method} {request.path}")


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    api: Api

    def __init__(self) -> None:
        self.errors: list[BaseException] = []
        self._open: set[socket.socket] = set()
        super().__init__(("127.0.0.1", 0), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        self.api.connections += 1
        super().process_request(request, client_address)

    def close_request(self, request: Any) -> None:
        self._open.discard(request)
        super().close_request(request)

    def hang_up(self) -> None:
        # A handler waits for the next request of a kept connection until its socket ends.
        for connection in list(self._open):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue

    def handle_error(self, request: Any, client_address: Any) -> None:
        error = sys.exc_info()[1]
        if error is not None and not isinstance(error, OSError):
            self.errors.append(error)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # so that headers and body, or one event, leave in one write

    @property
    def api(self) -> Api:
        return cast("_Server", self.server).api

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.command, self.path, headers, json.loads(raw or b"null"), time.monotonic())
        if self.path.partition("?")[0] not in PATHS:
            return self._fail(_not_found(request))
        return self._play(self.api.next_step(request), request.body)

    def _play(self, step: Step, body: Any) -> None:
        match step:
            case Failure():
                self._fail(step)
            case Silence():
                self._hang()
            case Raw():
                missing = 10 if step.cut else 0
                self.close_connection = self.close_connection or step.cut
                self._send(200, step.content_type, step.body.encode(), {"x-request-id": "req_raw"}, missing)
            case Reply() if body.get("stream"):
                self._stream(step, body["model"])
            case Reply():
                message = _message(step, body["model"], step.content, step.stop)
                self._send(200, "application/json", json.dumps(message).encode(), {"request-id": step.request_id})

    def _fail(self, step: Failure) -> None:
        error = {"type": "error", "error": {"type": step.kind, "message": step.message}, "request_id": "req_failed"}
        headers = {"request-id": "req_failed", "x-request-id": "req_failed", **step.headers}
        self._send(step.status, "application/json", json.dumps(error).encode(), headers)

    def _send(self, status: int, content_type: str, body: bytes, headers: Mapping[str, str], missing: int = 0) -> None:
        self._head(status, content_type, {"content-length": str(len(body) + missing), **headers})
        self.wfile.write(body)
        self.wfile.flush()

    def _head(self, status: int, content_type: str, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in {"content-type": content_type, **headers}.items():
            self.send_header(name, value)
        self.end_headers()

    def _stream(self, reply: Reply, model: str) -> None:
        self._head(200, "text/event-stream", {"transfer-encoding": "chunked", "request-id": reply.request_id})
        events = list(_events(reply, model))
        for name, data in events[: reply.after]:
            self._event(name, data)
        if reply.after is not None:
            self._break_off(reply)
        if not self.close_connection:
            self._chunk(b"")

    def _break_off(self, reply: Reply) -> None:
        match reply.then:
            case "cut":
                self.close_connection = True
            case "hang":
                self._hang()
            case "error":
                self._event("error", {"error": {"type": reply.error, "message": "scripted error"}})
            case "end":
                pass
            case _:
                raise ValueError(f"no such way to break off: {reply.then}")

    def _hang(self) -> None:
        self.close_connection = True
        self.wfile.flush()
        self.api.released.wait()

    def _event(self, name: str, data: Mapping[str, Any]) -> None:
        self._chunk(f"event: {name}\ndata: {json.dumps({'type': name, **data})}\n\n".encode())

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()


def _not_found(request: Request) -> Failure:
    return Failure(404, "not_found_error", f"no such path: {request.path}")


def _message(reply: Reply, model: str, content: Sequence[Block], stop: str | None) -> dict[str, Any]:
    return {
        "id": "msg_test",
        "type": "message",
        "role": "assistant",
        "model": reply.model or model,
        "content": list(content),
        "stop_reason": stop,
        "stop_sequence": None,
        "stop_details": reply.stop_details if stop else None,
        "usage": dict(reply.usage),
    }


def _events(reply: Reply, model: str) -> Iterator[Event]:
    start = _message(reply, model, (), None)
    yield "message_start", {"message": {**start, "usage": {**reply.usage, "output_tokens": 1}}}
    yield "ping", {}
    for index, block in enumerate(reply.content):
        yield from _block_events(index, block)
    delta = {"stop_reason": reply.stop, "stop_sequence": None, "stop_details": reply.stop_details}
    yield "message_delta", {"delta": delta, "usage": {"output_tokens": reply.usage["output_tokens"]}}
    yield "message_stop", {}


def _block_events(index: int, block: Block) -> Iterator[Event]:
    opening, deltas = _open_block(block)
    yield "content_block_start", {"index": index, "content_block": opening}
    for delta in deltas:
        yield "content_block_delta", {"index": index, "delta": delta}
    yield "content_block_stop", {"index": index}


def _open_block(block: Block) -> tuple[Block, list[dict[str, Any]]]:
    """The block as it starts, and the deltas that fill it; a kind that has no deltas starts whole."""
    match block["type"]:
        case "text":
            return {**block, "text": ""}, [{"type": "text_delta", "text": piece} for piece in _pieces(block["text"])]
        case "thinking":
            words = [{"type": "thinking_delta", "thinking": piece} for piece in _pieces(block["thinking"])]
            signed = {"type": "signature_delta", "signature": block["signature"]}
            return {**block, "thinking": "", "signature": ""}, [*words, signed]
        case "tool_use":
            given = block["input"]
            raw = given if isinstance(given, str) else json.dumps(given) if given else ""
            pieces = [{"type": "input_json_delta", "partial_json": piece} for piece in ["", *_pieces(raw)]]
            return {**block, "input": {}}, pieces
        case _:
            return block, []


def _pieces(words: str) -> list[str]:
    return [words[start : start + PIECE_CHARACTERS] for start in range(0, len(words), PIECE_CHARACTERS)]
