"""``mcp-host init``: a vault from the packaged template."""

from __future__ import annotations

import shutil
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

import click

from argosy_core.errors import AlreadyExists, NotFound
from argosy_core.os_errors import os_errors

TEMPLATES = {"default": "vault-template"}


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--template", default="default", show_default=True, help="Which template to copy.")
def init(path: Path, template: str) -> None:
    """Create a vault at PATH: a folder of Markdown with one agent in it."""
    source = _template(template)
    path = path.expanduser()
    with os_errors(str(path)):
        is_taken = path.exists() and (not path.is_dir() or any(path.iterdir()))
    if is_taken:
        raise AlreadyExists(f"{path} exists and is not empty", hint="choose a new folder; nothing was changed")
    with os_errors(str(path)):
        _copy(source, path)
    agents = sorted(child.name for child in path.iterdir() if (child / "model.md").is_file())
    click.echo(f"Created a vault at {path} with the agent {', '.join(agents)}.")
    click.echo(f'Try:  mcp-host run {agents[0]} "What should I focus on this week?" --vault {path}')


def _template(name: str) -> Traversable:
    if name not in TEMPLATES:
        raise NotFound(f"there is no template {name!r}", hint=f"templates: {', '.join(sorted(TEMPLATES))}")
    packaged = resources.files("argosy_core") / "_data" / TEMPLATES[name]
    if packaged.is_dir():
        return packaged
    return Path(__file__).resolve().parents[3] / TEMPLATES[name]  # a checkout


def _copy(source: Traversable, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for child in source.iterdir():
        if child.is_dir():
            _copy(child, target / child.name)
        else:
            with child.open("rb") as old, (target / child.name).open("xb") as new:
                shutil.copyfileobj(old, new)
