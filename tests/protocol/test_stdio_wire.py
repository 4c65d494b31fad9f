"""stdio as it is on the wire: two eras on one pipe, and nothing that comes down it stops the server."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from children import LEGACY, MODERN, MODERN_META, Pipe, cold_tiny, journal, piped, tiny

from argosy_core.serving.stdio import MAX_LINE_BYTES

pytestmark = pytest.mark.timeout(60)
HUGE = 64 * 1024 * 1024


@pytest.fixture
def vault(tmp_path: Path) -> Path:
    (tmp_path / "harbor").mkdir()
    (tmp_path / "harbor/model.md").write_text("# MODEL\n")
    return tmp_path


def say(text: str) -> bytes:
    """The start of a legacy call, as bytes that a test can spoil."""
    call = {"name": "tiny_write", "arguments": {"name": "spoilt", "text": text}}
    return json.dumps({"jsonrpc": "2.0", "id": "spoilt", "method": "tools/call", "params": call}).encode()


BAD_LINES: dict[str, bytes] = {
    "no JSON": b"hello",
    "half of JSON": b'{"jsonrpc":"2.0","id":1,',
    "nothing": b"",
    "blanks": b"   \t ",
    "a batch": b'[{"jsonrpc":"2.0","id":7,"method":"ping"}]',
    "a number": b"5",
    "null": b"null",
    "an empty object": b"{}",
    "no method": b'{"jsonrpc":"2.0","id":9}',
    "another version": b'{"jsonrpc":"1.0","id":9,"method":"ping"}',
    "id null": b'{"jsonrpc":"2.0","id":null,"method":"ping"}',
    "id of a wrong type": b'{"jsonrpc":"2.0","id":{"a":1},"method":"ping"}',
    "method of a wrong type": b'{"jsonrpc":"2.0","id":9,"method":5}',
    "parameters of a wrong type": b'{"jsonrpc":"2.0","id":9,"method":"tools/call","params":[1]}',
    "an unknown method": b'{"jsonrpc":"2.0","id":9,"method":"nothing/there"}',
    "an unknown notification": b'{"jsonrpc":"2.0","method":"notifications/nothing"}',
    "an answer nobody asked for": b'{"jsonrpc":"2.0","id":99,"result":{}}',
    "an error nobody asked for": b'{"jsonrpc":"2.0","id":99,"error":{"code":1,"message":"x"}}',
    "not UTF-8": say("x").replace(b'"x"', b'"\xff\xfe"'),
    "an encoded surrogate": say("x").replace(b'"x"', b'"\xed\xa0\x80"'),
    "half of a surrogate pair": say("x").replace(b'"x"', b'"\\ud800"'),
    "NUL bytes": b"\0" * 100,
    "a byte order mark": b"\xef\xbb\xbf" + b'{"jsonrpc":"2.0","method":"notifications/nothing"}',
    "deep lists": b"[" * 100_000,
    "deep objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "deep arguments": say("x").replace(b'"x"', b"[" * 50_000 + b"]" * 50_000),
    "a number of many digits": say("x").replace(b'"x"', b"9" * 100_000),
    "a line over the bound": say("y" * (MAX_LINE_BYTES + 10)),
    "a line of exactly the bound": b" " * MAX_LINE_BYTES,
}


def is_alive(pipe: Pipe, *, modern: bool) -> None:
    assert pipe.call("tiny_say", {"text": "still here"}, modern=modern)["content"][0]["text"] == "still here"


@pytest.mark.parametrize("modern", [True, False], ids=["2026", "2025"])
def test_no_bad_line_stops_the_server_or_the_next_call(vault: Path, modern: bool) -> None:
    with piped(tiny(vault)) as pipe:
        for line in ("hello", "[]", "{}"):  # before anybody said who they are
            pipe.send(line.encode() + b"\n")
        if not modern:
            pipe.initialize()
        is_alive(pipe, modern=modern)
        for name, line in BAD_LINES.items():
            pipe.send(line + b"\n")
            is_alive(pipe, modern=modern)
            assert pipe.process.poll() is None, name
        pipe.send(b"".join(line + b"\n" for line in BAD_LINES.values()))
        is_alive(pipe, modern=modern)
    assert not (vault / "harbor/tiny").exists(), "what was spoilt is not carried out"


def test_a_line_without_an_end_is_not_kept_in_memory(vault: Path) -> None:
    with piped(cold_tiny(vault)) as pipe:
        pipe.initialize()
        before = peak_bytes(pipe)
        for _ in range(HUGE // (1 << 20)):
            pipe.send(b"x" * (1 << 20))
        pipe.send(b"\n")
        is_alive(pipe, modern=False)
        assert peak_bytes(pipe) - before < 24 * 1024 * 1024


def peak_bytes(pipe: Pipe) -> int:
    status = Path(f"/proc/{pipe.process.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


@pytest.mark.parametrize("command", [tiny, journal], ids=["tiny", "journal"])
def test_who_probes_for_the_newer_era_may_still_shake_hands_in_the_older(
    vault: Path, command: Callable[[Path], list[str]]
) -> None:
    with piped(command(vault)) as pipe:
        for _ in range(2):
            found = pipe.request("server/discover", modern=True)["result"]
            assert MODERN in found["supportedVersions"]
        answer = pipe.initialize()["result"]
        assert answer["protocolVersion"] == LEGACY
        assert answer["capabilities"]["resources"]["subscribe"] is True
        tools = pipe.request("tools/list")["result"]["tools"]
        status = next(tool["name"] for tool in tools if tool["name"].endswith(("_say", "_read")))
        assert pipe.call(status, {"text": "x"} if status == "tiny_say" else {})["isError"] is False


def test_who_probes_for_the_newer_era_may_go_on_in_it(vault: Path) -> None:
    with piped(tiny(vault)) as pipe:
        pipe.request("server/discover", modern=True)
        is_alive(pipe, modern=True)
        assert "error" in pipe.request("initialize", {"protocolVersion": LEGACY})
        is_alive(pipe, modern=True)


def test_a_bad_probe_is_answered_and_the_next_one_counts(vault: Path) -> None:
    with piped(tiny(vault)) as pipe:
        for params in (
            {},
            {"_meta": {}},
            {"_meta": {**MODERN_META, "io.modelcontextprotocol/protocolVersion": "1999-01-01"}},
        ):
            pipe.send({"jsonrpc": "2.0", "id": "bad", "method": "server/discover", "params": params})
            assert "error" in pipe.answer("bad")
        assert "result" in pipe.request("server/discover", modern=True)
        assert pipe.initialize()["result"]["protocolVersion"] == LEGACY
        is_alive(pipe, modern=False)


@pytest.mark.parametrize("modern", [True, False], ids=["2026", "2025"])
def test_what_a_tool_prints_does_not_reach_the_wire(vault: Path, tmp_path: Path, modern: bool) -> None:
    with piped(tiny(vault), tmp_path / "stderr") as pipe:
        if not modern:
            pipe.initialize()
        result = pipe.call("tiny_print", modern=modern)
        assert result["content"][0]["text"] == "printed"
        is_alive(pipe, modern=modern)
        assert all("jsonrpc" in json.loads(line) for line in pipe.lines)
    stray = (tmp_path / "stderr").read_bytes()
    for text in (b'{"jsonrpc"', b"stray", b"raw bytes\xff", b"original", b"from a child"):
        assert text in stray


@pytest.mark.parametrize("modern", [True, False], ids=["2026", "2025"])
def test_crashes_and_odd_answers_are_errors_on_the_wire(vault: Path, tmp_path: Path, modern: bool) -> None:
    with piped(tiny(vault), tmp_path / "stderr") as pipe:
        if not modern:
            pipe.initialize()
        for tool, arguments in (
            ("tiny_crash", {"secret": "CANARY"}),
            ("tiny_shapeless", {}),
            ("tiny_odd", {}),
            ("tiny_say", {"text": "x", "times": "CANARY"}),
        ):
            result = pipe.call(tool, arguments, modern=modern)
            assert result["isError"] is (tool != "tiny_odd")
            is_alive(pipe, modern=modern)
        assert not any(b"CANARY" in line for line in pipe.lines)


@pytest.mark.parametrize("last", [b"", b'{"jsonrpc":"2.0",'], ids=["nothing", "half a line"])
def test_the_server_ends_with_its_input(vault: Path, last: bytes) -> None:
    with piped(cold_tiny(vault)) as pipe:
        pipe.initialize()
        pipe.call("tiny_write", {"name": "a", "text": "x"})
        pipe.send(last)
        assert pipe.process.stdin
        pipe.process.stdin.close()
        assert pipe.process.wait(10) == 0


@pytest.mark.parametrize("modern", [True, False], ids=["2026", "2025"])
def test_a_server_that_has_nothing_to_complain_of_says_nothing(vault: Path, tmp_path: Path, modern: bool) -> None:
    with piped(cold_tiny(vault), tmp_path / "stderr") as pipe:
        pipe.request("server/discover", modern=True)
        if not modern:
            pipe.initialize()
        pipe.call("tiny_write", {"name": "a", "text": "x"}, modern=modern)
        pipe.call("tiny_fail", {"code": "conflict"}, modern=modern)
        assert pipe.process.stdin
        pipe.process.stdin.close()
        assert pipe.process.wait(10) == 0
    assert (tmp_path / "stderr").read_text() == ""


def test_the_server_ends_when_nobody_ever_spoke(vault: Path) -> None:
    with piped(cold_tiny(vault)) as pipe:
        assert pipe.process.stdin
        pipe.process.stdin.close()
        assert pipe.process.wait(10) == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_a_signal_ends_the_server_though_its_input_stays_open(vault: Path, number: signal.Signals) -> None:
    with piped(cold_tiny(vault)) as pipe:
        pipe.initialize()
        is_alive(pipe, modern=False)
        pipe.process.send_signal(number)
        assert pipe.process.wait(10) != 0


def test_a_client_that_stops_reading_ends_the_server(vault: Path) -> None:
    with piped(cold_tiny(vault)) as pipe:
        pipe.initialize()
        assert pipe.process.stdout and pipe.process.stdin
        pipe.process.stdout.close()
        for number in range(3):
            call = {"name": "tiny_big", "arguments": {"text_chars": 50_000}}
            pipe.send({"jsonrpc": "2.0", "id": f"n{number}", "method": "tools/call", "params": call})
        pipe.process.stdin.close()
        pipe.process.wait(10)
