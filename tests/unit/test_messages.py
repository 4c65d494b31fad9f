"""The end of a client's messages comes after the answers to what it asked, and does not wait for ever."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest
from mcp.shared.message import SessionMessage
from mcp_types import JSONRPCNotification, JSONRPCRequest, JSONRPCResponse

from argosy_core.serving import messages
from argosy_core.serving.messages import Incoming, Outgoing, Owed

pytestmark = pytest.mark.anyio


class Gone:
    """A writer that nobody reads."""

    async def write(self, text: str, /) -> None:
        raise BrokenPipeError

    async def flush(self) -> None: ...


def ask(number: int | str, method: str = "ping") -> JSONRPCRequest:
    return JSONRPCRequest(jsonrpc="2.0", id=number, method=method)


def answer(number: int | str) -> JSONRPCResponse:
    return JSONRPCResponse(jsonrpc="2.0", id=number, result={})


def cancel(number: Any) -> JSONRPCNotification:
    return JSONRPCNotification(jsonrpc="2.0", method="notifications/cancelled", params={"requestId": number})


async def lines(*requests: JSONRPCRequest) -> AsyncIterator[str]:
    for each in requests:
        yield each.model_dump_json()


async def test_nothing_is_owed_after_answers_cancellations_and_to_who_only_listens() -> None:
    owed = Owed()
    for message in (ask(1), ask("2"), ask(3), ask(4, "subscriptions/listen"), answer("1"), answer(2), cancel("3")):
        owed.note(message)
    with anyio.fail_after(5):
        await owed.settled(60)


@pytest.mark.parametrize("odd", [cancel(None), cancel([1]), cancel(7), answer("none")])
async def test_what_settles_nothing_leaves_the_request_owed(odd: Any) -> None:
    owed = Owed()
    owed.note(ask(1))
    owed.note(odd)
    with anyio.move_on_after(0) as scope:
        await owed.settled(60)
    assert scope.cancelled_caught


async def test_the_end_waits_for_the_last_answer() -> None:
    owed, order = Owed(), list[str]()
    incoming = Incoming(lines(ask(1)), owed)
    assert isinstance(await incoming.receive(), SessionMessage)

    async def reach_the_end() -> None:
        with pytest.raises(anyio.EndOfStream):
            await incoming.receive()
        order.append("end")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(reach_the_end)
        await anyio.wait_all_tasks_blocked()
        order.append("answer")
        owed.note(answer(1))
    assert order == ["answer", "end"]


async def test_the_end_comes_without_an_answer_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "LAST_ANSWERS_SECONDS", 0.0)
    incoming = Incoming(lines(ask(1)), Owed())
    with anyio.fail_after(5):
        assert len([item async for item in incoming]) == 1


async def test_who_is_gone_is_noticed_once_and_written_to_no_more() -> None:
    noticed: list[str] = []
    outgoing = Outgoing(Gone(), Owed(), lambda: noticed.append("gone"))
    with pytest.raises(anyio.BrokenResourceError):
        await outgoing.send(SessionMessage(answer(1)))
    with pytest.raises(anyio.ClosedResourceError):
        await outgoing.send(SessionMessage(answer(2)))
    assert noticed == ["gone"]
