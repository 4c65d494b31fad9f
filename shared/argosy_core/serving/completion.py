"""Completion of arguments: names that exist, offered while a person types them in a client."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from mcp_types import Completion

from argosy_core.errors import ArgosyError
from argosy_core.types import Caller

MAX_VALUES = 100  # of one answer, as the protocol has it

Offer = Callable[[Caller, str], Awaitable[Sequence[str]]]
"""(who asks, what was typed) → names that could be meant, the likeliest first; more than fit are cut."""


class Completions:
    """What one server can complete: the arguments of its resource templates and prompts."""

    def __init__(self) -> None:
        self._offers: dict[tuple[str, str], Offer] = {}

    def add(self, place: str, argument: str, offer: Offer) -> None:
        """Offer values for *argument* of *place*, a template's URI or a prompt's name."""
        self._offers[place, argument] = offer

    def add_names(self, names: Callable[[Caller], Awaitable[Sequence[str]]], *places: tuple[str, str]) -> None:
        """Offer those of *names* that fit what was typed, for each (place, argument) of *places*."""

        async def offer(caller: Caller, typed: str) -> Sequence[str]:
            return matching(await names(caller), typed)

        for place, argument in places:
            self.add(place, argument, offer)

    def knows(self, place: str) -> bool:
        """Whether anything of *place* can be completed."""
        return any(known == place for known, _ in self._offers)

    async def complete(self, caller: Caller, place: str, argument: str, typed: str) -> Completion:
        """Values for what was *typed* so far; none where nothing is known, or nothing can be read."""
        offer = self._offers.get((place, argument))
        if offer is None:
            return Completion(values=[], total=0, has_more=False)
        try:
            values = await offer(caller, typed)
        except ArgosyError:  # typing goes on without help; the call itself says what is wrong
            return Completion(values=[], total=0, has_more=False)
        return Completion(values=list(values[:MAX_VALUES]), total=len(values), has_more=len(values) > MAX_VALUES)


def matching(names: Sequence[str], typed: str) -> list[str]:
    """Those of *names* that begin with what was typed, then those that hold it; case does not count."""
    wanted = typed.casefold()
    found = [(not name.casefold().startswith(wanted), name) for name in names if wanted in name.casefold()]
    return [name for _, name in sorted(found, key=lambda pair: pair[0])]
