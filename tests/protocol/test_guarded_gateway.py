"""The gateway's gate: what any client does above reading is judged, logged as a run of its own, and done as bound."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio import to_thread
from chat_api import chat
from fleet_fixtures import config_for, make_vault, text_of
from foreign_servers import named
from judges import verdict
from mcp import Client, MCPError
from mcp.types import CallToolResult, ElicitResult, InputRequiredResult
from messages_api import messages_api
from transports import ERAS, TRANSPORTS, connected, http_server

from argosy_core.errors import Unavailable
from argosy_core.fleet import packaged
from argosy_core.serving.config import ServerConfig
from argosy_core.serving.identity import RUN_META, RunTokens, WhoCalls
from argosy_core.serving.results import Result
from argosy_core.serving.server import ArgosyServer
from argosy_core.serving.toolbox import ToolBox
from argosy_core.types import Role
from argosy_core.views.vault_reader import VaultReader
from argosy_host.compose import load_server
from argosy_host.direct import call_tool
from argosy_host.foreign import named_servers
from argosy_host.gateway import build_gateway, gateway_over
from argosy_host.guarded.person import form_text
from argosy_host.running.history import RunHistory
from argosy_host.trust import Approvals, state_folder

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]

NOTE = {"type": "decision", "title": "Bell rope", "body": "The bell rope is renewed every spring.", "sources": ["me"]}
ESCALATE = {"judges.md": "## Class policy\n\n- reversible_write: escalate\n"}
BLOCKS = {"judges.md": "## Class policy\n\n- reversible_write: nonsense\n"}
SHOWN = ("memory", "journal")
Person = Any  # what answers elicitations


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def vault(tmp_path: Path) -> Path:
    return make_vault(tmp_path / "vault")


@pytest.fixture
def strict(tmp_path: Path) -> Path:
    return make_vault(tmp_path / "strict", ESCALATE)


@asynccontextmanager
async def gateway(
    vault: Path,
    *servers: str,
    role: Role = Role.AGENT,
    person: Person | None = None,
    era: str = "2026-07-28",
    agent: str | None = "ada",
) -> AsyncGenerator[Client]:
    """A client of *servers* as one gateway, whose elicitations *person* answers."""
    config = config_for(vault, agent, role=role, profile="full")
    names = servers or SHOWN
    try:
        async with Client(
            build_gateway(names, config).server, cache=None, mode=era, elicitation_callback=person
        ) as client:
            yield client
    finally:
        await to_thread.run_sync(config.store.close)


def events(vault: Path, *kinds: str, agent: str = "ada") -> list[dict[str, Any]]:
    files = sorted((vault / agent / "log").rglob("*.jsonl"))
    found = [json.loads(line) for file in files for line in file.read_text(encoding="utf-8").splitlines()]
    return [event for event in found if not kinds or event["kind"] in kinds]


def kinds(vault: Path) -> list[str]:
    return [event["kind"] for event in events(vault)]


def note_of(vault: Path) -> Path:
    return vault / "ada/memory/decision_bell_rope.md"


def questions(vault: Path) -> list[str]:
    return sorted(file.stem for file in (vault / "ada/vault/escalations").rglob("[!.]*.md"))


def code_of(result: CallToolResult) -> str:
    assert result.is_error, result
    code: str = (result.meta or {})["argosy/error"]["code"]
    assert text_of(result).startswith(f"{code}: ")
    return code


async def decide(vault: Path, question: str, choice: str, note: str | None = None) -> None:
    arguments = {"question": question, "choice": choice, **({"note": note} if note else {})}
    outcome = await call_tool("desk", "desk_answer", arguments, vault=vault, agent="ada", role=Role.OPERATOR)
    assert not outcome.is_error, outcome.text


def says(action: str, **content: Any) -> Person:
    async def answer(context: Any, params: Any) -> ElicitResult:
        return ElicitResult(action=action, content=content or None)  # type: ignore[arg-type]

    return answer


# A call and its record


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_write_of_any_client_is_judged_and_logged_as_a_run_of_its_own_over(transport: str, vault: Path) -> None:
    for era in ERAS:
        async with connected(transport, era, (), vault) as client:
            result = await client.call_tool("memory_write", {**NOTE, "title": f"Rope {era[:4]}"})
            assert not result.is_error, result

    starts = events(vault, "run.start")
    assert [event["trigger"] for event in starts] == ["client", "client"] and starts[0]["host"]
    assert len({event["run_id"] for event in starts}) == 2
    for start in starts:
        own = [event for event in events(vault) if event.get("run_id") == start["run_id"]]
        assert [event["kind"] for event in own] == ["run.start", "judgment", "memory.write", "tool", "run.end"]
        judgment, tool = own[1], own[3]
        assert judgment["binding"]["arguments_hash"] == tool["arguments_hash"]
        assert (judgment["enforcement_action"], tool["verdict"], tool["status"]) == ("allow_executed", "allow", "ok")
        assert own[-1]["status"] == "ok" and "1 allow" in own[-1]["summary"]


async def test_each_address_of_an_http_gateway_is_behind_the_gate(vault: Path) -> None:
    async with http_server(SHOWN, vault) as url, Client(url.replace("/mcp", "/memory/mcp"), cache=None) as client:
        assert not (await client.call_tool("memory_write", NOTE)).is_error

    assert kinds(vault) == ["run.start", "judgment", "memory.write", "tool", "run.end"]


async def test_a_server_alone_logs_its_changes_and_gates_nothing(strict: Path) -> None:
    async with connected("in_process", "2026-07-28", ("memory",), strict) as client:
        assert not (await client.call_tool("memory_write", NOTE)).is_error

    assert kinds(strict) == ["memory.write"]


async def test_reading_is_neither_judged_nor_logged(vault: Path) -> None:
    async with gateway(vault) as client:
        for _ in range(3):
            assert not (await client.call_tool("memory_search", {"query": "lamp"})).is_error

    assert events(vault) == []


async def test_reading_is_judged_from_the_moment_the_owner_asks_for_it(vault: Path) -> None:
    async with gateway(vault) as client:
        assert not (await client.call_tool("memory_search", {"query": "lamp"})).is_error
        (vault / "judges.md").write_text("## Class policy\n\n- read_only: escalate\n", encoding="utf-8")
        asked = await client.call_tool("memory_search", {"query": "lamp"})
        (vault / "judges.md").unlink()
        again = await client.call_tool("memory_search", {"query": "lamp"})

    assert code_of(asked) == "deferred" and not again.is_error


async def test_a_blocked_write_does_not_happen_and_the_client_is_told_why(tmp_path: Path) -> None:
    vault = make_vault(tmp_path / "v", BLOCKS)
    async with gateway(vault) as client:
        result = await client.call_tool("memory_write", NOTE)

    assert code_of(result) == "blocked" and "judges.md" in text_of(result) and not note_of(vault).exists()
    assert [event["status"] for event in events(vault, "tool")] == ["blocked"]


async def test_the_agents_own_policy_counts_for_its_clients(tmp_path: Path) -> None:
    vault = make_vault(tmp_path / "v", {"ada/judges.md": ESCALATE["judges.md"], "bo/model.md": "# Model\n"})
    async with gateway(vault, agent="ada") as client:
        asked = await client.call_tool("memory_write", NOTE)
    async with gateway(vault, agent="bo") as client:
        done = await client.call_tool("memory_write", NOTE)

    assert code_of(asked) == "deferred" and not done.is_error
    assert (vault / "bo/memory/decision_bell_rope.md").is_file() and not note_of(vault).exists()


async def test_a_run_that_a_client_starts_is_the_clients_to_end_in_its_next_session(vault: Path) -> None:
    async with gateway(vault, "host", "memory") as client:
        started = await client.call_tool("run_start", {"agent": "ada", "input": "What burns?", "wait_s": 50})
        run = (started.structured_content or {})["run"]
        named = await client.call_tool("agent_ada", {"task": "What burns?"})
        assert not named.is_error, named
    async with gateway(vault, "host", "memory") as client:
        ended = await client.call_tool("run_cancel", {"run": run})
        assert not ended.is_error, ended

    inner = next(event for event in events(vault, "run.start") if event["run_id"] == run)
    assert "parent_run_id" not in inner and inner["trigger"] == "client"
    assert "agent_ada" in {event["tool_name"] for event in events(vault, "tool")}


@pytest.mark.parametrize("arguments", [{"bogus": 1}, {"title": 5}])
async def test_arguments_that_the_tool_does_not_take_are_its_own_to_refuse(
    arguments: dict[str, Any], vault: Path
) -> None:
    async with gateway(vault) as client:
        assert code_of(await client.call_tool("memory_write", arguments)) == "invalid_argument"

    assert [event["status"] for event in events(vault, "tool")] == ["error"]


# A person decides


@pytest.mark.parametrize("era", ERAS)
async def test_a_person_at_the_client_is_asked_at_once_and_the_approved_call_is_made_once(
    era: str, strict: Path
) -> None:
    shown: list[Any] = []

    async def person(context: Any, params: Any) -> ElicitResult:
        shown.append(params)
        return ElicitResult(action="accept", content={"decision": "approve", "note": "spring it is"})

    async with gateway(strict, person=person, era=era) as client:
        result = await client.call_tool("memory_write", NOTE)

    assert not result.is_error and (result.structured_content or {})["name"] == "decision_bell_rope"
    assert note_of(strict).is_file() and len(shown) == 1
    assert "renewed every spring" in shown[0].message and "memory_write" in shown[0].message
    [question] = questions(strict)
    file = next((strict / "ada/vault/escalations").rglob(f"{question}.md")).read_text(encoding="utf-8")
    assert file.count("### Approved by operator") == 1 and "spring it is" in file
    assert [event["enforcement_action"] for event in events(strict, "judgment")] == [
        "escalate_pending", "approved_executed",
    ]  # fmt: skip
    assert len(events(strict, "memory.write")) == 1 and len(events(strict, "desk.answer")) == 1


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize(
    "person", [says("accept", decision="deny", note="not now"), says("decline")], ids=["deny", "decline"]
)
async def test_a_person_who_says_no_ends_it(era: str, person: Person, strict: Path) -> None:
    async with gateway(strict, person=person, era=era) as client:
        assert code_of(await client.call_tool("memory_write", NOTE)) == "blocked"

    assert not note_of(strict).exists()
    assert [event["decision"] for event in events(strict, "desk.answer")] == ["denied"]


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("person", [None, says("cancel"), says("accept", decision="perhaps")])
async def test_without_an_answer_the_question_waits_and_the_client_is_told_how_to_answer(
    era: str, person: Person | None, strict: Path
) -> None:
    async with gateway(strict, person=person, era=era) as client:
        result = await client.call_tool("memory_write", NOTE)

    [question] = questions(strict)
    assert code_of(result) == "deferred" and not note_of(strict).exists()
    assert f"mcp-host decide {question} approve" in text_of(result)
    assert (result.meta or {})["argosy/error"]["detail"] == {"question": question}
    assert events(strict, "desk.answer") == []


async def test_over_http_a_person_is_asked_too(strict: Path) -> None:
    person = says("accept", decision="approve")
    async with http_server(SHOWN, strict) as url:
        for era in ERAS:
            async with Client(url, mode=era, cache=None, elicitation_callback=person) as client:
                done = await client.call_tool("memory_write", {**NOTE, "title": f"Bell rope of {era}"})
                assert not done.is_error, text_of(done)

    assert [event["decision"] for event in events(strict, "desk.answer")] == ["approved", "approved"]
    assert len(questions(strict)) == len(events(strict, "memory.write")) == 2


async def test_the_same_call_acts_on_the_answer_once_even_in_a_later_session(strict: Path) -> None:
    async with gateway(strict) as client:
        first = await client.call_tool("memory_write", NOTE)
        second = await client.call_tool("memory_write", NOTE)
    assert (code_of(first), code_of(second)) == ("deferred", "deferred")
    [question] = questions(strict)
    await decide(strict, question, "approve")

    async with gateway(strict) as client:
        results = [await client.call_tool("memory_write", NOTE) for _ in range(2)]

    assert [result.is_error for result in results] == [False, True]
    assert code_of(results[1]) == "deferred" and len(questions(strict)) == 2
    assert len(events(strict, "memory.write")) == 1


async def test_many_same_calls_at_once_make_an_approved_one_once(strict: Path) -> None:
    async with gateway(strict) as client:
        await client.call_tool("memory_write", NOTE)
        await decide(strict, questions(strict)[0], "approve")
        results: list[CallToolResult] = []

        async def again() -> None:
            results.append(await client.call_tool("memory_write", NOTE))

        async with anyio.create_task_group() as tasks:
            for _ in range(6):
                tasks.start_soon(again)

    assert sum(not result.is_error for result in results) == 1
    assert len(events(strict, "memory.write")) == 1
    assert [e["enforcement_action"] for e in events(strict, "judgment")].count("approved_executed") == 1


async def test_a_denial_is_told_once_and_asking_again_is_a_new_question(strict: Path) -> None:
    async with gateway(strict) as client:
        await client.call_tool("memory_write", NOTE)
        await decide(strict, questions(strict)[0], "deny", "in autumn")
        denied = await client.call_tool("memory_write", NOTE)
        asked = await client.call_tool("memory_write", NOTE)

    assert code_of(denied) == "blocked" and "in autumn" in text_of(denied)
    assert code_of(asked) == "deferred" and len(questions(strict)) == 2 and not note_of(strict).exists()


async def test_a_call_that_a_person_revised_is_made_as_revised(strict: Path) -> None:
    changed = {"tool_arguments": {**NOTE, "body": "It is renewed every second spring."}}
    async with gateway(strict) as client:
        await client.call_tool("memory_write", NOTE)
        answer = {"question": questions(strict)[0], "choice": "revise", "amendment": changed}
        outcome = await call_tool("desk", "desk_answer", answer, vault=strict, agent="ada", role=Role.OPERATOR)
        assert not outcome.is_error, outcome.text
        done = await client.call_tool("memory_write", NOTE)

    assert not done.is_error and "second spring" in note_of(strict).read_text(encoding="utf-8")
    assert len(events(strict, "memory.write")) == 1


async def test_another_call_is_another_question(strict: Path) -> None:
    async with gateway(strict) as client:
        await client.call_tool("memory_write", NOTE)
        await decide(strict, questions(strict)[0], "approve")
        other = await client.call_tool("memory_write", {**NOTE, "body": "It is never renewed."})

    assert code_of(other) == "deferred" and not note_of(strict).exists()


async def test_a_call_that_was_claimed_by_a_process_that_died_is_not_made_again(strict: Path) -> None:
    async with gateway(strict) as client:
        await client.call_tool("memory_write", NOTE)
    [question] = questions(strict)
    await decide(strict, question, "approve")
    config = config_for(strict, role=Role.OPERATOR, profile="full")
    async with Client(load_server("desk", config), cache=None) as desk:
        claimed = await desk.call_tool("desk_claim", {})
    config.store.close()
    assert [item["question"] for item in (claimed.structured_content or {})["items"]] == [question]

    async with gateway(strict) as client:
        again = await client.call_tool("memory_write", NOTE)

    assert code_of(again) == "deferred" and not note_of(strict).exists()


@pytest.mark.parametrize("era", ERAS)
async def test_whoever_answers_first_is_right(era: str, strict: Path) -> None:
    async def person(context: Any, params: Any) -> ElicitResult:
        await decide(strict, questions(strict)[0], "deny", "the owner said no")
        return ElicitResult(action="accept", content={"decision": "approve"})

    async with gateway(strict, person=person, era=era) as client:
        result = await client.call_tool("memory_write", NOTE)

    assert code_of(result) == "blocked" and "the owner said no" in text_of(result)
    assert not note_of(strict).exists() and len(events(strict, "desk.answer")) == 1


async def test_a_call_that_was_changed_in_its_file_is_not_made(strict: Path) -> None:
    async with gateway(strict) as client:
        await client.call_tool("memory_write", NOTE)
        await decide(strict, questions(strict)[0], "approve")
        file = next((strict / "ada/vault/escalations").rglob("[!.]*.md"))
        file.write_text(file.read_text(encoding="utf-8").replace("every spring", "never"), encoding="utf-8")
        again = await client.call_tool("memory_write", NOTE)

    assert again.is_error and not note_of(strict).exists()


async def test_an_answer_that_was_not_asked_for_here_is_refused(strict: Path) -> None:
    async with gateway(strict, person=says("accept", decision="approve")) as client:
        asked = await client.session.call_tool("memory_write", NOTE, allow_input_required=True)
        assert isinstance(asked, InputRequiredResult) and asked.request_state
        answer: Any = {"decision": ElicitResult(action="accept", content={"decision": "approve"})}
        forged = f"argosy-question:{questions(strict)[0]}"
        for arguments, state in ((NOTE, forged), ({**NOTE, "body": "Other."}, asked.request_state)):
            with pytest.raises(MCPError):
                await client.session.call_tool(
                    "memory_write", arguments, input_responses=answer, request_state=state, allow_input_required=True
                )

    assert not note_of(strict).exists() and events(strict, "desk.answer") == []


async def test_an_agents_next_run_makes_what_was_approved_for_its_owner_and_nobody_elses(strict: Path) -> None:
    async with gateway(strict) as client:
        await client.call_tool("memory_write", NOTE)
    await decide(strict, questions(strict)[0], "approve")
    tokens = RunTokens(config_for(strict).clock)
    config = config_for(strict, host_key=tokens.public_key)
    claims = {}
    async with Client(load_server("desk", config), cache=None) as desk:
        for principal in ("f" * 64, None, "local"):
            meta: Any = {RUN_META: tokens.issue("ada", "run-x", principal=principal)}
            page = await desk.call_tool("desk_claim", {}, meta=meta)
            claims[principal] = len((page.structured_content or {})["items"])
    config.store.close()

    assert claims == {"f" * 64: 0, None: 0, "local": 1}


def test_what_a_person_reads_hides_nothing() -> None:
    text = form_text(
        {"title": "ada wants to call x", "body": "why", "path": "p",
         "binding": {"tool_name": "x", "tool_arguments": {"to": "a\u202eb\u200b", "long": "z" * 9000}}}
    )  # fmt: skip

    assert "\u202e" not in text and "\\u202e" in text and "\\u200b" in text
    assert "cut; all of it is in p" in text and len(text) < 6000


# Roles


async def test_an_operators_own_act_is_logged_and_not_judged(strict: Path) -> None:
    async with gateway(strict) as client:
        await client.call_tool("memory_write", NOTE)
    [question] = questions(strict)
    async with gateway(strict, "desk", "memory", role=Role.OPERATOR) as client:
        answered = await client.call_tool("desk_answer", {"question": question, "choice": "approve"})
        written = await client.call_tool("memory_write", {**NOTE, "title": "Other"})

    assert not answered.is_error, answered
    acts = events(strict, "operator.act", "tool")[1:]
    assert [(e["kind"], e["tool_name"]) for e in acts[:2]] == [("operator.act", "desk_answer"), ("tool", "desk_answer")]
    assert acts[1]["verdict"] == "operator" and acts[0]["arguments_hash"] == acts[1]["arguments_hash"]
    assert code_of(written) == "deferred"  # what agents do too is judged, whoever does it


async def test_an_operator_without_an_agent_acts_in_the_fleets_log(tmp_path: Path) -> None:
    vault = make_vault(tmp_path / "v", {"fleet.md": "---\n---\n", "bo/model.md": "# Model\n"})
    async with gateway(vault, "log", role=Role.OPERATOR, agent=None) as client:
        done = await client.call_tool("log_append", {"kind": "note", "body": {"text": "x"}})
        assert not done.is_error, done

    found = [event["kind"] for event in events(vault, agent="_fleet")]
    assert found == ["run.start", "operator.act", "note", "tool", "run.end"]


@pytest.mark.parametrize("tool", ["desk_answer", "log_append", "judge_evaluate", "desk_claim"])
async def test_an_agents_client_cannot_do_what_is_not_an_agents(tool: str, vault: Path) -> None:
    async with gateway(vault, "desk", "log", "judge") as client:
        forged: Any = {RUN_META: RunTokens(config_for(vault).clock).issue("ada", "run-1")}
        assert code_of(await client.call_tool(tool, {}, meta=forged)) == "permission_denied"

    assert events(vault) == []


# A gate that is out of order


class Nonsense(Result):
    outcome: str = "certainly"
    reason: str = "because"

    def render(self) -> str:
        return self.outcome


def broken_judge(config: ServerConfig, fault: str) -> ArgosyServer:
    """A judge that does not do what a judge does."""
    box = ToolBox()

    @box.tool("Judge", role=Role.HOST)
    async def judge_evaluate(caller: WhoCalls, proposal: dict[str, Any]) -> Nonsense:
        """Judge."""
        if fault == "crashes":
            raise RuntimeError("out of order")
        if fault == "unavailable":
            raise Unavailable("out of order")
        return Nonsense(outcome="allow" if fault == "other arguments" else fault)

    class Domain:
        async def counts(self, agent: str | None) -> dict[str, int]:
            return {}

        async def doctor(self, agent: str | None) -> list[Any]:
            return []

        def uris_of(self, path: str) -> list[str]:
            return []

    return ArgosyServer("judge", config, Domain(), box, title="Judge", instructions="Judges.")


@pytest.mark.parametrize("fault", ["crashes", "unavailable", "certainly", "revise", ""])
async def test_a_judge_out_of_order_blocks(fault: str, vault: Path) -> None:
    tokens = RunTokens(config_for(vault).clock)
    config = config_for(vault, host_key=tokens.public_key)
    parts = [load_server("memory", config), broken_judge(config, fault)]
    async with Client(gateway_over(parts, config, tokens).server, cache=None) as client:
        result = await client.call_tool("memory_write", NOTE)
        read = await client.call_tool("memory_search", {"query": "lamp"})
    config.store.close()

    assert code_of(result) == "blocked" and not read.is_error and not note_of(vault).exists()


@pytest.mark.parametrize("outcome", ["allow", "block"])
async def test_a_model_that_judges_is_the_hosts_and_never_the_clients(
    outcome: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = "## Default judge\n\n- backend: llm\n- model: other-family-1\n\n## Class policy\n\n"
    vault = make_vault(tmp_path / "v", {"judges.md": f"{policy}- reversible_write: judge_required\n"})
    asked: list[Any] = []

    async def sample(context: Any, params: Any) -> Any:
        asked.append(params)
        raise AssertionError("the client must not judge its own calls")

    answer = chat(json.dumps(verdict(outcome, "it is so")), model="other-family-1")
    with messages_api([answer]) as api:
        monkeypatch.setenv("OPENAI_BASE_URL", f"{api.url}/v1")
        config = config_for(vault)
        server = build_gateway(SHOWN, config).server
        async with Client(server, cache=None, sampling_callback=sample) as client:
            result = await client.call_tool("memory_write", NOTE)
        config.store.close()

    assert asked == [] and len(api.requests) == 1
    assert result.is_error == (outcome == "block") and note_of(vault).exists() == (outcome == "allow")


async def test_without_a_judge_nothing_above_reading_happens(tmp_path: Path) -> None:
    gone = {"name": "judge", "transport": "stdio", "command": [sys.executable, "-c", "raise SystemExit(3)"]}
    registry = {"servers": [{"server": {"name": "x.y/judge", "title": "J", "description": "j", "version": "1"},
                             "_meta": {"io.github.argosy/fleet": gone}}]}  # fmt: skip
    vault = make_vault(tmp_path / "v", {"registry.json": json.dumps(registry)})
    async with gateway(vault) as client:
        result = await client.call_tool("memory_write", NOTE)
        read = await client.call_tool("memory_search", {"query": "lamp"})

    assert code_of(result) == "unavailable" and "judge" in text_of(result)
    assert not read.is_error and not note_of(vault).exists()


async def test_with_a_log_that_cannot_be_written_nothing_above_reading_happens(vault: Path) -> None:
    (vault / "ada/log").write_text("in the way", encoding="utf-8")
    async with gateway(vault) as client:
        result = await client.call_tool("memory_write", NOTE)
        read = await client.call_tool("memory_search", {"query": "lamp"})

    assert result.is_error and not read.is_error and not note_of(vault).exists()


async def test_a_call_whose_record_cannot_be_written_is_not_told_as_if_it_had_not_been_made(
    vault: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from argosy_host.runs import Run

    log = Run.log

    async def failing(self: Run, kind: str, fields: Mapping[str, Any], key: str | None = None) -> None:
        if kind == "tool":
            raise Unavailable("the disk is full")
        await log(self, kind, fields, key)

    monkeypatch.setattr(Run, "log", failing)
    async with gateway(vault) as client:
        result = await client.call_tool("memory_write", NOTE)

    assert code_of(result) == "unavailable" and "memory_write was called" in text_of(result)
    assert note_of(vault).is_file()


async def test_the_run_of_a_client_whose_gateway_was_killed_is_told_as_interrupted(vault: Path) -> None:
    from transports import command, environment

    script = Path(__file__).parents[1] / "support" / "killed_client.py"
    line = [sys.executable, str(script), json.dumps(command("serve", *SHOWN, "--vault", str(vault)))]
    await anyio.run_process([*line, json.dumps({"memory_write": NOTE})], env=environment())

    config = config_for(vault)
    store = config.store
    mark = events(vault, "run.start")[0]["host"]
    name, _, _ = mark.partition("#")
    lease = await store.leases.current(name)
    assert lease is not None
    await store.leases.release(lease)  # its time is over
    [row], _ = await RunHistory(store, config.clock, config.ids).page(10)
    store.close()

    assert (row.trigger, row.status) == ("client", "interrupted") and note_of(vault).is_file()


# Foreign servers

FOREIGN = """
import json, sys
from mcp.server import MCPServer
from mcp.server.mcpserver import Context

server = MCPServer("x")

@server.tool()
async def post(ctx: Context, value: str, to: str = "") -> str:
    "Post it somewhere."
    meta = dict(ctx.request_context.meta or {})
    with open(sys.argv[1], "a") as log:
        log.write(json.dumps({"value": value, "meta": sorted(meta)}) + "\\n")
    return f"posted {value}"

server.run()
"""
SECRET = "sk-light-0123456789abcdef"


def with_foreign(tmp_path: Path, approve: bool = True, **files: str) -> tuple[Path, Path]:
    """A vault that names a foreign server, and the file in which that keeps what it got."""
    script, got = tmp_path / "foreign.py", tmp_path / "got.jsonl"
    script.write_text(FOREIGN, encoding="utf-8")
    audience = "secrets:\n  LIGHT_TOKEN:\n    tools: [x__post]\n    arguments: [value]\n"
    vault = make_vault(
        tmp_path / "foreign",
        {
            "fleet.md": f"---\ndefault_agent: ada\n{audience}---\n",
            "ada/mcp.md": named("x", script, got),
            **{name.replace("__", "/") + ".md": text for name, text in files.items()},
        },
    )
    if approve:
        config = config_for(vault)
        for server in named_servers(VaultReader(config.store.files), "ada"):
            Approvals(state_folder()).approve(config.store.root, server.digest)
        config.store.close()
    return vault, got


OPEN = "## Tool classification\n\n- x__post: reversible_write\n"


async def test_a_foreign_tool_is_shown_and_waits_for_a_person_unless_the_owner_says_otherwise(tmp_path: Path) -> None:
    vault, got = with_foreign(tmp_path)
    async with gateway(vault) as client:
        shown = {tool.name: tool for tool in (await client.list_tools()).tools}
        asked = await client.call_tool("x__post", {"value": "hello"})

    assert (shown["x__post"].meta or {})["argosy/class"] == "external_side_effect"
    assert code_of(asked) == "deferred" and not got.exists()


async def test_a_client_that_would_pass_the_owners_cap_is_stopped_before_the_call(tmp_path: Path) -> None:
    costs, caps = "\n## Tool costs\n\n- x__post: 0.25\n", "## Cost caps\n\n- daily_usd: 0.6\n"
    vault, got = with_foreign(tmp_path, ada__tools=OPEN + costs, policy=caps)
    async with gateway(vault) as client:
        first = [await client.call_tool("x__post", {"value": f"{n}"}) for n in range(2)]
    async with gateway(vault) as client:  # another run, the same day
        last = await client.call_tool("x__post", {"value": "2"})

    assert not any(result.is_error for result in first), first
    assert code_of(last) == "blocked" and "0.6" in text_of(last)
    assert len(got.read_text(encoding="utf-8").splitlines()) == 2


async def test_a_foreign_server_that_nobody_approved_is_not_there(tmp_path: Path) -> None:
    vault, _ = with_foreign(tmp_path, approve=False)
    async with gateway(vault) as client:
        assert "x__post" not in {tool.name for tool in (await client.list_tools()).tools}
        assert code_of(await client.call_tool("x__post", {"value": "x"})) == "not_found"


@pytest.mark.parametrize("transport", ["in_process", "stdio"])
async def test_a_secret_goes_in_after_the_verdict_and_comes_out_of_the_result_and_no_token_leaves(
    transport: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import transports

    monkeypatch.setenv("ARGOSY_SECRET_LIGHT_TOKEN", SECRET)
    kept = transports.environment
    monkeypatch.setattr(transports, "environment", lambda **e: kept(ARGOSY_SECRET_LIGHT_TOKEN=SECRET, **e))
    vault, got = with_foreign(tmp_path, ada__tools=OPEN)
    async with connected(transport, "2026-07-28", (), vault) as client:
        done = await client.call_tool("x__post", {"value": "{{secret:LIGHT_TOKEN}}"})
        elsewhere = await client.call_tool("x__post", {"value": "a", "to": "{{secret:LIGHT_TOKEN}}"})
        own = await client.call_tool("memory_write", {**NOTE, "body": "{{secret:LIGHT_TOKEN}}"})

    assert not done.is_error and SECRET not in repr(done) and "[secret:LIGHT_TOKEN]" in text_of(done)
    assert (code_of(elsewhere), code_of(own)) == ("blocked", "blocked")
    [line] = got.read_text(encoding="utf-8").splitlines()
    assert json.loads(line)["value"] == SECRET and RUN_META not in json.loads(line)["meta"]
    logged = json.dumps(events(vault))
    assert SECRET not in logged and "{{secret:LIGHT_TOKEN}}" in logged


async def test_a_foreign_server_that_does_not_start_takes_nothing_else_with_it(tmp_path: Path) -> None:
    vault, _ = with_foreign(tmp_path)
    (tmp_path / "foreign.py").write_text("raise SystemExit(3)", encoding="utf-8")
    async with gateway(vault) as client:
        assert "x__post" not in {tool.name for tool in (await client.list_tools()).tools}
        assert not (await client.call_tool("memory_write", NOTE)).is_error


def test_every_tool_of_the_fleet_is_known_to_the_gate(vault: Path) -> None:
    """What would be a new tool's hole: one that declares no class, or one that the judge knows by another."""
    config = config_for(vault)
    for server in packaged().servers:
        for entry in load_server(server.name, config).entries.values():
            assert entry.action_class is server.tools[entry.name], entry.name
    config.store.close()
