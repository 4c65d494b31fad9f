"""Power is cut after every step of the vault's writes: each file is old or new, and what was acknowledged is there."""

from __future__ import annotations

from pathlib import Path

import pytest
from power_cuts import Acknowledge, Died, Program, cut, drafts, dying_after, vault_on, visible

from argosy_core.errors import Corrupted
from argosy_core.held_file import HeldFile
from argosy_core.testing.power import Crash, PowerFileSystem
from argosy_core.vault import Vault

OLD = b"old\n" * 1500
NEW = b"new!\n" * 1500
NOTE = "harbor/memory/note.md"
LINES = [b"%d " % number + b"x" * 700 + b"\n" for number in range(8)]


def test_a_replaced_file_is_old_or_new(tmp_path: Path) -> None:
    def program(vault: Vault, acknowledge: Acknowledge) -> None:
        acknowledge(vault.replace(NOTE, NEW).version)

    found = cut(tmp_path, {NOTE: OLD}, program)
    assert len(found) > 20
    for crash in found:
        assert visible(crash.disk) == {NOTE: NEW} or (not crash.acknowledged and visible(crash.disk) == {NOTE: OLD})


def test_a_new_file_in_new_folders_is_whole_or_not_there(tmp_path: Path) -> None:
    def program(vault: Vault, acknowledge: Acknowledge) -> None:
        acknowledge(vault.replace("a/b/c/note.md", NEW, expect="").version)

    for crash in cut(tmp_path, {}, program):
        assert visible(crash.disk) == {"a/b/c/note.md": NEW} or (not crash.acknowledged and visible(crash.disk) == {})


def test_a_kept_version_is_there_before_the_new_text_is(tmp_path: Path) -> None:
    def program(vault: Vault, acknowledge: Acknowledge) -> None:
        acknowledge(vault.replace(NOTE, NEW, keep_version=True).version)

    for crash in cut(tmp_path, {NOTE: OLD}, program):
        seen = visible(crash.disk)
        versions = [data for path, data in seen.items() if ".versions" in path]
        assert seen[NOTE] == NEW or (seen[NOTE] == OLD and not crash.acknowledged)
        assert versions in ([], [OLD])
        assert seen[NOTE] == OLD or versions == [OLD]


def test_a_removed_file_is_whole_or_gone(tmp_path: Path) -> None:
    def program(vault: Vault, acknowledge: Acknowledge) -> None:
        vault.remove(NOTE)
        acknowledge("gone")

    for crash in cut(tmp_path, {NOTE: OLD}, program):
        assert visible(crash.disk) == {} or (not crash.acknowledged and visible(crash.disk) == {NOTE: OLD})


def appended(vault: Vault, acknowledge: Acknowledge) -> None:
    for line in LINES:
        vault.append("harbor/log/day.jsonl", line)
        acknowledge(line)


def appended_held(vault: Vault, acknowledge: Acknowledge) -> None:
    held = HeldFile(vault, "harbor/log/day.jsonl")
    for line in LINES:
        held.append(line)
        acknowledge(line)


@pytest.mark.parametrize("program", [appended, appended_held])
@pytest.mark.parametrize("before", [{}, {"harbor/log/day.jsonl": b"first\n" * 900}], ids=["new", "there"])
def test_acknowledged_lines_are_all_there(program: Program, before: dict[str, bytes], tmp_path: Path) -> None:
    kept = before.get("harbor/log/day.jsonl", b"")
    found = cut(tmp_path, before, program)
    assert len(found) > 30
    for crash in found:
        data = visible(crash.disk).get("harbor/log/day.jsonl", b"")
        assert data.startswith(kept + b"".join(crash.acknowledged))


def test_a_cut_tail_is_on_the_file_or_set_aside(tmp_path: Path) -> None:
    tail = b"x" * 5000

    def program(vault: Vault, acknowledge: Acknowledge) -> None:
        acknowledge(vault.cut_tail("harbor/log/day.jsonl", 4))

    for crash in cut(tmp_path, {"harbor/log/day.jsonl": b"one\n" + tail}, program):
        data = visible(crash.disk)["harbor/log/day.jsonl"]
        aside = [
            kept for path, kept in crash.disk.files() if path.startswith(".argosy/recovered/") and "tmp" not in path
        ]
        assert data == b"one\n" + tail or (data == b"one\n" and aside == [tail])
        assert not crash.acknowledged or data == b"one\n"


def test_a_new_text_has_a_stamp_of_its_own_after_every_crash(tmp_path: Path) -> None:
    """Also where the kernel's clock did not move between two writes: an index knows a file by its stamp."""
    stamps: list[tuple[int, int]] = []

    def program(vault: Vault, acknowledge: Acknowledge) -> None:
        assert isinstance(vault.fs, PowerFileSystem)
        vault.fs.tick_ns = 0
        stamps.append(vault.replace(NOTE, b"one").stamp)
        acknowledge("one")
        vault.replace(NOTE, b"two")

    for crash in cut(tmp_path, {NOTE: OLD}, program):
        left = vault_on(tmp_path, crash.disk).read(NOTE)
        assert left.data != b"two" or left.stamp not in stamps


# A process that dies leaves to the next one what it made and never synced.


def killed_at_each_step(tmp_path: Path) -> list[Crash]:
    """A writer of one line dies after each of its steps, another one writes a line, and then power is cut."""
    found: list[Crash] = []
    for steps in range(1, 40):

        def program(vault: Vault, acknowledge: Acknowledge, steps: int = steps) -> None:
            fs = vault.fs
            assert isinstance(fs, PowerFileSystem)
            dying_after(fs, steps)
            is_dead = False
            try:
                vault.append("a/log/2026-11/day.jsonl", b"first\n")
            except Died:
                is_dead = True
            fs.guard = lambda _: None
            fs.kill()
            second = Vault(vault.root, fs=fs, clock=vault.clock)
            second.append("a/log/2026-11/day.jsonl", b"second\n")
            acknowledge(is_dead)
            second.replace("a/log/2026-11/note.md", b"note")
            acknowledge("note")

        these = cut(tmp_path, {}, program)
        found += these
        if these[-1].acknowledged[0] is False:
            return found
    raise AssertionError("the writer never came to its end")


def test_what_a_dead_writer_left_unsynced_carries_nothing_that_is_acknowledged(tmp_path: Path) -> None:
    for crash in killed_at_each_step(tmp_path):
        seen = visible(crash.disk)
        if crash.acknowledged:
            assert seen["a/log/2026-11/day.jsonl"].endswith(b"second\n")
        if len(crash.acknowledged) > 1:
            assert seen["a/log/2026-11/note.md"] == b"note"


# A disk that fails to sync


def test_nothing_is_acknowledged_on_pages_that_a_failed_sync_lost(tmp_path: Path) -> None:
    """The kernel counts the pages as clean: what stands in the file then is on no disk."""

    def program(vault: Vault, acknowledge: Acknowledge) -> None:
        held = HeldFile(vault, "harbor/log/day.jsonl")
        held.append(LINES[0])
        acknowledge(LINES[0])
        assert isinstance(vault.fs, PowerFileSystem)
        vault.fs.break_syncs()
        with pytest.raises(Corrupted, match="Input/output"):
            held.append(LINES[1])
        held.append(LINES[2])
        acknowledge(LINES[2])

    for crash in cut(tmp_path, {}, program):
        data = visible(crash.disk).get("harbor/log/day.jsonl", b"")
        assert data.startswith(b"".join(crash.acknowledged))


def test_a_vault_is_read_over_what_a_crash_left(tmp_path: Path) -> None:
    def program(vault: Vault, acknowledge: Acknowledge) -> None:
        acknowledge(vault.replace(NOTE, NEW).version)

    for crash in cut(tmp_path, {NOTE: OLD}, program):
        again = vault_on(tmp_path, crash.disk, ids=2)
        old = again.read(NOTE)
        again.replace(NOTE, b"after", expect=old.version)
        assert again.read(NOTE).data == b"after"


def test_whatever_step_a_writer_dies_at_its_draft_is_swept(tmp_path: Path) -> None:
    left = 0
    for steps in range(1, 30):

        def program(vault: Vault, _: object, steps: int = steps) -> None:
            assert isinstance(vault.fs, PowerFileSystem)
            dying_after(vault.fs, steps)
            try:
                vault.replace("harbor/note.md", b"new", keep_version=True)
            except Died:
                return

        for crash in cut(tmp_path, {"harbor/note.md": b"old"}, program):
            left += len(drafts(crash.disk))
            again = vault_on(tmp_path, crash.disk)
            assert isinstance(again.fs, PowerFileSystem)
            again.sweep(min_age_seconds=-1e9)
            assert drafts(again.fs.seen()) == []
    assert left > 10
