"""``mcp-host ask`` and ``mcp-host decide``: what waits for a person, and a person's answer."""

from __future__ import annotations

import functools
import json
import sys
from pathlib import Path
from typing import Any

import anyio
import click

from argosy_core.errors import InvalidArgument
from argosy_core.storage.address import Address
from argosy_core.types import Role
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
        _ask_one(waiting, vault, store)


def _ask_one(waiting: dict[str, Any], vault: Path, store: Address | None) -> None:
    """One question, and the answer typed to it; an empty line leaves it for later."""
    click.echo(f"\n{waiting['question']} [{waiting['kind']}, {waiting['urgency']}] {waiting['title']}")
    click.echo(waiting["body"])
    if waiting.get("binding"):
        call = waiting["binding"]
        click.echo(f"waits: {call.get('tool_name')} {json.dumps(call.get('tool_arguments'), ensure_ascii=False)}")
    choices = ", ".join(waiting["options"]) or "approve, deny, or text"
    choice = click.prompt(f"Answer ({choices}; empty leaves it)", default="", show_default=False)
    if choice.strip():
        answer = {"question": waiting["question"], "choice": choice.strip()}
        outcome = anyio.run(functools.partial(_call, vault, store, "desk_answer", answer))
        click.echo(outcome.text, err=outcome.is_error)


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

    An approved call is made once: when the client that asked makes it again, or else at the agent's next run.
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
        return await call_in(found, "desk", tool, arguments, agent=None, role=Role.OPERATOR)
