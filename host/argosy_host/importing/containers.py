"""Folders, files and archives that may be anybody's: looked at with care, never unpacked.

Nothing of an archive is written anywhere: members are read where they lie. An archive with a path that leads out of it,
with links, or that would be hundreds of times its size, is refused as a whole, before any of it is read.
"""

from __future__ import annotations

import os
import stat
import zipfile
import zlib
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from argosy_core.errors import InvalidArgument, NotFound, PermissionDenied, TooLarge
from argosy_host.importing.foreign import Unusable

MAX_PAGE_BYTES = 16 * 1024 * 1024  # of one text: a document's limit
MAX_FILES = 200_000
MAX_MEMBER_BYTES = 8 * 1024**3
MAX_RATIO = 200  # JSON of real exports packs 3 to 20 times
SMALL_BYTES = 64 * 1024 * 1024  # below this a high ratio is harmless
MAX_DEPTH = 32


@dataclass(frozen=True, slots=True)
class TextFile:
    """A Markdown file below a folder: *place* is its path there, with ``/``."""

    place: str
    path: Path
    mtime: float

    def read(self) -> str | Unusable:
        """Its text, or why it is none."""
        try:
            fd = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError as exc:
            return Unusable(self.place, f"cannot be opened: {exc.strerror}")
        with os.fdopen(fd, "rb") as file:
            info = os.fstat(fd)
            if not stat.S_ISREG(info.st_mode):
                return Unusable(self.place, "is no regular file")
            data = file.read(MAX_PAGE_BYTES + 1)
        if len(data) > MAX_PAGE_BYTES:
            return Unusable(self.place, f"has more than {MAX_PAGE_BYTES // 1024**2} MiB")
        return decode(data, self.place)


def decode(data: bytes, place: str) -> str | Unusable:
    """*data* as text, or why it is none."""
    if b"\0" in data:
        return Unusable(place, "is not text")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = data[: exc.start].count(b"\n") + 1
        return Unusable(place, f"line {line} is not UTF-8; save it as UTF-8")


def markdown_files(folder: Path) -> Iterator[TextFile | Unusable]:
    """The Markdown files below *folder* by path, hidden folders left out; links are named and not followed.

    Raises TooLarge for a folder that cannot be somebody's notes.
    """
    for count, found in enumerate(_walk(folder, "", 0)):
        if count >= MAX_FILES:
            raise TooLarge(f"{folder.name} holds more than {MAX_FILES} files", hint="import a folder of it")
        yield found


def _walk(folder: Path, place: str, depth: int) -> Iterator[TextFile | Unusable]:
    if depth > MAX_DEPTH:
        yield Unusable(place, f"lies deeper than {MAX_DEPTH} folders")
        return
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as exc:
        yield Unusable(place or folder.name, f"cannot be read: {exc.strerror}")
        return
    for entry in entries:
        inside = f"{place}/{entry.name}" if place else entry.name
        if entry.name.startswith("."):
            continue
        if entry.is_symlink():
            yield Unusable(inside, "is a link; links are not followed")
        elif entry.is_dir(follow_symlinks=False):
            yield from _walk(Path(entry.path), inside, depth + 1)
        elif entry.name.lower().endswith(".md"):
            yield TextFile(inside, Path(entry.path), entry.stat(follow_symlinks=False).st_mtime)


class Bundle:
    """The files of an export: a folder, an archive, or one file alone."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.is_archive = path.is_file() and zipfile.is_zipfile(path)
        if not path.exists():
            raise NotFound(f"there is nothing at {path}", hint="give the folder or file of the export")
        if self.is_archive:
            with self._archive() as archive:
                self.names = _checked_names(archive)
        elif path.is_dir():
            self.names = sorted(entry.name for entry in os.scandir(path) if entry.is_file(follow_symlinks=False))
        else:
            self.names = [path.name]

    def having(self, stem: str) -> list[str]:
        """Names of the JSON files called *stem*, or *stem* with a number, in order; folders of an archive are passed
        over."""
        found: list[str] = []
        for name in self.names:
            base = name.rsplit("/", 1)[-1].lower()
            rest = base.removeprefix(stem).removesuffix(".json")
            if base.startswith(stem) and base.endswith(".json") and rest.strip("-_0123456789") == "":
                found.append(name)
        return found

    @contextmanager
    def opened(self, name: str) -> Generator[IO[bytes]]:
        """The file *name*, to be read as a stream."""
        if not self.is_archive:
            with (self.path / name if self.path.is_dir() else self.path).open("rb") as file:
                yield file
            return
        with self._archive() as archive:
            try:
                with archive.open(name) as member:
                    yield member
            except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError) as exc:
                raise InvalidArgument(f"{name} cannot be unpacked: {exc}", hint="download the export again") from exc

    @contextmanager
    def _archive(self) -> Generator[zipfile.ZipFile]:
        try:
            archive = zipfile.ZipFile(self.path)
        except (zipfile.BadZipFile, NotImplementedError, OSError) as exc:
            raise InvalidArgument(f"{self.path.name} is no archive that can be read: {exc}") from exc
        with archive:
            yield archive


def _checked_names(archive: zipfile.ZipFile) -> list[str]:
    """The names of an archive's files. Raises PermissionDenied or TooLarge for one that means harm."""
    members = archive.infolist()
    if len(members) > MAX_FILES:
        raise TooLarge(f"the archive holds more than {MAX_FILES} files")
    seen: set[str] = set()
    for member in members:
        name = member.filename
        if name.startswith(("/", "\\")) or ".." in name.replace("\\", "/").split("/") or name[1:2] == ":":
            raise PermissionDenied(f"the archive holds a path out of it: {name[:80]!a}", hint="do not trust it")
        if stat.S_ISLNK(member.external_attr >> 16):
            raise PermissionDenied(f"the archive holds a link: {name[:80]!a}", hint="do not trust it")
        if name in seen:
            raise PermissionDenied(f"the archive holds {name[:80]!a} twice", hint="do not trust it")
        seen.add(name)
        _check_size(member)
    return sorted(member.filename for member in members if not member.is_dir())


def _check_size(member: zipfile.ZipInfo) -> None:
    size, packed = member.file_size, max(1, member.compress_size)
    if size > MAX_MEMBER_BYTES or (size > SMALL_BYTES and size // packed > MAX_RATIO):
        raise TooLarge(
            f"{member.filename[:80]!a} would unpack {packed} bytes to {size}",
            hint="this is no export; do not open it",
        )
    if member.flag_bits & 1:
        raise PermissionDenied(f"{member.filename[:80]!a} is encrypted", hint="decrypt the archive first")
