"""Where the background process of a vault is found: a lock, a socket and a few facts in the user's runtime folder.

Whether it is up is decided by the lock, which the system lets go when the process dies, and never by the number in a
file. Nothing heavy is imported here: a relayed start must cost next to nothing.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import stat
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from argosy_core.errors import PermissionDenied
from argosy_core.storage.address import Address

MAX_SOCKET_BYTES = 100  # the system's limit is 104 to 108


@dataclass(frozen=True, slots=True)
class Place:
    """The files of one vault's background process."""

    folder: Path

    @property
    def lock(self) -> Path:
        return self.folder / "lock"

    @property
    def socket(self) -> Path:
        return self.folder / "door"

    @property
    def facts(self) -> Path:
        return self.folder / "up.json"

    @property
    def log(self) -> Path:
        return self.folder / "up.log"


@dataclass(frozen=True, slots=True)
class Facts:
    """What the running process says of itself; times are RFC 3339 UTC.

    *store* is the key of its address; *is_own* says that this is the vault's own, which who names no store means.
    *mark* is what its runs name it by.
    """

    pid: int
    vault: str
    store: str
    version: str
    started_at: str
    http: str | None = None
    mark: str | None = None
    is_own: bool = True

    def serves(self, store: Address | None) -> bool:
        """Whether the process keeps the vault where somebody who named *store* means."""
        return self.is_own if store is None else store.key == self.store


def place_of(vault: Path) -> Place:
    """The place for *vault*, in ``$XDG_RUNTIME_DIR/argosy`` or, without that, the user's state folder."""
    base = os.environ.get("XDG_RUNTIME_DIR")
    root = Path(base) / "argosy" if base else Path.home() / ".local" / "state" / "argosy" / "run"
    digest = hashlib.sha256(str(vault.expanduser().resolve()).encode()).hexdigest()[:16]
    place = Place(root / digest)
    if len(os.fsencode(place.socket)) <= MAX_SOCKET_BYTES:
        return place
    return Place(Path("/tmp") / f"argosy-{os.getuid()}" / digest)  # noqa: S108 - made private, and checked, before use


def make_private(place: Place) -> None:
    """Make the place's folder, for this user alone. Raises PermissionDenied when it is somebody else's already."""
    place.folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    place.folder.mkdir(mode=0o700, exist_ok=True)
    for folder in (place.folder.parent, place.folder):
        info = folder.lstat()
        if info.st_uid != os.getuid() or not stat.S_ISDIR(info.st_mode):
            raise PermissionDenied("the runtime folder belongs to somebody else", hint="set XDG_RUNTIME_DIR")
        folder.chmod(0o700)


def hold_lock(place: Place) -> int | None:
    """Take the lock for this process's life; None when another one has it. The descriptor must stay open."""
    make_private(place)
    fd = os.open(place.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return None
    return fd


def is_private(place: Place) -> bool:
    """Whether the place's folder is this user's alone: in one of somebody else's, whoever answers is not ours."""
    try:
        found = [folder.lstat() for folder in (place.folder.parent, place.folder)]
    except OSError:
        return False
    return all(stat.S_ISDIR(at.st_mode) and at.st_uid == os.getuid() and not at.st_mode & 0o077 for at in found)


def find_up(vault: Path) -> tuple[Place, Facts] | None:
    """The running process of *vault*; None when there is none, whatever old files say."""
    place = place_of(vault)
    if not is_private(place):
        return None
    try:
        fd = os.open(place.lock, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        facts = read_facts(place)
        return (place, facts) if facts is not None else None
    finally:
        os.close(fd)
    return None


def read_facts(place: Place) -> Facts | None:
    """The facts as they were written; None when there are none or they cannot be read."""
    try:
        found: dict[str, Any] = json.loads(place.facts.read_text(encoding="utf-8"))
        return Facts(**found)
    except (OSError, ValueError, TypeError):
        return None


def write_facts(place: Place, facts: Facts) -> None:
    """Say that the process is ready: whoever finds facts under a held lock may connect."""
    temporary = place.folder / ".up.json.tmp"
    temporary.write_text(json.dumps(asdict(facts), indent=2) + "\n", encoding="utf-8")
    temporary.replace(place.facts)


def forget_facts(place: Place) -> None:
    """Take facts and socket away, at the end and before a start."""
    for path in (place.facts, place.socket):
        path.unlink(missing_ok=True)
