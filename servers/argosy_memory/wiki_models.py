"""What the tools of the wiki and of its sources return."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from argosy_core.serving.results import Result


class PageLink(BaseModel):
    """A document at the other end of a link."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    name: str
    title: str
    uri: str


class WikiPage(Result):
    """A wiki page as it stands, with what it links to, what links to it, and which of its links find nothing."""

    page: str
    title: str
    body: str
    path: str
    version: str
    uri: str
    frontmatter: dict[str, Any]
    sources: list[str] = Field(default_factory=list[str])
    links: list[PageLink] = Field(default_factory=list[PageLink])
    backlinks: list[PageLink] = Field(default_factory=list[PageLink])
    unresolved: list[str] = Field(default_factory=list[str], description="Links to nothing")
    degraded: str | None = None
    next_offset: int | None = Field(default=None, description="memory_read shows the rest of a long body from there")
    duplicate: bool = False

    def render(self) -> str:
        parts = [f"# {self.title} [{self.page}]", f"(version {self.version[:8]})", "", self.body.rstrip()]
        for label, names in (
            ("Sources", self.sources),
            ("Linked from", [link.name for link in self.backlinks]),
            ("Links to nothing", self.unresolved),
        ):
            if names:
                parts += ["", f"{label}: {', '.join(names)}"]
        return "\n".join(parts)


class PageWritten(WikiPage):
    """A wiki page after a write."""

    def render(self) -> str:
        dangling = f"\nLinks to nothing: {', '.join(self.unresolved)}" if self.unresolved else ""
        return f"{'Already there' if self.duplicate else 'Wrote'}: [{self.page}] {self.path}{dangling}"


class RawFile(Result):
    """A source as it was put."""

    name: str
    path: str
    version: str
    uri: str
    bytes: int
    duplicate: bool = False

    def render(self) -> str:
        return f"{'Already there' if self.duplicate else 'Kept'}: {self.path}"
