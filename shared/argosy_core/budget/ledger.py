"""What was spent and what is set aside, for one agent: pure arithmetic over one small document.

A counter holds the sums of the day and month it was last used in and the sum of all time, so nothing here grows with
what happened before. A reservation counts for the day it was made on, also when it is settled after midnight: the sum
of a day is then what was reserved on it, and a cap checked when reserving holds whatever happens later.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple, cast

from argosy_core.clock import parse_time, rfc3339
from argosy_core.errors import Conflict, Corrupted, NotFound, TooLarge

SCHEMA = 1
MAX_OPEN = 2_000
MAX_CLOSED = 200  # settled reservations that are remembered, so that settling again says the same
MAX_WARNED = 200
RUN_KEPT_DAYS = 40  # counters of runs that nobody touched for so long are dropped

Period = Literal["day", "month", "total"]
Ended = Literal["settled", "expired", "unverified"]
_SIZE: Mapping[Period, int] = {"day": 10, "month": 7, "total": 0}  # characters of a day that name its period


class Amount(NamedTuple):
    """What something costs: billionths of a dollar, tokens, actions."""

    nano: int = 0
    tokens: int = 0
    actions: int = 0

    def of(self, purse: str) -> int:
        """The part of it that *purse* counts: a purse of tokens or actions says so at its end."""
        if purse.endswith(":tokens"):
            return self.tokens
        return self.actions if purse.endswith(":actions") else self.nano

    def less(self, other: Amount) -> Amount:
        """The difference, which may be negative."""
        return Amount(*(mine - theirs for mine, theirs in zip(self, other, strict=True)))


@dataclass(frozen=True, slots=True)
class Counter:
    """Sums of one purse in billionths of a dollar, tokens or actions."""

    day: str = ""
    day_sum: int = 0
    month_sum: int = 0
    total: int = 0

    def add(self, amount: int, day: str) -> Counter:
        """The counter after *amount* was spent on *day*; a day that is over changes only what still contains it."""
        if day > self.day:
            month = amount + (self.month_sum if day[:7] == self.day[:7] else 0)
            return Counter(day, amount, month, self.total + amount)
        return Counter(
            self.day,
            self.day_sum + (amount if day == self.day else 0),
            self.month_sum + (amount if day[:7] == self.day[:7] else 0),
            self.total + amount,
        )

    def sum_of(self, period: Period, today: str) -> int:
        """The sum of *period* as of *today*; a clock that went back stays on the last day it saw."""
        today = max(today, self.day)
        if period == "total":
            return self.total
        if period == "month":
            return self.month_sum if today[:7] == self.day[:7] else 0
        return self.day_sum if today == self.day else 0


@dataclass(frozen=True, slots=True)
class Open:
    """A reservation that is not settled: *amount* out of every purse of *purses*, until *until* at the latest.

    *day* is the day it counts for. A clock that went back makes no new day: what was spent on the later one holds.
    *external* is the tool whose cost this is, where it is paid outside and only its holder learns what it came to.
    """

    amount: Amount
    purses: tuple[str, ...]
    day: str
    until: datetime
    run: str | None = None
    external: str | None = None


@dataclass(frozen=True, slots=True)
class Closed:
    """A reservation that is settled: at what amount, and whether by its holder or because its time was over.

    ``unverified`` is one of an *external* cost whose time was over: it counts as estimated until a person says what it
    came to.
    """

    amount: Amount
    purses: tuple[str, ...]
    day: str
    how: Ended
    external: str | None = None


@dataclass(frozen=True, slots=True)
class Cap:
    """A bound on one purse. *source* says which file or grant sets it, *threshold*s are warned of once a period."""

    purse: str
    period: Period
    limit: int
    source: str
    thresholds: tuple[float, ...] = ()
    action: Literal["skip", "fallback", "alert"] = "skip"


@dataclass(frozen=True, slots=True)
class Breach:
    """A cap that an amount does not fit under."""

    cap: Cap
    spent: int
    outstanding: int
    wanted: int

    @property
    def is_hard(self) -> bool:
        """Whether nothing may be spent beyond it."""
        return self.cap.action == "skip"


def explain_breach(breach: Breach) -> str:
    """Which cap is passed, by what."""
    from argosy_core.policy.money import show_usd

    cap = breach.cap
    kind = cap.purse.rpartition(":")[2]
    show = str if kind in ("tokens", "actions") else show_usd
    period = {"day": "today", "month": "this month", "total": "in all"}[cap.period]
    unit = f" {kind}" if kind in ("tokens", "actions") else ""
    return (
        f"{cap.source} allows {show(cap.limit)}{unit} {period}; {show(breach.spent)} is spent, "
        f"{show(breach.outstanding)} set aside, {show(breach.wanted)} asked for"
    )


class Seen(NamedTuple):
    """What the log says last of a mandate: the number of that event, and the state and text it tells of."""

    number: int = 0
    state: str = ""
    source_hash: str = ""


@dataclass(frozen=True, slots=True)
class Ledger:
    """One agent's purses. *throttled* are citations that nobody looks at before the time beside them, *mandates* what
    was logged of each last."""

    purses: Mapping[str, Counter] = field(default_factory=dict[str, Counter])
    open: Mapping[str, Open] = field(default_factory=dict[str, Open])
    closed: Mapping[str, Closed] = field(default_factory=dict[str, Closed])
    warned: tuple[str, ...] = ()
    throttled: Mapping[str, str] = field(default_factory=dict[str, str])
    mandates: Mapping[str, Seen] = field(default_factory=dict[str, Seen])

    # Asking

    def spent(self, purse: str, period: Period, now: datetime) -> int:
        """What is settled of *purse*."""
        counter = self.purses.get(purse)
        return counter.sum_of(period, day_of(now)) if counter else 0

    def outstanding(self, purse: str, period: Period, now: datetime) -> int:
        """What is set aside of *purse* in the period that *now* lies in."""
        size, today = _SIZE[period], self.today((purse,), now)
        return sum(o.amount.of(purse) for o in self.open.values() if purse in o.purses and o.day[:size] >= today[:size])

    def today(self, purses: Sequence[str], now: datetime) -> str:
        """The day that *now* is to *purses*: never one before the last they saw."""
        return max([day_of(now), *(self.purses[purse].day for purse in purses if purse in self.purses)])

    def breaches(self, amount: Amount, caps: Sequence[Cap], now: datetime) -> list[Breach]:
        """The caps that *amount* more would pass, or that are used up already."""
        found: list[Breach] = []
        for cap in caps:
            spent, aside = (f(cap.purse, cap.period, now) for f in (self.spent, self.outstanding))
            wanted = amount.of(cap.purse)
            if spent + aside + wanted > cap.limit or cap.limit == 0:
                found.append(Breach(cap, spent, aside, wanted))
        return found

    def expired(self, now: datetime) -> list[str]:
        """Reservations whose time is over."""
        return [name for name, open in self.open.items() if open.until <= now]

    def unverified(self, now: datetime) -> dict[str, Open | Closed]:
        """What ran out of time and was paid for outside, if it was: a person says what it came to."""
        closed: dict[str, Open | Closed] = {name: c for name, c in self.closed.items() if c.how == "unverified"}
        return closed | {name: self.open[name] for name in self.expired(now) if self.open[name].external}

    def contributing(self, purse: str, period: Period, now: datetime) -> list[str]:
        """The reservations that *purse* is used up by in the period of *now*, open ones first; settled ones as far as
        they are remembered."""
        size, today = _SIZE[period], self.today((purse,), now)
        known: list[tuple[str, Open | Closed]] = [*self.open.items(), *reversed(list(self.closed.items()))]
        return [name for name, r in known if purse in r.purses and r.amount.of(purse) and r.day[:size] >= today[:size]]

    # Changing

    def reserve(self, name: str, wanted: Open) -> Ledger:
        """Set *wanted* aside; nothing changes when *name* is there already. Raises TooLarge, Conflict."""
        known = self.open.get(name)
        if known is not None or name in self.closed:
            if known is not None and (known.amount, known.purses) != (wanted.amount, wanted.purses):
                raise Conflict("this reservation was made for another amount", hint="use a new one")
            return self
        if len(self.open) >= MAX_OPEN:
            raise TooLarge(f"{MAX_OPEN} reservations are open", hint="settle what has ended")
        return replace(self, open={**self.open, name: wanted})

    def settle(self, name: str, amount: Amount, how: Ended = "settled") -> Ledger:
        """End a reservation at *amount*. Raises NotFound, and Conflict when it was settled at another amount.

        One that was settled at its estimate because its time was over may still be settled, once: the difference
        counts.
        """
        known = self.open.get(name)
        if known is None:
            return self._settle_again(name, amount)
        rest = {key: open for key, open in self.open.items() if key != name}
        if how == "expired" and known.external:
            how = "unverified"
        closed = {**self.closed, name: Closed(amount, known.purses, known.day, how, known.external)}
        charged = self.charge(known.purses, amount, known.day)
        return replace(charged, open=rest, closed=_remembered(closed))

    def _settle_again(self, name: str, amount: Amount) -> Ledger:
        closed = self.closed.get(name)
        if closed is None:
            raise NotFound("there is no such reservation", hint="it was settled long ago, or never made")
        if closed.amount == amount and closed.how != "unverified":
            return self
        if closed.how == "settled":
            raise Conflict("this reservation was settled at another amount", hint="what was settled stands")
        charged = self.charge(closed.purses, amount.less(closed.amount), closed.day)
        return replace(charged, closed={**self.closed, name: replace(closed, amount=amount, how="settled")})

    def charge(self, purses: Sequence[str], amount: Amount, day: str) -> Ledger:
        """Add *amount* to each of *purses*, as spent on *day*."""
        changed = {p: self.purses.get(p, Counter()).add(amount.of(p), day) for p in purses}
        return replace(self, purses={**self.purses, **changed})

    def warn(self, caps: Sequence[Cap], now: datetime) -> tuple[Ledger, list[tuple[Cap, float]]]:
        """The ledger after its thresholds were looked at, and those that were passed for the first time."""
        passed: list[tuple[Cap, float]] = []
        warned = list(self.warned)
        for cap in caps:
            used = self.spent(cap.purse, cap.period, now) + self.outstanding(cap.purse, cap.period, now)
            for threshold in cap.thresholds:
                mark = f"{cap.purse}|{cap.period}|{period_of(cap.period, now)}|{cap.limit}|{threshold:g}"
                if mark not in warned and used >= threshold * cap.limit:
                    warned.append(mark)
                    passed.append((cap, threshold))
        return (replace(self, warned=tuple(warned[-MAX_WARNED:])), passed) if passed else (self, [])

    def throttle(self, name: str, until: datetime, now: datetime) -> Ledger:
        """Look at no citation *name* before *until*."""
        kept = {key: end for key, end in self.throttled.items() if parse_time(end) > now}
        return replace(self, throttled={**kept, name: rfc3339(until)})

    def saw(self, mandate: str, seen: Seen) -> Ledger:
        """The ledger after *seen* was logged of *mandate*; an older event changes nothing."""
        if seen.number <= self.mandates.get(mandate, Seen()).number:
            return self
        return replace(self, mandates={**self.mandates, mandate: seen})

    def tidied(self, now: datetime) -> Ledger:
        """Without the counters of runs that ended long ago."""
        oldest = day_of(now - timedelta(days=RUN_KEPT_DAYS))
        kept = {k: c for k, c in self.purses.items() if not k.startswith("run:") or c.day >= oldest}
        return self if len(kept) == len(self.purses) else replace(self, purses=kept)


def _remembered(closed: Mapping[str, Closed]) -> Mapping[str, Closed]:
    """The last of *closed*; those that wait for a person's word before all others."""
    if len(closed) <= MAX_CLOSED:
        return closed
    waiting = [name for name, c in closed.items() if c.how == "unverified"][-MAX_OPEN:]
    others = [name for name, c in closed.items() if c.how != "unverified"][-MAX_CLOSED:]
    kept = {*waiting, *others}
    return {name: c for name, c in closed.items() if name in kept}


def day_of(moment: datetime) -> str:
    """The UTC day of *moment*: ``2026-11-20``."""
    return moment.date().isoformat()


def period_of(period: Period, moment: datetime) -> str:
    """The period that *moment* lies in, as the beginning of its day: ``2026-11`` is a month."""
    return day_of(moment)[: _SIZE[period]]


def write_ledger(ledger: Ledger) -> bytes:
    """*ledger* as the document it is kept in."""
    document = {
        "schema": SCHEMA,
        "purses": {name: [c.day, c.day_sum, c.month_sum, c.total] for name, c in ledger.purses.items()},
        "open": {
            name: [list(o.amount), list(o.purses), o.day, rfc3339(o.until), o.run, *_named(o.external)]
            for name, o in ledger.open.items()
        },
        "closed": {
            name: [list(c.amount), list(c.purses), c.day, c.how, *_named(c.external)]
            for name, c in ledger.closed.items()
        },
        "warned": list(ledger.warned),
        "throttled": dict(ledger.throttled),
        "mandates": {name: list(seen) for name, seen in ledger.mandates.items()},
    }
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def read_ledger(data: bytes, path: str) -> Ledger:
    """The ledger in *data*. Raises Corrupted: what was spent is not guessed."""
    try:
        found: Any = json.loads(data)
        if found["schema"] != SCHEMA:
            raise ValueError("another version")
        return Ledger(
            purses={name: Counter(*_counter(row)) for name, row in found["purses"].items()},
            open={name: _open(row) for name, row in found["open"].items()},
            closed={name: _closed(row) for name, row in found["closed"].items()},
            warned=tuple(map(str, found["warned"])),
            throttled={str(name): str(until) for name, until in found.get("throttled", {}).items()},
            mandates={name: _seen(row) for name, row in found.get("mandates", {}).items()},
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as exc:
        raise Corrupted(f"{path} is no ledger", hint="remove it: it is made again from the log", file=path) from exc


def _named(tool: str | None) -> list[str]:
    return [] if tool is None else [tool]


def _seen(row: Any) -> Seen:
    number, state, source_hash = row
    if type(number) is not int:
        raise ValueError("not a number")
    return Seen(number, str(state), str(source_hash))


def _counter(row: Any) -> tuple[str, int, int, int]:
    day, day_sum, month_sum, total = row
    if type(day) is not str or not all(type(number) is int for number in (day_sum, month_sum, total)):
        raise ValueError("not a counter")
    return day, day_sum, month_sum, total


def _amount(row: Any) -> Amount:
    if not all(type(number) is int and number >= 0 for number in row):
        raise ValueError("not an amount")
    return Amount(*row)


def _closed(row: Any) -> Closed:
    amount, purses, day, how, *external = row
    return Closed(_amount(amount), tuple(map(str, purses)), str(day), how, *map(str, external))


def _open(row: Any) -> Open:
    amount, purses, day, until, run, *external = row
    if type(day) is not str:
        raise ValueError("not a day")
    named = tuple(map(str, cast("list[object]", purses)))
    return Open(_amount(amount), named, day, parse_time(until), run, *map(str, external))
