"""The statements of the event index."""

from __future__ import annotations

from argosy_core.index.index_file import IndexKind
from argosy_core.index.statements import named_statements, script

PACKAGE = "argosy_log"
APPLICATION_ID = 0x4152474C
SCHEMA_VERSION = 3


def statement(name: str) -> str:
    """A named statement of ``queries.sql``."""
    return named_statements(PACKAGE)[name]


EVENTS = IndexKind(
    "the index of the log",
    APPLICATION_ID,
    SCHEMA_VERSION,
    lambda: script("schema.sql", PACKAGE),
    lambda: statement("generation"),
)
