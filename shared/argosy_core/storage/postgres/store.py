"""The PostgreSQL substrate as one store."""

from __future__ import annotations

from pathlib import Path

from argosy_core.clock import Clock
from argosy_core.errors import NotFound
from argosy_core.ids import Ids
from argosy_core.storage.address import Address
from argosy_core.storage.background import Background
from argosy_core.storage.open_store import OpenStore, state_folder
from argosy_core.storage.postgres.address import parse_address
from argosy_core.storage.postgres.archive import PostgresArchive
from argosy_core.storage.postgres.bell import PostgresBell
from argosy_core.storage.postgres.chain import PostgresChain
from argosy_core.storage.postgres.database import Database
from argosy_core.storage.postgres.documents import DocumentTable, PostgresDocuments, PostgresFiles
from argosy_core.storage.postgres.items import PostgresItems
from argosy_core.storage.postgres.leases import PostgresLeases
from argosy_core.storage.postgres.migrating import migrate
from argosy_core.storage.postgres.troubles import driver

OPEN_SECONDS = 60.0
CLOSE_SECONDS = 10.0


class PostgresStore(OpenStore):
    """A vault in the database and schema that *url* names; *root* is a local folder for what can be rebuilt.

    Opening makes the schema and brings it up to date. Raises InvalidArgument (the URL), NotFound (no such folder or
    database), Conflict (a newer program made the tables), PermissionDenied, Unavailable.
    """

    def __init__(self, url: str, root: Path, clock: Clock, ids: Ids) -> None:
        super().__init__()
        place = parse_address(url)
        self.address = Address(url)
        self._state = place.public
        self.root = root.expanduser().resolve()
        if not self.root.is_dir():
            raise NotFound(f"there is no vault at {root}", hint=f"create one with: mcp-host init {root}")
        driver()
        self._background = Background("argosy-postgres")
        self.index_database = self.database = Database(place, self._background)
        table = DocumentTable(clock, ids)
        self.files = PostgresFiles(self.database, table)
        self.documents = PostgresDocuments(self.database, table, self.files)
        self.chain = PostgresChain(self.database, clock, ids)
        self.leases = PostgresLeases(self.database, table, clock, ids)
        self.items = PostgresItems(self.database, clock, ids)
        self.bell = PostgresBell(self.database, ids)
        self.archive = PostgresArchive(self.database, table, clock)
        try:
            self._background.wait(lambda: migrate(self.database), OPEN_SECONDS)
        except BaseException:
            self.close()
            raise

    def state_path(self, name: str) -> Path:
        """Where the rebuildable file *name* lies on this machine; the folder exists after the call."""
        return state_folder(self.root, Address(self._state)) / name

    def _begin(self) -> None:
        self.bell.start()

    def _rest(self) -> None:
        self.bell.stop()

    def _release(self) -> None:
        if self._background.is_closed:
            return
        self.bell.stop()
        self.bell.flush()
        self._background.wait(self.database.close, CLOSE_SECONDS)
        self._background.close()
