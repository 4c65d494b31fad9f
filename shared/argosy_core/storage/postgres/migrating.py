"""Bringing a schema up to date: numbered files, each applied once, in order, one process at a time.

A new schema is made from ``schema.sql`` and `index_tables` at once; a test holds it equal to all migrations.
"""

from __future__ import annotations

from functools import cache
from importlib import resources

from argosy_core.canonical import sha256_hex
from argosy_core.errors import Conflict
from argosy_core.storage.postgres.database import PACKAGE, Database, Session
from argosy_core.storage.sql_files import script

FILE = "versions.sql"
VECTOR_EXTENSION = "migrations/0003_vector_extension.sql"


@cache
def migrations() -> tuple[tuple[int, str], ...]:
    """(number, file) of every migration, in order."""
    names = sorted(each.name for each in resources.files(PACKAGE).joinpath("migrations").iterdir())
    return tuple((int(name[:4]), f"migrations/{name}") for name in names if name.endswith(".sql"))


def index_tables() -> str:
    """Makes the tables of the index of documents."""
    return script(PACKAGE, "index_schema.sql") + script(PACKAGE, VECTOR_EXTENSION)


def newest_version() -> int:
    """The schema's version that this program works with."""
    return migrations()[-1][0]


async def migrate(database: Database, *, step_by_step: bool = False) -> None:
    """Make the schema what this program needs; *step_by_step* runs every migration also where nothing is yet.

    Raises Conflict when a newer program has been there.
    """
    schema = database.address.schema
    # Most starts find the schema as they need it, and one round trip says so.
    if await database.run(FILE, lambda session, _: _version(session, schema)) != newest_version():
        await database.run(FILE, lambda session, _: _migrate(session, schema, step_by_step=step_by_step))


async def _version(session: Session, schema: str) -> int:
    """0 when there is nothing yet. Raises Conflict."""
    if await session.row("table", schema=schema) is None:
        return 0
    row = await session.row("version")
    found = int(row["version"] or 0) if row is not None else 0
    if found > newest_version():
        raise Conflict(
            f"the vault's tables are of version {found}; this program knows versions up to {newest_version()}",
            hint="upgrade this program: pip install --upgrade argosy",
            found=found,
            known=newest_version(),
        )
    return found


async def _migrate(session: Session, schema: str, *, step_by_step: bool) -> None:
    async with session.transaction():
        await session.rows("lock", number=int(sha256_hex(f"argosy {schema}".encode())[:15], 16))
        found = await _version(session, schema)
        if not found and not step_by_step:
            tables = script(PACKAGE, "schema.sql") + index_tables()
            await session.script(f'CREATE SCHEMA IF NOT EXISTS "{schema}";{tables}')
            await session.rows("applied", version=newest_version())
            return
        if not found:
            await session.script(f'CREATE SCHEMA IF NOT EXISTS "{schema}"')
        for number, file in migrations():
            if number > found:
                await session.script(script(PACKAGE, file))
                await session.rows("applied", version=number)
