"""A person at a terminal is asked there and then; nobody there, the file waits."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from children import environment
from fleet_fixtures import make_vault

from argosy_host.cli.decide import ask_one

POLICY = "## Class policy\n\n- reversible_write: escalate\n"
TASK = "Remember that the oil barge comes on the first Monday."


@pytest.fixture
def vault(tmp_path: Path) -> Path:
    return make_vault(tmp_path / "vault", {"judges.md": POLICY})


def at_a_terminal(vault: Path, typed: str, *command: str) -> str:
    """What *command* shows to a person who types *typed*; its stdin is a terminal."""
    ours, theirs = os.openpty()
    kept = {name: value for name, value in environment().items() if not name.endswith(("_API_KEY", "_BASE_URL"))}
    env = {**kept, "XDG_STATE_HOME": str(vault.parent / "state"), "XDG_RUNTIME_DIR": str(vault.parent)}
    program = [sys.executable, "-P", "-m", "argosy_host", *command, "--vault", str(vault)]
    try:
        with subprocess.Popen(
            program, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=env
        ) as child:
            os.write(ours, typed.encode())
            out, _ = child.communicate(timeout=50)
    finally:
        os.close(ours)
        os.close(theirs)
    return out.decode()


def states(vault: Path) -> list[str]:
    files = sorted((vault / "ada/vault/escalations").rglob("*.md"))
    lines = [line for file in files for line in file.read_text().splitlines()]
    return [line for line in lines if line.startswith(("state:", "### "))]


def test_a_run_asks_at_the_terminal_what_it_had_to_leave(vault: Path) -> None:
    out = at_a_terminal(vault, "approve\n", "run", "ada", TASK)
    assert "waits: memory_write" in out
    assert states(vault) == ["state: resolved", "### Approved by operator"]


def test_an_empty_line_leaves_the_question_for_later(vault: Path) -> None:
    at_a_terminal(vault, "\n", "run", "ada", TASK)
    assert states(vault) == ["state: pending"]


def test_in_a_chat_the_next_turn_does_what_was_approved(vault: Path) -> None:
    at_a_terminal(vault, f"{TASK}\napprove\nWhat do I know about the lamp oil?\n/quit\n", "chat", "ada")
    assert states(vault) == ["state: resolved", "### Approved by operator"]
    assert len(list((vault / "ada/memory").glob("*barge*.md"))) == 1


def test_without_a_terminal_nobody_is_asked(vault: Path) -> None:
    program = [sys.executable, "-P", "-m", "argosy_host", "run", "ada", TASK, "--vault", str(vault)]
    env = {**environment(), "XDG_STATE_HOME": str(vault.parent / "state"), "XDG_RUNTIME_DIR": str(vault.parent)}
    done = subprocess.run(program, input="approve\n", capture_output=True, text=True, timeout=50, env=env)
    assert done.returncode == 4
    assert states(vault) == ["state: pending"]


def test_what_an_agent_wrote_does_not_steer_the_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("click.prompt", lambda *_, **__: "")
    hidden = "\x1b[2J\x1b]0;x\x07\r\u202e"
    waiting = {
        "question": "q", "kind": "escalation", "urgency": "high", "title": f"t{hidden}", "body": f"b{hidden}\nc",
        "binding": {"tool_name": f"n{hidden}", "tool_arguments": {}}, "options": [],
    }  # fmt: skip
    assert not ask_one(waiting, tmp_path, None)
    out = capsys.readouterr().out
    assert not set(hidden) - set("[2J]0;x") & set(out)
    assert "\nc\n" in out
