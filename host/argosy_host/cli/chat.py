"""``mcp-host chat``: many turns with one agent.

Each turn is done by the vault's fleet while it is up: nothing heavy may be imported before that is known.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from argosy_core.errors import ArgosyError, Unavailable
from argosy_core.storage.address import Address
from argosy_host.cli.options import json_option, named, store_option, vault_option
from argosy_host.cli.run import EXIT_CODES, Terminal
from argosy_host.cli.through_fleet import FleetEnded, ask_fleet
from argosy_host.progress import Progress

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
    begun = _begun(vault, store, agent, conversation, last)
    asked = {**begun, "model": model, "profile": profile, "max_turns": max_turns, "max_seconds": max_seconds}
    code = 0
    for line in _lines(as_json):
        code = _turn(vault, store, {**asked, "task": line}, as_json)
    if not as_json:
        to_go_on = f"mcp-host chat {begun['agent']} --conversation {begun['conversation']}"
        click.echo(f"To go on: {to_go_on} {named(vault, store)}", err=True)
    sys.exit(code)


def _begun(
    vault: Path, store: Address | None, agent: str | None, conversation: str | None, last: bool
) -> dict[str, Any]:
    """``{agent, conversation}``: whom to talk with, and where to go on."""
    try:
        begun = ask_fleet(vault, store, Progress(), "conversation", agent=agent, conversation=conversation, last=last)
    except FleetEnded:
        begun = None  # it was only asked
    if begun is None:
        from argosy_host.cli.chat_alone import begin_alone

        begun = begin_alone(vault, store, agent, conversation, last)
    return begun


def _turn(vault: Path, store: Address | None, asked: Mapping[str, Any], as_json: bool) -> int:
    """One turn, shown. What goes wrong in it ends neither the conversation nor the program."""
    watcher = Progress() if as_json else Terminal()
    try:
        result = _said(vault, store, asked, watcher)
    except ArgosyError as error:
        click.echo(f"mcp-host: {error.code}: {error}", err=True)
        return 1
    hint = result.pop("hint")
    if as_json:
        click.echo(json.dumps({**result, "conversation": asked["conversation"]}, ensure_ascii=False))
    else:
        assert isinstance(watcher, Terminal)
        watcher.close(result, hint, named(vault, store))
        if result["questions"] and sys.stdin.isatty():
            from argosy_host.cli.decide import ask_here

            ask_here(result["questions"], vault, store)
    return EXIT_CODES[result["status"]]


def _said(vault: Path, store: Address | None, asked: Mapping[str, Any], watcher: Progress) -> dict[str, Any]:
    """The result of the turn, by the running fleet or here.

    Raises what `Chat.say` raises, and Unavailable when the fleet ends in the middle: then what was said is kept, and
    not said again here, as its run may have acted already.
    """
    try:
        result = ask_fleet(vault, store, watcher, "say", **asked)
    except FleetEnded as error:
        from argosy_host.cli.chat_alone import keep_alone

        keep_alone(vault, store, asked, error.run)
        raise Unavailable(
            "the running fleet ended in the middle of the turn; what you said is kept, and the next turn is done here",
            hint="mcp-host runs says how far it came",
        ) from error
    if result is None:
        from argosy_host.cli.chat_alone import say_alone

        result = say_alone(vault, store, asked, watcher)
    return result


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
