"""The promises of `Bell`. The opener gives a store: what rings is a change of its documents."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager
from typing import Any

from anyio import to_thread

from argosy_core.storage.base import Bell, Store
from argosy_core.testing.conformance import FolderOpener, Opener
from argosy_core.testing.conformance.promises import promise, same

Open = Opener[Store]
Check = Callable[[Open], Coroutine[Any, Any, None]]
FileCheck = Callable[[FolderOpener[Store]], Coroutine[Any, Any, None]]
WAIT_SECONDS = 10.0


class Ear:
    """Keeps what was heard, from any thread."""

    def __init__(self) -> None:
        self.calls: list[frozenset[str]] = []
        self._heard = threading.Condition()

    def __call__(self, paths: frozenset[str]) -> None:
        with self._heard:
            self.calls.append(paths)
            self._heard.notify_all()

    @property
    def paths(self) -> set[str]:
        return {path for call in self.calls for path in call}

    async def until(self, path: str, what: str) -> None:
        """Wait until *path* was heard; raises Broken when it is not within the bound."""

        await self._wait(lambda: path in self.paths, what)

    async def until_times(self, path: str, times: int, what: str) -> None:
        """Wait until *path* was heard so many times."""
        await self._wait(lambda: sum(path in call for call in self.calls) >= times, what)

    async def until_some(self, what: str) -> None:
        """Wait until anything was heard."""
        await self._wait(lambda: bool(self.calls), what)

    async def until_concerned(self, path: str, what: str) -> None:
        """Wait until *path*, a folder around it or "anything may have changed" was heard."""
        around = {path[:place] for place, char in enumerate(path) if char == "/"}
        await self._wait(lambda: not self.paths.isdisjoint({path, "", *around}), what)

    async def _wait(self, is_heard: Callable[[], bool], what: str) -> None:
        def wait() -> bool:
            with self._heard:
                return self._heard.wait_for(is_heard, WAIT_SECONDS)

        promise(await to_thread.run_sync(wait), f"{what} is heard within {WAIT_SECONDS:g} seconds", self.calls)


@contextmanager
def listening(bell: Bell, prefix: str = "") -> Generator[Ear]:
    """An ear at *bell* while the block runs."""
    ear = Ear()
    stop = bell.listen(prefix, ear)
    try:
        yield ear
    finally:
        stop()


async def check_a_ring_is_heard(open_store: Open) -> None:
    """What is rung is heard by everybody who listens on this handle, in one call, at once."""
    async with open_store() as store:
        with listening(store.bell) as one, listening(store.bell) as two:
            store.bell.ring("harbor/a.md", "harbor/日本.md")
            store.bell.ring()
            for ear in (one, two):
                same(ear.calls, [frozenset({"harbor/a.md", "harbor/日本.md"})], "both paths, and no empty call")


async def check_a_prefix_narrows(open_store: Open) -> None:
    """Who listens to a prefix hears the paths under it and no others; the path "" concerns everybody."""
    async with open_store() as store:
        with listening(store.bell, "harbor/journal/") as ear, listening(store.bell, "none/") as other:
            store.bell.ring("harbor/journal/a.md", "harbor/memory/b.md")
            store.bell.ring("harbor/memory/c.md")
            same(ear.calls, [frozenset({"harbor/journal/a.md"})], "only what is under the prefix")
            same(other.calls, [], "nothing under the other prefix")
            store.bell.ring("")
            same((ear.calls[1:], other.calls), ([frozenset({""})], [frozenset({""})]), "anything may have changed")


async def check_a_stopped_listener_hears_nothing(open_store: Open) -> None:
    """Who stopped listening hears no more, others still do, and stopping twice is harmless."""
    async with open_store() as store:
        gone, stays = Ear(), Ear()
        stop, stop_other = store.bell.listen("", gone), store.bell.listen("", stays)
        stop()
        stop()
        store.bell.ring("harbor/a.md")
        same((len(gone.calls), stays.paths), (0, {"harbor/a.md"}), "one hears, one does not")
        stop_other()


async def check_a_ring_never_raises(open_store: Open) -> None:
    """A listener that fails, or stops listening while it is told, keeps nobody else from hearing."""
    async with open_store() as store:

        def fail(paths: frozenset[str]) -> None:
            raise RuntimeError("a listener's own trouble")

        stops = [store.bell.listen("", fail)]
        with listening(store.bell) as ear:
            stops.append(store.bell.listen("", lambda _: stops[-1]()))
            stops.append(store.bell.listen("", fail))
            for _ in range(2):
                store.bell.ring("harbor/a.md")
            same(len(ear.calls), 2, "both rings are heard")
        for stop in stops:
            stop()


async def check_rings_come_from_any_thread(open_store: Open) -> None:
    """The bell may be rung in any thread."""
    async with open_store() as store:
        with listening(store.bell) as ear:
            await to_thread.run_sync(store.bell.ring, "harbor/a.md")
            await ear.until("harbor/a.md", "a ring of another thread")


async def check_another_handles_change_is_heard(open_store: Open) -> None:
    """Once a bell is watching, a document that another process wrote and rang for is heard."""
    async with open_store() as one, open_store() as two:
        with listening(one.bell) as ear:
            one.start()
            try:
                await _armed(one.bell, ear)
                await two.documents.write("harbor/journal/a.md", b"x")
                two.bell.ring("harbor/journal/a.md")
                await ear.until("harbor/journal/a.md", "another process's change")
            finally:
                await one.stop()
        same(one.bell.watching, False, "a stopped store does not watch")


async def check_a_persons_edit_is_heard(open_store: FolderOpener[Store]) -> None:
    """Once a bell is watching, files that a person makes, changes, renames and removes are heard, and no others."""
    async with open_store() as store:
        root = open_store.root
        with listening(store.bell) as ear, listening(store.bell, "reef/") as other:
            store.start()
            try:
                await _armed(store.bell, ear)
                (root / "harbor/memory").mkdir()
                (root / "harbor/memory/a.md").write_text("one")
                await ear.until("harbor/memory/a.md", "a new file in a new folder")
                for hidden in (".git", ".obsidian", ".argosy/x", "harbor/memory/.versions/a"):
                    (root / hidden).mkdir(parents=True)
                    (root / hidden / "b.md").write_text("x")
                ear.calls.clear()
                (root / "harbor/memory/.a.md.tmp").write_text("two")
                (root / "harbor/memory/.a.md.tmp").replace(root / "harbor/memory/a.md")
                await ear.until("harbor/memory/a.md", "an editor's save by renaming")
                (root / "harbor/memory/a.md").rename(root / "harbor/memory/日本.md")
                await ear.until("harbor/memory/日本.md", "a new name")
                (root / "harbor/memory/日本.md").unlink()
                (root / "harbor/last.md").write_text("x")
                await ear.until("harbor/last.md", "a file made after another was removed")
                hidden_heard = [path for path in ear.paths if "/." in f"/{path}"]
                promise(not hidden_heard, "hidden and temporary files are not heard", hidden_heard)
                promise(other.paths == {""}, "another folder's listener hears nothing", other.paths)
            finally:
                await store.stop()


async def check_folders_that_come_and_go_are_heard(open_store: FolderOpener[Store]) -> None:
    """A folder that is moved in is heard with its files; one that is moved away or removed is heard in any case."""
    async with open_store() as store:
        root, outside = open_store.root, open_store.root / ".argosy/outside"
        (outside / "deep").mkdir(parents=True)
        (outside / "deep/a.md").write_text("x")
        with listening(store.bell) as ear, listening(store.bell, "harbor/wiki/deep/") as below:
            store.start()
            try:
                await _armed(store.bell, ear)
                outside.rename(root / "harbor/wiki")
                await ear.until("harbor/wiki/deep/a.md", "a file of a folder moved in")
                ear.calls.clear()
                below.calls.clear()
                (root / "harbor/wiki").rename(root / "harbor/old")
                await ear.until("harbor/old/deep/a.md", "a file of a folder with a new name")
                await below.until_some("the folder around what is listened to going away")
                ear.calls.clear()
                shutil.rmtree(root / "harbor/old")
                await ear.until("", "a folder removed")
            finally:
                await store.stop()


async def check_watching_is_counted_and_can_begin_again(open_store: FolderOpener[Store]) -> None:
    """Watching goes on until as many stops came as starts, and may begin again after that."""
    async with open_store() as store:
        for round_ in range(2):
            with listening(store.bell) as ear:
                store.start()
                store.start()
                await _armed(store.bell, ear)
                await store.stop()
                same(store.bell.watching, True, "one user is left")
                (open_store.root / f"harbor/{round_}.md").write_text("x")
                await ear.until(f"harbor/{round_}.md", "an edit")
                await store.stop()
                same(store.bell.watching, False, "no user is left")


async def _armed(bell: Bell, ear: Ear) -> None:
    """Wait until *bell* watches; it says so by "anything may have changed", since it knows nothing of before."""
    await ear.until("", "the beginning of watching")
    promise(bell.watching, "a bell that was started watches")


CHECKS: tuple[Check, ...] = (
    check_a_ring_is_heard,
    check_a_prefix_narrows,
    check_a_stopped_listener_hears_nothing,
    check_a_ring_never_raises,
    check_rings_come_from_any_thread,
    check_another_handles_change_is_heard,
)
FILE_CHECKS: tuple[FileCheck, ...] = (
    check_a_persons_edit_is_heard,
    check_folders_that_come_and_go_are_heard,
    check_watching_is_counted_and_can_begin_again,
)
