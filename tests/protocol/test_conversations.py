"""Conversations through the journal's tools: each principal's own, whatever is asked for."""

from __future__ import annotations

import functools
import json
from collections.abc import AsyncGenerator, Generator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio import to_thread
from fleet_fixtures import make_vault, resource_text, text_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mcp import Client
from mcp.server.auth.middleware.auth_context import auth_context_var
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from mcp.types import ResourceTemplateReference

from argosy_core.conversations import Turn, estimate_tokens, newest_that_fit, read_turns, turn_line
from argosy_core.serving.config import ServerConfig, open_store
from argosy_core.serving.identity import OPERATOR_SCOPE, RUN_META, RunTokens, bearer_principal
from argosy_core.storage.base import Store
from argosy_core.storage.opening import open_store as open_any
from argosy_core.testing.fakes import FakeClock
from argosy_core.types import Role
from argosy_journal.server import create

pytestmark = pytest.mark.anyio
QUIET = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy machine is no fault of ours
SECRET = "the cellar key hangs behind the clock"


class Fleet:
    """The journal server over one vault, and a host whose tokens it believes."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.clock = FakeClock()
        self.tokens = RunTokens(self.clock)
        self.store: Store = open_store(root)

    @asynccontextmanager
    async def client(self, role: Role = Role.AGENT) -> AsyncGenerator[Client]:
        config = ServerConfig(
            store=self.store, agent="ada", role=role, host_key=self.tokens.public_key, clock=self.clock
        )
        async with Client(create(config), mode="2026-07-28", cache=None) as client:
            yield client


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    found = Fleet(make_vault(tmp_path / "vault"))
    yield found
    found.store.close()


async def call(client: Client, tool: str, /, meta: Any = None, **arguments: Any) -> Any:
    result = await client.call_tool(tool, arguments, meta=meta)
    return text_of(result) if result.is_error else result.structured_content


def token_of(subject: str | None, client: str = "app", scopes: tuple[str, ...] = ()) -> AccessToken:
    claims = {"iss": "https://id.example"}
    return AccessToken(token="t", client_id=client, scopes=list(scopes), subject=subject, claims=claims)


@contextmanager
def calling(token: AccessToken) -> Generator[str]:
    """Requests in the block are those of *token*'s owner; the principal."""
    reset = auth_context_var.set(AuthenticatedUser(token))
    try:
        yield bearer_principal(token)
    finally:
        auth_context_var.reset(reset)


async def test_turns_come_back_in_order_and_stand_as_lines_in_the_principals_file(fleet: Fleet) -> None:
    async with fleet.client() as client:
        added: Any = None
        for role, text in (("user", "Where is the key?"), ("assistant", "日本\nand a line"), ("user", "Thanks.")):
            added = await call(client, "conversation_add", conversation="keys", role=role, text=text)
        found = await call(client, "conversation_turns", conversation="keys")
        listed = await call(client, "conversation_list")
        page = resource_text(await client.read_resource("conversation://keys"))

    assert (added["seq"], added["uri"]) == (3, "conversation://keys")
    assert [(t["seq"], t["role"], t["text"]) for t in found["turns"]] == [
        (1, "user", "Where is the key?"),
        (2, "assistant", "日本\nand a line"),
        (3, "user", "Thanks."),
    ]
    assert (found["total"], found["left_out"], found["cut"]) == (3, 0, False)
    assert [item["conversation"] for item in listed["items"]] == ["keys"]
    assert "## assistant · 2026-11-20T09:00:00.000Z\n\n日本\nand a line" in page
    lines = (fleet.root / "ada/conversations/local/keys.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(lines[0]) == {
        "schema_version": 1,
        "role": "user",
        "content": "Where is the key?",
        "ts": "2026-11-20T09:00:00.000Z",
        "run_id": None,
        "seq": 1,
        "principal": "local",
    }


async def test_a_budget_keeps_the_newest_turns_and_says_what_it_left_out(fleet: Fleet) -> None:
    async with fleet.client() as client:
        for number in range(10):
            await call(client, "conversation_add", conversation="c", role="user", text=f"{number}" * 400)
        some = await call(client, "conversation_turns", conversation="c", token_budget=250)
        least = await call(client, "conversation_turns", conversation="c", token_budget=60)

    assert [(t["seq"], t["text"][0]) for t in some["turns"]] == [(9, "8"), (10, "9")]
    assert (some["left_out"], some["total"], some["used_tokens"]) == (8, 10, 200)
    assert (least["turns"][0]["text"], least["left_out"], least["cut"]) == ("9" * 240, 9, True)


@QUIET
@given(st.lists(st.text(max_size=60), max_size=8), st.integers(0, 60))
def test_what_fits_is_the_longest_end_within_the_budget(texts: list[str], budget: int) -> None:
    turns = [Turn("user", text, "", number) for number, text in enumerate(texts, 1)]
    fitting = newest_that_fit(turns, budget)
    if fitting.cut:
        assert estimate_tokens(texts[-1]) > budget >= fitting.used_tokens
        return
    costs = [estimate_tokens(text) for text in texts]
    assert list(fitting.turns) == turns[fitting.left_out :]
    assert fitting.used_tokens == sum(costs[fitting.left_out :]) <= budget or not fitting.turns
    assert fitting.left_out == 0 or sum(costs[fitting.left_out - 1 :]) > budget


@QUIET
@given(st.lists(st.tuples(st.text(), st.none() | st.text(min_size=1)), max_size=5))
def test_any_text_is_read_back_from_its_line(turns: list[tuple[str, str | None]]) -> None:
    made = [Turn("user", text, "t", n, None, "p", key) for n, (text, key) in enumerate(turns, 1)]
    assert read_turns(b"".join(map(turn_line, made)), "p") == (made, [])


async def test_a_key_adds_once_and_another_turn_under_it_conflicts(fleet: Fleet) -> None:
    async with fleet.client() as client:
        arguments = {"conversation": "c", "role": "user", "text": "Once.", "key": "k"}
        first = await call(client, "conversation_add", **arguments)
        await call(client, "conversation_add", conversation="c", role="user", text="Between.")
        again = await call(client, "conversation_add", **arguments)
        other = await call(client, "conversation_add", **{**arguments, "text": "Other."})
        found = await call(client, "conversation_turns", conversation="c")

    assert (first["seq"], first["duplicate"], again["seq"], again["duplicate"]) == (1, False, 1, True)
    assert other.startswith("conflict:")
    assert [turn["text"] for turn in found["turns"]] == ["Once.", "Between."]


async def test_two_servers_at_one_conversation_lose_no_turn_and_number_each_once(fleet: Fleet) -> None:
    added: list[int] = []
    async with fleet.client() as one, fleet.client() as two, anyio.create_task_group() as tasks:

        async def add(number: int) -> None:
            arguments = {"conversation": "c", "role": "user", "text": f"turn {number}"}
            added.append((await call((one, two)[number % 2], "conversation_add", **arguments))["seq"])

        for number in range(20):
            tasks.start_soon(add, number)
    data = (fleet.root / "ada/conversations/local/c.jsonl").read_bytes()

    assert sorted(added) == list(range(1, 21))
    assert {turn.content for turn in read_turns(data, "local")[0]} == {f"turn {n}" for n in range(20)}


async def test_what_the_older_system_kept_is_read_and_goes_on(fleet: Fleet) -> None:
    folder = fleet.root / "ada/conversations/local/tuesday"
    folder.mkdir(parents=True)
    for seq, role in enumerate(("user", "assistant")):
        turn = {"role": role, "content": f"old {seq}", "ts": "2026-06-19T14:33:21+00:00", "run_id": "run-1", "seq": seq}
        name = f"2026-06-19T14-33-21p00-00_run-1_{seq:02}_{role}.json"
        (folder / name).write_text(json.dumps({**turn, "schema_version": 1}), encoding="utf-8")
    async with fleet.client() as client:
        assert [item["conversation"] for item in (await call(client, "conversation_list"))["items"]] == ["tuesday"]
        added = await call(client, "conversation_add", conversation="tuesday", role="user", text="new")
        found = await call(client, "conversation_turns", conversation="tuesday")

    assert added["seq"] == 3
    assert [(t["seq"], t["text"]) for t in found["turns"]] == [(1, "old 0"), (2, "old 1"), (3, "new")]
    assert len(list(folder.iterdir())) == 2


async def test_a_torn_line_is_left_alone_counted_and_named_by_the_doctor(fleet: Fleet) -> None:
    async with fleet.client() as client:
        await call(client, "conversation_add", conversation="c", role="user", text="one")
        path = fleet.root / "ada/conversations/local/c.jsonl"
        torn = path.read_bytes() + b'{"role": "user", "cont'
        path.write_bytes(torn)
        added = await call(client, "conversation_add", conversation="c", role="user", text="two")
        found = await call(client, "conversation_turns", conversation="c")
    async with fleet.client(Role.OPERATOR) as client:
        findings = (await call(client, "journal_doctor"))["findings"]

    assert path.read_bytes().startswith(torn + b"\n{")
    assert (added["seq"], found["total"], found["unreadable"]) == (2, 2, 1)
    assert [(f["file"], f["line"]) for f in findings if f["status"] == "warn"] == [
        ("ada/conversations/local/c.jsonl", 2)
    ]


async def test_a_full_conversation_is_refused(fleet: Fleet) -> None:
    async with fleet.client() as client:
        answers = [
            await call(client, "conversation_add", conversation="c", role="user", text="x" * 100_000) for _ in range(42)
        ]
        long = await call(client, "conversation_add", conversation="d", role="user", text="x" * 100_001)
    assert answers[40]["seq"] == 41 and answers[41].startswith("too_large:") and long.startswith("too_large:")


NAMES = ["", ".", "..", "a/b", "../local/keys", "a\\b", "a\0b", "/etc/passwd", ".hidden", "x" * 151, "a:b", "con"]


@pytest.mark.parametrize("name", NAMES, ids=ascii)
async def test_what_is_no_plain_name_is_no_conversation(fleet: Fleet, name: str) -> None:
    async with fleet.client() as client:
        added = await call(client, "conversation_add", conversation=name, role="user", text="x")
        read = await call(client, "conversation_turns", conversation=name)
    assert added.startswith("invalid_argument:") and read.startswith("invalid_argument:")


# No way across


def crossings(principal: str, conversation: str) -> list[str]:
    """Names and encodings by which one principal might reach another's conversation."""
    path = f"{principal}/{conversation}"
    return [
        conversation,
        f"../{path}",
        f"..%2F{principal}%2F{conversation}",
        f"%2e%2e%2f{path}",
        f"..\\{principal}\\{conversation}",
        f"{path}.jsonl",
        f"\uff0e\uff0e\uff0f{path}",
        f"../{path}\0",
        f"conversations/{path}",
        f"ada/conversations/{path}",
        f"./{conversation}",
        f"{conversation}.jsonl",
        f"{conversation}.jsonl/..",
    ]


async def seen_by(client: Client, conversation: str, principal: str, meta: Any = None) -> str:
    """Everything a caller gets when it tries to reach *conversation* of *principal*."""
    seen = [await call(client, "conversation_list", meta)]
    for name in crossings(principal, conversation):
        seen.append(await call(client, "conversation_turns", meta, conversation=name))
        seen.append(await call(client, "conversation_turns", meta, conversation=name, principal=principal))
        seen.append(await call(client, "journal_search", meta, query=SECRET))
        try:
            seen.append(resource_text(await client.read_resource(f"conversation://{name}", meta=meta)))
        except Exception as error:
            seen.append(str(error))
    seen += [await call(client, "journal_read", meta, limit=500), await call(client, "journal_status", meta)]
    return json.dumps(seen, ensure_ascii=False, default=str)


async def test_no_name_argument_or_encoding_reaches_another_principals_conversation(fleet: Fleet) -> None:
    owner = token_of("ada")
    others = [
        token_of("eve"),
        token_of("ada "),
        token_of("ADA"),
        token_of(None),
        token_of("ada", "other", (OPERATOR_SCOPE,)).model_copy(update={"claims": {"iss": "https://evil.example"}}),
        token_of("eve", scopes=(OPERATOR_SCOPE,)),
    ]
    with calling(owner) as principal:
        async with fleet.client() as client:
            added = await call(client, "conversation_add", conversation="keys", role="user", text=SECRET)
            own = await call(client, "conversation_turns", conversation="keys")
            assert SECRET in resource_text(await client.read_resource("conversation://keys"))
    assert added["seq"] == 1 and own["turns"][0]["text"] == SECRET
    assert (fleet.root / f"ada/conversations/{principal}/keys.jsonl").is_file()
    seen: list[str] = []
    for token in others:
        with calling(token) as other:
            assert other != principal
            async with fleet.client() as client:
                seen.append(await seen_by(client, "keys", principal))
    async with fleet.client() as local, fleet.client(Role.OPERATOR) as operator:
        seen += [await seen_by(local, "keys", principal), await seen_by(operator, "keys", principal)]
        for whose in (None, "local"):
            meta = {RUN_META: fleet.tokens.issue("ada", "run-1", principal=whose)}
            seen.append(await seen_by(local, "keys", principal, meta))
        doctor = json.dumps(await call(operator, "journal_doctor"))

    assert not [text for text in seen if SECRET in text]
    # That there is one is not told either: the answer is the same as for a name that nobody has.
    assert not [text for text in seen if '"conversation": "keys"' in text]
    assert SECRET not in doctor and "keys" not in doctor
    log = "".join(path.read_text(encoding="utf-8") for path in (fleet.root / "ada/log").rglob("*.jsonl"))
    assert '"conversation.add"' in log and SECRET not in log and "keys" not in log and principal not in log


async def test_names_of_conversations_are_completed_to_their_own_principal_alone(fleet: Fleet) -> None:
    place = ResourceTemplateReference(uri="conversation://{id}")
    typed = {"name": "id", "value": "ke"}
    async with fleet.client() as client:
        await call(client, "conversation_add", conversation="kettle", role="user", text="Mine.")
        with calling(token_of("marit")):
            await call(client, "conversation_add", conversation="keys", role="user", text=SECRET)
            hers = (await client.complete(place, typed)).completion.values
        with calling(token_of("jonah")):
            others = (await client.complete(place, typed)).completion.values
        own = (await client.complete(place, typed)).completion.values

    assert (hers, others, own) == (["keys"], [], ["kettle"])


async def test_a_run_has_the_conversations_of_whoever_it_is_for(fleet: Fleet) -> None:
    async with fleet.client() as client:
        await call(client, "conversation_add", conversation="keys", role="user", text="mine")
        for principal, expected in (("local", True), (None, False), ("a" * 64, False)):
            meta = {RUN_META: fleet.tokens.issue("ada", "run-1", principal=principal)}
            found = await call(client, "conversation_turns", meta, conversation="keys")
            assert isinstance(found, dict) is expected, found
        unattended = {RUN_META: fleet.tokens.issue("ada", "run-2")}
        await call(client, "conversation_add", unattended, conversation="keys", role="assistant", text="its own")
        mine = await call(client, "conversation_turns", conversation="keys")

    assert [turn["text"] for turn in mine["turns"]] == ["mine"]
    line = json.loads((fleet.root / "ada/conversations/agent/keys.jsonl").read_text(encoding="utf-8"))
    assert (line["principal"], line["run_id"]) == ("agent", "run-2")


async def test_no_link_copy_or_move_crosses(fleet: Fleet) -> None:
    folder = fleet.root / "ada/conversations"
    with calling(token_of("ada")) as principal:
        async with fleet.client() as client:
            await call(client, "conversation_add", conversation="keys", role="user", text=SECRET)
    theirs = folder / principal / "keys.jsonl"
    mine = folder / "local"
    mine.mkdir()
    (mine / "linked.jsonl").symlink_to(theirs)
    (mine / "hard.jsonl").hardlink_to(theirs)
    (mine / "copied.jsonl").write_bytes(theirs.read_bytes())
    (mine / "folder").symlink_to(theirs.parent)
    seen: list[Any] = []
    async with fleet.client() as client:
        listed = await call(client, "conversation_list")
        for name in ("linked", "hard", "copied", "folder", "folder/keys"):
            seen.append(await call(client, "conversation_turns", conversation=name))
        seen.append(await call(client, "conversation_add", conversation="linked", role="user", text="x"))
    with calling(token_of("eve")) as other:
        (folder / other).symlink_to(theirs.parent)
        async with fleet.client() as client:
            seen.append(await call(client, "conversation_turns", conversation="keys"))
            seen.append(await call(client, "conversation_list"))
            seen.append(await call(client, "conversation_add", conversation="keys", role="user", text="x"))

    assert SECRET not in json.dumps(seen)
    assert {item["conversation"] for item in listed["items"]} == {"hard", "copied"}
    assert theirs.read_bytes().count(b"\n") == 1


async def test_nobody_hears_when_another_principal_speaks(fleet: Fleet) -> None:
    heard: list[frozenset[str]] = []
    server = create(ServerConfig(store=fleet.store, agent="ada", clock=fleet.clock))
    stop = fleet.store.bell.listen("", heard.append)
    with calling(token_of("ada")):
        async with fleet.client() as client:
            await call(client, "conversation_add", conversation="keys", role="user", text=SECRET)
    await to_thread.run_sync(stop)
    paths = [str(path.relative_to(fleet.root)) for path in (fleet.root / "ada/conversations").rglob("*.jsonl")]
    assert len(paths) == 1 and server.domain.uris_of(paths[0]) == []


async def test_journal_and_conversations_are_the_same_in_a_database(tmp_path: Path) -> None:
    def opened() -> Store:
        return open_any(tmp_path, "sqlite:///fleet.sqlite", create=True)

    (tmp_path / "fleet.md").write_text("", encoding="utf-8")
    store = await to_thread.run_sync(opened)
    other = await to_thread.run_sync(opened)
    try:
        await store.documents.write("ada/model.md", b"# Model\n")
        servers = [create(ServerConfig(store=each, agent="ada", clock=FakeClock())) for each in (store, other)]
        async with Client(servers[0], cache=None) as one, Client(servers[1], cache=None) as two:
            async with anyio.create_task_group() as tasks:
                for number in range(10):
                    arguments = {"text": f"Lit lamp {number}.", "key": f"k{number}"}
                    tasks.start_soon(functools.partial(call, (one, two)[number % 2], "journal_append", **arguments))
                    turn = {"conversation": "c", "role": "user", "text": f"turn {number}"}
                    tasks.start_soon(functools.partial(call, (two, one)[number % 2], "conversation_add", **turn))
            again = await call(two, "journal_append", text="Lit lamp 3.", key="k3")
            read = await call(one, "journal_read", since="2026-11-20")
            found = await call(two, "journal_search", query="lamps")
            turns = await call(one, "conversation_turns", conversation="c")
            listed = await call(two, "conversation_list")
    finally:
        await to_thread.run_sync(store.close)
        await to_thread.run_sync(other.close)

    assert again["duplicate"] is True
    assert {item["text"] for item in read["items"]} == {f"Lit lamp {n}." for n in range(10)}
    assert len(found["items"]) == 10
    assert sorted(turn["text"] for turn in turns["turns"]) == [f"turn {n}" for n in range(10)]
    assert [item["conversation"] for item in listed["items"]] == ["c"]
