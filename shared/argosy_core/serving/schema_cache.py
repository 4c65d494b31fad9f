"""Tools' schemas kept from one start to the next: making them costs more than all else that a start does.

A file is keyed by all that its schemas are made from: the tools' signatures, every source file of their packages and of
this one, the interpreter, and the distributions installed. It is used only when its key and the digest of what it holds
are right; one that is stale, damaged, somebody else's or cannot be read is as good as none. Form: one line with key and
digest, then JSON, ``{tool: [input schema, output schema or null]}``.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pydantic

from argosy_core.clock import SystemClock
from argosy_core.serving.toolbox import Schemas, ToolEntry

FORM = 1
MAX_BYTES = 4 * 1024 * 1024
FILES_KEPT = 8  # of one server: checkouts and versions that are used in turn
SETTLED_SECONDS = 10.0
_guard = threading.Lock()


@dataclass(slots=True)
class Loaded:
    """This process's code: when it was loaded (seconds since 1970), and the folder that ours and all beside it is in.

    What changed after that is not what it runs, and what lies elsewhere may import anything.
    """

    at: float
    root: Path
    _states: dict[str, bytes] = field(default_factory=dict[str, bytes])

    def state_of(self, package: str) -> bytes:
        """Which code of ours *package* is. Raises Unknown, OSError."""
        if package not in self._states:
            root = Path(sys.modules[package].__file__ or "").resolve().parent
            if not root.is_relative_to(self.root):
                raise Unknown
            self._states[package] = self._state(_sources(root))
        return self._states[package]

    def surroundings_of(self, package: str) -> bytes:
        """What is installed beside *package*, itself included. Raises Unknown, OSError."""
        folder = Path(sys.modules[package].__file__ or "").parents[1]
        if str(folder) not in self._states:
            self._states[str(folder)] = self._state(_distributions(folder))
        return self._states[str(folder)]

    def _state(self, files: Iterator[tuple[str, os.stat_result]]) -> bytes:
        found = sorted((path, info.st_ino, info.st_size, info.st_mtime_ns, info.st_ctime_ns) for path, info in files)
        # What was written while this process was being loaded may be older or newer than what it runs.
        if not found or max(max(mtime, ctime) for *_, mtime, ctime in found) > (self.at - SETTLED_SECONDS) * 1e9:
            raise Unknown
        return repr(found).encode()


class Unknown(Exception):
    """It cannot be told which code this process runs."""


LOADED = Loaded(SystemClock().now().timestamp(), Path(__file__).resolve().parents[3])


def cache_folder() -> Path | None:
    """``$XDG_CACHE_HOME/argosy``, else ``~/.cache/argosy``; None for a user without a home."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    try:
        home = Path(base) if Path(base).is_absolute() else Path("~/.cache").expanduser()
    except RuntimeError:
        return None
    return home / "argosy"


def fill_schemas(server: str, entries: Sequence[ToolEntry], loaded: Loaded = LOADED) -> None:
    """Give *entries*, all the tools of *server*, their schemas: the kept ones, else made now and kept.

    Raises nothing on behalf of the cache.
    """
    with _guard:
        folder = cache_folder()
        key = _key(entries, loaded) if server.isidentifier() else None
        path = None if folder is None or key is None else folder / f"{server}-{key[:16]}.json"
        kept = _read(path, key) if path and key else dict[str, Schemas]()
        if kept.keys() == {entry.name for entry in entries}:
            for entry in entries:
                entry.kept_schemas = kept[entry.name]
            return
        made = {entry.name: entry.schemas for entry in entries}
        if path and key:
            with suppress(OSError):
                _keep(path, key, made, server)


# The key


def _key(entries: Sequence[ToolEntry], loaded: Loaded) -> str | None:
    """The digest of what the schemas are made from; None when that cannot be known."""
    packages = {"argosy_core", *(entry.function.__module__.partition(".")[0] for entry in entries)}
    digest = hashlib.sha256(repr((FORM, sys.version, sys.flags.optimize, pydantic.VERSION)).encode())
    try:
        for package in ("pydantic", "mcp"):
            digest.update(loaded.surroundings_of(package))
        for package in sorted(packages):
            digest.update(loaded.state_of(package))
    except (OSError, LookupError, Unknown):
        return None
    for entry in entries:
        made_of = entry.function
        parts = (entry.name, made_of.__module__, made_of.__annotations__, made_of.__defaults__, made_of.__kwdefaults__)
        digest.update(repr(parts).encode())
    return digest.hexdigest()


def _distributions(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    """What is installed in *folder*: a name with its version each, changed by every installation."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(".dist-info"):
                yield entry.path, entry.stat()


def _sources(root: Path) -> Iterator[tuple[str, os.stat_result]]:
    for folder, folders, _ in os.walk(root):
        folders[:] = [name for name in folders if name != "__pycache__"]
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.endswith(".py"):
                    yield entry.path, entry.stat()


# The file


def _read(path: Path, key: str) -> Mapping[str, Schemas]:
    try:
        head, _, body = _own_bytes(path).partition(b"\n")
        if head.decode() != _head(key, body):
            return {}
        found: Any = json.loads(body)
        return {name: Schemas(_schema(taken), given and _schema(given)) for name, (taken, given) in found.items()}
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return {}


def _own_bytes(path: Path) -> bytes:
    """What is in the file, when nobody else can have written it. Raises OSError, ValueError."""
    _check_own(path.parent.lstat(), stat.S_IFDIR)
    with open(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
        _check_own(os.fstat(file.fileno()), stat.S_IFREG)
        return file.read(MAX_BYTES)


def _check_own(info: os.stat_result, kind: int) -> None:
    if info.st_uid != os.getuid() or stat.S_IFMT(info.st_mode) != kind or info.st_mode & 0o022:
        raise PermissionError


def _schema(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError
    return cast("dict[str, Any]", value)


def _head(key: str, body: bytes) -> str:
    return f"{key} {hashlib.sha256(body).hexdigest()}"


def _keep(path: Path, key: str, made: Mapping[str, Schemas], server: str) -> None:
    body = json.dumps(made, ensure_ascii=False).encode("utf-8", "surrogatepass")
    if len(body) > MAX_BYTES // 2 or json.loads(body) != {name: list(schemas) for name, schemas in made.items()}:
        return  # a schema that JSON does not give back as it was
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _check_own(path.parent.lstat(), stat.S_IFDIR)
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
    with open(os.open(temporary, flags, 0o600), "wb") as file:
        file.write(f"{_head(key, body)}\n".encode() + body)
    temporary.replace(path)
    found = sorted(path.parent.glob(f"{server}-*"), key=lambda one: one.lstat().st_mtime_ns, reverse=True)
    for old in found[FILES_KEPT:]:
        old.unlink(missing_ok=True)
