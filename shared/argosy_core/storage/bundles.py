"""A vault in one file, ``.tar.gz`` or ``.zip``: to keep, to send, to take up again."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from anyio import to_thread

from argosy_core.errors import AlreadyExists, Corrupted, InvalidArgument, NotFound, TooLarge
from argosy_core.names import check_path
from argosy_core.os_errors import os_errors
from argosy_core.storage.base import LEFT_OUT

MAX_FILES = 2_000_000
MAX_FILE_BYTES = 2 * 1024 * 1024 * 1024  # of one file, unpacked
MAX_RATIO = 1000  # unpacked to packed: beyond that a file is made to fill a disk
SMALL_BYTES = 64 * 1024 * 1024  # below that no ratio is suspicious
SUFFIXES = (".tar.gz", ".tgz", ".zip")


def is_bundle(name: str) -> bool:
    """Whether *name* is that of a bundle."""
    return name.lower().endswith(SUFFIXES)


class BundleReader(ABC):
    """`Archive` over a bundle that exists; nothing is unpacked to disk, and nothing can be written."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._places = self._checked(self._open())
        except (OSError, EOFError, tarfile.TarError, zipfile.BadZipFile, gzip.BadGzipFile) as exc:
            if not path.exists():
                raise NotFound(f"there is no {path.name}", hint="name a .tar.gz or .zip that export made") from exc
            raise Corrupted(f"{path.name} cannot be read: {exc}", hint="make or fetch it again") from exc

    @abstractmethod
    def _open(self) -> Iterator[tuple[str, int, Any]]:
        """(path, unpacked bytes, place) of each file."""

    @abstractmethod
    def _bytes_at(self, place: Any) -> bytes:
        """The unpacked bytes at a place."""

    def _checked(self, found: Iterator[tuple[str, int, Any]]) -> dict[str, Any]:
        packed, total = max(1, self.path.stat().st_size), 0
        places: dict[str, Any] = {}
        for path, size, place in found:
            check_path(path)
            total += size
            if size > MAX_FILE_BYTES or len(places) >= MAX_FILES:
                raise TooLarge(f"{self.path.name} holds more than a vault does", hint="look at it with other tools")
            if total > SMALL_BYTES and total > MAX_RATIO * packed:
                raise TooLarge(f"{self.path.name} would unpack to far more than it is", hint="it is no export")
            if path in places:
                raise Corrupted(f"{self.path.name} holds {path} twice", hint="make it again")
            if path.partition("/")[0] not in LEFT_OUT:
                places[path] = place
        return places

    async def paths(self) -> Sequence[str]:
        return sorted(self._places)

    async def read(self, path: str) -> bytes:
        if path not in self._places:
            raise NotFound(f"{self.path.name} holds no {path}", path=path)
        try:
            return await to_thread.run_sync(self._bytes_at, self._places[path])
        except (OSError, EOFError, tarfile.TarError, zipfile.BadZipFile, RuntimeError) as exc:
            raise Corrupted(f"{path} in {self.path.name} cannot be read", hint="make it again", path=path) from exc

    async def write(self, path: str, data: bytes) -> None:
        raise InvalidArgument("a bundle that exists is not written to", hint="export to a new name")

    @abstractmethod
    def close(self) -> None:
        """Let go of the file. Idempotent."""


class ZipReader(BundleReader):
    """A ``.zip``."""

    def _open(self) -> Iterator[tuple[str, int, Any]]:
        self._zip = zipfile.ZipFile(self.path)
        for info in self._zip.infolist():
            if not info.is_dir():
                yield info.filename, info.file_size, info

    def _bytes_at(self, place: Any) -> bytes:
        return self._zip.read(place)

    def close(self) -> None:
        self._zip.close()


class TarReader(BundleReader):
    """A ``.tar.gz``. Links, devices and pipes in it are refused: a vault has none."""

    def _open(self) -> Iterator[tuple[str, int, Any]]:
        self._tar = tarfile.open(self.path, "r:gz")  # noqa: SIM115 - kept open until `close`
        for member in self._tar:
            if member.isdir():
                continue
            if not member.isfile():
                raise Corrupted(f"{self.path.name} holds a link or device", hint="a vault is made of plain files")
            yield member.name.removeprefix("./"), member.size, member

    def _bytes_at(self, place: Any) -> bytes:
        found = self._tar.extractfile(place)
        return found.read() if found else b""

    def close(self) -> None:
        self._tar.close()


class BundleWriter:
    """`Archive` over a bundle in the making; it appears under its name, whole and durable, when `finish` is called."""

    def __init__(self, path: Path) -> None:
        if path.exists():
            raise AlreadyExists(f"{path.name} exists", hint="export to a new name, or remove it")
        self._path = path
        self._draft = path.with_name(f".{path.name}.part")
        with os_errors(str(path.parent)):
            self._file: IO[bytes] = self._draft.open("wb")
        self._is_zip = path.name.lower().endswith(".zip")
        self._out: Any = (
            zipfile.ZipFile(self._file, "w", zipfile.ZIP_DEFLATED)
            if self._is_zip
            else tarfile.open(fileobj=self._file, mode="w:gz")  # noqa: SIM115 - closed by `finish`
        )
        self._names: set[str] = set()

    async def paths(self) -> Sequence[str]:
        return sorted(self._names)

    async def read(self, path: str) -> bytes:
        raise InvalidArgument("a bundle in the making is not read", hint="import from it once it is there")

    async def write(self, path: str, data: bytes) -> None:
        check_path(path)
        if path in self._names:
            raise AlreadyExists(f"{path} is in the bundle already", path=path)
        self._names.add(path)
        await to_thread.run_sync(self._add, path, data)

    def _add(self, path: str, data: bytes) -> None:
        # No owner and no time: the same vault gives the same bytes, whoever exports it and when.
        if self._is_zip:
            info = zipfile.ZipInfo(path, (1980, 1, 1, 0, 0, 0))
            info.external_attr = 0o600 << 16
            self._out.writestr(info, data, zipfile.ZIP_DEFLATED)
        else:
            member = tarfile.TarInfo(path)
            member.size, member.mode = len(data), 0o600
            self._out.addfile(member, io.BytesIO(data))

    def finish(self) -> None:
        """Close the bundle and give it its name."""
        self._out.close()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._draft.rename(self._path)
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def discard(self) -> None:
        """Take the draft away. Idempotent; nothing happens after `finish`."""
        self._file.close()
        self._draft.unlink(missing_ok=True)


def open_bundle(path: Path) -> BundleReader:
    """The bundle at *path*. Raises NotFound, Corrupted, TooLarge, InvalidArgument (a path that leaves the vault)."""
    return ZipReader(path) if path.name.lower().endswith(".zip") else TarReader(path)
