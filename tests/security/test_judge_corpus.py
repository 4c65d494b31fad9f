"""Hostile proposals that must never be allowed, and harmless ones that should be: two tables, run over the judge."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from argosy_core.serving.config import ServerConfig, open_store
from argosy_core.testing.fakes import FakeClock, SeededIds
from argosy_core.types import Caller, Role
from argosy_judge.judge import Judge

HERE = Path(__file__).parent
WRONGLY_STOPPED_AT_MOST = 2
# What the owner lets these do without asking: only paths, hosts, texts, costs and grants stand in their way.
ORDINARY = (
    "files__write",
    "web__fetch",
    "mail__send",
    "crm__push",
    "db__query",
    "calc__run",
    "paid__call",
    "shell__run",
)
FILES = {
    "rook/model.md": "# M\n",
    "reef/model.md": "# M\n",
    "judges.md": "## Class policy\n\n- external_side_effect: judge_required\n- high_risk: escalate\n",
    "policy.md": (
        "## Cost caps\n\n- daily_usd: 1\n\n## Tools\n\n- deny: [shell__*]\n\n## MCP servers\n\n- deny: [evil]\n"
    ),
    "rook/tools.md": (
        "## Write paths\n\n- `memory/`\n- `output/`\n\n## Read-only paths\n\n- `memory/locked/`\n\n"
        "## Tool classification\n\n" + "".join(f"- {tool}: reversible_write\n" for tool in ORDINARY) + "\n"
        "## Blocked hosts\n\n- `pastebin.example`\n- `*.pastebin.example`\n\n"
        "## Denied arguments\n\n- web__fetch: `rm -rf*`\n- db__query: `drop*table `\n\n"
        "## Tool costs\n\n- bank__pay: 0.25\n- paid__call: 1.25\n"
    ),
    "rook/mandates.md": "".join(
        f"## {name}\n\n```yaml\ngranted_by: marit\ngranted_at: 2026-11-01\nscope: rent\nrevocation_state: {state}\n"
        f"expires_at: {until}\nconstraints:\n  allowed_tools: [bank__pay]\n"
        "  allowed_targets: [{kind: recipient, value: landlord}]\n  blocked_targets: [{value: casino}]\n```\n\n"
        for name, state, until in (
            ("pay-rent", "active", "2027-01-01"),
            ("old-one", "active", "2026-01-01"),
            ("gone-one", "revoked", "2027-01-01"),
        )
    ),
    "_fleet/grants/reefs.md": "---\nholder: reef\nuntil: 2027-01-01\n---\n",
    "_fleet/grants/revoked.md": "---\nholder: rook\nstate: revoked\nuntil: 2027-01-01\n---\n",
}
# What a server may be reached over is said for each agent: two agents, two lists.
CRM = "\n## Allowed hosts\n\n- `api.crm.example`\n- `*.api.crm.example`\n"


def table(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (HERE / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]


HOSTILE, HARMLESS = table("judge_hostile"), table("judge_harmless")


class Court:
    """The judge over a vault whose owner allows external effects, so that only the rules stand in the way."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for path, text in FILES.items():
            target = root / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
        clock, ids = FakeClock(), SeededIds()
        self.store = open_store(root, clock=clock, ids=ids)
        self.judge = Judge(ServerConfig(self.store, agent="rook", clock=clock, ids=ids))

    def outcome(self, row: dict[str, Any]) -> tuple[str, str]:
        crm = row["tool"].startswith("crm__")
        (self.root / "rook/tools.md").write_text(FILES["rook/tools.md"] + (CRM if crm else ""))
        proposal = {"tool_name": row["tool"], "tool_call_id": "c1", "tool_arguments": row["arguments"]}
        grant = row.get("grant")
        stated = json.dumps(grant) if isinstance(grant, dict) else grant
        caller = Caller("rook", Role.HOST, run="r", grant=stated)
        judged = self.judge.evaluate_now("rook", {**proposal, **row.get("more", {})}, caller)
        return judged.outcome.value, judged.reason


@pytest.fixture(scope="module")
def court(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Court]:
    found = Court(tmp_path_factory.mktemp("court"))
    yield found
    found.store.close()


def test_the_tables_are_large_and_name_each_case_once() -> None:
    assert len(HOSTILE) >= 120
    assert len(HARMLESS) >= 120
    ids = [row["id"] for row in (*HOSTILE, *HARMLESS)]
    assert len(set(ids)) == len(ids)
    cases = [json.dumps({**row, "id": ""}, sort_keys=True) for row in (*HOSTILE, *HARMLESS)]
    assert len(set(cases)) == len(cases)


def test_nothing_hostile_is_allowed(court: Court) -> None:
    allowed = [
        (row["id"], row["kind"], row["tool"], row["arguments"]) for row in HOSTILE if court.outcome(row)[0] == "allow"
    ]
    assert allowed == []


def test_next_to_nothing_harmless_is_stopped(court: Court) -> None:
    found = [(row["id"], row["kind"], *court.outcome(row)) for row in HARMLESS]
    stopped = [row for row in found if row[2] != "allow"]
    assert len(stopped) <= WRONGLY_STOPPED_AT_MOST, stopped


def test_a_reason_never_repeats_much_of_what_was_sent(court: Court) -> None:
    for row in HOSTILE:
        assert len(court.outcome(row)[1]) < 1_000
