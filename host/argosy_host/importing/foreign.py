"""What a foreign store holds, in our nouns, and how each kind of store is read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from argosy_core.conversations import Turn

Into = Literal["notes", "wiki"]


@dataclass(frozen=True, slots=True)
class Page:
    """A text to keep. *id* names it at its source for ever; *place* is where it lay there, without a suffix.

    *links* are the names by which others of the same source link it; *fields* what else its source said of it. *text*
    is the whole file where the source is one of Markdown, None where *body* was put together.
    """

    id: str
    title: str
    body: str
    place: str
    type: str = "reference"
    description: str = ""
    tags: tuple[str, ...] = ()
    day: str | None = None
    links: tuple[str, ...] = ()
    fields: Mapping[str, Any] = field(default_factory=dict[str, Any])
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Talk:
    """A conversation. *left_out* says how many of its messages are of no kind that a conversation holds."""

    id: str
    title: str
    turns: tuple[Turn, ...]
    day: str | None = None
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class Unusable:
    """Something at the source that is not taken, and why."""

    what: str
    why: str


Item = Page | Talk | Unusable


class Reader(Protocol):
    """Reads one source. *kind* is its name in provenance; *into* where its pages go when nobody says otherwise.

    *label* tells several sources of one kind apart where the ids of their pages do not.
    """

    @property
    def kind(self) -> str: ...
    @property
    def label(self) -> str: ...
    @property
    def into(self) -> Into: ...

    def items(self) -> Iterator[Item]:
        """Everything the source holds, in an order that is the same each time. Blocks on the disk.

        Raises ArgosyError for a source that must not be read on at all.
        """
        ...
