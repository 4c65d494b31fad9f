"""Builds the scheduler server."""

from __future__ import annotations

from functools import partial

from argosy_core.serving.config import ServerConfig
from argosy_core.serving.results import MAX_LIMIT
from argosy_core.serving.server import ArgosyServer
from argosy_core.types import Caller
from argosy_scheduler.engine import Engine, run
from argosy_scheduler.schedules import Schedules
from argosy_scheduler.tools import build_tools


def create(config: ServerConfig) -> ArgosyServer:
    """The scheduler server for *config*. Its ``workers`` are what a host runs beside it, to fire what is due."""
    schedules = Schedules(config)
    server = ArgosyServer(
        "scheduler",
        config,
        schedules,
        build_tools(schedules),
        title="Schedules",
        instructions="Work that starts by itself: at set times, when files change, when something is logged.",
    )
    server.workers = [partial(run, Engine(config))]

    @server.resource(
        "schedule://agenda", name="agenda", title="What comes next", mime_type="text/plain",
        description="The next times of all schedules, in order",
    )  # fmt: skip
    async def agenda_text() -> str:
        return await server.document_of(schedules.agenda)

    @server.resource(
        "schedule://{name}", name="schedule", title="A schedule", mime_type="text/markdown",
        description="A schedule's file as Markdown",
    )  # fmt: skip
    async def schedule_file(name: str) -> str:
        return await server.document_of(schedules.document, name)

    @server.prompt(name="make_schedule", title="Make a schedule", description="Turn a wish into a schedule")
    def make_schedule(wish: str) -> str:
        return (
            f"It is {config.clock.now():%A, %Y-%m-%d %H:%M} UTC. Somebody wants: {wish}\n"
            "Look at schedule_list first: if a schedule already does it, say so, or change that one. Otherwise settle "
            "four things: when (a cron of five fields for times of day and weekdays, every_s for a steady beat, at for "
            "once, watch or event for what is not a time); in which time zone, if an hour is named; what is to happen "
            "when nobody's machine was on (skip it, once for all that was missed, or all of them); and the task, "
            "written so that it can be done without this conversation. Ask for what you cannot know, then use "
            "schedule_put and tell the next time it answers with, in the person's own zone."
        )

    async def names(caller: Caller) -> list[str]:
        return [schedule.name for schedule in (await schedules.page(caller, MAX_LIMIT, None)).items]

    server.completions.add_names(names, ("schedule://{name}", "name"))
    return server
