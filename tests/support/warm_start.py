"""Stands in a program's place while `warm_host.py` runs it: ``warm_start.py SOCKET ARGUMENTS…``."""

from __future__ import annotations

import os
import signal
import socket
import sys
from array import array
from contextlib import suppress

PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1)


def main() -> None:
    pid: list[int] = []
    early: list[int] = []

    def pass_on(number: int, _frame: object) -> None:
        if not pid:
            early.append(number)
            return
        with suppress(ProcessLookupError):
            os.kill(pid[0], number)

    for number in PASSED_ON:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, pass_on)
    host = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    host.connect(sys.argv[1])
    arguments = sys.argv[2:]
    environment = [f"{name}={value}" for name, value in os.environ.items()]
    body = os.fsencode("\0".join([os.getcwd(), str(len(arguments)), *arguments, *environment]))
    held = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", [0, 1, 2]))]
    message = b"%08d" % len(body) + body
    message = message[host.sendmsg([message], held) :]
    host.sendall(message)
    nothing = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(nothing, fd)  # they are the program's alone now
    lines = host.makefile("rb")
    pid.append(int(lines.readline()))
    for number in early:
        os.kill(pid[0], number)
    status = int(lines.readline() or b"256")
    if os.WIFSIGNALED(status):
        with suppress(OSError):  # SIGKILL takes no handler
            signal.signal(os.WTERMSIG(status), signal.SIG_DFL)
        os.kill(os.getpid(), os.WTERMSIG(status))
    os._exit(os.waitstatus_to_exitcode(status))


main()
