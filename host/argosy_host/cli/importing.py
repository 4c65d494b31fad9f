"""``mcp-host import``: a whole vault from another place."""

from __future__ import annotations

from pathlib import Path

import click

from argosy_host.cli.options import json_option, store_option, vault_option


@click.command("import")
@click.option("--from", "source", required=True, metavar="URL", help="files:PATH, a store's URL, or a .tar.gz or .zip.")
@vault_option
@store_option
@json_option
def import_(source: str, vault: Path, store: str, as_json: bool) -> None:
    """Copy a whole vault, byte for byte, from URL; a vault that is not there is made."""
    from argosy_host.cli.transfer import import_vault

    import_vault(source, vault, store, as_json)
