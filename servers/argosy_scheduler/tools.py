"""The scheduler's tools: validate, call, shape."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

from anyio import to_thread
from pydantic import Field

from argosy_core.serving.identity import WhoCalls
from argosy_core.serving.results import DEFAULT_LIMIT
from argosy_core.serving.toolbox import ToolBox
from argosy_core.types import ActionClass
from argosy_scheduler.drafts import draft_trigger
from argosy_scheduler.models import Deleted, FiredItem, HistoryPage, Schedule, SchedulePage, Upcoming
from argosy_scheduler.schedules import Schedules
from argosy_scheduler.slots import Misfire

Name = Annotated[str, Field(description="Its name")]
Limit = Annotated[int, Field(description="At most this many, up to 500")]
Cursor = Annotated[str | None, Field(description="next_cursor of the page before")]
_WHEN = (
    "{cron: '0 7 * * 1-5'}, {every_s: 3600}, {at: time}, {watch: {glob}}, {event: {kind}} or "
    "{webhook: {path, secret_name}}"
)


def build_tools(schedules: Schedules) -> ToolBox:
    """The tools over *schedules*."""
    box = ToolBox()

    @box.tool("Schedule work", ActionClass.REVERSIBLE_WRITE, default=True, idempotent=True)
    async def schedule_put(
        caller: WhoCalls,
        name: Annotated[str, Field(description="The same name changes it")],
        when: Annotated[dict[str, Any], Field(description=_WHEN)],
        target: Annotated[dict[str, str], Field(description="{agent} (yourself) or {queue}")],
        input: Annotated[str | None, Field(description="The task, in prose")] = None,
        timezone: Annotated[str | None, Field(description="IANA name; UTC if new")] = None,
        misfire: Annotated[Misfire | None, Field(description="If late: skip, once for all, or all")] = None,
        jitter_s: int | None = None,
        enabled: bool | None = None,
    ) -> Schedule:
        """Have a task done at set times, or when files or events come, without anybody asking again."""
        draft = partial(draft_trigger, name, when, target, input, timezone, misfire, jitter_s, enabled)
        return await schedules.put(caller, await to_thread.run_sync(draft))

    @box.tool("List schedules", default=True)
    async def schedule_list(caller: WhoCalls, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None) -> SchedulePage:
        """What is scheduled: when, for whom, and when next."""
        return await schedules.page(caller, limit, cursor)

    @box.tool("Read a schedule")
    async def schedule_get(caller: WhoCalls, name: Name) -> Schedule:
        """One schedule with its whole task, when it fired last and fires next."""
        return await schedules.get(caller, name)

    @box.tool("Switch a schedule", ActionClass.REVERSIBLE_WRITE, idempotent=True)
    async def schedule_enable(caller: WhoCalls, name: Name, enabled: bool) -> Schedule:
        """Switch a schedule on or off. Times that pass while it is off are not made up for."""
        return await schedules.enable(caller, name, enabled)

    @box.tool("Delete a schedule", ActionClass.REVERSIBLE_WRITE, default=True)
    async def schedule_delete(caller: WhoCalls, name: Name) -> Deleted:
        """End a schedule you made; its file is kept in an archive."""
        return await schedules.delete(caller, name)

    @box.tool("Coming times")
    async def schedule_next(
        caller: WhoCalls, name: Name, count: Annotated[int, Field(description="1 to 100")] = 5
    ) -> Upcoming:
        """The next times at which a schedule fires, also in its own time zone."""
        return await schedules.upcoming(caller, name, count)

    @box.tool("Fire a schedule now", ActionClass.REVERSIBLE_WRITE)
    async def schedule_fire(
        caller: WhoCalls,
        name: Name,
        delivery: Annotated[
            str | None, Field(description="Of a webhook: the same one fires once", min_length=1, max_length=200)
        ] = None,
    ) -> FiredItem:
        """Have the task of a schedule done now, once more than its times say; also when it is off."""
        return await schedules.fire(caller, name, delivery)

    @box.tool("History of a schedule")
    async def schedule_history(
        caller: WhoCalls, name: Name, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None
    ) -> HistoryPage:
        """What a schedule fired, missed, and who changed it, newest first."""
        return await schedules.history(caller, name, limit, cursor)

    return box
