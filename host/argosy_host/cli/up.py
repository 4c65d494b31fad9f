"""``mcp-host up``, ``down`` and ``status``: the fleet of a vault as one process in the background."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from argosy_core.clock import SystemClock
from argosy_core.errors import Conflict, NotFound, Unavailable
from argosy_core.storage.address import Address
from argosy_host.cli.options import json_option, print_json, store_option, vault_option
from argosy_host.relay import NotRelayed, connect, hello_for
from argosy_host.runtime import Facts, Place, find_up, hold_lock, make_private, place_of

START_SECONDS = 30.0
STOP_SECONDS = 30.0
POLL_SECONDS = 0.05
LOG_TAIL_LINES = 5


@click.command()
@vault_option
@store_option
@click.option("--workers", default=2, show_default=True, type=click.IntRange(0, 20), help="Runs at the same time.")
@click.option("--http", "address", default="127.0.0.1:0", show_default=True, help="Where health and metrics answer.")
@click.option("--model", help="The model of its runs, as in run.")
@click.option("--foreground", is_flag=True, help="Stay in this terminal.")
def up(vault: Path, store: Address | None, workers: int, address: str, model: str | None, foreground: bool) -> None:
    """Keep the fleet, its scheduler and its workers running in the background."""
    if not vault.expanduser().is_dir():
        raise NotFound(f"there is no vault at {vault}", hint=f"create one with: mcp-host init {vault}")
    found = find_up(vault)
    if found is not None:
        raise _already(found[1])
    if foreground:
        _stay(vault, store, workers, address, model)
        return
    flags = ["--workers", str(workers), "--http", address, *(["--model", model] if model else [])]
    facts = _start(vault, flags, {} if store is None else store.as_environment())
    click.echo(f"up: process {facts.pid}, {facts.http}, log {place_of(vault).log}")


def _already(facts: Facts) -> Conflict:
    return Conflict(
        f"the fleet of this vault is up already: process {facts.pid}", hint="mcp-host status, or mcp-host down"
    )


def _stay(vault: Path, store: Address | None, workers: int, address: str, model: str | None) -> None:
    import logging

    import anyio

    from argosy_host.up import Up, UpOptions

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("watchfiles").setLevel(logging.WARNING)
    place = place_of(vault)
    lock = hold_lock(place)
    if lock is None:
        raise Conflict("the fleet of this vault is up already", hint="mcp-host status, or mcp-host down")
    try:
        anyio.run(functools.partial(_run, Up, UpOptions(vault, store, workers, address, model), place))
    finally:
        os.close(lock)


async def _run(make: Any, options: Any, place: Place) -> None:
    await make(options, place).run()


def _start(vault: Path, flags: list[str], where: Mapping[str, str]) -> Facts:
    place = place_of(vault)
    make_private(place)
    line = [sys.executable, "-P", "-m", "argosy_host", "up", "--foreground", "--vault", str(vault.resolve()), *flags]
    with place.log.open("ab") as log:
        process = subprocess.Popen(  # noqa: S603 - our own command line
            line,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd="/",
            env={**os.environ, **where},
        )
    clock = SystemClock()
    deadline = clock.monotonic() + START_SECONDS
    while clock.monotonic() < deadline:
        found = find_up(vault)
        if found is not None and found[1].pid == process.pid:
            return found[1]
        if process.poll() is not None:
            break
        clock.pause(POLL_SECONDS)
    process.terminate()
    tail = " | ".join(place.log.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_TAIL_LINES:])
    raise Unavailable(f"the fleet did not start: {tail}", hint=f"see {place.log}")


@click.command()
@vault_option
def down(vault: Path) -> None:
    """Stop the running fleet; runs in hand get some seconds to end."""
    found = find_up(vault)
    if found is None:
        click.echo("The fleet of this vault is not up.")
        return
    place, facts = found
    try:
        connect(place, hello_for(facts, want="stop")).close()
    except NotRelayed as exc:
        raise Unavailable(f"process {facts.pid} does not answer: {exc}", hint=f"kill {facts.pid}") from exc
    clock = SystemClock()
    deadline = clock.monotonic() + STOP_SECONDS
    while find_up(vault) is not None:
        if clock.monotonic() > deadline:
            raise Unavailable(f"process {facts.pid} is still ending", hint=f"wait, or kill {facts.pid}")
        clock.pause(POLL_SECONDS)
    click.echo("down")


@click.command()
@vault_option
@json_option
def status(vault: Path, as_json: bool) -> None:
    """Say whether the fleet of this vault is up, and what it does. Exit code 1 when it is not."""
    found = find_up(vault)
    if found is None:
        _print({"up": False}, as_json, "The fleet of this vault is not up.")
        sys.exit(1)
    place, facts = found
    try:
        with connect(place, hello_for(facts, want="status")) as door:
            answer: dict[str, Any] = json.loads(b"".join(iter(lambda: door.recv(1 << 16), b"")))
    except (NotRelayed, ValueError, OSError) as exc:
        raise Unavailable(f"process {facts.pid} does not answer: {exc}", hint=f"see {place.log}") from exc
    text = (
        f"up: process {facts.pid} since {facts.started_at}, {facts.http}\n"
        f"{answer['clients']} clients, {answer['workers']} workers, {len(answer['running'])} running, "
        f"{answer['done']} done, {answer['failed']} failed"
    )
    _print({"up": True, "http": facts.http, "started_at": facts.started_at, **answer}, as_json, text)


def _print(value: dict[str, Any], as_json: bool, text: str) -> None:
    if as_json:
        print_json(value)
    else:
        click.echo(text)
