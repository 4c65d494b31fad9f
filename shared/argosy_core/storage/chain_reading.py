"""Reading on in a stream's day files from where an earlier reader stopped.

A position is ``<earlier>:<offset>:<time>:<tail>:<path>``: a digest of the names and stamps of the day files before
*path*, how many bytes of *path* were read, its time when that was all of it (else 0), and a digest of the last of them.
"""

from __future__ import annotations

from argosy_core.canonical import sha256_hex
from argosy_core.storage.base import FileInfo, Files, Piece
from argosy_core.storage.chain_days import day_files

TAIL_BYTES = 128
_DIGEST_CHARS = 16


def read_piece(files: Files, stream: str, position: str, max_bytes: int) -> Piece:
    """`Chain.read_on` over day files."""
    days = day_files(files, stream)
    found = _resume(files, days, position)
    number, offset = found or (0, 0)
    lines: list[tuple[str, bytes]] = []
    taken = 0
    while number < len(days) and taken < max_bytes:
        info, is_last = days[number], number == len(days) - 1
        data = _whole_lines(files, info, offset, max_bytes - taken, is_last=is_last)
        lines += [(info.path, line.rstrip(b"\r")) for line in data.split(b"\n")[: None if _is_open(data) else -1]]
        taken += len(data)
        offset += len(data)
        if is_last or offset < info.stamp[1]:
            break
        number, offset = number + 1, 0
    return Piece(lines, _position(files, days, number, offset), is_anew=bool(position) and found is None)


def _is_open(data: bytes) -> bool:
    return bool(data) and not data.endswith(b"\n")


def _whole_lines(files: Files, info: FileInfo, offset: int, max_bytes: int, *, is_last: bool) -> bytes:
    """Bytes from *offset* that end with a line's end; the end of a file that is not the last one is such an end too."""
    rest = info.stamp[1] - offset
    size = min(max(max_bytes, 1), rest)
    while size > 0:
        data = files.read_from(info.path, offset, size)
        whole = data if size >= rest and not is_last else data[: data.rfind(b"\n") + 1]
        if whole or size >= rest:
            return whole
        size = min(size * 4, rest)  # one line is longer than was asked for
    return b""


def _resume(files: Files, days: list[FileInfo], position: str) -> tuple[int, int] | None:
    """Which of *days* to read on in, and from where; None for the beginning."""
    earlier, _, rest = position.partition(":")
    offset, _, rest = rest.partition(":")
    time, _, rest = rest.partition(":")
    tail, _, path = rest.partition(":")
    number = next((n for n, info in enumerate(days) if info.path == path), None)
    if number is None or not offset.isdecimal() or earlier != _earlier(days[:number]):
        return None
    mtime_ns, size = days[number].stamp
    # Written to without having grown: somebody changed what was read.
    is_edited = size == int(offset) and time not in ("0", str(mtime_ns))
    is_same = size >= int(offset) and not is_edited and tail == _tail(files, path, int(offset))
    return (number, int(offset)) if is_same else None


def _position(files: Files, days: list[FileInfo], number: int, offset: int) -> str:
    if not days:
        return ""
    path, (mtime_ns, size) = days[number].path, days[number].stamp
    time = mtime_ns if offset == size else 0
    return f"{_earlier(days[:number])}:{offset}:{time}:{_tail(files, path, offset)}:{path}"


def _earlier(days: list[FileInfo]) -> str:
    named = "\n".join(f"{info.path} {info.stamp}" for info in days)
    return sha256_hex(named.encode("utf-8", "surrogatepass"))[:_DIGEST_CHARS]


def _tail(files: Files, path: str, offset: int) -> str:
    start = max(0, offset - TAIL_BYTES)
    return sha256_hex(files.read_from(path, start, offset - start))[:_DIGEST_CHARS]
