"""What is wrong with a file a person wrote: fatal for a policy, listed for anything else."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from argosy_core.errors import ArgosyError


class PolicyInvalid(ArgosyError):
    """Raised when a policy file cannot be read as what it should be. Nothing is defaulted, so nothing is allowed.

    *where* is the file, *line* where it goes wrong; both are in the message and in `detail`.
    """

    code = "corrupted"

    def __init__(self, where: str, line: int, reason: str, *, hint: str | None = None, **detail: object) -> None:
        super().__init__(f"{where} line {line}: {reason}", hint=hint, file=where, line=line, **detail)
        self.where = where
        self.line = line
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Problem:
    """Something in a file that could not be used: where, what, and what to do about it."""

    line: int
    message: str
    severity: Literal["error", "warning"] = "warning"
    fix: str = ""
    file: str = ""

    def within(self, file: str) -> Problem:
        """The same problem, of *file*."""
        return replace(self, file=file)


def decode(source: str | bytes, where: str) -> str:
    """*source* as text without its byte-order mark. Raises PolicyInvalid, with the line, when it is not UTF-8."""
    if isinstance(source, bytes):
        try:
            source = source.decode("utf-8")
        except UnicodeDecodeError as exc:
            line = exc.object.count(b"\n", 0, exc.start) + 1
            raise PolicyInvalid(where, line, "not valid UTF-8", hint="save the file as UTF-8") from exc
    return source.removeprefix("\ufeff")


def nearest(word: str, known: list[str] | tuple[str, ...]) -> str | None:
    """A hint that names the one of *known* that *word* was probably meant to be."""
    import difflib  # only when something is wrong: it costs a cold start 3 ms

    found = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f"did you mean {found[0]!r}?" if found else None
