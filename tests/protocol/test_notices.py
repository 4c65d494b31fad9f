"""Telling the owner that a question waits: approved outside the vault, once a question, and never in the way."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import anyio
import pytest
from click.testing import CliRunner
from served import Bench, call

from argosy_core.errors import InvalidArgument
from argosy_core.ids import SystemIds
from argosy_core.secrets.secret_store import open_secrets
from argosy_core.serving.config import open_store
from argosy_core.storage.base import Store
from argosy_core.testing.fakes import FakeClock
from argosy_core.types import Role
from argosy_core.views.vault_reader import VaultReader
from argosy_desk.server import create
from argosy_host.cli.approve import approve
from argosy_host.cli.doctor import examine
from argosy_host.notice_sending import PAUSES_SECONDS
from argosy_host.notices import Notice, Sender, all_notices, tell_once, tell_what_waits, wanted_notice
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
        self.audience: dict[str, Any] = {}
        self.store: Store = open_store(root, clock=self.bench.clock)
        secrets = open_secrets(VaultReader(self.store.files), clock=self.bench.clock, ids=SystemIds())
        self.sender = Sender(secrets, self.bench.clock)
        self.name(Notice(command=self.command))

    def name(self, notice: Notice) -> None:
        given = {"command": list(notice.command)} if notice.command else {"webhook": notice.webhook}
        headers = {"headers": dict(notice.headers)} if notice.headers else {}
        secrets = f"secrets: {json.dumps(self.audience)}\n" if self.audience else ""
        self.bench.write("fleet.md", f"---\nnotify: {json.dumps(given | headers)}\n{secrets}---\n")
        self.notice = notice

    def approve(self) -> None:
        self.approvals.approve(self.store.root, self.notice.digest)

    async def ask(self, number: int = 1, **more: Any) -> None:
        meta = self.bench.run_meta("harbor")
        await call(create, self.bench.config(), "desk_ask", meta, kind="escalation", title=f"Send {number}?", body="b",
            binding={**SEND, "proposal_id": f"p{number}"}, **more)  # fmt: skip

    async def tell(self) -> int:
        return await tell_once(self.store, self.approvals, self.sender, self.bench.clock, SystemIds())

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


@dataclass
class Hook:
    """A webhook on this machine: what it got, and what it answers next (204 when nothing more is said)."""

    url: str = ""
    bodies: list[bytes] = field(default_factory=list[bytes])
    headers: list[dict[str, str]] = field(default_factory=list[dict[str, str]])
    answers: list[int] = field(default_factory=list[int])


@pytest.fixture
def hook() -> Iterator[Hook]:
    found = Hook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            found.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            found.headers.append(dict(self.headers.items()))
            self.send_response(found.answers.pop(0) if found.answers else 204)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        found.url = f"http://127.0.0.1:{server.server_port}/"
        yield found
        server.shutdown()
        thread.join(20)


async def test_a_webhook_gets_the_question_and_not_what_it_would_do(house: House, hook: Hook) -> None:
    house.name(Notice(webhook=hook.url))
    house.approve()
    await house.ask()
    assert await house.tell() == 1
    assert json.loads(hook.bodies[0])["question"] == "p1"
    assert b"CANARY" not in hook.bodies[0]


# Tries


async def test_between_tries_there_are_pauses_that_grow(house: House, hook: Hook) -> None:
    clock = house.bench.clock
    assert isinstance(clock, FakeClock)
    hook.answers[:] = [500, 503]
    house.name(Notice(webhook=hook.url))
    house.approve()
    await house.ask()
    began = clock.monotonic()
    assert await house.tell() == 1
    assert len(hook.bodies) == 3
    assert clock.monotonic() - began == sum(PAUSES_SECONDS) and sorted(PAUSES_SECONDS) == list(PAUSES_SECONDS)


async def test_after_the_last_try_nobody_pauses(house: House, hook: Hook) -> None:
    clock = house.bench.clock
    hook.answers[:] = [500] * 9
    house.name(Notice(webhook=hook.url))
    house.approve()
    await house.ask()
    began = clock.monotonic()
    assert await house.tell() == 0
    assert (len(hook.bodies), clock.monotonic() - began) == (3, sum(PAUSES_SECONDS))


# A secret in a header

VALUE = "push-0123456789-abcdef"
BEARER = (("Authorization", "Bearer {{secret:PUSH_TOKEN}}"), ("X-From", "argosy"))


def audience(hook: Hook, **changed: Any) -> dict[str, Any]:
    host = hook.url.removeprefix("http://").rstrip("/")
    return {"PUSH_TOKEN": {"tools": ["notify"], "arguments": ["/headers/Authorization"], "hosts": [host], **changed}}


@pytest.fixture
def secret(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("ARGOSY_SECRET_PUSH_TOKEN", VALUE)
    return VALUE


async def test_a_secret_takes_its_place_in_a_header_at_the_call_and_nowhere_else(
    house: House, hook: Hook, secret: str, caplog: pytest.LogCaptureFixture
) -> None:
    hook.answers[:] = [500]
    house.audience = audience(hook)
    house.name(Notice(webhook=hook.url, headers=BEARER))
    house.approve()
    await house.ask()
    assert await house.tell() == 1
    assert [(got["Authorization"], got["X-From"]) for got in hook.headers] == [(f"Bearer {secret}", "argosy")] * 2
    assert secret not in house.notice.describe() and secret not in caplog.text
    assert not [f for f in house.bench.root.rglob("*") if f.is_file() and secret.encode() in f.read_bytes()]


@pytest.mark.parametrize(
    "changed", [{"tools": ["mail__send"]}, {"arguments": ["/headers/X-From"]}, {"hosts": ["example.org"]}]
)
async def test_a_secret_goes_to_no_header_outside_its_audience(
    house: House, hook: Hook, secret: str, changed: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    house.audience = audience(hook, **changed)
    house.name(Notice(webhook=hook.url, headers=BEARER))
    house.approve()
    await house.ask()
    assert await house.tell() == 0
    assert hook.bodies == []
    [failed] = [line async for line in house.store.chain.scan("harbor") if line.get("kind") == "notice.failed"]
    assert failed["reason"].startswith("blocked: PUSH_TOKEN may not go there") and secret not in caplog.text


async def test_a_secret_that_is_not_there_is_named_and_nothing_is_sent(house: House, hook: Hook) -> None:
    house.audience = audience(hook)
    house.name(Notice(webhook=hook.url, headers=BEARER))
    house.approve()
    await house.ask()
    assert await house.tell() == 0 and hook.bodies == []


async def test_another_header_is_off_until_it_is_approved(house: House, hook: Hook) -> None:
    house.name(Notice(webhook=hook.url))
    house.approve()
    house.name(Notice(webhook=hook.url, headers=(("X-From", "elsewhere"),)))
    await house.ask()
    assert await house.tell() == 0 and hook.bodies == []


# What judges.md says of escalations


async def test_an_agents_policy_says_who_hears_of_its_escalations(house: House, hook: Hook) -> None:
    house.approve()
    house.bench.write("harbor/judges.md", f"## Escalation queue\n\n- operator_notification: {hook.url}\n")
    own = Notice(webhook=hook.url)
    await house.ask()
    assert await house.tell() == 0  # that address was approved by nobody
    house.approvals.approve(house.store.root, own.digest)
    assert all_notices(VaultReader(house.store.files)) == [house.notice, own]
    assert await house.tell() == 1
    assert json.loads(hook.bodies[0])["question"] == "p1" and house.heard() == []
    meta = house.bench.run_meta("harbor")
    await call(create, house.bench.config(), "desk_ask", meta, kind="gate", title="Go?", body="b")
    assert await house.tell() == 1
    assert [told["title"] for told in house.heard()] == ["Go?"]


@pytest.mark.parametrize(
    ("word", "told"), [("desk", 0), ("None", 0), ("notify", 1), ("pager", 1), ("http://example.org/", 1), ("~", 1)]
)
async def test_a_word_of_the_policy_leaves_escalations_at_the_desk_or_to_the_fleet(
    house: House, word: str, told: int
) -> None:
    house.approve()
    house.bench.write("judges.md", f"## Escalation queue\n\n- operator_notification: {word}\n")
    await house.ask()
    assert await house.tell() == told


async def test_a_policy_that_cannot_be_read_leaves_nobody_unheard(house: House) -> None:
    house.approve()
    house.bench.write("judges.md", "## Escalation queue\n\n- operator_notifications: desk\n")
    await house.ask()
    assert await house.tell() == 1


async def test_the_doctor_names_a_word_it_does_not_know_and_what_is_off(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "xdg"))
    house.bench.write("judges.md", "## Escalation queue\n\n- operator_notification: pager\n")
    found = [(f["check"], f["message"]) for f in await examine(house.store.root, None)]
    assert any(check == "judge_notification" and "pager" in message for check, message in found)
    assert any(check == "notify" and "is off" in message for check, message in found)


async def test_it_goes_on_until_it_is_stopped(house: House) -> None:
    house.approve()
    await house.ask()
    stop = anyio.Event()
    async with anyio.create_task_group() as group:
        group.start_soon(
            tell_what_waits, house.store, house.approvals, house.sender, house.bench.clock, SystemIds(), stop
        )
        with anyio.fail_after(20):
            while not house.heard():
                await anyio.lowlevel.checkpoint()
        stop.set()


@pytest.mark.parametrize(
    "given", ["mail", [], {}, {"command": "mail me"}, {"command": []}, {"command": [1]}, {"webhook": "ftp://x"},
        {"webhook": "http://example.org/"}, {"webhook": "http://127.0.0.1.example.org/"}, {"webhook": "https:///x"},
        {"webhook": 5}, {"command": ["a"], "webhook": "https://x"}, {"command": ["a"], "headers": {"A": "b"}},
        {"webhook": "https://x", "headers": ["A"]}, {"webhook": "https://x", "headers": {"A": 1}},
        {"webhook": "https://x", "headers": {"A b": "c"}}, {"webhook": "https://x", "headers": {"A": "b\r\nC: d"}},
        {"webhook": "https://x", "headers": {"A": "{{ secret:X}}"}}, {"webhook": "https://x/{{secret:X}}"}]
)  # fmt: skip
def test_what_is_no_notice_is_said_to_be_none(given: Any) -> None:
    with pytest.raises(InvalidArgument):
        wanted_notice({"notify": given})
    assert wanted_notice({}) is None
