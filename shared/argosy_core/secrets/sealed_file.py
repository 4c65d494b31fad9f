"""``secrets.json``: values encrypted one by one, in the user's configuration folder, outside every vault.

Each value is sealed with ChaCha20-Poly1305 under the file's key; its name, its time and the file's id are bound to it,
so that no sealed value can be moved to another name or file. Names are readable without the key.
"""

from __future__ import annotations

import base64
import json
import os
import stat
import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from argosy_core.canonical import canonical_json, sha256_hex
from argosy_core.clock import Clock, rfc3339
from argosy_core.errors import (
    AlreadyExists,
    Conflict,
    Corrupted,
    NotFound,
    PermissionDenied,
    Unauthenticated,
)
from argosy_core.ids import Ids
from argosy_core.os_errors import os_errors
from argosy_core.secrets.keys import KeyMaker
from argosy_core.secrets.secret import NAME_PATTERN, Secret
from argosy_core.secrets.sources import Entry, SourceName
from argosy_core.vault import ABSENT, Vault

FILE = "secrets.json"
FORMAT = "argosy.secrets.v1"
MAX_FILE_BYTES = 4 * 1024 * 1024
TRIES = 20  # compare-and-swap rounds before a writer gives up
_NONCE_BYTES = 12
_MEND = "put back a copy of it, or move it away and set the secrets again"


@dataclass(frozen=True, slots=True)
class Sealed:
    """One encrypted value."""

    set_at: str
    nonce: str
    data: str


@dataclass(frozen=True, slots=True)
class Book:
    """The file as read. *check* is a sealed nothing: it opens with the right key and with no other."""

    id: str
    key: Mapping[str, Any]
    check: Sealed
    entries: Mapping[str, Sealed]

    def as_bytes(self) -> bytes:
        fields = {
            "format": FORMAT,
            "id": self.id,
            "key": dict(self.key),
            "check": _fields(self.check),
            "entries": {name: _fields(self.entries[name]) for name in sorted(self.entries)},
        }
        return json.dumps(fields, indent=2).encode() + b"\n"


class SealedFile:
    """The secrets in one folder. Every method blocks and may be called from any thread and process."""

    name: SourceName = "file"

    def __init__(self, folder: Path, keys: KeyMaker, clock: Clock, ids: Ids) -> None:
        self._folder = folder
        self._keys = keys
        self._clock = clock
        self._ids = ids
        self._guard = threading.Lock()
        self._found: tuple[bytes, bytes] | None = None  # what described the key that was found last, and the key

    # What a source does

    def get(self, name: str) -> Secret | None:
        book = self._read()[0]
        if book is None or name not in book.entries:
            return None
        return Secret(_open(self._key(book), book, name, book.entries[name]))

    def entries(self, names: Collection[str] = ()) -> list[Entry]:
        book = self._read()[0]
        return [] if book is None else [Entry(n, self.name, book.entries[n].set_at) for n in sorted(book.entries)]

    def problem(self) -> str | None:
        return None

    # Changing

    def put(self, name: str, value: Secret) -> Entry:
        """Keep *value* under *name*, durably. Raises Unauthenticated for the wrong passphrase."""
        set_at = rfc3339(self._clock.now())

        def change(book: Book, key: bytes) -> Book:
            return replace(book, entries={**book.entries, name: self._seal(key, book.id, name, set_at, value)})

        self._change(change)
        return Entry(name, self.name, set_at)

    def remove(self, name: str) -> bool:
        """Remove *name*; False when it was not there. Needs no key."""
        for _ in range(TRIES):
            book, version = self._read()
            if book is None or name not in book.entries:
                return False
            rest = {n: sealed for n, sealed in book.entries.items() if n != name}
            if self._write(replace(book, entries=rest), version):
                return True
        raise _busy()

    def rekey(self, keys: KeyMaker) -> int:
        """Seal every value anew under a key of *keys*; returns how many there are. The old key opens nothing then."""
        for _ in range(TRIES):
            book, version = self._read()
            if book is None:
                raise NotFound("there is no encrypted file yet", hint="mcp-host secret set NAME makes one")
            old = self._key(book)
            fresh, key = self._new_book(keys)
            entries = {
                name: self._seal(key, fresh.id, name, sealed.set_at, Secret(_open(old, book, name, sealed)))
                for name, sealed in book.entries.items()
            }
            if self._write(replace(fresh, entries=entries), version):
                self._keys = keys
                self._remember(fresh, key)
                return len(entries)
        raise _busy()

    def _change(self, change: Any) -> None:
        for _ in range(TRIES):
            book, version = self._read()
            if book is None:
                book, key = self._new_book(self._keys)
            else:
                key = self._key(book)
            if self._write(change(book, key), version):
                self._remember(book, key)
                return
        raise _busy()

    def _new_book(self, keys: KeyMaker) -> tuple[Book, bytes]:
        described, key = keys.new(self._ids)
        number = self._ids.random(16).hex()
        check = self._seal(key, number, "", rfc3339(self._clock.now()), Secret(""), described)
        return Book(number, described, check, {}), key

    # Keys

    def _key(self, book: Book) -> bytes:
        described = canonical_json([book.id, dict(book.key)])
        with self._guard:
            if self._found is not None and self._found[0] == described:
                return self._found[1]
            key = self._keys.find(book.key)
            _open(key, book, "", book.check)
            self._found = (described, key)
            return key

    def _remember(self, book: Book, key: bytes) -> None:
        with self._guard:
            self._found = (canonical_json([book.id, dict(book.key)]), key)

    def _seal(
        self, key: bytes, book: str, name: str, set_at: str, value: Secret, described: Mapping[str, Any] | None = None
    ) -> Sealed:
        from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

        nonce = self._ids.random(_NONCE_BYTES)
        bound = _bound(book, name, set_at, described)
        data = ChaCha20Poly1305(key).encrypt(nonce, value.reveal().encode(), bound)
        return Sealed(set_at, base64.b64encode(nonce).decode(), base64.b64encode(data).decode())

    # The file

    def _read(self) -> tuple[Book | None, str]:
        """The book and the version to expect when writing. Raises PermissionDenied when others have access."""
        try:
            with os_errors(FILE):
                fd = os.open(self._folder / FILE, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except NotFound:
            return None, ABSENT
        try:
            with os_errors(FILE):
                _check_private(os.fstat(fd), (self._folder).stat())
                data = _drain(fd)
        finally:
            os.close(fd)
        return _parse(data), sha256_hex(data)

    def _write(self, book: Book, version: str) -> bool:
        """Whether it was written; False when another writer was first."""
        with os_errors("Argosy's configuration folder"):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            _check_folder(self._folder.stat())
        keeper = Vault(self._folder, clock=self._clock, ids=self._ids)
        try:
            keeper.replace(FILE, book.as_bytes(), expect=version)
        except (Conflict, AlreadyExists):
            return False
        finally:
            keeper.close()
        return True


def _bound(book: str, name: str, set_at: str, described: Mapping[str, Any] | None) -> bytes:
    return canonical_json([FORMAT, book, name, set_at, dict(described) if described else None])


def _open(key: bytes, book: Book, name: str, sealed: Sealed) -> str:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

    bound = _bound(book.id, name, sealed.set_at, None if name else book.key)
    try:
        nonce, data = base64.b64decode(sealed.nonce), base64.b64decode(sealed.data)
        return ChaCha20Poly1305(key).decrypt(nonce, data, bound).decode()
    except InvalidTag as exc:
        if not name:
            raise Unauthenticated(
                "the passphrase does not open the encrypted file", hint="check ARGOSY_PASSPHRASE, or type it again"
            ) from exc
        raise Corrupted(
            f"{FILE}: the value of {name} was altered", hint=f"set it again: mcp-host secret set {name}"
        ) from exc
    except ValueError as exc:
        raise Corrupted(f"{FILE}: the value of {name or 'check'} cannot be read", hint=_MEND) from exc


def _check_private(info: os.stat_result, folder: os.stat_result) -> None:
    if not stat.S_ISREG(info.st_mode):
        raise PermissionDenied(f"{FILE} is not a regular file")
    if info.st_uid != os.geteuid():
        raise PermissionDenied(f"{FILE} belongs to somebody else", hint="chown it to yourself")
    if info.st_mode & 0o077:
        raise PermissionDenied(
            f"others may read {FILE}: its mode is {stat.S_IMODE(info.st_mode):04o}",
            hint=f"chmod 600 {FILE} in Argosy's configuration folder, and change the values if others use this machine",
        )
    _check_folder(folder)


def _check_folder(info: os.stat_result) -> None:
    if info.st_uid not in (os.geteuid(), 0) or info.st_mode & 0o022:
        raise PermissionDenied("others may change Argosy's configuration folder", hint="chmod 700 the folder")


def _drain(fd: int) -> bytes:
    data = b""
    while chunk := os.read(fd, 1 << 20):
        data += chunk
        if len(data) > MAX_FILE_BYTES:
            raise Corrupted(f"{FILE} is longer than {MAX_FILE_BYTES} bytes", hint=_MEND)
    return data


def _parse(data: bytes) -> Book:
    import re

    pattern = re.compile(NAME_PATTERN)
    try:
        fields: dict[str, Any] = json.loads(data)
        if fields["format"] != FORMAT:
            raise Corrupted(f"{FILE} has a format this version does not know", hint="use a newer Argosy")
        entries = {str(name): _sealed(entry) for name, entry in fields["entries"].items()}
        if not all(map(pattern.fullmatch, entries)):
            raise ValueError("a name is none")
        return Book(str(fields["id"]), cast("dict[str, Any]", dict(fields["key"])), _sealed(fields["check"]), entries)
    except json.JSONDecodeError as exc:
        raise Corrupted(f"{FILE} line {exc.lineno}: {exc.msg}", hint=_MEND, line=exc.lineno) from exc
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as exc:
        raise Corrupted(f"{FILE} is not what it should be", hint=_MEND) from exc


def _sealed(entry: Mapping[str, Any]) -> Sealed:
    return Sealed(str(entry["set_at"]), str(entry["nonce"]), str(entry["data"]))


def _fields(sealed: Sealed) -> dict[str, str]:
    return {"set_at": sealed.set_at, "nonce": sealed.nonce, "data": sealed.data}


def _busy() -> Conflict:
    return Conflict(f"many writers are at {FILE}", hint="try again in a moment")
