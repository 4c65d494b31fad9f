"""Names, texts and sizes that are meant to harm, and how a call that is given one ends."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeVar

from argosy_core.errors import ArgosyError
from argosy_core.testing.conformance.promises import Broken, promise

T = TypeVar("T")
MIB = 1024 * 1024
NAMES = (
    # One text in two spellings, on some file systems or in some collations.
    *("é", "e\u0301", "\u00c5", "A\u030a", "\u212b", "\ufb01sh", "fish", "ß", "ss", "ı", "i", "İ", "Σ", "ς", "σ", "Ａ"),
    *("🚢", "👩\u200d👩\u200d👧", "🇳🇴", "日本", "हिन्दी", "שלום", "𝔘", "\u0e01\u0e33"),
    # Dots, slashes, and what other systems take for them or for devices.
    *(
        ".",
        "..",
        "...",
        ".hidden",
        "a.",
        ".a.",
        "a.b.c",
        "a..b",
        "a/b",
        "a//b",
        "/a",
        "a/",
        "../a",
        "a/../b",
        "./a",
        "a/.",
    ),
    *("a\\b", "C:\\a", "C:a", "\u2215", "\uff0f", "CON", "nul.txt", "com1", "a:b", "a::$DATA", "~", "~root", "-rf"),
    # Control characters, what hides, and what other languages read something into.
    *("a\0b", "a\nb", "a\rb", "a\tb", "a\x1b[2Jb", "a\x7fb", "a\x85b", "a\u2028b", "\ufeffa", "a\u202eb", "a\u200bb"),
    *("a\u00adb", "\ud800", "a\udfffb", "\U000e0041", "\uffff", " ", " a", "a ", "\u00a0", "\u3000"),
    *(
        "%2e%2e",
        "%00",
        "a%b_c",
        "a'b",
        'a"b',
        "';--",
        "$(id)",
        "`id`",
        "{{secret:A}}",
        "a,b",
        "[a]",
        "{a}",
        "*",
        "?",
        "<a>",
    ),
    # Sizes.
    *("", "x", "x" * 119, "x" * 120, "x" * 121, "x" * 200, "x" * 201, "日" * 66, "日" * 67, "日" * 120, "x" * 5_000),
)
SIZES = (0, 1, 4_095, 4_096, 65_537, 3 * MIB + 1)
TEXT_SIZES = (1, 4_096, 65_537, 200_000, 3 * MIB)


async def taken(what: str, call: Coroutine[Any, Any, T]) -> list[T]:
    """What *call* came to, alone; nothing when it was refused as it should be. Raises Broken."""
    try:
        return [await call]
    except ArgosyError as error:
        promise(error.hint, f"the error that refuses {what} says what to do", error)
        return []
    except Exception as error:
        raise Broken(f"promised: {what} is taken or refused; came: {type(error).__name__}: {error}") from error


def bytes_of(size: int) -> bytes:
    """*size* bytes of every value, in no period of a power of two."""
    period = bytes(range(256)) + b"\r\n\0"
    return (period * (size // len(period) + 1))[:size]


def content_of(name: str) -> bytes:
    return b"of " + name.encode("utf-8", "surrogatepass")


def shown(name: str) -> str:
    return f"{name[:40]!a} of {len(name)} characters"
