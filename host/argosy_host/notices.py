"""Telling the owner that a question waits: by a command or an address that ``fleet.md`` names under ``notify``.

Like everything that a vault would start, it is off until its digest is approved outside the vault, and off again when
it changes. Each question is told once when it is asked and once when its time runs out, whatever the number of
processes: whoever's event enters the log under the key of that question and stage tells it.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast
from urllib.parse import urlsplit

import anyio
from anyio import to_thread

from argosy_core.clock import Clock, parse_time
from argosy_core.errors import ArgosyError, Conflict, InvalidArgument
from argosy_core.frontmatter import parse
from argosy_core.ids import Ids
from argosy_core.policy.judges_md import load_judges
from argosy_core.policy.judges_model import NOTIFICATIONS
from argosy_core.secrets.placeholders import find_placeholders, has_placeholder
from argosy_core.storage.base import Store
from argosy_core.views.agents import list_agents
from argosy_core.views.fleet import load_fleet
from argosy_core.views.reader import Reader
from argosy_core.views.vault_reader import VaultReader
from argosy_host.notice_sending import KEY, Notice, Sender
from argosy_host.trust import Approvals

__all__ = ["KEY", "Notice", "Sender", "all_notices", "tell_once", "tell_what_waits", "wanted_notice"]

FOLDER = "vault/escalations"
LOOPBACK = ("127.0.0.1", "::1", "localhost")
POLL_SECONDS = 30.0
SOON_SECONDS = {"high": 900.0, "normal": 7_200.0, "low": 86_400.0}
WRITER = "notices"
MAX_TITLE_CHARS = 200
ESCALATION = "escalation"
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")

Stage = Literal["asked", "due"]

logger = logging.getLogger(__name__)


def wanted_notice(settings: Mapping[str, Any]) -> Notice | None:
    """What ``fleet.md`` asks for; None when it asks for nothing. Raises InvalidArgument for what is neither."""
    given = settings.get(KEY)
    if given is None:
        return None
    fields = cast("dict[str, Any]", given if isinstance(given, dict) else {})
    command, webhook = fields.get("command"), fields.get("webhook")
    if fields.keys() == {"command"} and isinstance(command, list):
        words = cast("list[object]", command)
        if words and all(isinstance(word, str) and word for word in words):
            return Notice(command=tuple(map(str, words)))
    headers = _headers(fields.get("headers"))
    if fields.keys() <= {"webhook", "headers"} and isinstance(webhook, str) and _may_be_called(webhook):
        return Notice(webhook=webhook, headers=headers)
    hint = "notify: {command: [program, argument]} or notify: {webhook: https://…} (http:// to this machine alone)"
    raise InvalidArgument("fleet.md: notify is neither a command nor a webhook", hint=hint)


def _headers(given: object) -> tuple[tuple[str, str], ...]:
    """What a webhook's headers say. Raises InvalidArgument."""
    fields = cast("dict[object, object]", given if isinstance(given, dict) else {})
    found = tuple((name, value) for name, value in fields.items() if isinstance(name, str) and isinstance(value, str))
    fine = all(_HEADER.fullmatch(name) and value.isprintable() for name, value in found)
    if not (given is None or isinstance(given, dict)) or len(found) < len(fields) or not fine:
        raise InvalidArgument("fleet.md: headers of notify are no names with texts", hint="headers: {Name: value}")
    find_placeholders(dict(found))  # what is nearly a secret must not be sent as it stands
    return found


def _may_be_called(url: str) -> bool:
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises for what is no port
    except ValueError:
        return False
    if has_placeholder(url):
        return False  # the address is in events and errors of others: a secret belongs into a header
    return bool(parts.hostname) and (parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK))


@dataclass(frozen=True, slots=True)
class Telling:
    """By what the questions of one agent are told: its *escalations*, as ``judges.md`` may say, and the *others*."""

    escalations: Notice | None
    others: Notice | None


def telling_of(reader: Reader, agent: str, by_fleet: Notice | None) -> Telling:
    """How *agent*'s questions are told. Blocks.

    ``operator_notification`` of its ``judges.md`` is ``desk`` or ``none`` (escalations wait at the desk, told by
    nobody), ``notify``, or an address of its own; what is none of these, and a policy that cannot be read, is
    ``notify``.
    """
    try:
        wanted = load_judges(reader.read, agent).settings.escalation.operator_notification
    except ArgosyError:
        wanted = None  # the doctor names it; what is asked meanwhile should not go unheard
    if wanted is not None and wanted.casefold() in NOTIFICATIONS[1:]:
        return Telling(None, by_fleet)
    if wanted is not None and _may_be_called(wanted):
        return Telling(Notice(webhook=wanted), by_fleet)
    return Telling(by_fleet, by_fleet)


def all_notices(reader: Reader) -> list[Notice]:
    """Everything that this vault would tell by. Blocks; raises InvalidArgument for a setting that cannot be read."""
    by_fleet = wanted_notice(load_fleet(reader).settings)
    found = [by_fleet, *(telling_of(reader, agent, by_fleet).escalations for agent in list_agents(reader))]
    return list(dict.fromkeys(notice for notice in found if notice is not None))


async def tell_what_waits(
    store: Store, approvals: Approvals, sender: Sender, time: Clock, ids: Ids, stop: anyio.Event
) -> None:
    """Tell each question that waits, once, until *stop* is set. What goes wrong is logged and tried again."""
    while not stop.is_set():
        try:
            await tell_once(store, approvals, sender, time, ids)
        except ArgosyError as error:
            logger.warning("nobody could be told what waits: %s", error)
        with anyio.move_on_after(POLL_SECONDS):
            await stop.wait()


async def tell_once(store: Store, approvals: Approvals, sender: Sender, time: Clock, ids: Ids) -> int:
    """Tell what waits and was not told; how many were. Raises InvalidArgument for a setting that cannot be read."""

    def approved(agent: str) -> Telling:
        reader = VaultReader(store.files)
        found = telling_of(reader, agent, wanted_notice(load_fleet(reader).settings))
        return Telling(*(n if n and approvals.allows(store.root, n.digest) else None for n in (
            found.escalations, found.others
        )))  # fmt: skip

    told = 0
    for agent in await store.documents.folders():
        telling = await to_thread.run_sync(approved, agent)
        if telling == Telling(None, None):
            continue
        for info in await store.documents.list(f"{agent}/{FOLDER}", ".md", deep=True):
            told += await _tell(store, telling, sender, info.path, time, ids)
    return told


async def _tell(store: Store, telling: Telling, sender: Sender, path: str, time: Clock, ids: Ids) -> bool:
    agent = path.partition("/")[0]
    fields = parse((await store.documents.read(path)).data.decode("utf-8", "replace")).fields
    notice = telling.escalations if fields.get("type") == ESCALATION else telling.others
    if notice is None or fields.get("state", "pending") != "pending":
        return False
    summary = _summary(agent, path, fields)
    stage = _stage(fields, summary["urgency"], time)
    if not await _claim(store, summary, stage, ids):
        return False
    # The claim comes first: to be told twice is worse than to find a question at the next look at the desk.
    problem = await sender.send(notice, summary | {"stage": stage})
    if problem is not None:
        failed = {"kind": "notice.failed", "question": summary["question"], "stage": stage, "reason": problem}
        await store.chain.append(agent, WRITER, failed)
    return problem is None


def _stage(fields: Mapping[str, Any], urgency: str, time: Clock) -> Stage:
    """``due`` when so little is left before the default decides that somebody should look now."""
    try:
        left = (parse_time(str(fields["decide_by"])) - time.now()).total_seconds()
    except (KeyError, ValueError, ArgosyError):
        return "asked"  # nothing decides by itself, or the file was edited into nonsense: the desk reports that
    return "due" if left <= SOON_SECONDS.get(urgency, SOON_SECONDS["normal"]) else "asked"


async def _claim(store: Store, summary: Mapping[str, str], stage: Stage, ids: Ids) -> bool:
    """Whether this process is the one that tells *stage* of the question: its event alone bears the key."""
    agent, key = summary["agent"], f"notice:{stage}:{summary['question']}"
    if await store.chain.find(agent, WRITER, key) is not None:
        return False
    event = {"kind": "notice.claimed", "question": summary["question"], "stage": stage, "claim": ids.random(8).hex()}
    try:
        await store.chain.append(agent, WRITER, event, key=key)
    except Conflict:
        return False
    return True


def _summary(agent: str, path: str, fields: Mapping[str, Any]) -> dict[str, str]:
    """What leaves the machine: which question, not what it would do."""
    title = " ".join(str(fields.get("title") or "").split())[:MAX_TITLE_CHARS]
    question = path.rpartition("/")[2].removesuffix(".md")
    kind, urgency = str(fields.get("type")), str(fields.get("urgency") or "normal")
    return {"question": question, "agent": agent, "kind": kind, "urgency": urgency, "title": title, "path": path}
