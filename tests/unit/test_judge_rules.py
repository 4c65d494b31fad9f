"""The judge's rules: classes, policies, scope, and that whatever fails blocks."""

from __future__ import annotations

import copy
import json
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy_core.budget.ledger import Ledger
from argosy_core.fleet import packaged
from argosy_core.policy.judges_md import merge_floor
from argosy_core.policy.mcp_md import McpFile
from argosy_core.policy.tools_md import ToolsFile
from argosy_core.serving.config import ServerConfig, open_store
from argosy_core.testing.fakes import FakeClock, SeededIds
from argosy_core.types import ActionClass, Verdict
from argosy_judge.cases import Case, Opinion, Situation
from argosy_judge.classes import classify, identify
from argosy_judge.ensemble import Ensemble
from argosy_judge.judge import Judge
from argosy_judge.models import Judgment
from argosy_judge.proposal import read_proposal
from argosy_judge.specialists import ClassRules
from argosy_judge.standing import Standing, StandingPolicies

FOREIGN = "## files\ncommand: uvx\nargs: file-server\n"
TOOLS = "# Tools\n\n## Write paths\n\n- `memory/`\n- `output/`\n\n## Read-only paths\n\n- `memory/locked/`\n"
WRITES = "\n## Tool classification\n\n- files__write: reversible_write\n"


WIPING = json.dumps(
    {
        "servers": [
            {
                "server": {},
                "_meta": {
                    "io.github.argosy/fleet": {
                        "name": "files",
                        "transport": "stdio",
                        "command": ["file-server"],
                        "tools": {"wipe": "high_risk"},
                    }
                },
            }
        ]
    }
)


class Desk:
    """A vault with the agent rook, and the judge over it."""

    def __init__(self, root: Path, specialists: tuple[Any, ...] = ()) -> None:
        self.root = root
        self.clock = clock = FakeClock()
        ids = SeededIds()
        self.store = open_store(root, clock=clock, ids=ids)
        self.judge = Judge(ServerConfig(self.store, agent="rook", clock=clock, ids=ids), specialists)
        self.policies = StandingPolicies(self.store.files, clock)
        self.write("rook/model.md", "# Model")

    def write(self, path: str, text: str | bytes) -> Desk:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(text if isinstance(text, bytes) else text.encode())
        return self

    def evaluate(self, tool: str, arguments: dict[str, Any] | None = None, **more: Any) -> Judgment:
        proposal = {"tool_name": tool, "tool_call_id": "c1", "tool_arguments": arguments or {}, **more}
        return self.judge.evaluate_now("rook", proposal)

    def standing(self) -> Standing:
        return self.policies.current("rook")

    def class_of(self, tool: str, server: str | None = None) -> tuple[str, str]:
        standing = self.standing()
        found = classify(identify(tool, server, standing), standing)
        return found.action_class.value, found.source


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    desk.store.close()


# Classes


def test_our_own_tools_have_the_class_they_declare(desk: Desk) -> None:
    assert desk.class_of("memory_write") == ("reversible_write", "registry")
    assert desk.class_of("memory_read", "memory") == ("read_only", "registry")


def test_a_tool_nobody_declares_has_an_external_side_effect(desk: Desk) -> None:
    assert desk.class_of("tidy_up") == ("external_side_effect", "default_unknown")
    assert desk.class_of("get_status", "weather") == ("external_side_effect", "default_unknown")


def test_a_name_of_ours_on_another_server_is_not_ours(desk: Desk) -> None:
    assert desk.class_of("memory_read", "weather") == ("external_side_effect", "default_unknown")
    assert desk.class_of("weather__memory_read") == ("external_side_effect", "default_unknown")
    assert desk.class_of("memory__memory_read") == ("external_side_effect", "default_unknown")
    assert desk.class_of("memory__memory_read", "memory") == ("external_side_effect", "default_unknown")
    assert desk.class_of("delete_all", "memory") == ("external_side_effect", "default_unknown")


def test_tools_md_raises_the_class_of_our_own_tools_and_cannot_lower_it(desk: Desk) -> None:
    desk.write("rook/tools.md", "## Tool classification\n\n- memory_read: high_risk\n- memory_write: read_only\n")
    assert desk.class_of("memory_read") == ("high_risk", "tools.md")
    assert desk.class_of("memory_write") == ("reversible_write", "registry")


def test_tools_md_sets_the_class_of_a_tool_nobody_declares(desk: Desk) -> None:
    desk.write("rook/tools.md", "## Tool classification\n\n- files__list: read_only\n- tidy_up: reversible_write\n")
    assert desk.class_of("files__list") == ("read_only", "tools.md")
    assert desk.class_of("list", "files") == ("read_only", "tools.md")
    assert desk.class_of("files__list", "files") == ("read_only", "tools.md")
    assert desk.class_of("tidy_up") == ("reversible_write", "tools.md")


def test_a_name_without_its_server_can_only_make_a_foreign_tool_stricter(desk: Desk) -> None:
    desk.write("rook/tools.md", "## Tool classification\n\n- list: read_only\n- send: high_risk\n")
    assert desk.class_of("files__list") == ("external_side_effect", "default_unknown")
    assert desk.class_of("files__send") == ("high_risk", "tools.md")


def test_mcp_md_gives_classes_by_tool_and_by_server_and_tools_md_goes_before_it(desk: Desk) -> None:
    overrides = "\n## tool overrides\n\nfiles__wipe: high_risk\npeek: read_only\n"
    desk.write("rook/mcp.md", f"{FOREIGN}default_action_class: reversible_write\n{overrides}")
    assert desk.class_of("files__wipe") == ("high_risk", "mcp.md")
    assert desk.class_of("peek", "files") == ("read_only", "mcp.md")
    assert desk.class_of("other", "files") == ("reversible_write", "mcp.md")
    assert desk.class_of("other", "mail") == ("external_side_effect", "default_unknown")
    desk.write("rook/tools.md", "## Tool classification\n\n- files__wipe: reversible_write\n")
    assert desk.class_of("files__wipe") == ("reversible_write", "tools.md")


def test_a_servers_name_in_mcp_md_takes_nothing_from_ours(desk: Desk) -> None:
    desk.write("rook/mcp.md", "## memory\ncommand: evil\ndefault_action_class: read_only\n")
    assert desk.class_of("memory_write") == ("reversible_write", "registry")
    assert desk.class_of("memory__memory_write") == ("read_only", "mcp.md")
    assert not identify("memory__memory_write", None, desk.standing()).own


def test_the_vaults_registry_declares_classes_of_its_own_servers(desk: Desk) -> None:
    desk.write("registry.json", WIPING)
    desk.write("rook/tools.md", "## Tool classification\n\n- files__wipe: read_only\n")
    assert desk.class_of("files__wipe") == ("high_risk", "registry")
    assert desk.class_of("wipe", "files") == ("high_risk", "registry")
    assert not identify("wipe", "files", desk.standing()).own


@given(
    name=st.sampled_from([tool for server in packaged().servers for tool in server.tools]),
    stated=st.sampled_from(list(ActionClass)),
)
def test_no_line_of_tools_md_makes_a_tool_of_ours_milder(name: str, stated: ActionClass) -> None:
    tools = ToolsFile(classification={name: stated})
    standing = Standing("rook", merge_floor(None, None), tools, McpFile(), packaged(), "v")
    declared = packaged().find(name)
    assert declared is not None
    found = classify(identify(name, None, standing), standing)
    assert found.action_class.rank == max(stated.rank, declared[1].rank)


# Class policy


@pytest.mark.parametrize(
    ("tool", "outcome", "action", "source"),
    [
        ("memory_read", "allow", "audit_bypass", "default"),
        ("memory_write", "allow", "allow_executed", "default"),
        ("tidy_up", "escalate", "escalate_pending", "default"),
        ("files__wipe", "escalate", "escalate_pending", "default"),
    ],
)
def test_without_any_policy_the_gate_is_on(desk: Desk, tool: str, outcome: str, action: str, source: str) -> None:
    desk.write("registry.json", WIPING)
    judgment = desk.evaluate(tool)
    assert (judgment.outcome, judgment.enforcement_action, judgment.class_policy_source) == (outcome, action, source)
    assert judgment.policy_version == "tools.md@absent+judges.md@absent"
    assert judgment.judge_id == "rules"


def policy(**classes: str) -> str:
    return "## Class policy\n\n" + "".join(f"- {name}: {value}\n" for name, value in classes.items())


def test_what_nobody_decides_is_put_to_a_person_with_the_way_to_allow_it(desk: Desk) -> None:
    reason = desk.evaluate("tidy_up").reason
    assert "none is configured that decides it" in reason
    assert "`external_side_effect: allow_with_audit` in rook/judges.md" in reason
    assert "rook/tools.md" in reason


def test_with_a_floor_the_reason_names_the_file_that_says_so(desk: Desk) -> None:
    desk.write("judges.md", policy(external_side_effect="judge_required"))
    judgment = desk.evaluate("tidy_up")
    assert judgment.class_policy_source == "project_floor"
    assert "(judge_required, judges.md)" in judgment.reason


def test_the_agents_own_file_may_be_stricter_than_the_floor(desk: Desk) -> None:
    desk.write("judges.md", policy(reversible_write="allow_with_audit"))
    desk.write("rook/judges.md", policy(reversible_write="escalate"))
    judgment = desk.evaluate("memory_write")
    assert (judgment.outcome, judgment.class_policy_source) == ("escalate", "judges.md")
    assert "rook/judges.md" in judgment.reason


def test_an_allowed_external_effect_runs_and_is_logged(desk: Desk) -> None:
    desk.write("rook/judges.md", policy(external_side_effect="allow_with_audit"))
    judgment = desk.evaluate("tidy_up")
    assert (judgment.outcome, judgment.enforcement_action) == ("allow", "allow_executed")


def test_a_bypass_of_more_than_reading_holds_when_the_file_says_so(desk: Desk) -> None:
    desk.write("judges.md", policy(external_side_effect="bypass"))
    judgment = desk.evaluate("tidy_up")
    assert (judgment.outcome, judgment.enforcement_action) == ("allow", "audit_bypass")


def test_a_judge_required_for_a_write_inside_scope_is_settled_by_the_rules(desk: Desk) -> None:
    desk.write("rook/judges.md", policy(reversible_write="judge_required", read_only="judge_required"))
    assert desk.evaluate("memory_write").outcome == "allow"
    assert desk.evaluate("memory_read").outcome == "allow"


def test_reading_is_judged_when_the_file_says_so(desk: Desk) -> None:
    desk.write("rook/judges.md", policy(read_only="escalate"))
    assert desk.evaluate("memory_read").outcome == "escalate"


def test_a_judge_that_is_asked_for_and_not_there_blocks(desk: Desk) -> None:
    desk.write("rook/judges.md", "```yaml\nbackend: llm\nmodel: some-model\n```\n")
    judgment = desk.evaluate("tidy_up")
    assert judgment.outcome == "block"
    assert "JudgeUnavailable: a model should judge, and nobody can ask a model here" in judgment.reason
    assert desk.evaluate("memory_write").outcome == "allow"


def test_what_a_missing_judge_becomes_is_the_owners_to_say(desk: Desk) -> None:
    desk.write("rook/judges.md", "```yaml\nbackend: llm\nfailure_policy:\n  JudgeUnavailable: escalate\n```\n")
    assert desk.evaluate("tidy_up").outcome == "escalate"


# Broken files


BROKEN: list[tuple[str, str | bytes, str]] = [
    ("judges.md", "## Class policy\n\n- reversible_write: allow_sometimes\n", "judges.md line 3"),
    ("judges.md", b"\xff\xfe", "judges.md line 1: not valid UTF-8"),
    ("judges.md", "## Clas policy\n\n- read_only: bypass\n", "judges.md line 1"),
    ("rook/judges.md", "```yaml\nclass_policy: [\n```\n", "rook/judges.md line 2"),
    ("rook/tools.md", "## Tool classification\n\n- memory_write: harmless\n", "rook/tools.md line 3"),
]


@pytest.mark.parametrize(("path", "text", "place"), BROKEN)
def test_a_broken_policy_blocks_what_is_above_reading_and_names_its_line(
    desk: Desk, path: str, text: str | bytes, place: str
) -> None:
    desk.write(path, text)
    for tool in ("memory_write", "tidy_up", "files__wipe"):
        judgment = desk.evaluate(tool)
        assert (judgment.outcome, judgment.enforcement_action) == ("block", "block_executed")
        assert judgment.reason.startswith("JudgePolicyInvalid: ")
        assert place in judgment.reason
    assert desk.evaluate("memory_read").outcome == "allow"


def test_an_agents_file_looser_than_the_floor_blocks(desk: Desk) -> None:
    desk.write("judges.md", policy(external_side_effect="escalate"))
    desk.write("rook/judges.md", policy(external_side_effect="bypass"))
    judgment = desk.evaluate("tidy_up")
    assert judgment.outcome == "block"
    assert "looser than the fleet's floor" in judgment.reason


@pytest.mark.parametrize("path", ["judges.md", "rook/judges.md", "rook/tools.md"])
def test_a_policy_file_that_is_a_link_blocks_and_is_not_taken_for_missing(desk: Desk, path: str) -> None:
    assert desk.evaluate("memory_write").outcome == "allow"
    (desk.root / path).symlink_to(desk.root / "rook/model.md")
    judgment = desk.evaluate("memory_write")
    assert judgment.outcome == "block"
    assert path in judgment.reason


@pytest.mark.parametrize(("path", "text"), [("rook/mcp.md", "## a b c d\n"), ("registry.json", "{")])
def test_a_broken_list_of_foreign_servers_stops_their_tools_and_no_others(desk: Desk, path: str, text: str) -> None:
    desk.write("rook/tools.md", TOOLS + WRITES).write(path, text)
    assert desk.evaluate("memory_write").outcome == "allow"
    judgment = desk.evaluate("files__write", {"path": "memory/a.md"})
    assert judgment.outcome == "block"
    assert path in judgment.reason


def test_an_edit_counts_at_once_also_when_the_size_stays(desk: Desk) -> None:
    desk.write("rook/judges.md", policy(reversible_write="judge_required"))
    assert desk.evaluate("memory_write").outcome == "allow"
    desk.write("rook/judges.md", policy(reversible_write="escalate") + "      ")
    assert desk.evaluate("memory_write").outcome == "escalate"


def test_settled_files_are_parsed_once_and_young_ones_every_time(desk: Desk) -> None:
    desk.write("rook/judges.md", policy(reversible_write="escalate"))
    path = desk.root / "rook/judges.md"
    os.utime(path, (1_000_000, 1_000_000))
    first = desk.standing()
    assert desk.standing() is first
    now = FakeClock().now().timestamp()
    os.utime(path, (now - 1, now - 1))
    second = desk.standing()
    assert second is not first
    assert desk.standing() is not second


def test_a_file_that_appears_or_goes_is_seen(desk: Desk) -> None:
    os.utime(desk.root / "rook/model.md", (1_000_000, 1_000_000))
    assert desk.evaluate("memory_write").outcome == "allow"
    desk.write("rook/judges.md", policy(reversible_write="escalate"))
    os.utime(desk.root / "rook/judges.md", (1_000_000, 1_000_000))
    assert desk.evaluate("memory_write").outcome == "escalate"
    (desk.root / "rook/judges.md").unlink()
    assert desk.evaluate("memory_write").outcome == "allow"


def test_the_policy_version_follows_every_byte_of_the_files(desk: Desk) -> None:
    versions = {desk.evaluate("memory_read").policy_version}
    for path in ("judges.md", "rook/judges.md", "rook/tools.md"):
        desk.write(path, "# Nothing yet\n")
        versions.add(desk.evaluate("memory_read").policy_version)
    assert len(versions) == 4


# Scope


@pytest.fixture
def scoped(desk: Desk) -> Desk:
    return desk.write("rook/tools.md", TOOLS + WRITES)


OUTSIDE = [
    "/etc/passwd",
    "../reef/memory/a.md",
    "memory/../../reef/a.md",
    "memory/../tools.md",
    "memory/locked/a.md",
    "memory/./locked/../locked/a.md",
    "persona/SOUL.md",
    "tools.md",
    "judges.md",
    "~/.ssh/authorized_keys",
    "~/agents/reef/memory/a.md",
    "~/agents/judges.md",
    "file:///etc/passwd",
    "C:\\Windows\\system.ini",
    "\\\\host\\share\\a",
    "//host/share",
    "..\\..\\reef\\a.md",
    "memory/%2e%2e/%2e%2e/reef/a.md",
    "memory/%252e%252e/%252e%252e/reef/a.md",
    "memory\u2215..\u2215..\u2215reef\u2215a.md",
    "memory/\uff0e\uff0e/\uff0e\uff0e/reef/a.md",
    "memory\uff0f..\uff0f..\uff0freef",
    "memory/a\0/../../x",
    "memory/.hidden",
    ".argosy/index.sqlite",
    ".",
    "..",
    "../rook-evil/a.md",
    "MEMORY/../../reef/x",
]
INSIDE = [
    "memory/a.md",
    "./memory/a.md",
    "memory/deep/er/a.md",
    "output/x",
    "~/agents/rook/memory/a.md",
    "memory/日本.md",
]


@pytest.mark.parametrize("path", OUTSIDE)
def test_a_foreign_tool_writes_nowhere_but_in_the_write_paths(scoped: Desk, path: str) -> None:
    judgment = scoped.evaluate("files__write", {"path": path})
    assert judgment.outcome == "block"
    assert "out of scope" in judgment.reason
    assert "'/path'" in judgment.reason


@pytest.mark.parametrize("path", INSIDE)
def test_a_foreign_tool_writes_in_the_write_paths(scoped: Desk, path: str) -> None:
    assert scoped.evaluate("files__write", {"path": path}).outcome == "allow"


def test_the_vaults_absolute_path_is_understood(scoped: Desk) -> None:
    root = scoped.root.resolve()
    assert scoped.evaluate("files__write", {"path": f"{root}/rook/memory/a.md"}).outcome == "allow"
    assert scoped.evaluate("files__write", {"path": f"{root}/reef/memory/a.md"}).outcome == "block"
    assert scoped.evaluate("files__write", {"path": f"{root}-evil/rook/memory/a.md"}).outcome == "block"


HIDDEN_PLACES: list[dict[str, Any]] = [
    {"filename": "/etc/passwd"},
    {"outputFile": "secrets.md"},
    {"q": "/etc/passwd"},
    {"": "/etc/passwd"},
    {"path": ["memory/a.md", "/etc/passwd"]},
    {"edits": [{"to": [{"deep": {"er": "../../reef/a.md"}}]}]},
    {"path": "memory/a.md", "options": {"backup_dir": "/tmp/x"}},
    {"path": {"value": "/etc/passwd"}},
    {"ｐath": "/etc/passwd"},
    {"a/b": {"c~d": "/etc/passwd"}},
    {"text": "memory/../../reef/a.md"},
    {"data": "%2fetc%2fpasswd"},
]


@pytest.mark.parametrize("arguments", HIDDEN_PLACES)
def test_a_place_is_found_under_any_key_at_any_depth(scoped: Desk, arguments: dict[str, Any]) -> None:
    assert scoped.evaluate("files__write", arguments).outcome == "block"


def test_scope_holds_whatever_the_class_policy_says(scoped: Desk) -> None:
    scoped.write("rook/judges.md", policy(reversible_write="bypass"))
    assert scoped.evaluate("files__write", {"path": "/etc/passwd"}).outcome == "block"
    scoped.write("rook/judges.md", policy(reversible_write="escalate"))
    assert scoped.evaluate("files__write", {"path": "/etc/passwd"}).outcome == "block"


def test_reading_is_not_confined_to_the_write_paths(scoped: Desk) -> None:
    scoped.write("rook/tools.md", TOOLS + "\n## Tool classification\n\n- files__read: read_only\n")
    assert scoped.evaluate("files__read", {"path": "/etc/passwd"}).outcome == "allow"


def test_without_write_paths_the_agents_own_folder_is_the_scope(desk: Desk) -> None:
    desk.write("rook/tools.md", WRITES)
    assert desk.evaluate("files__write", {"path": "drafts/a.md"}).outcome == "allow"
    assert desk.evaluate("files__write", {"path": "../reef/a.md"}).outcome == "block"


def test_a_write_path_outside_the_agents_folder_holds_unless_it_is_another_agents(desk: Desk) -> None:
    desk.write("reef/model.md", "# Model").write("shared_drafts/a.md", "x")
    paths = "## Write paths\n\n- `~/agents/shared_drafts/`\n- `~/agents/reef/`\n"
    desk.write("rook/tools.md", paths + WRITES)
    assert desk.evaluate("files__write", {"path": "~/agents/shared_drafts/b.md"}).outcome == "allow"
    judgment = desk.evaluate("files__write", {"path": "~/agents/reef/memory/b.md"})
    assert judgment.outcome == "block"
    assert "another agent's folder" in judgment.reason


def test_a_link_inside_the_write_paths_is_only_a_name_here(scoped: Desk) -> None:
    scoped.write("rook/memory/a.md", "x")
    (scoped.root / "rook/memory/link").symlink_to("/etc")
    assert scoped.evaluate("files__write", {"path": "memory/link"}).outcome == "allow"


def test_our_own_tools_may_mention_paths_in_their_texts(scoped: Desk) -> None:
    arguments = {"title": "../x", "body": "See /etc/passwd and ~/agents/reef/", "sources": ["/home/me/a.pdf"]}
    assert scoped.evaluate("memory_write", arguments).outcome == "allow"


@pytest.mark.parametrize("arguments", [{"path": "../reef/a.md"}, {"x": [{"file": "/etc/passwd"}]}, {"folder": "~/x"}])
def test_a_path_out_of_the_agents_folder_stops_our_own_tools_too(scoped: Desk, arguments: dict[str, Any]) -> None:
    assert scoped.evaluate("memory_write", arguments).outcome == "block"


def test_inside_its_folder_our_own_servers_confine_names_themselves(scoped: Desk) -> None:
    assert scoped.evaluate("memory_write", {"file": "SKILL.md", "path": "raw/a.md"}).outcome == "allow"


def test_a_long_argument_is_not_printed_back(scoped: Desk) -> None:
    judgment = scoped.evaluate("files__write", {"path": "/" + "x\u202e" * 2000})
    assert judgment.outcome == "block"
    assert len(judgment.reason) < 600
    assert judgment.reason.isascii()


def test_an_external_effect_out_of_scope_is_blocked_and_not_asked(scoped: Desk) -> None:
    assert scoped.evaluate("files__upload", {"path": "/etc/passwd"}).outcome == "block"
    assert scoped.evaluate("files__upload", {"url": "https://example.org/a"}).outcome == "escalate"


# Proposals


def test_a_proposal_that_cannot_be_judged_is_a_block_and_no_error(desk: Desk) -> None:
    judgment = desk.judge.evaluate_now("rook", {"tool_arguments": {}, "tool_call_id": "c1"})
    assert (judgment.outcome, judgment.enforcement_action) == ("block", "block_executed")
    assert judgment.reason == "JudgeProposalInvalid: tool_name is missing"
    assert judgment.arguments_hash == ""


def test_the_same_proposal_gets_the_same_judgment_and_is_left_as_it_was(scoped: Desk) -> None:
    proposal = {"tool_name": "files__write", "tool_call_id": "c", "tool_arguments": {"path": ["memory/a", {"b": 1.0}]}}
    before = copy.deepcopy(proposal)
    first, second = (scoped.judge.evaluate_now("rook", proposal) for _ in range(2))
    own = {"proposal_id", "latency_ms"}
    assert first.model_dump(exclude=own) == second.model_dump(exclude=own)
    assert first.proposal_id != second.proposal_id
    assert proposal == before


# Specialists


@dataclass(frozen=True, slots=True)
class Says:
    verdict: Verdict
    decides: bool = False
    name: str = "extra"

    def evaluate(self, case: Case) -> Opinion:
        return Opinion(self.verdict, f"{self.name} says {self.verdict}", self.decides)


SITUATION = Situation(datetime(2026, 11, 20, tzinfo=UTC), Ledger)


class Raises:
    name = "raises"

    def evaluate(self, case: Case) -> Opinion:
        raise RuntimeError("a secret of mine")


def case_of(desk: Desk, tool: str) -> Case:
    standing = desk.standing()
    known = identify(tool, None, standing)
    proposal = read_proposal({"tool_name": tool, "tool_call_id": "c", "tool_arguments": {}})
    return Case(proposal, known, classify(known, standing), standing, SITUATION)


@given(st.lists(st.sampled_from([Verdict.ALLOW, Verdict.ESCALATE, Verdict.BLOCK]), min_size=1, max_size=5))
def test_the_strictest_opinion_wins_whatever_the_order(verdicts: list[Verdict]) -> None:
    standing = Standing("rook", merge_floor(None, None), None, McpFile(), packaged(), "v")
    known = identify("memory_write", None, standing)
    proposal = read_proposal({"tool_name": "memory_write", "tool_call_id": "c", "tool_arguments": {}})
    case = Case(proposal, known, classify(known, standing), standing, SITUATION)
    decision = Ensemble([Says(verdict) for verdict in verdicts]).decide(case)
    assert decision.outcome is max(verdicts, key=lambda verdict: verdict.rank)


def test_the_first_block_ends_the_asking(desk: Desk) -> None:
    decision = Ensemble([Says(Verdict.BLOCK), Raises()]).decide(case_of(desk, "memory_write"))
    assert decision.reason == "extra says block"


def test_a_specialist_that_fails_blocks_and_its_text_stays_inside(desk: Desk) -> None:
    decision = Ensemble([ClassRules(), Raises()]).decide(case_of(desk, "memory_write"))
    assert (decision.outcome, decision.reason) == ("block", "JudgeUnavailable: raises failed (RuntimeError)")


def test_a_specialist_cannot_ask_to_revise_without_saying_what(desk: Desk) -> None:
    decision = Ensemble([Says(Verdict.REVISE)]).decide(case_of(desk, "memory_write"))
    assert decision.outcome == "block"
    assert "JudgePolicyInvalid" in decision.reason


def test_a_specialist_that_decides_settles_what_needs_a_judge(tmp_path: Path) -> None:
    desk = Desk(tmp_path, (Says(Verdict.ALLOW, decides=True),))
    assert desk.evaluate("tidy_up").outcome == "allow"
    desk.store.close()


def test_one_that_decides_nothing_settles_nothing(tmp_path: Path) -> None:
    desk = Desk(tmp_path, (Says(Verdict.ALLOW),))
    assert desk.evaluate("tidy_up").outcome == "escalate"
    desk.store.close()


def test_no_specialist_lets_through_what_the_policy_puts_to_a_person(tmp_path: Path) -> None:
    desk = Desk(tmp_path, (Says(Verdict.ALLOW, decides=True),))
    desk.write("registry.json", WIPING)
    assert desk.evaluate("files__wipe").outcome == "escalate"
    desk.store.close()


# Where it is judged


async def threads_of(desk: Desk, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> list[int]:
    """Which threads opened the hearing of one proposal."""
    seen: list[int] = []
    opening = desk.judge._open

    def noted(*arguments: Any) -> Any:
        seen.append(threading.get_ident())
        return opening(*arguments)

    monkeypatch.setattr(desk.judge, "_open", noted)
    proposal = {"tool_name": "journal_append", "tool_call_id": "c1", "tool_arguments": {"text": "Noon."}, **changes}
    assert (await desk.judge.evaluate("rook", proposal)).outcome
    monkeypatch.undo()
    return seen


async def settled(desk: Desk) -> Desk:
    """*desk* after its policy files were looked at once, and long enough after they were written."""
    desk.clock.advance(datetime.now(UTC).timestamp() - desk.clock.now().timestamp() + 10)
    await desk.judge.evaluate("rook", {"tool_name": "journal_list", "tool_call_id": "c0", "tool_arguments": {}})
    return desk


@pytest.mark.anyio
async def test_rules_over_files_that_stay_the_same_are_judged_where_the_call_came(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await settled(desk)
    assert await threads_of(desk, monkeypatch) == [threading.get_ident()]


@pytest.mark.anyio
async def test_a_changed_policy_counts_at_once_and_is_read_off_the_loop(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await settled(desk)
    desk.write("rook/judges.md", "## Class policy\n\n- reversible_write: escalate\n")
    assert (await threads_of(desk, monkeypatch))[-1] != threading.get_ident()
    proposal = {"tool_name": "journal_append", "tool_call_id": "c1", "tool_arguments": {"text": "Noon."}}
    assert (await desk.judge.evaluate("rook", proposal)).outcome == "escalate"


@pytest.mark.anyio
@pytest.mark.parametrize(
    "arguments",
    [{"text": "x" * 20_000}, {"tags": ["x"] * 200}, {"path": "rook/../other/notes.md"}],
    ids=["long text", "many values", "a place among other agents"],
)
async def test_what_takes_long_or_asks_a_disk_is_judged_off_the_loop(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, arguments: dict[str, Any]
) -> None:
    await settled(desk)
    desk.write("rook/tools.md", TOOLS) if "path" in arguments else None
    assert (await threads_of(desk, monkeypatch, tool_arguments=arguments))[-1] != threading.get_ident()


@pytest.mark.anyio
async def test_specialists_of_others_are_never_asked_on_the_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = await settled(Desk(tmp_path, (ClassRules(),)))
    assert threading.get_ident() not in await threads_of(desk, monkeypatch)
    desk.store.close()
