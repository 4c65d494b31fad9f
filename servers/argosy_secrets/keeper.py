"""The secrets as the tools see them: names and changes for all, values for the host, every change an event."""

from __future__ import annotations

from typing import Any, Literal

from anyio import to_thread

from argosy_core.errors import ArgosyError, PermissionDenied
from argosy_core.secrets.secret import Secret
from argosy_core.secrets.secret_store import SecretStore
from argosy_core.serving.config import ServerConfig
from argosy_core.serving.results import DoctorFinding, clamp_limit, decode_cursor, encode_cursor
from argosy_core.types import Caller, Role
from argosy_core.views.fleet import FILE
from argosy_secrets.models import Kept, Removed, SecretCheck, SecretPage, check_of, entry_of, kept_of

FLEET = "_fleet"
SERVER = "secrets"
Change = Literal["set", "rotate"]


class Keeper:
    """One object serves every caller; the values stay in the store behind it."""

    def __init__(self, config: ServerConfig, store: SecretStore) -> None:
        self._chain = config.store.chain
        self._store = store

    async def page(self, limit: int, cursor: str | None) -> SecretPage:
        """Names in order, from the one after *cursor*."""
        after = "" if cursor is None else str(decode_cursor(cursor, 1)[0])
        names = [listed for listed in await to_thread.run_sync(self._store.listing) if listed.name > after]
        limit = clamp_limit(limit)
        following = encode_cursor(names[limit - 1].name) if len(names) > limit else None
        return SecretPage(items=[entry_of(listed) for listed in names[:limit]], next_cursor=following)

    async def check(self, name: str) -> SecretCheck:
        """Whether *name* could be used. Raises NotFound when nobody knows it."""

        def look() -> SecretCheck:
            listed = self._store.look(name)
            return check_of(listed, self._problem(name) or ("it has no audience" if not listed.audience else None))

        return await to_thread.run_sync(look)

    def _problem(self, name: str) -> str | None:
        try:
            self._store.get(name)
        except ArgosyError as error:
            return str(error)
        return None

    async def resolve(self, caller: Caller, name: str) -> Secret:
        """The value. Raises PermissionDenied without a run token: no flag and no role stands for the host."""
        if caller.role is not Role.HOST or caller.source != "run_token":
            raise PermissionDenied("values are for the host of a run", hint="write {{secret:NAME}} in an argument")
        return await self._store.resolve(name)

    async def change(self, verb: Change, name: str, value: str, run: str | None) -> Kept:
        """Keep *value*; then the event. Raises NotFound (nothing to rotate), InvalidArgument, Unauthenticated."""
        entry = await to_thread.run_sync(getattr(self._store, verb), name, value)
        await self._log(f"secrets.{verb}", name, run, source=entry.source)
        return kept_of(entry)

    async def remove(self, name: str, run: str | None) -> Removed:
        """Remove *name*. Raises NotFound, Blocked (it is in the environment)."""
        gone = await to_thread.run_sync(self._store.remove, name)
        await self._log("secrets.remove", name, run, source=gone[0])
        return Removed(name=name, removed_from=gone)

    async def known(self, name: str) -> None:
        """Raise NotFound when nobody knows *name*, InvalidArgument when it is no name."""
        await to_thread.run_sync(self._store.look, name)

    async def _log(self, kind: str, name: str, run: str | None, **fields: Any) -> None:
        event = {"kind": kind, "name": name, **fields}
        await self._chain.append(FLEET, SERVER, event if run is None else {**event, "run_id": run})

    # What the server base asks

    async def counts(self, agent: str | None) -> dict[str, int]:
        found = await to_thread.run_sync(self._store.listing)
        return {"secrets": sum(listed.source is not None for listed in found)}

    async def doctor(self, agent: str | None) -> list[DoctorFinding]:
        return await to_thread.run_sync(self._findings)

    def _findings(self) -> list[DoctorFinding]:
        found = [
            DoctorFinding(
                status="fail", check="audience", message=p.message, file=FILE, line=p.line, fix=p.fix or "mend the file"
            )
            for p in self._store.audiences().problems
        ]
        try:
            found += [
                DoctorFinding(
                    status="warn",
                    check="secret_missing",
                    message=f"{FILE} lists {listed.name}, which nobody has",
                    file=FILE,
                    fix=f"mcp-host secret set {listed.name}",
                )
                for listed in self._store.listing()
                if listed.source is None
            ]
        except ArgosyError as error:
            found.append(DoctorFinding(status="fail", check="secrets", message=error.message, fix=error.hint))
        skipped = "; ".join(self._store.skipped().values())
        note = f"passed over: {skipped}" if skipped else "every source answers"
        return [*found, DoctorFinding(status="pass", check="sources", message=note)]

    def uris_of(self, path: str) -> list[str]:
        return ["secrets://status"] if path == FILE else []
