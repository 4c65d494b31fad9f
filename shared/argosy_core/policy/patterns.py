"""Sets of names, folders and hosts that only nest: of two patterns one is inside the other, or they share nothing.

That makes the common part of two sets as simple as the sets. None stands for everything, the empty set for nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from argosy_core.errors import InvalidArgument

Patterns = frozenset[str] | None
Inside = Callable[[str, str], bool]
MAX_CHARS = 300


def name_inside(name: str, pattern: str) -> bool:
    """Whether *name* (a name or ``prefix*``) is covered by *pattern*."""
    if pattern.endswith("*"):
        return name.removesuffix("*").startswith(pattern[:-1]) or name == pattern
    return name == pattern


def path_inside(path: str, folder: str) -> bool:
    """Whether *path* is *folder* or lies in it; both relative to the vault, ``.`` is the vault."""
    return folder == "." or path == folder or path.startswith(folder + "/")


def host_inside(host: str, pattern: str) -> bool:
    """Whether *host* is covered by *pattern*: the same, ``*`` (any), or ``*.example.org`` (those below it)."""
    if pattern == "*" or host == pattern:
        return True
    return pattern.startswith("*.") and host.removeprefix("*").endswith(pattern[1:]) and host != "*"


def covers(patterns: Patterns, name: str, inside: Inside) -> bool:
    """Whether *name* is in the set."""
    return patterns is None or any(inside(name, pattern) for pattern in patterns)


def common(left: Patterns, right: Patterns, inside: Inside) -> Patterns:
    """What is in both sets, in its shortest form."""
    if left is None or right is None:
        both = right if left is None else left
        return None if both is None else shortest(both, inside)
    narrower = [a for a in left if covers(right, a, inside)] + [b for b in right if covers(left, b, inside)]
    return shortest(narrower, inside)


def shortest(patterns: Iterable[str], inside: Inside) -> frozenset[str]:
    """The set without patterns that another one covers."""
    found = frozenset(patterns)
    return frozenset(p for p in found if not any(p != other and inside(p, other) for other in found))


def check_names(names: Iterable[str], what: str) -> frozenset[str]:
    """*names* as a set of names and ``prefix*``. Raises InvalidArgument."""
    found = frozenset(names)
    for name in found:
        bare = name.removesuffix("*")
        if not name.isprintable() or not name.strip() or "*" in bare or " " in name or len(name) > MAX_CHARS:
            raise InvalidArgument(f"{what}: {name[:80]!r} is no name", hint="a tool's name, or prefix*")
    return shortest(found, name_inside)


def check_hosts(hosts: Iterable[str]) -> frozenset[str]:
    """*hosts* in lower case. Raises InvalidArgument for what is neither a host nor ``*.example.org``."""
    found = frozenset(host.strip().lower().rstrip(".") for host in hosts)
    for host in found:
        bare = host.removeprefix("*.")
        bad = not bare or not bare.isascii() or any(c in bare for c in "/\\@ ?#") or ("*" in bare and host != "*")
        if bad or len(host) > MAX_CHARS or not host.isprintable():
            raise InvalidArgument(f"{host[:80]!r} is no host", hint="write api.example.org or *.example.org")
    return shortest(found, host_inside)
