"""``mcp-host secret``: a value is typed or piped in, and shown by no command."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from fleet_fixtures import make_vault

from argosy_core.errors import InvalidArgument, NotFound, Unauthenticated
from argosy_core.secrets import keys
from argosy_core.secrets.secret import Secret
from argosy_host.cli import secret as command

VALUE = "token-value-1"
FULL_COST = keys.ScryptCost
FLEET = "---\ndefault_agent: ada\nsecrets:\n  TOKEN: {tools: [github__create], arguments: [token]}\n---\n"


@pytest.fixture(autouse=True)
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("ARGOSY_PASSPHRASE", "correct horse")
    monkeypatch.setenv("ARGOSY_VAULT", str(tmp_path / "vault"))
    monkeypatch.setattr(keys, "ScryptCost", lambda n=16, r=8, p=1: FULL_COST(n, r, p))


def run(*arguments: str, typed: str = "") -> Result:
    return CliRunner().invoke(command.secret, list(arguments), input=typed)


def test_a_piped_value_is_kept_and_listed_by_its_name_alone(tmp_path: Path) -> None:
    make_vault(tmp_path / "vault", {"fleet.md": FLEET})
    outputs = [
        run("set", "TOKEN", "--stdin", typed=f"{VALUE}\n"),
        run("list"),
        run("list", "--json"),
        run("check", "TOKEN"),
        run("rotate", "TOKEN", "--stdin", typed="token-value-2"),
        run("remove", "TOKEN"),
    ]
    assert [result.exit_code for result in outputs] == [0] * 6, [result.output for result in outputs]
    assert not [result.output for result in outputs if "token-value" in result.output]
    assert "goes nowhere" not in outputs[0].output and "goes to github__create" in outputs[1].output
    events = "".join(path.read_text() for path in (tmp_path / "vault" / "_fleet").rglob("*.jsonl"))
    assert [events.count(f'"secrets.{verb}"') for verb in ("set", "rotate", "remove")] == [1, 1, 1]
    assert "token-value" not in events


def test_secrets_can_be_set_before_there_is_a_vault() -> None:
    result = run("set", "TOKEN", "--stdin", typed=VALUE)
    assert result.exit_code == 0 and "goes nowhere yet" in result.output
    assert "TOKEN" in run("list").output


def test_a_value_is_never_an_argument() -> None:
    assert run("set", "TOKEN", VALUE, "--stdin").exit_code == 2


def test_without_a_terminal_or_stdin_it_says_how() -> None:
    failed = run("set", "TOKEN")
    assert isinstance(failed.exception, InvalidArgument) and "--stdin" in str(failed.exception)
    assert isinstance(run("rekey").exception, InvalidArgument)


@pytest.mark.parametrize("typed", ["abc", "", b"\xff\xfe\xff\xfe\xff\xfe"])
def test_a_value_that_cannot_be_kept_is_refused(typed: str | bytes) -> None:
    result = CliRunner().invoke(command.secret, ["set", "TOKEN", "--stdin"], input=typed)
    assert isinstance(result.exception, InvalidArgument)
    assert run("list").output.startswith("No secrets yet")


def test_a_wrong_passphrase_and_an_unknown_name_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    run("set", "TOKEN", "--stdin", typed=VALUE)
    assert isinstance(run("check", "NOBODY").exception, NotFound)
    monkeypatch.setenv("ARGOSY_PASSPHRASE", "wrong")
    assert isinstance(run("check", "TOKEN").exception, Unauthenticated)


def test_a_typed_value_is_asked_for_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter(["one-value", "one-value", "one-value", "another"])
    monkeypatch.setattr(command.getpass, "getpass", lambda prompt: next(answers))
    assert command.read_from_terminal("Value", confirm=True) == Secret("one-value")
    with pytest.raises(InvalidArgument):
        command.read_from_terminal("Value", confirm=True)
