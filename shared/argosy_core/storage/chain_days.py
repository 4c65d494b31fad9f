"""Where the entries of a stream are kept: ``<stream>/log/YYYY-MM/YYYY-MM-DD.jsonl``. Other files there are nobody's."""

from __future__ import annotations

import re
from datetime import date

from argosy_core.storage.base import FileInfo, Files

_MONTH = re.compile(r"\d{4}-\d{2}")
_DAY = re.compile(r"(\d{4}-\d{2})/\1-\d{2}\.jsonl")


def log_folder(stream: str) -> str:
    """The folder of the stream's log."""
    return f"{stream}/log"


def day_path(stream: str, day: date) -> str:
    """The file of *day*."""
    name = day.isoformat()
    return f"{stream}/log/{name[:7]}/{name}.jsonl"


def is_day_path(path: str) -> bool:
    """Whether *path* is a day file of some stream's log."""
    stream, _, rest = path.partition("/log/")
    return bool(stream) and "/" not in stream and _DAY.fullmatch(rest) is not None


def day_files(vault: Files, stream: str, first: str = "") -> list[FileInfo]:
    """The day files of *stream* in order, from the path *first* on."""
    folder = log_folder(stream)
    months = [name for name in vault.folders(folder) if _MONTH.fullmatch(name) and f"{folder}/{name}~" > first]
    found = [info for name in months for info in vault.files(f"{folder}/{name}", ".jsonl")]
    return [info for info in found if info.path >= first and _DAY.fullmatch(info.path.removeprefix(f"{folder}/"))]
