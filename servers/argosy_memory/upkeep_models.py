"""What the tools that keep notes in order return."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from argosy_core.serving.results import Page, Result

Provenance = Literal["observed", "inferred", "generated", "disputed", "confirmed"]


class Version(Result):
    """One content a note had."""

    version: str = Field(description="The first 8 characters are enough")
    replaced_at: str | None = Field(description="When another took its place; null for the current one")
    bytes: int

    def render(self) -> str:
        return f"{self.version[:8]} {f'until {self.replaced_at}' if self.replaced_at else 'current'} {self.bytes} bytes"


class History(Page[Version]):
    """Versions of a note, newest first."""


class LintFinding(Result):
    """Something to look at: *kind*, the *names* it is about, and what to do."""

    kind: str
    names: list[str]
    detail: str
    fix: str

    def render(self) -> str:
        return f"{self.kind}: {', '.join(f'[{name}]' for name in self.names)} {self.detail} → {self.fix}"


class LintPage(Page[LintFinding]):
    """Findings by kind, then by name."""

    counts: dict[str, int] = Field(description="How many findings of each kind there are in all")
    notes: int = Field(description="How many notes were looked at")

    def render(self) -> str:
        counted = ", ".join(f"{count} {kind}" for kind, count in self.counts.items()) or "nothing to mend"
        return f"{self.notes} notes: {counted}\n{super().render() if self.items else ''}".rstrip()


class Landed(BaseModel):
    """A capture that became a note, or was one already."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    name: str
    uri: str
    line: int
    duplicate: bool


class CaptureProblem(BaseModel):
    """A capture that did not land."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    line: int = Field(description="Where its block begins in the text, from 1")
    code: str
    reason: str


class Captured(Result):
    """What became of the capture blocks of a text."""

    landed: list[Landed]
    problems: list[CaptureProblem]

    def render(self) -> str:
        lines = [
            f"Line {each.line}: {'already there' if each.duplicate else 'wrote'} [{each.name}]" for each in self.landed
        ]
        lines += [f"Line {each.line}: {each.code}: {each.reason}" for each in self.problems]
        return "\n".join(lines) or "No capture blocks found."
