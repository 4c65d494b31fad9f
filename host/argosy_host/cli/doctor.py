"""``mcp-host doctor``: what is wrong with a vault, file by file, each with a fix."""

from __future__ import annotations

import functools
import sys
from pathlib import Path
from typing import Any

import anyio
import click
from anyio import to_thread

from argosy_core.errors import ArgosyError
from argosy_core.fleet import packaged
from argosy_core.storage.address import Address
from argosy_core.storage.base import Store
from argosy_core.types import Role
from argosy_core.views.agents import list_agents
from argosy_core.views.vault_reader import VaultReader
from argosy_host.cli.options import json_option, print_json, store_option, vault_option
from argosy_host.direct import call_in, opened
from argosy_host.foreign import describe, named_servers
from argosy_host.notices import KEY, all_notices
from argosy_host.schema_checks import schema_findings
from argosy_host.trust import Approvals, state_folder

Finding = dict[str, Any]
COLOURS = {"pass": "green", "warn": "yellow", "fail": "red"}


@click.command()
@vault_option
@store_option
@json_option
def doctor(vault: Path, store: Address | None, as_json: bool) -> None:
    """Check a vault and everything that would run on it. Changes nothing. Exit code 1 when something fails."""
    findings = anyio.run(functools.partial(examine, vault, store))
    worst = "fail" if any(f["status"] == "fail" for f in findings) else "ok"
    if as_json:
        print_json({"ok": worst == "ok", "findings": findings})
    else:
        _show(findings)
    sys.exit(0 if worst == "ok" else 1)


async def examine(vault: Path, store: Address | None) -> list[Finding]:
    """What every server's doctor and the host's own checks find."""
    async with opened(vault, store) as found:
        agents = await to_thread.run_sync(list_agents, VaultReader(found.files))
        findings: list[Finding] = []
        whose: list[str | None] = [*agents] or [None]
        for agent in whose:
            for server in packaged().servers:
                findings += await _ask(found, server.name, agent)
        findings += await to_thread.run_sync(_host_checks, found, agents)
        schemas = await schema_findings(found, agents, Approvals(state_folder()))
        findings += [{"server": "host", "agent": None, **finding.model_dump(mode="json")} for finding in schemas]
    # Servers report what belongs to the whole fleet once for each agent.
    unique = {tuple(sorted((k, str(v)) for k, v in f.items())): f for f in findings}
    return list(unique.values())


async def _ask(store: Store, server: str, agent: str | None) -> list[Finding]:
    try:
        outcome = await call_in(store, server, f"{server}_doctor", {}, agent=agent, role=Role.OPERATOR)
    except ArgosyError as error:
        return [_finding("fail", server, str(error))]
    if outcome.is_error or outcome.structured is None:
        return [_finding("fail", server, outcome.text)]
    return [{"server": server, "agent": agent, **finding} for finding in outcome.structured["findings"]]


def _host_checks(store: Store, agents: list[str]) -> list[Finding]:
    reader = VaultReader(store.files)
    found: list[Finding] = []
    if not agents:
        found.append(_finding("fail", "agents", "the vault holds no agent", fix="mcp-host init makes a vault with one"))
    found += _notices(store, reader)
    for agent in agents:
        try:
            servers = named_servers(reader, agent)
        except ArgosyError as error:
            found.append(_finding("fail", "mcp", str(error), file=f"{agent}/mcp.md"))
            continue
        found += [
            _finding(
                "warn",
                "mcp",
                f"{server.name} is off: it would run `{describe(server)}`",
                file=f"{agent}/mcp.md",
                fix=f"mcp-host approve {server.name} turns it on",
            )
            for server in servers
            if not Approvals(state_folder()).allows(store.root, server.digest)
        ]
    return found


def _notices(store: Store, reader: VaultReader) -> list[Finding]:
    """What would tell the owner of questions, and is off or cannot be understood."""
    approvals = Approvals(state_folder())
    try:
        notices = all_notices(reader)
    except ArgosyError as error:
        return [_finding("fail", KEY, error.message, file="fleet.md", fix=error.hint)]
    return [
        _finding("warn", KEY, f"nobody is told of questions: `{notice.describe()}` is off", file="fleet.md",
                 fix=f"mcp-host approve {KEY} turns it on")
        for notice in notices if not approvals.allows(store.root, notice.digest)
    ]  # fmt: skip


def _finding(status: str, check: str, message: str, *, file: str | None = None, fix: str | None = None) -> Finding:
    return {
        "server": "host",
        "agent": None,
        "status": status,
        "check": check,
        "message": message,
        "file": file,
        "line": None,
        "fix": fix,
    }


def _said(finding: Finding) -> str:
    """Where it is and what it is; the place once, though many a message names it too."""
    file, line, message = finding["file"], finding["line"], finding["message"]
    if not file:
        return str(message)
    own = message.removeprefix(f"{file} ").removeprefix(f"line {line}: ")
    return f"{file}:{line or 1}: {own}"


def _show(findings: list[Finding]) -> None:
    order = {"fail": 0, "warn": 1, "pass": 2}
    for finding in sorted(findings, key=lambda f: (f["file"] or "", order[f["status"]], f["check"])):
        label = click.style(f"{finding['status'].upper():4}", fg=COLOURS[finding["status"]])
        click.echo(f"{label} {finding['server']}: {_said(finding)}")
        if finding["fix"] and finding["status"] != "pass":
            click.echo(f"       → {finding['fix']}")
    counts = {status: sum(f["status"] == status for f in findings) for status in order}
    click.echo(f"{counts['fail']} failed, {counts['warn']} to look at, {counts['pass']} fine")
