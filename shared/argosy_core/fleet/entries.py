"""Reading a ``registry.json``: the form of the public MCP registries, ``{"servers": [{"server": …, "_meta": …}]}``.

What the fleet needs beyond that form stands under ``_meta["io.github.argosy/fleet"]``: name, transport, entry_point,
command, url, env, tools, families.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn, cast
from urllib.parse import urlsplit

from argosy_core.errors import Corrupted
from argosy_core.fleet.servers import FILE, FleetServer, Transport
from argosy_core.types import ActionClass

FLEET_META = "io.github.argosy/fleet"
MAX_BYTES = 1024 * 1024

_TRANSPORTS: tuple[Transport, ...] = ("in_process", "stdio", "url")
_META_KEYS = frozenset({"name", "transport", "entry_point", "command", "url", "env", "tools", "families"})
# No double underscore in a server's name: it separates server and tool in `server__tool`.
_SERVER_NAME = re.compile(r"(?!.*__)[a-z][a-z0-9_-]{0,30}(?<!_)")
_TOOL_NAME = re.compile(r"[A-Za-z0-9_.-]{1,128}")
_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def read_entries(data: bytes, known: Mapping[str, FleetServer]) -> Iterator[tuple[str, FleetServer]]:
    """Each server of the file with the place where it stands; what it leaves out is as in *known*.

    Raises Corrupted.
    """
    seen: set[str] = set()
    for index, item in enumerate(_list(_object(_parse(data), "the file").get("servers"), "servers")):
        entry = _object(item, f"servers[{index}]")
        place = f"servers[{index}]._meta.{FLEET_META}"
        meta = _object(_object(entry.get("_meta"), place).get(FLEET_META), place)
        server = _server(meta, _object(entry.get("server", {}), f"servers[{index}].server"), place, known)
        if server.name in seen:
            bad(place, f"the server {server.name!r} stands here a second time")
        seen.add(server.name)
        yield place, server


def bad(place: str, reason: str, line: int | None = None) -> NoReturn:
    """Raise Corrupted for what stands at *place*."""
    detail = {"file": FILE, "place": place} | ({"line": line} if line else {})
    raise Corrupted(f"{FILE}: {place}: {reason}", hint="mend the file, or remove it to use the packaged one", **detail)


def _parse(data: bytes) -> Any:
    if len(data) > MAX_BYTES:
        bad("the file", f"longer than {MAX_BYTES // 1024} KiB")
    try:
        return json.loads(data.decode("utf-8-sig"), object_pairs_hook=_once, parse_constant=_no_constant)
    except json.JSONDecodeError as exc:
        bad(f"line {exc.lineno}", exc.msg, exc.lineno)
    except UnicodeDecodeError as exc:
        line = data[: exc.start].count(b"\n") + 1
        bad(f"line {line}", "not UTF-8", line)
    except (RecursionError, ValueError):
        bad("the file", "nested too deeply, or holds a number too long")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # Of two equal keys a reader sees the first and a program takes the last: neither may decide what runs.
    fields: dict[str, Any] = {}
    for key, value in pairs:
        if key in fields:
            bad("the file", f"the key {key[:80]!r} stands twice in one object")
        fields[key] = value
    return fields


def _no_constant(text: str) -> NoReturn:
    bad("the file", f"{text} is no JSON")


def _server(
    meta: Mapping[str, Any], about: Mapping[str, Any], place: str, known: Mapping[str, FleetServer]
) -> FleetServer:
    unknown = sorted(meta.keys() - _META_KEYS)
    if unknown:
        bad(place, f"unknown key {unknown[0][:80]!r}; known are {', '.join(sorted(_META_KEYS))}")
    name = _matching(meta.get("name"), _SERVER_NAME, f"{place}.name")
    base = known.get(name)
    transport = meta.get("transport", "in_process")
    if transport not in _TRANSPORTS:
        bad(f"{place}.transport", f"must be one of {', '.join(_TRANSPORTS)}")
    return FleetServer(
        name=name,
        title=_text(about.get("title", base.title if base else name), f"{place}.title"),
        description=_text(about.get("description", base.description if base else ""), f"{place}.description"),
        transport=transport,
        own=False,
        entry_point=_entry_point(meta, place, transport, base),
        command=_command(meta, place),
        url=_url(meta, place),
        env=_env(meta, about, place),
        tools=_tools(meta, place),
        families=_tools(meta, place, "families"),
    )


def _entry_point(meta: Mapping[str, Any], place: str, transport: Transport, base: FleetServer | None) -> str | None:
    if "entry_point" in meta:
        if transport == "url" or "command" in meta:
            bad(f"{place}.entry_point", "goes with neither a command nor a URL")
        return _matching(meta["entry_point"], _SERVER_NAME, f"{place}.entry_point")
    if base is not None and transport != "url" and not (transport == "stdio" and "command" in meta):
        return base.entry_point
    if transport == "in_process":
        bad(f"{place}.entry_point", "a server in this process needs the name of its entry point")
    return None


def _command(meta: Mapping[str, Any], place: str) -> tuple[str, ...]:
    if "command" not in meta:
        return ()
    place = f"{place}.command"
    if meta.get("transport") != "stdio":
        bad(place, "a command goes with the transport stdio")
    words = _list(meta["command"], place)
    if not words or not all(isinstance(word, str) and "\0" not in word for word in words) or not words[0]:
        bad(place, 'must be a list of words, such as ["uvx", "some-server"]')
    return tuple(words)


def _url(meta: Mapping[str, Any], place: str) -> str | None:
    place = f"{place}.url"
    if meta.get("transport") != "url":
        if "url" in meta:
            bad(place, "a URL goes with the transport url")
        return None
    url = _text(meta.get("url"), place)
    try:
        parts = urlsplit(url)
        host, plain = parts.hostname, parts.scheme == "http"
    except ValueError:
        bad(place, "not a URL")
    allowed = parts.scheme == "https" or (plain and host in _LOOPBACK)
    if not host or not allowed or parts.username is not None or not url.isprintable() or " " in url:
        bad(place, "must be https://…, or http://… on this machine, without a user name")
    return url


def _env(meta: Mapping[str, Any], about: Mapping[str, Any], place: str) -> tuple[str, ...]:
    place = f"{place}.env"
    names = list(_list(meta.get("env", []), place))
    for package in _list(about.get("packages", []), place):
        variables = _list(_object(package, place).get("environmentVariables", []), place)
        names.extend(_object(variable, place).get("name") for variable in variables)
    return tuple(sorted({_matching(name, _ENV_NAME, place) for name in names}))


def _tools(meta: Mapping[str, Any], place: str, field: str = "tools") -> dict[str, ActionClass]:
    classes: dict[str, ActionClass] = {}
    for tool, value in _object(meta.get(field, {}), f"{place}.{field}").items():
        _matching(tool, _TOOL_NAME, f"{place}.{field}")
        if not isinstance(value, str) or value not in tuple(ActionClass):
            bad(f"{place}.{field}.{tool}", f"must be one of {', '.join(ActionClass)}")
        classes[tool] = ActionClass(value)
    return classes


def _object(value: Any, place: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        bad(place, "must be an object")
    return cast("dict[str, Any]", value)


def _list(value: Any, place: str) -> list[Any]:
    if not isinstance(value, list):
        bad(place, "must be a list")
    return value  # pyright: ignore[reportUnknownVariableType]


def _text(value: Any, place: str) -> str:
    if not isinstance(value, str):
        bad(place, "must be text")
    return value


def _matching(value: Any, pattern: re.Pattern[str], place: str) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        bad(place, "is missing, or not a name that may stand here")
    return value
