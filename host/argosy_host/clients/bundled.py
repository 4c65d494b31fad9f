"""The program of the ``.mcpb`` bundle: serves the whole fleet on the folder that a person chose in the client."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from argosy_host.cli import run_cli


def main() -> None:
    """Serve the vault in ``ARGOSY_VAULT`` for the agent in ``ARGOSY_AGENT`` (neither need be set)."""
    sys.exit(run(os.environ))


def run(environ: Mapping[str, str]) -> int:
    """As `main`; returns the exit code. A folder that is empty or not there becomes a vault first."""
    vault = Path(_said(environ, "ARGOSY_VAULT") or "~/vault").expanduser()
    agent = _said(environ, "ARGOSY_AGENT")
    if not vault.exists() or (vault.is_dir() and not any(vault.iterdir())):
        with contextlib.redirect_stdout(sys.stderr):  # stdout is the client's
            code = run_cli(["init", str(vault)])
        if code:
            return code
    return run_cli(["serve", "--vault", str(vault), *(["--agent", agent] if agent else [])])


def _said(environ: Mapping[str, str], name: str) -> str:
    text = environ.get(name, "").strip()
    return "" if text.startswith("${") else text  # a client leaves the placeholder of what was not filled in
