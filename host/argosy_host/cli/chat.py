"""``mcp-host chat``: many turns with one agent."""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import click
from anyio import to_thread

from argosy_core.clock import SystemClock
from argosy_core.errors import ArgosyError
from argosy_core.ids import SystemIds
from argosy_core.storage.address import Address
from argosy_core.views.vault_reader import VaultReader
from argosy_host.chatting import Chat, choose_conversation
from argosy_host.cli.decide import ask_here
from argosy_host.cli.options import json_option, named, store_option, vault_option
from argosy_host.cli.run import EXIT_CODES, Terminal
from argosy_host.direct import opened
from argosy_host.progress import Progress
from argosy_host.remote_run import ended
from argosy_host.runs import Limits
from argosy_host.session import RunOptions, find_agent

ENDS = ("/quit", "/exit", "/q")


@click.command()
@click.argument("agent", required=False)
@vault_option
@store_option
@click.option("--conversation", metavar="NAME", help="Go on with that one, or begin it. Default: a new one.")
@click.option("--last", is_flag=True, help="Go on with the one used last.")
@click.option("--model", help="offline, or a model's name. Default: the agent's when there is a key, else offline.")
@click.option("--profile", type=click.Choice(["default", "full"]), default="default", help="Which tools it is shown.")
@click.option("--max-turns", default=10, show_default=True, type=click.IntRange(1, 20), help="Questions to the model.")
@click.option("--max-seconds", default=300.0, show_default=True, type=click.FloatRange(1, 3600), help="Active time.")
@json_option
def chat(
    agent: str | None,
    vault: Path,
    store: Address | None,
    conversation: str | None,
    last: bool,
    model: str | None,
    profile: Any,
    max_turns: int,
    max_seconds: float,
    as_json: bool,
) -> None:
    """Talk with AGENT, line by line; an empty line is passed over, /quit or the end of input ends it.

    Every turn is a run like any other: judged, budgeted, logged. --json prints one object a line.
    """
    name = anyio.run(_agent_name, vault, store, agent)
    limits = Limits(iterations=max_turns, active_seconds=max_seconds)
    options = RunOptions(vault=vault, agent=name, task="", model=model, store=store, profile=profile, limits=limits)
    clock, ids = SystemClock(), SystemIds()
    found = anyio.run(choose_conversation, options, conversation, last, clock, ids)
    talk = Chat(options, found, clock, ids)
    code = 0
    for line in _lines(as_json):
        code = _turn(talk, line, as_json)
    if not as_json:
        click.echo(f"To go on: mcp-host chat {name} --conversation {found} {named(vault, store)}", err=True)
    sys.exit(code)


def _turn(talk: Chat, line: str, as_json: bool) -> int:
    """One turn, shown. What goes wrong in it ends neither the conversation nor the program."""
    watcher = Progress() if as_json else Terminal()
    try:
        result = ended(anyio.run(functools.partial(talk.say, line, watcher)))
    except ArgosyError as error:
        click.echo(f"mcp-host: {error.code}: {error}", err=True)
        return 1
    hint = result.pop("hint")
    if as_json:
        import json

        click.echo(json.dumps({**result, "conversation": talk.conversation}, ensure_ascii=False))
    else:
        assert isinstance(watcher, Terminal)
        watcher.close(result, hint, named(talk.options.vault, talk.options.store))
        if result["questions"] and sys.stdin.isatty():
            ask_here(result["questions"], talk.options.vault, talk.options.store)
    return EXIT_CODES[result["status"]]


def _lines(as_json: bool) -> Iterator[str]:
    """What is typed, until the end."""
    ask = sys.stdin.isatty() and not as_json
    while True:
        if ask:
            click.echo(click.style("you> ", bold=True), nl=False, err=True)
        line = sys.stdin.readline()
        text = line.strip()
        if not line or text in ENDS:
            return
        if text:
            yield text


async def _agent_name(vault: Path, store: Address | None, agent: str | None) -> str:
    async with opened(vault, store) as found:
        return (await to_thread.run_sync(lambda: find_agent(VaultReader(found.files), agent))).name
