"""What SQLite says, in the words of the error tree."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager

from argosy_core.errors import ArgosyError, Corrupted, InvalidArgument, PermissionDenied, TooLarge, Unavailable

_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_DENIED = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH, sqlite3.SQLITE_CANTOPEN)


@contextmanager
def sqlite_errors() -> Generator[None]:
    """Turn what SQLite says of the database into the error tree."""
    try:
        yield
    except sqlite3.Error as error:
        raise as_argosy(error) from error
    except UnicodeEncodeError as error:
        raise unencodable() from error


def unencodable() -> InvalidArgument:
    """What to raise for text that cannot be handed to SQLite."""
    return InvalidArgument("an argument holds what UTF-8 cannot (a lone surrogate)", hint="leave it out")


def as_argosy(error: sqlite3.Error) -> ArgosyError:
    """*error* in the words of the tree."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    if code in _BUSY:
        return Unavailable("the database is in use by another writer", hint="try again in a moment")
    if code == sqlite3.SQLITE_FULL:
        return Unavailable("the disk is full: nothing was written", hint="free some space")
    if code in _DENIED:
        hint = "check the owner and mode of the file and of its folder"
        return PermissionDenied("no permission to write the database", hint=hint)
    if code in _DAMAGED:
        hint = "put back a copy; what can still be read: sqlite3 FILE .recover"
        return Corrupted("the database is damaged, or no database at all", hint=hint)
    if code == sqlite3.SQLITE_IOERR:
        return Corrupted(f"the database cannot be read or written: {error}", hint="check the disk")
    if code == sqlite3.SQLITE_TOOBIG or isinstance(error, sqlite3.DataError):
        return TooLarge("the database cannot hold anything that large", hint="the limit is a gigabyte")
    return Unavailable(f"the database does not answer: {error}", hint="open the store again")
