"""What the journal's tools return."""

from __future__ import annotations

from pydantic import Field

from argosy_core.conversations import TurnRole
from argosy_core.serving.results import Page, Result


class JournalEntry(Result):
    """One entry: *day* and *time* are UTC, *uri* names the day's file as a resource."""

    day: str = Field(description="YYYY-MM-DD")
    time: str = Field(description="HH:MM; empty when the day's file does not say")
    text: str
    tags: list[str] = Field(default_factory=list[str])
    uri: str
    path: str
    cut: bool = Field(default=False, description="True when the text is longer than what is shown")

    def render(self) -> str:
        tags = f" #{' #'.join(self.tags)}" if self.tags else ""
        return f"{self.day} {self.time}{tags} {self.text}{' …' if self.cut else ''}"


class Appended(JournalEntry):
    """A new entry; *version* is that of the day's file with it."""

    version: str
    duplicate: bool = Field(default=False, description="True when the key was used before: nothing was added")


class JournalPage(Page[JournalEntry]):
    """Entries of one reading."""


class JournalDay(Result):
    """A day that has entries; *bytes* is the size of what was written."""

    day: str
    bytes: int
    uri: str

    def render(self) -> str:
        return f"{self.day} ({self.bytes} bytes)"


class JournalDays(Page[JournalDay]):
    """Days, newest first."""


class TurnItem(Result):
    """One turn. *seq* is its number in the conversation; *ts* when it was said, RFC 3339 UTC."""

    seq: int
    role: TurnRole
    text: str
    ts: str
    run: str | None = None

    def render(self) -> str:
        return f"[{self.seq}] {self.role}: {self.text}"


class TurnAdded(Result):
    """A turn that was added; *version* is that of the whole conversation."""

    conversation: str
    seq: int
    role: TurnRole
    ts: str
    uri: str
    version: str
    duplicate: bool = Field(default=False, description="True when the key was used before: nothing was added")


class Turns(Result):
    """The newest turns that fit, oldest of them first. *left_out* earlier turns did not fit."""

    conversation: str
    turns: list[TurnItem]
    used_tokens: int
    total: int
    left_out: int
    cut: bool = Field(default=False, description="True when only the end of the one turn shown did fit")
    unreadable: int = Field(default=0, description="Lines of the file that are no turn of yours")
    uri: str

    def render(self) -> str:
        head = f"({self.left_out} earlier turns of {self.total} left out)\n" if self.left_out else ""
        bad = f"\n({self.unreadable} lines could not be read)" if self.unreadable else ""
        return head + ("\n".join(turn.render() for turn in self.turns) or "Nothing fits.") + bad


class ConversationItem(Result):
    """One conversation: *updated_at* is when its file was last written, RFC 3339 UTC."""

    conversation: str
    updated_at: str
    bytes: int
    uri: str

    def render(self) -> str:
        return f"{self.conversation} (last {self.updated_at})"


class ConversationPage(Page[ConversationItem]):
    """Conversations of the caller, the last one used first."""
