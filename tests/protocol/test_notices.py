"""Telling the owner that a question waits: approved outside the vault, once a question, and never in the way."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import anyio
import pytest
from click.testing import CliRunner
from served import Bench, call

from argosy_core.errors import InvalidArgument
from argosy_core.ids import SystemIds
from argosy_core.serving.config import open_store
from argosy_core.storage.base import Store
from argosy_core.testing.fakes import FakeClock
from argosy_core.types import Role
from argosy_desk.server import create
from argosy_host.cli.approve import approve
from argosy_host.notices import Notice, tell_once, tell_what_waits, wanted_notice
from argosy_host.trust import Approvals, state_folder

pytestmark = pytest.mark.anyio
SEND = {"tool_name": "send", "tool_arguments": {"to": "CANARY"}, "action_class": "high_risk"}


class House:
    """A vault whose fleet.md names a command that writes down what it is told."""

    def __init__(self, root: Path, state: Path) -> None:
        self.bench = Bench(root)
        self.told = state / "told.jsonl"
        program = f"import sys; open({str(self.told)!r}, 'a').write(sys.stdin.read() + chr(10))"
        self.command = (sys.executable, "-c", program)
        self.approvals = Approvals(state / "approved")
        self.store: Store = open_store(root, clock=self.bench.clock)
        self.name(Notice(command=self.command))

    def name(self, notice: Notice) -> None:
        given = {"command": list(notice.command)} if notice.command else {"webhook": notice.webhook}
        self.bench.write("fleet.md", f"---\nnotify: {json.dumps(given)}\n---\n")
        self.notice = notice

    def approve(self) -> None:
        self.approvals.approve(self.store.root, self.notice.digest)

    async def ask(self, number: int = 1, **more: Any) -> None:
        meta = self.bench.run_meta("harbor")
        await call(create, self.bench.config(), "desk_ask", meta, kind="escalation", title=f"Send {number}?", body="b",
            binding={**SEND, "proposal_id": f"p{number}"}, **more)  # fmt: skip

    async def tell(self) -> int:
        return await tell_once(self.store, self.approvals, self.bench.clock, SystemIds())

    def heard(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.told.read_text().splitlines()] if self.told.exists() else []


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    for name in ("vault", "state"):
        (tmp_path / name).mkdir()
    found = House(tmp_path / "vault", tmp_path / "state")
    yield found
    found.store.close()


async def test_nothing_runs_until_it_is_approved_and_nothing_else_after(house: House) -> None:
    await house.ask()
    assert await house.tell() == 0
    house.approve()
    house.name(Notice(command=(*house.command, "changed")))
    assert await house.tell() == 0
    assert house.heard() == []
    house.name(Notice(command=house.command))
    assert await house.tell() == 1
    [told] = house.heard()
    assert told == {
        "question": "p1", "agent": "harbor", "kind": "escalation", "urgency": "normal", "title": "Send 1?",
        "path": "harbor/vault/escalations/high_risk/p1.md", "stage": "asked",
    }  # fmt: skip


async def test_each_question_is_told_once_whatever_the_number_of_processes(house: House) -> None:
    house.approve()
    for number in (1, 2):
        await house.ask(number)
    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(house.tell)
    assert sorted(told["question"] for told in house.heard()) == ["p1", "p2"]
    assert await house.tell() == 0


async def test_it_is_told_once_more_when_its_time_runs_out(house: House) -> None:
    house.approve()
    clock = house.bench.clock
    assert isinstance(clock, FakeClock)
    await house.ask(default="deny", urgency="high")
    assert await house.tell() == 1
    clock.advance(2_000.0)
    assert await house.tell() == 0
    clock.advance(1_000.0)
    assert await house.tell() == 1
    assert await house.tell() == 0
    assert [told["stage"] for told in house.heard()] == ["asked", "due"]


async def test_what_fails_is_tried_three_times_then_logged_and_left(house: House) -> None:
    program = f"open({str(house.told)!r}, 'a').write('1' + chr(10)); raise SystemExit(3)"
    house.name(Notice(command=(sys.executable, "-c", program)))
    house.approve()
    await house.ask()
    assert await house.tell() == await house.tell() == 0
    assert house.told.read_text().splitlines() == ["1"] * 3
    lines = [line async for line in house.store.chain.scan("harbor")]
    [failed] = [line for line in lines if line.get("kind") == "notice.failed"]
    assert (failed["question"], failed["stage"], failed["reason"]) == ("p1", "asked", "CalledProcessError")


def test_the_owner_approves_it_by_its_name(house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "xdg"))
    given = ["notify", "--vault", str(house.store.root)]
    refused = CliRunner().invoke(approve, given)
    assert refused.exit_code != 0
    assert not Approvals(state_folder()).allows(house.store.root, house.notice.digest)
    done = CliRunner().invoke(approve, [*given, "--yes"])
    assert house.command[0] in done.output
    assert Approvals(state_folder()).allows(house.store.root, house.notice.digest)


async def test_what_is_answered_is_not_told(house: House) -> None:
    house.approve()
    await house.ask()
    await call(create, house.bench.config(role=Role.OPERATOR), "desk_answer", question="p1", choice="deny")
    assert await house.tell() == 0


async def test_a_command_that_fails_stops_nothing(house: House) -> None:
    house.name(Notice(command=(sys.executable, "-c", "raise SystemExit(3)")))
    house.approve()
    await house.ask()
    assert await house.tell() == 0
    house.name(Notice(command=("/nowhere/at/all",)))
    house.approve()
    await house.ask(2)
    assert await house.tell() == 0


async def test_a_webhook_gets_the_question_and_not_what_it_would_do(house: House) -> None:
    got: list[bytes] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Hook) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        house.name(Notice(webhook=f"http://127.0.0.1:{server.server_port}/"))
        house.approve()
        await house.ask()
        assert await house.tell() == 1
        server.shutdown()
        thread.join(20)
    assert json.loads(got[0])["question"] == "p1"
    assert b"CANARY" not in got[0]


async def test_it_goes_on_until_it_is_stopped(house: House) -> None:
    house.approve()
    await house.ask()
    stop = anyio.Event()
    async with anyio.create_task_group() as group:
        group.start_soon(tell_what_waits, house.store, house.approvals, house.bench.clock, SystemIds(), stop)
        with anyio.fail_after(20):
            while not house.heard():
                await anyio.lowlevel.checkpoint()
        stop.set()


@pytest.mark.parametrize(
    "given", ["mail", [], {}, {"command": "mail me"}, {"command": []}, {"command": [1]}, {"webhook": "ftp://x"},
        {"webhook": "http://example.org/"}, {"webhook": "http://127.0.0.1.example.org/"}, {"webhook": "https:///x"},
        {"webhook": 5}, {"command": ["a"], "webhook": "https://x"}]
)  # fmt: skip
def test_what_is_no_notice_is_said_to_be_none(given: Any) -> None:
    with pytest.raises(InvalidArgument):
        wanted_notice({"notify": given})
    assert wanted_notice({}) is None
