"""Where a vault is kept. Nothing heavy is imported here: a relayed start looks at it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field

FILES = "files"
# A URL may hold a password, and a command line is for everybody on the machine to read.
VARIABLES = {"store": "ARGOSY_STORE", "bell": "ARGOSY_BELL", "leases": "ARGOSY_LEASES"}


@dataclass(frozen=True, slots=True)
class Address:
    """*store* is ``files`` or the URL of a database; *bell* and *leases* are URLs where those are elsewhere.

    URLs may hold passwords, so only `shown` and `key` may be printed or kept.
    """

    store: str = field(default=FILES, repr=False)
    bell: str | None = field(default=None, repr=False)
    leases: str | None = field(default=None, repr=False)

    @property
    def kind(self) -> str:
        """The substrate: files, sqlite, postgresql."""
        return self.store.partition(":")[0]

    @property
    def shown(self) -> str:
        """The store without what stands before its host."""
        scheme, separator, rest = self.store.partition("://")
        return f"{scheme}{separator}{rest.rpartition('@')[2]}" if separator else self.store

    @property
    def key(self) -> str:
        """Tells one address from another and nothing else."""
        whole = "\0".join((self.store, self.bell or "", self.leases or ""))
        return hashlib.sha256(whole.encode("utf-8", "surrogatepass")).hexdigest()[:16]

    def as_environment(self) -> dict[str, str]:
        """The variables by which a child of this process opens the same."""
        found = {"store": self.store, "bell": self.bell, "leases": self.leases}
        return {VARIABLES[name]: value for name, value in found.items() if value is not None}


def from_environment(given: Mapping[str, str | None], environ: Mapping[str, str] = os.environ) -> Address | None:
    """The address of what was *given*, else of the environment's variables; None when neither names a store.

    A bell or leases alone go with files.
    """
    found = {name: given.get(name) or environ.get(variable) for name, variable in VARIABLES.items()}
    if not any(found.values()):
        return None
    return Address(found["store"] or FILES, found["bell"], found["leases"])
