"""Proof that a person was there when something was answered: a seal, made with a key that lies outside every vault.

``approval: attended`` in ``fleet.md`` asks for it. Whoever can write into the vault can write an answer there, and no
seal: that is HMAC-SHA256, in hex, over canonical JSON of what was asked and what was answered.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from typing import Any, Literal

from argosy_core.canonical import canonical_json
from argosy_core.errors import PermissionDenied

Channel = Literal["terminal", "elicitation", "key"]
"""How a person showed that they are there."""

CHANNELS: tuple[Channel, ...] = ("terminal", "elicitation", "key")
KEY_FILE = "approval.key"
KEY_VARIABLE = "ARGOSY_APPROVAL_KEY"
KEY_BYTES = 32
MIN_KEY_CHARS = 32
_MAX_KEY_BYTES = 4096
_DOMAIN = b"argosy.attended.v1\0"


def read_key(folder: Path, vault: Path) -> str | None:
    """The key in the state folder *folder*; None while there is none.

    Raises PermissionDenied for one that others may read or change, that is too short, or that lies in *vault*.
    """
    try:
        fd = os.open(folder / KEY_FILE, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as exc:
        raise PermissionDenied(f"{KEY_FILE} cannot be read: {exc.strerror}", hint=_MEND) from exc
    try:
        info = os.fstat(fd)
        if info.st_uid != os.getuid() or not stat.S_ISREG(info.st_mode) or info.st_mode & 0o077:
            raise PermissionDenied(f"{KEY_FILE} is not a file of yours alone", hint=_MEND)
        key = os.read(fd, _MAX_KEY_BYTES).decode("utf-8", "replace").strip()
    finally:
        os.close(fd)
    if len(key) < MIN_KEY_CHARS:
        raise PermissionDenied(f"{KEY_FILE} has fewer than {MIN_KEY_CHARS} characters", hint=_MEND)
    _check_outside(folder, vault)
    return key


_MEND = "delete it to have a new one made, with which what waits is answered again"


def make_key(folder: Path, vault: Path) -> str:
    """The key in *folder*, made when there is none; of several who make one at once, all get the same.

    Raises PermissionDenied as `read_key` does.
    """
    found = read_key(folder, vault)
    if found is not None:
        return found
    _check_outside(folder, vault)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = folder / f".{KEY_FILE}.{token_hex(8)}"
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(fd, "w", encoding="ascii") as file:
            file.write(token_hex(KEY_BYTES) + "\n")
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):  # somebody else's is whole and there, and is used
            os.link(temporary, folder / KEY_FILE)
    finally:
        temporary.unlink()
    made = read_key(folder, vault)
    if made is None:
        raise PermissionDenied(f"{KEY_FILE} went away as it was made", hint="try again")
    return made


def proves_key(given: str | None, folder: Path, vault: Path) -> bool:
    """Whether *given* is the key in *folder*. Raises PermissionDenied as `read_key` does."""
    key = read_key(folder, vault) if given else None
    return key is not None and hmac.compare_digest(key.encode(), (given or "").strip().encode())


def seal(key: str, stated: Mapping[str, Any]) -> str:
    """The seal on *stated*, which is JSON. Raises InvalidArgument where it is not."""
    return hmac.new(key.encode(), _DOMAIN + canonical_json(stated), hashlib.sha256).hexdigest()


def is_sealed(key: str, stated: Mapping[str, Any], given: str) -> bool:
    """Whether *given* is the seal on *stated*. Raises InvalidArgument where that is not JSON."""
    return hmac.compare_digest(seal(key, stated).encode(), given.encode())


def _check_outside(folder: Path, vault: Path) -> None:
    if folder.resolve().is_relative_to(vault.resolve()):
        raise PermissionDenied("the state folder lies in the vault", hint="set XDG_STATE_HOME to another folder")
