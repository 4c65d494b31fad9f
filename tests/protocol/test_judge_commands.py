"""``mcp-host judge``: explaining a call, and judging past ones by the policy of today."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import anyio
import pytest
from fleet_fixtures import Recorder, Scripted, calls, make_vault, says

from argosy_host.cli import run_cli
from argosy_host.session import RunOptions, run_task

NOTE = {"type": "decision", "title": "Bell rope", "body": "It is renewed every spring.", "sources": ["me"]}


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)


@pytest.fixture
def vault(tmp_path: Path) -> Path:
    """A vault in which one note was written, one journal entry too, and something was read."""
    vault = make_vault(tmp_path / "vault", {"judges.md": "# Judges\n"})
    steps = [
        calls(("memory_write", NOTE), ("journal_append", {"text": "Rope ordered."}), ("memory_search", {"query": "x"})),
        says("Done."),
    ]
    options = RunOptions(vault=vault, agent="ada", task="x", model="offline")

    async def work() -> None:
        await run_task(options, Recorder(), model=lambda: Scripted(steps))

    anyio.run(work)
    return vault


def command(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    capsys.readouterr()
    code = run_cli(["judge", *arguments])
    return code, capsys.readouterr().out


def replayed(capsys: pytest.CaptureFixture[str], vault: Path, *more: str) -> dict[str, Any]:
    code, out = command(capsys, "replay", "--since", "1d", "--vault", str(vault), "--json", *more)
    assert code == 0
    found: dict[str, Any] = json.loads(out)
    return found


def test_an_explanation_names_the_file_behind_each_field(vault: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (vault / "judges.md").write_text("## Class policy\n\n- reversible_write: escalate\n")
    code, out = command(capsys, "explain", "memory_write", json.dumps(NOTE), "--vault", str(vault), "--json")
    found = json.loads(out)
    assert (code, found["outcome"]) == (0, "escalate")
    sources = {field["field"]: (field["value"], field["source"]) for field in found["fields"]}
    assert sources["class_policy"][0] == "escalate"
    assert "judges.md" in sources["class_policy"][1]
    assert "write_paths" in sources


def test_an_explanation_says_when_a_model_is_asked_too(vault: Path, capsys: pytest.CaptureFixture[str]) -> None:
    policy = (
        "## Default judge\n\n- backend: llm\n- model: m-1\n\n## Class policy\n\n- reversible_write: judge_required\n"
    )
    (vault / "judges.md").write_text(policy)
    _, out = command(capsys, "explain", "memory_write", json.dumps(NOTE), "--vault", str(vault), "--json")
    found = json.loads(out)
    assert (found["outcome"], found["asks"]) == ("allow", ["judge"])
    assert found["reason"].startswith("if judge (judges.md) agrees")


def test_arguments_that_are_no_object_are_wrong_usage(vault: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(capsys, "explain", "memory_write", "[1]", "--vault", str(vault))[0] == 2


def test_under_the_same_policy_nothing_differs(vault: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = replayed(capsys, vault)
    assert {item["tool"] for item in found["items"]} == {"memory_write", "journal_append"}
    assert [item for item in found["items"] if item["differs"]] == []
    code, out = command(capsys, "replay", "--since", "1d", "--vault", str(vault))
    assert (code, out) == (0, "0 of 2 judgments would differ\n")


def test_a_stricter_policy_shows_what_it_would_have_stopped(vault: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (vault / "ada/tools.md").write_text("## Tool classification\n\n- memory_write: high_risk\n")
    items = {item["tool"]: item for item in replayed(capsys, vault)["items"]}
    assert (items["memory_write"]["was"], items["memory_write"]["now"]) == ("allow", "escalate")
    assert not items["journal_append"]["differs"]
    _, out = command(capsys, "replay", "--since", "1d", "--vault", str(vault))
    assert "memory_write: allow → escalate" in out
    assert "1 of 2 judgments would differ" in out


def test_the_arguments_of_then_are_judged(vault: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (vault / "ada/tools.md").write_text("## Denied arguments\n\n- memory_write: `Bell`\n")
    items = {item["tool"]: item["now"] for item in replayed(capsys, vault)["items"]}
    assert items == {"memory_write": "block", "journal_append": "allow"}


def test_replaying_changes_nothing_and_keeps_to_the_time_and_the_agent(
    vault: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def state_of() -> dict[str, bytes]:
        kept = (p for p in sorted(vault.rglob("*")) if p.is_file() and ".argosy" not in p.parts)
        return {str(path.relative_to(vault)): path.read_bytes() for path in kept}

    before = state_of()
    assert len(replayed(capsys, vault, "--agent", "ada")["items"]) == 2
    assert replayed(capsys, vault, "--agent", "nobody")["items"] == []
    code, out = command(capsys, "replay", "--since", "2999-01-01", "--vault", str(vault), "--json")
    assert (code, json.loads(out)["items"]) == (0, [])
    assert command(capsys, "replay", "--since", "yesterday-ish", "--vault", str(vault))[0] == 2
    assert state_of() == before
