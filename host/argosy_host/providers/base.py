"""What the loop asks of a model, and what it gets back. No provider's own types cross this edge."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol


@dataclass(frozen=True, slots=True)
class Segment:
    """One part of the assembled context. *cache* asks for a cache breakpoint after it."""

    name: str
    text: str
    cache: bool = False


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool as the model sees it; *read_only* is the declared class, not a guess."""

    name: str
    description: str
    input_schema: Mapping[str, Any]
    read_only: bool


@dataclass(frozen=True, slots=True)
class ToolCall:
    """The model's wish to call a tool. *arguments* is the parsed JSON object."""

    id: str
    name: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ToolReturn:
    """What came of a call: *text* for a model, *structured* for a program (None on error)."""

    call_id: str
    name: str
    text: str
    structured: Mapping[str, Any] | None = None
    is_error: bool = False


@dataclass(frozen=True, slots=True)
class Message:
    """One turn. A user turn holds text or tool returns; an assistant turn text and calls.

    *native* is the provider's own content of an assistant turn (thinking blocks and the like), to be sent
    back unchanged by the provider that made it and ignored by every other.
    """

    role: Literal["user", "assistant"]
    text: str = ""
    calls: tuple[ToolCall, ...] = ()
    returns: tuple[ToolReturn, ...] = ()
    native: Any = None


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one request. *cache_read* and *cache_write* are not part of *input_tokens*."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read: int = 0
    cache_write: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.cache_read + other.cache_read,
            self.cache_write + other.cache_write,
        )


@dataclass(frozen=True, slots=True)
class Citation:
    """Something of the vault an answer rests on."""

    name: str
    uri: str


StopReason = Literal["end_turn", "tool_use", "max_tokens", "refusal", "pause_turn"]


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """Everything a model needs for one turn. *system* is in the mandatory order of assembly."""

    model: str
    system: Sequence[Segment]
    messages: Sequence[Message]
    tools: Sequence[ToolSpec]
    max_output_tokens: int = 4000
    # An ISO date; what "today" and "this week" mean. Models have no clock of their own.
    today: str = ""
    # None leaves it to the model. Not every model lets itself be told.
    temperature: float | None = None


@dataclass(frozen=True, slots=True)
class ModelReply:
    """One turn of a model. *citations* is filled by models that know what they quoted."""

    text: str
    calls: tuple[ToolCall, ...]
    stop: StopReason
    usage: Usage = Usage()
    model: str = ""
    citations: tuple[Citation, ...] = ()
    native: Any = None
    request_id: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])


TextSink = Callable[[str], None]


class Model(Protocol):
    """A model the loop can talk to.

    `complete` raises `argosy_core.errors.Unauthenticated` for a refused key, `Unavailable` when retries are used
    up or a stream is cut, `InvalidArgument` for a request the provider refuses, `DeadlineExceeded` on its own bound.
    """

    provider: str

    async def complete(self, request: ModelRequest, on_text: TextSink | None = None) -> ModelReply:
        """One turn. *on_text* receives the text as it streams; the reply holds all of it again."""
        ...

    async def close(self) -> None:
        """Release connections. Idempotent."""
        ...
