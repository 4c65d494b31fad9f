"""The grants of a vault: one document each, issued and revoked by a person, read by whoever judges or spends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from argosy_core.clock import rfc3339
from argosy_core.errors import AlreadyExists, Conflict, InvalidArgument, NotFound
from argosy_core.ids import new_id
from argosy_core.policy.errors import PolicyInvalid
from argosy_core.policy.grant_file import FOLDER, GrantFile, grant_path, parse_grant, render_grant
from argosy_core.policy.grant_form import grant_from_json
from argosy_core.serving.config import ServerConfig
from argosy_core.storage.base import ABSENT, Files
from argosy_core.views.agents import list_agents
from argosy_core.views.grants import GrantReader
from argosy_core.views.vault_reader import VaultReader

TRIES = 20
MAX_WHY_CHARS = 2_000


class GrantStore(GrantReader):
    """Reads and writes grants; reading blocks, the rest is awaited."""

    def __init__(self, config: ServerConfig, files: Files) -> None:
        super().__init__(files, config.clock)
        self._documents = config.store.documents
        self._chain = config.store.chain
        self._bell = config.store.bell
        self._ids = config.ids

    def listed(self, holder: str | None) -> tuple[list[GrantFile], list[PolicyInvalid]]:
        """All grants (of *holder*), by id, and the files that cannot be read as one. Blocks."""
        found: list[GrantFile] = []
        broken: list[PolicyInvalid] = []
        for info in self._files.files(FOLDER, ".md"):
            try:
                known = self.find(info.path.rpartition("/")[2].removesuffix(".md"))
            except PolicyInvalid as error:
                broken.append(error)
                continue
            except InvalidArgument as error:
                broken.append(PolicyInvalid(info.path, 1, error.message))
                continue
            if known is not None and holder in (None, known[0].holder):
                found.append(known[0])
        return found, broken

    # Writing

    def draft(
        self,
        holder: str,
        tools: Sequence[str],
        targets: Mapping[str, Any],
        limits: Mapping[str, Any],
        until: str,
        why: str,
    ) -> GrantFile:
        """A grant as asked for, checked. Blocks. Raises NotFound (the agent), InvalidArgument."""
        if holder not in list_agents(VaultReader(self._files)):
            raise NotFound(f"there is no agent {holder!r}", hint="agent_list shows the agents")
        why = " ".join(why.split())
        if not why or len(why) > MAX_WHY_CHARS:
            raise InvalidArgument(f"why is empty or longer than {MAX_WHY_CHARS} characters", hint="say why, in a line")
        if unknown := sorted(targets.keys() - {"paths", "hosts", "models", "max_class", "mode", "denied"}):
            raise InvalidArgument(
                f"targets has no {', '.join(unknown)}", hint="it has: paths, hosts, models, denied, max_class, mode"
            )
        now = self._clock.now()
        grant = grant_from_json({**targets, "tools": list(tools), "limits": limits, "until": until}, holder)
        if grant.has_ended(now):
            raise InvalidArgument("until lies in the past", hint="no grant is endless, and none begins over")
        return GrantFile(
            id=new_id("grant", self._clock, self._ids).lower(), holder=holder, grant=grant, by="operator",
            issued_at=rfc3339(now), why=why,
        )  # fmt: skip

    async def issue(self, file: GrantFile) -> GrantFile:
        """Write *file* and log it. Raises AlreadyExists."""
        path = grant_path(file.id)
        content = await self._documents.write(path, render_grant(file).encode(), expect=ABSENT)
        await self._log("grant.issue", file, content.version)
        return file

    async def revoke(self, grant: str) -> GrantFile:
        """End a grant; nothing happens when it is ended. Raises NotFound, PolicyInvalid, Conflict."""
        path = grant_path(grant)
        for _ in range(TRIES):
            content = await self._documents.read(path)
            file = parse_grant(content.data, path)
            if file.state == "revoked":
                return file
            revoked = replace(file, state="revoked", revoked_at=rfc3339(self._clock.now()))
            try:
                written = await self._documents.write(path, _revoked(content.data, revoked), expect=content.version)
            except (Conflict, AlreadyExists):
                continue
            await self._log("grant.revoke", revoked, written.version)
            return revoked
        raise Conflict("many writers are at this grant", hint="try again in a moment")

    async def _log(self, kind: str, file: GrantFile, version: str) -> None:
        event = {"kind": kind, "grant": file.id, "holder": file.holder, "path": grant_path(file.id), "version": version}
        await self._chain.append(file.holder, "judge", event)
        self._bell.ring(grant_path(file.id))


def _revoked(data: bytes, file: GrantFile) -> bytes:
    from argosy_core.frontmatter import edit  # what a person wrote below the head stays as it is

    fields = {"state": "revoked", "revoked_at": file.revoked_at}
    return edit(data.decode(), fields).encode()
