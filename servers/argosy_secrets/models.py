"""What the secrets tools return; only `Resolved` holds a value, and it is never rendered."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from argosy_core.secrets.secret_store import Listed
from argosy_core.secrets.sources import Entry
from argosy_core.serving.results import Page, Result

Source = Literal["environment", "keyring", "file"]


class Receivers(Result):
    """Where a secret may go."""

    tools: list[str]
    arguments: list[str]
    hosts: list[str]


class SecretEntry(Result):
    """One name."""

    name: str
    source: Source | None = Field(description="Who has the value; null when nobody does")
    set_at: str | None
    audience: Receivers | None = Field(default=None, description="Null: it goes nowhere")

    def render(self) -> str:
        where = f"for {', '.join(self.audience.tools)}" if self.audience else "for nothing yet"
        return f"{self.name} ({self.source or 'not set'}) {where}"


class SecretPage(Page[SecretEntry]):
    """Names of one reading."""


class SecretCheck(SecretEntry):
    """One name, looked at closely."""

    usable: bool = Field(description="Whether the host could put its value into a call")
    problem: str | None = None
    also_in: list[Source] = Field(default_factory=list[Source], description="Who has it too, and is not asked")

    def render(self) -> str:
        return f"{super().render()}: {'usable' if self.usable else self.problem}"


class Kept(Result):
    """A value that was set."""

    name: str
    source: Source
    set_at: str | None

    def render(self) -> str:
        return f"{self.name} is set"


class Removed(Result):
    """A value that is gone."""

    name: str
    removed_from: list[Source]

    def render(self) -> str:
        return f"{self.name} is removed from: {', '.join(self.removed_from)}"


class Resolved(Result):
    """A value, for the host."""

    name: str
    value: str = Field(repr=False)

    def render(self) -> str:
        return f"The value of {self.name} is in the structured content"


def entry_of(listed: Listed) -> SecretEntry:
    """A line of the list."""
    return SecretEntry(name=listed.name, source=listed.source, set_at=listed.set_at, audience=_receivers(listed))


def check_of(listed: Listed, problem: str | None) -> SecretCheck:
    """A closer look."""
    return SecretCheck(
        name=listed.name,
        source=listed.source,
        set_at=listed.set_at,
        audience=_receivers(listed),
        usable=problem is None,
        problem=problem,
        also_in=list(listed.also_in),
    )


def kept_of(entry: Entry) -> Kept:
    """What was set."""
    return Kept(name=entry.name, source=entry.source, set_at=entry.set_at)


def _receivers(listed: Listed) -> Receivers | None:
    return Receivers(**listed.audience.as_json()) if listed.audience else None
