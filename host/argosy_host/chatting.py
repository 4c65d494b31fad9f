"""A conversation with an agent: each thing said is a run of its own, which is told what was said before.

What is kept of it lies with the journal server, under the local principal. The history has no tool calls: what an
earlier run looked up, a later one looks up again, and what it did is in the log.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, Literal

from anyio import to_thread

from argosy_core.clock import Clock
from argosy_core.conversations import check_conversation
from argosy_core.errors import NotFound
from argosy_core.ids import Ids, new_id, new_run_id
from argosy_core.secrets.redaction import PROCESS
from argosy_core.secrets.secret_store import open_secrets
from argosy_core.storage.base import Store
from argosy_core.types import LOCAL_PRINCIPAL, Role
from argosy_core.views.vault_reader import VaultReader
from argosy_host.direct import call_in, opened
from argosy_host.progress import Progress
from argosy_host.providers.base import Message, Model
from argosy_host.results import CallOutcome
from argosy_host.runs import Origin, RunResult
from argosy_host.session import RunOptions, Shared, find_agent, run_task

HISTORY_TOKENS = 8_000
UNANSWERED = "(There was no answer.)"


@dataclass(frozen=True, slots=True)
class Chat:
    """One conversation; *options* says how each run of it is done, and its task is not looked at.

    With *shared*, an open store and running servers are used and left open.
    """

    options: RunOptions
    conversation: str
    clock: Clock
    ids: Ids
    shared: Shared | None = None

    async def say(self, text: str, progress: Progress, model: Callable[[], Model] | None = None) -> RunResult:
        """What the agent answers to *text*; both are kept. Raises what `run_task` raises: then neither is."""
        earlier = messages_of(await self._turns(), progress)
        run = new_run_id(self.clock, self.ids)
        options = replace(
            self.options, task=text, run=run, earlier=earlier, origin=Origin("chat", principal=LOCAL_PRINCIPAL)
        )
        result = await run_task(options, progress, clock=self.clock, ids=self.ids, model=model, shared=self.shared)
        await self._keep("user", PROCESS.redact_text(text), f"{run}:user")
        said = result.text.strip() or (f"({result.status}: {result.error})" if result.error else "")
        if said:
            await self._keep("assistant", PROCESS.redact_text(said), f"{run}:assistant")
        return result

    async def keep_unanswered(self, text: str, run: str | None) -> None:
        """Keep what was said where *run* ended with its process; once, if it is kept already."""
        async with self._store() as store:
            await to_thread.run_sync(_learn_secrets, store, self.clock, self.ids)
        await self._keep("user", PROCESS.redact_text(text), f"{run or new_run_id(self.clock, self.ids)}:user")

    async def _turns(self) -> Mapping[str, Any]:
        arguments = {"conversation": self.conversation, "token_budget": HISTORY_TOKENS}
        outcome = await self._call("conversation_turns", arguments)
        if outcome.code == "not_found":
            return {"turns": [], "left_out": 0}
        return _sound(outcome)

    async def _keep(self, role: str, text: str, key: str) -> None:
        turn = {"conversation": self.conversation, "role": role, "text": text, "key": key}
        _sound(await self._call("conversation_add", turn))

    async def _call(self, tool: str, arguments: Mapping[str, Any]) -> CallOutcome:
        async with self._store() as store:
            agent = self.options.agent
            return await call_in(store, "journal", tool, arguments, agent=agent, role=Role.OPERATOR)

    @asynccontextmanager
    async def _store(self) -> AsyncGenerator[Store]:
        if self.shared is not None:
            yield self.shared.store
            return
        async with opened(self.options.vault, self.options.store) as store:
            yield store


def messages_of(history: Mapping[str, Any], progress: Progress) -> tuple[Message, ...]:
    """*history* as a model wants it: a person speaks first, and then both in turn."""
    if history["left_out"]:
        progress.problem(f"{history['left_out']} earlier turns of this conversation are not shown to the model")
    messages: list[Message] = []
    for turn in history["turns"]:
        role: Literal["user", "assistant"] = "assistant" if turn["role"] == "assistant" else "user"
        if not messages and role == "assistant":
            continue
        if messages and messages[-1].role == role:
            messages[-1] = Message(role, text=f"{messages[-1].text}\n\n{turn['text']}")
        else:
            messages.append(Message(role, text=turn["text"]))
    if messages and messages[-1].role == "user":
        messages.append(Message("assistant", text=UNANSWERED))
    return tuple(messages)


async def begin_conversation(
    store: Store, agent: str | None, name: str | None, last: bool, clock: Clock, ids: Ids
) -> dict[str, Any]:
    """``{agent, conversation}``: whom *agent* means, and what to go on with as `choose_conversation` finds it.

    Raises what that raises.
    """
    found = (await to_thread.run_sync(lambda: find_agent(VaultReader(store.files), agent))).name
    return {"agent": found, "conversation": await choose_conversation(store, found, name, last, clock, ids)}


async def choose_conversation(store: Store, agent: str, name: str | None, last: bool, clock: Clock, ids: Ids) -> str:
    """The conversation to go on with: *name*, the one used last, or a new one.

    Raises NotFound (there is none to go on with, or no such agent), InvalidArgument (no name for one).
    """
    if name is not None:
        return check_conversation(name)
    if not last:
        return new_id("chat", clock, ids)
    outcome = await call_in(store, "journal", "conversation_list", {"limit": 1}, agent=agent, role=Role.OPERATOR)
    items: Sequence[Mapping[str, Any]] = _sound(outcome)["items"]
    if not items:
        raise NotFound("there is no conversation to go on with", hint=f"begin one: mcp-host chat {agent}")
    return str(items[0]["conversation"])


def _learn_secrets(store: Store, clock: Clock, ids: Ids) -> None:
    """Know what may not be written down before anything is: a run does so by itself."""
    open_secrets(VaultReader(store.files), clock=clock, ids=ids).learn_environment()


def _sound(outcome: CallOutcome) -> Mapping[str, Any]:
    if outcome.is_error or outcome.structured is None:
        raise outcome.error()
    return outcome.structured
