"""Whether an answer was given by a person who was there, where ``fleet.md`` asks for that.

The seal stands in the answer's own block, so that answer and proof are written at once. It covers the question, the
very call that waits, and everything the block says: what is changed afterwards in either is not what was answered.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from argosy_core.attendance import CHANNELS, Channel, is_sealed, make_key, read_key, seal
from argosy_core.canonical import canonical_json, sha256_hex
from argosy_core.errors import ArgosyError, PermissionDenied
from argosy_core.storage.base import Files
from argosy_core.types import ActionClass
from argosy_core.user_state import state_folder
from argosy_core.views.fleet import load_fleet
from argosy_core.views.vault_reader import VaultReader
from argosy_desk.binding import action_class_of
from argosy_desk.question_file import QuestionFile
from argosy_desk.resolution import Resolution

LINE = "attended"  # of a block: how the person was there, and the seal


@dataclass(frozen=True, slots=True)
class Proof:
    """What answers are checked against; without a *key* none was given by a person who was there."""

    key: str | None

    def channel_of(self, path: str, file: QuestionFile) -> Channel | None:
        """How the person was there who answered the question at *path*; None where nothing shows that one was."""
        block = file.resolution
        if self.key is None or block is None:
            return None
        stated, _, given = block.fields.get(LINE, "").partition(" ")
        channel: Channel | None = next((known for known in CHANNELS if known == stated), None)
        if channel is None:
            return None
        try:
            return channel if is_sealed(self.key, answered(path, file, block, channel), given) else None
        except ArgosyError:
            return None  # what cannot be written as JSON was not sealed


class Attendance:
    """What this vault asks for, and what a server started as *channel* can prove."""

    def __init__(self, files: Files, vault: Path, channel: Channel | None) -> None:
        self._files = files
        self._vault = vault
        self.channel: Channel | None = channel

    def wanted(self) -> Proof | None:
        """What an answer is checked against; None where any answer counts. Blocks."""
        if load_fleet(VaultReader(self._files)).approval != "attended":
            return None
        try:
            return Proof(read_key(state_folder(), self._vault))
        except PermissionDenied:
            return Proof(None)  # the doctor says so, and so does whoever answers next

    def line_for(self, path: str, file: QuestionFile) -> str:
        """What *file*'s block says of the person who is there. Blocks; raises PermissionDenied (the key)."""
        assert self.channel is not None and file.resolution is not None
        key = make_key(state_folder(), self._vault)
        return f"{self.channel} {seal(key, answered(path, file, file.resolution, self.channel))}"

    def problem(self) -> str | None:
        """What keeps this machine from proving anything. Blocks."""
        try:
            read_key(state_folder(), self._vault)
        except PermissionDenied as error:
            return f"{error.message}: {error.hint}"
        return None


def answered(path: str, file: QuestionFile, block: Resolution, channel: Channel) -> dict[str, Any]:
    """What is sealed."""
    return {
        "path": path,
        "kind": file.kind,
        "call": call_hash(file.binding),
        "channel": channel,
        "verb": block.verb,
        "by": block.by,
        "fields": {name: value for name, value in block.fields.items() if name != LINE},
        "amendment": dict(block.amendment) if block.amendment is not None else None,
    }


def call_hash(binding: Mapping[str, Any] | None) -> str | None:
    """SHA-256, in hex, of the call that waits, as it stands in the file now."""
    return None if binding is None else sha256_hex(canonical_json(binding))


def is_high_risk(path: str, file: QuestionFile) -> bool:
    """Whether anything about the question at *path* says that it is about an action of the highest class."""
    stated = (path.split("/")[-2], file.fields.get("action_class"), action_class_of(file.binding))
    return ActionClass.HIGH_RISK.value in stated


def refusal(question: str) -> PermissionDenied:
    """Why an answer is not taken from where it came."""
    return PermissionDenied(
        "fleet.md asks for a person who is there (approval: attended), and nothing shows that one is",
        hint=f"at a terminal: mcp-host decide {question} approve; denying it needs nobody there",
        approval="attended",
    )
