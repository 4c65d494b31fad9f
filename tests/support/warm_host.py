"""A process that has imported the whole library and becomes, as often as it is asked, a program of it.

A start of its own costs a test nine tenths of a second of a processor, nearly all of it for importing the SDK. Here
a start is a fork. What asks is `warm_start.py`, a process of its own in the program's place: it hands over its three
standard streams, its folder and its environment, passes signals on and ends as the program ended; when it is killed,
so is the program. Tests of what a start imports, of process ids or of terminals use real starts.

A request is one message: eight digits of length, then parts separated by NUL: folder, number of arguments, arguments,
environment. The answer is the pid and a newline, and at the end the wait status and a newline.
"""

from __future__ import annotations

import array
import atexit
import ctypes
import gc
import importlib
import io
import os
import runpy
import selectors
import signal
import socket
import sys
import threading
import traceback
import warnings
from contextlib import suppress
from typing import Any

PRELOADED = ("argosy_host.cli.serve_alone", "argosy_host.gateway", "argosy_host.session", "uvicorn", "jsonschema")
PACKAGES = ("desk", "goal", "journal", "judge", "log", "memory", "queue", "registry", "scheduler", "secrets")
_KILL_WITH_PARENT = 1  # PR_SET_PDEATHSIG


def main(path: str) -> None:
    """Serve requests at the socket *path* until stdin ends."""
    for name in (*PRELOADED, *(f"argosy_{package}.server" for package in PACKAGES), "argosy_host.server"):
        importlib.import_module(name)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(path)
    listener.listen(64)
    print("ready", flush=True)
    gc.collect()
    gc.freeze()
    _Nursery(listener).run()


class _Nursery:
    """The programs that run, each with the connection that asked for it."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._asking: dict[int, socket.socket] = {}
        self._selector = selectors.DefaultSelector()
        self._woken, waker = socket.socketpair()
        for end in (self._woken, waker):
            end.setblocking(False)
        self._waker = waker
        signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def run(self) -> None:
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._selector.register(0, selectors.EVENT_READ)
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._listener:
                    self._begin(self._listener.accept()[0])
                elif key.fileobj is self._woken:
                    self._woken.recv(4096)
                elif key.fd == 0:
                    return
                else:
                    self._left(key.fileobj)  # type: ignore[arg-type]
            self._reap()

    def _begin(self, asking: socket.socket) -> None:
        fds, parts = _request(asking)
        pid = os.fork()
        if pid == 0:
            self._forget()
            _become(fds, parts)
        for fd in fds:
            os.close(fd)
        self._asking[pid] = asking
        self._selector.register(asking, selectors.EVENT_READ)
        with suppress(OSError):
            asking.sendall(b"%d\n" % pid)

    def _left(self, asking: socket.socket) -> None:
        """Nobody waits for its program any more."""
        self._selector.unregister(asking)
        for pid, each in self._asking.items():
            if each is asking:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def _reap(self) -> None:
        while self._asking:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            asking = self._asking.pop(pid)
            with suppress(KeyError):
                self._selector.unregister(asking)
            with suppress(OSError):
                asking.sendall(b"%d\n" % status)
            asking.close()

    def _forget(self) -> None:
        """In the child: what is its parent's alone."""
        ctypes.CDLL(None).prctl(_KILL_WITH_PARENT, signal.SIGKILL)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._selector.close()
        for each in (self._listener, self._woken, self._waker, *self._asking.values()):
            each.close()


def _request(asking: socket.socket) -> tuple[list[int], list[str]]:
    fds = array.array("i")
    data, control, _, _ = asking.recvmsg(1 << 16, socket.CMSG_SPACE(3 * fds.itemsize))
    for _, _, held in control:
        fds.frombytes(held)
    length = int(data[:8])
    while len(data) < 8 + length:
        data += asking.recv(1 << 16)
    return list(fds), os.fsdecode(data[8:]).split("\0")


def _become(fds: list[int], parts: list[str]) -> None:
    """Run the program and end as it ends."""
    code = 1
    try:
        for number, fd in enumerate(fds):
            os.dup2(fd, number)
            os.close(fd)
        folder, count, *rest = parts
        arguments, environment = rest[: int(count)], rest[int(count) :]
        os.chdir(folder)
        os.environ.clear()
        for entry in environment:
            name, _, value = entry.partition("=")
            os.environ[name] = value
        _streams()
        code = _run(arguments)
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    except BaseException:
        traceback.print_exc()
    finally:
        with suppress(BaseException):
            threading._shutdown()  # type: ignore[attr-defined]
            atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)


def _streams() -> None:
    def text(fd: int, mode: str, errors: str, *, buffered: bool) -> io.TextIOWrapper:
        raw: Any = io.FileIO(fd, mode, closefd=False)
        buffer = io.BufferedReader(raw) if mode == "rb" else io.BufferedWriter(raw)
        return io.TextIOWrapper(buffer, encoding="utf-8", errors=errors, line_buffering=not buffered)

    sys.stdin = sys.__stdin__ = text(0, "rb", "surrogateescape", buffered=True)
    sys.stdout = sys.__stdout__ = text(1, "wb", "surrogateescape", buffered=not os.isatty(1))
    sys.stderr = sys.__stderr__ = text(2, "wb", "backslashreplace", buffered=False)


def _run(arguments: list[str]) -> int:
    """The exit status of ``python`` with *arguments*: ``-W error`` or nothing, then ``-m MODULE`` or a file."""
    if arguments[:2] == ["-W", "error"]:
        warnings.simplefilter("error")
        arguments = arguments[2:]
    try:
        if arguments[0] == "-m":
            sys.argv = arguments[1:]
            runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
        else:
            sys.argv = arguments
            sys.path.insert(0, os.path.dirname(arguments[0]))
            runpy.run_path(arguments[0], run_name="__main__")
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        print(end.code, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    main(sys.argv[1])
