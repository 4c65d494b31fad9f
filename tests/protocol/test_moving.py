"""A whole vault moves between substrates and into one file, and comes back byte for byte."""

from __future__ import annotations

import io
import json
import os
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest
from fleet_fixtures import make_vault
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transports import command, environment
from whole_vaults import content, run_cli

pytestmark = pytest.mark.timeout(120)
LOG = (
    b'{"timestamp": "2025-03-01T08:00:00+00:00", "run_id": "run-20250301-080000-000000-aaaaaaaa", "model": "m"}\r\n'
    b"\n"
    b'{"not": "closed"'
)
FILES = {
    "ada/log/2025-03/2025-03-01.jsonl": LOG,
    "ada/raw/pixel.png": bytes(range(256)) * 9,
    "ada/raw/empty": b"",
    "ada/memory/user_日本.md": "日本 🚢\r\n".encode(),
    "ada/memory/.versions/user_keeper/20260101T000000000000Z_0a0b0c0d.md": b"old\n",
    "ada/conversations/me/talk.jsonl": b'{"role": "user"}\n',
    ".obsidian/app.json": b"{}",
    "_fleet/queue/runs/ready/by_hand.json": b'{"payload":  {"agent": "ada", "task": "x"}}\n',
    "_fleet/queue/runs/done/broken.json": b"{",
    "_fleet/triggers/morning.md": b"---\ncron: 0 7 * * *\nagent: ada\n---\n\nGo.\n",
    "a'b; DROP TABLE document;--.md": b"x",
}


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "rt"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def vault(tmp_path: Path) -> Path:
    root = make_vault(tmp_path / "vault")
    for path, data in FILES.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)
    for number in range(3):
        body = json.dumps({"type": "user", "title": f"Note {number}", "body": "Written by a server."})
        assert run_cli(["call", "memory_write", body, "--vault", str(root)]) == 0
    return root


def test_files_to_sqlite_and_back_is_byte_for_byte(vault: Path, tmp_path: Path) -> None:
    assert run_cli(["export", "--to", "sqlite:///moved.sqlite", "--vault", str(vault)]) == 0
    store = ["--vault", str(tmp_path / "elsewhere"), "--store", f"sqlite:///{tmp_path}/moved.sqlite"]
    (tmp_path / "elsewhere").mkdir()
    assert run_cli(["export", "--to", "files:back", *store]) == 0

    assert content(tmp_path / "back") == content(vault)


def test_what_was_moved_answers_as_before(vault: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli(["import", "--from", f"files:{vault}", "--vault", "new", "--store", "sqlite:///v.sqlite"]) == 0
    where = ["--vault", "new", "--store", "sqlite:///v.sqlite"]
    capsys.readouterr()
    assert run_cli(["call", "memory_search", '{"query": "rapeseed"}', "--json", *where]) == 0
    hits = json.loads(capsys.readouterr().out)["hits"]
    assert run_cli(["queue", "--json", *where]) == 0
    items = json.loads(capsys.readouterr().out)["items"]
    assert run_cli(["run", "ada", "What burns in the lamp?", "--model", "offline", "--json", *where]) == 0
    answer = json.loads(capsys.readouterr().out)

    assert [hit["name"] for hit in hits] == ["decision_lamp_oil"]
    assert {item["id"] for item in items} == {"by_hand", "broken"}
    assert answer["citations"][0]["name"] == "decision_lamp_oil"


@pytest.mark.parametrize("suffix", [".tar.gz", ".zip"])
def test_a_vault_in_one_file_comes_back_byte_for_byte(vault: Path, tmp_path: Path, suffix: str) -> None:
    for name in ("one", "two"):
        assert run_cli(["export", "--to", f"{name}{suffix}", "--vault", str(vault)]) == 0
    assert run_cli(["import", "--from", f"one{suffix}", "--vault", "back"]) == 0
    assert run_cli(["import", "--from", f"one{suffix}", "--vault", "base", "--store", "sqlite:///v.sqlite"]) == 0
    assert run_cli(["export", "--to", "files:again", "--vault", "base", "--store", "sqlite:///v.sqlite"]) == 0

    assert content(tmp_path / "back") == content(tmp_path / "again") == content(vault)
    assert not list(tmp_path.glob(".*.part"))
    if suffix == ".zip":
        assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()


def test_a_move_that_broke_off_is_finished_by_doing_it_again(vault: Path, tmp_path: Path) -> None:
    assert run_cli(["export", "--to", "files:half", "--vault", str(vault)]) == 0
    for path in sorted(content(tmp_path / "half"))[::2]:
        (tmp_path / "half" / path).unlink()

    assert run_cli(["export", "--to", "files:half", "--vault", str(vault)]) == 0
    assert content(tmp_path / "half") == content(vault)


def test_nothing_is_overwritten_and_nothing_written_beside_it(
    vault: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "other/ada").mkdir(parents=True)
    (tmp_path / "other/ada/model.md").write_text("somebody else's")

    assert run_cli(["export", "--to", "files:other", "--vault", str(vault)]) == 1
    assert "conflict" in capsys.readouterr().err
    assert content(tmp_path / "other") == {"ada/model.md": b"somebody else's"}
    (tmp_path / "there.zip").write_bytes(b"x")
    assert run_cli(["export", "--to", "there.zip", "--vault", str(vault)]) == 1
    assert (tmp_path / "there.zip").read_bytes() == b"x"


@pytest.mark.parametrize(
    ("target", "code", "said"),
    [
        ("nowhere", 2, "files:PATH"),
        ("files:", 2, "files:PATH"),
        ("files:vault", 2, "this vault"),
        ("vault/copy.zip", 2, "outside"),
        ("sqlite:///vault/copy.sqlite", 2, "outside"),
        ("mysql://host/db", 2, "unknown store"),
        ("nowhere/copy.zip", 1, "not_found: there is no"),
        ("vault/fleet.md/copy.tar.gz", 2, "outside"),
    ],
)
def test_a_place_that_cannot_be_is_refused(
    target: str, code: int, said: str, vault: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = content(vault)
    assert run_cli(["export", "--to", target, "--vault", str(vault)]) == code
    assert said in capsys.readouterr().err
    assert content(vault) == before


def zipped(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name, data in files.items():
            bundle.writestr(name, data)
    return out.getvalue()


def tarred(*members: tarfile.TarInfo) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as bundle:
        for member in members:
            bundle.addfile(member)
    return out.getvalue()


def link(name: str) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
    return member


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("a.zip", b"", "corrupted"),
        ("a.zip", b"PK\x05\x06 not really", "corrupted"),
        ("a.zip", zipped({"../x": b"1"}), "invalid_argument"),
        ("a.zip", zipped({"/etc/x": b"1"}), "invalid_argument"),
        ("a.zip", zipped({"a/b": b"\0" * 100_000_000}), "too_large"),
        ("a.tar.gz", b"nonsense", "corrupted"),
        ("a.tar.gz", tarred(link("ada/secret")), "corrupted"),
        ("a.tar.gz", tarred(tarfile.TarInfo("../x")), "invalid_argument"),
        ("a.tar.gz", tarred(tarfile.TarInfo("a"), tarfile.TarInfo("a")), "corrupted"),
    ],
    ids=("empty", "no-zip", "up", "absolute", "bomb", "no-tar", "link", "tar-up", "twice"),
)
def test_a_bundle_that_is_none_makes_no_vault(
    name: str, data: bytes, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / name).write_bytes(data)

    assert run_cli(["import", "--from", name, "--vault", "new"]) in (1, 2)
    assert said in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("source", ["files:none", "none.zip", "none.tar.gz", "sqlite:///none.sqlite"])
def test_what_is_not_there_makes_no_vault(source: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli(["import", "--from", source, "--vault", "new"]) == 1
    assert "not_found" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(cut=st.integers(min_value=1, max_value=4000), seed=st.integers(0, 255))
def test_a_damaged_bundle_is_never_taken_for_whole(cut: int, seed: int, tmp_path: Path) -> None:
    good = zipped({f"ada/{n}.md": os.urandom(200) for n in range(20)})
    damaged = bytearray(good)
    damaged[cut % len(good)] ^= seed or 1
    (tmp_path / "d.zip").write_bytes(bytes(damaged))
    target = tmp_path / f"new-{cut}-{seed}"

    code = run_cli(["import", "--from", "d.zip", "--vault", str(target)])
    if code == 0:  # the change was where it says nothing: a time, an attribute
        assert len(content(target)) == 20


def test_a_vault_whose_fleet_is_up_is_not_moved(vault: Path) -> None:
    env = environment(XDG_RUNTIME_DIR=os.environ["XDG_RUNTIME_DIR"])
    subprocess.run(command("up", "--vault", str(vault)), env=env, check=True, capture_output=True, timeout=60)
    try:
        done = subprocess.run(
            command("export", "--to", "x.zip", "--vault", str(vault)),
            env=env,
            capture_output=True,
            text=True,
            timeout=60,
        )
    finally:
        subprocess.run(command("down", "--vault", str(vault)), env=env, check=True, capture_output=True, timeout=60)

    assert done.returncode == 1 and "mcp-host down" in done.stderr


# Where a vault says itself that it is kept


def test_a_vault_says_itself_where_it_is_kept(vault: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli(["import", "--from", f"files:{vault}", "--vault", "new", "--store", "sqlite:///v.sqlite"]) == 0
    (tmp_path / "new/fleet.md").write_text("---\nstore: sqlite:///v.sqlite\n---\n")
    capsys.readouterr()
    assert run_cli(["call", "memory_status", "--json", "--vault", "new"]) == 0
    assert json.loads(capsys.readouterr().out)["store"] == "sqlite"
    (tmp_path / "new/fleet.md").write_text("---\nstore: [sqlite\n---\n")
    assert run_cli(["call", "memory_status", "--vault", "new"]) == 1
    assert "corrupted: fleet.md" in capsys.readouterr().err


def test_who_names_another_store_than_the_running_fleets_works_alone(vault: Path, tmp_path: Path) -> None:
    assert run_cli(["export", "--to", "sqlite:///other.sqlite", "--vault", str(vault)]) == 0
    env = environment(XDG_RUNTIME_DIR=os.environ["XDG_RUNTIME_DIR"])
    other = ["--store", f"sqlite:///{tmp_path}/other.sqlite"]
    shown: dict[str, str] = {}
    subprocess.run(command("up", "--vault", str(vault)), env=env, check=True, capture_output=True, timeout=60)
    try:
        for name, flags in (("own", []), ("files", ["--store", "files"]), ("other", other)):
            line = command("run", "ada", "What burns in the lamp?", "--vault", str(vault), "--model", "offline", *flags)
            done = subprocess.run(
                [line[0], "-X", "importtime", *line[1:]], env=env, capture_output=True, text=True, timeout=60
            )
            assert done.returncode == 0, done.stderr
            shown[name] = done.stderr
    finally:
        subprocess.run(command("down", "--vault", str(vault)), env=env, check=True, capture_output=True, timeout=60)

    alone = {name for name, text in shown.items() if "pydantic" in text}
    assert alone == {"other"}


# Verify


def test_verify_says_what_is_wrong_and_exits_with_it(vault: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (vault / "_fleet/queue/runs/done/broken.json").unlink()
    (vault / "ada/log/2025-03/2025-03-01.jsonl").write_bytes(LOG.splitlines(keepends=True)[0])
    assert run_cli(["verify", "--vault", str(vault)]) == 0
    assert "whole" in capsys.readouterr().out
    day = next(path for path in (vault / "ada/log").rglob("*.jsonl") if b"memory.write" in path.read_bytes())
    day.write_bytes(day.read_bytes().replace(b"Note 1", b"Note 9").replace(b"user_note_1", b"user_note_9"))

    assert run_cli(["verify", "--json", "--vault", str(vault)]) == 1
    report = json.loads(capsys.readouterr().out)
    assert not report["ok"] and report["findings"][0]["kind"] == "altered"
    assert report["findings"][0]["file"] == str(day.relative_to(vault))


def test_verify_names_an_item_that_cannot_be_read(vault: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli(["verify", "--vault", str(vault)]) == 1
    assert "broken" in capsys.readouterr().out
