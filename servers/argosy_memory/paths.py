"""Where what a caller names lies: a note by its name, a page or a source by its name or its URI."""

from __future__ import annotations

from argosy_core.errors import InvalidArgument
from argosy_core.names import check_new_name, check_path

_PREFIXES = {
    "memory://note/": "memory",
    "wiki://": "wiki",
    "raw://": "raw",
    "wiki/": "wiki",
    "raw/": "raw",
    "memory/": "memory",
}
MOST_FOLDERS = 6


def path_of(agent: str, name: str) -> str:
    """The file that *name* means. Raises InvalidArgument for what cannot be a name."""
    folder, rest = "memory", name
    for prefix, found in _PREFIXES.items():
        if name.startswith(prefix):
            folder, rest = found, name.removeprefix(prefix)
            break
    if folder == "memory" and "/" in rest:
        raise InvalidArgument(f"not the name of a note: {rest[:80]!r}", hint="memory_search finds notes by words")
    path = f"{agent}/{folder}/{rest}"
    check_path(path)
    return path if folder == "raw" else f"{path.removesuffix('.md')}.md"


def new_path(agent: str, folder: str, name: str, suffix: str = "") -> str:
    """The path of a file that is to be made in *folder*. Raises InvalidArgument for a name some system cannot hold."""
    parts = name.strip().split("/")
    if len(parts) > MOST_FOLDERS:
        raise InvalidArgument(f"at most {MOST_FOLDERS - 1} folders deep", hint="use fewer folders")
    checked = "/".join(check_new_name(part.strip()) for part in parts)
    return f"{agent}/{folder}/{checked.removesuffix(suffix) if suffix else checked}{suffix}"
