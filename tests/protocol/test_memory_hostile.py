"""What people, other programs and other processes leave in a memory: nothing of it stops the server or is lost."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio import to_thread
from fleet_fixtures import NOTE, make_vault, text_of
from mcp import Client
from memory_client import call, memory

from argosy_core.errors import Conflict
from argosy_core.serving.config import open_store
from argosy_core.storage.logged import Telling, write_logged

pytestmark = pytest.mark.anyio
BELL = {"type": "decision", "title": "Bell rope", "body": "The bell rope is renewed every spring."}


@pytest.fixture
def vault(tmp_path: Path) -> Path:
    return make_vault(tmp_path / "vault")


async def found(client: Client, query: str) -> list[str]:
    return [hit["name"] for hit in (await call(client, "memory_search", query=query))["hits"]]


async def test_a_note_of_five_megabytes_is_found_recalled_and_read_in_parts(vault: Path) -> None:
    body = "".join(f"Line {number} of the endless log.\n" for number in range(170_000)) + "The kittiwake at the end.\n"
    head = "The kittiwake at the start.\n"
    (vault / "ada/memory/reference_log.md").write_text(
        NOTE.format(title="Endless log", type="reference", body=head + body), encoding="utf-8"
    )
    assert (vault / "ada/memory/reference_log.md").stat().st_size > 5_000_000
    async with memory(vault) as client:
        names = await found(client, "kittiwake")
        recall = await call(client, "memory_recall", task="kittiwake", token_budget=300)
        first = await call(client, "memory_read", name="reference_log")
        second = await call(client, "memory_read", name="reference_log", offset=first["next_offset"])
        beyond = await client.call_tool("memory_read", {"name": "reference_log", "offset": 10**8})
        await call(client, "memory_archive", name="reference_log", why="too long")

    assert names == ["reference_log"] and recall["used_tokens"] <= 300 and "kittiwake" in recall["text"]
    whole = NOTE.format(title="Endless log", type="reference", body=head + body)
    assert first["body"] + second["body"] in whole and len(second["body"]) == len(first["body"]) == first["next_offset"]
    assert beyond.is_error and text_of(beyond).startswith("invalid_argument:")


async def test_ten_thousand_tags_and_links_are_bounded(vault: Path) -> None:
    tags = ", ".join(f"tag{number}" for number in range(10_000))
    text = NOTE.format(title="Tagged", type="user", body="".join(f"[[none{n}]] " for n in range(10_000)))
    (vault / "ada/memory/user_tagged.md").write_text(text.replace("tags: []", f"tags: [{tags}]"), encoding="utf-8")
    (vault / "ada/memory/user_block.md").write_text(
        NOTE.format(title="Block", type="user", body="A puffin.").replace(
            "tags: []", "tags:\n" + "".join(f"- t{number}\n" for number in range(4_000))
        ),
        encoding="utf-8",
    )
    async with memory(vault) as client:
        assert "user_block" in await found(client, "puffin")
        await call(client, "memory_list", tags=["t3999"])
        lint = await call(client, "memory_lint", limit=500)
        await call(client, "memory_read", name="user_tagged")
        refused = await client.call_tool("memory_write", {**BELL, "tags": [f"t{n}" for n in range(10_000)]})

    assert lint["counts"]["dangling_link"] <= 500 and refused.is_error


async def test_files_that_are_no_notes_stop_nothing_and_are_left_alone(vault: Path) -> None:
    folder = vault / "ada/memory"
    (folder / "user_image.md").write_bytes(bytes(range(256)) * 400)
    (folder / "user_folder.md").mkdir()
    os.mkfifo(folder / "user_pipe.md")
    (folder / "user_link.md").symlink_to("/etc/passwd")
    (folder / "user_open.md").write_text("---\nname: never closed\ntype: user\n\nA guillemot.\n", encoding="utf-8")
    (folder / "user_deep.md").write_text("---\nname: " + "[" * 5_000 + "\n---\n\nA razorbill.\n", encoding="utf-8")
    (folder / "user_bomb.md").write_text(
        "---\na: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n---\n\nA fulmar.\n", encoding="utf-8"
    )
    (folder / "Großer Name mit Leerzeichen.md").write_text("Ein Papageitaucher.\n", encoding="utf-8")
    before = {path: path.read_bytes() for path in folder.glob("*.md") if path.is_file() and not path.is_symlink()}
    async with memory(vault) as client:
        for bird, name in {
            "guillemot": "user_open", "razorbill": "user_deep", "fulmar": "user_bomb",
            "Papageitaucher": "Großer Name mit Leerzeichen",
        }.items():  # fmt: skip
            assert await found(client, bird) == [name]
        for name in ("user_folder", "user_pipe", "user_link"):
            assert (await client.call_tool("memory_read", {"name": name})).is_error
        lint = await call(client, "memory_lint", limit=500)
        await call(client, "memory_write", **BELL)

    assert "root:" not in str(lint)
    assert {name for item in lint["items"] if item["kind"] == "degraded" for name in item["names"]} >= {"user_deep"}
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.parametrize(
    "query",
    [
        '"',
        "*",
        "AND OR NOT",
        "a" * 100_000,
        "(" * 500,
        "title:x",
        "NEAR(a b)",
        "\ud800",
        "'; DROP TABLE",
        "^a",
        "{a}: b",
        "🦭",
    ],
)
async def test_no_question_is_an_error(vault: Path, query: str) -> None:
    async with memory(vault) as client:
        result = await client.call_tool("memory_search", {"query": query, "scope": "all", "explain": True})

    assert not result.is_error or text_of(result).startswith("invalid_argument:")


async def test_names_that_differ_in_case_alone_are_one_note_for_the_tools(vault: Path) -> None:
    async with memory(vault) as client:
        one = await call(client, "memory_write", **BELL)
        other = await client.call_tool("memory_write", {**BELL, "title": "BELL ROPE", "body": "Other."})

    assert not other.is_error and other.structured_content is not None
    assert other.structured_content["name"] == f"{one['name']}_2"
    names = [path.name.casefold() for path in (vault / "ada/memory").glob("*.md")]
    assert len(names) == len(set(names))


async def test_writers_of_two_processes_who_make_the_same_note_leave_one(vault: Path) -> None:
    async with memory(vault) as here, memory(vault) as there:
        results: list[Any] = []

        async def write(client: Client, body: str) -> None:
            results.append(await client.call_tool("memory_write", {**BELL, "body": body}))

        async with anyio.create_task_group() as tasks:
            for number in range(6):
                tasks.start_soon(write, (here, there)[number % 2], f"Body {number}.")

    made = [result for result in results if not result.is_error]
    assert len(made) == 1
    assert all(text_of(result).startswith("already_exists:") for result in results if result.is_error)
    assert len(list((vault / "ada/memory").glob("decision_bell_rope*.md"))) == 1


# A document and its event


async def test_a_document_and_its_event_are_written_together_or_the_document_stays(vault: Path) -> None:
    store = open_store(vault)
    try:
        telling = Telling("ada", "memory", lambda content: {"kind": "x", "version": content.version}, key="k")
        content = await write_logged(store, "ada/memory/user_x.md", b"one", telling, expect="")
        entry = await store.chain.find("ada", "memory", "k")
        assert entry is not None and entry.event["version"] == content.version
        with pytest.raises(Conflict):  # the key is taken by another event
            await write_logged(store, "ada/memory/user_x.md", b"two", telling)
        assert (await store.documents.read("ada/memory/user_x.md")).data == b"two"
        with pytest.raises(Conflict):
            await write_logged(store, "ada/memory/user_x.md", b"three", telling, expect=content.version)
        assert (await store.documents.read("ada/memory/user_x.md")).data == b"two"
        assert [head.seq for head in await store.chain.heads("ada") if head.writer == "memory"] == [1]
    finally:
        await to_thread.run_sync(store.close)


# Frontmatter

HEADS = {
    "a mark at the start": "\ufeff---\nname: n\ntype: user\n---\n",
    "lines of Windows": "---\r\nname: n\r\ntype: user\r\n---\r\n",
    "tabs": "---\n\tname:\tn\n---\n",
    "a key twice": "---\nname: one\nname: two\ntype: user\n---\n",
    "a list": "---\n- name\n- type\n---\n",
    "a scalar": "---\nname\n---\n",
    "an object of Python": "---\nname: !!python/object/apply:os.system ['true']\n---\n",
    "wrong types": "---\nname: [1]\ntype: {a: 1}\ntags: 7\npinned: maybe\nsources: {}\nsupersedes: [x]\n---\n",
    "no days": "---\nname: n\ntype: user\ncaptured: 2026-13-45\nlast_seen: [2026]\nexpires_at: never\n---\n",
    "large numbers": f"---\nname: {'9' * 5000}\ntype: user\nschema_version: 1e999\n---\n",
    "an anchor to nothing": "---\nname: *nowhere\n---\n",
    "never closed": "---\nname: n\ntype: user\n",
    "two documents": "---\nname: n\n---\n---\ntype: user\n---\n",
}


@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
async def test_a_note_with_any_frontmatter_is_found_read_listed_and_left_as_it_is(vault: Path, head: str) -> None:
    file = vault / "ada/memory/user_odd.md"
    file.write_bytes(f"{head}\nA guillemot sits there.\n".encode())
    before = file.read_bytes()
    async with memory(vault) as client:
        assert await found(client, "guillemot") == ["user_odd"]
        note = await call(client, "memory_read", name="user_odd")
        await call(client, "memory_list", limit=500)
        await call(client, "memory_lint", limit=500)
        recall = await call(client, "memory_recall", task="guillemot")

    assert "guillemot" in note["body"] and "guillemot" in recall["text"]
    assert file.read_bytes() == before


# Names

TITLES = [
    "..", "...", "/", "\\", "-rf", "~", "NUL", "aux.txt", "COM1", "con:", "%2e%2e%2f", "<script>", "`$(rm)`",
    "a\u202egnp.exe", "\u200b", "🔔", "🏳️‍🌈", "  spaced  ", "ﬁne", "İstanbul", "a" * 80, "日" * 80, "👩‍🚀" * 20,
    "INDEX", "index.md", ".hidden", "x" * 70 + "/../../y", "A\u0301", "null", "---",
]  # fmt: skip


async def test_a_title_in_any_form_is_refused_or_makes_one_file_in_its_folder_that_any_system_can_hold(
    vault: Path,
) -> None:
    folder = vault / "ada/memory"
    async with memory(vault) as client:
        known = {path.name for path in folder.iterdir()}
        outside = {path for path in vault.rglob("*") if path.is_file() and "ada/memory" not in path.as_posix()}
        for title in TITLES:
            result = await client.call_tool("memory_write", {"type": "user", "title": title, "body": f"Of {title!r}."})
            now = {path.name for path in folder.iterdir() if path.suffix == ".md"}
            made, known = now - known, now | known
            if result.is_error:
                assert text_of(result).startswith("invalid_argument:") and not made, title
                continue
            assert result.structured_content is not None
            [name] = made - {"INDEX.md"}
            assert name == f"{result.structured_content['name']}.md" and name.startswith("user_"), title
            assert len(name.encode()) <= 255 and name.isprintable() and not set(name) & set('<>:"/\\|?*'), title
            read = await call(client, "memory_read", name=result.structured_content["name"])
            assert f"Of {title!r}." in read["body"]
    after = {path for path in vault.rglob("*") if path.is_file() and "ada/memory" not in path.as_posix()}
    assert {path for path in after - outside if not {"log", ".argosy"} & set(path.parts)} == set()


async def test_a_letter_written_in_two_ways_is_one_note(vault: Path) -> None:
    async with memory(vault) as client:
        one = await call(client, "memory_write", type="user", title="Caf\u00e9", body="Coffee.")
        two = await call(client, "memory_write", type="user", title="Cafe\u0301", body="Coffee.")
    assert two["name"] == one["name"] and two["duplicate"]


async def test_files_with_names_that_no_tool_would_give_stop_nothing_and_stay(vault: Path) -> None:
    folder = os.fsencode(vault / "ada/memory")
    names = [
        b"a\nb.md", "\u202egnp.md".encode(), b"x" * 250 + b".md", b"-rf.md", b" .md", b"#tag [[x]].md", b"\xff\xfe.md",
        b"%2e%2e.md", "e\u0301.md".encode(), b"con.md", b"a;rm -rf ~.md", "\u0007bell.md".encode(), b"..md",
    ]  # fmt: skip
    for number, name in enumerate(names):
        Path(os.fsdecode(os.path.join(folder, name))).write_text(f"A kittiwake, number {number}.\n", "utf-8")
    async with memory(vault) as client:
        hits = (await call(client, "memory_search", query="kittiwake", limit=50))["hits"]
        for hit in hits:
            assert "kittiwake" in (await call(client, "memory_read", name=hit["name"]))["body"], hit["name"]
        await call(client, "memory_lint", limit=500)
        await call(client, "memory_list", limit=500)
        await call(client, "memory_write", **BELL)
        index = await client.read_resource("memory://index")

    assert len(hits) >= 6 and "decision_bell_rope" in str(index.contents)
    assert sorted(set(os.listdir(folder)) & set(names)) == sorted(names)


# The index


@pytest.mark.parametrize("harm", ["removed", "emptied", "of something else", "of another program"])
async def test_an_index_that_is_harmed_while_notes_are_written_and_sought_is_made_anew(vault: Path, harm: str) -> None:
    async with memory(vault) as client:
        names = await found(client, "rapeseed")
        [file] = (vault / ".argosy").rglob("index.sqlite")
        for number in range(3):
            await call(client, "memory_write", type="project", title=f"Fog {number}", body="The fog is thick.")
            if harm == "removed":
                for part in file.parent.glob("index.sqlite*"):
                    part.unlink()
            elif harm == "emptied":
                file.write_bytes(b"")
            elif harm == "of something else":
                file.write_bytes(os.urandom(8192))
            else:
                file.unlink()
                with closing(sqlite3.connect(file)) as other, other:
                    other.execute("CREATE TABLE documents (x)")
            await call(client, "memory_write", type="project", title=f"Mist {number}", body="The fog is thin.")
            names = []
            with anyio.fail_after(20):
                while len(names) < 2 * (number + 1):
                    names = await found(client, "fog")
        assert sorted(names) == [f"project_{word}_{number}" for word in ("fog", "mist") for number in range(3)]
