"""``mcp-host export``, ``mcp-host import --from`` and ``mcp-host verify``: a whole vault moves, and is proved."""

from __future__ import annotations

import functools
import sys
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import anyio
import click
from anyio import to_thread

from argosy_core.errors import Conflict, InvalidArgument, NotFound
from argosy_core.storage.address import FILES, Address
from argosy_core.storage.base import Archive, Store
from argosy_core.storage.bundles import BundleWriter, is_bundle, open_bundle
from argosy_core.storage.moving import Moved, compare, move
from argosy_core.storage.opening import open_store, parsed
from argosy_core.types import Role
from argosy_host.cli.options import json_option, print_json, store_option, vault_option
from argosy_host.direct import call_in, opened
from argosy_host.runtime import find_up

FOLDER = "files:"
TELL_EVERY = 500


@click.command()
@click.option("--to", "target", required=True, metavar="URL", help="files:PATH, a store's URL, or a .tar.gz or .zip.")
@vault_option
@store_option
@json_option
def export(target: str, vault: Path, store: Address | None, as_json: bool) -> None:
    """Copy the whole vault, byte for byte, to URL. Nothing there is overwritten."""
    _check_down(vault)
    if is_bundle(target):
        _check_outside(bundle_path(target), vault)
    elif target.startswith("sqlite:"):
        _check_outside(Path(parsed(_split(target, vault)[1].store)[1]), vault)
    moved = anyio.run(functools.partial(_export, target, vault, store))
    _show(moved, f"exported to {Address(target).shown}", as_json)


def import_vault(source: str, vault: Path, store: Address | None, as_json: bool) -> None:
    """Copy a whole vault from *source* into *vault*, which is made when it is not there."""
    _check_down(vault)
    moved = anyio.run(functools.partial(_import, source, vault, store))
    _show(moved, f"imported into {vault}", as_json)


@click.command()
@vault_option
@store_option
@json_option
def verify(vault: Path, store: Address | None, as_json: bool) -> None:
    """Check every chain of the log, and that every item can be read. Exit code 1 when something is wrong."""
    report = anyio.run(functools.partial(_verify, vault, store))
    if as_json:
        print_json(report)
    else:
        for found in report["findings"]:
            place = f"{found['stream']}/{found['writer']} {found['seq']}" if found["writer"] else found["stream"]
            click.echo(f"{found['kind']}: {place} in {found['file']}: {found['detail']}")
        state = "whole" if report["ok"] else f"{len(report['findings']) + report['left_out']} findings"
        click.echo(f"{report['entries']} entries, {report['unchained']} lines of older systems: {state}")
    sys.exit(0 if report["ok"] else 1)


def _check_down(vault: Path) -> None:
    found = find_up(vault)
    if found is not None:
        raise Conflict(f"the fleet of this vault is up: process {found[1].pid}", hint="mcp-host down, then again")


async def _export(target: str, vault: Path, store: Address | None) -> Moved:
    async with opened(vault, store) as source:
        if is_bundle(target):
            return await _pack(source, bundle_path(target))
        async with _made(target, vault) as made:
            return await _moved(source.archive, made.archive)


async def _pack(source: Store, path: Path) -> Moved:
    writer = await to_thread.run_sync(BundleWriter, path)
    try:
        moved = await move(source.archive, writer, _teller())
        await to_thread.run_sync(writer.finish)
    except BaseException:
        writer.discard()
        raise
    reader = await to_thread.run_sync(open_bundle, path)
    try:
        await compare(source.archive, reader)
    finally:
        reader.close()
    return moved


async def _import(source: str, vault: Path, store: Address | None) -> Moved:
    # The source first: a vault is not begun for what cannot be read.
    async with _source(source, vault) as found:
        target = await to_thread.run_sync(lambda: open_store(vault, store, create=True))
        try:
            return await _moved(found, target.archive)
        finally:
            await to_thread.run_sync(target.close)


@asynccontextmanager
async def _source(url: str, vault: Path) -> AsyncGenerator[Archive]:
    if is_bundle(url):
        reader = await to_thread.run_sync(open_bundle, bundle_path(url))
        try:
            yield reader
        finally:
            reader.close()
        return
    folder, store = _split(url, vault)
    if store.kind == FILES and not await to_thread.run_sync(folder.is_dir):
        raise NotFound(f"there is no vault at {folder}", hint="name the folder of a vault: files:PATH")
    # A store's URL says all; this folder only keeps what is rebuilt, and may not be there yet.
    with tempfile.TemporaryDirectory(prefix="argosy-") as state:
        async with opened(folder if store.kind == FILES else Path(state), store) as found:
            yield found.archive


async def _moved(source: Archive, target: Archive) -> Moved:
    moved = await move(source, target, _teller())
    await compare(source, target)
    return moved


@asynccontextmanager
async def _made(url: str, vault: Path) -> AsyncGenerator[Store]:
    """The store of *url*, made when it is not there; over another substrate *vault* keeps the local state."""
    folder, store = _split(url, vault)
    found = await to_thread.run_sync(lambda: open_store(folder, store, create=True))
    try:
        yield found
    finally:
        await to_thread.run_sync(found.close)


def _split(url: str, vault: Path) -> tuple[Path, Address]:
    """The local folder and the store that *url* names. Raises InvalidArgument."""
    if url.startswith(FOLDER):
        folder = Path(url.removeprefix(FOLDER)).expanduser()
        if not url.removeprefix(FOLDER):
            raise InvalidArgument("files: needs a folder", hint="files:PATH")
        if folder.resolve() == vault.expanduser().resolve():
            raise InvalidArgument("that is this vault", hint="name another place")
        return folder, Address()
    if url.startswith("sqlite:///") and not url.startswith("sqlite:////"):
        # Relative to where the command stands: the other end of a move is in no vault.
        return vault, Address(f"sqlite:///{Path(url.removeprefix('sqlite:///')).absolute()}")
    if "://" not in url:
        raise InvalidArgument(
            f"not a place for a vault: {url[:80]!r}", hint="files:PATH, sqlite:///PATH, a .tar.gz or a .zip"
        )
    return vault, Address(url)


def bundle_path(text: str) -> Path:
    """The bundle that the command line names."""
    return Path(text).expanduser().absolute()


def _check_outside(place: Path, vault: Path) -> None:
    """Raises InvalidArgument when a copy of *vault* would lie in it, and so be copied itself."""
    if place.resolve().is_relative_to(vault.expanduser().resolve()):
        raise InvalidArgument("the copy would lie in the vault itself", hint="name a place outside of it")


def _teller() -> Any:
    def tell(done: int, total: int) -> None:
        if sys.stderr.isatty() and (done % TELL_EVERY == 0 or done == total):
            click.echo(f"\r{done} of {total} files", err=True, nl=done == total)

    return tell


def _show(moved: Moved, what: str, as_json: bool) -> None:
    if as_json:
        print_json(asdict(moved))
    else:
        sizes = f"{moved.files} files, {moved.bytes:,} bytes, {moved.written} of them new"
        click.echo(f"{sizes}: {what}; every byte compared")


async def _verify(vault: Path, store: Address | None) -> dict[str, Any]:
    async with opened(vault, store) as found:
        outcome = await call_in(found, "log", "log_verify", {}, agent=None, role=Role.OPERATOR)
        if outcome.is_error or outcome.structured is None:
            raise outcome.error()
        report = dict(outcome.structured)
        problems = [
            {"kind": "altered", "stream": "_fleet", "writer": "", "seq": 0, "file": f"the item {item.id}",
             "detail": item.problem}
            for item in await found.items.problems()
        ]  # fmt: skip
        report["findings"] = [*report["findings"], *problems]
        report["ok"] = report["ok"] and not problems
        return report
