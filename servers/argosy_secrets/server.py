"""Builds the secrets server."""

from __future__ import annotations

from pathlib import Path

from argosy_core.secrets.secret_store import Surroundings, open_secrets
from argosy_core.serving.config import ServerConfig
from argosy_core.serving.server import ArgosyServer
from argosy_core.views.vault_reader import VaultReader
from argosy_secrets.asking import Asking
from argosy_secrets.keeper import Keeper
from argosy_secrets.page import PAGE_SECONDS
from argosy_secrets.tools import build_tools


def create(
    config: ServerConfig,
    *,
    folder: Path | None = None,
    surroundings: Surroundings | None = None,
    page_seconds: float = PAGE_SECONDS,
) -> ArgosyServer:
    """The secrets server for *config*; *folder* is where the encrypted file lies, by default the user's own."""
    reader = VaultReader(config.store.files)
    store = open_secrets(reader, folder, surroundings, clock=config.clock, ids=config.ids)
    keeper = Keeper(config, store)
    asking = Asking(keeper, config.ids, page_seconds)
    return ArgosyServer(
        "secrets",
        config,
        keeper,
        build_tools(keeper, asking),
        title="Secrets",
        instructions="Names of secrets, and where each may go. Write {{secret:NAME}} in an argument to use one.",
        background=asking.close,
    )
