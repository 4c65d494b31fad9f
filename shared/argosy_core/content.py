"""What a document is when it was read, and what a writer may expect to be there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from argosy_core.errors import AlreadyExists, Conflict


class _Any:
    def __repr__(self) -> str:
        return "ANY"


ANY = _Any()
"""Write whatever is there now."""
ABSENT = ""
"""Write only when nothing is there."""
Expect = str | _Any


class FileInfo(NamedTuple):
    """One file: *path* is vault-relative; *stamp* is (mtime in ns, size in bytes) and changes with the content."""

    path: str
    stamp: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Content:
    """The bytes of a file with what they were read from. *version* is their SHA-256 in hex."""

    path: str
    data: bytes
    version: str
    stamp: tuple[int, int]


def check_expected(path: str, expect: Expect, old: Content | None) -> None:
    """Raises Conflict or AlreadyExists, with the current version, unless *old* is what the writer expects at *path*."""
    if isinstance(expect, _Any):
        return
    if old is None:
        if expect != ABSENT:
            raise Conflict(f"{path} is not there any more", hint="read it again", path=path, version=None)
        return
    if expect == ABSENT:
        raise AlreadyExists(f"{path} exists", hint="choose another name", path=path, version=old.version)
    if expect != old.version:
        raise Conflict(
            f"{path} was changed by somebody else",
            hint="read it again and repeat the change on what it holds now",
            path=path,
            version=old.version,
        )
