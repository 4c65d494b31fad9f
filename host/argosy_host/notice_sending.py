"""What the owner is told by, and telling it: a program gets a question as JSON on its input, an address by POST.

A header may hold ``{{secret:NAME}}``. The value takes its place at the call, where the secret's audience names the tool
``notify``, the header and the host; it is in no digest, event or log.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from subprocess import DEVNULL
from typing import Any

import anyio
from anyio import to_thread

from argosy_core.canonical import canonical_json, sha256_hex
from argosy_core.clock import Clock
from argosy_core.errors import ArgosyError
from argosy_core.secrets.placeholders import inject
from argosy_core.secrets.secret_store import SecretStore

KEY = "notify"  # in fleet.md, and what a secret's audience calls this
TELL_SECONDS = 10.0
PAUSES_SECONDS = (1.0, 5.0)  # before the second and the third try
PASSED_ON = ("PATH", "HOME", "LANG", "DISPLAY", "DBUS_SESSION_BUS_ADDRESS", "XDG_RUNTIME_DIR", "SYSTEMROOT")

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Notice:
    """How the owner is told: by *command*, or by *webhook* with *headers* of one's own (names and values)."""

    command: tuple[str, ...] = ()
    webhook: str | None = None
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def digest(self) -> str:
        """SHA-256, in hex, of what would run or be called."""
        stated: dict[str, Any] = {"command": list(self.command), "webhook": self.webhook}
        if self.headers:
            stated["headers"] = [list(header) for header in self.headers]
        return sha256_hex(canonical_json({KEY: stated}))

    def describe(self) -> str:
        """What would run, for a person to judge."""
        if self.command:
            return " ".join(self.command)
        return f"POST {self.webhook}" + "".join(f" -H {f'{name}: {value}'!r}" for name, value in self.headers)


class Sender:
    """Tells, with a few tries and longer and longer pauses between them."""

    def __init__(self, secrets: SecretStore, clock: Clock) -> None:
        self._secrets = secrets
        self._clock = clock

    async def send(self, notice: Notice, summary: Mapping[str, str]) -> str | None:
        """Tell *summary*; what kind of failure the last one was, None when it went well."""
        data = json.dumps(summary, ensure_ascii=False).encode()
        for pause in (*PAUSES_SECONDS, None):
            problem, again = await self._try(notice, data)
            if problem is None:
                return None
            logger.warning("the owner could not be told of %s: %s", summary["question"], problem)
            if pause is None or not again:
                return problem
            await self._clock.sleep(pause)
        return None

    async def _try(self, notice: Notice, data: bytes) -> tuple[str | None, bool]:
        """What went wrong, None for nothing; and whether another try may help."""
        try:
            with anyio.fail_after(TELL_SECONDS):
                await (_run(notice.command, data) if notice.command else self._post(notice, data))
        except ArgosyError as error:  # of the secret in a header: it names no value
            return f"{error.code}: {error.message}", error.retryable
        except Exception as error:  # whatever a program or a network does; its text may hold what was sent
            return type(error).__name__, True
        return None, False

    async def _post(self, notice: Notice, data: bytes) -> None:
        import httpx2  # only for whoever has one

        headers = await self._headers(notice)
        async with httpx2.AsyncClient(follow_redirects=False, timeout=TELL_SECONDS) as client:
            answer = await client.post(str(notice.webhook), content=data, headers=headers)
            answer.raise_for_status()

    async def _headers(self, notice: Notice) -> dict[str, str]:
        """The headers, with values for secrets. Raises Blocked, NotFound, and what the sources of secrets raise."""
        stated = {"webhook": notice.webhook, "headers": dict(notice.headers)}
        audiences = await to_thread.run_sync(self._secrets.audiences)
        filled = await inject(stated, self._secrets.resolve, audiences.by_name, KEY, own=False)
        return {**filled["headers"], "Content-Type": "application/json"}


async def _run(command: tuple[str, ...], data: bytes) -> None:
    env = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    await anyio.run_process(list(command), input=data, stdout=DEVNULL, stderr=DEVNULL, env=env, check=True)
