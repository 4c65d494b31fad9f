"""The form of conversations: ``<agent>/conversations/<principal>/<conversation>.jsonl``, one turn a line.

A turn has the fields of atomic-agents-stack's turn files (role, content, ts, run_id, seq, schema_version), and names
its principal and its key. A line that names another principal is not this one's, wherever the file was put. That
system's own files, one JSON a turn under ``<principal>/<conversation>/``, are read and never written.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from argosy_core.errors import InvalidArgument
from argosy_core.names import check_new_name

FOLDER = "conversations"
SUFFIX = ".jsonl"
SCHEMA_VERSION = 1
MAX_NAME_BYTES = 150
BYTES_PER_TOKEN = 4  # the usual estimate; counted in UTF-8, so that scripts that cost more count more
SMALLEST_CUT = 200  # bytes: less of a turn than this says nothing

TurnRole = Literal["user", "assistant", "system"]
ROLES: tuple[str, ...] = get_args(TurnRole)


@dataclass(frozen=True, slots=True)
class Turn:
    """Something that was said. *seq* counts from 1 in a conversation, from 0 in a call of the older system."""

    role: str
    content: str
    ts: str
    seq: int
    run_id: str | None = None
    principal: str | None = None
    key: str | None = None
    source: str | None = None


@dataclass(frozen=True, slots=True)
class Fitting:
    """The newest turns that fit a budget, in their order. *left_out* older ones do not; *cut* says that the first of
    *turns* is only its end."""

    turns: tuple[Turn, ...]
    used_tokens: int
    left_out: int
    cut: bool = False


def folder_of(agent: str, principal: str) -> str:
    """Where the conversations of *principal* with *agent* are kept."""
    return f"{agent}/{FOLDER}/{principal}"


def path_of(agent: str, principal: str, conversation: str) -> str:
    """The file of *conversation*. Raises InvalidArgument for what is no plain name."""
    return f"{folder_of(agent, principal)}/{check_conversation(conversation)}{SUFFIX}"


def check_conversation(name: str) -> str:
    """*name* in Unicode's composed form. Raises InvalidArgument when it is no name for a file."""
    name = check_new_name(name)
    if len(name.encode()) > MAX_NAME_BYTES:
        raise InvalidArgument(f"a conversation's name has at most {MAX_NAME_BYTES} bytes", hint="shorten it")
    return name


def turn_line(turn: Turn) -> bytes:
    """*turn* as a line. Raises InvalidArgument for text that UTF-8 cannot hold."""
    fields: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "role": turn.role,
        "content": turn.content,
        "ts": turn.ts,
        "run_id": turn.run_id,
        "seq": turn.seq,
        "principal": turn.principal,
    }
    fields |= {name: value for name, value in (("key", turn.key), ("source", turn.source)) if value is not None}
    try:
        return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
    except UnicodeEncodeError as exc:
        raise InvalidArgument("the text holds half of a character pair", hint="send valid Unicode") from exc


def read_turns(data: bytes, principal: str) -> tuple[list[Turn], list[int]]:
    """The turns in *data* that are *principal*'s, and the numbers of the lines that are no turn (or another's)."""
    turns: list[Turn] = []
    bad: list[int] = []
    for number, line in enumerate(data.split(b"\n"), 1):
        if not line.strip():
            continue
        turn = read_turn(line)
        if turn is None or turn.principal not in (None, principal):
            bad.append(number)
        else:
            turns.append(turn)
    return turns, bad


def read_turn(line: bytes) -> Turn | None:
    """The turn in one line, or in one file of the older system; None when it is none."""
    try:
        fields: Any = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(fields, dict):
        return None
    role, content = fields.get("role"), fields.get("content")  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    if not isinstance(role, str) or role not in ROLES or not isinstance(content, str):
        return None
    return _turn_of(role, content, fields)  # pyright: ignore[reportUnknownArgumentType]


def _turn_of(role: str, content: str, fields: dict[str, Any]) -> Turn:
    def text(name: str) -> str | None:
        value = fields.get(name)
        return value if isinstance(value, str) else None

    seq = fields.get("seq")
    number = seq if isinstance(seq, int) and not isinstance(seq, bool) else 0
    principal = fields.get("principal")
    # What is there and no text names nobody that could ask for it.
    owner = principal if principal is None or isinstance(principal, str) else "\0"
    return Turn(role, content, text("ts") or "", number, text("run_id"), owner, text("key"), text("source"))


def estimate_tokens(text: str) -> int:
    """About how many tokens *text* is, never less than one."""
    return max(1, -(-len(text.encode("utf-8", "replace")) // BYTES_PER_TOKEN))


def newest_that_fit(turns: Sequence[Turn], token_budget: int) -> Fitting:
    """As many of the newest of *turns* as fit, whole; the newest alone is cut to its end rather than left out."""
    used, first = 0, len(turns)
    while first and used + estimate_tokens(turns[first - 1].content) <= token_budget:
        first -= 1
        used += estimate_tokens(turns[first].content)
    if first == len(turns) and turns:
        return _cut_newest(turns, token_budget)
    return Fitting(tuple(turns[first:]), used, first)


def _cut_newest(turns: Sequence[Turn], token_budget: int) -> Fitting:
    room = token_budget * BYTES_PER_TOKEN
    if room < SMALLEST_CUT:
        return Fitting((), 0, len(turns))
    newest = turns[-1]
    end = newest.content.encode("utf-8", "replace")[-room:].decode("utf-8", "ignore")
    kept = Turn(newest.role, end, newest.ts, newest.seq, newest.run_id, newest.principal, newest.key, newest.source)
    return Fitting((kept,), estimate_tokens(end), len(turns) - 1, cut=True)
