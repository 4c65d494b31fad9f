"""The fleet in the background: one process a vault, a relay in front of it, an end that leaves nothing."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import anyio
import pytest
from fleet_fixtures import make_vault, text_of
from mcp import Client, StdioServerParameters
from messages_api import Reply, Silence, messages_api, text
from transports import command, environment, warm_command

from argosy_core.clock import SystemClock
from argosy_host.cli import run_cli
from argosy_host.cli.through_fleet import told_by
from argosy_host.runtime import find_up, place_of

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def vault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    runtime = tmp_path / "rt"
    runtime.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return make_vault(tmp_path / "vault")


def host(*arguments: str) -> subprocess.CompletedProcess[str]:
    kept = ("XDG_RUNTIME_DIR", "ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL")
    env = environment(**{name: os.environ[name] for name in kept if name in os.environ})
    return subprocess.run(command(*arguments), capture_output=True, text=True, timeout=60, env=env)


def status(vault: Path) -> dict[str, Any]:
    return json.loads(host("status", "--vault", str(vault), "--json").stdout)


@pytest.fixture
def running(vault: Path) -> Generator[Path]:
    """A vault whose fleet is up. Tests of the start itself start it as a person does."""
    env = environment(XDG_RUNTIME_DIR=os.environ["XDG_RUNTIME_DIR"])
    line = warm_command("up", "--foreground", "--vault", str(vault))
    with subprocess.Popen(line, env=env, stderr=subprocess.DEVNULL) as fleet:
        until(lambda: find_up(vault) is not None)
        yield vault
        if find_up(vault) is not None:
            host("down", "--vault", str(vault))
        assert find_up(vault) is None
        fleet.wait(10)


def test_it_comes_up_says_so_and_goes_down_without_a_trace(vault: Path) -> None:
    done = host("up", "--vault", str(vault))
    assert done.returncode == 0, done.stderr
    found = status(vault)

    assert found["up"] and found["ready"]
    with urllib.request.urlopen(f"{found['http']}/health/ready", timeout=10) as answer:
        assert answer.read() == b"ready\n"
    with urllib.request.urlopen(f"{found['http']}/metrics", timeout=10) as answer:
        assert b"argosy_ready 1" in answer.read()
    assert host("down", "--vault", str(vault)).stdout == "down\n"
    place = place_of(vault)
    assert not place.socket.exists() and not place.facts.exists()
    assert host("status", "--vault", str(vault)).returncode == 1
    assert host("down", "--vault", str(vault)).returncode == 0


def test_a_second_one_on_the_same_vault_is_refused_with_the_first_ones_number(running: Path) -> None:
    second = host("up", "--vault", str(running))

    assert second.returncode == 1
    assert str(status(running)["pid"]) in second.stderr and "mcp-host down" in second.stderr


def test_a_killed_process_is_not_up_whatever_its_files_say(running: Path) -> None:
    os.kill(status(running)["pid"], signal.SIGKILL)
    until(lambda: find_up(running) is None)

    assert place_of(running).facts.exists()
    assert host("status", "--vault", str(running)).returncode == 1
    again = host("up", "--vault", str(running))
    assert again.returncode == 0, again.stderr


@pytest.mark.timeout(180)
def test_an_item_whose_process_was_killed_in_the_middle_finishes_once_and_the_log_says_what_was(
    vault: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with messages_api([Silence(), Reply(text("Wound."))]) as api:
        monkeypatch.setenv("ANTHROPIC_API_KEY", "key-for-the-test")
        monkeypatch.setenv("ANTHROPIC_BASE_URL", api.url)
        work = json.dumps({"queue": "runs", "payload": {"agent": "ada", "task": "Wind the clock."}})
        assert host("call", "queue_enqueue", work, "--vault", str(vault)).returncode == 0
        assert host("up", "--vault", str(vault), "--model", "claude-test").returncode == 0
        try:
            until(lambda: bool(api.requests))
            os.kill(status(vault)["pid"], signal.SIGKILL)
            until(lambda: find_up(vault) is None)
            assert host("up", "--vault", str(vault), "--model", "claude-test").returncode == 0
            until(lambda: status(vault)["done"] == 1)
        finally:
            host("down", "--vault", str(vault))

    runs = json.loads(host("runs", "--vault", str(vault), "--json").stdout)["items"]
    assert [run["status"] for run in runs] == ["ok", "interrupted"]
    assert runs[1]["summary"].startswith("The process ended")
    [item] = json.loads(host("queue", "--vault", str(vault), "--json").stdout)["items"]
    assert (item["state"], item["attempt"]) == ("done", 2)
    assert item["failures"][0]["error"] == "its worker's process was killed"
    journal = "".join(path.read_text() for path in (vault / "ada/journal").rglob("*.md"))
    assert journal.count("Wound.") == 1
    assert len(api.requests) == 2


@pytest.mark.anyio
async def test_a_run_that_one_client_started_is_watched_by_another_while_it_is_up(running: Path) -> None:
    env = environment(XDG_RUNTIME_DIR=os.environ["XDG_RUNTIME_DIR"])
    line = command("serve", "host", "--vault", str(running))
    target = StdioServerParameters(command=line[0], args=line[1:], env=env)
    with anyio.fail_after(90):
        async with Client(target, cache=None) as first:
            begun = await first.call_tool("run_start", {"agent": "ada", "input": "What burns in the lamp?"})
        run = (begun.structured_content or {})["run"]
        async with Client(target, cache=None) as second:
            ended = await second.call_tool("run_status", {"run": run, "wait_s": 40})

    assert (ended.structured_content or {})["status"] == "ok"
    assert "rapeseed" in (ended.structured_content or {})["text"]


@pytest.mark.anyio
async def test_a_gateway_that_is_relayed_has_its_gate_and_each_client_its_run(running: Path) -> None:
    env = environment(XDG_RUNTIME_DIR=os.environ["XDG_RUNTIME_DIR"])
    line = command("serve", "--vault", str(running))
    target = StdioServerParameters(command=line[0], args=line[1:], env=env)
    with anyio.fail_after(90):
        for number in range(2):
            async with Client(target, cache=None) as client:
                done = await client.call_tool("journal_append", {"text": f"Round {number}."})
                assert not done.is_error, done

    files = (running / "ada/log").rglob("*.jsonl")
    lines = [json.loads(line) for file in files for line in file.read_text(encoding="utf-8").splitlines()]
    assert [event["kind"] for event in lines if event["kind"] in ("run.start", "judgment")] == [
        "run.start", "judgment", "run.start", "judgment",
    ]  # fmt: skip
    assert {event["host"] for event in lines if event["kind"] == "run.start"} == {"host-1#1"}


def test_a_run_from_the_terminal_is_done_by_the_running_fleet_and_shown_as_ever(running: Path) -> None:
    env = environment(XDG_RUNTIME_DIR=os.environ["XDG_RUNTIME_DIR"])
    line = command("run", "ada", "What burns in the lamp?", "--vault", str(running))
    done = subprocess.run([line[0], "-X", "importtime", *line[1:]], capture_output=True, text=True, timeout=60, env=env)
    as_json = json.loads(host("run", "ada", "What burns in the lamp?", "--json", "--vault", str(running)).stdout)
    unknown = host("run", "nobody", "x", "--vault", str(running))

    assert done.returncode == 0 and "rapeseed" in done.stdout and "→ memory_search" in done.stderr
    imported = {row.split("|")[-1].strip() for row in done.stderr.split("\n")}
    assert not {"mcp", "pydantic", "anyio", "argosy_memory"} & imported
    assert as_json["status"] == "ok" and as_json["citations"][0]["name"] == "decision_lamp_oil"
    assert unknown.returncode == 1 and "not_found" in unknown.stderr and "ada" in unknown.stderr


def test_a_terminal_that_goes_away_interrupts_its_run(vault: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with messages_api([Silence()]) as api:
        monkeypatch.setenv("ANTHROPIC_API_KEY", "key-for-the-test")
        monkeypatch.setenv("ANTHROPIC_BASE_URL", api.url)
        assert host("up", "--vault", str(vault)).returncode == 0
        try:
            env = environment(XDG_RUNTIME_DIR=os.environ["XDG_RUNTIME_DIR"], ANTHROPIC_API_KEY="key-for-the-test")
            terminal = subprocess.Popen(
                command("run", "ada", "x", "--vault", str(vault), "--model", "claude-test"),
                env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip
            until(lambda: bool(api.requests))
            terminal.kill()
            terminal.wait(10)
            until(lambda: '"run.end"' in "".join(path.read_text() for path in (vault / "ada/log").rglob("*.jsonl")))
        finally:
            host("down", "--vault", str(vault))

    [run] = json.loads(host("runs", "--vault", str(vault), "--json").stdout)["items"]
    assert run["status"] == "interrupted"


def talk(vault: Path, given: str, *flags: str) -> subprocess.CompletedProcess[str]:
    env = environment(XDG_RUNTIME_DIR=os.environ["XDG_RUNTIME_DIR"])
    line = command("chat", "--conversation", "lamp", "--vault", str(vault), *flags)
    line = [line[0], "-X", "importtime", *line[1:]]
    return subprocess.run(line, input=given, capture_output=True, text=True, timeout=60, env=env)


def imported(done: subprocess.CompletedProcess[str]) -> set[str]:
    return {row.split("|")[-1].strip() for row in done.stderr.split("\n") if row.startswith("import time:")}


def shown(done: subprocess.CompletedProcess[str]) -> str:
    """What a person sees of it, without what differs from run to run."""
    rows = [row for row in done.stderr.split("\n") if not row.startswith("import time:")]
    return re.sub(r"run-[-0-9a-f]+|\d+ ms", "…", done.stdout + "\n".join(rows))


def kept_of(vault: Path) -> list[tuple[str, str]]:
    rows = (vault / "ada/conversations/local/lamp.jsonl").read_text().splitlines()
    return [(turn["role"], turn["content"]) for turn in map(json.loads, rows)]


def test_turns_are_done_by_the_running_fleet_and_shown_and_kept_as_ever(running: Path) -> None:
    given = "What burns in the lamp?\n\nAnd who keeps it?\n/quit\n"
    through, as_json = talk(running, given), talk(running, "What burns in the lamp?\n", "--json", "--last")
    kept = kept_of(running)
    unknown = host("chat", "nobody", "--vault", str(running))
    assert host("down", "--vault", str(running)).returncode == 0
    (running / "ada/conversations/local/lamp.jsonl").unlink()
    alone, alone_json = talk(running, given), talk(running, "What burns in the lamp?\n", "--json")

    assert through.returncode == alone.returncode == 0 and "rapeseed" in through.stdout
    assert shown(through) == shown(alone)
    heavy = {"mcp", "pydantic", "anyio", "argosy_memory"}
    assert not heavy & imported(through) and heavy - {"argosy_memory"} <= imported(alone)
    assert json.loads(as_json.stdout).keys() == json.loads(alone_json.stdout).keys()
    assert json.loads(as_json.stdout)["conversation"] == "lamp"
    assert kept == kept_of(running) and [role for role, _ in kept] == ["user", "assistant"] * 3
    assert unknown.returncode == 1 and "not_found" in unknown.stderr and "ada" in unknown.stderr


@pytest.mark.parametrize("end", ["kill", "down"])
def test_a_fleet_that_ends_in_the_middle_of_a_turn_loses_nothing_that_was_said(
    end: str, vault: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with messages_api([Silence(), Reply(text("Rapeseed oil."))]) as api:
        monkeypatch.setenv("ANTHROPIC_API_KEY", "key-for-the-test")
        monkeypatch.setenv("ANTHROPIC_BASE_URL", api.url)
        assert host("up", "--vault", str(vault)).returncode == 0
        found = find_up(vault)
        assert found is not None

        def end_it() -> None:
            until(lambda: bool(api.requests))
            if end == "kill":
                os.kill(found[1].pid, signal.SIGKILL)
            else:
                host("down", "--vault", str(vault))

        ending = threading.Thread(target=end_it)
        ending.start()
        monkeypatch.setattr("sys.stdin", io.StringIO("What burns in the lamp?\nWell?\n"))
        try:
            with pytest.raises(SystemExit) as ended:
                run_cli(["chat", "--conversation", "lamp", "--model", "claude-test", "--vault", str(vault)])
        finally:
            ending.join()
            host("down", "--vault", str(vault))
        said, told = capsys.readouterr()

        assert ended.value.code == 0 and said == "Rapeseed oil.\n"
        assert "unavailable: the running fleet ended in the middle of the turn; what you said is kept" in told
        asked = [message["content"] for message in api.requests[-1].body["messages"]]
        assert "What burns in the lamp?" in str(asked[0]) and len(api.requests) == 2
    assert kept_of(vault) == [("user", "What burns in the lamp?"), ("user", "Well?"), ("assistant", "Rapeseed oil.")]


def test_a_fleet_of_another_version_or_with_other_keys_does_no_turn(
    running: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[str] = []

    def say_alone(_: Path, store: None, asked: dict[str, Any], watcher: object) -> dict[str, Any]:
        begun.append(asked["task"])
        return {"hint": None, "status": "ok"}

    monkeypatch.setattr("argosy_host.cli.chat_alone.say_alone", say_alone)

    def chat(said: str) -> None:
        monkeypatch.setattr("sys.stdin", io.StringIO(f"{said}\n"))
        with pytest.raises(SystemExit) as ended:
            run_cli(["chat", "ada", "--json", "--vault", str(running)])
        assert ended.value.code == 0

    chat("To the fleet.")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "key-for-the-test")
    chat("With a key.")
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    monkeypatch.setattr("argosy_host.relay.__version__", "0.0.1")
    chat("Of another version.")
    assert begun == ["With a key.", "Of another version."]


def test_a_line_that_was_cut_off_is_none() -> None:
    ours, theirs = socket.socketpair()
    theirs.sendall(b'{"tell": "started", "args": ["run-1"]}\n{"result": {')
    theirs.close()
    assert list(told_by(ours)) == [{"tell": "started", "args": ["run-1"]}]


def until(come: Callable[[], bool], seconds: float = 60.0) -> None:
    """Look again and again until it has come; a bound, no wait of a fixed length."""
    clock = SystemClock()
    end = clock.monotonic() + seconds
    while not come():
        assert clock.monotonic() < end, "it did not come"
        clock.pause(0.02)


@pytest.mark.anyio
@pytest.mark.parametrize("servers", [("memory",), ()])
async def test_serve_is_a_relay_that_imports_no_server_while_it_is_up(running: Path, servers: tuple[str, ...]) -> None:
    env = environment(XDG_RUNTIME_DIR=os.environ["XDG_RUNTIME_DIR"], PYTHONPROFILEIMPORTTIME="")
    line = command("serve", *servers, "--vault", str(running))
    target = StdioServerParameters(command=line[0], args=line[1:], env=env)
    with anyio.fail_after(60):
        async with Client(target, cache=None) as client:
            names = {tool.name for tool in (await client.list_tools()).tools}
            found = await client.call_tool("memory_search", {"query": "lamp"})
            clients = await anyio.to_thread.run_sync(status, running)

    assert "memory_search" in names and ("goal_list" in names) == (servers == ())
    assert found.structured_content and found.structured_content["hits"]
    assert clients["clients"] == 1


def test_what_a_shell_gives_a_relay_is_answered_and_who_reads_no_more_ends_it(running: Path, tmp_path: Path) -> None:
    env = environment(XDG_RUNTIME_DIR=os.environ["XDG_RUNTIME_DIR"])
    line = command("serve", "memory", "--vault", str(running))
    client = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "sh", "version": "1"}}
    call = {"name": "memory_search", "arguments": {"query": "lamp"}}
    asked = [("initialize", client), ("tools/call", call)]
    requests = [{"jsonrpc": "2.0", "id": each, "method": each, "params": params} for each, params in asked]
    (tmp_path / "requests").write_text("".join(json.dumps(each) + "\n" for each in requests))

    with (tmp_path / "requests").open() as file:
        done = subprocess.run(line, stdin=file, capture_output=True, text=True, timeout=60, env=env)
    assert done.returncode == 0, done.stderr
    assert {json.loads(answer)["id"] for answer in done.stdout.splitlines()} == {each for each, _ in asked}

    # Its answers have nowhere to go, and its input stays open.
    reads, writes = os.pipe()
    os.close(reads)
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=writes, stderr=subprocess.PIPE, env=env) as gone:
        os.close(writes)
        assert gone.stdin and gone.stderr
        gone.stdin.write((tmp_path / "requests").read_bytes())
        gone.stdin.flush()
        assert gone.wait(20) == 0
        assert gone.stderr.read() == b""
    until(lambda: status(running)["clients"] == 0)


def test_a_relay_imports_nothing_heavy(running: Path) -> None:
    env = environment(XDG_RUNTIME_DIR=os.environ["XDG_RUNTIME_DIR"])
    line = command("serve", "memory", "--vault", str(running))
    done = subprocess.run(
        [line[0], "-X", "importtime", *line[1:]], input="", capture_output=True, text=True, timeout=60, env=env
    )

    assert done.returncode == 0
    assert not {"mcp", "pydantic", "anyio", "argosy_memory"} & {
        row.split("|")[-1].strip() for row in done.stderr.split("\n")
    }


@pytest.mark.anyio
async def test_a_client_that_may_not_be_an_operator_is_not(running: Path) -> None:
    env = environment(XDG_RUNTIME_DIR=os.environ["XDG_RUNTIME_DIR"])
    line = command("serve", "desk", "--vault", str(running))
    with anyio.fail_after(60):
        async with Client(StdioServerParameters(command=line[0], args=line[1:], env=env), cache=None) as client:
            refused = await client.call_tool("desk_answer", {"question": "q", "choice": "approve"})

    assert refused.is_error and text_of(refused).startswith("permission_denied")


@pytest.mark.parametrize(
    "hello", [b"nonsense\n", b"{}\n", b'{"vault": "/elsewhere", "store": "files", "version": "0"}\n', b"[1]\n"]
)
def test_a_stranger_at_the_door_is_sent_away_and_the_next_is_served(running: Path, hello: bytes) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as door:
        door.settimeout(10)
        door.connect(str(place_of(running).socket))
        door.sendall(hello)
        answer = json.loads(door.makefile().readline())

    assert not answer["ok"]
    assert status(running)["ready"]


def test_the_private_folder_and_socket_are_the_users_alone(running: Path) -> None:
    place = place_of(running)

    assert place.folder.stat().st_mode & 0o777 == 0o700
    assert place.socket.stat().st_mode & 0o777 == 0o600


def test_a_home_whose_path_is_too_long_for_a_socket_is_no_obstacle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / ("long" * 25)))

    assert len(str(place_of(tmp_path).socket)) < 100


def test_without_a_vault_nothing_comes_up(tmp_path: Path, vault: Path) -> None:
    done = host("up", "--vault", str(tmp_path / "none"))

    assert done.returncode == 1 and "mcp-host init" in done.stderr


def test_what_waits_is_told_by_the_command_that_was_approved(vault: Path, tmp_path: Path) -> None:
    told = tmp_path / "told"
    program = f"import sys; open({str(told)!r}, 'a').write(sys.stdin.read())"
    (vault / "fleet.md").write_text(f"---\nnotify: {json.dumps({'command': [sys.executable, '-c', program]})}\n---\n")
    folder = vault / "ada/vault/escalations/decision"
    folder.mkdir(parents=True)
    (folder / "q1.md").write_text("---\ntype: decision\nstate: pending\ntitle: Which?\n---\n")
    assert host("approve", "notify", "--yes", "--vault", str(vault)).returncode == 0
    assert host("up", "--vault", str(vault)).returncode == 0
    try:
        until(lambda: told.exists() and told.read_text().endswith("}"))
    finally:
        host("down", "--vault", str(vault))
    assert json.loads(told.read_text())["question"] == "q1"
