"""A file that is appended to again and again, kept open between."""

from __future__ import annotations

import os

from argosy_core.os_errors import os_errors
from argosy_core.vault import Vault


class HeldFile:
    """The file at *path* of *vault*; made when it is not there. It is closed with the last reference to it.

    Opening walks the folders; after that one call tells whether the path still leads here, and then writing is safe
    whatever became of the folders on the way.
    """

    def __init__(self, vault: Vault, path: str) -> None:
        self.path = path
        self._vault = vault
        self._fs = vault.fs
        self._fd = vault.open_append(path)
        with os_errors(path):
            found = self._fs.fstat(self._fd)
        self._identity = (found.st_dev, found.st_ino)

    def __del__(self) -> None:
        fd = getattr(self, "_fd", -1)
        if fd >= 0:
            self._fs.close(fd)

    def is_at(self, found: os.stat_result | None) -> bool:
        """Whether *found*, from `Vault.look`, is this file."""
        return found is not None and (found.st_dev, found.st_ino) == self._identity

    def append(self, data: bytes) -> int:
        """As `Vault.append`. After an error the file must be opened anew: see `Vault.append_to`."""
        return self._vault.append_to(self._fd, self.path, data)
