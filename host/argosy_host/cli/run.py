"""``mcp-host run``: one task of one agent, shown while it works.

While the vault's fleet is up, it does the run: nothing heavy may be imported before that is known.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from argosy_core.storage.address import Address
from argosy_host.cli.options import json_option, named, print_json, store_option, vault_option
from argosy_host.cli.through_fleet import ask_fleet
from argosy_host.progress import Progress

ARGUMENT_CHARS = 100
EXIT_CODES = {"ok": 0, "error": 1, "interrupted": 1, "blocked": 3, "budget": 3, "deferred": 4}


@click.command()
@click.argument("agent")
@click.argument("task")
@vault_option
@store_option
@click.option("--model", help="offline, or a model's name. Default: the agent's when there is a key, else offline.")
@click.option("--profile", type=click.Choice(["default", "full"]), default="default", help="Which tools it is shown.")
@click.option("--max-turns", default=10, show_default=True, type=click.IntRange(1, 20), help="Questions to the model.")
@click.option("--max-seconds", default=300.0, show_default=True, type=click.FloatRange(1, 3600), help="Active time.")
@json_option
def run(
    agent: str,
    task: str,
    vault: Path,
    store: Address | None,
    model: str | None,
    profile: Any,
    max_turns: int,
    max_seconds: float,
    as_json: bool,
) -> None:
    """Run AGENT on TASK: every action judged, budgeted and logged."""
    asked = {
        "agent": agent, "task": task, "model": model, "profile": profile, "max_turns": max_turns,
        "max_seconds": max_seconds,
    }  # fmt: skip
    watcher = Progress() if as_json else Terminal()
    result = ask_fleet(vault, store, watcher, "run", **asked)
    if result is None:
        from argosy_host.cli.run_alone import run_alone

        result = run_alone(vault, store, asked, watcher)
    hint = result.pop("hint")
    if as_json:
        print_json(result)
    else:
        assert isinstance(watcher, Terminal)
        watcher.close(result, hint, named(vault, store))
        if result["questions"] and sys.stdin.isatty():
            from argosy_host.cli.decide import ask_here

            ask_here(result["questions"], vault, store)
    sys.exit(EXIT_CODES[result["status"]])


class Terminal(Progress):
    """Shows a run on the terminal: what happens on stderr, the answer on stdout."""

    def __init__(self) -> None:
        self._live = sys.stdout.isatty()
        self._streamed = ""
        self._cost = 0.0

    def started(self, run: str, agent: str, model: str, tools: int) -> None:
        kind = " (built in: quotes your vault, no language model)" if model == "offline" else ""
        self._line(f"{agent} · {model}{kind} · {tools} tools · {run}")

    def read(self, names: list[str], chars: int) -> None:
        self._line(f"read {len(names)} parts, {chars:,} characters: {', '.join(names)}")

    def text(self, text: str) -> None:
        self._streamed += text
        if self._live:
            click.echo(text, nl=False)

    def thinking(self, iteration: int) -> None:
        if self._live and self._streamed:
            click.echo()
        self._streamed = ""
        if iteration > 1:
            self._line(f"turn {iteration}")

    def calling(self, tool: str, arguments: Mapping[str, Any]) -> None:
        shown = json.dumps(arguments, ensure_ascii=False)
        self._line(f"→ {tool} {shown[:ARGUMENT_CHARS]}{'…' if len(shown) > ARGUMENT_CHARS else ''}")

    def judged(self, tool: str, verdict: str, reason: str) -> None:
        self._line(f"  judged: {verdict} — {reason}", "green" if verdict == "allow" else "yellow")

    def returned(self, tool: str, milliseconds: float, is_error: bool, summary: str) -> None:
        if is_error:
            self._line(f"← {tool}: {summary} ({milliseconds:.0f} ms)", "red")
        else:
            self._line(f"← {tool} ({milliseconds:.0f} ms)")

    def spent(self, input_tokens: int, output_tokens: int, cost_usd: float) -> None:
        self._line(f"  {input_tokens:,} + {output_tokens:,} tokens, ${cost_usd:.4f}")

    def paused(self) -> None:
        self._line("paused", "yellow")

    def problem(self, text: str) -> None:
        self._line(f"! {text}", "yellow")

    def close(self, result: Mapping[str, Any], hint: str | None, where: str) -> None:
        """The answer, and the line that says how to see more; *where* are the options that name the vault."""
        if not (self._live and self._streamed.strip() == result["text"].strip()):
            click.echo(result["text"])
        else:
            click.echo()
        if result["error"] is not None:
            self._line(f"{result['error']['code']}: {hint}", "red")
        if result["questions"]:
            self._line("waiting for you; an approved call runs at the start of the next run:")
        for question in result["questions"]:
            self._line(f"  mcp-host decide {question} approve {where}")
        self._line(
            f"{result['run']} · {result['status']} · ${result['cost_usd']:.4f} · mcp-host trace {result['run']} {where}"
        )

    def _line(self, text: str, colour: str | None = None) -> None:
        click.echo(click.style(text, fg=colour, dim=colour is None), err=True)
