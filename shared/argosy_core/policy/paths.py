"""What a path means, whoever wrote it and however it is disguised."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from urllib.parse import unquote, urlsplit

_ROOTS = ("~/agents", "~/docs/agents")
_SLASHES = dict.fromkeys(map(ord, "\\\u2044\u2215\u2216\u29f5\u29f8\u29f9\u2571\u2572\u3033\u3035"), "/")
_DRIVE = re.compile(r"[A-Za-z]:([/\\]|$)|[A-Za-z]:(?=[^/\\])")
_VARIABLE = re.compile(r"\$|%\w+%")
_MAX_ROUNDS = 5
UNREADABLE = "\0"  # a reading that is no path


def resolve_path(path: str, agent: str, root: str | None = None) -> str | None:
    """*path* as a normalised vault-relative path (``.`` is the root); None when it lies outside the vault.

    A relative path is relative to *agent*'s folder; ``~/agents/`` and ``~/docs/agents/`` mean the vault's root, and so
    does *root*, the vault's absolute path, when the caller gives it. Any other absolute or home path, drive, network
    path or URL is outside. Nothing is looked up: links are the vault's business.
    """
    text = _without_scheme(path.strip(" ")).translate(_SLASHES)
    if _has_control(text) or _DRIVE.match(text) or text.startswith("//"):
        return None
    for prefix in (*_ROOTS, *([root.rstrip("/")] if root and root.rstrip("/") else [])):
        if text == prefix or text.startswith(prefix + "/"):
            return _normal(text[len(prefix) :].split("/"))
    if text.startswith(("/", "~")) or "://" in text or _VARIABLE.match(text):
        return None
    return _normal([agent, *text.split("/")])


def readings(path: str) -> Iterator[str]:
    """*path* as written and every other way a program down the line may read it.

    Percent-encoding is undone (also twice), look-alike slashes and dots become what they look like. What is encoded
    more often than anybody does in good faith ends in a reading that is no path.
    """
    seen: set[str] = set()
    pending = [path]
    for _ in range(_MAX_ROUNDS):
        pending = [form for form in pending if form not in seen]
        seen.update(pending)
        yield from pending
        pending = [other for form in pending for other in (unquote(form), _looks_like(form))]
    if not seen.issuperset(pending):
        yield UNREADABLE


def _looks_like(text: str) -> str:
    return unicodedata.normalize("NFKC", text).translate(_SLASHES)


def _without_scheme(path: str) -> str:
    if path[:5].lower() != "file:":
        return path
    try:
        parts = urlsplit(path)
    except ValueError:
        return "//"
    return parts.path if parts.hostname in (None, "", "localhost") else f"//{parts.hostname}{parts.path}"


def _normal(parts: list[str]) -> str | None:
    kept: list[str] = []
    for part in parts:
        if part == "..":
            if not kept:
                return None
            kept.pop()
        elif part not in ("", "."):
            kept.append(part)
    return "/".join(kept) or "."


def _has_control(text: str) -> bool:
    # U+FFFD is what undoing an overlong or broken encoding leaves.
    return any(char == "\ufffd" or unicodedata.category(char) in ("Cc", "Cs") for char in text)
