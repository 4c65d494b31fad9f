"""What the operating system says of a file, in the words of the error tree."""

from __future__ import annotations

import errno
import os
from collections.abc import Generator
from contextlib import contextmanager

from argosy_core.errors import ArgosyError, Corrupted, InvalidArgument, NotFound, PermissionDenied, Unavailable

_LINK = (errno.ELOOP, errno.ENOTDIR, errno.ENXIO)
_DENIED = (errno.EACCES, errno.EPERM)
_FULL = (errno.ENOSPC, errno.EDQUOT)
_TOO_MANY = (errno.EMFILE, errno.ENFILE)
_INTERRUPTED = (errno.EINTR, errno.EAGAIN)


@contextmanager
def os_errors(path: str) -> Generator[None]:
    """Turn what the operating system says of *path* into the error tree."""
    try:
        yield
    except ArgosyError:
        raise
    except OSError as exc:
        raise _translate(exc, path) from exc


def _translate(exc: OSError, path: str) -> ArgosyError:
    if exc.errno == errno.ENOENT:
        return NotFound(f"there is no {path}", path=path)
    if exc.errno in _LINK:
        return PermissionDenied(f"{path} is, or lies behind, a link or a special file", path=path)
    if exc.errno in _DENIED:
        return PermissionDenied(f"no permission for {path}", hint="check the owner and mode of the file", path=path)
    if exc.errno == errno.EROFS:
        hint = "make the folder's file system writable"
        return PermissionDenied(f"{path} lies on a read-only file system", hint=hint, path=path)
    if exc.errno in _INTERRUPTED:
        return Unavailable(f"the work on {path} was interrupted", hint="try again", path=path)
    if exc.errno in _FULL:
        return Unavailable(f"the disk is full: {path} was not written", hint="free some space", path=path)
    if exc.errno in _TOO_MANY:
        return Unavailable(f"too many open files to open {path}", hint="raise the limit: ulimit -n", path=path)
    if exc.errno in (errno.EISDIR, errno.ENAMETOOLONG):
        return InvalidArgument(f"{path} cannot be a file", path=path)
    return Corrupted(f"{path}: {os.strerror(exc.errno or 0)}", hint="check the disk", path=path)
