"""``mcp-host import``: what other programs keep, into an agent's folder; or a whole vault from another place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from argosy_core.errors import InvalidArgument
from argosy_core.storage.address import Address
from argosy_host.cli.options import agent_option, json_option, store_option, vault_option
from argosy_host.importing import KINDS


@click.command("import")
@click.argument("sources", nargs=-1, type=click.Path(path_type=Path), metavar="[FROM]…")
@click.option("--from", "url", metavar="URL", help="A whole vault: files:PATH, a store's URL, or a .tar.gz or .zip.")
@vault_option
@agent_option
@store_option
@click.option("--kind", type=click.Choice(KINDS), help="What FROM is. Default: looked at and told.")
@click.option("--into", type=click.Choice(["notes", "wiki"]), help="Where pages go. Default: as fits their kind.")
@click.option("--yes", "--apply", "apply", is_flag=True, help="Write. Without it only what would be done is shown.")
@json_option
def import_(
    sources: tuple[Path, ...],
    url: str | None,
    vault: Path,
    agent: str | None,
    store: Address | None,
    kind: str | None,
    into: Any,
    apply: bool,
    as_json: bool,
) -> None:
    """Import from other programs: a basic-memory folder, server-memory's file, an Obsidian vault, an export of ChatGPT
    or Claude. Shows first what it would do; --yes does it.

    With --from, copy a whole vault, byte for byte; one that is not there is made. Nothing is ever overwritten, and
    importing again adds only what is new.
    """
    if bool(sources) == (url is not None):
        raise InvalidArgument("name either FROM or --from URL", hint="FROM is another program's, --from a whole vault")
    if url is not None:
        from argosy_host.cli.transfer import import_vault

        import_vault(url, vault, store, as_json)
        return
    from argosy_host.importing.command import import_foreign

    import_foreign(sources, vault, agent, store, kind, into, apply, as_json)
