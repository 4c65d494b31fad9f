"""Telling the owner that a question waits: by a command or an address that ``fleet.md`` names under ``notify``.

Like everything that a vault would start, it is off until its digest is approved outside the vault, and off again when
it changes. Each question is told once, whatever the number of processes: whoever makes the mark beside it tells it.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from subprocess import DEVNULL
from typing import Any, cast

import anyio
from anyio import to_thread

from argosy_core.canonical import canonical_json, sha256_hex
from argosy_core.errors import AlreadyExists, ArgosyError, InvalidArgument
from argosy_core.frontmatter import parse
from argosy_core.storage.base import ABSENT, Store
from argosy_core.views.fleet import load_fleet
from argosy_core.views.vault_reader import VaultReader
from argosy_host.trust import Approvals

KEY = "notify"
FOLDER = "vault/escalations"
MARK = ".notified"
POLL_SECONDS = 30.0
TELL_SECONDS = 10.0
MAX_TITLE_CHARS = 200
PASSED_ON = ("PATH", "HOME", "LANG", "DISPLAY", "DBUS_SESSION_BUS_ADDRESS", "XDG_RUNTIME_DIR", "SYSTEMROOT")

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
    if fields.keys() == {"webhook"} and isinstance(webhook, str) and webhook.startswith(("https://", "http://")):
        return Notice(webhook=webhook)
    hint = "notify: {command: [program, argument]} or notify: {webhook: https://…}"
    raise InvalidArgument("fleet.md: notify is neither a command nor a webhook", hint=hint)


async def tell_what_waits(store: Store, approvals: Approvals, stop: anyio.Event) -> None:
    """Tell each question that waits, once, until *stop* is set. What goes wrong is logged and tried again."""
    while not stop.is_set():
        try:
            await tell_once(store, approvals)
        except ArgosyError as error:
            logger.warning("nobody could be told what waits: %s", error)
        with anyio.move_on_after(POLL_SECONDS):
            await stop.wait()


async def tell_once(store: Store, approvals: Approvals) -> int:
    """Tell what waits and was not told; how many were. Raises InvalidArgument for a setting that cannot be read."""
    reader = VaultReader(store.files)
    notice = wanted_notice((await to_thread.run_sync(load_fleet, reader)).settings)
    if notice is None or not await to_thread.run_sync(approvals.allows, store.root, notice.digest):
        return 0
    told = 0
    for agent in await store.documents.folders():
        for info in await store.documents.list(f"{agent}/{FOLDER}", ".md", deep=True):
            told += await _tell(store, notice, agent, info.path)
    return told


async def _tell(store: Store, notice: Notice, agent: str, path: str) -> bool:
    folder, _, name = path.rpartition("/")
    mark = f"{folder}/.{name}{MARK}"
    if await store.documents.info(mark) is not None:
        return False
    fields = parse((await store.documents.read(path)).data.decode("utf-8", "replace")).fields
    if fields.get("state", "pending") != "pending":
        return False
    with suppress(AlreadyExists):  # another process tells it
        # The mark comes first: to be told twice is worse than to find a question at the next look at the desk.
        await store.documents.write(mark, b"", expect=ABSENT)
        return await _send(notice, _summary(agent, path, fields))
    return False


def _summary(agent: str, path: str, fields: Mapping[str, Any]) -> dict[str, str]:
    """What leaves the machine: which question, not what it would do."""
    title = " ".join(str(fields.get("title") or "").split())[:MAX_TITLE_CHARS]
    question = path.rpartition("/")[2].removesuffix(".md")
    kind, urgency = str(fields.get("type")), str(fields.get("urgency") or "normal")
    return {"question": question, "agent": agent, "kind": kind, "urgency": urgency, "title": title, "path": path}


async def _send(notice: Notice, summary: Mapping[str, str]) -> bool:
    data = json.dumps(summary, ensure_ascii=False).encode()
    try:
        with anyio.fail_after(TELL_SECONDS):
            await (_run(notice.command, data) if notice.command else _post(str(notice.webhook), data))
    except Exception as error:  # whatever a program or a network does
        logger.warning("the owner could not be told of %s: %s", summary["question"], type(error).__name__)
        return False
    return True


async def _run(command: tuple[str, ...], data: bytes) -> None:
    env = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    await anyio.run_process(list(command), input=data, stdout=DEVNULL, stderr=DEVNULL, env=env, check=True)


async def _post(url: str, data: bytes) -> None:
    import httpx2  # only for whoever has one

    async with httpx2.AsyncClient(follow_redirects=False, timeout=TELL_SECONDS) as client:
        answer = await client.post(url, content=data, headers={"Content-Type": "application/json"})
        answer.raise_for_status()
