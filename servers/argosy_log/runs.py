"""Which events belong to a run and the runs below it, and when no more are to come."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from argosy_log.events import RUN_END, RUN_START, LogEvent, Scope

# A run that ended so goes on later under the same id.
RESUMABLE = frozenset({"deferred", "interrupted"})


def family(scope: Scope, runs: frozenset[str]) -> Callable[[LogEvent], bool]:
    """The test for events of *runs*, and for those that say they happen below one of them."""

    def belongs(event: LogEvent) -> bool:
        return (event.run in runs or event.parent in runs) and scope.sees(event)

    return belongs


def all_over(events: Iterable[LogEvent]) -> bool:
    """Whether every run in *events* has ended for good."""
    over: dict[str | None, bool] = {}
    for event in events:
        if event.kind == RUN_START:
            over[event.run] = False
        elif event.kind == RUN_END:
            over[event.run] = event.fields.get("status") not in RESUMABLE
        else:
            # The older system writes a run's record when it is done.
            over.setdefault(event.run, event.writer is None)
    return all(over.values())
