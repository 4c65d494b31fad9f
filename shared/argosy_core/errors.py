"""The error tree. A tool failure is one of these; nothing else crosses a server's edge.

ArgosyError
├── InvalidArgument (ValueError)        invalid_argument     mend the arguments
├── NotFound (LookupError)              not_found            the name does not exist
├── AlreadyExists                       already_exists       the name is taken
├── Conflict                            conflict             somebody else was first: read again
├── PermissionDenied                    permission_denied    this caller may not
├── Unauthenticated                     unauthenticated      no valid identity
├── Blocked                             blocked              a policy says no
├── Deferred                            deferred             a person was asked
├── BudgetExhausted                     budget_exhausted     a limit of the grant is used up
├── Unavailable                         unavailable          try again later
├── Corrupted                           corrupted            a file cannot be read as what it is
├── TooLarge                            too_large            a bound was passed
└── DeadlineExceeded (TimeoutError)     deadline_exceeded    a bounded wait ended
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar


class ArgosyError(Exception):
    """Base of the tree.

    *message* is one line for a person or a model: never a secret, a traceback or a path outside the vault.
    *hint* says what to type or do next. *detail* holds fields a program may read (JSON types only).
    """

    code: ClassVar[str] = "unavailable"
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, hint: str | None = None, **detail: Any) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.detail: Mapping[str, Any] = detail

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class InvalidArgument(ArgosyError, ValueError):
    """Raised when an argument is not of the form the call takes."""

    code = "invalid_argument"


class NotFound(ArgosyError, LookupError):
    """Raised when a name does not exist."""

    code = "not_found"


class AlreadyExists(ArgosyError):
    """Raised when a name is taken by something else."""

    code = "already_exists"


class Conflict(ArgosyError):
    """Raised when the state a caller relied on has changed; it must read again."""

    code = "conflict"


class PermissionDenied(ArgosyError, PermissionError):
    """Raised when this caller may not do this, whatever the arguments."""

    code = "permission_denied"


class Unauthenticated(ArgosyError):
    """Raised when a token is missing, expired, forged or meant for somebody else."""

    code = "unauthenticated"


class Blocked(ArgosyError):
    """Raised when a policy refuses the action."""

    code = "blocked"


class Deferred(ArgosyError):
    """Raised when an action waits for a person."""

    code = "deferred"


class BudgetExhausted(ArgosyError):
    """Raised when a limit of the grant is used up."""

    code = "budget_exhausted"


class Unavailable(ArgosyError):
    """Raised when something needed does not answer now."""

    code = "unavailable"
    retryable = True


class Corrupted(ArgosyError):
    """Raised when a file cannot be read as what it should be; it is left as it is."""

    code = "corrupted"


class TooLarge(ArgosyError):
    """Raised when input or output passes a bound."""

    code = "too_large"


class DeadlineExceeded(ArgosyError, TimeoutError):
    """Raised when a bounded wait came to its end."""

    code = "deadline_exceeded"
    retryable = True


_BY_CODE: dict[str, type[ArgosyError]] = {found.code: found for found in ArgosyError.__subclasses__()}


def error_class(code: str | None) -> type[ArgosyError]:
    """The error of the tree that *code* names; Unavailable for one that this version does not know."""
    return _BY_CODE.get(code or "", Unavailable)
