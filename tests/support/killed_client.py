"""A client that makes calls through a gateway over stdio, and then kills it in the middle of the session."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import Any

HELLO = {
    "protocolVersion": "2025-11-25",
    "capabilities": {},
    "clientInfo": {"name": "killer", "version": "1"},
}


def main(line: list[str], calls: dict[str, Any]) -> None:
    process = subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin and process.stdout

    def send(message: dict[str, Any]) -> None:
        assert process.stdin
        process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")
        process.stdin.flush()

    def ask(number: int, method: str, params: dict[str, Any]) -> dict[str, Any]:
        send({"id": number, "method": method, "params": params})
        assert process.stdout
        while True:
            answer: dict[str, Any] = json.loads(process.stdout.readline())
            if answer.get("id") == number:
                return answer

    ask(1, "initialize", HELLO)
    send({"method": "notifications/initialized"})
    for number, (name, arguments) in enumerate(calls.items(), 2):
        result = ask(number, "tools/call", {"name": name, "arguments": arguments})["result"]
        assert not result.get("isError"), result
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdin.close()
    process.stdout.close()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]), json.loads(sys.argv[2]))
