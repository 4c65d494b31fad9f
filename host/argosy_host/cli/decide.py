"""``mcp-host ask`` and ``mcp-host decide``: what waits for a person, and a person's answer."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import anyio
import click
from anyio import to_thread

from argosy_core.errors import InvalidArgument
from argosy_core.storage.address import Address
from argosy_core.types import Role
from argosy_host.attending import seen_here
from argosy_host.cli.call import show
from argosy_host.cli.options import json_option, store_option, vault_option
from argosy_host.direct import call_in, opened
from argosy_host.results import CallOutcome


@click.command()
@click.argument("question", required=False)
@vault_option
@store_option
@json_option
def ask(question: str | None, vault: Path, store: Address | None, as_json: bool) -> None:
    """Show what waits for a person, the most urgent first, or one QUESTION. At a terminal, ask for each answer."""
    if question is not None:
        show(anyio.run(functools.partial(_call, vault, store, "desk_get", {"question": question})), as_json)
        return
    pending = anyio.run(functools.partial(_call, vault, store, "desk_pending", {}))
    if as_json or not sys.stdin.isatty() or pending.is_error or not (pending.structured or {}).get("items"):
        show(pending, as_json)
        return
    for waiting in (pending.structured or {})["items"]:
        ask_one(waiting, vault, store)


def ask_here(questions: Sequence[str], vault: Path, store: Address | None) -> bool:
    """Ask, at this terminal, what a run left for a person; whether all of it is answered now."""
    answered = True
    for question in questions:
        found = anyio.run(functools.partial(_call, vault, store, "desk_get", {"question": question}))
        if found.structured is not None and found.structured["state"] == "pending":
            answered &= ask_one(found.structured, vault, store)
    return answered


def ask_one(waiting: Mapping[str, Any], vault: Path, store: Address | None) -> bool:
    """One question, and the answer typed to it; an empty line leaves it for later. Whether it is answered now."""
    click.echo(_plain(f"\n{waiting['question']} [{waiting['kind']}, {waiting['urgency']}] {waiting['title']}"))
    click.echo(_plain(waiting["body"]))
    if waiting.get("binding"):
        call = waiting["binding"]
        shown = json.dumps(call.get("tool_arguments"), ensure_ascii=False)
        click.echo(_plain(f"waits: {call.get('tool_name')} {shown}"))
    choices = ", ".join(waiting["options"]) or "approve, deny, or text"
    choice = click.prompt(f"Answer ({choices}; empty leaves it)", default="", show_default=False)
    if not choice.strip():
        return False
    answer = {"question": waiting["question"], "choice": choice.strip()}
    outcome = anyio.run(functools.partial(_call, vault, store, "desk_answer", answer))
    click.echo(_plain(outcome.text), err=outcome.is_error)
    return not outcome.is_error


def _plain(text: str) -> str:
    """*text* without what would steer the terminal: an agent wrote it, and must not paint over what is asked."""
    return "".join(mark if mark.isprintable() or mark == "\n" else "\N{REPLACEMENT CHARACTER}" for mark in text)


@click.command()
@click.argument("question")
@click.argument("choice", metavar="approve|deny|revise|CHOICE")
@vault_option
@store_option
@click.option("--note", help="Why, in a line.")
@click.option("--amend", metavar="JSON", help="With revise: the arguments that change.")
@json_option
def decide(
    question: str, choice: str, vault: Path, store: Address | None, note: str | None, amend: str | None, as_json: bool
) -> None:
    """Answer QUESTION. The first answer stands.

    An approved call is made once: when the client that asked makes it again, or else at the agent's next run. Where
    fleet.md says "approval: attended", approving what is of high risk needs this to be a terminal.
    """
    answer: dict[str, Any] = {"question": question, "choice": choice}
    if note is not None:
        answer["note"] = note
    if amend is not None:
        answer["amendment"] = _amendment(amend)
    show(anyio.run(functools.partial(_call, vault, store, "desk_answer", answer)), as_json)


def _amendment(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as exc:
        raise InvalidArgument(f"the amendment is not JSON: {exc}", hint="--amend '{\"field\": value}'") from exc


async def _call(vault: Path, store: Address | None, tool: str, arguments: dict[str, Any]) -> CallOutcome:
    async with opened(vault, store) as found:
        attended = await to_thread.run_sync(seen_here, found.root)
        return await call_in(found, "desk", tool, arguments, agent=None, role=Role.OPERATOR, attended=attended)
