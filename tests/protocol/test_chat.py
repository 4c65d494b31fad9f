"""Many turns with an agent: each is a run that knows what was said before, and what was said is kept."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from fleet_fixtures import Recorder, Scripted, Step, calls, make_vault, says

from argosy_core.clock import SystemClock
from argosy_core.conversations import read_turns
from argosy_core.errors import NotFound, Unavailable
from argosy_core.ids import SystemIds
from argosy_host.chatting import Chat, choose_conversation, messages_of
from argosy_host.cli import run_cli
from argosy_host.direct import opened
from argosy_host.session import RunOptions

pytestmark = pytest.mark.anyio
KEPT = "ada/conversations/local"


@pytest.fixture
def vault(tmp_path: Path) -> Path:
    return make_vault(tmp_path / "vault")


def chat(vault: Path, name: str = "keys") -> Chat:
    return Chat(RunOptions(vault=vault, agent="ada", task=""), name, SystemClock(), SystemIds())


async def say(talk: Chat, text: str, steps: Sequence[Step]) -> tuple[Scripted, Any]:
    model = Scripted(steps)
    return model, await talk.say(text, Recorder(), lambda: model)


async def test_a_turn_knows_what_was_said_before_and_is_kept(vault: Path) -> None:
    talk = chat(vault)
    await say(talk, "My boat is the Petrel.", [says("Noted.")])
    model, result = await say(talk, "What is my boat?", [calls(("journal_read", {})), says("The Petrel.")])

    assert result.text == "The Petrel." and result.status == "ok"
    assert [(m.role, m.text) for m in model.requests[0].messages] == [
        ("user", "My boat is the Petrel."),
        ("assistant", "Noted."),
        ("user", "What is my boat?"),
    ]
    turns, bad = read_turns((vault / KEPT / "keys.jsonl").read_bytes(), "local")
    assert [turn.content for turn in turns] == ["My boat is the Petrel.", "Noted.", "What is my boat?", "The Petrel."]
    assert not bad


async def test_a_run_that_failed_leaves_its_turn_and_the_next_one_goes_on(vault: Path) -> None:
    talk = chat(vault)
    _, failed = await say(talk, "Hello?", [Unavailable("the model is away")])
    model, _ = await say(talk, "Still there?", [says("Yes.")])

    assert failed.status == "error"
    assert [m.role for m in model.requests[0].messages] == ["user", "assistant", "user"]
    assert "the model is away" in model.requests[0].messages[1].text


async def test_two_conversations_do_not_know_of_each_other(vault: Path) -> None:
    await say(chat(vault, "one"), "The code is 7.", [says("Noted.")])
    model, _ = await say(chat(vault, "two"), "What is the code?", [says("I do not know.")])
    assert [m.text for m in model.requests[0].messages] == ["What is the code?"]


async def test_the_agents_own_tools_reach_this_conversation_and_no_other_principals(vault: Path) -> None:
    await say(chat(vault, "mine"), "Said here.", [says("Yes.")])
    other = vault / "ada/conversations" / ("a" * 64)
    other.mkdir()
    (other / "theirs.jsonl").write_text('{"role":"user","content":"secret","principal":"local"}\n', encoding="utf-8")
    wanted = [("conversation_turns", {"conversation": name}) for name in ("mine", "theirs")]
    talk = Chat(RunOptions(vault=vault, agent="ada", task="", profile="full"), "keys", SystemClock(), SystemIds())
    model, _ = await say(talk, "Look.", [calls(*wanted), says("Done.")])
    mine, theirs = model.returned()
    assert "Said here." in mine and "not_found" in theirs


async def test_a_conversation_is_chosen_by_name_or_the_last_or_new(vault: Path) -> None:
    clock, ids = SystemClock(), SystemIds()

    async def chosen(name: str | None, last: bool) -> str:
        async with opened(vault, None) as store:
            return await choose_conversation(store, "ada", name, last, clock, ids)

    with pytest.raises(NotFound, match="no conversation"):
        await chosen(None, True)
    await say(chat(vault, "first"), "Hi.", [says("Hi.")])

    assert await chosen(None, True) == "first"
    assert await chosen("second", False) == "second"
    new = {await chosen(None, False) for _ in range(2)}
    assert len(new) == 2 and all(name.startswith("chat_") for name in new)


async def test_what_was_said_is_kept_once_whoever_keeps_it_and_without_what_is_secret(
    vault: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARGOSY_SECRET_HATCH", "canary-4711-of-the-hatch")
    talk = chat(vault)
    _, result = await say(talk, "Hello?", [says("Yes.")])
    await talk.keep_unanswered("Hello?", result.run)
    for _ in range(2):
        await talk.keep_unanswered("The code is canary-4711-of-the-hatch.", "run-2")
    await talk.keep_unanswered("Again?", None)

    turns, _ = read_turns((vault / KEPT / "keys.jsonl").read_bytes(), "local")
    assert [turns[at].content for at in (0, 1, 3)] == ["Hello?", "Yes.", "Again?"]
    assert len(turns) == 4 and "canary" not in (vault / KEPT / "keys.jsonl").read_text()


def turn(role: str, text: str) -> dict[str, str]:
    return {"role": role, "text": text}


def test_a_history_begins_with_a_person_and_alternates() -> None:
    turns = [
        turn("assistant", "cut off"),
        turn("user", "a"),
        turn("user", "b"),
        turn("assistant", "c"),
        turn("user", "d"),
    ]
    recorder = Recorder()
    messages = messages_of({"turns": turns, "left_out": 3}, recorder)

    assert [(m.role, m.text) for m in messages] == [
        ("user", "a\n\nb"),
        ("assistant", "c"),
        ("user", "d"),
        ("assistant", "(There was no answer.)"),
    ]
    assert recorder.problems == ["3 earlier turns of this conversation are not shown to the model"]


def test_the_command_reads_lines_and_prints_an_object_for_each(
    vault: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("What does the lamp burn?\n\nAnd the keeper?\n/quit\nnever read\n"))
    arguments = ["chat", "ada", "--vault", str(vault), "--model", "offline", "--conversation", "lamp", "--json"]
    with pytest.raises(SystemExit) as ended:
        run_cli(arguments)
    answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    assert ended.value.code == 0
    assert [(a["conversation"], a["status"]) for a in answers] == [("lamp", "ok")] * 2
    assert "rapeseed" in answers[0]["text"]
    assert len((vault / KEPT / "lamp.jsonl").read_bytes().splitlines()) == 4
