"""The files store keeps every promise of the conformance suites."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from promise_suites import FOLDER_SUITES, SUITES, WHOLE_STORE, every
from tampering import FileDays

from argosy_core.clock import Clock, SystemClock
from argosy_core.ids import SystemIds
from argosy_core.storage.files.store import FileStore
from argosy_core.testing.conformance import STREAMS
from argosy_core.vault import Vault

pytestmark = pytest.mark.anyio
OPENER = "argosy_core.storage.opening:open_store"  # for other processes


class Opened:
    """Opens handles on one vault; *part* is what of the store a suite is about."""

    def __init__(self, root: Path, part: str) -> None:
        self.root = root
        self._part = part
        for name in STREAMS:
            (root / name).mkdir()

    @property
    def elsewhere(self) -> Sequence[str]:
        return OPENER, str(self.root), "files"

    @asynccontextmanager
    async def __call__(self, clock: Clock | None = None) -> AsyncGenerator[Any]:
        # The vault's own clock is the machine's: locks are waited for by it.
        store = FileStore(Vault(self.root), clock or SystemClock(), SystemIds())
        try:
            yield store if self._part in WHOLE_STORE else getattr(store, self._part)
        finally:
            store.close()

    @asynccontextmanager
    async def tamper(self) -> AsyncGenerator[FileDays]:
        yield FileDays(self.root)


@pytest.mark.parametrize(("suite", "check"), every(SUITES, FOLDER_SUITES))
async def test_the_files_store(suite: str, check: Callable[[Any], Awaitable[None]], tmp_path: Path) -> None:
    await check(Opened(tmp_path, suite))


def test_every_check_says_its_promise_in_one_sentence() -> None:
    for suite, checks in [*SUITES.items(), *FOLDER_SUITES.items()]:
        modules = {check.__module__ for check in checks}
        names = {check.__name__ for check in checks}
        assert len(names) == len(checks)
        for check in checks:
            promise = " ".join((check.__doc__ or "").split())
            assert promise.endswith(".") and promise.count(". ") == 0, f"{suite}: {check.__name__}"
        assert all(name.startswith("argosy_core.testing.conformance.") for name in modules)
