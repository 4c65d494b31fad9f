"""In a large log each of the six kinds of damage is named at the entry where it begins."""

from __future__ import annotations

from pathlib import Path

import pytest
from damaged_logs import DAMAGES, joined, large_log, store_log
from postgres_server import PostgresServer
from tampering import FileDays, PostgresDays, SqliteDays, StoredDays

from argosy_core.storage.opening import open_store
from argosy_core.testing.conformance import OTHER_STREAM, STREAM

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]
EVENTS = 20_000
FEWER = 2_000  # in the tests that always run: a database is slower to put damage into


async def check_damages(address: str, stored: StoredDays, root: Path, events: int) -> None:
    """Plant one kind after the other, each in the log as it was."""
    log = large_log(events)
    store = open_store(root, address, create=True)
    await store_log(log, store)
    report = await store.chain.verify()
    assert (report.entries, report.findings) == (events + 1, ())
    for kind, plant in DAMAGES.items():
        damage = plant(log)
        assert kind in [found[0] for found in damage.found]
        await stored.put_days(STREAM, joined(damage.days))
        await stored.put_days(OTHER_STREAM, joined(damage.moved))
        found = [(each.kind, each.stream, each.seq) for each in (await store.chain.verify()).findings]
        assert found == list(damage.found), kind
        await stored.put_days(OTHER_STREAM, {})
        await stored.put_days(STREAM, joined(log.days))
    assert (await store.chain.verify()).ok
    store.close()


async def test_each_kind_of_damage_in_files_is_named_at_its_entry(tmp_path: Path) -> None:
    await check_damages("files", FileDays(tmp_path), tmp_path, EVENTS)


@pytest.mark.parametrize("events", [FEWER, pytest.param(EVENTS, marks=pytest.mark.soak)])
async def test_each_kind_of_damage_in_sqlite_is_named_at_its_entry(events: int, tmp_path: Path) -> None:
    await check_damages("sqlite:///fleet.sqlite", SqliteDays(tmp_path / "fleet.sqlite"), tmp_path, events)


@pytest.mark.parametrize("events", [FEWER, pytest.param(EVENTS, marks=pytest.mark.soak)])
async def test_each_kind_of_damage_in_postgresql_is_named_at_its_entry(
    events: int, postgres: PostgresServer, tmp_path: Path
) -> None:
    url = postgres.url()
    await check_damages(url, PostgresDays(url), tmp_path, events)
