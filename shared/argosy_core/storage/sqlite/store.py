"""The SQLite substrate as one store."""

from __future__ import annotations

from pathlib import Path

from argosy_core.clock import Clock
from argosy_core.errors import NotFound
from argosy_core.ids import Ids
from argosy_core.storage.address import Address
from argosy_core.storage.base import ANY, Content, Expect
from argosy_core.storage.chain_appends import asked
from argosy_core.storage.logged import Telling
from argosy_core.storage.open_store import OpenStore, state_folder
from argosy_core.storage.opening import sqlite_address
from argosy_core.storage.sqlite.archive import SqliteArchive
from argosy_core.storage.sqlite.bell import SqliteBell
from argosy_core.storage.sqlite.chain import SqliteChain
from argosy_core.storage.sqlite.database import Database, Transaction
from argosy_core.storage.sqlite.documents import SqliteDocuments
from argosy_core.storage.sqlite.files import SqliteFiles
from argosy_core.storage.sqlite.items import SqliteItems
from argosy_core.storage.sqlite.leases import SqliteLeases


class SqliteStore(OpenStore):
    """A vault in *database*; *root* is a local folder for what can be rebuilt.

    With *create* the database is made when it is not there. Raises NotFound (no such folder or database),
    InvalidArgument (another program's database, or a newer schema), Corrupted, PermissionDenied, Unavailable.
    """

    def __init__(self, database: Path, root: Path, clock: Clock, ids: Ids, *, create: bool = True) -> None:
        super().__init__()
        self.root = root.expanduser().resolve()
        if not self.root.is_dir():
            raise NotFound(f"there is no vault at {root}", hint=f"create one with: mcp-host init {root}")
        self.address = Address(sqlite_address(database))
        self.database = Database(database, ids, create=create)
        self.files = SqliteFiles(self.database, clock)
        self.documents = SqliteDocuments(self.database, self.files)
        self.chain = SqliteChain(self.database, self.files, clock, ids)
        self.leases = SqliteLeases(self.database, self.files, clock, ids)
        self.items = SqliteItems(self.database, clock, ids)
        self.bell = SqliteBell(self.database)
        self.archive = SqliteArchive(self.database, self.files, clock)

    async def write_logged(
        self, path: str, data: bytes, telling: Telling, *, expect: Expect = ANY, keep_version: bool = False
    ) -> Content:
        """Write a document and append the event that tells of it, in one transaction: both or neither.

        Raises what `Documents.write` and `Chain.append` raise.
        """
        replace = self.files.replacing(path, data, expect=expect, keep_version=keep_version)

        def work(t: Transaction) -> Content:
            content = replace(t)
            append = asked(telling.stream, telling.writer, telling.tell(content), telling.key)
            self.chain.append_in(t, append)
            return content

        return await self.database.submit(work)

    def state_path(self, name: str) -> Path:
        """Where the rebuildable file *name* lies on this machine; the folder exists after the call."""
        return state_folder(self.root, self.address) / name

    def _begin(self) -> None:
        self.bell.start()

    def _rest(self) -> None:
        self.bell.stop()

    def _release(self) -> None:
        self.bell.stop()
        self.database.close()
