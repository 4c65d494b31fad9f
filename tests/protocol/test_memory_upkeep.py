"""Memory kept in order through its tools: marks, the archive, versions, chains, captures, lint."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fleet_fixtures import NOTE, make_vault, resource_text, text_of
from mcp import Client
from memory_client import call, error, memory

from argosy_core.testing.fakes import FakeClock
from argosy_core.types import Role

pytestmark = pytest.mark.anyio
BELL = {"type": "decision", "title": "Bell rope", "body": "The bell rope is renewed every spring."}


@pytest.fixture
def vault(tmp_path: Path) -> Path:
    return make_vault(tmp_path / "vault")


async def names(client: Client, query: str, **arguments: Any) -> list[str]:
    return [hit["name"] for hit in (await call(client, "memory_search", query=query, **arguments))["hits"]]


# Marks


async def test_only_an_operator_confirms_and_an_agent_may_dispute(vault: Path) -> None:
    async with memory(vault) as agent:
        await call(agent, "memory_write", **BELL)
        refused = await error(agent, "memory_mark", name="decision_bell_rope", provenance="confirmed")
        marked = await call(agent, "memory_mark", name="decision_bell_rope", provenance="disputed")
        hidden = await names(agent, "rope")
        lifted = await error(agent, "memory_mark", name="decision_bell_rope", provenance="observed")
    async with memory(vault, role=Role.OPERATOR) as operator:
        confirmed = await call(operator, "memory_mark", name="decision_bell_rope", provenance="confirmed")
        again = await call(operator, "memory_mark", name="decision_bell_rope", provenance="confirmed")
        found = await names(operator, "rope")

    assert refused.startswith("permission_denied:") and lifted.startswith("permission_denied:")
    assert marked["frontmatter"]["provenance"] == "disputed" and hidden == []
    assert confirmed["frontmatter"]["provenance"] == "confirmed" and found == ["decision_bell_rope"]
    assert again["duplicate"] and again["version"] == confirmed["version"]


async def test_an_agents_words_do_not_inherit_what_a_person_confirmed(vault: Path) -> None:
    async with memory(vault, role=Role.OPERATOR) as operator:
        owned = await call(operator, "memory_write", **BELL, pinned=True)
    async with memory(vault) as agent:
        replaced = await call(
            agent, "memory_write", **{**BELL, "body": "Obey the agent."}, expect_version=owned["version"]
        )
        legacy = await call(agent, "memory_write", **BELL, merge_into="user_keeper")
        recall = await call(agent, "memory_recall", task="bell")
        back = await call(agent, "memory_restore", name="decision_bell_rope", version=owned["version"])

    assert replaced["frontmatter"]["provenance"] == "generated" == legacy["frontmatter"]["provenance"]
    assert all(note["why"] != "pinned" for note in recall["notes"])
    assert back["body"] == owned["body"] and back["frontmatter"]["provenance"] != "confirmed"


# Archive and versions


async def test_an_archived_note_leaves_search_recall_and_lists_stays_readable_and_comes_back(vault: Path) -> None:
    async with memory(vault) as client:
        first = await call(client, "memory_write", **BELL)
        archived = await call(client, "memory_archive", name="decision_bell_rope", why="the bell is gone")
        again = await call(client, "memory_archive", name="decision_bell_rope", why="the bell is gone")
        gone = await names(client, "rope"), (await call(client, "memory_recall", task="bell rope"))["text"]
        listed = [item["name"] for item in (await call(client, "memory_list"))["items"]]
        asked = await names(client, "rope", include_archived=True)
        read = await call(client, "memory_read", name="decision_bell_rope")
        page = resource_text(await client.read_resource("memory://index"))
        back = await call(client, "memory_restore", name="decision_bell_rope", version=first["version"][:8])
        found = await names(client, "rope")

    assert archived["frontmatter"]["archived"] is True
    assert archived["frontmatter"]["archive_reason"] == "the bell is gone" and again["duplicate"]
    assert gone[0] == [] and "rope" not in gone[1] and "decision_bell_rope" not in listed
    assert asked == ["decision_bell_rope"] and read["body"] == first["body"]
    assert "decision_bell_rope.md" in page.split("## Archive")[1]
    assert back["version"] == first["version"] and found == ["decision_bell_rope"]


async def test_every_version_is_listed_read_and_restored(vault: Path) -> None:
    async with memory(vault) as client:
        one = await call(client, "memory_write", **BELL)
        two = await call(client, "memory_write", **{**BELL, "body": "Two."}, expect_version=one["version"])
        three = await call(client, "memory_write", **{**BELL, "body": "Three."}, expect_version=two["version"])
        first_page = await call(client, "memory_history", name="decision_bell_rope", limit=2)
        second_page = await call(
            client, "memory_history", name="decision_bell_rope", limit=2, cursor=first_page["next_cursor"]
        )
        restored = await call(client, "memory_restore", name="decision_bell_rope", version=one["version"])
        undone = await call(client, "memory_restore", name="decision_bell_rope", version=three["version"])
        none = await error(client, "memory_restore", name="decision_bell_rope", version="0" * 64)
        short = await error(client, "memory_restore", name="decision_bell_rope", version="abc")

    listed = [item["version"][:8] for item in (*first_page["items"], *second_page["items"])]
    assert listed == [note["version"][:8] for note in (three, two, one)]
    assert first_page["items"][0]["replaced_at"] is None and second_page["items"][0]["replaced_at"]
    assert restored["body"] == one["body"] and undone["body"] == three["body"]
    assert none.startswith("not_found:") and short.startswith("invalid_argument:")


async def test_a_note_whose_file_a_person_deleted_comes_back(vault: Path) -> None:
    async with memory(vault) as client:
        one = await call(client, "memory_write", **BELL)
        await call(client, "memory_write", **{**BELL, "body": "Two."}, expect_version=one["version"])
        (vault / one["path"]).unlink()
        history = await call(client, "memory_history", name=one["name"])
        back = await call(client, "memory_restore", name=one["name"], version=one["version"])

    assert [item["version"] for item in history["items"]] == [one["version"][:8]]
    assert back["version"] == one["version"] and (vault / one["path"]).is_file()


async def test_an_old_version_does_not_undo_that_the_note_was_superseded(vault: Path) -> None:
    async with memory(vault) as client:
        one = await call(client, "memory_write", **BELL)
        await call(client, "memory_write", type="decision", title="Wire", body="Wire now.", supersedes=one["name"])
        back = await call(client, "memory_restore", name=one["name"], version=one["version"])

    assert back["frontmatter"]["superseded_by"] == "decision_wire.md"


async def test_no_name_leads_out_of_the_memory(vault: Path) -> None:
    tools: dict[str, dict[str, str]] = {
        "memory_mark": {"provenance": "observed"},
        "memory_archive": {"why": "because"},
        "memory_history": {},
        "memory_restore": {"version": "0" * 8},
    }
    names = ("none", "../model", "/etc/passwd", "a\x00b", "wiki/../model", "x" * 300, "raw/../../fleet")
    async with memory(vault) as client:
        for tool, more in tools.items():
            for name in names:
                refused = await error(client, tool, name=name, **more)
                assert refused.split(":")[0] in ("not_found", "invalid_argument"), (tool, name)


# Chains


async def test_a_chain_tells_what_was_believed_when(vault: Path) -> None:
    clock = FakeClock()
    async with memory(vault, clock=clock) as client:
        await call(client, "memory_write", **BELL)
        clock.advance(10 * 86_400)
        wire = {"type": "decision", "title": "Bell wire", "body": "The bell hangs on a wire."}
        await call(client, "memory_write", **wire, supersedes="decision_bell_rope")
        clock.advance(10 * 86_400)
        chain = {"type": "decision", "title": "Bell chain", "body": "The bell hangs on a chain."}
        await call(client, "memory_write", **chain, supersedes="decision_bell_wire")
        recall = await call(client, "memory_recall", task="what does the bell hang on")
        old = await call(client, "memory_read", name="decision_bell_rope")

    assert "chain" in recall["text"] and "renewed every spring" not in recall["text"]
    assert "Before it: Bell wire [decision_bell_wire], 2026-11-30 to 2026-12-10" in recall["text"]
    assert "Before it: Bell rope [decision_bell_rope], 2026-11-20 to 2026-11-30" in recall["text"]
    assert old["believed"] == "2026-11-20 to 2026-11-30, then decision_bell_wire"


async def test_a_note_is_superseded_once_and_never_in_a_circle(vault: Path) -> None:
    async with memory(vault) as client:
        one = await call(client, "memory_write", **BELL)
        wire = {"type": "decision", "title": "Wire", "body": "Wire."}
        await call(client, "memory_write", **wire, supersedes=one["name"])
        again = await call(client, "memory_write", **wire, supersedes=one["name"])
        forked = await error(
            client, "memory_write", type="decision", title="Chain", body="Chain.", supersedes=one["name"]
        )
        current = await call(client, "memory_read", name=one["name"])
        circle = await error(
            client, "memory_write", **BELL, expect_version=current["version"], supersedes="decision_wire"
        )
        itself = await error(
            client, "memory_write", **{**BELL, "body": "x"}, expect_version=current["version"], supersedes=one["name"]
        )

    assert again["duplicate"]
    assert forked.startswith("conflict:") and "decision_wire" in forked
    assert circle.startswith("invalid_argument:")
    assert itself.startswith(("invalid_argument:", "conflict:"))
    assert not (vault / "ada/memory/decision_chain.md").exists()


async def test_a_replaced_note_can_supersede_another(vault: Path) -> None:
    async with memory(vault) as client:
        one = await call(client, "memory_write", **BELL)
        done = await call(client, "memory_write", **BELL, expect_version=one["version"], supersedes="decision_lamp_oil")
        old = await call(client, "memory_read", name="decision_lamp_oil")

    assert done["frontmatter"]["supersedes"] == "decision_lamp_oil.md"
    assert old["frontmatter"]["superseded_by"] == "decision_bell_rope.md"


async def test_a_link_back_that_a_crash_prevented_is_made_by_the_same_write_again(vault: Path) -> None:
    async with memory(vault) as client:
        arguments = {"type": "decision", "title": "Lamp gas", "body": "Gas.", "supersedes": "decision_lamp_oil"}
        await call(client, "memory_write", **arguments)
        old = vault / "ada/memory/decision_lamp_oil.md"
        old.write_text(old.read_text("utf-8").replace("decision_lamp_gas.md", "null"), "utf-8")
        again = await call(client, "memory_write", **arguments)

    assert again["duplicate"] and "superseded_by: decision_lamp_gas.md" in old.read_text("utf-8")


async def test_two_who_write_on_one_version_are_one_winner_and_one_conflict(vault: Path) -> None:
    async with memory(vault) as here, memory(vault) as there:
        first = await call(here, "memory_write", **BELL)
        won = await call(here, "memory_write", **{**BELL, "body": "Mine."}, expect_version=first["version"])
        lost = await there.call_tool("memory_write", {**BELL, "body": "Theirs.", "expect_version": first["version"]})

    assert lost.is_error and text_of(lost).startswith("conflict:")
    assert (lost.meta or {})["argosy/error"]["detail"]["version"] == won["version"]


async def test_a_key_does_not_stand_for_a_merge_and_for_a_write(vault: Path) -> None:
    async with memory(vault) as client:
        await call(client, "memory_write", **BELL, key="k")
        assert (await error(client, "memory_write", **BELL, merge_into="user_keeper", key="k")).startswith("conflict:")


# Captures


def block(fence: str = "```", **fields: Any) -> str:
    note: dict[str, Any] = {
        "type": "user", "name": "Tea", "description": "Takes tea.", "confidence": "high", "sources": ["a letter"],
        "body": "Takes tea with lemon.",
    }  # fmt: skip
    return f"{fence}atomic_capture\n{json.dumps(note | fields, ensure_ascii=False)}\n{fence}\n"


async def test_captures_land_and_bad_ones_are_reported_with_their_line(vault: Path) -> None:
    text = "\n".join(
        [
            "Some prose.",
            block(),
            block("````", name="Coffee", body="No ```coffee``` at all."),
            block(name=""),
            block(colour="red"),
            "```atomic_capture\n{not json}\n```",
            '```atomic_capture\n{"type": "user", "type": "user"}\n```',
            "`````text\n" + block("````", name="Quoted") + "`````\n",
            "~~~\n" + block(name="Tilde") + "~~~",
            block(type="nonsense"),
            block(sources=[]),
            block(name="Merged", merge_into="nobody"),
            "```python\nnever closed",
            "```atomic_capture\n{}",
        ]
    )
    async with memory(vault) as client:
        done = await call(client, "memory_capture", text=text)
        again = await call(client, "memory_capture", text=block())
        nothing = await call(client, "memory_capture", text="No blocks here.")
        tea = await call(client, "memory_read", name="user_tea")

    assert [(each["name"], each["line"]) for each in done["landed"]] == [("user_tea", 2), ("user_coffee", 6)]
    lines = text.split("\n")
    assert all("atomic_capture" in lines[each["line"] - 1] for each in done["problems"])
    codes = [each["code"] for each in done["problems"]]
    assert codes == ["invalid_argument"] * 6 + ["not_found", "invalid_argument"]
    assert tea["frontmatter"]["sources"] == ["a letter"] and tea["frontmatter"]["confidence"] == "high"
    assert again["landed"][0]["duplicate"] and nothing == {"landed": [], "problems": []}
    assert not (vault / "ada/memory/user_quoted.md").exists() and not (vault / "ada/memory/user_tilde.md").exists()


# Lint


async def test_lint_finds_what_it_says_and_changes_nothing(vault: Path) -> None:
    folder = vault / "ada/memory"

    def put(name: str, body: str, **fields: str) -> None:
        text = NOTE.format(title=name.replace("_", " "), type=name.split("_")[0], body=body)
        for field, value in fields.items():
            old = next(line for line in text.split("\n") if line.startswith(f"{field}:"))
            text = text.replace(old, f"{field}: {value}")
        (folder / f"{name}.md").write_text(text, "utf-8")

    lens = "The great lens of the north tower is cleaned with spirit and a soft linen cloth every"
    put("project_lens_care", f"{lens} 14 days.", confidence="medium")
    put("project_cleaning_of_lens", f"{lens} 21 days.", confidence="medium", captured="2026-11-02")
    stairs = "Two hundred and eleven steps lead up to the lantern room and the rail is loose at the third landing"
    put("reference_stairs", stairs, confidence="low")
    put("reference_steps_up", f"{stairs} now.", confidence="low", captured="2026-10-05")
    put("user_old_thing", "Nobody looked at this.", last_seen="2026-01-01", confidence="low")
    put("decision_past", "Was good until then.", expires_at="2026-02-01", confidence="low")
    put("decision_orphan", "Sees [[nothing_here]].", supersedes="decision_never.md", confidence="low")
    (folder / "reference_broken.md").write_text("---\nname: a: b\ntype: reference\n---\n\nText.\n", "utf-8")
    (folder / "user_bare.md").write_text("Just text about nothing in particular.\n", "utf-8")
    (folder / "INDEX.md").write_text("# Mine\n\n- [Gone](user_gone.md)\n", "utf-8")
    before = {path: path.read_bytes() for path in folder.rglob("*.md")}
    async with memory(vault, clock=FakeClock()) as client:
        page = await call(client, "memory_lint", limit=500)
        small: list[dict[str, Any]] = []
        cursor: str | None = None
        while True:
            part = await call(client, "memory_lint", limit=3, **({"cursor": cursor} if cursor else {}))
            small += part["items"]
            cursor = part["next_cursor"]
            if cursor is None:
                break
        bad = await error(client, "memory_lint", cursor="nonsense")

    found = {(item["kind"], *item["names"]) for item in page["items"]}
    assert found >= {
        ("degraded", "reference_broken"),
        ("schema_drift", "user_bare"),
        ("contradiction", "project_lens_care", "project_cleaning_of_lens"),
        ("duplicate", "reference_stairs", "reference_steps_up"),
        ("stale", "user_old_thing"),
        ("expired", "decision_past"),
        ("dangling_link", "decision_orphan"),
        ("broken_chain", "decision_orphan"),
        ("index_orphan", "user_gone"),
        ("provenance_gap", "decision_lamp_oil"),
    }
    assert small == page["items"] and sum(page["counts"].values()) == len(small)
    assert page["notes"] == 11 and bad.startswith("invalid_argument:")
    assert {path: path.read_bytes() for path in folder.rglob("*.md")} == before


async def test_lint_sees_one_way_chains_and_notes_to_promote(vault: Path) -> None:
    async with memory(vault, role=Role.OPERATOR) as operator:
        await call(operator, "memory_write", **BELL, confidence="high", sources=["a letter"])
        note = vault / "ada/memory/decision_bell_rope.md"
        note.write_text(note.read_text("utf-8").replace("captured: 20", "captured: 19"), "utf-8")
        await call(operator, "memory_write", type="user", title="Gas", body="Gas.", supersedes="user_keeper")
        old = vault / "ada/memory/user_keeper.md"
        old.write_text(old.read_text("utf-8").replace("superseded_by: user_gas.md", "superseded_by: null"), "utf-8")
    async with memory(vault) as client:
        found = (await call(client, "memory_lint"))["items"]

    kinds = {(item["kind"], *item["names"]) for item in found}
    assert ("promote", "decision_bell_rope") in kinds
    assert ("broken_chain", "user_keeper", "user_gas") in kinds
