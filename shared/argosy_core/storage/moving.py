"""Moving a vault: every file of one archive into another, and the proof that it arrived byte for byte."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from argosy_core.canonical import sha256_hex
from argosy_core.errors import AlreadyExists, Conflict, Corrupted, NotFound
from argosy_core.storage.base import Archive

Tell = Callable[[int, int], None]
"""(files so far, files in all) → told to whoever watches."""


@dataclass(frozen=True, slots=True)
class Moved:
    """*files* are there now, *bytes* in all; *written* of them were not before."""

    files: int
    bytes: int
    written: int


async def move(source: Archive, target: Archive, tell: Tell = lambda done, total: None) -> Moved:
    """Put every file of *source* into *target* and read each back. What is there already, byte for byte, stays.

    So a move that broke off is finished by doing it again. Raises Conflict, before anything is written, when *target*
    has another file under one of the names; Corrupted when what was written is not what is read.
    """
    paths = await source.paths()
    known = set(await target.paths())
    for path in known.intersection(paths):
        if await _digest(source, path) != await _digest(target, path):
            raise Conflict(f"the target has another {path}", hint="move into an empty place", path=path)
    written = total = 0
    for done, path in enumerate(paths, 1):
        data = await source.read(path)
        total += len(data)
        if path not in known:
            await _put(target, path, data)
            written += 1
        tell(done, len(paths))
    return Moved(len(paths), total, written)


async def compare(source: Archive, target: Archive) -> None:
    """Raises Corrupted with the first path of *source* that *target* has otherwise, or not at all."""
    for path in await source.paths():
        try:
            same = await _digest(source, path) == await _digest(target, path)
        except NotFound:
            same = False
        if not same:
            raise Corrupted(f"{path} did not arrive as it was", hint="move again into an empty place", path=path)


async def _put(target: Archive, path: str, data: bytes) -> None:
    try:
        await target.write(path, data)
    except AlreadyExists:
        if await _digest(target, path) != sha256_hex(data):
            raise Conflict(f"somebody wrote another {path} meanwhile", hint="move into an empty place") from None


async def _digest(archive: Archive, path: str) -> str:
    return sha256_hex(await archive.read(path))
