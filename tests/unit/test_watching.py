"""What the files' bell hears of what others do in the vault, told by the kernel or looked for."""

from __future__ import annotations

import contextlib
import errno
import os
import threading
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest
from anyio import to_thread
from few_watches import few_watches
from subscribers import watching

from argosy_core.clock import SystemClock
from argosy_core.ids import SystemIds
from argosy_core.storage.files import bell as bell_module
from argosy_core.storage.files import inotify, looking_watcher
from argosy_core.storage.files.looking_watcher import LookingWatcher
from argosy_core.storage.files.store import FileStore
from argosy_core.storage.files.told_watcher import ToldWatcher
from argosy_core.storage.files.watching import MAX_NAMED, Watcher, watcher_of
from argosy_core.vault import Vault

pytestmark = pytest.mark.anyio
WAIT_SECONDS = 10
Make = Callable[[Path], Watcher]
KINDS: dict[str, Make] = {"told": ToldWatcher, "looking": lambda root: LookingWatcher(root, must_poll=False)}


@pytest.fixture(params=KINDS)
def make(request: pytest.FixtureRequest) -> Make:
    return KINDS[request.param]


@contextlib.contextmanager
def watched(make: Make, root: Path) -> Generator[Watcher]:
    """A watcher that gives up when nothing comes."""
    with contextlib.closing(make(root)) as watcher:
        guard = threading.Timer(WAIT_SECONDS, watcher.end)
        guard.start()
        try:
            yield watcher
        finally:
            guard.cancel()


def until_told(watcher: Watcher, *paths: str) -> set[str]:
    """What is told until *paths*, or a folder around each of them, were."""
    told: set[str] = set()
    around = {path: {"", path, *(path[:at] for at, char in enumerate(path) if char == "/")} for path in paths}
    while any(told.isdisjoint(names) for names in around.values()):
        changes = watcher.changes()
        assert changes is not None, f"{paths} should be told, not only {told}"
        told |= changes
    return told


def make_note(root: Path, path: str = "harbor/memory/a.md") -> Path:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("one")
    return file


def replace(file: Path) -> None:
    (draft := file.with_name("draft.tmp")).write_text("two")
    draft.replace(file)


@pytest.mark.parametrize(
    "edit",
    [
        pytest.param(lambda file: file.write_text("two"), id="in place"),
        pytest.param(replace, id="by another in its place"),
        pytest.param(lambda file: os.utime(file, ns=(1, 1)), id="its time alone"),
        pytest.param(Path.unlink, id="gone"),
        pytest.param(lambda file: file.rename(file.with_name("b.md")), id="renamed"),
    ],
)
def test_an_edit_is_told_by_its_path(make: Make, tmp_path: Path, edit: Callable[[Path], Any]) -> None:
    file = make_note(tmp_path)
    with watched(make, tmp_path) as watcher:
        edit(file)
        told = until_told(watcher, "harbor/memory/a.md")
    assert told <= {"harbor/memory/a.md", "harbor/memory/b.md"}, "and nothing else"


def test_a_renamed_file_is_told_by_its_new_name_too(make: Make, tmp_path: Path) -> None:
    file = make_note(tmp_path)
    with watched(make, tmp_path) as watcher:
        file.rename(file.with_name("b.md"))
        until_told(watcher, "harbor/memory/a.md", "harbor/memory/b.md")


def test_what_comes_in_with_a_folder_is_told_and_what_happens_in_it_later(make: Make, tmp_path: Path) -> None:
    (root := tmp_path / "vault").mkdir()
    file = make_note(tmp_path / "elsewhere", "raw/deep/a.md")
    with watched(make, root) as watcher:
        (tmp_path / "elsewhere/raw").rename(root / "raw")
        until_told(watcher, "raw/deep/a.md")
        (root / "raw/deep" / file.name).write_text("two")
        until_told(watcher, "raw/deep/a.md")


def test_very_many_files_that_come_in_at_once_are_anything(make: Make, tmp_path: Path) -> None:
    (root := tmp_path / "vault").mkdir()
    for number in range(MAX_NAMED + 5):
        make_note(tmp_path, f"elsewhere/raw/{number}.md")
    with watched(make, root) as watcher:
        (tmp_path / "elsewhere/raw").rename(root / "raw")
        told: set[str] = set()
        while "" not in told:
            told |= watcher.changes() or set()
            assert len(told) <= MAX_NAMED


def test_a_folder_that_goes_away_may_have_held_anything(make: Make, tmp_path: Path) -> None:
    make_note(root := tmp_path / "vault", "raw/a.md")
    with watched(make, root) as watcher:
        (root / "raw").rename(tmp_path / "raw")
        assert "" in until_told(watcher, "raw/a.md")


def test_a_folder_is_told_of_by_the_name_it_has_now(tmp_path: Path) -> None:
    make_note(tmp_path, "raw/deep/a.md")
    with watched(ToldWatcher, tmp_path) as watcher:
        (tmp_path / "raw").rename(tmp_path / "wiki")
        until_told(watcher, "wiki/deep/a.md")
        (tmp_path / "wiki/deep/a.md").write_text("two")
        assert until_told(watcher, "wiki/deep/a.md") == {"wiki/deep/a.md"}
        (tmp_path / "wiki").rename(tmp_path.parent / f"{tmp_path.name}-away")
        until_told(watcher, "wiki")
        (tmp_path.parent / f"{tmp_path.name}-away/deep/a.md").write_text("three")
        make_note(tmp_path, "b.md")
        assert until_told(watcher, "b.md") == {"b.md"}, "what left the vault is none of its business"


def test_a_folder_made_again_is_watched_again(make: Make, tmp_path: Path) -> None:
    with watched(make, tmp_path) as watcher:
        for text in ("one", "two", "three"):
            make_note(tmp_path, "raw/a.md").write_text(text)
            until_told(watcher, "raw/a.md")
            (tmp_path / "raw/a.md").unlink()
            (tmp_path / "raw").rmdir()
            until_told(watcher, "raw")


def test_what_is_ours_or_half_written_is_told_to_nobody(make: Make, tmp_path: Path) -> None:
    for folder in (".argosy", ".git", "harbor/memory/.versions/a"):
        (tmp_path / folder).mkdir(parents=True)
    with watched(make, tmp_path) as watcher:
        for path in (".argosy/index.sqlite", ".git/HEAD", "harbor/memory/.versions/a/1.md", "harbor/a.md.tmp"):
            (tmp_path / path).write_text("x")
        (tmp_path / "harbor/\u202ea.md").write_text("a name that no call could ask for")
        (tmp_path / "harbor/b.md").write_text("x")
        told = until_told(watcher, "harbor/b.md")
    assert {path for path in told if "\u202e" not in path} == {"harbor/b.md"}


def test_the_indexs_own_writing_wakes_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wakes: list[int] = []

    class Counted(inotify.Inotify):
        def read(self) -> list[inotify.Event]:
            found = super().read()
            wakes.append(len(found))
            return found

    monkeypatch.setattr(inotify, "Inotify", Counted)
    (tmp_path / ".argosy").mkdir()
    with watched(ToldWatcher, tmp_path) as watcher:
        for number in range(50):
            (tmp_path / f".argosy/{number}").write_text("x")
        (tmp_path / "a.md").touch()
        assert watcher.changes() == {"a.md"}
    assert len(wakes) == 2 and wakes[1] == 0, "one wake, and a look whether there was more"


def test_links_are_not_followed(tmp_path: Path) -> None:
    make_note(elsewhere := tmp_path / "elsewhere", "a.md")
    (root := tmp_path / "vault").mkdir()
    (root / "before").symlink_to(elsewhere)
    with watched(ToldWatcher, root) as watcher:
        (root / "later").symlink_to(elsewhere)
        until_told(watcher, "later")
        (elsewhere / "a.md").write_text("two")
        make_note(root, "b.md")
        assert until_told(watcher, "b.md") == {"b.md"}


def test_when_the_kernel_lost_count_anything_may_have_changed_and_new_folders_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Lossy(inotify.Inotify):
        is_full = True

        def read(self) -> list[inotify.Event]:
            found = super().read()
            if found and self.is_full:
                self.is_full = False
                return [inotify.Event(-1, inotify.OVERFLOW, "")]
            return found

    monkeypatch.setattr(inotify, "Inotify", Lossy)
    with watched(ToldWatcher, tmp_path) as watcher:
        file = make_note(tmp_path, "raw/a.md")
        assert "" in until_told(watcher, "raw/a.md")
        file.write_text("two")
        assert until_told(watcher, "raw/a.md") == {"raw/a.md"}


def test_a_vault_that_goes_away_ends_the_watching(tmp_path: Path) -> None:
    (root := tmp_path / "vault").mkdir()
    with watched(ToldWatcher, root) as watcher:
        root.rmdir()
        with pytest.raises(FileNotFoundError, match="is gone"):
            watcher.changes()


def test_a_folder_that_is_not_ours_to_read_does_not_end_the_watching(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Shut(inotify.Inotify):
        def add(self, folder: str) -> int:
            if folder.endswith("shut"):
                raise PermissionError(13, "Permission denied", folder)
            return super().add(folder)

    monkeypatch.setattr(inotify, "Inotify", Shut)
    for folder in ("shut", "open"):
        (tmp_path / folder).mkdir()
    with watched(ToldWatcher, tmp_path) as watcher:
        make_note(tmp_path, "open/a.md")
        until_told(watcher, "open/a.md")


def test_who_waits_is_let_go_at_once(make: Make, tmp_path: Path) -> None:
    watcher = make(tmp_path)
    told: list[frozenset[str] | None] = []

    def wait() -> None:
        while (changes := watcher.changes()) is not None:
            told.append(changes)

    thread = threading.Thread(target=wait)
    thread.start()
    watcher.end()
    thread.join(WAIT_SECONDS)
    assert not thread.is_alive() and not any(told)
    assert watcher.changes() is None, "and for good"
    watcher.close()
    watcher.end()  # as a stop that comes late does


def test_no_descriptor_outlives_its_watcher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held: set[int] = set()
    opened, closed, init = os.eventfd, os.close, inotify.Inotify.__init__

    def hold(*arguments: int) -> int:
        held.add(number := opened(*arguments))
        return number

    def begin(self: inotify.Inotify) -> None:
        init(self)
        held.add(self.fd)

    def close(number: int) -> None:
        closed(number)
        held.discard(number)

    monkeypatch.setattr(os, "eventfd", hold)
    monkeypatch.setattr(os, "close", close)
    monkeypatch.setattr(inotify.Inotify, "__init__", begin)
    watcher = ToldWatcher(tmp_path)
    assert len(held) == 2
    watcher.close()
    with pytest.raises(FileNotFoundError):
        ToldWatcher(tmp_path / "nowhere")
    assert not held

    def refuse(*_: object) -> int:
        raise OSError(errno.EMFILE, "too many")

    for owner, name in ((os, "eventfd"), (inotify.Inotify, "__init__")):
        with monkeypatch.context() as patched, pytest.raises(OSError, match="too many"):
            patched.setattr(owner, name, refuse)
            ToldWatcher(tmp_path)
        assert not held


def test_what_a_system_tells_nothing_of_is_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kinds: list[type[Watcher]] = []
    for asked in ("", "true", "false"):
        monkeypatch.setenv("WATCHFILES_FORCE_POLLING", asked)
        with contextlib.closing(watcher_of(tmp_path)) as watcher:
            kinds.append(type(watcher))
    assert kinds == [ToldWatcher, LookingWatcher, ToldWatcher]


def test_where_nothing_happens_it_is_looked_for_less_often_and_where_something_did_more_often_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers: list[Any] = ["timeout"] * 8 + [{(2, f"{tmp_path}/harbor/a.md")}, "timeout", "stop"]
    rounds: list[int] = []

    class Scripted:
        def __init__(self, *_: object) -> None:
            pass

        def watch(self, debounce_ms: int, step_ms: int, timeout_ms: int, stop: object) -> Any:
            rounds.append(timeout_ms)
            return answers.pop(0)

    monkeypatch.setattr(looking_watcher, "RustNotify", Scripted)
    monkeypatch.setattr(looking_watcher, "PAUSE_SECONDS", 0.0)
    watcher = LookingWatcher(tmp_path, must_poll=False)
    told = [changes for _ in range(11) if (changes := watcher.changes())]
    usual, quick = looking_watcher.ROUND_MS, looking_watcher.QUIET_ROUND_MS
    assert rounds == [usual] * 6 + [quick] * 3 + [usual] * 2
    assert told == [frozenset({"harbor/a.md"})]


async def test_a_vault_that_cannot_be_watched_is_still_rung_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(28, "no more watches")

    monkeypatch.setattr(bell_module, "watcher_of", refuse)
    monkeypatch.setattr(bell_module, "START_AFTER_SECONDS", 0.0)
    store = FileStore(Vault(tmp_path), SystemClock(), SystemIds())
    heard: list[frozenset[str]] = []
    store.bell.listen("", heard.append)
    store.start()
    thread = store.bell._thread
    assert thread is not None
    await to_thread.run_sync(thread.join, WAIT_SECONDS)
    assert not thread.is_alive() and not store.bell.watching
    assert "not watched" in caplog.text
    store.bell.ring("harbor/a.md")
    assert heard == [frozenset({"harbor/a.md"})]
    await store.stop()
    store.close()


async def test_a_vault_with_more_folders_than_watches_is_compared_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(30):
        (tmp_path / f"harbor/memory/letters/{number}").mkdir(parents=True)
    few_watches(monkeypatch, 20)
    monkeypatch.setattr(bell_module, "START_AFTER_SECONDS", 0.0)
    store = FileStore(Vault(tmp_path), SystemClock(), SystemIds())
    store.start()
    thread = store.bell._thread
    assert thread is not None
    await to_thread.run_sync(thread.join, WAIT_SECONDS)
    assert not store.bell.watching and "watch limit reached" in str(store.bell.problem)
    await store.stop()
    store.close()


async def test_a_folder_made_when_there_are_no_more_watches_ends_the_watching(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "harbor/memory").mkdir(parents=True)
    few_watches(monkeypatch, 6)
    monkeypatch.setattr(bell_module, "START_AFTER_SECONDS", 0.0)
    store = FileStore(Vault(tmp_path), SystemClock(), SystemIds())
    heard: list[frozenset[str]] = []
    store.bell.listen("", heard.append)
    store.start()
    await watching(store.bell)
    thread = store.bell._thread
    assert thread is not None
    for number in range(8):
        (tmp_path / f"harbor/memory/letters/{number}").mkdir(parents=True)
    await to_thread.run_sync(thread.join, WAIT_SECONDS)
    assert not store.bell.watching and "watch limit reached" in str(store.bell.problem)
    assert heard[-1] == frozenset({""}), "whoever listens looks at everything once more"
    await store.stop()
    store.close()
