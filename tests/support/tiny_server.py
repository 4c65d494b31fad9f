"""The smallest server that the base can carry, with tools that misbehave in every way; also a program on stdio."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Annotated, Any, Literal

import anyio
from mcp.server.mcpserver import Context, Elicit, ElicitationResult, Resolve
from pydantic import BaseModel, Field

from argosy_core import errors
from argosy_core.errors import NotFound
from argosy_core.serving.config import ServerConfig, open_store
from argosy_core.serving.identity import WhoCalls
from argosy_core.serving.results import DoctorFinding, Result
from argosy_core.serving.server import ArgosyServer, need_agent
from argosy_core.serving.toolbox import ToolBox
from argosy_core.types import ActionClass, Role

ERRORS = {kind.code: kind for kind in errors.ArgosyError.__subclasses__() if kind.__module__ == errors.__name__}
AGENT_TOOLS = {
    *("tiny_who", "tiny_say", "tiny_write", "tiny_read", "tiny_crash", "tiny_fail", "tiny_big", "tiny_print"),
    *("tiny_odd", "tiny_count", "tiny_ask"),
}
HIDDEN_TOOLS = {"tiny_status", "tiny_hidden", "tiny_shapeless"}
HOST_TOOLS = {"tiny_host"}
OPERATOR_TOOLS = {"tiny_operator", "tiny_doctor"}


class Text(Result):
    text: str

    def render(self) -> str:
        return self.text


class Big(Result):
    short: str
    long: list[str]

    def render(self) -> str:
        return self.short


class Address(BaseModel):
    street: str
    number: int


class Colour(BaseModel):
    colour: str


async def ask_colour() -> Elicit[Colour]:
    return Elicit("Which colour?", Colour)


class Notes:
    """One Markdown file a name, ``<agent>/tiny/<name>.md``."""

    def __init__(self, config: ServerConfig) -> None:
        self._store = config.store
        self.problem: Exception | None = None

    async def read(self, agent: str, name: str) -> str:
        return (await self._store.documents.read(f"{agent}/tiny/{name}.md")).data.decode()

    async def write(self, agent: str, name: str, text: str) -> None:
        path = f"{agent}/tiny/{name}.md"
        await self._store.documents.write(path, text.encode())
        self._store.bell.ring(path)

    async def counts(self, agent: str | None) -> dict[str, int]:
        if self.problem is not None:
            raise self.problem
        return {"notes": len(await self._store.documents.list(f"{agent}/tiny", ".md")) if agent else 0}

    async def doctor(self, agent: str | None) -> list[DoctorFinding]:
        return [DoctorFinding(status="warn", check="tiny", message="is tiny", file="a.md", line=3, fix="let it grow")]

    def uris_of(self, path: str) -> list[str]:
        parts = path.split("/")
        is_note = len(parts) == 3 and parts[1] == "tiny" and path.endswith(".md")
        return [f"tiny://note/{parts[2].removesuffix('.md')}"] if is_note else []


def create(config: ServerConfig) -> ArgosyServer:
    """The tiny server for *config*."""
    notes = Notes(config)
    server = ArgosyServer("tiny", config, notes, _tools(notes), title="Tiny", instructions="Does next to nothing.")

    @server.resource("tiny://note/{name}", name="tiny_note", description="A note", mime_type="text/markdown")
    async def note(name: str) -> str:
        return await server.resource_of(notes.read, name)

    return server


def _tools(notes: Notes) -> ToolBox:
    box = ToolBox()

    @box.tool("Who calls", default=True)
    async def tiny_who(caller: WhoCalls) -> Text:
        """Who the server takes the caller for."""
        return Text(text=f"{caller.agent} {caller.role} {caller.source} {caller.run} {caller.grant}")

    @box.tool("Say", default=True)
    async def tiny_say(
        caller: WhoCalls,
        text: Annotated[str, Field(description="What to say")],
        times: Annotated[int, Field(ge=1, le=3)] = 1,
        mood: Literal["glad", "sad"] | None = None,
        address: Address | None = None,
    ) -> Text:
        """Say it."""
        return Text(text=" ".join([text] * times))

    @box.tool("Write", ActionClass.REVERSIBLE_WRITE, default=True)
    async def tiny_write(caller: WhoCalls, name: str, text: str) -> Text:
        """Write a note."""
        await notes.write(need_agent(caller), name, text)
        return Text(text=name)

    @box.tool("Read", default=True)
    async def tiny_read(caller: WhoCalls, name: str) -> Text:
        """Read a note."""
        return Text(text=await notes.read(need_agent(caller), name))

    @box.tool("Crash", default=True)
    async def tiny_crash(caller: WhoCalls, secret: str, kind: str = "RuntimeError") -> Text:
        """Crash with a secret in the message."""
        raise {"RuntimeError": RuntimeError, "KeyError": KeyError, "OSError": OSError, "Group": _group}[kind](secret)

    @box.tool("Fail", default=True)
    async def tiny_fail(caller: WhoCalls, code: str, size: int = 0) -> Text:
        """Fail as the contract has it."""
        raise ERRORS[code](f"it is {code}" + "!" * size, hint="do something else", place="here")

    @box.tool("Big", default=True)
    async def tiny_big(caller: WhoCalls, text_chars: int = 0, items: int = 0) -> Big:
        """Answer at length."""
        return Big(short="s" * text_chars, long=["x" * 1000] * items)

    @box.tool("Print", default=True)
    async def tiny_print(caller: WhoCalls) -> Text:
        """Print where nobody should."""
        print('{"jsonrpc":"2.0","id":1,"result":{}}')
        print("stray", file=sys.stderr, flush=True)
        os.write(1, b"raw bytes\xff without a newline")
        sys.stdout.flush()
        if sys.__stdout__ is not None:
            print("original", file=sys.__stdout__, flush=True)
        # A child must neither write to the wire nor read from it.
        subprocess.run("echo from a child; cat", shell=True, check=True)
        return Text(text="printed")

    @box.tool("Odd", default=True)
    async def tiny_odd(caller: WhoCalls) -> Text:
        """Answer what no wire can carry."""
        return Text(text="half \ud800 a pair")

    @box.tool("Count", default=True)
    async def tiny_count(caller: WhoCalls, ctx: Context[Any, Any], to: int) -> Text:
        """Count, and tell every number."""
        for number in range(1, to + 1):
            await ctx.report_progress(number, to, f"at {number}")
        return Text(text=f"counted to {to}")

    @box.tool("Ask", default=True)
    async def tiny_ask(caller: WhoCalls, answer: Annotated[ElicitationResult[Colour], Resolve(ask_colour)]) -> Text:
        """Ask the person at the client."""
        return Text(text=answer.model_dump_json())

    @box.tool("Shapeless")
    async def tiny_shapeless(caller: WhoCalls) -> Any:
        """Answer something that is no model."""
        return object()

    @box.tool("Hidden")
    async def tiny_hidden(caller: WhoCalls) -> Text:
        """In the full profile only."""
        return Text(text="found")

    @box.tool("Host", ActionClass.EXTERNAL_SIDE_EFFECT, role=Role.HOST)
    async def tiny_host(caller: WhoCalls) -> Text:
        """For the host and operators."""
        return Text(text="hosted")

    @box.tool("Operator", ActionClass.HIGH_RISK, role=Role.OPERATOR, destructive=True)
    async def tiny_operator(caller: WhoCalls) -> Text:
        """For operators."""
        return Text(text="operated")

    return box


def _group(secret: str) -> Exception:
    return ExceptionGroup(secret, [RuntimeError(secret), NotFound(secret)])


async def _serve(server: ArgosyServer, over_http: bool) -> None:
    if over_http:
        from argosy_core.serving.http import parse_address, serve_http

        await serve_http(server, {}, parse_address("127.0.0.1:0"), lambda url: print(url, flush=True))
    else:
        from argosy_core.serving.stdio import serve_stdio

        await serve_stdio(server)


def main(vault: str, *flags: str) -> None:
    """Serve the agent harbor of *vault* over stdio, or with ``--http`` on a free port that is printed."""
    config = ServerConfig(open_store(vault), agent="harbor")
    try:
        anyio.run(_serve, create(config), "--http" in flags)
    finally:
        config.store.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
