"""Importing: what other programs wrote arrives once, whole, with where it came from, and hostile files do not."""

from __future__ import annotations

import io
import json
import os
import shutil
import stat
import zipfile
from pathlib import Path
from typing import IO, Any

import pytest
from fleet_fixtures import make_vault
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from argosy_core.conversations import read_turns
from argosy_core.errors import ArgosyError, InvalidArgument, NotFound, PermissionDenied, TooLarge
from argosy_core.frontmatter import parse
from argosy_core.views.notes import read_note
from argosy_host.cli import run_cli
from argosy_host.importing import containers, streams
from argosy_host.importing.command import run_import
from argosy_host.importing.containers import Bundle
from argosy_host.importing.detect import open_reader
from argosy_host.importing.foreign import Into
from argosy_host.importing.pages import with_links
from argosy_host.importing.streams import lines, values

pytestmark = pytest.mark.anyio
QUIET = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy machine is no fault of ours
DATA = Path(__file__).parents[1] / "data" / "importing"


@pytest.fixture
def vault(tmp_path: Path) -> Path:
    return make_vault(tmp_path / "vault")


async def bring(
    source: Path, vault: Path, *, apply: bool = True, kind: str | None = None, into: Into | None = None
) -> Any:
    return await run_import(source, vault, "ada", None, kind, into, apply)


def files_of(vault: Path) -> dict[str, bytes]:
    found = {str(p.relative_to(vault)): p.read_bytes() for p in sorted(vault.rglob("*")) if p.is_file()}
    return {path: data for path, data in found.items() if ".argosy" not in path and "/log/" not in path}


def claude_zip(folder: Path) -> Path:
    path = folder / "data-2024.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("conversations", "projects"):
            archive.write(DATA / f"claude_{name}.json", f"export/{name}.json")
        archive.writestr("export/users.json", "[]")
    return path


def chatgpt_folder(folder: Path) -> Path:
    (folder / "chatgpt").mkdir()
    shutil.copy(DATA / "chatgpt.json", folder / "chatgpt/conversations.json")
    return folder / "chatgpt"


def sources(folder: Path) -> dict[str, Path]:
    return {
        "basic-memory": DATA / "basic-memory",
        "server-memory": DATA / "memory.jsonl",
        "obsidian": DATA / "obsidian",
        "chatgpt": chatgpt_folder(folder),
        "claude": claude_zip(folder),
    }


@pytest.mark.parametrize("kind", ["basic-memory", "server-memory", "obsidian", "chatgpt", "claude"])
async def test_a_dry_run_writes_nothing_and_the_same_twice_adds_nothing(tmp_path: Path, vault: Path, kind: str) -> None:
    source = sources(tmp_path)[kind]
    before = files_of(vault)
    planned = await bring(source, vault, apply=False)
    assert files_of(vault) == before

    done = await bring(source, vault)
    after = files_of(vault)
    again = await bring(source, vault)

    assert planned["kind"] == done["kind"] == kind
    assert planned["steps"] == done["steps"]
    new = [step["path"] for step in done["steps"] if step["action"] == "new"]
    journal = {path for path in after if "/journal/" in path}
    assert set(after) - set(before) - journal == set(new) and new
    assert all(after[path] == data for path, data in before.items())
    assert again["counts"].get("same") == len(new) and not again["counts"].get("new")
    assert files_of(vault) == after


async def test_basic_memory_notes_become_notes_that_link_each_other(vault: Path) -> None:
    await bring(DATA / "basic-memory", vault)
    path = vault / "ada/memory/reference_coffee_brewing_methods.md"
    note = read_note("ada/memory/x.md", path.read_text(encoding="utf-8"))

    assert (note.title, note.type, note.tags) == ("Coffee Brewing Methods", "reference", ("coffee", "brewing"))
    assert note.sources == ("basic-memory:basic-memory/brewing/Coffee Brewing Methods",)
    assert note.provenance == "observed" and note.degraded is None
    assert note.fields["imported"]["fields"] == {"permalink": "main/brewing/coffee-brewing-methods"}
    assert "- [preference] Water at 94 °C" in note.body
    assert "[[reference_coffee_bean_origins|Coffee Bean Origins]]" in note.body
    assert "[[Burr Grinder]]" in note.body


async def test_entities_become_notes_with_their_observations_and_relations(vault: Path) -> None:
    report = await bring(DATA / "memory.jsonl", vault)
    note = parse((vault / "ada/memory/reference_marit_solberg.md").read_text(encoding="utf-8"))

    assert [step["path"] for step in report["steps"]] == [
        "ada/memory/reference_marit_solberg.md",
        "ada/memory/reference_harbor.md",
    ]
    assert note.fields["tags"] == ["person"]
    assert note.body.strip() == (
        "- Speaks Norwegian\n- Prefers letters, not mail\n\n## Relations\n\n- runs [[reference_harbor|Harbor]]"
    )


async def test_an_obsidian_vault_becomes_a_wiki_whose_text_stays_byte_for_byte(vault: Path) -> None:
    report = await bring(DATA / "obsidian", vault)
    sea = (vault / "ada/wiki/Books/The Sea, the Sea.md").read_text(encoding="utf-8")
    original = (DATA / "obsidian/Books/The Sea, the Sea.md").read_text(encoding="utf-8")
    listed = (vault / "ada/wiki/Reading list.md").read_bytes()
    broken = (vault / "ada/wiki/Broken head.md").read_text(encoding="utf-8")

    assert parse(sea).body == parse(original).body
    assert parse(sea).fields.items() >= parse(original).fields.items()
    assert parse(sea).fields["sources"] == ["obsidian:obsidian/Books/The Sea, the Sea"]
    assert listed.endswith((DATA / "obsidian/Reading list.md").read_bytes())
    assert broken.endswith("Still readable.\n")
    assert [(step["what"], step["why"]) for step in report["steps"] if step["action"] == "left_out"] == [
        ("Empty.md", "is empty")
    ]


async def test_an_obsidian_vault_may_become_notes(vault: Path) -> None:
    await bring(DATA / "obsidian", vault, into="notes")
    note = read_note("x.md", (vault / "ada/memory/reference_the_sea_the_sea.md").read_text(encoding="utf-8"))
    assert (note.captured, note.tags) == ("2024-03-05", ("books/novel", "read"))
    assert "[[reference_reading_list#2024|my list]] and ![[cover.png]]" in note.body
    assert note.fields["imported"]["fields"] == {"aliases": ["Sea", "The Sea"], "rating": 5}


async def test_chatgpt_conversations_follow_what_was_last_seen(tmp_path: Path, vault: Path) -> None:
    report = await bring(chatgpt_folder(tmp_path), vault)
    step = next(step for step in report["steps"] if step["action"] == "new")
    turns, bad = read_turns((vault / step["path"]).read_bytes(), "local")

    assert step["path"].startswith("ada/conversations/local/2024-03-01_trip_to_bergen_")
    assert [(turn.seq, turn.role, turn.content) for turn in turns] == [
        (1, "user", "[image_asset_pointer]\n\nWhich ferry goes to Bergen?"),
        (2, "assistant", "The one at nine. 🛳"),
        (3, "user", "Thanks."),
    ]
    assert not bad and turns[0].ts == "2024-03-01T11:00:01.000Z" and turns[0].source == "chatgpt:aaaa-1"
    assert "1 messages of other kinds" in step["why"]
    assert {step["what"]: step["why"] for step in report["steps"] if step["action"] == "left_out"} == {
        "Nothing said": "holds nothing that was said",
        "conversations.json, entry 3": "is no conversation of ChatGPT",
    }


async def test_claude_conversations_and_project_documents(tmp_path: Path, vault: Path) -> None:
    report = await bring(claude_zip(tmp_path), vault)
    paths = sorted(step["path"] for step in report["steps"])
    turns, _ = read_turns((vault / paths[0]).read_bytes(), "local")

    assert [(turn.role, turn.content) for turn in turns] == [
        ("user", "Plan my week.\n\n[week.txt]\n\nMon: glue"),
        ("assistant", "Monday: glue."),
    ]
    assert paths[1:] == [
        "ada/wiki/Harbor/Press times.md",
        "ada/wiki/Harbor/a/page_5ec1f7e7/b.md",
        "ada/wiki/Harbor/instructions.md",
    ]
    assert "Cloth: 4 h." in (vault / paths[1]).read_text(encoding="utf-8")


async def test_a_conversation_that_went_on_there_goes_on_here_and_one_that_differs_is_left(
    tmp_path: Path, vault: Path
) -> None:
    source = chatgpt_folder(tmp_path) / "conversations.json"
    path = vault / (await bring(source, vault))["steps"][0]["path"]
    found = json.loads(source.read_text(encoding="utf-8"))
    more = {"id": "m5", "author": {"role": "assistant"}, "content": {"content_type": "text", "parts": ["Enjoy."]}}
    found[0]["mapping"]["m5"] = {"id": "m5", "parent": "m4", "children": [], "message": more}
    found[0] |= {"current_node": "m5", "title": "Ferry"}
    source.write_text(json.dumps(found), encoding="utf-8")

    grown = await bring(source, vault)
    assert grown["counts"]["grown"] == 1
    turns, _ = read_turns(path.read_bytes(), "local")
    assert [turn.content for turn in turns][-1] == "Enjoy."
    here = path.read_bytes() + b'{"role":"user","content":"said here","seq":5}\n'
    path.write_bytes(here)
    assert (await bring(source, vault))["counts"]["same"] == 1
    found[0]["mapping"]["m1"]["message"]["content"]["parts"][1] = "Edited."
    source.write_text(json.dumps(found), encoding="utf-8")
    assert (await bring(source, vault))["counts"]["changed"] == 1
    assert path.read_bytes() == here


async def test_what_stands_there_already_keeps_its_name(vault: Path) -> None:
    mine = vault / "ada/memory/reference_harbor.md"
    mine.write_text("My own harbor note.", encoding="utf-8")
    report = await bring(DATA / "memory.jsonl", vault)

    assert mine.read_text(encoding="utf-8") == "My own harbor note."
    assert [step["path"] for step in report["steps"]][1] == "ada/memory/reference_harbor_2.md"
    note = (vault / "ada/memory/reference_marit_solberg.md").read_text(encoding="utf-8")
    assert "[[reference_harbor_2|Harbor]]" in note


async def test_what_was_moved_edited_or_taken_away_here_does_not_come_again(vault: Path) -> None:
    await bring(DATA / "memory.jsonl", vault)
    (vault / "ada/memory/reference_harbor.md").unlink()
    marit = vault / "ada/memory/reference_marit_solberg.md"
    marit.rename(marit.with_name("user_marit.md"))
    assert (await bring(DATA / "memory.jsonl", vault))["counts"] == {"same": 2}


async def test_a_page_that_was_written_just_before_a_crash_is_known_again(vault: Path) -> None:
    await bring(DATA / "memory.jsonl", vault)
    shutil.rmtree(vault / "ada/log")
    shutil.rmtree(vault / ".argosy")
    assert (await bring(DATA / "memory.jsonl", vault))["counts"] == {"same": 2}


async def test_what_changed_at_its_source_is_told_and_left(tmp_path: Path, vault: Path) -> None:
    source = tmp_path / "memory.jsonl"
    shutil.copy(DATA / "memory.jsonl", source)
    await bring(source, vault)
    before = files_of(vault)
    with source.open("a", encoding="utf-8") as file:
        file.write('\n{"type":"entity","name":"Harbor","entityType":"workshop","observations":["New"]}\n')
    report = await bring(source, vault)
    assert report["counts"] == {"same": 1, "changed": 1}
    assert files_of(vault) == before


async def test_the_journal_tells_what_came(vault: Path) -> None:
    await bring(DATA / "memory.jsonl", vault)
    days = "".join(path.read_text(encoding="utf-8") for path in (vault / "ada/journal").rglob("*.md"))
    assert "Imported 2 notes from server-memory (memory.jsonl)." in days


def test_the_command_shows_then_writes(vault: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["import", str(DATA / "basic-memory"), "--vault", str(vault), "--agent", "ada"]
    assert run_cli(arguments) == 0
    shown = capsys.readouterr().out
    assert "2 would be written" in shown and "Nothing was written" in shown
    assert run_cli([*arguments, "--yes", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["sources"][0]["counts"] == {"new": 2}
    assert run_cli(["import", str(vault / "nowhere"), "--vault", str(vault)]) == 1
    assert run_cli(["import", "--vault", str(vault)]) == 2


# Hostile files


async def test_links_and_what_is_no_text_are_named_and_left(tmp_path: Path, vault: Path) -> None:
    folder = tmp_path / "notes"
    folder.mkdir()
    secret = tmp_path / "secret.md"
    secret.write_text("the cellar key", encoding="utf-8")
    (folder / "linked.md").symlink_to(secret)
    (folder / "out").symlink_to(tmp_path)
    (folder / "binary.md").write_bytes(b"\0\1")
    (folder / "latin.md").write_bytes(b"ok\ncaf\xe9")
    os.mkfifo(folder / "pipe.md")
    (folder / "good.md").write_text("good", encoding="utf-8")
    with (folder / "huge.md").open("wb") as file:
        file.truncate(containers.MAX_PAGE_BYTES + 1)
    report = await bring(folder, vault)

    left = {step["what"]: step["why"] for step in report["steps"] if step["action"] == "left_out"}
    assert left == {
        "binary.md": "is not text",
        "huge.md": "has more than 16 MiB",
        "latin.md": "line 2 is not UTF-8; save it as UTF-8",
        "linked.md": "is a link; links are not followed",
        "out": "is a link; links are not followed",
        "pipe.md": "is no regular file",
    }
    assert not any(b"cellar" in data for data in files_of(vault).values())


async def test_names_that_no_vault_can_hold_get_others(tmp_path: Path, vault: Path) -> None:
    lines_ = [
        json.dumps({"type": "entity", "name": name, "entityType": "x", "observations": ["said"]})
        for name in ("../../etc/passwd", "a/b", "", "x" * 5000, "日本", "C++", "C#", "???", "nul", "a\u0000b", "\ud800")
    ]
    source = tmp_path / "memory.jsonl"
    source.write_text("\n".join(lines_), encoding="utf-8")
    report = await bring(source, vault)
    paths = [step["path"] for step in report["steps"] if step["action"] == "new"]

    assert len(paths) == len(set(paths)) == 10
    assert all(path.startswith("ada/memory/reference_") and path.count("/") == 2 for path in paths)
    assert {
        "ada/memory/reference_日本.md",
        "ada/memory/reference_c_plus_plus.md",
        "ada/memory/reference_c_sharp.md",
    } < {*paths}
    assert (await bring(source, vault))["counts"] == {"left_out": 1, "same": 10}


def archive_of(folder: Path, *members: tuple[str | zipfile.ZipInfo, bytes]) -> Path:
    path = folder / "export.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return path


@pytest.mark.parametrize(
    "name", ["../conversations.json", "/conversations.json", "a/../../b.json", "..\\x.json", "C:\\x"]
)
def test_an_archive_with_a_path_out_of_it_is_refused_whole(tmp_path: Path, name: str) -> None:
    good = (DATA / "chatgpt.json").read_bytes()
    with pytest.raises(PermissionDenied, match="out of it"):
        open_reader(archive_of(tmp_path, ("conversations.json", good), (name, b"[]")))


def test_archives_with_links_or_names_twice_or_bombs_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = zipfile.ZipInfo("conversations.json")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with pytest.raises(PermissionDenied, match="link"):
        open_reader(archive_of(tmp_path, (link, b"/etc/passwd")))
    with pytest.warns(UserWarning, match="Duplicate"):
        twice = archive_of(tmp_path, ("a.json", b"[]"), ("a.json", b"[]"))
    with pytest.raises(PermissionDenied, match="twice"):
        open_reader(twice)
    monkeypatch.setattr(containers, "SMALL_BYTES", 1024 * 1024)
    with pytest.raises(TooLarge, match="would unpack"):
        open_reader(archive_of(tmp_path, ("conversations.json", b"[" + b" " * 2 * 1024 * 1024)))


def test_an_archive_cut_anywhere_is_refused_clearly(tmp_path: Path) -> None:
    data = claude_zip(tmp_path).read_bytes()
    for end in range(0, len(data), 97):
        path = tmp_path / "cut.zip"
        path.write_bytes(data[:end])
        with pytest.raises(ArgosyError):
            open_reader(path)


def test_an_archive_with_any_byte_changed_ends_in_items_or_a_clear_error(tmp_path: Path) -> None:
    data = claude_zip(tmp_path).read_bytes()
    for place in range(0, len(data), 13):
        path = tmp_path / "changed.zip"
        path.write_bytes(data[:place] + bytes([data[place] ^ 0x55]) + data[place + 1 :])
        try:
            list(open_reader(path, "claude").items())
        except ArgosyError:
            continue


def test_nothing_at_the_path_and_nothing_we_know(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text('[{"a": 1}]', encoding="utf-8")
    with pytest.raises(NotFound):
        open_reader(tmp_path / "nowhere")
    with pytest.raises(InvalidArgument, match="none of"):
        open_reader(tmp_path / "x.json")
    with pytest.raises(InvalidArgument, match="no file"):
        open_reader(tmp_path, "server-memory")
    with pytest.raises(NotFound):
        Bundle(tmp_path / "nowhere")


# Streams


class Dripping(io.BytesIO):
    """Gives a few bytes at a time."""

    def __init__(self, data: bytes, size: int) -> None:
        super().__init__(data)
        self._size = size

    def read(self, size: int | None = -1) -> bytes:
        return super().read(self._size)


ELEMENTS = (
    None,
    True,
    5,
    -12.5,
    "",
    "日本 🛳",
    'a "b" \\ c',
    [],
    [1, [2, "]"]],
    {},
    {"a": {"b": ["},{"]}},
    {"\u2028": "\n"},
)


@QUIET
@given(st.lists(st.sampled_from(ELEMENTS), max_size=5), st.integers(1, 7), st.booleans(), st.sampled_from([None, 2]))
def test_a_list_is_read_element_by_element_however_it_drips(
    elements: list[Any], size: int, ascii_only: bool, indent: int | None
) -> None:
    data = json.dumps(elements, ensure_ascii=ascii_only, indent=indent).encode()
    assert list(values(Dripping(data, size), "x")) == elements


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"x",
        b"5",
        b'"text"',
        b"[1",
        b"[1,",
        b"[1 2]",
        b"[1,]x"[:3],
        b'["a',
        b"[\xff]",
        b"[}",
        b"[tru]",
        b"[" * 10**6,
    ],
    ids=lambda data: ascii(data[:8]),
)
def test_what_is_no_list_of_json_is_named_with_its_place(data: bytes) -> None:
    with pytest.raises(InvalidArgument):
        list(values(io.BytesIO(data), "x.json"))


class Endless(io.RawIOBase):
    """A gigabyte of JSON that is made as it is read, and says how much was asked for at most."""

    def __init__(self, element: bytes, total: int) -> None:
        self._element = element
        self._left = total
        self._begun = False

    def read(self, size: int = -1) -> bytes:
        if not self._begun:
            self._begun = True
            return b"["
        if self._left <= 0:
            return b""
        data = self._element * max(1, size // len(self._element))
        self._left -= len(data)
        return data if self._left > 0 else data[:-1] + b"]"


def test_memory_is_that_of_one_element_and_not_of_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[int] = []
    grow = streams._Text._more

    def watched(text: Any, size: int) -> bool:
        found = grow(text, size)
        held.append(len(text._text))
        return found

    monkeypatch.setattr(streams._Text, "_more", watched)
    element = json.dumps({"text": "x" * 5000}).encode() + b","
    stream: Any = Endless(element, 64 * 1024 * 1024)
    assert sum(1 for _ in values(stream, "x")) > 12_000
    assert max(held) < 1024 * 1024


def test_an_element_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "MAX_VALUE_CHARS", 4 * 1024 * 1024)
    stream: Any = Endless(b"[", 10**9)
    with pytest.raises(ArgosyError):
        list(values(stream, "x"))
    text: Any = Endless(b'"' + b"x" * 100, 10**9)
    with pytest.raises(ArgosyError):
        list(values(text, "x"))


def test_a_line_without_end_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "MAX_LINE_BYTES", 10)
    stream: IO[bytes] = io.BytesIO(b"short\n" + b"x" * 35 + b"\nlast\n\n" + b"y" * 20)
    assert list(lines(stream)) == [(1, b"short\n"), (2, None), (3, b"last\n"), (5, None)]


@QUIET
@given(st.text("[]|#! ab\n", max_size=30))
def test_links_to_nothing_known_stay_as_they_are(body: str) -> None:
    assert with_links(body, {}) == body
