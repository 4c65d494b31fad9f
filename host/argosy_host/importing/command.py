"""``mcp-host import FROM…``: what other programs keep, into an agent's folder."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio
import click
from anyio import to_thread

from argosy_core.clock import SystemClock
from argosy_core.storage.address import Address
from argosy_core.storage.base import Store
from argosy_core.types import Role
from argosy_core.views.vault_reader import VaultReader
from argosy_host.cli.options import print_json
from argosy_host.direct import call_in, opened
from argosy_host.importing.detect import open_reader
from argosy_host.importing.foreign import Into, Reader
from argosy_host.importing.writing import Importer, Step
from argosy_host.session import find_agent

SHOWN = 20  # of each kind of outcome
IN_JSON = 10_000
WORDS = {
    "new": ("would be written", "written"),
    "grown": ("would be continued", "continued"),
    "same": ("are there already", "were there already"),
    "changed": ("changed since they were imported: left as they are", "changed since: left as they are"),
    "left_out": ("would be left out", "left out"),
}


def import_foreign(
    sources: Sequence[Path],
    vault: Path,
    agent: str | None,
    store: Address | None,
    kind: str | None,
    into: Any,
    apply: bool,
    as_json: bool,
) -> None:
    """Import from other programs, or show what that would do."""
    reports: list[dict[str, Any]] = []
    for source in sources:
        report = anyio.run(functools.partial(run_import, source.expanduser(), vault, agent, store, kind, into, apply))
        reports.append(report)
        if not as_json:
            _show(report)
    if as_json:
        print_json({"applied": apply, "sources": reports})
    elif not apply and any(report["counts"].get("new") or report["counts"].get("grown") for report in reports):
        click.echo("Nothing was written. Again with --yes to write.")


async def run_import(
    source: Path,
    vault: Path,
    agent: str | None,
    store: Address | None,
    kind: str | None,
    into: Into | None,
    apply: bool,
) -> dict[str, Any]:
    """Import one source; the report that ``--json`` prints. Raises ArgosyError when it cannot be read."""
    reader = await to_thread.run_sync(open_reader, source, kind)
    async with opened(vault, store) as found:
        view = await to_thread.run_sync(lambda: find_agent(VaultReader(found.files), agent))
        importer = Importer(found, view.name, SystemClock(), reader, into or reader.into, apply=apply)
        counts: Counter[str] = Counter()
        kinds: Counter[str] = Counter()
        steps: list[Step] = []
        async for step in importer.steps():
            counts[step.action] += 1
            if step.action in ("new", "grown"):
                kinds[step.kind] += 1
            if len(steps) < IN_JSON:
                steps.append(step)
        if apply and kinds:
            await _tell_journal(found, view.name, reader, source, kinds)
    return {
        "source": str(source),
        "kind": reader.kind,
        "agent": view.name,
        "applied": apply,
        "counts": dict(counts),
        "steps": [
            {"action": s.action, "kind": s.kind, "what": s.what, "path": s.path, "why": s.why or None} for s in steps
        ],
    }


async def _tell_journal(store: Store, agent: str, reader: Reader, source: Path, kinds: Counter[str]) -> None:
    """A line in the agent's journal: what it knows since today, and from where."""
    what = ", ".join(f"{count} {_plural(kind, count)}" for kind, count in sorted(kinds.items()))
    text = f"Imported {what} from {reader.kind} ({source.name})."
    outcome = await call_in(
        store, "journal", "journal_append", {"text": text, "tags": ["import"]}, agent=agent, role=Role.OPERATOR
    )
    if outcome.is_error:
        raise outcome.error()


def _plural(kind: str, count: int) -> str:
    word = {"wiki": "wiki page"}.get(kind, kind)
    return word if count == 1 else f"{word}s"


def _show(report: dict[str, Any]) -> None:
    click.echo(f"{report['source']}: {report['kind']} → {report['agent']}")
    for action, words in WORDS.items():
        count = report["counts"].get(action, 0)
        if not count:
            continue
        click.echo(f"  {count} {words[report['applied']]}")
        shown = [step for step in report["steps"] if step["action"] == action][:SHOWN]
        for step in shown if action != "same" else ():
            place = f" → {step['path']}" if step["path"] else ""
            why = f" ({step['why']})" if step["why"] else ""
            click.echo(f"    {' '.join(step['what'].split())[:100]}{place}{why}")
        if count > SHOWN and action != "same":
            click.echo(f"    … and {count - SHOWN} more")
