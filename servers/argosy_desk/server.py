"""Builds the desk server."""

from __future__ import annotations

import logging
from functools import partial

import anyio

from argosy_core.errors import ArgosyError
from argosy_core.serving.config import ServerConfig
from argosy_core.serving.results import MAX_LIMIT
from argosy_core.serving.server import ArgosyServer
from argosy_core.types import Caller
from argosy_desk.desk import Desk
from argosy_desk.tools import build_tools

POLL_SECONDS = 60.0
logger = logging.getLogger(__name__)


async def decide_what_is_due(desk: Desk, stop: anyio.Event) -> None:
    """Let defaults answer what nobody answered in time, until *stop* is set; also where nobody asks what waits.

    ``resolution_poll_cycle_seconds`` of the fleet's ``judges.md`` says how often; 0 is never, until it is changed.
    """
    while not stop.is_set():
        seconds = await desk.poll_seconds()
        try:
            if seconds is not None:
                await desk.sweep()
        except ArgosyError as error:  # tried again at the next look
            logger.warning("questions could not be looked at: %s", error)
        with anyio.move_on_after(seconds or POLL_SECONDS):
            await stop.wait()


def create(config: ServerConfig) -> ArgosyServer:
    """The desk server for *config*."""
    desk = Desk(config)
    server = ArgosyServer(
        "desk",
        config,
        desk,
        build_tools(desk),
        title="Desk",
        instructions="What a person must decide. Questions wait here until they are answered, here or in any editor.",
    )

    server.workers = [partial(decide_what_is_due, desk)]

    async def pending(caller: Caller) -> str:
        return (await desk.pending(caller, None, MAX_LIMIT, None)).render()

    @server.resource(
        "desk://pending", name="desk_pending", title="What waits for a person", mime_type="text/plain",
        description="The questions that wait, the most urgent first",
    )  # fmt: skip
    async def pending_questions() -> str:
        return await server.document_of(pending)

    @server.resource(
        "desk://question/{question}", name="question", title="A question", mime_type="text/markdown",
        description="A question's file as Markdown; question is its id",
    )  # fmt: skip
    async def question_file(question: str) -> str:
        return await server.document_of(desk.document, question)

    @server.prompt(name="triage", title="Go through what waits", description="Help a person decide, one by one")
    def triage() -> str:
        return (
            "Read desk_pending. For each question say in two lines what is asked, what would happen on a yes and on a "
            "no, and whether that could be undone; name what is missing to decide well. Take the urgent ones first and "
            "group those that one decision settles. A person decides: give the command that answers, and answer "
            "nothing yourself."
        )

    async def waiting(caller: Caller) -> list[str]:
        return [question.question for question in (await desk.pending(caller, None, MAX_LIMIT, None)).items]

    server.completions.add_names(waiting, ("desk://question/{question}", "question"))
    return server
