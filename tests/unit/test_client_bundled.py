"""The bundle's program: which vault it serves, and what it does to a folder that is none yet."""

from __future__ import annotations

from pathlib import Path

import pytest

from argosy_host.clients import bundled

Calls = list[list[str]]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    made: Calls = []

    def run_cli(words: list[str]) -> int:
        made.append(words)
        print("said")
        return 0

    monkeypatch.setattr(bundled, "run_cli", run_cli)
    return made


def test_a_folder_that_holds_something_is_only_served(calls: Calls, tmp_path: Path) -> None:
    (tmp_path / "note.md").write_text("mine")
    assert bundled.run({"ARGOSY_VAULT": str(tmp_path), "ARGOSY_AGENT": "ada"}) == 0
    assert calls == [["serve", "--vault", str(tmp_path), "--agent", "ada"]]


def test_an_empty_folder_becomes_a_vault_without_a_word_to_the_client(
    calls: Calls, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundled.run({"ARGOSY_VAULT": str(tmp_path)})
    assert calls == [["init", str(tmp_path)], ["serve", "--vault", str(tmp_path)]]
    assert capsys.readouterr() == ("said\n", "said\n")  # init on stderr


@pytest.mark.parametrize("environ", [{}, {"ARGOSY_VAULT": " "}, {"ARGOSY_VAULT": "${user_config.vault}"}])
def test_what_was_not_filled_in_has_its_default(
    environ: dict[str, str], calls: Calls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    bundled.run({**environ, "ARGOSY_AGENT": "${user_config.agent}"})
    assert calls == [["init", str(tmp_path / "vault")], ["serve", "--vault", str(tmp_path / "vault")]]


def test_a_vault_that_cannot_be_made_is_not_served(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert bundled.run({"ARGOSY_VAULT": str(tmp_path / "file/vault")}) == 1
    assert capsys.readouterr().out == ""
