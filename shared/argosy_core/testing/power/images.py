"""What a disk holds, as values: two equal disks are checked once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

FILE_MODE = 0o600


@dataclass(frozen=True, slots=True)
class FileImage:
    """A file; *mtime_ns* and *mode* do not make it another one."""

    data: bytes
    mtime_ns: int = field(default=0, compare=False)
    mode: int = field(default=FILE_MODE, compare=False)


@dataclass(frozen=True, slots=True)
class FolderImage:
    """A folder. Its time counts: some code takes a folder of the same time for the same folder."""

    entries: tuple[tuple[str, FileImage | FolderImage], ...] = ()
    mtime_ns: int = 0

    def files(self, prefix: str = "") -> Iterator[tuple[str, bytes]]:
        """Path and content of each file below, sorted."""
        for name, image in self.entries:
            if isinstance(image, FolderImage):
                yield from image.files(f"{prefix}{name}/")
            else:
                yield f"{prefix}{name}", image.data


def disk_with(files: Mapping[str, bytes], folders: tuple[str, ...] = ()) -> FolderImage:
    """A disk that holds *files* by path, and *folders* that may be empty."""
    names = sorted({path.split("/")[0] for path in (*files, *folders)})
    return FolderImage(tuple((name, _at(name, files, folders)) for name in names))


def _at(name: str, files: Mapping[str, bytes], folders: tuple[str, ...]) -> FileImage | FolderImage:
    if name in files:
        return FileImage(files[name])
    below = {path.removeprefix(f"{name}/"): data for path, data in files.items() if path.startswith(f"{name}/")}
    inner = tuple(path.removeprefix(f"{name}/") for path in folders if path.startswith(f"{name}/"))
    return disk_with(below, inner)
