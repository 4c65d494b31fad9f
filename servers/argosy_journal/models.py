"""What the journal's tools return."""

from __future__ import annotations

from pydantic import Field

from argosy_core.serving.results import Page, Result


class JournalEntry(Result):
    """One entry: *day* and *time* are UTC, *uri* names the day's file as a resource."""

    day: str = Field(description="YYYY-MM-DD")
    time: str = Field(description="HH:MM; empty when the day's file does not say")
    text: str
    tags: list[str] = Field(default_factory=list[str])
    uri: str
    path: str

    def render(self) -> str:
        tags = f" #{' #'.join(self.tags)}" if self.tags else ""
        return f"{self.day} {self.time}{tags} {self.text}"


class Appended(JournalEntry):
    """A new entry; *version* is that of the day's file with it."""

    version: str
    duplicate: bool = Field(default=False, description="True when the key was used before: nothing was added")


class JournalPage(Page[JournalEntry]):
    """Entries of one reading."""
