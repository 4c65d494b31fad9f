"""Where values come from that Argosy does not keep itself: the environment and the system's keyring."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal, Protocol, TypeVar

from argosy_core.secrets.secret import NAME_PATTERN, Secret

SourceName = Literal["environment", "keyring", "file"]
PREFIX = "ARGOSY_SECRET_"
SERVICE = "argosy"  # the name that entries of ours have in a keyring
KEYRING_SECONDS = 5.0  # a locked keyring asks somebody on a screen that may not be there
# What the fleet itself reads from the environment: listed and kept out of texts, though it is in nobody's audience.
USED_BY_THE_FLEET = frozenset({"ANTHROPIC_API_KEY", "OPENAI_API_KEY"})
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Entry:
    """A secret that a source has; *set_at* is RFC 3339, None where the source does not say."""

    name: str
    source: SourceName
    set_at: str | None = None


class Source(Protocol):
    """One place values come from. All methods block."""

    name: SourceName

    def get(self, name: str) -> Secret | None:
        """The value of *name*; None when it is not here. Raises what makes an existing one unreadable."""
        ...

    def entries(self, names: Collection[str]) -> list[Entry]:
        """What it has: everything, or those of *names* where it cannot list."""
        ...

    def problem(self) -> str | None:
        """Why it is passed over; None while it works."""
        ...


class EnvironmentSource:
    """``ARGOSY_SECRET_<NAME>``, then ``<NAME>`` for the names in *listed*; an empty variable is none."""

    name: SourceName = "environment"

    def __init__(self, environ: Mapping[str, str], listed: Collection[str]) -> None:
        self._environ = environ
        self._listed = frozenset(listed)

    def get(self, name: str) -> Secret | None:
        value = self._environ.get(PREFIX + name) or (self._environ.get(name) if name in self._listed else None)
        return Secret(value) if value else None

    def entries(self, names: Collection[str]) -> list[Entry]:
        import re

        pattern = re.compile(NAME_PATTERN)
        prefixed = {
            key.removeprefix(PREFIX) for key, value in self._environ.items() if key.startswith(PREFIX) and value
        }
        plain = {name for name in self._listed if self._environ.get(name)}
        return [Entry(name, self.name) for name in sorted(prefixed | plain) if pattern.fullmatch(name)]

    def problem(self) -> str | None:
        return None


class KeyringSource:
    """The system's keyring, entries of the service ``argosy``; passed over when it is not there or does not answer.

    It is read through the optional package ``keyring`` in a thread of its own: a locked keyring may wait for somebody
    for ever, and nothing here does.
    """

    name: SourceName = "keyring"

    def __init__(self, load: Callable[[], Any] | None = None, wait_seconds: float = KEYRING_SECONDS) -> None:
        self._load = load or _load_keyring
        self._wait_seconds = wait_seconds
        self._backend: Any = None
        self._problem: str | None = None
        self._guard = threading.Lock()

    def get(self, name: str) -> Secret | None:
        value = self._ask(lambda backend: backend.get_password(SERVICE, name))
        return Secret(value) if isinstance(value, str) and value else None

    def put(self, name: str, value: Secret) -> bool:
        """Keep *value*; False when the keyring is passed over."""
        done = self._ask(lambda backend: (backend.set_password(SERVICE, name, value.reveal()), True)[1])
        return done is True

    def remove(self, name: str) -> bool:
        """Remove *name*; False when it was not there."""
        if self.get(name) is None:
            return False
        return self._ask(lambda backend: (backend.delete_password(SERVICE, name), True)[1]) is True

    def entries(self, names: Collection[str]) -> list[Entry]:
        return [Entry(name, self.name) for name in sorted(names) if self.get(name) is not None]

    def problem(self) -> str | None:
        with self._guard:
            return self._ready()

    def _ask(self, question: Callable[[Any], _T]) -> _T | None:
        with self._guard:
            if self._ready() is not None:
                return None
            answered, answer = self._bounded(lambda: question(self._backend))
            return answer if answered else None

    def _ready(self) -> str | None:
        if self._backend is None and self._problem is None:
            answered, backend = self._bounded(self._load)
            if answered:
                self._backend, self._problem = backend, _unsuited(backend)
        return self._problem

    def _bounded(self, work: Callable[[], _T]) -> tuple[bool, _T | None]:
        """(whether it answered, the answer); what fails or takes too long turns the keyring off for this process."""
        answers: list[_T] = []
        errors: list[str] = []

        def run() -> None:
            try:
                answers.append(work())
            except ImportError:
                errors.append("the package keyring is not installed")
            except Exception as exc:  # backends raise what they like; its text may hold anything
                errors.append(f"it failed: {type(exc).__name__}")

        thread = threading.Thread(target=run, name="argosy-keyring", daemon=True)
        thread.start()
        thread.join(self._wait_seconds)
        if answers:
            return True, answers[0]
        self._problem = errors[0] if errors else f"it did not answer within {self._wait_seconds:g} seconds"
        return False, None


def _load_keyring() -> Any:
    return import_module("keyring").get_keyring()


def _unsuited(backend: Any) -> str | None:
    module = type(backend).__module__
    if module.startswith(("keyring.backends.fail", "keyring.backends.null")):
        return "this system has no keyring"
    if module.startswith("keyrings.alt"):
        return "its backend keeps values in plain files"
    return None


def environment() -> Mapping[str, str]:
    """The variables of this process, as they are at each look."""
    return os.environ
