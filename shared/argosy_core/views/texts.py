"""Reading where one bad file must not stop the rest."""

from __future__ import annotations

from argosy_core.errors import ArgosyError
from argosy_core.policy.errors import PolicyInvalid, Problem, decode
from argosy_core.views.reader import Reader


class TolerantReader:
    """A `Reader` to which an unreadable file or folder is a missing one; what it met is listed in `problems`."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self.problems: list[Problem] = []

    def read(self, path: str) -> bytes | None:
        try:
            return self._reader.read(path)
        except ArgosyError as error:
            self._note(path, error)
            return None

    def list_dir(self, path: str) -> list[str]:
        try:
            return self._reader.list_dir(path)
        except ArgosyError as error:
            self._note(path, error)
            return []

    def text(self, path: str) -> str | None:
        """The text at *path*; None when there is none, or none that can be read."""
        data = self.read(path)
        if data is None:
            return None
        try:
            return decode(data, path)
        except PolicyInvalid as error:
            self.problems.append(Problem(error.line, error.reason, "error", error.hint or "", path))
            return None

    def _note(self, path: str, error: ArgosyError) -> None:
        problem = Problem(1, error.message, "error", error.hint or "look at the file", path)
        if problem not in self.problems:
            self.problems.append(problem)
