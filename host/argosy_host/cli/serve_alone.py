"""Serving in this process: one server, some, or the whole fleet as one gateway."""

from __future__ import annotations

import base64
import binascii
import functools
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import click

from argosy_core.clock import Clock
from argosy_core.errors import ArgosyError, InvalidArgument
from argosy_core.fleet import packaged
from argosy_core.serving.config import Profile, ServerConfig, open_store
from argosy_core.storage.address import Address
from argosy_core.types import Role
from argosy_host.collector import settle
from argosy_host.compose import HOST_KEY_VARIABLE, load_server
from argosy_host.tokens import BearerCheck, Tokens
from argosy_host.trust import state_folder

if TYPE_CHECKING:
    from argosy_core.serving.admission import Admission


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """What the command line asked for; *servers* empty is the whole fleet."""

    servers: tuple[str, ...]
    vault: Path
    agent: str | None
    role: str
    store: Address | None
    address: str | None
    issuer: str | None
    profile: Profile
    log_level: Any


def serve_alone(options: ServeOptions) -> None:
    """Serve until the client leaves or the process is interrupted.

    Raises NotFound (vault, server), InvalidArgument (store, address, issuer), PermissionDenied (an address that others
    can reach).
    """
    if options.issuer is not None:
        from argosy_host.issuer.places import check_issuer

        check_issuer(options.issuer)
    logging.basicConfig(level=options.log_level, format="%(levelname)s %(name)s: %(message)s")
    opened = open_store(options.vault, options.store)
    config = ServerConfig(
        store=opened,
        agent=options.agent or _default_agent(opened),
        role=Role(options.role),
        profile=options.profile,
        host_key=_host_key(),
        log_level=options.log_level,
    )
    names = tuple(dict.fromkeys(options.servers or (server.name for server in packaged().servers)))
    main, each = _alone(names[0], config) if len(names) == 1 else _gateway(names, config, options.address is not None)
    settle()
    try:
        anyio.run(
            functools.partial(_serve, main, each, options.address, _admission(options, opened.root, config.clock))
        )
    finally:
        opened.close()


def _default_agent(store: Any) -> str | None:
    from argosy_core.views.agents import default_agent
    from argosy_core.views.vault_reader import VaultReader

    try:
        return default_agent(VaultReader(store.files))
    except ArgosyError:
        return None  # a tool that needs one says so, with the agents there are


def _host_key() -> bytes | None:
    text = os.environ.get(HOST_KEY_VARIABLE)
    if text is None:
        return None
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as exc:
        raise InvalidArgument(f"{HOST_KEY_VARIABLE} is not base64", hint="the host sets it; leave it unset") from exc


def _admission(options: ServeOptions, vault: Path, clock: Clock) -> Admission | None:
    """Who is let in over HTTP; None is everybody, where the vault never had a token and no issuer is named."""
    if options.address is None:
        return None
    tokens = Tokens(state_folder(), vault, clock)
    own = BearerCheck(tokens)
    if options.issuer is not None:
        from argosy_host.issuer.check import admission

        return admission(own, options.issuer, clock)
    if not tokens.listed():
        return None
    from argosy_core.serving.admission import Admission

    return Admission(lambda _: own)


async def _serve(main: Any, each: Mapping[str, Any], address: str | None, admission: Admission | None) -> None:
    if address is None:
        from argosy_core.serving.stdio import serve_stdio

        await serve_stdio(main)
        return
    from argosy_core.serving.http import parse_address, serve_http

    told = " to those with a token" if admission else ""
    await serve_http(
        main, each, parse_address(address), lambda url: click.echo(f"serving {url}{told}", err=True), admission
    )


def _alone(name: str, config: ServerConfig) -> tuple[Any, Mapping[str, Any]]:
    return load_server(name, config), {}


def _gateway(names: Sequence[str], config: ServerConfig, over_http: bool) -> tuple[Any, Mapping[str, Any]]:
    """The servers as one, and for HTTP each of them besides; all of them behind the gate."""
    from argosy_core.serving.identity import RunTokens
    from argosy_host.gateway import build_gateway, parts_alone

    tokens = RunTokens(config.clock)
    gateway = build_gateway(names, config, tokens)
    each = parts_alone(gateway, config, tokens) if over_http else {}
    return gateway.server, {name: part.server for name, part in each.items()}
