"""Conversations of principals with an agent. Whose one is is the caller's principal and never an argument.

There are no change notices for conversations, and their events in the log name neither principal nor conversation:
both would tell one principal of another's.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from argosy_core.clock import rfc3339
from argosy_core.conversations import (
    FOLDER,
    SUFFIX,
    Turn,
    TurnRole,
    check_conversation,
    folder_of,
    newest_that_fit,
    path_of,
    read_turn,
    read_turns,
    turn_line,
)
from argosy_core.errors import Conflict, InvalidArgument, NotFound, TooLarge
from argosy_core.serving.config import ServerConfig
from argosy_core.serving.results import DoctorFinding, clamp_limit, decode_offset, encode_cursor
from argosy_core.storage.base import FileInfo
from argosy_core.storage.growing import GrowingDocuments
from argosy_core.types import LOCAL_PRINCIPAL, Caller
from argosy_journal.models import ConversationItem, ConversationPage, TurnAdded, TurnItem, Turns

MAX_TURN_CHARS = 100_000
MAX_BYTES = 4 * 1024 * 1024  # of a conversation that is added to
MAX_BUDGET_TOKENS = 100_000
SHOWN_TOKENS = 25_000  # of a conversation read as a resource
LAST_LINE_BYTES = 1024 * 1024


class Conversations:
    """Adds turns and reads them back; one object serves every agent and principal of the vault."""

    def __init__(self, config: ServerConfig) -> None:
        self._documents = config.store.documents
        self._chain = config.store.chain
        self._clock = config.clock
        self._growing = GrowingDocuments(config.store.documents, config.clock, config.ids)

    async def add(
        self, agent: str, caller: Caller, conversation: str, role: TurnRole, text: str, key: str | None
    ) -> TurnAdded:
        """Add a turn. Raises InvalidArgument, TooLarge, Conflict (a key used for another turn)."""
        conversation = check_conversation(conversation)
        check_turn(text, key)
        path = path_of(agent, caller.principal, conversation)
        ts = rfc3339(self._clock.now())
        older = await self._older_turns(agent, caller.principal, conversation)
        made: list[tuple[Turn, bool]] = []  # of every round; the last one counts

        def make(data: bytes) -> bytes:
            found = _find_key(data, key, caller.principal)
            if found is not None:
                _check_same(found, role, text)
                made.append((found, True))
                return b""
            seq = _last_seq(data, caller.principal, len(older)) + 1
            line = turn_line(Turn(role, text, ts, seq, caller.run, caller.principal, key))
            if len(data) + len(line) > MAX_BYTES:
                raise TooLarge("the conversation is full", hint="begin a new one")
            made.append((Turn(role, text, ts, seq), False))
            # A line that was left without its end, by an editor or a crash of another program, stays a line of its own.
            return line if not data or data.endswith(b"\n") else b"\n" + line

        version = await self._growing.add(path, make)
        turn, duplicate = made[-1]
        if not duplicate:
            await self._log(agent, caller, role, turn.seq, text)
        return TurnAdded(
            conversation=conversation,
            seq=turn.seq,
            role=role,
            ts=turn.ts,
            uri=f"conversation://{conversation}",
            version=version,
            duplicate=duplicate,
        )

    async def turns(self, agent: str, caller: Caller, conversation: str, token_budget: int) -> Turns:
        """The newest turns that fit into *token_budget*. Raises NotFound."""
        conversation = check_conversation(conversation)
        turns, unreadable = await self._read(agent, caller.principal, conversation)
        fitting = newest_that_fit(turns, max(1, min(token_budget, MAX_BUDGET_TOKENS)))
        items = [
            TurnItem(seq=number, role=_role(turn), text=turn.content, ts=turn.ts, run=turn.run_id)
            for number, turn in enumerate(fitting.turns, fitting.left_out + 1)
        ]
        return Turns(
            conversation=conversation,
            turns=items,
            used_tokens=fitting.used_tokens,
            total=len(turns),
            left_out=fitting.left_out,
            cut=fitting.cut,
            unreadable=unreadable,
            uri=f"conversation://{conversation}",
        )

    async def list_conversations(self, agent: str, caller: Caller, limit: int, cursor: str | None) -> ConversationPage:
        """The caller's conversations, the last one used first."""
        folder = folder_of(agent, caller.principal)
        found = {
            info.path.rsplit("/", 1)[1].removesuffix(SUFFIX): info
            for info in await self._documents.list(folder, SUFFIX)
        }
        for name in await self._documents.folders(folder):
            files = await self._documents.list(f"{folder}/{name}", ".json")
            if files and name not in found:
                found[name] = max(files, key=lambda info: info.stamp[0])
        order = sorted(found, key=lambda name: (found[name].stamp[0], name), reverse=True)
        start, limit = decode_offset(cursor), clamp_limit(limit)
        return ConversationPage(
            items=[_item(name, found[name]) for name in order[start : start + limit]],
            next_cursor=encode_cursor(start + limit) if len(order) > start + limit else None,
        )

    async def text(self, agent: str, caller: Caller, conversation: str) -> str:
        """The end of a conversation as Markdown. Raises NotFound."""
        found = await self.turns(agent, caller, conversation, SHOWN_TOKENS)
        head = f"# {found.conversation}\n\n"
        if found.left_out:
            head += f"({found.left_out} earlier turns of {found.total} are left out.)\n\n"
        return head + "\n\n".join(f"## {turn.role} · {turn.ts}\n\n{turn.text}" for turn in found.turns) + "\n"

    async def _read(self, agent: str, principal: str, conversation: str) -> tuple[Sequence[Turn], int]:
        older = await self._older_turns(agent, principal, conversation)
        try:
            data = (await self._documents.read(path_of(agent, principal, conversation))).data
        except NotFound:
            if not older:
                raise NotFound(
                    f"you have no conversation {conversation[:80]!r}", hint="conversation_list shows yours"
                ) from None
            return older, 0
        turns, bad = read_turns(data, principal)
        return (*older, *turns), len(bad)

    async def _older_turns(self, agent: str, principal: str, conversation: str) -> list[Turn]:
        """What the older system kept of this conversation; its file names sort as the turns were said."""
        turns: list[Turn] = []
        for info in await self._documents.list(f"{folder_of(agent, principal)}/{conversation}", ".json"):
            turn = read_turn((await self._documents.read(info.path)).data)
            if turn is not None and turn.principal in (None, principal):
                turns.append(turn)
        return turns

    async def _log(self, agent: str, caller: Caller, role: str, seq: int, text: str) -> None:
        event = {"kind": "conversation.add", "role": role, "turn": seq, "chars": len(text), "run_id": caller.run}
        await self._chain.append(agent, "journal", {k: v for k, v in event.items() if v is not None})

    async def doctor(self, agent: str) -> list[DoctorFinding]:
        """Conversations with lines that are no turn of their principal."""
        found: list[DoctorFinding] = []
        for principal in await self._documents.folders(f"{agent}/{FOLDER}"):
            for info in await self._documents.list(folder_of(agent, principal), SUFFIX):
                _, bad = read_turns((await self._documents.read(info.path)).data, principal)
                if bad:
                    message = f"{len(bad)} lines are no turn of this principal; they are left out"
                    fix = "mend the line, or take it out"
                    found.append(
                        DoctorFinding(
                            status="warn",
                            check="conversation_lines",
                            message=message,
                            # Another principal's conversation is not named, also not to an operator over HTTP.
                            file=info.path if principal == LOCAL_PRINCIPAL else folder_of(agent, principal),
                            line=bad[0],
                            fix=fix,
                        )
                    )
        ok = DoctorFinding(status="pass", check="conversation_lines", message="every line is a turn")
        return found or [ok]


def check_turn(text: str, key: str | None) -> None:
    """Raises InvalidArgument or TooLarge for what cannot be a turn."""
    if len(text) > MAX_TURN_CHARS:
        raise TooLarge(f"a turn has at most {MAX_TURN_CHARS} characters", hint="put long text into raw/")
    if key is not None and (not key or len(key) > 200 or not key.isprintable()):
        raise InvalidArgument("a key is one line of 1 to 200 characters")


def _find_key(data: bytes, key: str | None, principal: str) -> Turn | None:
    if key is None:
        return None
    turns, _ = read_turns(data, principal)
    return next((turn for turn in turns if turn.key == key), None)


def _check_same(turn: Turn, role: str, text: str) -> None:
    if (turn.role, turn.content) != (role, text):
        raise Conflict("the key was used for another turn", hint="use a new key for a new turn")


def _last_seq(data: bytes, principal: str, older: int) -> int:
    """The number of the last turn there is, by its own word where it is a line of ours."""
    last = read_turn(data[-LAST_LINE_BYTES:].rstrip().rsplit(b"\n", 1)[-1])
    if last is not None and last.principal == principal and last.seq > 0:
        return last.seq
    return older + len(read_turns(data, principal)[0])


def _role(turn: Turn) -> TurnRole:
    return turn.role  # type: ignore[return-value]  # read_turn takes no other


def _item(name: str, info: FileInfo) -> ConversationItem:
    updated = rfc3339(datetime.fromtimestamp(info.stamp[0] / 1e9, UTC))
    return ConversationItem(conversation=name, updated_at=updated, bytes=info.stamp[1], uri=f"conversation://{name}")
