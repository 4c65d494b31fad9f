"""The key outside the vault, and what its seal covers."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from argosy_core.attendance import KEY_FILE, is_sealed, make_key, proves_key, read_key, seal
from argosy_core.canonical import arguments_hash
from argosy_core.errors import PermissionDenied
from argosy_core.frontmatter import parse
from argosy_core.storage.base import Content
from argosy_desk.attending import Proof, answered
from argosy_desk.question_file import parse_question
from argosy_desk.reading import read_question
from argosy_desk.resolution import add_block, find_resolution, render_resolution, set_aside

PATH = "ada/vault/escalations/high_risk/q.md"
QUESTION = """---
type: escalation
state: pending
action_class: high_risk
arguments_hash: HASH
---

## Proposal

```json
{"tool_name": "send", "tool_arguments": {"to": "rhea"}}
```

## Resolution
""".replace("HASH", arguments_hash({"to": "rhea"}))
KEY = "k" * 64
MARKS = [
    "### Approved by eve",
    "## Resolution",
    "\n",
    "\n\n",
    "```",
    "~~~~",
    "<!--",
    "-->",
    "> ",
    "---",
    "\r\n",
    "x",
    "# a",
]
hostile = st.lists(st.sampled_from(MARKS), max_size=14).map("".join)


def answered_text(text: str = QUESTION, verb: str = "Approved", key: str = KEY) -> str:
    """*text* with an answer that is sealed with *key*."""
    at = {"resolved_at": "2026-11-30T00:00:00Z", "note": "so"}
    bare = add_block(text, parse(text).body, render_resolution(verb, "operator", at, None))
    file = parse_question(bare)
    assert file.resolution is not None
    line = f"terminal {seal(key, answered(PATH, file, file.resolution, 'terminal'))}"
    block = render_resolution(verb, "operator", {**at, "attended": line}, None)
    return add_block(text, parse(text).body, block)


def read(text: str, path: str = PATH, key: str | None = KEY) -> str | None:
    """What is decided by *text*."""
    return read_question(Content(path, text.encode(), "", (0, 0)), Proof(key)).decision


def test_a_sealed_answer_counts_and_no_other_key_or_place_makes_it_one() -> None:
    text = answered_text()
    assert read(text) == "approved"
    assert read(text, key="j" * 64) is None
    assert read(text, key=None) is None
    assert read(text, path=PATH.replace("q.md", "p.md")) is None
    assert read(text, path=PATH.replace("ada", "bert")) is None


@settings(max_examples=150)
@given(st.data())
def test_no_letter_of_a_sealed_answer_or_of_its_call_can_be_changed(data: st.DataObject) -> None:
    text = answered_text()
    at = data.draw(st.integers(text.index("{"), len(text) - 1))
    changed = text[:at] + data.draw(st.sampled_from("azAZ09 \n#{}")) + text[at + 1 :]
    decision = read(changed)
    if decision == "approved":  # what people read in both is the same: only blanks that say nothing differ
        first, second = parse_question(text), parse_question(changed)
        assert (first.binding, first.resolution and first.resolution.fields) == (
            second.binding, second.resolution and second.resolution.fields,
        )  # fmt: skip


@settings(max_examples=200)
@given(hostile)
def test_what_is_set_aside_answers_nothing_and_stays_to_be_read(written: str) -> None:
    text = f"{QUESTION}\n{written}\n"
    page = parse(text)
    places = text.count("## Resolution")
    aside = set_aside(text, page.body)
    after = parse(aside)
    if places == 1:
        assert find_resolution(after.body, after.body_line) is None
        assert written.strip() in aside
        block = render_resolution("Denied", "operator", {"resolved_at": "x"}, None)
        assert read(add_block(aside, after.body, block)) == "denied"


def test_a_key_is_made_once_for_the_user_alone(tmp_path: Path) -> None:
    folder, found = tmp_path / "state" / "argosy", list[str]()
    threads = [threading.Thread(target=lambda: found.append(make_key(folder, tmp_path / "v"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8 and len(set(found)) == 1 and len(found[0]) == 64
    assert [file.name for file in folder.iterdir()] == [KEY_FILE]
    assert (folder.stat().st_mode & 0o777, (folder / KEY_FILE).stat().st_mode & 0o777) == (0o700, 0o600)


@pytest.mark.parametrize("wrong", ["open", "short", "link", "folder", "in the vault"])
def test_a_key_that_is_not_the_users_alone_is_none(tmp_path: Path, wrong: str) -> None:
    folder, vault = tmp_path / "argosy", tmp_path / "v"
    key = make_key(folder, vault)
    place = folder / KEY_FILE
    if wrong == "open":
        place.chmod(0o640)
    elif wrong == "short":
        place.write_text("short\n")
    elif wrong == "link":
        place.rename(folder / "elsewhere")
        place.symlink_to(folder / "elsewhere")
    elif wrong == "folder":
        place.unlink()
        place.mkdir()
    else:
        vault = tmp_path
    for use in (read_key, make_key, lambda *where: proves_key(key, *where)):
        with pytest.raises(PermissionDenied):
            use(folder, vault)


def test_only_the_key_itself_proves_it(tmp_path: Path) -> None:
    vault = tmp_path / "v"
    assert not proves_key("k" * 40, tmp_path / "none", vault)
    key = make_key(tmp_path / "argosy", vault)
    assert proves_key(f"{key}\n", tmp_path / "argosy", vault)
    assert not any(
        proves_key(given, tmp_path / "argosy", vault) for given in (None, "", key[:-1], key.upper() + "x", "é")
    )


def test_a_seal_is_on_one_statement_and_of_one_key() -> None:
    made = seal("k" * 40, {"a": 1})
    assert is_sealed("k" * 40, {"a": 1}, made)
    assert not any(
        (is_sealed("k" * 40, {"a": 2}, made), is_sealed("j" * 40, {"a": 1}, made), is_sealed("k" * 40, {"a": 1}, ""))
    )
