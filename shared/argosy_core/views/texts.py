"""Reading texts of a vault where one bad file must not stop the rest."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from argosy_core.errors import ArgosyError
from argosy_core.policy.errors import PolicyInvalid, decode
from argosy_core.views.reader import Reader

_T = TypeVar("_T")


class Texts:
    """Texts through *reader*; what could not be read is listed in `problems`."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self.problems: list[str] = []

    def read(self, path: str) -> str | None:
        """The text at *path*; None when there is none, or none that can be read."""
        try:
            data = self._reader.read(path)
            return None if data is None else decode(data, path)
        except PolicyInvalid as error:
            self.problems.append(error.message)
        except ArgosyError as error:
            self._note(path, error)
        return None

    def names(self, folder: str) -> list[str]:
        """The names in *folder*; [] when it is not there, or cannot be read."""
        return self.attempt(folder, lambda: self._reader.list_dir(folder), [])

    def attempt(self, path: str, look: Callable[[], _T], otherwise: _T) -> _T:
        """What *look* finds at *path*; *otherwise* when that cannot be read."""
        try:
            return look()
        except ArgosyError as error:
            self._note(path, error)
            return otherwise

    def _note(self, path: str, error: ArgosyError) -> None:
        self.problems.append(error.message if path in error.message else f"{path}: {error.message}")
