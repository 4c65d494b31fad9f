"""Options that several commands share."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

_Command = TypeVar("_Command", bound=Callable[..., Any])


def vault_option(command: _Command) -> _Command:
    """``--vault``: default ``$ARGOSY_VAULT``, else ``~/vault``."""
    return click.option(
        "--vault",
        type=click.Path(path_type=Path),
        default=lambda: Path(os.environ.get("ARGOSY_VAULT") or Path.home() / "vault"),
        help="The vault's folder. Default: $ARGOSY_VAULT, else ~/vault.",
    )(command)


def store_option(command: _Command) -> _Command:
    """``--store``: the substrate."""
    return click.option(
        "--store",
        default="files",
        show_default=True,
        help="Where the vault is kept: files, or sqlite:///PATH (from the vault's folder; //// for any other).",
    )(command)


def json_option(command: _Command) -> _Command:
    """``--json``: one JSON object on stdout, nothing else."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")(command)


def role_option(command: _Command) -> _Command:
    """``--role``: agent or operator."""
    return click.option(
        "--role",
        type=click.Choice(["agent", "operator"]),
        default="agent",
        show_default=True,
        help="Who calls: an operator may do what agents may not.",
    )(command)


def agent_option(command: _Command) -> _Command:
    """``--agent``: whose documents."""
    return click.option("--agent", help="The agent. Default: the vault's default agent.")(command)


def print_json(value: Any) -> None:
    """*value* on stdout, readable and in the order it has."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=2))
