"""Changes as Linux tells them: all folders but the ignored ones are watched, and nothing runs until one changes."""

from __future__ import annotations

import os
import select
import threading
from pathlib import Path

from argosy_core.names import is_sound
from argosy_core.storage.files import inotify
from argosy_core.storage.files.watching import MAX_NAMED, MAX_STEPS, STEP_MS, is_ignored
from argosy_core.storage.listening_bell import ANYTHING

_IN = inotify.CREATE | inotify.MOVED_TO


class ToldWatcher:
    """`Watcher` by inotify."""

    def __init__(self, root: Path) -> None:
        self._root = str(root)
        self._folders: dict[int, str] = {}  # vault-relative paths, "" for the vault, by the number of their watch
        self._guard = threading.Lock()
        self._ended = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        try:
            self._told = inotify.Inotify()
        except BaseException:
            os.close(self._ended)
            raise
        self._end, self._any = select.poll(), select.poll()
        for poll in (self._end, self._any):
            poll.register(self._ended, select.POLLIN)
        self._any.register(self._told.fd, select.POLLIN)
        try:
            self._follow("")
        except BaseException:
            self.close()
            raise

    def changes(self) -> frozenset[str] | None:
        self._any.poll()  # until something happens, which includes `end`
        changed: set[str] = set()
        for _ in range(MAX_STEPS):
            if not (events := self._told.read()):
                break
            for event in events:
                changed |= self._changed(event)
            if self._end.poll(STEP_MS):
                break
        return None if self._end.poll(0) else frozenset(changed)

    def end(self) -> None:
        with self._guard:
            if self._ended >= 0:
                os.eventfd_write(self._ended, 1)

    def close(self) -> None:
        with self._guard:
            ended, self._ended = self._ended, -1
        if ended >= 0:
            os.close(ended)
            self._told.close()

    def _changed(self, event: inotify.Event) -> frozenset[str]:
        if event.mask & inotify.OVERFLOW:
            self._follow("")  # among what is not told may be new folders
            return ANYTHING
        folder = self._folders.get(event.watch)
        if folder is None:
            return frozenset()
        if event.mask & inotify.IGNORED:
            del self._folders[event.watch]
            if not folder:
                raise FileNotFoundError(f"the vault at {self._root} is gone")
            return frozenset()
        if not _counts(event.name):
            return frozenset()
        path = f"{folder}/{event.name}" if folder else event.name
        return self._folder_changed(path, event.mask) if event.mask & inotify.IS_FOLDER else frozenset({path})

    def _folder_changed(self, path: str, mask: int) -> frozenset[str]:
        """A folder that came in brings files, and had some before it was watched; what one that went away held,
        nobody can say."""
        if mask & _IN:
            inside: list[str] = []
            self._follow(path, inside)
            return frozenset({path, *inside}) if len(inside) < MAX_NAMED else ANYTHING
        if mask & (inotify.DELETE | inotify.MOVED_FROM):
            self._forget(path)
            return ANYTHING
        return frozenset({path})

    def _follow(self, folder: str, inside: list[str] | None = None) -> None:
        """Watch *folder* and all below it, and put the files in them into *inside*, no more than count."""
        waiting = [folder]
        while waiting:
            path = waiting.pop()
            try:
                self._folders[self._told.add(f"{self._root}/{path}")] = path
                with os.scandir(f"{self._root}/{path}") as entries:
                    for entry in entries:  # perhaps very many: what costs is for folders, and for who asks
                        if entry.is_dir(follow_symlinks=False):
                            if _counts(entry.name):
                                waiting.append(f"{path}/{entry.name}" if path else entry.name)
                        elif inside is not None and len(inside) < MAX_NAMED and _counts(entry.name):
                            inside.append(f"{path}/{entry.name}")
            except (FileNotFoundError, NotADirectoryError, PermissionError):
                # It went away again, or is not ours to read: then its files are not either.
                if not path:
                    raise

    def _forget(self, folder: str) -> None:
        """Watch *folder* and all below it no more: what was moved is told of under its new name."""
        gone = [watch for watch, path in self._folders.items() if path == folder or path.startswith(f"{folder}/")]
        for watch in gone:
            self._told.remove(watch)
            del self._folders[watch]


def _counts(name: str) -> bool:
    """Whether a call could ask for it: a name that is not sound, none could."""
    return not is_ignored(name) and is_sound(name)
