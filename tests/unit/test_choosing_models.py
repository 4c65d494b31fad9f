"""Which provider a model's name means."""

from __future__ import annotations

import pytest

from argosy_core.policy.model_md import ModelFile
from argosy_host.providers.choosing import choose_model, named_model

VARIABLES = ("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "OPENAI_BASE_URL")


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("present", "default", "stated", "expected"),
    [
        ((), "claude-x", None, ("offline", "offline")),
        ((), "gpt-x", None, ("offline", "offline")),
        (("ANTHROPIC_API_KEY",), "claude-x", None, ("claude-x", "anthropic")),
        (("ANTHROPIC_API_KEY",), "gpt-x", None, ("claude-sonnet-5", "anthropic")),
        (("ANTHROPIC_API_KEY",), None, None, ("claude-sonnet-5", "anthropic")),
        (("OPENAI_API_KEY",), "gpt-x", None, ("gpt-x", "openai")),
        (("OPENAI_BASE_URL",), "llama-9", None, ("llama-9", "openai")),
        (("OPENAI_BASE_URL",), "claude-x", "openai", ("claude-x", "openai")),
        (("OPENAI_BASE_URL",), "claude-x", None, ("offline", "offline")),
        (("OPENAI_BASE_URL",), "offline", None, ("offline", "offline")),
        (VARIABLES, "openai/claude-x", None, ("claude-x", "openai")),
        (VARIABLES, "claude-x", None, ("claude-x", "anthropic")),
    ],
)
def test_an_agent_gets_its_own_model_where_it_can_be_reached(
    monkeypatch: pytest.MonkeyPatch,
    present: tuple[str, ...],
    default: str | None,
    stated: str | None,
    expected: tuple[str, str],
) -> None:
    for name in present:
        monkeypatch.setenv(name, "x")
    assert choose_model(None, ModelFile(default_model=default, provider=stated)) == expected


def test_a_name_that_is_asked_for_says_whose_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    assert named_model("offline") == ("offline", "offline")
    assert named_model("llama-9") == ("llama-9", "openai")  # whose error says which key to set
    monkeypatch.setenv("ANTHROPIC_API_KEY", "x")
    assert named_model("llama-9") == ("llama-9", "anthropic")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")
    assert named_model("llama-9") == ("llama-9", "openai")
    assert named_model("meta/llama-9") == ("meta/llama-9", "openai")
    assert named_model("anthropic/llama-9") == ("llama-9", "anthropic")
    assert named_model("openai/") == ("openai/", "openai")
    assert choose_model("claude-x", ModelFile()) == ("claude-x", "anthropic")
