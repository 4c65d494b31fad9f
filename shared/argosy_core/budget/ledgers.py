"""The ledgers of a vault over documents: one small file an agent, ``_fleet/budgets/<agent>.json``.

The log stays the history: every reservation and its end is an event there, and a ledger that is not there is made again
from it. The file is what makes the answer to "may this still be spent" as cheap after a million events as after none.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from anyio import to_thread

from argosy_core.budget.ledger import Amount, Cap, Closed, Ended, Ledger, Open, Seen, day_of, read_ledger, write_ledger
from argosy_core.clock import Clock, parse_time
from argosy_core.errors import AlreadyExists, Conflict, NotFound, Unavailable
from argosy_core.ids import Ids
from argosy_core.policy.money import show_usd, usd
from argosy_core.storage.base import ABSENT, Content, Store

FOLDER = "_fleet/budgets"
WRITER = "judge"
LIFECYCLE = frozenset({"mandate.granted", "mandate.revoked", "mandate.expired"})
TRIES = 200  # compare-and-swap rounds before a writer gives up against other processes
PAUSE_SECONDS = 0.002
_T = TypeVar("_T")


def ledger_path(agent: str) -> str:
    """Where the ledger of *agent* is kept."""
    return f"{FOLDER}/{agent}.json"


class Ledgers:
    """Reads and changes ledgers. What blocks is said; the rest may be awaited."""

    def __init__(self, store: Store, clock: Clock, ids: Ids) -> None:
        self._files = store.files
        self._chain = store.chain
        self._clock = clock
        self._ids = ids
        self._locks: dict[str, threading.Lock] = {}
        self._guard = threading.Lock()
        self._kept: dict[str, tuple[str, Ledger]] = {}

    def look(self, agent: str) -> Ledger:
        """The ledger as it stands; empty when there is none yet. Blocks."""
        return self._read(agent)[1]

    async def current(self, agent: str) -> Ledger:
        """The ledger, made again from the log if it was lost, with what ran out of time settled."""
        return await self.change(agent, lambda ledger: (ledger, ledger))

    async def change(self, agent: str, work: Callable[[Ledger], tuple[Ledger, _T]]) -> _T:
        """Let *work* change the ledger, and keep what it returns; it may run several times, against newer ledgers."""
        lost = await self._found_again(agent)
        if lost is not None:  # kept before *work* may refuse: the log is read through once, not at every asking
            await to_thread.run_sync(self._keep, agent, lost)
        ledger = await to_thread.run_sync(self.look, agent)
        ended = {name: await self._end_of(agent, name) for name in ledger.expired(self._clock.now())}

        def settled(found: Ledger) -> tuple[Ledger, _T]:
            for name, amount in ended.items():
                if name in found.open:
                    known = found.open[name].amount
                    found = found.settle(name, known if amount is None else amount, _how(amount))
            return work(found)

        result = await to_thread.run_sync(self.change_now, agent, settled)
        for name, amount in ended.items():
            if amount is None:
                await self._log_expired(agent, name, ledger)
        return result

    def change_now(self, agent: str, work: Callable[[Ledger], tuple[Ledger, _T]]) -> _T:
        """As `change`, without looking at what ran out of time. Blocks."""
        path = ledger_path(agent)
        with self._lock(agent):
            for attempt in range(TRIES):
                version, ledger = self._read(agent)
                changed, result = work(ledger)
                if changed is ledger:
                    return result
                try:
                    data = write_ledger(changed.tidied(self._clock.now()))
                    written = self._files.replace(path, data, expect=version or ABSENT)
                except (Conflict, AlreadyExists):
                    spread = 1 + self._ids.random(1)[0] / 64
                    self._clock.pause(PAUSE_SECONDS * min(attempt + 1, 10) * spread)
                    continue
                self._kept[agent] = written.version, changed
                return result
        raise Unavailable(f"many processes write {path}", hint="try again in a moment")

    async def log(self, agent: str, kind: str, fields: Mapping[str, Any], key: str | None = None) -> None:
        """Add an event of the ledger to the agent's log."""
        event = {"kind": kind, "primitive": "mandate_reservation", **fields}
        await self._chain.append(agent, WRITER, {k: v for k, v in event.items() if v is not None}, key=key)

    async def warn(self, agent: str, run: str | None, passed: Sequence[tuple[Cap, float]], today: str) -> list[str]:
        """Log each threshold that was passed, once a period; the same in words."""
        said: list[str] = []
        for cap, threshold in passed:
            text = f"{threshold:.0%} of {cap.source}'s {show_usd(cap.limit)} a {cap.period} is reached"
            fields = {
                "primitive": "cost_warning", "purse": cap.purse, "period": cap.period, "cap_usd": usd(cap.limit),
                "threshold": threshold, "source": cap.source, "run_id": run,
            }  # fmt: skip
            await self.log(agent, "budget.warning", {**fields, "day": today})
            said.append(text)
        return said

    def _keep(self, agent: str, lost: Ledger) -> None:
        """Write the ledger that was lost, unless somebody else has meanwhile. Blocks."""
        tidied = lost.tidied(self._clock.now())
        with self._lock(agent), suppress(AlreadyExists, Conflict):
            written = self._files.replace(ledger_path(agent), write_ledger(tidied), expect=ABSENT)
            self._kept[agent] = written.version, tidied

    def _read(self, agent: str) -> tuple[str | None, Ledger]:
        try:
            content: Content = self._files.read(ledger_path(agent))
        except NotFound:
            return None, Ledger()
        kept = self._kept.get(agent)
        if kept is not None and kept[0] == content.version:
            return kept
        ledger = read_ledger(content.data, content.path)
        self._kept[agent] = content.version, ledger
        return content.version, ledger

    def _lock(self, agent: str) -> threading.Lock:
        with self._guard:
            return self._locks.setdefault(agent, threading.Lock())

    # What the log knows

    async def _end_of(self, agent: str, name: str) -> Amount | None:
        """What a reservation was settled at by the log; None when it was not: its holder died."""
        entry = await self._chain.find(agent, WRITER, f"settle:{name}")
        return None if entry is None else Amount(*entry.event["actual"])

    async def _log_expired(self, agent: str, name: str, ledger: Ledger) -> None:
        known = ledger.open[name]
        with suppress(Conflict):  # its holder settled it at this very moment, and corrects the ledger by that
            fields = end_fields(name, known, known.amount)
            await self.log(agent, "budget.expired", fields, key=f"settle:{name}")
            if known.external:
                told = {"tool_name": known.external, "projected_usd": usd(known.amount.nano), "cost_kind": "external"}
                told |= {"hint": f"say what it came to: {reconcile_command(agent, name, known.amount)}"}
                await self.log(agent, "budget.external_unverified", fields | told, key=f"unverified:{name}")

    async def _found_again(self, agent: str) -> Ledger | None:
        """The ledger as the log tells it, when the file is not there and the log knows of one; None otherwise."""
        if await to_thread.run_sync(self._files.info, ledger_path(agent)) is not None:
            return None
        if all(head.writer != WRITER for head in await self._chain.heads(agent)):
            return None
        ledger = Ledger()
        async for line in self._chain.scan(agent):
            if line.get("writer") == WRITER and str(line.get("kind", "")).startswith(("budget.", "mandate.")):
                ledger = _replayed(ledger, line)
        return ledger


def reconcile_command(agent: str, name: str, amount: Amount) -> str:
    """How a person says that the reservation *name* came to *amount*."""
    stated = json.dumps({"reservation": name, "actual": usd(amount.nano)})
    return f"mcp-host call judge_settle '{stated}' --role operator --agent {agent}"


def end_fields(name: str, known: Open | Closed, amount: Amount) -> dict[str, Any]:
    """What an event says of a reservation's end at *amount*: enough to make the ledger again."""
    fields = {"reservation_id": name, "actual": [*amount], "purses": [*known.purses], "day": known.day}
    return fields | ({"run_id": known.run} if isinstance(known, Open) and known.run else {})


def _how(amount: Amount | None) -> Ended:
    return "expired" if amount is None else "settled"


def _replayed(ledger: Ledger, event: Mapping[str, Any]) -> Ledger:
    """*ledger* after what *event* says happened."""
    name, purses = str(event.get("reservation_id")), tuple(map(str, event.get("purses") or ()))
    kind = event["kind"]
    if kind in LIFECYCLE:
        return ledger.saw(str(event.get("mandate_id")), seen_in(event))
    day = str(event.get("day") or day_of(parse_time(str(event["ts"]))))
    if kind == "budget.reserve":
        return ledger.reserve(name, _reserved(event, purses, day))
    if kind not in ("budget.settle", "budget.expired", "budget.correct"):
        return ledger
    amount = Amount(*event["actual"])
    if kind == "budget.correct":
        closed = ledger.closed.get(name)
        if name in ledger.open or (closed is not None and closed.how != "settled"):
            return ledger.settle(name, amount)
        return ledger.charge(purses, amount.less(Amount(*event["was"])), day)
    if name in ledger.open:
        return ledger.settle(name, amount, "expired" if kind == "budget.expired" else "settled")
    return ledger.charge(purses, amount, day)


def _reserved(event: Mapping[str, Any], purses: tuple[str, ...], day: str) -> Open:
    amount = Amount(*event["estimate"])
    is_external = event.get("cost_kind") == "external" and amount.nano
    external = str(event.get("tool_name")) if is_external else None
    return Open(amount, purses, day, parse_time(str(event["until"])), event.get("run_id"), external)


def seen_in(event: Mapping[str, Any]) -> Seen:
    """What an event of `LIFECYCLE` says of its mandate."""
    return Seen(int(event.get("change") or 0), str(event["kind"]).rpartition(".")[2], str(event.get("source_hash")))
