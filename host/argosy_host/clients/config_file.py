"""A client's configuration file as bytes: read, backed up, replaced. The client may write it at the same time."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from argosy_core.clock import Clock, SystemClock
from argosy_core.errors import Conflict, Corrupted, PermissionDenied
from argosy_core.ids import Ids, SystemIds
from argosy_core.os_errors import os_errors

BOM = b"\xef\xbb\xbf"
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """The file at *path*. A link there, as dotfile managers make them, stays; what it points to is replaced."""

    path: Path
    clock: Clock
    ids: Ids

    @classmethod
    def at(cls, path: Path) -> ConfigFile:
        """The file at *path*, with the machine's own clock and randomness."""
        return cls(path, SystemClock(), SystemIds())

    @property
    def target(self) -> Path:
        """Where the bytes are."""
        return Path(os.path.realpath(self.path))

    def read(self) -> bytes | None:
        """What is in the file; None when there is none. Raises PermissionDenied."""
        with os_errors(str(self.path)):
            try:
                fd = os.open(self.target, _READ)
            except FileNotFoundError:
                return None
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                os.close(fd)
                raise PermissionDenied(f"{self.path} is not a regular file")
            with os.fdopen(fd, "rb") as opened:
                return opened.read()

    def replace(self, before: bytes | None, after: bytes) -> Path | None:
        """Put *after* in the place of *before*, at once and durably; returns where *before* is kept.

        Raises Conflict when the file no longer holds *before*.
        """
        with os_errors(str(self.path)):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.target.parent.mkdir(parents=True, exist_ok=True)
            backup = None if before is None else self._keep(before)
            try:
                self._replace(before, after)
            except BaseException:
                if backup is not None:
                    backup.unlink(missing_ok=True)  # nothing was changed
                raise
        return backup

    def _keep(self, data: bytes) -> Path:
        stamp = f"{self.clock.now():%Y%m%dT%H%M%SZ}"
        names = (f"{self.path.name}.argosy-backup-{stamp}{more}" for more in ("", *(f"-{n}" for n in range(2, 1000))))
        for name in names:
            backup = self.path.with_name(name)
            try:
                self._write(backup, data)
            except FileExistsError:
                continue  # of the same second
            self._sync_folder(backup.parent)
            return backup
        raise Conflict(f"there are too many backups beside {self.path}", hint="remove some")

    def _replace(self, before: bytes | None, after: bytes) -> None:
        target = self.target
        temporary = target.with_name(f".{target.name}.{self.ids.random(6).hex()}.tmp")
        try:
            self._write(temporary, after)
            if self.read() != before:
                raise Conflict(f"{self.path} was changed meanwhile", hint="close the client, then try again")
            os.replace(temporary, target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        self._sync_folder(target.parent)

    def _write(self, path: Path, data: bytes) -> None:
        """Make *path*, with the owner and mode of our file when it is there."""
        fd = os.open(path, _NEW, 0o600)
        with os.fdopen(fd, "wb") as opened:
            try:
                self._copy_owner(fd)
                opened.write(data)
                opened.flush()
                os.fsync(fd)
            except BaseException:
                path.unlink(missing_ok=True)
                raise

    def _copy_owner(self, fd: int) -> None:
        try:
            old = os.stat(self.target)
        except FileNotFoundError:
            return
        new = os.fstat(fd)
        if (old.st_uid, old.st_gid) != (new.st_uid, new.st_gid):
            os.fchown(fd, old.st_uid, old.st_gid)
        os.fchmod(fd, stat.S_IMODE(old.st_mode))

    def _sync_folder(self, folder: Path) -> None:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def decode(data: bytes, name: str) -> str:
    """The text in *data*, without a byte-order mark. Raises Corrupted, with the line, when it is not UTF-8."""
    body = data.removeprefix(BOM)
    try:
        return body.decode()
    except UnicodeDecodeError as exc:
        line = body.count(b"\n", 0, exc.start) + 1
        raise Corrupted(f"{name}:{line}: not UTF-8", hint="nothing was changed; save the file as UTF-8") from exc


def encode(text: str, like: bytes | None) -> bytes:
    """*text* as bytes, with a byte-order mark when *like* begins with one."""
    return (BOM if (like or b"").startswith(BOM) else b"") + text.encode()
