"""What tools return: typed models whose text is short and whose structured content carries the rest."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from argosy_core.errors import InvalidArgument

DEFAULT_LIMIT = 50
MAX_LIMIT = 500


class Result(BaseModel):
    """Base of every tool's result. `render` is what a model reads; override it to say what matters."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    def render(self) -> str:
        """A compact rendering for a model."""
        return self.model_dump_json(exclude_none=True)


T = TypeVar("T", bound=BaseModel)


class Page(Result, Generic[T]):
    """A page of a list; pass *next_cursor* as ``cursor`` for the next one."""

    items: list[T]
    next_cursor: str | None = Field(default=None, description="Cursor of the next page; null on the last one")

    def render(self) -> str:
        lines = [item.render() if isinstance(item, Result) else item.model_dump_json() for item in self.items]
        more = f"\nMore: cursor={self.next_cursor}" if self.next_cursor else ""
        return ("\n".join(lines) or "Nothing found.") + more


class Health(Result):
    """The state of one server."""

    server: str
    version: str
    store: str
    agent: str | None
    role: str
    healthy: bool
    counts: dict[str, int] = Field(default_factory=dict[str, int])
    problems: list[str] = Field(default_factory=list[str])


class DoctorFinding(BaseModel):
    """Something a doctor found: what is wrong, where, and what to do about it."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    status: Literal["pass", "warn", "fail"]
    check: str
    message: str
    file: str | None = None
    line: int | None = None
    fix: str | None = None


class DoctorReport(Result):
    """All that one server's doctor has to say."""

    server: str
    findings: list[DoctorFinding]

    def render(self) -> str:
        return "\n".join(
            f"{f.status.upper():4} {f.check}: {f.message}{f' [{f.file}:{f.line or 1}]' if f.file else ''}"
            f"{f' → {f.fix}' if f.fix else ''}"
            for f in self.findings
        )


def clamp_limit(limit: int) -> int:
    """*limit* within 1 and 500."""
    return max(1, min(limit, MAX_LIMIT))


def encode_cursor(*position: Any) -> str:
    """An opaque cursor for *position* (JSON values)."""
    return base64.urlsafe_b64encode(json.dumps(position).encode()).decode().rstrip("=")


def decode_cursor(cursor: str, length: int) -> list[Any]:
    """The position in *cursor*. Raises InvalidArgument when it is not one of ours."""
    try:
        found = json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
    except (ValueError, binascii.Error) as exc:
        raise _bad_cursor() from exc
    if not isinstance(found, list) or len(found) != length:  # pyright: ignore[reportUnknownArgumentType]
        raise _bad_cursor()
    return found  # pyright: ignore[reportUnknownVariableType]


def decode_offset(cursor: str | None) -> int:
    """The offset in a cursor made with ``encode_cursor(offset)``; 0 for the first page. Raises InvalidArgument."""
    if cursor is None:
        return 0
    offset = decode_cursor(cursor, 1)[0]
    if isinstance(offset, bool) or not isinstance(offset, int) or offset < 0:
        raise _bad_cursor()
    return offset


def _bad_cursor() -> InvalidArgument:
    return InvalidArgument("not a cursor of this list", hint="pass next_cursor unchanged, or leave cursor out")
