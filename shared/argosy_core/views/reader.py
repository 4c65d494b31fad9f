"""How views read: two calls, so that any store, or a test's dictionary, can stand behind them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class Reader(Protocol):
    """Files of one vault by vault-relative POSIX path."""

    def read(self, path: str) -> bytes | None:
        """The bytes at *path*; None when there is no such file. Raises what makes an existing file unreadable."""
        ...

    def list_dir(self, path: str) -> list[str]:
        """Names of the files and folders right in *path* (``""`` is the root), sorted; [] when it is not there."""
        ...


class MappingReader:
    """A reader over texts in memory, for tests and for stores that fetch first."""

    def __init__(self, files: Mapping[str, str | bytes]) -> None:
        self._files = {path: data.encode() if isinstance(data, str) else data for path, data in files.items()}

    def read(self, path: str) -> bytes | None:
        return self._files.get(path)

    def list_dir(self, path: str) -> list[str]:
        prefix = f"{path}/" if path else ""
        return sorted({p.removeprefix(prefix).split("/")[0] for p in self._files if p.startswith(prefix)})
