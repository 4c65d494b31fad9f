"""Where a vault's database is: ``postgresql://user:password@host:port/database?schema=name``.

A vault's tables lie in the schema, ``argosy`` when none is named; all else is as libpq's URLs have it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import SplitResult, parse_qsl, quote, urlencode, urlsplit, urlunsplit

from argosy_core.errors import InvalidArgument

SCHEMES = ("postgresql", "postgres")
DEFAULT_SCHEMA = "argosy"
_SCHEMA = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_SECRET = ("password", "sslpassword")
_HINT = "write it as postgresql://user:password@host/database?schema=name"


@dataclass(frozen=True, slots=True)
class Address:
    """A database and a schema in it. *dsn* holds the password and is never shown; *public* is the URL without it, which
    opens the same where the password is in the environment (``PGPASSWORD``) or in a file (``~/.pgpass``)."""

    dsn: str = field(repr=False)
    schema: str
    public: str


def parse_address(url: str) -> Address:
    """The address that *url* names. Raises InvalidArgument; the message holds no part of what may be a password."""
    try:
        parts = urlsplit(url)
        options = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
        _ = parts.port if "," not in parts.netloc else None
    except ValueError:
        raise InvalidArgument("not a URL of a PostgreSQL database", hint=_HINT) from None
    if parts.scheme not in SCHEMES or parts.fragment:
        raise InvalidArgument("not a URL of a PostgreSQL database", hint=_HINT)
    schemas = [value for name, value in options if name == "schema"] or [DEFAULT_SCHEMA]
    if len(schemas) > 1 or not _SCHEMA.fullmatch(schemas[0]) or schemas[0].startswith("pg_"):
        hint = "use lower-case letters, digits and '_', at most 63"
        raise InvalidArgument("not a name of a schema, or more than one", hint=hint)
    rest = [(name, value) for name, value in options if name != "schema"]
    dsn = urlunsplit(parts._replace(scheme="postgresql", query=urlencode(rest, quote_via=quote)))
    return Address(dsn, schemas[0], _public(parts, rest, schemas[0]))


def _public(parts: SplitResult, options: list[tuple[str, str]], schema: str) -> str:
    login, at, place = parts.netloc.rpartition("@")
    kept = [(name, value) for name, value in options if name not in _SECRET]
    query = urlencode([*kept, ("schema", schema)], quote_via=quote)
    return f"postgresql://{login.partition(':')[0]}{at}{place}{parts.path}?{query}"
