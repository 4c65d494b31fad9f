"""The grants of a vault as whoever judges or spends reads them."""

from __future__ import annotations

import functools
import json
from typing import Any, cast

from argosy_core.clock import Clock
from argosy_core.errors import InvalidArgument, NotFound, PermissionDenied
from argosy_core.policy.grant_file import GrantFile, grant_path, parse_grant
from argosy_core.policy.grant_form import grant_from_json
from argosy_core.policy.grants import UNLIMITED, Grant
from argosy_core.storage.base import Files

MAX_KEPT = 500
_RENEW = "have a new one issued"
_AGAIN = "ask for the work again"


class GrantReader:
    """Reads grants. Every call blocks."""

    def __init__(self, files: Files, clock: Clock) -> None:
        self._files = files
        self._clock = clock
        self._kept: dict[str, tuple[tuple[int, int], GrantFile, str]] = {}

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
        """What the grant allows that a run token or an item carries: an id, or the grant itself as JSON. Blocks.

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
            raise PermissionDenied(f"{reference} is the grant of another agent", hint=_RENEW)
        if not file.counts_at(self._clock.now()):
            ended = "revoked" if file.state == "revoked" else "over"
            raise PermissionDenied(f"{reference} is {ended}", hint=_RENEW)
        return file.grant


@functools.lru_cache(maxsize=256)
def _inline(reference: str, agent: str) -> Grant:
    try:
        given: object = json.loads(reference)
    except (ValueError, RecursionError) as exc:
        raise InvalidArgument("what was handed on as a grant is no JSON", hint=_AGAIN) from exc
    if not isinstance(given, dict):
        raise InvalidArgument("what was handed on as a grant is no object", hint=_AGAIN)
    return grant_from_json(cast("dict[str, Any]", given), agent)
