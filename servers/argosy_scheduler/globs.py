"""Which files of the vault a trigger may watch, and which a change touches."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import translate
from functools import cached_property

from argosy_core.errors import InvalidArgument
from argosy_core.names import check_path

# Written by every run or by the fleet itself: a trigger on them would start itself for ever.
_MACHINE_FOLDERS = frozenset({"log", "outcomes", "conversations"})
_FLEET = "_fleet"
_FLEET_BY_HAND = frozenset({"skills", "playbooks"})
_HINT = "name a folder and files, relative to the vault: inbox/*.md, harbor/drafts/**/*.md"


@dataclass(frozen=True)
class Glob:
    """A pattern over vault-relative paths: ``*`` and ``?`` within a name, ``**`` for any number of folders."""

    pattern: str

    def matches(self, path: str) -> bool:
        """Whether *path* is meant. Hidden files and what runs write themselves never are."""
        parts = path.split("/")
        return not _is_machine_made(parts) and _match(parts, self._names)

    @cached_property
    def root(self) -> str:
        """The folder that holds every file meant, named without wildcards."""
        parts = self.pattern.split("/")
        plain = next((i for i, part in enumerate(parts) if _is_wild(part)), len(parts) - 1)
        return "/".join(parts[:plain])

    @cached_property
    def _names(self) -> list[re.Pattern[str] | None]:
        return [None if part == "**" else re.compile(translate(part)) for part in self.pattern.split("/")]


def check_glob(pattern: str) -> Glob:
    """*pattern* as a glob. Raises InvalidArgument for one that leaves the vault or would watch everything."""
    if not pattern or pattern.strip("/*?. ") == "":
        raise _refused(f"the glob {pattern[:60]!r} watches everything")
    if set(pattern) & set("[]{}!"):
        raise _refused("a glob has the wildcards *, ? and ** only")
    try:
        parts = check_path(pattern)
    except InvalidArgument as exc:
        raise _refused(f"the glob {pattern[:60]!r} is no path inside the vault") from exc
    if any("**" in part and part != "**" for part in parts):
        raise _refused("** stands for whole folders: write it between slashes")
    if parts.count("**") > 2:
        raise _refused("** stands at most twice in a glob")
    if parts[0].startswith("~"):
        raise _refused(f"the glob {pattern[:60]!r} leads out of the vault")
    if len(parts) < 2 or _is_wild(parts[0]):
        raise _refused(f"the glob {pattern[:60]!r} reaches into every folder of the vault")
    if any(part.startswith(".") for part in parts):
        raise _refused("hidden folders, like .argosy and .git, are not watched")
    if _is_machine_made(list(parts)):
        raise _refused(f"{'/'.join(parts[:2])} is written by the fleet itself: watching it would never end")
    return Glob("/".join(parts))


def _is_machine_made(parts: list[str]) -> bool:
    if any(part.startswith(".") for part in parts):
        return True
    if parts[0] == _FLEET:
        return len(parts) < 2 or parts[1] not in _FLEET_BY_HAND
    return len(parts) > 1 and parts[1] in _MACHINE_FOLDERS


def _is_wild(part: str) -> bool:
    return "*" in part or "?" in part


def _match(parts: list[str], names: list[re.Pattern[str] | None]) -> bool:
    """Whether *parts* are what *names* say; None stands for any number of folders."""
    if not names or not parts:
        return not names and not parts
    name, following = names[0], names[1:]
    if name is not None:
        return name.match(parts[0]) is not None and _match(parts[1:], following)
    return not following or any(_match(parts[skip:], following) for skip in range(len(parts)))


def _refused(message: str) -> InvalidArgument:
    return InvalidArgument(message, hint=_HINT, field="watch")
