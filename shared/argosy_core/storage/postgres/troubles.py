"""What PostgreSQL and its driver say when something goes wrong, in the words of the error tree."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from functools import cache
from typing import Any

from argosy_core.errors import (
    ArgosyError,
    DeadlineExceeded,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    Unavailable,
)

_OPTIONS = "its options are those of libpq, and schema"
INSTALL = 'pip install "argosy[postgres]"'


class NotReached(Exception):
    """No connection could be had: nothing was sent."""


class Lost(Exception):
    """The connection ended in the middle of something."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """What to raise; *may_pass* says that another try can help, *is_open* that the work may have happened."""

    error: ArgosyError
    may_pass: bool = False
    is_open: bool = False


@cache
def driver() -> Any:
    """The module ``asyncpg``. Raises Unavailable when it is not installed."""
    try:
        return importlib.import_module("asyncpg")
    except ImportError as exc:
        raise Unavailable("the PostgreSQL driver is not installed", hint=INSTALL) from exc


def judge(failure: Exception) -> Trouble | None:
    """What *failure* means; None when it is nobody's but the program's own fault."""
    if isinstance(failure, NotReached):
        cause = failure.__cause__
        if isinstance(cause, driver().exceptions.ClientConfigurationError):
            return Trouble(InvalidArgument("the URL of the database has an option that cannot be", hint=_OPTIONS))
        found = _by_state(cause) if isinstance(cause, Exception) else None
        return found or Trouble(_silent(), may_pass=True)
    if isinstance(failure, TimeoutError):
        return Trouble(DeadlineExceeded("the database did not answer in time", hint="try again later"), is_open=True)
    if isinstance(failure, Lost | OSError | EOFError):
        return Trouble(_silent(), may_pass=True, is_open=True)
    return _by_state(failure)


def _by_state(failure: Exception) -> Trouble | None:
    """By SQLSTATE (PostgreSQL's manual, appendix A)."""
    state = str(getattr(failure, "sqlstate", None) or "")
    if state.startswith("08") or state in ("57P01", "57P02", "57P05"):
        return Trouble(_silent(), may_pass=True, is_open=True)
    if state in ("57P03", "53300"):  # it starts, or has no connection left
        return Trouble(_silent(), may_pass=True)
    if state in ("40001", "40P01", "55P03"):
        return Trouble(Unavailable("the database is busy with other changes", hint="try again"), may_pass=True)
    if state in _FINAL:
        kind, message, hint = _FINAL[state]
        return Trouble(kind(message, hint=hint))
    if state.startswith("28"):
        hint = "look at the user and the password in the store's URL, and at pg_hba.conf"
        return Trouble(Unavailable("the database refused the login", hint=hint))
    if state.startswith("53"):
        return Trouble(Unavailable("the database has no room left", hint="look at its disk and memory"))
    return None


_FINAL: dict[str, tuple[type[ArgosyError], str, str]] = {
    "3D000": (NotFound, "there is no such database", "make it: createdb NAME"),
    "42501": (PermissionDenied, "the database user may not do this", "grant it the rights of the schema's owner"),
    "42P01": (Unavailable, "the vault's tables are gone from the database", "open the store again"),
    "3F000": (Unavailable, "the vault's schema is gone from the database", "open the store again"),
    "57014": (DeadlineExceeded, "the database gave up on the call", "try again later"),
    "25006": (Unavailable, "the database takes no changes now", "give the URL of the primary"),
    "22021": (InvalidArgument, "the database cannot hold a character of this text", "leave U+0000 out"),
    "54000": (InvalidArgument, "this is more than the database can hold in one place", "make it shorter"),
}


def _silent() -> Unavailable:
    return Unavailable("the database does not answer", hint="look whether PostgreSQL runs and the store's URL is right")
