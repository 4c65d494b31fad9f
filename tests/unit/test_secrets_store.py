"""Where values come from and how they lie on disk."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from argosy_core.clock import Clock, SystemClock
from argosy_core.errors import (
    ArgosyError,
    Blocked,
    Corrupted,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    Unauthenticated,
    Unavailable,
)
from argosy_core.secrets.keys import ScryptCost, passphrase_from
from argosy_core.secrets.redaction import Redactor
from argosy_core.secrets.secret import Secret
from argosy_core.secrets.secret_store import SecretStore, Surroundings, config_folder, open_secrets
from argosy_core.secrets.sources import KeyringSource
from argosy_core.testing.fakes import FakeClock, SeededIds
from argosy_core.views.reader import MappingReader

CHEAP = ScryptCost(n=2**4)
FLEET = "---\nsecrets:\n  LISTED: {tools: [a], arguments: [b]}\n  EMPTY:\n---\n"


class Ring:
    """A keyring in memory."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, name: str) -> str | None:
        return self.kept.get((service, name))

    def set_password(self, service: str, name: str, value: str) -> None:
        self.kept[service, name] = value

    def delete_password(self, service: str, name: str) -> None:
        del self.kept[service, name]


def no_keyring() -> Any:
    raise ImportError("keyring")


def opened(
    folder: Path,
    *,
    passphrase: str | None = "correct horse",
    environ: dict[str, str] | None = None,
    ring: Ring | None = None,
    seed: int = 1,
    redactor: Redactor | None = None,
    clock: Clock | None = None,
) -> SecretStore:
    variables = dict(environ or {})
    if passphrase:
        variables["ARGOSY_PASSPHRASE"] = passphrase
    keyring = KeyringSource((lambda: ring) if ring else no_keyring)
    surroundings = Surroundings(variables, keyring, None, CHEAP, redactor or Redactor())
    return open_secrets(
        MappingReader({"fleet.md": FLEET}), folder, surroundings, clock=clock or FakeClock(), ids=SeededIds(seed)
    )


def edit(folder: Path) -> Any:
    return json.loads((folder / "secrets.json").read_text())


def put_back(folder: Path, fields: Any) -> None:
    (folder / "secrets.json").write_text(json.dumps(fields))


# The file


def test_a_value_is_kept_encrypted_for_its_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "config" / "argosy"
    opened(folder).set("TOKEN", "token-value-1")
    path = folder / "secrets.json"
    assert opened(folder).get("TOKEN").reveal() == "token-value-1"
    assert b"token-value-1" not in path.read_bytes()
    assert (path.stat().st_mode & 0o777, folder.stat().st_mode & 0o777) == (0o600, 0o700)


def test_the_wrong_passphrase_opens_nothing_and_changes_nothing(tmp_path: Path) -> None:
    opened(tmp_path).set("TOKEN", "token-value-1")
    before = (tmp_path / "secrets.json").read_bytes()
    wrong = opened(tmp_path, passphrase="wrong")
    for act in (
        lambda: wrong.get("TOKEN"),
        lambda: wrong.set("OTHER", "other-value"),
        lambda: wrong.rotate("TOKEN", "x-value-2"),
    ):
        with pytest.raises(Unauthenticated) as caught:
            act()
        assert caught.value.hint and "ARGOSY_PASSPHRASE" in caught.value.hint
    with pytest.raises(Unauthenticated):
        opened(tmp_path, passphrase=None).get("TOKEN")
    assert (tmp_path / "secrets.json").read_bytes() == before
    assert [listed.name for listed in wrong.listing() if listed.source == "file"] == ["TOKEN"]


def test_without_a_keyring_or_a_passphrase_nothing_is_kept(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="not installed"):
        opened(tmp_path, passphrase=None).set("TOKEN", "token-value-1")
    assert not (tmp_path / "secrets.json").exists()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o666])
def test_a_file_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    opened(tmp_path).set("TOKEN", "token-value-1")
    (tmp_path / "secrets.json").chmod(mode)
    for act in (
        lambda: opened(tmp_path).get("TOKEN"),
        lambda: opened(tmp_path).set("B", "value-b"),
        opened(tmp_path).listing,
    ):
        with pytest.raises(PermissionDenied, match="chmod 600") as caught:
            act()
        assert str(tmp_path) not in str(caught.value)


def test_a_folder_that_others_may_change_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "argosy"
    opened(folder).set("TOKEN", "token-value-1")
    folder.chmod(0o777)
    with pytest.raises(PermissionDenied):
        opened(folder).get("TOKEN")
    folder.chmod(0o700)


def test_a_file_behind_a_link_is_refused(tmp_path: Path) -> None:
    opened(tmp_path / "a").set("TOKEN", "token-value-1")
    (tmp_path / "b").mkdir(mode=0o700)
    (tmp_path / "b" / "secrets.json").symlink_to(tmp_path / "a" / "secrets.json")
    with pytest.raises(PermissionDenied):
        opened(tmp_path / "b").get("TOKEN")


def test_a_sealed_value_belongs_to_its_name_its_time_and_its_file(tmp_path: Path) -> None:
    for folder, seed in ((tmp_path / "a", 1), (tmp_path / "b", 2)):
        store = opened(folder, seed=seed)
        store.set("ONE", "value-one")
        store.set("TWO", "value-two")
    fields, other = edit(tmp_path / "a"), edit(tmp_path / "b")
    changes: list[Any] = [
        {**fields, "entries": {"ONE": fields["entries"]["TWO"]}},
        {**fields, "entries": {"ONE": {**fields["entries"]["ONE"], "set_at": "2030-01-01T00:00:00.000Z"}}},
        {**fields, "entries": {"ONE": other["entries"]["ONE"]}},
    ]
    for changed in changes:
        put_back(tmp_path / "a", changed)
        with pytest.raises(Corrupted, match="ONE was altered"):
            opened(tmp_path / "a").get("ONE")
    for changed in ({**fields, "id": "0" * 32}, {**fields, "key": {**fields["key"], "n": 32}}):
        put_back(tmp_path / "a", changed)
        with pytest.raises(Unauthenticated):
            opened(tmp_path / "a").get("ONE")


@pytest.mark.parametrize(
    "change",
    [
        {"format": "argosy.secrets.v9"},
        {"key": {"from": "nowhere"}},
        {"key": {"from": "scrypt", "n": 2**30, "r": 8, "p": 1, "salt": base64.b64encode(b"x" * 16).decode()}},
        {"key": {"from": "scrypt", "n": 17, "r": 8, "p": 1, "salt": "eHh4eHh4eHg="}},
        {"entries": {"lower": {"set_at": "", "nonce": "", "data": ""}}},
        {"entries": {"ONE": {"set_at": "", "nonce": "!", "data": ""}}},
        {"entries": []},
        {"check": None},
    ],
)
def test_a_broken_file_is_named_and_left_as_it_is(tmp_path: Path, change: Any) -> None:
    opened(tmp_path).set("ONE", "value-one")
    put_back(tmp_path, {**edit(tmp_path), **change})
    before = (tmp_path / "secrets.json").read_bytes()
    with pytest.raises(Corrupted, match=r"secrets\.json"):
        opened(tmp_path).get("ONE")
    assert (tmp_path / "secrets.json").read_bytes() == before


def test_bytes_that_are_no_file_of_ours_are_named_with_the_line(tmp_path: Path) -> None:
    for data in (b"{\n\n x", b"\xff\xfe", b"[" * 100_000, b"null"):
        (tmp_path / "secrets.json").write_bytes(data)
        (tmp_path / "secrets.json").chmod(0o600)
        with pytest.raises(Corrupted):
            opened(tmp_path).get("ONE")


def test_writers_side_by_side_lose_nothing(tmp_path: Path) -> None:
    opened(tmp_path).set("FIRST", "value-first")
    stores = [opened(tmp_path, seed=seed, clock=SystemClock()) for seed in range(2, 6)]
    threads = [
        threading.Thread(target=lambda s=store, n=number: [s.set(f"N{n}_{i}", f"value-{n}-{i}") for i in range(3)])
        for number, store in enumerate(stores)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    names = {listed.name for listed in opened(tmp_path).listing() if listed.source == "file"}
    assert names == {"FIRST"} | {f"N{n}_{i}" for n in range(4) for i in range(3)}
    assert opened(tmp_path).get("N3_2").reveal() == "value-3-2"


def test_a_new_passphrase_closes_the_file_to_the_old_one(tmp_path: Path) -> None:
    store = opened(tmp_path)
    store.set("ONE", "value-one")
    assert store.rekey(lambda new: Secret("better horse")) == 1
    assert store.get("ONE").reveal() == "value-one"
    assert opened(tmp_path, passphrase="better horse").get("ONE").reveal() == "value-one"
    with pytest.raises(Unauthenticated):
        opened(tmp_path).get("ONE")
    with pytest.raises(NotFound):
        opened(tmp_path / "none").rekey(lambda new: None)


def test_rotating_needs_an_old_value_and_a_new_one_and_both_stay_out_of_texts(tmp_path: Path) -> None:
    redactor = Redactor()
    store = opened(tmp_path, redactor=redactor)
    with pytest.raises(NotFound):
        store.rotate("ONE", "value-two")
    opened(tmp_path).set("ONE", "value-one")
    with pytest.raises(InvalidArgument, match="already"):
        store.rotate("ONE", "value-one")
    store.rotate("ONE", "value-two")
    assert store.get("ONE").reveal() == "value-two"
    assert redactor.redact_text("value-one value-two") == "[secret:ONE] [secret:ONE]"


def test_removing_needs_no_passphrase_and_says_where_it_was(tmp_path: Path) -> None:
    ring = Ring()
    ring.kept["argosy", "ONE"] = "value-ring"
    opened(tmp_path).set("ONE", "value-one")
    assert opened(tmp_path, passphrase=None, ring=ring).remove("ONE") == ["keyring", "file"]
    with pytest.raises(NotFound):
        opened(tmp_path).remove("ONE")
    with pytest.raises(Blocked, match="environment"):
        opened(tmp_path, environ={"ARGOSY_SECRET_ONE": "value-env"}).remove("ONE")


# Sources in order


def test_the_environment_comes_first_then_the_keyring_then_the_file(tmp_path: Path) -> None:
    ring = Ring()
    opened(tmp_path).set("LISTED", "value-file")
    assert opened(tmp_path, ring=ring).get("LISTED").reveal() == "value-file"
    ring.kept["argosy", "LISTED"] = "value-ring"
    assert opened(tmp_path, ring=ring).get("LISTED").reveal() == "value-ring"
    plain = {"LISTED": "value-plain", "UNLISTED": "value-unlisted", "ARGOSY_SECRET_EMPTY": ""}
    assert opened(tmp_path, ring=ring, environ=plain).get("LISTED").reveal() == "value-plain"
    both = {**plain, "ARGOSY_SECRET_LISTED": "value-prefixed"}
    store = opened(tmp_path, ring=ring, environ=both)
    assert store.get("LISTED").reveal() == "value-prefixed"
    listed = store.look("LISTED")
    assert (listed.source, listed.also_in) == ("environment", ("keyring", "file"))
    for name in ("UNLISTED", "EMPTY"):
        with pytest.raises(NotFound):
            store.get(name)


def test_the_list_has_every_name_once_in_order_and_those_nobody_has(tmp_path: Path) -> None:
    environ = {"ARGOSY_SECRET_ZED": "value-zed", "ARGOSY_SECRET_bad-name": "x", "ANTHROPIC_API_KEY": "sk-key"}
    store = opened(tmp_path, environ=environ)
    store.set("LISTED", "value-file")
    assert [(found.name, found.source) for found in store.listing()] == [
        ("ANTHROPIC_API_KEY", "environment"),
        ("EMPTY", None),
        ("LISTED", "file"),
        ("ZED", "environment"),
    ]
    with pytest.raises(NotFound):
        store.look("NOBODY")


def test_what_is_handed_out_is_known_to_the_redactor_and_what_cannot_be_is_not_handed_out(tmp_path: Path) -> None:
    redactor = Redactor()
    store = opened(
        tmp_path, environ={"ARGOSY_SECRET_LONG": "long-enough", "ARGOSY_SECRET_SHORT": "abc"}, redactor=redactor
    )
    assert redactor.redact_text("long-enough") == "long-enough"
    store.get("LONG")
    assert redactor.redact_text("long-enough") == "[secret:LONG]"
    with pytest.raises(Blocked) as caught:
        store.get("SHORT")
    assert "abc" not in str(caught.value)


def test_the_environment_is_kept_out_of_texts_before_anything_is_handed_out(tmp_path: Path) -> None:
    redactor = Redactor()
    opened(
        tmp_path, environ={"ANTHROPIC_API_KEY": "sk-ant-xyz", "ARGOSY_SECRET_S": "abc"}, redactor=redactor
    ).learn_environment()
    assert redactor.redact_text("key sk-ant-xyz abc") == "key [secret:ANTHROPIC_API_KEY] abc"


def test_the_file_takes_its_key_from_the_keyring_when_there_is_no_passphrase(tmp_path: Path) -> None:
    ring = Ring()
    opened(tmp_path, passphrase=None, ring=ring).set("ONE", "value-one")
    assert "value-one" not in ring.kept.values()
    assert opened(tmp_path, passphrase=None, ring=ring).get("ONE").reveal() == "value-one"
    with pytest.raises(Unauthenticated, match="keyring"):
        opened(tmp_path, passphrase=None, ring=Ring()).get("ONE")


# The keyring


@pytest.fixture
def never() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def test_a_keyring_that_does_not_answer_is_passed_over_once_and_for_all(never: threading.Event) -> None:
    asked: list[int] = []

    def hang() -> None:
        asked.append(1)
        never.wait(30)

    source = KeyringSource(hang, wait_seconds=0.02)
    assert source.get("A") is None and source.get("B") is None and source.put("A", Secret("value-a")) is False
    assert source.problem() == "it did not answer within 0.02 seconds" and asked == [1]


def test_a_keyring_that_fails_says_so_without_its_text() -> None:
    class Locked(Ring):
        def get_password(self, service: str, name: str) -> str | None:
            raise RuntimeError("token-value-1")

    source = KeyringSource(Locked)
    assert source.get("A") is None and source.problem() == "it failed: RuntimeError"


@pytest.mark.parametrize(
    ("module", "why"), [("keyring.backends.fail", "no keyring"), ("keyrings.alt.file", "plain files")]
)
def test_a_backend_that_protects_nothing_is_passed_over(module: str, why: str) -> None:
    backend = type("Keyring", (Ring,), {"__module__": module})()
    source = KeyringSource(lambda: backend)
    assert source.get("A") is None and why in (source.problem() or "")


def test_a_source_that_is_passed_over_is_named_when_a_name_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="keyring: the package keyring is not installed"):
        opened(tmp_path).get("ONE")


# Where and with what


def test_the_folder_is_the_users_own() -> None:
    assert config_folder({"XDG_CONFIG_HOME": "/x/y"}) == Path("/x/y/argosy")
    assert config_folder({"XDG_CONFIG_HOME": "relative"}) == config_folder({}) == Path("~/.config/argosy").expanduser()


def test_a_passphrase_may_lie_in_a_file_that_is_private(tmp_path: Path) -> None:
    path = tmp_path / "passphrase"
    path.write_text("correct horse\n")
    path.chmod(0o600)
    found = passphrase_from({"ARGOSY_PASSPHRASE_FILE": str(path)})
    assert found is not None and found.reveal() == "correct horse"
    path.chmod(0o644)
    for problem, name in ((PermissionDenied, str(path)), (Unavailable, str(tmp_path / "none"))):
        with pytest.raises(problem) as caught:
            passphrase_from({"ARGOSY_PASSPHRASE_FILE": name})
        assert isinstance(caught.value, ArgosyError) and str(tmp_path) not in str(caught.value)
    assert passphrase_from({}) is None
