"""Pages of grants and budgets, and a grant as it is shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from anyio import to_thread

from argosy_core.policy.grant_file import GrantFile, grant_path
from argosy_core.policy.grant_form import grant_as_json
from argosy_core.serving.results import clamp_limit, decode_offset, encode_cursor
from argosy_judge.grant_store import GrantStore
from argosy_judge.models import BudgetLine, BudgetPage, GrantInfo, GrantPage


def shown(file: GrantFile, now: datetime) -> GrantInfo:
    """A grant as it stands at *now*."""
    ended = file.state == "active" and file.grant.has_ended(now)
    return GrantInfo(
        grant=file.id, holder=file.holder, state="ended" if ended else file.state, allows=grant_as_json(file.grant),
        why=file.why, by=file.by, issued_at=file.issued_at, path=grant_path(file.id),
    )  # fmt: skip


async def issue(
    store: GrantStore, now: datetime, holder: str, tools: Sequence[str], targets: Mapping[str, Any],
    limits: Mapping[str, Any], until: str, why: str,
) -> GrantInfo:  # fmt: skip
    """Check and write a grant."""
    drafted = await to_thread.run_sync(store.draft, holder, tools, targets, limits, until, why)
    return shown(await store.issue(drafted), now)


async def grant_page(store: GrantStore, now: datetime, holder: str | None, limit: int, cursor: str | None) -> GrantPage:
    """A page of grants, by id."""
    start, limit = decode_offset(cursor), clamp_limit(limit)
    found, broken = await to_thread.run_sync(store.listed, holder)
    following = encode_cursor(start + limit) if len(found) > start + limit else None
    problems = [error.message for error in broken]
    return GrantPage(
        items=[shown(f, now) for f in found[start : start + limit]], next_cursor=following, problems=problems
    )


def budget_page(lines: Sequence[BudgetLine], limit: int, cursor: str | None) -> BudgetPage:
    """A page of purses."""
    start, limit = decode_offset(cursor), clamp_limit(limit)
    following = encode_cursor(start + limit) if len(lines) > start + limit else None
    return BudgetPage(items=list(lines[start : start + limit]), next_cursor=following)
