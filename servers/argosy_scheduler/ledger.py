"""What each trigger has done so far, kept as events of the fleet's log.

``schedule.seen`` says from when a trigger's times count, ``schedule.fired`` what was fired, ``schedule.paused`` that
its times do not count until it is seen again. ``.argosy/scheduler.json`` keeps what they add up to, so that a start
reads the log of a day and not of years; it may be lost.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any

from argosy_core.clock import parse_time, rfc3339
from argosy_core.errors import ArgosyError, Conflict, NotFound
from argosy_core.serving.config import ServerConfig
from argosy_core.storage.base import Chain
from argosy_scheduler.firing import Fired, Firing, key_of
from argosy_scheduler.trigger_file import Trigger
from argosy_scheduler.when import At

STREAM, WRITER = "_fleet", "scheduler"
CACHE = ".argosy/scheduler.json"
# How far in the past a moment may lie, when it is first seen, to be fired all the same.
AT_CATCHES_UP = timedelta(days=1)
_KINDS = frozenset({"schedule.seen", "schedule.fired", "schedule.paused"})

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Account:
    """Of one trigger: its times count from *since*; *last* is when the newest of those fired fell due.

    *timing* names the times meant; when they change, or after a pause, a new account follows.
    """

    timing: str
    since: str
    last: str | None = None
    open: bool = True

    def handled_until(self, trigger: Trigger) -> datetime:
        """Up to when everything was dealt with, as far as the log says."""
        if self.last is not None:
            return max(parse_time(self.last), parse_time(self.since))
        since = parse_time(self.since)
        return since - AT_CATCHES_UP if isinstance(trigger.when, At) else since


def read_account(fields: Mapping[str, Any]) -> Account:
    """An account as it was kept. Raises ValueError, TypeError or KeyError when it is none."""
    last = fields.get("last")
    for moment in (fields["since"], last):
        if moment is not None:
            parse_time(str(moment))
    return Account(str(fields["timing"]), str(fields["since"]), last and str(last), fields.get("open") is not False)


class Ledger:
    """Reads and writes accounts; several schedulers on one vault come to the same ones."""

    def __init__(self, config: ServerConfig) -> None:
        self._documents = config.store.documents
        self._chain: Chain = config.store.chain
        self.accounts: dict[str, Account] = {}
        self._day: date | None = None
        self._kept_day: date | None = None

    # Reading

    async def load(self) -> None:
        """Bring the accounts up to what the log says."""
        try:
            kept = json.loads((await self._documents.read(CACHE)).data)
            self.accounts = {str(name): read_account(fields) for name, fields in kept["accounts"].items()}
            self._day = self._kept_day = date.fromisoformat(kept["day"])
        except (NotFound, ValueError, TypeError, KeyError, AttributeError):
            self.accounts, self._day = {}, None
        await self.refresh()

    async def refresh(self) -> None:
        """Learn what other schedulers wrote. Reading a day again changes nothing."""
        async for event in self._chain.scan(STREAM, since=self._day):
            if event.get("writer") == WRITER and event.get("kind") in _KINDS:
                self._apply(event)
                self._day = parse_time(str(event["ts"])).date()

    def _apply(self, event: Mapping[str, Any]) -> None:
        name, kind = str(event.get("trigger")), event["kind"]
        account = self.accounts.get(name)
        try:
            if kind == "schedule.seen":
                self.accounts[name] = read_account({"timing": event["timing"], "since": event["from"]})
            elif account is not None and kind == "schedule.fired" and not event.get("manual"):
                due = str(event["due"])
                parse_time(due)
                self.accounts[name] = replace(account, last=max(account.last or "", due))
            elif account is not None and kind == "schedule.paused" and event["from"] == account.since:
                self.accounts[name] = replace(account, open=False)
        except (ValueError, KeyError):
            logger.warning("an entry of the log about the trigger %s makes no sense", name)

    # Writing

    async def open(self, trigger: Trigger, now: datetime) -> Account:
        """The account of an enabled trigger; of one that is new, changed or was paused it begins now."""
        account = self.accounts.get(trigger.name)
        if account is None or not account.open or account.timing != trigger.timing:
            await self.refresh()
            account = self.accounts.get(trigger.name)
        if account is not None and account.open and account.timing == trigger.timing:
            return account
        before = account.since if account else "the beginning"
        event = {"kind": "schedule.seen", "trigger": trigger.name, "timing": trigger.timing, "from": rfc3339(now)}
        key = f"seen:{trigger.name}:{trigger.timing}:{trigger.stamp[0]}:{before}"
        self._apply(await self._first(key, event))
        return self.accounts[trigger.name]

    async def pause(self, name: str) -> None:
        """Let the times of *name* not count until it is opened again."""
        account = self.accounts.get(name)
        if account is not None and account.open:
            event = {"kind": "schedule.paused", "trigger": name, "from": account.since}
            self._apply(await self._first(f"paused:{name}:{account.since}", event))

    async def fired(self, trigger: Trigger, firing: Firing, fired: Fired) -> None:
        """Write down that *firing* became an item, once, whoever fired it."""
        target = trigger.target
        event = {
            "kind": "schedule.fired",
            "trigger": trigger.name,
            "slot": rfc3339(firing.slot),
            "due": rfc3339(firing.due),
            "queue": target.queue,
            "item": fired.item,
            target.kind: target.name,
            **firing.about,
            **({"manual": True} if firing.manual else {}),
        }
        self._apply(await self._first(f"fired:{fired.key}", event))

    async def has_fired(self, trigger: Trigger, firing: Firing) -> bool:
        """Whether the log says that *firing* became an item."""
        return await self._chain.find(STREAM, WRITER, f"fired:{key_of(trigger.name, firing)}") is not None

    async def missed(self, trigger: Trigger, first: datetime, until: datetime, why: str) -> None:
        """Write down, once, that slots from *first* until *until* were left out."""
        event = {
            "kind": "schedule.missed",
            "trigger": trigger.name,
            "from": rfc3339(first),
            "until": rfc3339(until),
            "why": why,
        }
        await self._first(f"missed:{trigger.name}:{rfc3339(first)}:{why}", event)

    async def _first(self, key: str, event: Mapping[str, Any]) -> Mapping[str, Any]:
        """*event* as it stands in the log: of all schedulers the first decides."""
        try:
            return (await self._chain.append(STREAM, WRITER, event, key=key)).event
        except Conflict:
            known = await self._chain.find(STREAM, WRITER, key)
            return event if known is None else known.event

    async def keep(self, now: datetime, *, always: bool = False) -> None:
        """Keep the accounts beside the log, once a day or *always*; failing to is no loss."""
        if self._kept_day == now.date() and not always:
            return
        self._kept_day = now.date()
        try:
            await self.refresh()
            if self._day is None:
                return
            kept = {"day": self._day.isoformat(), "accounts": {name: asdict(a) for name, a in self.accounts.items()}}
            await self._documents.write(CACHE, json.dumps(kept, ensure_ascii=False).encode())
        except ArgosyError as error:
            logger.warning("what the scheduler did is in the log only: %s", error)
