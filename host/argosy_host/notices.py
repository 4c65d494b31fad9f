"""Telling the owner that a question waits: by a command or an address that ``fleet.md`` names under ``notify``.

Like everything that a vault would start, it is off until its digest is approved outside the vault, and off again when
it changes. Each question is told once when it is asked and once when its time runs out, whatever the number of
processes: whoever's event enters the log under the key of that question and stage tells it.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from subprocess import DEVNULL
from typing import Any, Literal, cast
from urllib.parse import urlsplit

import anyio
from anyio import to_thread

from argosy_core.canonical import canonical_json, sha256_hex
from argosy_core.clock import Clock, parse_time
from argosy_core.errors import ArgosyError, Conflict, InvalidArgument
from argosy_core.frontmatter import parse
from argosy_core.ids import Ids
from argosy_core.storage.base import Store
from argosy_core.views.fleet import load_fleet
from argosy_core.views.vault_reader import VaultReader
from argosy_host.trust import Approvals

KEY = "notify"
FOLDER = "vault/escalations"
LOOPBACK = ("127.0.0.1", "::1", "localhost")
POLL_SECONDS = 30.0
TELL_SECONDS = 10.0
TRIES = 3
SOON_SECONDS = {"high": 900.0, "normal": 7_200.0, "low": 86_400.0}
WRITER = "notices"
MAX_TITLE_CHARS = 200
PASSED_ON = ("PATH", "HOME", "LANG", "DISPLAY", "DBUS_SESSION_BUS_ADDRESS", "XDG_RUNTIME_DIR", "SYSTEMROOT")

Stage = Literal["asked", "due"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Notice:
    """How the owner is told: *command* gets a question as JSON on its input, or *webhook* gets it by POST."""

    command: tuple[str, ...] = ()
    webhook: str | None = None

    @property
    def digest(self) -> str:
        """SHA-256, in hex, of what would run or be called."""
        return sha256_hex(canonical_json({KEY: {"command": list(self.command), "webhook": self.webhook}}))

    def describe(self) -> str:
        """What would run, for a person to judge."""
        return " ".join(self.command) if self.command else f"POST {self.webhook}"


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
    if fields.keys() == {"webhook"} and isinstance(webhook, str) and _may_be_called(webhook):
        return Notice(webhook=webhook)
    hint = "notify: {command: [program, argument]} or notify: {webhook: https://…} (http:// to this machine alone)"
    raise InvalidArgument("fleet.md: notify is neither a command nor a webhook", hint=hint)


def _may_be_called(url: str) -> bool:
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises for what is no port
    except ValueError:
        return False
    return bool(parts.hostname) and (parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK))


async def tell_what_waits(store: Store, approvals: Approvals, time: Clock, ids: Ids, stop: anyio.Event) -> None:
    """Tell each question that waits, once, until *stop* is set. What goes wrong is logged and tried again."""
    while not stop.is_set():
        try:
            await tell_once(store, approvals, time, ids)
        except ArgosyError as error:
            logger.warning("nobody could be told what waits: %s", error)
        with anyio.move_on_after(POLL_SECONDS):
            await stop.wait()


async def tell_once(store: Store, approvals: Approvals, time: Clock, ids: Ids) -> int:
    """Tell what waits and was not told; how many were. Raises InvalidArgument for a setting that cannot be read."""
    reader = VaultReader(store.files)
    notice = wanted_notice((await to_thread.run_sync(load_fleet, reader)).settings)
    if notice is None or not await to_thread.run_sync(approvals.allows, store.root, notice.digest):
        return 0
    told = 0
    for agent in await store.documents.folders():
        for info in await store.documents.list(f"{agent}/{FOLDER}", ".md", deep=True):
            told += await _tell(store, notice, agent, info.path, time, ids)
    return told


async def _tell(store: Store, notice: Notice, agent: str, path: str, time: Clock, ids: Ids) -> bool:
    fields = parse((await store.documents.read(path)).data.decode("utf-8", "replace")).fields
    if fields.get("state", "pending") != "pending":
        return False
    summary = _summary(agent, path, fields)
    stage = _stage(fields, summary["urgency"], time)
    if not await _claim(store, summary, stage, ids):
        return False
    # The claim comes first: to be told twice is worse than to find a question at the next look at the desk.
    problem = await _send(notice, summary | {"stage": stage})
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


async def _send(notice: Notice, summary: Mapping[str, str]) -> str | None:
    """Tell it, tried a few times; the kind of the last failure, None when it went well."""
    data, problem = json.dumps(summary, ensure_ascii=False).encode(), None
    for _ in range(TRIES):
        try:
            with anyio.fail_after(TELL_SECONDS):
                await (_run(notice.command, data) if notice.command else _post(str(notice.webhook), data))
        except Exception as error:  # whatever a program or a network does
            problem = type(error).__name__
            logger.warning("the owner could not be told of %s: %s", summary["question"], problem)
        else:
            return None
    return problem


async def _run(command: tuple[str, ...], data: bytes) -> None:
    env = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    await anyio.run_process(list(command), input=data, stdout=DEVNULL, stderr=DEVNULL, env=env, check=True)


async def _post(url: str, data: bytes) -> None:
    import httpx2  # only for whoever has one

    async with httpx2.AsyncClient(follow_redirects=False, timeout=TELL_SECONDS) as client:
        answer = await client.post(url, content=data, headers={"Content-Type": "application/json"})
        answer.raise_for_status()
