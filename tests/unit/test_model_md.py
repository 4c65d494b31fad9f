from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy_core.policy.model_md import CostGuardrails, ModelFile, parse_model

PROSE = """# MODEL — Alder

## Default model

**`large-model-4-20260101`**

Chosen for its patience with hedges.

## Fallback

`small-model-4`, when the large one is out.

## Token budget

| Limit | Value |
|---|---|
| Max system prompt | 16,000 tokens |
| Max output per turn | 2,500 tokens |

## Cost guardrails

```yaml
cost_guardrails:
  enabled: true
  daily_cap_usd: 5.00        # a guess
  monthly_cap_usd: 100
  daily_cap_action: fallback
  monthly_cap_action: alert
  warning_thresholds: [0.5, 0.9]
  alert_channel: journal
```

```yaml
research_integrity:
  enabled: true
```

## Notes

- **Temperature**: 0.3 for pruning plans, 0.6 for letters.
"""


def test_the_prose_of_the_older_samples_is_read() -> None:
    assert parse_model(PROSE) == ModelFile(
        default_model="large-model-4-20260101",
        fallback_model="small-model-4",
        max_input_tokens=16_000,
        max_output_tokens=2_500,
        temperature=0.3,
        cost_guardrails=CostGuardrails(True, 5.0, 100, "fallback", "alert", (0.5, 0.9), "journal"),
    )


@pytest.mark.parametrize(
    "text",
    [
        "```yaml\ndefault_model: m-1\nprovider: anthropic\nmax_output_tokens: 900\ntemperature: 0\n```\n",
        "---\ndefault_model: m-1\nprovider: anthropic\nmax_output_tokens: 900\ntemperature: 0\n---\n# Model\n",
        "# Model\n\ndefault_model: m-1\n- provider: `anthropic`\n- **max_output_tokens**: 900\n- temperature: 0\n",
        "## Default model\n\nm-1\n\n- provider: anthropic (direct)\n- Max output tokens: 900\n- temperature: 0.0\n",
    ],
)
def test_settings_are_read_however_they_are_written(text: str) -> None:
    model = parse_model(text)

    assert (model.default_model, model.provider, model.max_output_tokens, model.temperature) == (
        "m-1",
        "anthropic",
        900,
        0,
    )
    assert model.problems == ()


def test_an_empty_file_is_all_defaults() -> None:
    model = parse_model("")

    assert model == ModelFile()
    assert (model.max_input_tokens, model.max_output_tokens, model.temperature) == (12_000, 4_000, 0.6)
    assert model.cost_guardrails.enabled is False


@pytest.mark.parametrize(
    ("text", "line", "severity", "said"),
    [
        ("- max_output_tokens: plenty", 1, "warning", "max_output_tokens must be a whole number"),
        ("```yaml\ntemperature: 9\n```", 2, "warning", "a number from 0 to 2"),
        ("a: b\n```yaml\ndefault_model: a: b\n```", 3, "warning", "must stand in quotes"),
        ("```yaml\ndefault_model: a\n```\n```yaml\ndefault_model: b\n```", 5, "warning", "a second time"),
        ("```yaml\ncost_guardrails:\n  enabled: maybe\n```", 3, "error", "enabled must be true or false"),
        ("```yaml\ncost_guardrails:\n  daily_cap_usd: five\n```", 3, "error", "daily_cap_usd must be a number"),
        ("```yaml\ncost_guardrails:\n  daily_cap_usd: -5\n```", 3, "error", "daily_cap_usd must be a number"),
        ("```yaml\ncost_guardrails:\n  daily_cap: 5\n```", 3, "error", "unknown key 'daily_cap'"),
        ("```yaml\ncost_guardrails:\n  daily_cap_action: stop\n```", 3, "error", "daily_cap_action must be one of"),
        ("```yaml\ncost_guardrails:\n  warning_thresholds: [50]\n```", 3, "error", "warning_thresholds must be"),
        ("```yaml\ncost_guardrails:\n  alert_channel: pigeon\n```", 3, "error", "alert_channel must be one of"),
        ("```yaml\ncost_guardrails: 5\n```", 2, "error", "cost_guardrails must be a map"),
        ("```yaml\ncost_guardrails:\n  enabled: true\n   daily_cap_usd: 5\n```", 4, "error", ""),
        ("```yaml\ncost_guardrails:\n  enabled: true\n", 1, "error", "never closed"),
        ("---\ndefault_model: a\n\nNo end.", 1, "warning", "no closing ---"),
    ],
)
def test_what_cannot_be_read_is_listed_with_its_line(text: str, line: int, severity: str, said: str) -> None:
    model = parse_model(text)
    problem = model.problems[0]

    assert (problem.line, problem.severity) == (line, severity)
    assert said in problem.message
    assert bool(model.errors) == (severity == "error")


@given(st.text() | st.lists(st.sampled_from(PROSE.splitlines()), max_size=14).map("\n".join))
def test_any_text_is_read(text: str) -> None:
    model = parse_model(text)

    assert model.max_input_tokens > 0
    assert 0 <= model.temperature <= 2
    assert all(problem.line >= 1 for problem in model.problems)
