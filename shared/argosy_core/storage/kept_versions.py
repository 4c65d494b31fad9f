"""Where earlier contents of a document are kept: ``.versions/<stem>/<stamp>_<8hex><suffix>`` beside it."""

from __future__ import annotations

import os
from collections.abc import Sequence

from argosy_core.names import check_path
from argosy_core.storage.base import FileInfo, Files


def versions_of(files: Files, path: str) -> Sequence[FileInfo]:
    """The kept contents of *path*, newest first. Raises InvalidArgument."""
    *folder, name = check_path(path)
    stem, suffix = os.path.splitext(name)
    kept = files.files("/".join((*folder, ".versions", stem)), suffix)
    # Documents that differ in their suffix share a folder.
    return [info for info in reversed(kept) if os.path.splitext(info.path)[1] == suffix]
