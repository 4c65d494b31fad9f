"""The key of the encrypted file: from the keyring, or from a passphrase through scrypt."""

from __future__ import annotations

import base64
import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

from argosy_core.errors import Corrupted, PermissionDenied, Unauthenticated, Unavailable
from argosy_core.ids import Ids
from argosy_core.secrets.secret import Secret
from argosy_core.secrets.sources import KeyringSource

PASSPHRASE = "ARGOSY_PASSPHRASE"  # noqa: S105 - the name of a variable
PASSPHRASE_FILE = "ARGOSY_PASSPHRASE_FILE"  # noqa: S105
KEY_BYTES = 32
_KEYRING_ENTRY = ".file-key."  # a dot: no secret has such a name
_SALT_BYTES = 16
_MAX_FILE_BYTES = 4096
# What a file may ask for: 1 GiB and some seconds. A changed file must not exhaust the machine.
_MAX_N, _MAX_R, _MAX_P = 2**20, 16, 4

AskPassphrase = Callable[[bool], Secret | None]
"""Asked with True for a file that is made now: a person then types it twice. None means that there is none."""


@dataclass(frozen=True, slots=True)
class ScryptCost:
    """How dear one guess is: 128 * n * r bytes of memory."""

    n: int = 2**17
    r: int = 8
    p: int = 1


class KeyMaker(Protocol):
    """Makes and finds keys as the head of a file describes them."""

    def new(self, ids: Ids) -> tuple[dict[str, Any], bytes]:
        """The description for a new file, and its key. Raises Unavailable."""
        ...

    def find(self, described: Mapping[str, Any]) -> bytes:
        """The key that *described* names. Raises Unauthenticated, Unavailable, Corrupted."""
        ...


class Keys:
    """Keys from the passphrase that *ask* gives, else from the keyring."""

    def __init__(self, keyring: KeyringSource, ask: AskPassphrase, cost: ScryptCost | None = None) -> None:
        self._keyring = keyring
        self._ask = ask
        self._cost = cost or ScryptCost()

    def new(self, ids: Ids) -> tuple[dict[str, Any], bytes]:
        passphrase = self._ask(True)  # one that was given is meant, whether there is a keyring or not
        if passphrase is not None:
            return self._from_passphrase(passphrase, ids)
        key, entry = ids.random(KEY_BYTES), _KEYRING_ENTRY + ids.random(8).hex()
        if self._keyring.put(entry, Secret(base64.b64encode(key).decode())):
            return {"from": "keyring", "entry": entry}, key
        raise Unavailable(
            f"there is nothing to encrypt with: the keyring is passed over, {self._keyring.problem()}",
            hint=f"give a passphrase: on a terminal, or in {PASSPHRASE}",
        )

    def _from_passphrase(self, passphrase: Secret, ids: Ids) -> tuple[dict[str, Any], bytes]:
        salt, cost = ids.random(_SALT_BYTES), self._cost
        described = {"from": "scrypt", "n": cost.n, "r": cost.r, "p": cost.p, "salt": base64.b64encode(salt).decode()}
        return described, _scrypt(passphrase, salt, cost)

    def find(self, described: Mapping[str, Any]) -> bytes:
        if described.get("from") == "keyring":
            return self._from_keyring(str(described.get("entry")))
        if described.get("from") != "scrypt":
            raise Corrupted("secrets.json does not say where its key comes from", hint="put back a copy of it")
        salt, cost = _described_cost(described)
        passphrase = self._ask(False)
        if passphrase is None:
            raise Unauthenticated(
                "the encrypted file needs its passphrase", hint=f"set {PASSPHRASE} or {PASSPHRASE_FILE}"
            )
        return _scrypt(passphrase, salt, cost)

    def _from_keyring(self, entry: str) -> bytes:
        found = self._keyring.get(entry) if entry.startswith(_KEYRING_ENTRY) else None
        if found is None:
            why = self._keyring.problem() or "the key is not in it"
            raise Unauthenticated(f"the keyring does not give the file's key: {why}", hint="unlock the keyring")
        return base64.b64decode(found.reveal())


def passphrase_from(environ: Mapping[str, str]) -> Secret | None:
    """The passphrase in ``ARGOSY_PASSPHRASE``, else in the file that ``ARGOSY_PASSPHRASE_FILE`` names.

    Raises PermissionDenied when others may read that file, Unavailable when it cannot be read.
    """
    if environ.get(PASSPHRASE):
        return Secret(environ[PASSPHRASE])
    return _from_file(Path(environ[PASSPHRASE_FILE])) if environ.get(PASSPHRASE_FILE) else None


def _from_file(path: Path) -> Secret:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as exc:
        raise Unavailable(f"the file that {PASSPHRASE_FILE} names cannot be read: {exc.strerror}") from exc
    try:
        info = os.fstat(fd)
        if not stat.S_ISREG(info.st_mode) or info.st_mode & 0o077:
            raise PermissionDenied(f"others may read the file that {PASSPHRASE_FILE} names", hint="chmod 600 the file")
        text = os.read(fd, _MAX_FILE_BYTES).decode("utf-8", "replace").removesuffix("\n")
    finally:
        os.close(fd)
    return Secret(text)


def _described_cost(described: Mapping[str, Any]) -> tuple[bytes, ScryptCost]:
    try:
        salt = base64.b64decode(cast("str", described["salt"]), validate=True)
        n, r, p = (int(described[key]) for key in ("n", "r", "p"))
    except (KeyError, TypeError, ValueError) as exc:
        raise Corrupted("secrets.json does not describe its key", hint="put back a copy of it") from exc
    if not (2 <= n <= _MAX_N and n & (n - 1) == 0 and 1 <= r <= _MAX_R and 1 <= p <= _MAX_P and len(salt) >= 8):
        raise Corrupted("secrets.json describes its key out of bounds", hint="put back a copy of it")
    return salt, ScryptCost(n, r, p)


def _scrypt(passphrase: Secret, salt: bytes, cost: ScryptCost) -> bytes:
    from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

    return Scrypt(salt=salt, length=KEY_BYTES, n=cost.n, r=cost.r, p=cost.p).derive(passphrase.reveal().encode())
