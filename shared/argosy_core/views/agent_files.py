"""The files of one agent, read so that one bad file never hides the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal, TypeVar

from argosy_core.errors import ArgosyError
from argosy_core.policy.errors import PolicyInvalid, Problem
from argosy_core.views.reader import Reader
from argosy_core.yamltext import YamlProblem

_T = TypeVar("_T")


class AgentFiles:
    """Files of *agent* through *reader*; what is wrong with them is gathered in `problems`."""

    def __init__(self, reader: Reader, agent: str) -> None:
        self._reader = reader
        self._agent = agent
        self.problems: list[Problem] = []

    def text(self, path: str) -> str:
        """The text at *path*, relative to the agent's folder; empty when there is none, or none that can be read."""
        data = self._read(path)
        if data is None:
            return ""
        try:
            return data.decode()
        except UnicodeDecodeError as exc:
            line = data.count(b"\n", 0, exc.start) + 1
            self._add(path, line, "not UTF-8; what cannot be read is shown as �", "warning", "save it as UTF-8")
            return data.decode("utf-8", "replace")

    def parsed(self, path: str, parse: Callable[[bytes], _T], missing: _T, invalid: _T) -> _T:
        """What *parse* makes of the file; *missing* without a file, *invalid* when it is not what it should be."""
        data = self._read(path)
        if data is None:
            return missing
        try:
            return parse(data)
        except PolicyInvalid as exc:
            self._add(path, exc.line, exc.reason, "error", exc.hint or "mend the line")
        except YamlProblem as exc:
            self._add(path, exc.line, exc.reason, "error", "mend the YAML")
        return invalid

    def found(self, path: str, problems: Iterable[Problem]) -> None:
        """Gather *problems* of the file at *path*."""
        self.problems += [problem.within(f"{self._agent}/{path}") for problem in problems]

    def _read(self, path: str) -> bytes | None:
        try:
            return self._reader.read(f"{self._agent}/{path}")
        except ArgosyError as exc:
            self._add(path, 1, exc.message, "error", exc.hint or "look at the file")
            return None

    def _add(self, path: str, line: int, message: str, severity: Literal["error", "warning"], fix: str) -> None:
        self.problems.append(Problem(line, message, severity, fix, f"{self._agent}/{path}"))
