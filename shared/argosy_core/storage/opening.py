"""Which substrate an address names, and opening it.

``files`` is the vault's folder itself. ``sqlite:///PATH`` is a database: as in other programs' URLs the third slash
only ends the empty host, so ``sqlite:///fleet.sqlite`` is relative and ``sqlite:////srv/fleet.sqlite`` absolute. A
relative path is one from the vault's folder, since whoever starts a server may stand anywhere.
``postgresql://user:password@host/database?schema=name`` is a schema of a PostgreSQL database. Beside any of them the
bell, the leases or both may be in a Redis: ``redis://host:6379/0?prefix=name``.
"""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from argosy_core.clock import Clock, SystemClock
from argosy_core.errors import Corrupted, InvalidArgument
from argosy_core.ids import Ids, SystemIds
from argosy_core.storage.address import FILES, VARIABLES, Address
from argosy_core.storage.base import Store

FLEET_FILE = "fleet.md"
_SAYS_WHERE = re.compile(rf"^({'|'.join(VARIABLES)})\s*:", re.MULTILINE)
SQLITE = "sqlite"
POSTGRESQL = ("postgresql", "postgres")
KNOWN = "files, sqlite:///PATH, postgresql://USER@HOST/DATABASE?schema=NAME"


def open_store(
    vault: Path | str,
    address: Address | str | None = None,
    *,
    clock: Clock | None = None,
    ids: Ids | None = None,
    create: bool = False,
) -> Store:
    """The store at *address* (a text names a store alone) for the vault at *vault*; None is what its fleet.md says.

    With *create* a folder and a database are made where there are none, for commands that fill them. Raises NotFound
    when the vault or the database is not there, InvalidArgument for a store this version does not have and for a
    database that it cannot use, Conflict for one that a newer version made, Corrupted, PermissionDenied, Unavailable.
    """
    clock, ids = clock or SystemClock(), ids or SystemIds()
    if address is None:
        address = address_of(vault)
    elif isinstance(address, str):
        address = Address(address)
    opened = _open(vault, address.store, clock, ids, create=create)
    if address.bell is None and address.leases is None:
        return opened
    from argosy_core.storage.redis.joining import with_redis

    return with_redis(opened, address.bell, address.leases, clock, ids)


def address_of(vault: Path | str) -> Address:
    """What the vault's own ``fleet.md`` says under store, bell and leases; files when it says nothing of it.

    Raises Corrupted when the file is there and cannot be understood: a vault in a database must not be taken for empty.
    """
    from argosy_core.frontmatter import parse

    try:
        text = (Path(vault).expanduser() / FLEET_FILE).read_bytes().decode("utf-8", "replace")
    except (FileNotFoundError, NotADirectoryError):
        return Address()
    except OSError as error:
        raise Corrupted(f"{FLEET_FILE} cannot be read", hint="mend it, or name it with --store") from error
    page = parse(text)
    found = {name: page.fields.get(name) for name in VARIABLES}
    wrong = [name for name, value in found.items() if value is not None and not isinstance(value, str)]
    if wrong or (page.problem and _SAYS_WHERE.search(text)):
        raise Corrupted(f"{FLEET_FILE} does not say where the vault is kept", hint="store: sqlite:///fleet.sqlite")
    return Address(found["store"] or FILES, found["bell"], found["leases"])


def _open(vault: Path | str, store: str, clock: Clock, ids: Ids, *, create: bool) -> Store:
    if create:
        Path(vault).expanduser().mkdir(parents=True, exist_ok=True)
    if store == FILES:
        from argosy_core.storage.files.store import FileStore
        from argosy_core.vault import Vault

        return FileStore(Vault(vault, clock=clock, ids=ids), clock, ids)
    scheme, path = parsed(store)
    if scheme == SQLITE:
        from argosy_core.storage.sqlite.store import SqliteStore

        root = Path(vault).expanduser()
        return SqliteStore(root / path, root, clock, ids, create=create)
    if scheme in POSTGRESQL:
        from argosy_core.storage.postgres.store import PostgresStore

        return PostgresStore(store, Path(vault), clock, ids)
    raise InvalidArgument(f"unknown store {scheme[:40]!r}", hint=f"this version has: {KNOWN}")


def parsed(store: str) -> tuple[str, str]:
    """Scheme and path of a store's URL; the path is relative unless it begins with a slash. Raises InvalidArgument."""
    try:
        url = urlsplit(store)
    except ValueError as error:
        raise InvalidArgument("the store is no URL", hint=f"this version has: {KNOWN}") from error
    if url.scheme != SQLITE:
        return url.scheme or store, ""
    path = unquote(url.path.removeprefix("/"))
    if url.netloc or url.query or url.fragment or not path or "\0" in path:
        hint = "sqlite:///fleet.sqlite is in the vault's folder, sqlite:////srv/fleet.sqlite is not"
        raise InvalidArgument("a SQLite store is named by a path alone", hint=hint)
    return url.scheme, path


def sqlite_address(database: Path) -> str:
    """What `open_store` takes to open *database*, whatever the vault."""
    return f"{SQLITE}:///{quote(str(database.absolute()))}"
