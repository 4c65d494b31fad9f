"""All sources as one: who has a name first gives its value. What is handed out is known to the redactor before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from anyio import to_thread

from argosy_core.clock import Clock, SystemClock
from argosy_core.errors import ArgosyError, Blocked, InvalidArgument, NotFound
from argosy_core.ids import Ids, SystemIds
from argosy_core.secrets.audience import Audience, Audiences, read_audiences
from argosy_core.secrets.keys import AskPassphrase, Keys, ScryptCost, passphrase_from
from argosy_core.secrets.redaction import PROCESS, Redactor
from argosy_core.secrets.sealed_file import SealedFile
from argosy_core.secrets.secret import Secret, check_name, check_value
from argosy_core.secrets.sources import (
    USED_BY_THE_FLEET,
    Entry,
    EnvironmentSource,
    KeyringSource,
    Source,
    SourceName,
    environment,
)
from argosy_core.views.fleet import FILE
from argosy_core.views.reader import MappingReader, Reader


@dataclass(frozen=True, slots=True)
class Listed:
    """A name: *source* is who gives its value (None: nobody has it), *also_in* who has it too and is not asked."""

    name: str
    source: SourceName | None
    set_at: str | None
    audience: Audience | None
    also_in: tuple[SourceName, ...] = ()


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where secrets are looked for; the defaults are those of this process and user."""

    environ: Mapping[str, str] | None = None
    keyring: KeyringSource | None = None
    ask_passphrase: AskPassphrase | None = None
    cost: ScryptCost | None = None
    redactor: Redactor | None = None


class SecretStore:
    """The secrets of this user, and the audiences of one vault.

    Methods that are not async block: call them off the event loop. Only `set`, `rotate` and `remove` change anything,
    in the keyring's and the file's part of it; the environment is whoever's who started the process.
    """

    def __init__(self, reader: Reader, folder: Path, surroundings: Surroundings, clock: Clock, ids: Ids) -> None:
        environ = environment() if surroundings.environ is None else surroundings.environ
        self._environ = environ
        ask = surroundings.ask_passphrase or self._passphrase_of_the_environment
        self._reader = reader
        self._parsed: tuple[bytes | None, Audiences] | None = None  # fleet.md as it was last, and what it said
        self._keyring = surroundings.keyring or KeyringSource()
        self._cost = surroundings.cost
        self._file = SealedFile(folder, Keys(self._keyring, ask, surroundings.cost), clock, ids)
        self.redactor = surroundings.redactor or PROCESS

    def _passphrase_of_the_environment(self, new: bool) -> Secret | None:
        return passphrase_from(self._environ)

    def audiences(self) -> Audiences:
        """Who may receive what, as ``fleet.md`` says now."""
        data = self._reader.read(FILE)
        known = self._parsed
        if known is None or known[0] != data:
            known = self._parsed = (data, read_audiences(data))
        return known[1]

    async def resolve(self, name: str) -> Secret:
        """The value of *name*, known to the redactor from then on. Raises NotFound, Unauthenticated, Blocked."""
        return await to_thread.run_sync(self.get, name)

    def get(self, name: str) -> Secret:
        """As `resolve`."""
        check_name(name)
        for source in self._sources():
            found = source.get(name)
            if found is not None:
                return self._handed_out(name, found)
        skipped = "; ".join(self.skipped().values())
        raise NotFound(
            f"there is no secret {name}" + (f" (passed over: {skipped})" if skipped else ""),
            hint=f"its owner sets it: mcp-host secret set {name}",
        )

    def _handed_out(self, name: str, value: Secret) -> Secret:
        try:
            self.redactor.learn(name, value)
        except ArgosyError as exc:
            raise Blocked(f"{name} is not handed out: {exc.message}", hint="set a longer value") from None
        return value

    def learn_environment(self) -> None:
        """Let the redactor know what lies in the environment, handed out or not: programs print their environment."""
        source = self._environment_source()
        for entry in source.entries(()):
            value = source.get(entry.name)
            if value is not None:
                try:
                    self.redactor.learn(entry.name, value)
                except InvalidArgument:
                    continue  # too short for a secret

    def listing(self) -> list[Listed]:
        """Every name that is known, sorted: those with a value, and those that ``fleet.md`` lists without one."""
        audiences = self.audiences()
        found: dict[str, list[Entry]] = {name: [] for name in audiences.listed}
        for source in self._sources(audiences):
            for entry in source.entries(audiences.listed):
                found.setdefault(entry.name, []).append(entry)
        return [_listed(name, found[name], audiences.by_name.get(name)) for name in sorted(found)]

    def look(self, name: str) -> Listed:
        """One name. Raises NotFound when nobody knows it."""
        check_name(name)
        audiences = self.audiences()
        entries = [e for source in self._sources(audiences) for e in source.entries((name,)) if e.name == name]
        if not entries and name not in audiences.listed:
            raise NotFound(f"there is no secret {name}", hint=f"its owner sets it: mcp-host secret set {name}")
        return _listed(name, entries, audiences.by_name.get(name))

    def skipped(self) -> dict[str, str]:
        """The sources that are passed over, each with the reason."""
        problems = ((source.name, source.problem()) for source in self._sources())
        return {name: f"{name}: {problem}" for name, problem in problems if problem is not None}

    # Changing

    def set(self, name: str, value: str) -> Entry:
        """Keep *value* in the encrypted file, in place of what was there. Raises InvalidArgument, Unauthenticated."""
        secret = check_value(check_name(name), value)
        self.redactor.learn(name, secret)
        return self._file.put(name, secret)

    def rotate(self, name: str, value: str) -> Entry:
        """Put a new value in place of the one in the file. Raises NotFound, InvalidArgument when it is the same."""
        secret = check_value(check_name(name), value)
        old = self._file.get(name)
        if old is None:
            raise NotFound(f"{name} is not in the encrypted file", hint=f"mcp-host secret set {name}")
        if old == secret:
            raise InvalidArgument("this is the value it has already", hint="give a new one")
        self.redactor.learn(name, old)  # it may still come back from somewhere
        return self.set(name, value)

    def remove(self, name: str) -> list[SourceName]:
        """Remove *name* from the keyring and the file; returns where it was. Raises NotFound, Blocked (environment)."""
        check_name(name)
        gone: list[SourceName] = [source.name for source in (self._keyring, self._file) if source.remove(name)]
        if gone:
            return gone
        if self._environment_source().get(name) is not None:
            raise Blocked(f"{name} is in the environment", hint="unset the variable where the program is started")
        raise NotFound(f"there is no secret {name}", hint="mcp-host secret list shows them")

    def rekey(self, ask: AskPassphrase) -> int:
        """Encrypt the file anew under a new key: of the passphrase that *ask* gives, else of the keyring."""
        return self._file.rekey(Keys(self._keyring, ask, self._cost))

    # Sources

    def _sources(self, audiences: Audiences | None = None) -> Sequence[Source]:
        return (self._environment_source(audiences), self._keyring, self._file)

    def _environment_source(self, audiences: Audiences | None = None) -> EnvironmentSource:
        listed = (audiences or self.audiences()).listed
        return EnvironmentSource(self._environ, {*listed, *USED_BY_THE_FLEET})


def open_secrets(
    reader: Reader | None = None,
    folder: Path | None = None,
    surroundings: Surroundings | None = None,
    *,
    clock: Clock | None = None,
    ids: Ids | None = None,
) -> SecretStore:
    """This user's secrets, with the audiences of the vault behind *reader* (None: of no vault). Opens nothing yet."""
    surroundings = surroundings or Surroundings()
    environ = environment() if surroundings.environ is None else surroundings.environ
    return SecretStore(
        MappingReader({}) if reader is None else reader,
        folder or config_folder(environ),
        surroundings,
        clock or SystemClock(),
        ids or SystemIds(),
    )


def config_folder(environ: Mapping[str, str]) -> Path:
    """``$XDG_CONFIG_HOME/argosy``, else ``~/.config/argosy``."""
    base = Path(environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser()
    return (base if base.is_absolute() else Path("~/.config").expanduser()) / "argosy"


def _listed(name: str, entries: Sequence[Entry], audience: Audience | None) -> Listed:
    if not entries:
        return Listed(name, None, None, audience)
    first, *rest = entries
    return Listed(name, first.source, first.set_at, audience, tuple(entry.source for entry in rest))


__all__ = ["Listed", "SecretStore", "Surroundings", "config_folder", "open_secrets"]
