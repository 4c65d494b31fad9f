"""What vectors cost: set aside in the agent's ledger before a batch is sent, settled after it, one event a batch."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextvars import Context
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar

import anyio

from argosy_core.budget.caps import fleet_caps, grant_caps, model_caps, purses_of
from argosy_core.budget.ledger import Amount, Breach, Cap, Ledger, Open, explain_breach
from argosy_core.budget.ledgers import Ledgers, end_fields
from argosy_core.clock import Clock, rfc3339
from argosy_core.embedding import Embedder, FolderEmbedder
from argosy_core.errors import ArgosyError, BudgetExhausted, InvalidArgument, NotFound, PermissionDenied
from argosy_core.ids import Ids
from argosy_core.policy.grant_file import ID
from argosy_core.policy.model_md import parse_model
from argosy_core.policy.money import usd
from argosy_core.policy.policy_md import parse_policy
from argosy_core.storage.base import Store
from argosy_core.views.grants import GrantReader
from argosy_core.views.vault_reader import VaultReader

WRITER = "memory"
HELD_SECONDS = 300.0  # longer than a batch may take; after that what was set aside counts as spent


T = TypeVar("T")


def _waited(function: Callable[..., Awaitable[T]], *arguments: Any) -> T:
    """What *function* gives. The caller's context names a loop, which runs in another thread."""
    return Context().run(anyio.run, function, *arguments)


@dataclass(frozen=True, slots=True)
class Asked:
    """On whose behalf vectors are made: a run under its grant (an id, or itself as JSON), or nobody's but the agent's.

    *remarks* gets what is to be told of the caps.
    """

    run: str | None = None
    grant: str | None = None
    remarks: list[str] = field(default_factory=list[str])


class Payer:
    """Pays for vectors out of the purses ``embed`` and ``actor`` of an agent. Every call blocks, off the event loop."""

    def __init__(self, store: Store, clock: Clock, ids: Ids) -> None:
        self._chain = store.chain
        self._reader = VaultReader(store.files)
        self._clock = clock
        self._ids = ids
        self._ledgers = Ledgers(store, clock, ids)
        self._grants = GrantReader(store.files, clock)

    def embed(
        self,
        agent: str,
        embedder: Embedder | FolderEmbedder,
        texts: Sequence[str],
        asked: Asked,
        **waiting: float,
    ) -> Sequence[Sequence[float]]:
        """The vectors of *texts*, paid for, also out of the run's purses where a run asked.

        Raises BudgetExhausted before anything is sent, and what the source raises: then it has cost nothing.
        """
        if isinstance(embedder, FolderEmbedder):
            return embedder.embed(texts)
        held = embedder.most(texts)
        if not held[0]:  # nothing to set aside
            vectors, tokens = embedder.counted(texts, **waiting)
            spent = Amount(0, held[1] if tokens is None else tokens)
            _waited(self._log, agent, embedder.settings.model, len(texts), spent, tokens is None, asked)
            return vectors
        name = _waited(self._reserve, agent, embedder.settings.model, Amount(*held), asked)
        try:
            vectors, tokens = embedder.counted(texts, **waiting)
        except ArgosyError:
            _waited(self._settle, agent, name, Amount())
            raise
        spent = Amount(*held) if tokens is None else Amount(embedder.settings.nano_for(tokens), tokens)
        _waited(self._settle, agent, name, spent)
        _waited(self._log, agent, embedder.settings.model, len(texts), spent, tokens is None, asked)
        return vectors

    async def _reserve(self, agent: str, model: str, amount: Amount, asked: Asked) -> str:
        caps = self._caps(agent, asked)
        purses = purses_of("embed", caps, None, "token")
        now, name = self._clock.now(), self._ids.random(8).hex()
        until = now + timedelta(seconds=HELD_SECONDS)

        def set_aside(ledger: Ledger) -> tuple[Ledger, tuple[str, list[Breach], list[tuple[Cap, float]]]]:
            breaches = ledger.breaches(amount, caps, now)
            for breach in breaches:
                # Vectors of a fallback model could not be compared with those that are there: there is none of these.
                if breach.cap.action != "alert":
                    raise BudgetExhausted(
                        f"no vectors are made: {explain_breach(breach)}",
                        hint="wait for the next period, or have the cap raised",
                    )
            day = ledger.today(purses, now)
            reserved, passed = ledger.reserve(name, Open(amount, purses, day, until, asked.run)).warn(caps, now)
            return reserved, (day, breaches, passed)

        day, breaches, passed = await self._ledgers.change(agent, set_aside)
        fields: dict[str, Any] = {
            "reservation_id": name, "run_id": asked.run, "payer": "embed", "model": model, "estimate": [*amount],
            "purses": [*purses], "day": day, "until": rfc3339(until),
        }  # fmt: skip
        await self._ledgers.log(agent, "budget.reserve", fields)
        warnings = await self._ledgers.warn(agent, asked.run, passed, now.date().isoformat())
        asked.remarks.extend([*(f"over its cap: {explain_breach(breach)}" for breach in breaches), *warnings])
        return name

    async def _settle(self, agent: str, name: str, amount: Amount) -> None:
        known = (await self._ledgers.current(agent)).open.get(name)
        if known is None:  # its time was over: what was set aside counts
            return
        await self._ledgers.log(agent, "budget.settle", end_fields(name, known, amount), key=f"settle:{name}")
        self._ledgers.change_now(agent, lambda ledger: (ledger.settle(name, amount), None))

    async def _log(self, agent: str, model: str, texts: int, spent: Amount, is_estimate: bool, asked: Asked) -> None:
        event: dict[str, Any] = {
            "kind": "memory.embed", "primitive": "other", "model": model, "texts": texts, "input_tokens": spent.tokens,
            "cost_usd": usd(spent.nano), "cost_source": "embedding",
        }  # fmt: skip
        if asked.run is not None:
            event["run_id"] = asked.run
        await self._chain.append(agent, WRITER, event | ({"cost_estimated": True} if is_estimate else {}))

    def _caps(self, agent: str, asked: Asked) -> list[Cap]:
        """The caps of ``policy.md``, of the agent's ``model.md`` and of the run's grant.

        Raises PolicyInvalid, Corrupted, and BudgetExhausted for a grant that does not count.
        """
        rules = parse_policy(self._reader.read("policy.md") or b"").rules_for(agent)
        model = parse_model((self._reader.read(f"{agent}/model.md") or b"").decode("utf-8", "replace"))
        return [*fleet_caps(rules.cost_caps), *model_caps(agent, model), *self._run_caps(agent, asked)]

    def _run_caps(self, agent: str, asked: Asked) -> Iterable[Cap]:
        try:
            grant = self._grants.of_run(asked.grant, agent)
        except (NotFound, PermissionDenied, InvalidArgument) as error:
            raise BudgetExhausted(f"no vectors are made: {error.message}", hint=error.hint) from error
        return grant_caps(grant, asked.grant if asked.grant and ID.fullmatch(asked.grant) else None, asked.run)
