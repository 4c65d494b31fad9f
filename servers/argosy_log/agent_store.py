"""Import of an older agent-store log: its chain is checked as version 0 and carried, entry by entry, in ours.

``python -m argosy_log.agent_store DATABASE --vault PATH --stream AGENT`` does it; doing it again adds what is new.
"""

from __future__ import annotations

import argparse
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
from anyio import to_thread

from argosy_core.errors import ArgosyError, Corrupted, NotFound
from argosy_core.storage.base import Chain
from argosy_core.storage.chain_v0 import ChainV0, EntryV0
from argosy_core.storage.opening import open_store

WRITER = "agent-store"
_ROWS = (
    "SELECT stream, writer, seq, prev_hash, content_hash, payload FROM _agent_store_log ORDER BY stream, writer, seq"
)


async def import_log(chain: Chain, stream: str, database: Path) -> int:
    """Append every entry of *database* to *stream*; how many there were.

    Raises NotFound (no such file, or no log in it), Corrupted (its chain does not hold: then nothing is appended).
    """
    entries = await to_thread.run_sync(lambda: list(read_entries(database)))
    for entry in entries:
        key = f"{WRITER}:{entry.stream}:{entry.writer}:{entry.seq}:{entry.hash.hex()}"
        await chain.append(stream, WRITER, entry.as_event(), key=key[-1000:])
    return len(entries)


def read_entries(database: Path) -> Iterator[EntryV0]:
    """The entries of *database*, each checked. Raises NotFound, Corrupted."""
    if not database.is_file():
        raise NotFound("there is no such database", hint="name the agent-store's SQLite file")
    chain = ChainV0()
    with closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)) as db:
        try:
            for row in db.execute(_ROWS):
                yield _checked(chain, row)
        except sqlite3.Error as error:
            raise NotFound("there is no agent-store log in the database", hint="name another file") from error


def _checked(chain: ChainV0, row: tuple[Any, ...]) -> EntryV0:
    stream, writer, seq, prev, content_hash, payload = row
    try:
        raw = payload.encode() if isinstance(payload, str) else bytes(payload)
        entry = EntryV0(str(stream), str(writer), int(seq), bytes(prev) if prev else None, bytes(content_hash), raw)
    except (TypeError, ValueError) as error:
        raise Corrupted(f"a row of {str(stream)[:80]!a} is not an entry", hint="restore the database") from error
    if (problem := chain.follow(entry)) is not None:
        raise Corrupted(f"{problem[0]}: {problem[1]}", hint="restore the database from a backup; nothing was imported")
    return entry


def main() -> int:
    """The command line; 0 when all of it was imported."""
    parser = argparse.ArgumentParser(prog="python -m argosy_log.agent_store", description=__doc__)
    parser.add_argument("database", type=Path)
    parser.add_argument("--vault", type=Path, required=True)
    parser.add_argument("--store", default="files")
    parser.add_argument("--stream", required=True, help="the agent whose log it becomes")
    options = parser.parse_args()
    try:
        store = open_store(options.vault, options.store)
        with closing(store):
            count = anyio.run(import_log, store.chain, options.stream, options.database)
    except ArgosyError as error:
        sys.stderr.write(f"{error.code}: {error}\n")
        return 1
    sys.stdout.write(f"{count} entries of version 0 are in {options.stream}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
