"""Which files hold an agent's goals."""

from __future__ import annotations

from argosy_core.errors import ArgosyError, Corrupted, NotFound
from argosy_core.storage.base import Content, Documents
from argosy_goal.drafts import check_goal_name
from argosy_goal.goal_file import FOLDER, OLD_ID, OLD_NAME, path_of, read_goal
from argosy_goal.models import Goal

_NO_GOALS = frozenset({"INDEX.md", "README.md"})


class GoalFiles:
    """Finds and reads goals, of the present format and the older one."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    async def read_all(self, agent: str) -> tuple[list[Goal], list[ArgosyError]]:
        """Every goal that can be read, and what is wrong with the others."""
        goals: list[Goal] = []
        broken: list[ArgosyError] = []
        for path in await self._paths(agent):
            try:
                goals.append(read_goal(await self._documents.read(path)))
            except NotFound:
                continue  # moved away while we read the others
            except ArgosyError as error:
                broken.append(error)
        return goals, broken

    async def _paths(self, agent: str) -> list[str]:
        old = await self._documents.info(f"{agent}/{OLD_NAME}")
        listed = await self._documents.list(f"{agent}/{FOLDER}", ".md")
        names = [info.path for info in listed if info.path.rsplit("/", 1)[-1] not in _NO_GOALS]
        return ([old.path] if old else []) + names

    async def find(self, agent: str, goal: str) -> Content:
        """The file of *goal*. Raises NotFound, InvalidArgument, Corrupted for a broken older single goal."""
        try:
            return await self._documents.read(path_of(agent, check_goal_name(goal)))
        except NotFound:
            pass
        try:
            old = await self._documents.read(f"{agent}/{OLD_NAME}")
            if read_goal(old).goal == goal:
                return old
        except (NotFound, Corrupted):
            if goal == OLD_ID:
                raise
        raise NotFound(f"there is no goal {goal!r}", hint="goal_list shows the goals")
