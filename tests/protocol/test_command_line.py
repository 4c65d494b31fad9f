"""What a person sees: one line and a hint for every mistake, the right exit code, never a traceback."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest
from fleet_fixtures import make_vault
from messages_api import Reply, Silence, messages_api, text, tool_use
from transports import environment, warm_command

from argosy_core.index.sync import reconcile
from argosy_host import direct
from argosy_host.cli import run_cli, search
from argosy_host.results import CallOutcome

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    for name in ("ANTHROPIC_API_KEY", "ARGOSY_VAULT"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def vault(tmp_path: Path) -> Path:
    return make_vault(tmp_path / "vault")


def host(*arguments: str, **extra: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        warm_command(*arguments), capture_output=True, text=True, timeout=60, env=environment(**extra)
    )


def exit_code(*arguments: str) -> int:
    try:
        return run_cli(list(arguments))
    except SystemExit as exc:
        return int(exc.code or 0)


def test_a_run_shows_its_progress_then_the_answer_then_the_trace_command(vault: Path) -> None:
    done = host("run", "ada", "What do I know about the lamp oil?", "--vault", str(vault))

    assert done.returncode == 0, done.stderr
    assert "[decision_lamp_oil]" in done.stdout and "rapeseed" in done.stdout
    assert "no language model" in done.stdout
    lines = done.stderr.splitlines()
    assert any("→ memory_" in line for line in lines) and "mcp-host trace run-" in lines[-1]
    run = lines[-1].split(" · ")[0]
    traced = host("trace", run, "--vault", str(vault))
    assert traced.returncode == 0 and "memory_recall" in traced.stdout


def test_a_run_as_json_is_one_object_on_stdout(vault: Path) -> None:
    done = host("run", "ada", "What do I know about the lamp oil?", "--vault", str(vault), "--json")

    found = json.loads(done.stdout)
    assert {"run", "agent", "status", "text", "citations", "tools", "usage", "cost_usd", "model"} <= found.keys()
    assert found["agent"] == "ada" and found["model"] == "offline" and found["cost_usd"] == 0
    assert {"name": "decision_lamp_oil", "uri": "memory://note/decision_lamp_oil"} in found["citations"]
    assert all(set(tool) == {"name", "verdict", "ms"} for tool in found["tools"])


def test_a_run_on_a_real_model_streams_calls_tools_and_costs(vault: Path) -> None:
    steps = [
        Reply(text("Looking."), tool_use("memory_search", {"query": "lamp"})),
        Reply(text("Rapeseed oil [decision_lamp_oil].")),
    ]
    with messages_api(steps) as api:
        done = host(
            "run", "ada", "Which oil?", "--vault", str(vault), "--json", "--model", "claude-sonnet-5",
            ANTHROPIC_BASE_URL=api.url, ANTHROPIC_API_KEY="key",
        )  # fmt: skip

    found = json.loads(done.stdout)
    assert found["status"] == "ok" and found["text"] == "Rapeseed oil [decision_lamp_oil]."
    assert [c["name"] for c in found["citations"]] == ["decision_lamp_oil"]
    assert found["cost_usd"] > 0
    assert len(api.requests) == 2 and "rapeseed" in json.dumps(api.requests[1].body["messages"])


def test_a_refused_key_is_one_line_and_leaves_a_record(vault: Path) -> None:
    from messages_api import Failure

    with messages_api([Failure(401)]) as api:
        done = host(
            "run", "ada", "x", "--vault", str(vault), "--model", "claude-sonnet-5",
            ANTHROPIC_BASE_URL=api.url, ANTHROPIC_API_KEY="sk-secret",
        )  # fmt: skip

    assert done.returncode == 1
    assert "unauthenticated" in done.stderr and "ANTHROPIC_API_KEY" in done.stderr
    assert "Traceback" not in done.stderr and "sk-secret" not in done.stdout + done.stderr
    assert "error" in host("trace", "--vault", str(vault)).stdout


def test_a_missing_key_for_a_named_model_leaves_a_record_too(vault: Path) -> None:
    done = host("run", "ada", "x", "--vault", str(vault), "--model", "claude-sonnet-5")

    assert done.returncode == 1 and "ANTHROPIC_API_KEY" in done.stderr
    assert "error" in host("trace", "--vault", str(vault)).stdout


def test_an_interrupted_run_is_closed_as_interrupted(vault: Path) -> None:
    with messages_api([Silence()]) as api:
        process = subprocess.Popen(
            warm_command("run", "ada", "x", "--vault", str(vault), "--model", "claude-sonnet-5"),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(ANTHROPIC_BASE_URL=api.url, ANTHROPIC_API_KEY="key"),
        )
        assert process.stderr
        for line in process.stderr:
            if " tools · run-" in line:
                break
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)

    assert process.returncode == 1 and "interrupted" in err and "Traceback" not in err + out
    assert "interrupted" in host("trace", "--vault", str(vault)).stdout


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["run", "bob", "x"], 1, "ada"),
        (["run", "ada", " "], 2, "empty"),
        (["run", "ada"], 2, "Missing argument"),
        (["call", "nope"], 1, "mcp-host tools"),
        (["call", "memory_search", "{"], 2, "not JSON"),
        (["call", "memory_search", "[]"], 2, "JSON object"),
        (["call", "memory_search", '{"query": "a", "x": 1}'], 2, "does not take x"),
        (["call", "memory_read", '{"name": "none"}'], 1, "not_found"),
        (["call", "desk_answer", '{"question": "q", "choice": "approve"}'], 1, "--role operator"),
        (["trace", "run-none"], 1, "not_found"),
        (["serve", "nope"], 1, "nope"),
        (["serve", "memory", "--http", "0.0.0.0:1"], 1, "127.0.0.1"),
        (["serve", "memory", "--http", "x"], 2, "HOST:PORT"),
        (["serve", "memory", "--store", "redis"], 2, "files"),
        (["serve", "memory", "--http", "127.0.0.1:0", "--role", "operator"], 1, "operator"),
        (["approve", "nope", "--yes"], 1, "nope"),
        (["nonsense"], 2, "No such command"),
    ],
)
def test_a_mistake_is_named_with_what_to_do(
    vault: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, said: str
) -> None:
    place = ["--vault", str(vault)] if arguments[0] != "nonsense" else []

    assert exit_code(*arguments, *place) == code

    shown = capsys.readouterr().err
    assert said in shown and "Traceback" not in shown


@pytest.mark.parametrize("line", [["run", "a", "b"], ["doctor"], ["tools"], ["trace"], ["serve", "log"]])
def test_a_missing_vault_says_how_to_make_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], line: list[str]
) -> None:
    assert exit_code(*line, "--vault", str(tmp_path / "none")) == 1
    assert "mcp-host init" in capsys.readouterr().err


def test_a_vault_is_made_once_and_never_over_something(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = tmp_path / "new" / "vault"

    assert exit_code("init", str(made)) == 0
    assert (made / "fleet.md").is_file() and (made / ".gitignore").is_file()
    (made / "mine.md").write_text("x", encoding="utf-8")
    assert exit_code("init", str(made)) == 1
    assert "not empty" in capsys.readouterr().err
    assert exit_code("init", str(tmp_path / "other"), "--template", "nope") == 1


def test_the_doctor_reports_file_by_file_and_changes_nothing(vault: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (vault / "ada/memory/user_broken.md").write_text("---\nname: a: b: c\ntype: user\n---\n\nx\n", encoding="utf-8")
    (vault / "ada/judges.md").write_text("## Class policy\n\n- high_risk: sometimes\n", encoding="utf-8")
    before = {path: path.read_bytes() for path in vault.rglob("*.md")}

    assert exit_code("doctor", "--vault", str(vault), "--json") == 1

    report = json.loads(capsys.readouterr().out)
    places = {(f["file"], f["status"]) for f in report["findings"]}
    assert ("ada/memory/user_broken.md", "warn") in places
    assert ("ada/judges.md", "fail") in places
    assert not report["ok"]
    assert before == {path: path.read_bytes() for path in vault.rglob("*.md")}


def test_the_doctor_is_content_with_a_fresh_vault(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = tmp_path / "vault"
    assert exit_code("init", str(made)) == 0

    assert exit_code("doctor", "--vault", str(made)) == 0, capsys.readouterr().out


def test_tools_lists_what_a_role_is_shown(vault: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code("tools", "--vault", str(vault), "--json") == 0
    agent = {row["name"] for row in json.loads(capsys.readouterr().out)["items"]}
    assert exit_code("tools", "--vault", str(vault), "--role", "operator", "--json") == 0
    operator = {row["name"] for row in json.loads(capsys.readouterr().out)["items"]}

    assert "memory_search" in agent and "desk_answer" not in agent
    assert agent < operator and "desk_answer" in operator


def test_runs_and_costs_are_views_of_the_log(vault: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code("runs", "--vault", str(vault)) == 0
    assert "has run yet" in capsys.readouterr().out
    for task in ("What about the lamp oil?", "And the keeper?"):
        assert exit_code("run", "ada", task, "--vault", str(vault)) == 0
    capsys.readouterr()

    assert exit_code("runs", "--vault", str(vault), "--json") == 0
    rows = json.loads(capsys.readouterr().out)["items"]
    assert [row["task"] for row in rows] == ["And the keeper?", "What about the lamp oil?"]
    assert {row["status"] for row in rows} == {"ok"}
    assert exit_code("costs", "--vault", str(vault), "--by", "model", "--json") == 0
    sums = json.loads(capsys.readouterr().out)["items"]
    assert [row["model"] for row in sums] == ["offline"] and sums[0]["calls"] >= 2


def test_an_approval_holds_until_the_command_changes(vault: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (vault / "ada/mcp.md").write_text("## clock\ncommand: true\nargs: a\n", encoding="utf-8")

    def is_off() -> bool:
        exit_code("doctor", "--vault", str(vault))
        return "clock is off" in capsys.readouterr().out

    assert is_off()
    assert exit_code("approve", "clock", "--vault", str(vault)) == 1  # nobody is there to confirm
    assert is_off()
    assert exit_code("approve", "clock", "--vault", str(vault), "--yes") == 0
    capsys.readouterr()
    assert not is_off()
    (vault / "ada/mcp.md").write_text("## clock\ncommand: true\nargs: b\n", encoding="utf-8")
    assert is_off()


def test_remembering_on_request_writes_a_note_through_the_gate(vault: Path) -> None:
    done = host("run", "ada", "Remember that the oil barge comes on the first Monday.", "--vault", str(vault), "--json")

    found = json.loads(done.stdout)
    assert [(t["name"], t["verdict"]) for t in found["tools"] if t["name"] == "memory_write"] == [
        ("memory_write", "allow")
    ]
    assert any("oil barge" in p.read_text(encoding="utf-8") for p in (vault / "ada/memory").glob("*.md"))


def test_what_waits_is_asked_and_decided_and_then_done_once(vault: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (vault / "ada/judges.md").write_text("## Class policy\n\n- reversible_write: escalate\n")
    task = "remember that the bell rope is renewed every spring"
    assert exit_code("run", "ada", task, "--vault", str(vault), "--model", "offline") == 4
    capsys.readouterr()
    assert exit_code("ask", "--vault", str(vault), "--json") == 0
    [waiting] = json.loads(capsys.readouterr().out)["items"]
    assert waiting["kind"] == "escalation" and waiting["binding"]["tool_name"] == "memory_write"

    assert exit_code("ask", waiting["question"], "--vault", str(vault)) == 0
    assert "bell rope" in capsys.readouterr().out
    assert exit_code("decide", waiting["question"], "perhaps", "--vault", str(vault)) == 2
    assert exit_code("decide", waiting["question"], "revise", "--amend", "{", "--vault", str(vault)) == 2
    assert exit_code("decide", waiting["question"], "approve", "--note", "fine", "--vault", str(vault)) == 0
    assert exit_code("decide", waiting["question"], "deny", "--vault", str(vault)) == 1
    assert "conflict" in capsys.readouterr().err
    assert exit_code("run", "ada", "What is new?", "--vault", str(vault), "--model", "offline") == 0
    assert [path.name for path in (vault / "ada/memory").glob("*bell*")] != []
    capsys.readouterr()
    assert exit_code("ask", "--vault", str(vault), "--json") == 0
    assert json.loads(capsys.readouterr().out)["items"] == []


def test_what_is_known_is_searched_and_the_ranking_explained(vault: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code("search", "rapeseed oil", "--explain", "--vault", str(vault)) == 0
    shown = capsys.readouterr().out

    assert "[decision_lamp_oil]" in shown and "bm25" in shown


def test_a_search_waits_for_the_index_and_tells_how_far_it_is(
    vault: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = threading.Event()

    def fill(*arguments: Any, **more: Any) -> Any:
        assert asked.wait(30)
        return reconcile(*arguments, **more)

    async def call_in(*arguments: Any, **more: Any) -> CallOutcome:
        try:
            return await direct.call_in(*arguments, **more)
        finally:
            asked.set()

    monkeypatch.setattr("argosy_core.index.filling.reconcile", fill)
    monkeypatch.setattr("argosy_core.index.library.PATIENCE_SECONDS", 0.0)
    monkeypatch.setattr(search, "call_in", call_in)
    monkeypatch.setattr(search, "ASK_AGAIN_SECONDS", 0.01)
    assert exit_code("search", "rapeseed", "--vault", str(vault)) == 0
    shown = capsys.readouterr()
    assert "the index is being made: the files are listed" in shown.err
    assert "[decision_lamp_oil]" in shown.out and "brought up to date" not in shown.out


def test_work_and_schedules_are_listed_and_explained(vault: Path, capsys: pytest.CaptureFixture[str]) -> None:
    work = json.dumps({"queue": "runs", "payload": {"agent": "ada", "task": "wind the clock"}})
    when = json.dumps({"name": "dawn", "when": {"cron": "0 5 * * *"}, "target": {"agent": "ada"}, "input": "go"})
    assert exit_code("call", "queue_enqueue", work, "--vault", str(vault)) == 0
    assert exit_code("call", "schedule_put", when, "--vault", str(vault)) == 0
    capsys.readouterr()
    assert exit_code("queue", "--vault", str(vault), "--json") == 0
    [item] = json.loads(capsys.readouterr().out)["items"]
    assert exit_code("queue", "--vault", str(vault), "--state", "ready") == 0
    assert "wind the clock" in capsys.readouterr().out
    assert exit_code("queue", item["id"], "--vault", str(vault)) == 0
    assert "waits for the next worker" in capsys.readouterr().out
    assert exit_code("queue", "item_none", "--vault", str(vault)) == 1
    assert "not_found" in capsys.readouterr().err
    (vault / "_fleet/triggers/broken.md").write_text("---\ncron: 61 * * * *\nagent: ada\n---\n\nx\n")
    assert exit_code("schedules", "--vault", str(vault)) == 0
    shown = capsys.readouterr()
    assert "dawn" in shown.out and "T05:00" in shown.out and "broken.md" in shown.err
    assert exit_code("schedules", "dawn", "--vault", str(vault), "--json") == 0
    one = json.loads(capsys.readouterr().out)
    assert one["schedule"]["name"] == "dawn" and len(one["next"]) == 3 and one["history"][0]["kind"]
