"""From a model's name to a provider, and from a provider to an open model."""

from __future__ import annotations

import threading
from collections.abc import Callable
from importlib import import_module
from typing import Any

from argosy_core.errors import ArgosyError
from argosy_core.policy.model_md import ModelFile
from argosy_core.policy.model_names import ANTHROPIC, OPENAI, PROVIDERS, split_model
from argosy_host.providers.base import Model
from argosy_host.providers.keys import has_anthropic, has_openai

OFFLINE = "offline"
DEFAULT_CLAUDE = "claude-sonnet-5"


def choose_model(wanted: str | None, file: ModelFile, ruled: str | None = None) -> tuple[str, str]:
    """(model name, provider): what the fleet's policy has *ruled*, whether it can be reached or not, else what was
    asked for, else the agent's own where it can be reached, else the built-in."""
    wanted = ruled or wanted
    if wanted:
        return named_model(wanted, file.provider if wanted == file.default_model else None)
    default = file.default_model
    if default is not None and default != OFFLINE:
        name, provider = named_model(default, file.provider)
        if has_openai() if provider == OPENAI else has_anthropic() and name.startswith("claude"):
            return name, provider
    return (DEFAULT_CLAUDE, ANTHROPIC) if has_anthropic() else (OFFLINE, OFFLINE)


def named_model(name: str, stated: str | None = None) -> tuple[str, str]:
    """(name, provider) of the model *name*; a provider before a slash, or *stated* in a file, says whose it is.

    Of the rest, Anthropic has what begins with ``claude``; what does not is asked of an OpenAI-compatible API, and of
    Anthropic only where that can be reached and no other.
    """
    if name == OFFLINE:
        return OFFLINE, OFFLINE
    provider, own = split_model(name)
    if provider is not None:
        return own, provider
    if stated in PROVIDERS:
        return name, stated
    is_others = not name.startswith("claude") and (has_openai() or not has_anthropic())
    return name, OPENAI if is_others else ANTHROPIC


def preload(provider: str) -> None:
    """Import the provider's SDK in a thread, while there are other things to do."""
    if provider == OFFLINE:
        return
    module: Any = import_module(f"argosy_host.providers.{provider}")
    threading.Thread(target=_quietly(module.preload), name="argosy-preload", daemon=True).start()


def _quietly(load: Callable[[], None]) -> Callable[[], None]:
    def run() -> None:
        try:
            load()
        except ArgosyError:
            return  # opening the model raises it again, where somebody listens

    return run


def open_model(provider: str) -> Model:
    """The model of *provider*. Raises Unavailable (its package is not installed), Unauthenticated (no key)."""
    if provider == ANTHROPIC:
        from argosy_host.providers.anthropic import AnthropicModel

        return AnthropicModel()
    if provider == OPENAI:
        from argosy_host.providers.openai import OpenAIModel

        return OpenAIModel()
    from argosy_host.providers.offline import OfflineModel

    return OfflineModel()
