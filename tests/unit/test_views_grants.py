"""What a run token or an item carries as its grant is read in one way, with words that say what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from argosy_core.errors import ArgosyError
from argosy_core.ids import SystemIds
from argosy_core.policy.grants import UNLIMITED
from argosy_core.serving.config import open_store
from argosy_core.serving.identity import RunTokens
from argosy_core.storage.base import Store
from argosy_core.testing.fakes import FakeClock
from argosy_core.views.grants import GrantReader
from argosy_host.queued import QueuedRuns
from argosy_host.session import Shared
from argosy_host.up import UpOptions

FILE = "---\nholder: {holder}\nstate: {state}\ntools: [mail__*]\nuntil: {until}\n---\n"
WRONG = [
    ("gone", "not_found", "there is no grant 'gone' (grant_list shows the grants)"),
    ("ended", "permission_denied", "ended is over (have a new one issued)"),
    ("taken", "permission_denied", "taken is revoked (have a new one issued)"),
    ("berts", "permission_denied", "berts is the grant of another agent (have a new one issued)"),
    ("../fleet", "invalid_argument", "'../fleet' is no id of a grant (grant_list shows the ids)"),
    ("{", "invalid_argument", "what was handed on as a grant is no JSON (ask for the work again)"),
    ('{"tols": []}', "invalid_argument", "a grant has no tols"),
    ("broken", "corrupted", "_fleet/grants/broken.md line 3: unknown key 'tols' in a grant"),
]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    files = {
        "good": FILE.format(holder="ada", state="active", until="2027-01-01"),
        "ended": FILE.format(holder="ada", state="active", until="2026-01-01"),
        "taken": FILE.format(holder="ada", state="revoked", until="2027-01-01"),
        "berts": FILE.format(holder="bert", state="active", until="2027-01-01"),
        "broken": "---\nholder: ada\ntols: []\n---\n",
    }
    (tmp_path / "_fleet/grants").mkdir(parents=True)
    for name, text in files.items():
        (tmp_path / "_fleet/grants" / f"{name}.md").write_text(text, encoding="utf-8")
    (tmp_path / "ada").mkdir()
    (tmp_path / "ada/model.md").write_text("# Model\n", encoding="utf-8")
    store = open_store(tmp_path)
    yield store
    store.close()


@pytest.mark.parametrize(("reference", "code", "words"), WRONG)
def test_what_is_wrong_with_a_grant_is_named(store: Store, reference: str, code: str, words: str) -> None:
    with pytest.raises(ArgosyError) as caught:
        GrantReader(store.files, FakeClock()).of_run(reference, "ada")
    assert (caught.value.code, str(caught.value).startswith(words)) == (code, True), str(caught.value)


@pytest.mark.anyio
@pytest.mark.parametrize(("reference", "code", "words"), WRONG)
async def test_an_item_whose_grant_does_not_count_is_refused_in_the_same_words(
    store: Store, reference: str, code: str, words: str
) -> None:
    clock = FakeClock()
    shared = Shared(store, RunTokens(clock), {}, lambda: None)
    runs = QueuedRuns(UpOptions(vault=Path("."), model="offline"), shared, clock, SystemIds())
    claimed = {"id": "1", "payload": {"agent": "ada", "task": "t"}, "grant": reference, "creator": "ada"}
    with pytest.raises(ArgosyError) as caught:
        await runs.run(claimed)
    assert (caught.value.code, str(caught.value).startswith(words)) == (code, True), str(caught.value)


def test_a_grant_counts_by_its_id_and_written_out(store: Store) -> None:
    reader = GrantReader(store.files, FakeClock())
    assert reader.of_run("good", "ada").allows_tool("mail__send")
    assert not reader.of_run('{"tools": ["mail__*"]}', "ada").allows_tool("bank__pay")
    assert reader.of_run(None, "ada") is UNLIMITED
