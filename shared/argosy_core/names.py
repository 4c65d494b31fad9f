"""Which names may exist in a vault, and how a title becomes one."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

from argosy_core.errors import InvalidArgument

MAX_NAME_BYTES = 200
MAX_DEPTH = 32
# What Windows cannot hold, and what Obsidian cannot hold or link to.
_UNPORTABLE = frozenset('<>:"|?*#^[]')
_PLAIN = re.compile(rf"\w[\w. -]{{0,{MAX_NAME_BYTES - 1}}}", re.ASCII)  # nearly every name
_DEVICES = frozenset({"con", "prn", "aux", "nul", *(f"{d}{n}" for d in ("com", "lpt") for n in "123456789")})
# Characters that hide or reorder others: zero-width, bidirectional controls, byte-order mark, tags.
_DECEPTIVE = re.compile("[\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff\U000e0000-\U000e007f]")


def check_path(path: str) -> tuple[str, ...]:
    """The components of *path*, a vault-relative POSIX path.

    Raises InvalidArgument for an absolute path, ``..``, a backslash, a control or deceptive character, an empty or
    over-long component, or a depth above 32. Whether the path exists is not looked at.
    """
    if not path or path.startswith("/") or "\\" in path or "\0" in path:
        raise InvalidArgument(f"not a path inside the vault: {_shown(path)}", hint="give a path relative to the vault")
    parts = tuple(path.split("/"))
    if len(parts) > MAX_DEPTH:
        raise InvalidArgument("path is too deep", hint=f"use at most {MAX_DEPTH} folders")
    for part in parts:
        _check_component(part)
    return parts


def check_new_name(name: str) -> str:
    """*name* as it may be given to a new file or folder, in Unicode's composed form (NFC).

    Raises InvalidArgument when Windows, macOS or Obsidian could not hold it.
    """
    name = unicodedata.normalize("NFC", name)
    _check_component(name)
    if "/" in name or "\\" in name:
        raise InvalidArgument(f"a name holds no slash: {_shown(name)}", hint="give the name without its folder")
    bad = sorted(set(name) & _UNPORTABLE)
    if bad:
        raise InvalidArgument(f"the name {_shown(name)} holds {' '.join(bad)}", hint="leave these characters out")
    if name[-1] in ". " or name[0] in ". " or name.split(".")[0].lower() in _DEVICES:
        raise InvalidArgument(f"some systems cannot hold the name {_shown(name)}", hint="choose another name")
    return name


def is_sound(name: str) -> bool:
    """Whether `check_path` takes *name* as a component; a folder may hold others, made by other programs."""
    if _PLAIN.fullmatch(name):
        return True
    try:
        return check_path(name) == (name,)
    except InvalidArgument:
        return False


def sound_names(names: Iterable[str]) -> list[str]:
    """Those of *names*, perhaps very many, that are sound."""
    is_plain = _PLAIN.fullmatch
    return [name for name in names if is_plain(name) or is_sound(name)]


def is_encodable(text: str) -> bool:
    """Whether UTF-8 can carry *text*."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


@lru_cache(maxsize=2_048)  # the same few names are looked for all the time
def _check_component(part: str) -> None:
    if part in ("", ".", ".."):
        raise InvalidArgument("a path must not hold empty, '.' or '..' parts", hint="give a path relative to the vault")
    if len(part.encode("utf-8", "surrogatepass")) > MAX_NAME_BYTES:
        raise InvalidArgument(f"a name is longer than {MAX_NAME_BYTES} bytes", hint="shorten it")
    if any(unicodedata.category(c) in ("Cc", "Cs") for c in part) or _DECEPTIVE.search(part):
        raise InvalidArgument("a name holds control or invisible characters", hint="leave them out")


def _shown(text: str) -> str:
    return ascii(text[:80])


def slug(title: str) -> str:
    """*title* as the stem of a file name: lower case, runs of other than letters and digits become one ``_``.

    Every script is kept; a sign after a letter or digit is spelled (``C++`` is ``c_plus_plus``, ``C#`` is ``c_sharp``).
    Empty when the title holds no letter or digit.
    """
    text = unicodedata.normalize("NFC", title).lower()
    text = re.sub(r"(?<=[^\W_])(\++|#)", _spell, text)
    kept = "".join(c if _belongs(c) else "_" for c in text)
    return re.sub("_+", "_", kept).strip("_")


def _spell(match: re.Match[str]) -> str:
    sign = match.group(0)
    return " sharp " if sign == "#" else " plus " * len(sign)


def _belongs(char: str) -> bool:
    # Combining marks are part of their letter: without them Devanagari or Thai words fall apart.
    return char.isalnum() or unicodedata.category(char).startswith("M")


def shorten(stem: str, max_bytes: int) -> str:
    """*stem* cut to at most *max_bytes* of UTF-8, never inside a character."""
    return stem.encode()[:max_bytes].decode("utf-8", "ignore").rstrip("_")
