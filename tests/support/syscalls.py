"""What a process told the operating system, as strace wrote it down, held against the laws of durable writing.

R1  no file is renamed while writes to it are not synced
R2  nothing is acknowledged while a folder that got, lost or renamed a file is not synced
R3  no file is written in place: writes go to a draft, or to the end of a file opened for appending
R4  every acknowledgement has a durable change of its own before it, in the folder that it names
R5  nothing is acknowledged while appended bytes are not synced

What lies under ``.argosy`` is rebuilt and may be written in any way; ``INDEX.md`` is written in the background.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

CALLS = "openat,write,pwrite64,writev,ftruncate,fsync,fdatasync,rename,renameat,renameat2,unlink,unlinkat,mkdir,mkdirat"
ACK = "ACK "
_LINE = re.compile(r"(?P<pid>\d+) +(?P<rest>.*)")
_RESUMED = re.compile(r"<\.\.\. \w+ resumed>(?P<rest>.*)")
_CALL = re.compile(r"(?P<name>\w+)\((?P<arguments>.*)\) += (?P<result>-?\d+).*")
_FD = re.compile(r"(?:\d+|AT_FDCWD)<(?P<path>[^>]*)>")
_TEXT = re.compile(r'"(?P<text>(?:[^"\\]|\\.)*)"')
BEHIND = "INDEX.md"


def why_not() -> str | None:
    """Why no process can be traced here; None when one can. Where ``CI`` is ``true`` the tests may not go without, and
    it is None too: they then fail with what is missing."""
    reason = _hindrance()
    return None if os.environ.get("CI") == "true" else reason


def _hindrance() -> str | None:
    if shutil.which("strace") is None:
        return "strace is not installed"
    ran = subprocess.run(["strace", "-f", "-e", "trace=fsync", "true"], capture_output=True, text=True, timeout=20)
    return f"tracing is forbidden: {ran.stderr.strip()[-200:]}" if ran.returncode else None


def trace(command: Sequence[str], into: Path, env: dict[str, str]) -> list[Call]:
    """Run *command* to its end under strace; the calls of all its threads, in the order of their ends."""
    tracer = ["strace", "-f", "-y", "-s", "120", "-e", f"trace={CALLS}", "-o", str(into)]
    ran = subprocess.run([*tracer, *command], env=env, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr
    return list(parse(into.read_text(errors="replace").splitlines()))


@dataclass(frozen=True, slots=True)
class Call:
    """One call that did not fail; *paths* are the files it names, *text* the first text it gives."""

    name: str
    paths: tuple[str, ...]
    text: str = ""
    flags: str = ""


def parse(lines: Iterable[str]) -> Iterator[Call]:
    """The calls in *lines* that succeeded."""
    begun: dict[str, str] = {}
    for line in lines:
        if not (found := _LINE.fullmatch(line)):
            continue
        pid, rest = found["pid"], found["rest"]
        if rest.endswith("<unfinished ...>"):
            begun[pid] = rest.removesuffix("<unfinished ...>").rstrip()
            continue
        if resumed := _RESUMED.fullmatch(rest):
            rest = begun.pop(pid, "") + resumed["rest"].lstrip()
        call = _CALL.fullmatch(rest)
        if call and int(call["result"]) >= 0:
            yield _call(call["name"], call["arguments"])


def _call(name: str, arguments: str) -> Call:
    texts = [found["text"] for found in _TEXT.finditer(arguments)]
    fds = [found["path"] for found in _FD.finditer(arguments)]
    if name in ("write", "pwrite64", "writev", "ftruncate", "fsync", "fdatasync"):
        return Call(name, (fds[0],), texts[0] if texts else "")
    plain = name.removesuffix("at2").removesuffix("at")
    folders = fds if len(fds) >= len(texts) else [fds[0] if fds else ""] * len(texts)
    paths = tuple(
        text if text.startswith("/") else f"{folder}/{text}" for folder, text in zip(folders, texts, strict=False)
    )
    return Call(plain, paths, flags=arguments)


@dataclass(slots=True)
class Laws:
    """The calls of one process that writes to the vault *root*, as they come; *broken* says what they did wrong."""

    root: str
    broken: list[str] = field(default_factory=list[str])
    acknowledged: int = 0
    synced: Counter[str] = field(default_factory=Counter[str])
    """How often each file was synced, by path."""
    _appended: set[str] = field(default_factory=set[str])
    _dirty: set[str] = field(default_factory=set[str])
    _changed: dict[str, set[str]] = field(default_factory=dict[str, set[str]])
    _durable: list[str] = field(default_factory=list[str])

    def follow(self, calls: Iterable[Call]) -> Laws:
        """Take in *calls*."""
        for call in calls:
            if call.name == "write" and call.text.startswith(ACK):
                self._acknowledge(call.text.removesuffix("\\n"))
            elif call.name in ("fsync", "fdatasync"):
                self._sync(call.paths[0])
            elif any(self._concerns(path) for path in call.paths):
                self._follow(call)
        return self

    def _concerns(self, path: str) -> bool:
        return path.startswith(f"{self.root}/") and not path.startswith(f"{self.root}/.argosy")

    def _follow(self, call: Call) -> None:
        path = call.paths[-1]
        if call.name == "open":
            if "O_APPEND" in call.flags:
                self._appended.add(path)
        elif call.name in ("write", "pwrite64", "writev", "ftruncate"):
            self._write(path)
        elif call.name == "rename":
            if call.paths[0] in self._dirty:
                self.broken.append(f"R1 {self._short(path)} was renamed before its bytes were synced")
            self._change(path)
        elif call.name == "mkdir" or (call.name == "unlink" and not path.endswith(".tmp")):
            self._change(path)

    def _write(self, path: str) -> None:
        if not path.endswith(".tmp") and path not in self._appended:
            self.broken.append(f"R3 {self._short(path)} was written in place")
        self._dirty.add(path)

    def _change(self, path: str) -> None:
        folder, _, name = path.rpartition("/")
        self._changed.setdefault(folder, set()).add(name)

    def _sync(self, path: str) -> None:
        self.synced[path] += 1
        if path in self._dirty:
            self._dirty.discard(path)
            self._durable += [] if path.endswith(".tmp") else [path]
        for name in self._changed.pop(path, ()):
            self._durable.append(f"{path}/{name}")

    def _acknowledge(self, what: str) -> None:
        self.acknowledged += 1
        for folder, names in self._changed.items():
            if names - {BEHIND}:
                self.broken.append(f"R2 {what}: {self._short(folder)} was not synced after {sorted(names)}")
        if appended := [path for path in self._dirty if not path.endswith(".tmp")]:
            self.broken.append(f"R5 {what}: {[self._short(path) for path in appended]} was not synced")
        folder = what.rpartition(" ")[2]
        if not any(f"/{folder}/" in path for path in self._durable):
            self.broken.append(f"R4 {what}: nothing in {folder} was durable since the last one")
        self._durable = []

    def _short(self, path: str) -> str:
        return path.removeprefix(self.root)
