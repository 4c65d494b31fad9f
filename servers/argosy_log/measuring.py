"""Every number that the log answers: aggregates for tools, totals for whoever scrapes metrics."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from argosy_core.serving.results import clamp_limit, decode_offset, encode_cursor
from argosy_core.storage.base import Store
from argosy_core.types import Caller
from argosy_log.access import Access
from argosy_log.aggregation import (
    Answer,
    Field,
    Measure,
    Sought,
    Stat,
    answer,
    check_question,
    ordered,
    span_of,
    with_runs,
)
from argosy_log.event_index import EventIndex
from argosy_log.events import RUN_END
from argosy_log.indexed_events import partial_note
from argosy_log.models import AggregateGroup, AggregatePage
from argosy_log.query import build_query

METRICS_TYPE = "text/plain"
MAX_SERIES = 200  # of one metric; the smallest are added up as "other"


class Measuring:
    """Numbers out of the index, for what a caller may see."""

    def __init__(self, store: Store, index: EventIndex, access: Access) -> None:
        self._store = store
        self._index = index
        self._access = access

    async def aggregate(
        self,
        caller: Caller,
        measure: Measure,
        stat: Stat,
        by: Sequence[Field],
        since: str | None,
        until: str | None,
        limit: int,
        cursor: str | None,
    ) -> AggregatePage:
        """A page of groups. Raises InvalidArgument."""
        fields = check_question(measure, stat, by)
        scope = await self._access.scope(caller)
        asked = build_query(scope, since=since, until=until)
        sought = Sought(scope, measure, stat, fields, *span_of(asked.since, asked.until))
        start = decode_offset(cursor)
        stop = start + clamp_limit(limit)

        def work(db: sqlite3.Connection) -> tuple[Answer, list[AggregateGroup]]:
            found = answer(db, sought)
            page = ordered(found, fields)[start:stop]
            keys = with_runs(db, page, fields)
            return found, [
                AggregateGroup(key=dict(zip(fields, key, strict=True)), value=group.value, events=group.events)
                for key, (_, group) in zip(keys, page, strict=True)
            ]

        (found, items), is_complete = await self._index.ask_fresh(scope.streams, work)
        return AggregatePage(
            measure=measure,
            stat=stat,
            items=items,
            next_cursor=encode_cursor(stop) if len(found.groups) > stop else None,
            groups=len(found.groups),
            relative_error=found.relative_error,
            notes=[] if is_complete else [await partial_note(self._index)],
        )

    async def metrics(self, caller: Caller) -> str:
        """What scripts scrape, as Prometheus text: totals since the log began, of what *caller* may see."""
        scope = await self._access.scope(caller)

        def total(db: sqlite3.Connection, measure: Measure, *by: Field) -> Answer:
            return answer(db, Sought(scope, measure, "sum", by))

        def work(db: sqlite3.Connection) -> list[str]:
            events = total(db, "count", "kind", "status")
            runs = Answer({key[1:]: group for key, group in events.groups.items() if key[0] == RUN_END})
            kinds = total(db, "count", "kind")
            return [
                *_metric("argosy_log_events_total", "Events by kind.", ("kind",), kinds),
                *_metric("argosy_log_runs_total", "Runs that ended, by status.", ("status",), runs),
                *_metric("argosy_log_cost_usd_total", "Money spent.", ("model",), total(db, "cost_usd", "model")),
                *_metric("argosy_log_input_tokens_total", "Tokens in.", ("model",), total(db, "input_tokens", "model")),
                *_metric("argosy_log_output_tokens_total", "And out.", ("model",), total(db, "output_tokens", "model")),
            ]  # fmt: skip

        lines, is_complete = await self._index.ask_fresh(scope.streams, work)
        whole = ["# TYPE argosy_log_index_complete gauge", f"argosy_log_index_complete {int(is_complete)}"]
        return "\n".join([*lines, *whole, ""])


def _metric(name: str, help_text: str, labels: Sequence[Field], found: Answer) -> list[str]:
    groups = ordered(found, labels)
    rest = sum(group.value or 0 for _, group in groups[MAX_SERIES:])
    rows = [(key, group.value or 0) for key, group in groups[:MAX_SERIES]]
    rows += [(("other",) * len(labels), rest)] if rest else []
    lines = [f"# HELP {name} {help_text}", f"# TYPE {name} counter"]
    for key, value in rows:
        named = ",".join(f'{label}="{_escaped(part)}"' for label, part in zip(labels, key, strict=True))
        lines.append(f"{name}{{{named}}} {value:.10g}")
    return lines


def _escaped(value: object) -> str:
    text = "" if value is None else str(value)
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
