"""A plain call is answered by the shorter way as by the longer one, and what is not plain goes the longer one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from children import LEGACY, MODERN_META, Pipe, piped, tiny
from mcp_types import CallToolResult, Implementation

from argosy_core.serving.quick_calls import PlainCall, QuickCalls

pytestmark = pytest.mark.timeout(60)
INFO = "io.modelcontextprotocol/serverInfo"
PROTOCOL = "io.modelcontextprotocol/protocolVersion"
CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "an answer": ("tiny_say", {"text": "héllo", "times": 2}),
    "arguments as text": ("tiny_say", {"text": "x", "address": '{"street": "Quay", "number": 3}'}),
    "who calls": ("tiny_who", {}),
    "a long text": ("tiny_big", {"text_chars": 200_000, "items": 3}),
    "too large": ("tiny_big", {"items": 3_000}),
    "half of a character": ("tiny_odd", {}),
    "a failure": ("tiny_fail", {"code": "conflict", "size": 10}),
    "nothing found": ("tiny_read", {"name": "none"}),
    "a defect": ("tiny_crash", {"secret": "hush"}),
    "a wrong argument": ("tiny_say", {"text": 5}),
    "an unknown argument": ("tiny_say", {"text": "x", "wrong": 1}),
    "an unknown tool": ("tiny_none", {}),
    "a tool of others": ("tiny_operator", {}),
}


@pytest.fixture
def vault(tmp_path: Path) -> Path:
    (tmp_path / "harbor").mkdir()
    (tmp_path / "harbor/model.md").write_text("# MODEL\n")
    return tmp_path


@pytest.fixture
def pipe(vault: Path) -> Iterator[Pipe]:
    with piped(tiny(vault)) as opened:
        yield opened


def asked(pipe: Pipe, params: dict[str, Any]) -> dict[str, Any]:
    """The answer to a call with *params*, without what only says which server it is from."""
    answer = pipe.request("tools/call", params)
    answer.pop("id")
    result = answer.get("result")
    if result is not None and "_meta" in result:
        result["_meta"].get(INFO, {}).pop("icons", None)
        result["_meta"].get(INFO, {}).pop("title", None)
    return answer


@pytest.mark.parametrize("modern", [True, False], ids=["2026", "2025"])
def test_the_shorter_way_gives_the_same_answer(pipe: Pipe, modern: bool) -> None:
    envelope = MODERN_META if modern else {}
    if not modern:
        pipe.initialize()
    for name, (tool, arguments) in CALLS.items():
        call = {"name": tool, "arguments": arguments, "_meta": dict(envelope)}
        # An envelope that was not read before goes the longer way.
        longer = asked(pipe, {**call, "_meta": {**envelope, "example.org/new": name}})
        shorter = [asked(pipe, call) for _ in range(2)][-1]
        assert shorter == longer, name
        if not modern:
            assert asked(pipe, {"name": tool, "arguments": arguments}) == longer, name


def test_who_knows_the_server_is_not_shown_its_icon_with_every_answer(pipe: Pipe) -> None:
    answers = [pipe.call("tiny_say", {"text": "x"}, modern=True) for _ in range(2)]
    assert answers[-1]["_meta"][INFO].keys() == {"name", "version"}
    assert answers[-1]["_meta"][INFO]["name"] == "tiny"


def test_a_bad_envelope_is_refused_after_a_good_one_as_before(pipe: Pipe) -> None:
    call = {"name": "tiny_say", "arguments": {"text": "x"}}
    good = {**call, "_meta": MODERN_META}
    bad = [
        {**call, "_meta": {**MODERN_META, PROTOCOL: "1999-01-01"}},
        {**call, "_meta": {PROTOCOL: MODERN_META[PROTOCOL]}},
        {**call, "_meta": {**MODERN_META, "progressToken": [1]}},
        {**call, "_meta": {**MODERN_META, "io.modelcontextprotocol/clientCapabilities": 5}},
        {**good, "name": 5},
        {**good, "arguments": ["x"]},
        {"arguments": {}, "_meta": MODERN_META},
    ]
    before = [asked(pipe, each) for each in bad]
    assert all("error" in each for each in before)
    for each, refused in zip(bad, before, strict=True):
        for _ in range(2):
            assert asked(pipe, good)["result"]["content"][0]["text"] == "x"
        for _ in range(2):
            assert asked(pipe, each) == refused


def test_a_token_that_is_nobodys_is_refused_by_either_way(pipe: Pipe) -> None:
    call = {"name": "tiny_say", "arguments": {"text": "x"}, "_meta": {**MODERN_META, "argosy/run": "a.b"}}
    refused = [asked(pipe, call)["result"] for _ in range(3)]
    assert refused[0]["isError"] and refused[0]["content"][0]["text"].startswith("unauthenticated")
    assert refused[0] == refused[1] == refused[2]


@pytest.mark.parametrize("version", ["2024-11-05", "2025-03-26", "2025-06-18"])
def test_the_first_versions_get_the_same_answer_too(pipe: Pipe, version: str) -> None:
    client = {"name": "raw", "version": "1"}
    found = pipe.request("initialize", {"protocolVersion": version, "capabilities": {}, "clientInfo": client})
    assert found["result"]["protocolVersion"] == version != LEGACY
    pipe.send({"jsonrpc": "2.0", "method": "notifications/initialized"})
    call = {"name": "tiny_say", "arguments": {"text": "x"}}
    assert asked(pipe, call) == asked(pipe, {**call, "_meta": {"example.org/new": version}})


def test_a_call_for_a_task_goes_the_longer_way(pipe: Pipe) -> None:
    pipe.initialize()
    call = {"name": "tiny_say", "arguments": {"text": "x"}}
    plain = asked(pipe, call)
    assert asked(pipe, {**call, "task": {"ttl": "soon"}}) != plain
    assert asked(pipe, {**call, "example": 1}) == plain


class Counted:
    """A server that counts what it is asked plainly, and its SDK, which counts the rest."""

    def __init__(self) -> None:
        self.plainly = 0
        self.calls = QuickCalls(self, Implementation(name="counted", version="1"))

    def takes_plainly(self, tool: str) -> bool:
        return tool == "plain"

    async def answer_plainly(self, call: PlainCall) -> CallToolResult:
        self.plainly += 1
        return CallToolResult(content=[])

    async def call(self, meta: Any, *, modern: bool = True, is_sound: bool = True) -> bool:
        """Whether a call with *meta* was answered plainly; the SDK is asked otherwise, and finds it sound or not."""
        before = self.plainly
        params = {"name": "plain", "arguments": {}, "_meta": meta}
        if await self.calls.answer(params, is_modern=modern) is None and is_sound:
            self.calls.remember(params, modern)
        return self.plainly > before


@pytest.mark.anyio
@pytest.mark.parametrize("modern", [True, False], ids=["2026", "2025"])
async def test_a_client_that_numbers_its_calls_has_them_answered_plainly(modern: bool) -> None:
    server = Counted()
    envelope = {"example.org/who": "x"}
    found = [await server.call({**envelope, "progressToken": token}, modern=modern) for token in (1, 2, "three", 4)]
    assert found == [False, True, True, True]
    assert await server.call(envelope, modern=modern)
    assert not await server.call({"example.org/who": "y"}, modern=modern)


@pytest.mark.anyio
@pytest.mark.parametrize("token", [None, 1.5, [1], {"a": 1}])
async def test_a_number_that_is_none_is_left_to_the_sdk(token: Any) -> None:
    server = Counted()
    await server.call({"example.org/who": "x"})
    assert not await server.call({"example.org/who": "x", "progressToken": token}, is_sound=False)
    assert not await server.call([("progressToken", 1)], is_sound=False)


@pytest.mark.anyio
async def test_a_large_envelope_is_not_kept() -> None:
    server = Counted()
    large = {"example.org/all": "x" * 100_000}
    assert [await server.call(large) for _ in range(3)] == [False] * 3


def test_no_call_is_answered_before_the_handshake(pipe: Pipe) -> None:
    call = {"name": "tiny_say", "arguments": {"text": "x"}}
    assert pipe.request("ping")["result"] == {}
    assert "error" in asked(pipe, call)
    assert "error" in pipe.request("initialize", {})
    assert "error" in asked(pipe, call)
    pipe.initialize()
    assert asked(pipe, call)["result"]["content"][0]["text"] == "x"
