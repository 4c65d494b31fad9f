"""Which providers this process can reach, by its environment. Nothing heavy is imported here."""

from __future__ import annotations

import os

ANTHROPIC_KEY, OPENAI_KEY, OPENAI_URL = "ANTHROPIC_API_KEY", "OPENAI_API_KEY", "OPENAI_BASE_URL"


def has_anthropic() -> bool:
    """Whether there is a key for Anthropic's API."""
    return bool(os.environ.get(ANTHROPIC_KEY))


def has_openai() -> bool:
    """Whether there is a key for OpenAI's API, or an address of another that speaks like it."""
    return bool(os.environ.get(OPENAI_KEY) or os.environ.get(OPENAI_URL))


def reachable() -> list[str]:
    """What decides which model answers: no key's value, but the address."""
    found = [name for name in (ANTHROPIC_KEY, OPENAI_KEY) if os.environ.get(name)]
    return [*found, *([os.environ[OPENAI_URL]] if os.environ.get(OPENAI_URL) else [])]
