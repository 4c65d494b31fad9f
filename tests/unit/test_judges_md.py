from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy_core.policy.judges_md import PolicyInvalid, merge_floor, parse_judges, policy_version
from argosy_core.policy.judges_model import AGGREGATIONS, JudgesFile
from argosy_core.types import ActionClass, ClassPolicy, Verdict

FENCED = """# How Alder is judged

Mail that leaves the house is always seen. Note: the rest is watched.

```yaml
backend: llm
model: small-judge-1
timeout_ms: 4000
budget: {daily_usd: 1.5, monthly_usd: 20}
class_policy:
  read_only: allow_with_audit
  reversible_write: judge_required
specialist_composition:
  privacy: rules
  security: llm
  aggregation: any_block_blocks
escalation:
  destination: vault/escalations/
  operator_notification: desk
  auto_decide_after_seconds: 86400
  fallback_on_timeout: {default: block, reversible_write: allow}
  resolution_poll_cycle_seconds: 30
failure_policy:
  high_risk: {JudgeUnavailable: escalate}
judge_captures: true
read_audit_mode: yes
validation: strict
mandates:
  suspicious_rebind_throttle_s: 90
  unextractable_target_action: escalate
  reservation_ttl_s: 30
  cap_breach_action_class_default: {high_risk: escalate}
  high_risk_lock_timeout_s: 10
  no_expiry_warning: false
```
"""

BARE = """# How Alder is judged

Mail that leaves the house is always seen. Note: the rest is watched.

## Default judge

- backend: `llm` — it reads prose
- model: small-judge-1
- timeout_ms: 4000
- budget:
  - daily_usd: 1.5
  - monthly_usd: 20

## Class policy (strict)

What follows holds for all tools.

- **read_only**: allow_with_audit
reversible_write: judge_required

## Specialist composition

- privacy: rules
- security: llm
- aggregation: any_block_blocks

## Escalation queue

- destination: vault/escalations/
- operator_notification: desk
- auto_decide_after_seconds: 86400
- fallback_on_timeout:
    default: block
    reversible_write: allow
- resolution_poll_cycle_seconds: 30

## Failure policy

- high_risk:
  - JudgeUnavailable: escalate

## Audit

- judge_captures: true
- read_audit_mode: yes
- validation: strict

## Mandates

- suspicious_rebind_throttle_s: 90
- unextractable_target_action: escalate
- reservation_ttl_s: 30
- cap_breach_action_class_default: {high_risk: escalate}
- high_risk_lock_timeout_s: 10
- no_expiry_warning: false
"""


def without_places(judges: JudgesFile) -> JudgesFile:
    return replace(judges, lines={}, where="")


def test_both_layouts_say_the_same() -> None:
    judges = parse_judges(FENCED)

    assert without_places(parse_judges(BARE)) == without_places(judges)
    assert judges.class_policy == {
        ActionClass.READ_ONLY: ClassPolicy.ALLOW_WITH_AUDIT,
        ActionClass.REVERSIBLE_WRITE: ClassPolicy.JUDGE_REQUIRED,
    }
    assert judges.escalation.on_timeout(ActionClass.REVERSIBLE_WRITE) == "allow"
    assert judges.escalation.on_timeout(ActionClass.HIGH_RISK) == "block"
    assert judges.failure_policy.outcome("JudgeUnavailable", ActionClass.HIGH_RISK) is Verdict.ESCALATE
    assert judges.failure_policy.outcome("JudgeUnavailable", ActionClass.READ_ONLY) is Verdict.BLOCK
    assert judges.mandates.cap_breach_action_class_default == {ActionClass.HIGH_RISK: Verdict.ESCALATE}
    assert judges.aggregation == ("any_block_blocks",)


def test_every_setting_knows_its_line() -> None:
    for text in (FENCED, BARE):
        lines = text.splitlines()
        judges = parse_judges(text)
        for key, line in judges.lines.items():
            assert "." not in key or key.rpartition(".")[2] in lines[line - 1]
        assert "reversible_write" in lines[judges.line("class_policy.reversible_write") - 1]
        assert "JudgeUnavailable" in lines[judges.line("high_risk.JudgeUnavailable") - 1]


def test_an_empty_file_is_all_defaults() -> None:
    judges = parse_judges(b"")

    assert judges == JudgesFile()
    assert (judges.backend, judges.timeout_ms, judges.validation) == ("rules", 5000, "weakened")
    assert judges.aggregation == AGGREGATIONS
    assert judges.escalation.fallback_on_timeout == {"default": "block"}


def test_byte_order_mark_windows_line_ends_and_a_head_are_read() -> None:
    text = "\ufeff---\r\nagent: alder\r\n---\r\n\r\n## Class policy\r\n\r\n- high_risk: escalate\r\n"
    judges = parse_judges(text.encode())

    assert judges.class_policy == {ActionClass.HIGH_RISK: ClassPolicy.ESCALATE}
    assert judges.line("class_policy.high_risk") == 7


def test_names_may_be_spelled_as_words() -> None:
    judges = parse_judges("## Class policy\n\nHigh risk: escalate\n- Read-only: bypass\n")

    assert set(judges.class_policy) == {ActionClass.HIGH_RISK, ActionClass.READ_ONLY}


def test_a_setting_in_a_comment_is_not_in_force() -> None:
    assert parse_judges("## Class policy\n\n<!--\n- read_only: escalate\n-->\n").class_policy == {}


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("## Clas policy\n- high_risk: escalate", 1, "unknown heading 'Clas policy'"),
        ("## Class policy\n### Why\n", 2, "unknown heading 'Why'"),
        ("## Class policy\n- reversible_wrte: bypass", 2, "unknown key 'reversible_wrte'"),
        ("## Class policy\nreversible_wrte: bypass", 2, "unknown key 'reversible_wrte'"),
        ("## Class policy\n- high_risk: sometimes", 2, "high_risk must be one of"),
        ("## Class policy\n- high_risk:", 2, "not None"),
        ("## Class policy\n- high_risk escalate", 2, "must be `- key: value`"),
        ("## Class policy\nhigh_risk escalate", 2, "sets nothing"),
        ("## Class policy\n-high_risk: escalate", 2, "sets nothing"),
        ("## Class policy\n| high_risk | escalate |", 2, "a table is not read"),
        ("## Class policy\n- high_risk: escalate\n- high_risk: bypass", 3, "a second time (first on line 2)"),
        ("## Class policy\n- high_risk: escalate\n  - more: x", 3, "nothing may stand below"),
        ("# high_risk: escalate", 1, "reads as a setting"),
        ("# backend: llm", 1, "reads as a setting"),
        ("```yaml\nbackend: [\n```", 2, "never closed"),
        ("```yaml\nbackend: rules\n", 1, "never closed"),
        ("```yml\n- a\n```", 2, "not `key: value`"),
        ("```yxml\nclass_policy:\n  high_risk: escalate\n```", 1, "not read"),
        ("```yaml\nclass_policy:\n  high_risk: !x escalate\n```", 3, "tags"),
        ("```yaml\nclass_policy: escalate\n```", 2, "class_policy must be a map"),
        ("```yaml\nextra: 1\n```", 2, "unknown key 'extra'"),
        ("<!--\n## Class policy", 1, "never closed"),
        ("---\nbackend: a: b\n---\n", 2, "must stand in quotes"),
        ("---\nbackend: rules\n\nBody", 1, "no closing ---"),
        ("## Default judge\n- backend: dice", 2, "backend must be one of"),
        ("## Default judge\n- timeout_ms: soon", 2, "a whole number above 0"),
        ("## Default judge\n- timeout_ms: 0", 2, "a whole number above 0"),
        ("## Default judge\n- timeout_ms: true", 2, "a whole number above 0"),
        ("## Default judge\n- model: [a]", 2, "model must be a text"),
        ("## Default judge\n- budget: {daily_usd: -1}", 2, "not negative"),
        ("## Default judge\n- budget: {weekly_usd: 1}", 2, "unknown key 'weekly_usd'"),
        ("## Default judge\n- validation: paranoid", 2, "reserved"),
        ("## Specialist composition\n- luck: rules", 2, "unknown key 'luck'"),
        ("## Specialist composition\n- aggregation: coin", 2, "aggregation must be one of"),
        ("## Escalation queue\n- destination: ../elsewhere", 2, "a folder inside"),
        ("## Escalation queue\n- fallback_on_timeout: {high_risk: block}", 2, "needs a default"),
        ("## Escalation queue\n- fallback_on_timeout: {default: escalate}", 2, "default must be one of"),
        ("## Escalation queue\n- fallback_on_timeout: {default: block, low_risk: allow}", 2, "unknown key 'low_risk'"),
        ("## Failure policy\n- JudgeGone: block", 2, "unknown key 'JudgeGone'"),
        ("## Failure policy\n- JudgeUnavailable: shrug", 2, "JudgeUnavailable must be one of"),
        ("## Failure policy\n- JudgeUnavailable: revise", 2, "JudgeUnavailable must be one of"),
        ("## Failure policy\n- JudgeUnavailable: block\n- high_risk: {JudgeUnavailable: block}", 2, "not both"),
        ("## Audit\n- read_audit_mode: maybe", 2, "true or false"),
        ("## Mandates\n- unextractable_target_action: allow", 2, "must be one of"),
        ("## Mandates\n- lucky: 1", 2, "unknown key 'lucky'"),
    ],
)
def test_what_is_not_understood_is_refused_with_its_line(text: str, line: int, said: str) -> None:
    with pytest.raises(PolicyInvalid) as caught:
        parse_judges(text, "alder/judges.md")

    assert said in caught.value.message
    assert caught.value.message.startswith(f"alder/judges.md line {line}: ")
    assert (caught.value.detail["file"], caught.value.detail["line"]) == ("alder/judges.md", line)
    assert caught.value.code == "corrupted"


def test_bytes_that_are_no_utf8_are_refused_with_their_line() -> None:
    with pytest.raises(PolicyInvalid, match="line 3: not valid UTF-8"):
        parse_judges(b"# a\n\n\xff\n")


def test_the_error_names_what_was_probably_meant() -> None:
    with pytest.raises(PolicyInvalid) as caught:
        parse_judges("## Class policy\n- hihg_risk: escalate")

    assert caught.value.hint == "did you mean 'high_risk'?"


SHORT = """# Judges

## Class policy

- read_only: allow_with_audit
reversible_write: judge_required
- high_risk: escalate

## Audit

- validation: strict
"""


@pytest.mark.parametrize("slip", ["", "x", " ", "\n", ">", "`", "|", "="])
def test_no_slip_of_one_character_changes_a_policy_silently(slip: str) -> None:
    meant = without_places(parse_judges(SHORT))
    for place in range(len(SHORT)):
        for text in (SHORT[:place] + slip + SHORT[place + 1 :], SHORT[:place] + slip + SHORT[place:]):
            try:
                read = parse_judges(text)
            except PolicyInvalid:
                continue
            assert without_places(read) == meant, text


@given(st.text() | st.lists(st.sampled_from([*BARE.splitlines(), *FENCED.splitlines()]), max_size=12).map("\n".join))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        judges = parse_judges(text)
    except PolicyInvalid as refused:
        assert refused.line >= 1
    else:
        assert set(judges.class_policy) <= set(ActionClass)


# The floor


def policy(**classes: str) -> str:
    return "## Class policy\n" + "".join(f"- {name}: {value}\n" for name, value in classes.items())


def test_without_files_the_defaults_hold() -> None:
    resolved = merge_floor(None, None)

    assert resolved.class_policy == {
        ActionClass.READ_ONLY: ClassPolicy.BYPASS,
        ActionClass.REVERSIBLE_WRITE: ClassPolicy.ALLOW_WITH_AUDIT,
        ActionClass.EXTERNAL_SIDE_EFFECT: ClassPolicy.JUDGE_REQUIRED,
        ActionClass.HIGH_RISK: ClassPolicy.ESCALATE,
    }
    assert set(resolved.source.values()) == {"default"}
    assert not resolved.declared


def test_each_class_knows_where_its_policy_came_from() -> None:
    floor = parse_judges(policy(reversible_write="judge_required", external_side_effect="escalate"))
    agent = parse_judges(policy(reversible_write="escalate"), "alder/judges.md")
    resolved = merge_floor(floor, agent)

    assert resolved.class_policy[ActionClass.REVERSIBLE_WRITE] is ClassPolicy.ESCALATE
    assert resolved.class_policy[ActionClass.EXTERNAL_SIDE_EFFECT] is ClassPolicy.ESCALATE
    assert resolved.source == {
        ActionClass.READ_ONLY: "default",
        ActionClass.REVERSIBLE_WRITE: "judges.md",
        ActionClass.EXTERNAL_SIDE_EFFECT: "project_floor",
        ActionClass.HIGH_RISK: "default",
    }
    assert resolved.settings.class_policy == resolved.class_policy


def test_a_default_is_no_floor() -> None:
    agent = parse_judges(policy(high_risk="judge_required"))

    assert merge_floor(parse_judges(""), agent).class_policy[ActionClass.HIGH_RISK] is ClassPolicy.JUDGE_REQUIRED


@pytest.mark.parametrize(
    ("floor", "agent", "said"),
    [
        (policy(high_risk="escalate"), policy(read_only="bypass", high_risk="judge_required"), "line 3: high_risk"),
        ("## Audit\n- validation: strict", "## Audit\n\n- validation: weakened", "line 3: validation"),
        (
            "## Failure policy\n- JudgeUnavailable: escalate",
            "## Failure policy\n- JudgeUnavailable: allow",
            "line 2: JudgeUnavailable",
        ),
        (
            "## Failure policy\n- JudgeUnavailable: block",
            "## Failure policy\n- high_risk:\n  - JudgeUnavailable: escalate",
            "line 3: JudgeUnavailable",
        ),
    ],
)
def test_an_agent_looser_than_the_floor_is_refused(floor: str, agent: str, said: str) -> None:
    with pytest.raises(PolicyInvalid) as caught:
        merge_floor(parse_judges(floor), parse_judges(agent, "alder/judges.md"))

    assert caught.value.message.startswith(f"alder/judges.md {said}: ")
    assert "looser than the fleet's floor" in caught.value.message


@given(
    st.dictionaries(st.sampled_from(list(ActionClass)), st.sampled_from(list(ClassPolicy))),
    st.dictionaries(st.sampled_from(list(ActionClass)), st.sampled_from(list(ClassPolicy))),
)
def test_the_result_is_never_looser_than_the_floor(
    floor: dict[ActionClass, ClassPolicy], agent: dict[ActionClass, ClassPolicy]
) -> None:
    looser = [c for c in floor.keys() & agent.keys() if agent[c].rank < floor[c].rank]
    files = parse_judges(policy(**floor)), parse_judges(policy(**agent))
    if looser:
        with pytest.raises(PolicyInvalid):
            merge_floor(*files)
        return
    resolved = merge_floor(*files)

    assert all(resolved.class_policy[c].rank >= floor[c].rank for c in floor)
    assert all(resolved.class_policy[c] is agent[c] for c in agent)


def test_other_settings_are_the_agents_where_it_sets_them() -> None:
    floor = parse_judges(
        "## Default judge\n- backend: llm\n- timeout_ms: 1000\n- budget: {daily_usd: 2, monthly_usd: 9}"
    )
    agent = parse_judges("## Default judge\n- timeout_ms: 2000\n- budget: {daily_usd: 5}", "alder/judges.md")
    settings = merge_floor(floor, agent).settings

    assert (settings.backend, settings.timeout_ms) == ("llm", 2000)
    assert (settings.budget.daily_usd, settings.budget.monthly_usd) == (2, 9)
    assert settings.where == "alder/judges.md"


def test_the_version_follows_every_byte_of_the_files() -> None:
    assert policy_version(None, None) == "tools.md@absent+judges.md@absent"
    one = policy_version(b"a", b"b")

    assert one.startswith(
        "tools.md@sha256:ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb+judges.md@sha256:"
    )
    assert len({one, policy_version(b"a", b"b "), policy_version(b"a", b"b", b""), policy_version(b"a", None)}) == 4
    assert "+floor@sha256:" in policy_version(None, None, b"x")
