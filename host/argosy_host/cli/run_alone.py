"""A run in this process: what ``mcp-host run`` does while no fleet is up."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anyio

from argosy_core.storage.address import Address
from argosy_core.types import LOCAL_PRINCIPAL
from argosy_host.progress import Progress
from argosy_host.remote_run import ended
from argosy_host.runs import Limits, Origin
from argosy_host.session import RunOptions, run_task


def run_alone(vault: Path, store: Address | None, asked: Mapping[str, Any], watcher: Progress) -> dict[str, Any]:
    """The result of the run that *asked* describes. Raises what `run_task` raises."""
    return ended(anyio.run(functools.partial(run_task, options_for(vault, store, asked), watcher)))


def options_for(vault: Path, store: Address | None, asked: Mapping[str, Any]) -> RunOptions:
    """What the command line asked for, as a person's run."""
    return RunOptions(
        vault=vault,
        agent=asked["agent"],
        task=asked["task"],
        model=asked["model"],
        store=store,
        profile=asked["profile"],
        origin=Origin("manual", principal=LOCAL_PRINCIPAL),
        limits=Limits(iterations=asked["max_turns"], active_seconds=asked["max_seconds"]),
    )
