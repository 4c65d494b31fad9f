"""The grants of a vault: one document each, issued and revoked by a person, read by whoever judges or spends."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from argosy_core.clock import rfc3339
from argosy_core.errors import AlreadyExists, Conflict, InvalidArgument, NotFound, PermissionDenied
from argosy_core.ids import new_id
from argosy_core.policy.errors import PolicyInvalid
from argosy_core.policy.grant_file import FOLDER, GrantFile, grant_path, parse_grant, render_grant
from argosy_core.policy.grant_form import grant_from_json
from argosy_core.policy.grants import UNLIMITED, Grant
from argosy_core.serving.config import ServerConfig
from argosy_core.storage.base import ABSENT, Files
from argosy_core.views.agents import list_agents
from argosy_core.views.vault_reader import VaultReader

TRIES = 20
MAX_WHY_CHARS = 2_000
MAX_KEPT = 500


class GrantStore:
    """Reads and writes grants; reading blocks, the rest is awaited."""

    def __init__(self, config: ServerConfig, files: Files) -> None:
        self._files = files
        self._documents = config.store.documents
        self._chain = config.store.chain
        self._bell = config.store.bell
        self._clock = config.clock
        self._ids = config.ids
        self._kept: dict[str, tuple[tuple[int, int], GrantFile, str]] = {}

    # Reading

    def find(self, grant: str) -> tuple[GrantFile, str] | None:
        """The grant of this id and its file's version; None when there is none. Raises PolicyInvalid. Blocks."""
        path = grant_path(grant)
        info = self._files.info(path)
        if info is None:
            return None
        kept = self._kept.get(path)
        if kept is not None and kept[0] == info.stamp and self._has_settled(info.stamp):
            return kept[1], kept[2]
        try:
            content = self._files.read(path)
        except NotFound:
            return None
        found = parse_grant(content.data, path)
        if len(self._kept) >= MAX_KEPT:
            self._kept.clear()
        self._kept[path] = content.stamp, found, content.version
        return found, content.version

    def _has_settled(self, stamp: tuple[int, int]) -> bool:
        # A file changed twice within one tick of its clock may keep its stamp.
        return stamp[0] < (self._clock.now().timestamp() - 2) * 1e9

    def of_run(self, reference: str | None, agent: str) -> Grant:
        """What a run token's grant allows: an id, or the grant itself as JSON, which the host signed. Blocks.

        Raises NotFound, PermissionDenied (revoked, ended, somebody else's), PolicyInvalid, InvalidArgument.
        """
        if reference is None:
            return UNLIMITED
        if reference.startswith("{"):
            return _inline(reference, agent)  # cached: a run's every call carries the same
        found = self.find(reference)
        if found is None:
            raise NotFound(f"there is no grant {reference!r}", hint="grant_list shows the grants")
        file = found[0]
        if file.holder != agent:
            raise PermissionDenied(f"{reference} is the grant of another agent")
        if not file.counts_at(self._clock.now()):
            raise PermissionDenied(f"{reference} is {'revoked' if file.state == 'revoked' else 'over'}")
        return file.grant

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


@functools.lru_cache(maxsize=256)
def _inline(reference: str, agent: str) -> Grant:
    try:
        given: object = json.loads(reference)
    except (ValueError, RecursionError) as exc:
        raise InvalidArgument("the run token's grant is no JSON") from exc
    if not isinstance(given, dict):
        raise InvalidArgument("the run token's grant is no object")
    return grant_from_json(cast("dict[str, Any]", given), agent)
