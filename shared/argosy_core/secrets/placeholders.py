"""``{{secret:NAME}}`` in the arguments of a call: found, checked against the audience, replaced by the value.

Nothing here changes the arguments it is given: what was judged, hashed and logged stays the placeholder.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from argosy_core.errors import Blocked, InvalidArgument
from argosy_core.secrets.audience import Audience
from argosy_core.secrets.hosts import hosts_in
from argosy_core.secrets.secret import NAME_PATTERN, Secret

_PLACEHOLDER = re.compile(r"\{\{secret:(" + NAME_PATTERN + r")\}\}")
_MEANT = re.compile(r"\{\{\s*secret\s*:", re.I)
Resolve = Callable[[str], Awaitable[Secret]]


@dataclass(frozen=True, slots=True)
class Place:
    """A text that names a secret: *pointer* is its JSON pointer (RFC 6901)."""

    pointer: str
    name: str


def placeholder(name: str) -> str:
    """What a model writes for the secret *name*."""
    return f"{{{{secret:{name}}}}}"


def find_placeholders(arguments: Any) -> list[Place]:
    """Every place in *arguments*, at any depth, in the order they stand; a text with two names is there twice.

    Raises InvalidArgument for what is nearly a placeholder, Blocked for one in the name of a field.
    """
    places: list[Place] = []
    for pointer, text, is_name in _texts(arguments):
        if not _MEANT.search(text):
            continue
        if is_name:
            raise Blocked("a secret cannot stand in the name of an argument", hint="put it into a value")
        names = _PLACEHOLDER.findall(text)
        if len(names) != len(_MEANT.findall(text)):
            raise InvalidArgument(
                f"the argument {pointer} holds what is nearly a secret",
                hint="write {{secret:NAME}}, NAME of A-Z, 0-9, _",
            )
        places += [Place(pointer, name) for name in names]
    return places


def has_placeholder(arguments: Any) -> bool:
    """Whether anything in *arguments* is meant as a secret."""
    return any(_MEANT.search(text) for _, text, _ in _texts(arguments))


async def inject(
    arguments: Mapping[str, Any], resolve: Resolve, audience: Mapping[str, Audience], tool: str, own: bool
) -> dict[str, Any]:
    """A copy of *arguments* with values in the places that may have them: after the verdict, at the last moment.

    *tool* is the name a model calls; *own* says that it is a tool of our own servers, which never receive a value.
    Nothing is resolved unless every place is allowed. Raises Blocked (with the reason), NotFound (no such secret),
    InvalidArgument, and what *resolve* raises.
    """
    places = find_placeholders(arguments)
    if own and places:
        raise Blocked(f"{tool} is our own: it never receives the value of a secret", hint="leave the placeholder out")
    if places:
        _check(places, audience, tool, hosts_in(arguments))
    values = {name: await resolve(name) for name in dict.fromkeys(place.name for place in places)}
    try:
        return cast("dict[str, Any]", _filled(arguments, values))
    except RecursionError as exc:
        raise InvalidArgument("the arguments are nested too deeply") from exc


def _check(places: list[Place], audience: Mapping[str, Audience], tool: str, hosts: frozenset[str]) -> None:
    for place in places:
        known = audience.get(place.name)
        reason = "it has no audience" if known is None else known.refusal(tool, place.pointer, hosts)
        if reason is not None:
            raise Blocked(
                f"{place.name} may not go there: {reason}",
                hint="its owner can change that under secrets: in fleet.md",
                secret=place.name,
                pointer=place.pointer,
            )


def _filled(value: Any, values: Mapping[str, Secret]) -> Any:
    if isinstance(value, str):
        # One pass: what a value holds is never read as a placeholder.
        return _PLACEHOLDER.sub(lambda match: values[match[1]].reveal(), value) if values else value
    if isinstance(value, Mapping):
        return {name: _filled(item, values) for name, item in cast("Mapping[str, Any]", value).items()}
    if isinstance(value, list | tuple):
        return [_filled(item, values) for item in cast("list[Any]", value)]
    return value


def _texts(arguments: Any) -> Iterator[tuple[str, str, bool]]:
    """Pointer and text of every text, names of fields marked; without recursion: a caller chooses the depth."""
    pending: list[tuple[str, Any, bool]] = [("", arguments, False)]
    while pending:
        pointer, value, is_name = pending.pop()
        if isinstance(value, str):
            yield pointer, value, is_name
        elif isinstance(value, Mapping):
            below: list[tuple[str, Any, bool]] = []
            for name, item in cast("Mapping[str, Any]", value).items():
                place = f"{pointer}/{name.replace('~', '~0').replace('/', '~1')}"
                below += [(place, name, True), (place, item, False)]
            pending += reversed(below)
        elif isinstance(value, list | tuple):
            items = cast("list[Any]", value)
            pending += [(f"{pointer}/{index}", item, False) for index, item in reversed(list(enumerate(items)))]
