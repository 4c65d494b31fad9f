"""What a query's arguments mean."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime

import pytest

from argosy_core.errors import InvalidArgument
from argosy_log.events import LogEvent, Scope, read_line
from argosy_log.query import Query, build_query, day_of_run, is_own_run

SCOPE = Scope(("caldwell",))
RUN = "run-20261120-090000-000000-0a0b0c0d"


def event(**fields: object) -> LogEvent:
    found = read_line("caldwell", json.dumps(fields).encode())
    assert found is not None
    return found


def query(**arguments: object) -> Query:
    return build_query(SCOPE, **arguments)  # type: ignore[arg-type]


def test_a_star_means_a_group_of_kinds() -> None:
    wanted = query(kinds=["memory.*", "tool"])
    assert [wanted.wants(event(kind=k)) for k in ("memory.write", "tool", "tools", "memory")] == [
        True, True, False, False,
    ]  # fmt: skip


def test_a_plain_date_means_the_whole_day_in_utc() -> None:
    wanted = query(since="2026-05-06", until="2026-05-06")
    times = ["2026-05-05T19:00:00-05:00", "2026-05-06T18:59:59.999-05:00", "2026-05-06T19:00:00-05:00"]
    assert [wanted.wants(event(ts=ts)) for ts in times] == [True, True, False]


def test_times_compare_as_instants_and_both_ends_belong() -> None:
    wanted = query(since="2026-05-06T16:32:00Z", until="2026-05-06T17:00:00Z")
    times = ["2026-05-06T11:32:00-05:00", "2026-05-06T18:00:00+01:00", "2026-05-06T11:31:59-05:00", None]
    assert [wanted.wants(event(ts=ts)) for ts in times] == [True, True, False, False]


def test_older_files_are_named_by_local_days_so_a_day_more_is_read_on_either_side() -> None:
    wanted = query(since="2026-05-06", until="2026-05-07")
    assert (wanted.first_day, wanted.last_day) == ("2026-05-05", "2026-05-08")
    assert query().first_day is None and query().last_day is None


def test_the_ends_of_time_are_days_too() -> None:
    wanted = query(since="0001-01-01", until="9999-12-30")
    assert (wanted.first_day, wanted.last_day) == ("0001-01-01", "9999-12-31")


def test_a_runs_id_says_where_to_begin() -> None:
    assert query(run=RUN).first_day == "2026-11-19"
    assert query(run="caldwell-2026-05-07-001").first_day is None
    assert query(run=RUN, since="2026-12-24").first_day == "2026-12-23"
    assert (day_of_run("caldwell-2026-05-07-001"), is_own_run("caldwell-2026-05-07-001")) == (date(2026, 5, 7), False)
    assert (day_of_run("run-20261399-1"), is_own_run("run-20261399-1")) == (None, False)


def test_text_is_found_in_any_case_script_and_field_but_not_in_hashes() -> None:
    line = event(summary='Grüße "an" Straße', nested={"b": ["Привет"]}, writer="w", seq=1, hash="abcdef01")
    found = {text: query(text=text).wants(line) for text in ('"AN" STRASSE', "ПРИВЕТ", "abcdef01", 'NESTED":{')}
    assert found == {'"AN" STRASSE': True, "ПРИВЕТ": True, "abcdef01": False, 'NESTED":{': True}


def test_a_run_that_could_be_written_in_several_ways_is_looked_for_by_parsing() -> None:
    assert query(run=RUN).needles == (RUN.encode(),)
    assert query(run="läufer/1").needles == ()
    assert query(run="läufer/1").wants(event(run_id="läufer/1"))


def test_status_is_exact() -> None:
    assert query(status="ok").wants(event(status="ok")) and not query(status="ok").wants(event(status="okay"))


@pytest.mark.parametrize(
    "arguments",
    [
        {"since": "yesterday"},
        {"until": "2026-13-01"},
        {"until": "9999-12-31T23:59:59-14:00"},
        {"since": "2026-05-07", "until": "2026-05-06"},
        {"text": "x" * 501},
        {"run": "x" * 201},
        {"kinds": ["x"] * 51},
    ],
)
def test_what_cannot_be_meant_is_refused(arguments: dict[str, object]) -> None:
    with pytest.raises(InvalidArgument):
        query(**arguments)


def test_empty_arguments_filter_nothing() -> None:
    assert query(kinds=[], run="", status="", since="", until="", text="") == Query(SCOPE)
    assert datetime.max.replace(tzinfo=UTC) > datetime(2026, 1, 1, tzinfo=UTC)
