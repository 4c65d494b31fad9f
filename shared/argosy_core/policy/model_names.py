"""Names of models as files and callers write them: with or without the provider before a slash."""

from __future__ import annotations

ANTHROPIC, OPENAI = "anthropic", "openai"
PROVIDERS = (ANTHROPIC, OPENAI)


def split_model(name: str) -> tuple[str | None, str]:
    """The provider that *name* states, if it does, and the model's own name."""
    head, slash, rest = name.partition("/")
    return (head, rest) if slash and rest and head in PROVIDERS else (None, name)


def is_same_model(left: str, right: str) -> bool:
    """Whether both name one model; a provider that only one of them states makes no other of it."""
    (one, name), (other, named) = split_model(left), split_model(right)
    return name == named and (one == other or None in (one, other))
