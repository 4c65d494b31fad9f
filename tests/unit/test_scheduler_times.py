"""Times: cron against a count of minutes, the days on which clocks change, steps, moments, jitter, policies."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from argosy_core.errors import InvalidArgument
from argosy_scheduler.cron import check_cron, cron_slots
from argosy_scheduler.slots import GRACE, MAX_CAUGHT_UP, Misfire, Timetable
from argosy_scheduler.when import At, Cron, Every, Webhook, read_when
from argosy_scheduler.zones import load_zone

MINUTE = timedelta(minutes=1)
BERLIN, NEW_YORK = ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York")
LORD_HOWE = ZoneInfo("Australia/Lord_Howe")  # its clocks change by half an hour


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def taken(expression: str, zone: str, after: str, count: int) -> list[str]:
    slots = cron_slots(check_cron(expression), load_zone(zone), utc(after))
    return [slot.astimezone(load_zone(zone)).isoformat(timespec="minutes") for slot in itertools.islice(slots, count)]


# Cron against brute force


def _values(low: int, high: int) -> st.SearchStrategy[tuple[str, frozenset[int]]]:
    every = st.just(("*", frozenset(range(low, high + 1))))
    one = st.integers(low, high).map(lambda n: (str(n), frozenset([n])))
    several = st.sets(st.integers(low, high), min_size=2, max_size=3).map(
        lambda found: (",".join(map(str, sorted(found))), frozenset(found))
    )
    span = st.tuples(st.integers(low, high), st.integers(low, high)).map(
        lambda ends: (f"{min(ends)}-{max(ends)}", frozenset(range(min(ends), max(ends) + 1)))
    )
    step = st.integers(2, max(2, (high - low) // 2)).map(lambda n: (f"*/{n}", frozenset(range(low, high + 1, n))))
    return st.one_of(every, one, several, span, step)


EXPRESSIONS = st.tuples(_values(0, 59), _values(0, 23), _values(1, 31), _values(1, 12), _values(0, 6))


def brute_force(
    fields: tuple[tuple[str, frozenset[int]], ...], zone: ZoneInfo, start: datetime, hours: int
) -> list[datetime]:
    """Every minute of *hours* asked whether it is meant."""
    (minute, minutes), (hour, hours_meant), (day, days), (_, months), (weekday, weekdays) = fields
    fixed = not minute.startswith("*") and not hour.startswith("*")

    def means(local: datetime) -> bool:
        by_day, by_weekday = local.day in days, local.isoweekday() % 7 in weekdays
        both = day.startswith("*") or weekday.startswith("*")
        fits = (by_day and by_weekday) if both else (by_day or by_weekday)
        return local.minute in minutes and local.hour in hours_meant and local.month in months and fits

    found: list[datetime] = []
    before = (start - MINUTE).astimezone(zone).replace(tzinfo=None)
    for number in range(hours * 60):
        moment = start + number * MINUTE
        local = moment.astimezone(zone)
        wall = local.replace(tzinfo=None, fold=0)
        skipped = [before + n * MINUTE for n in range(1, max(1, int((wall - before) / MINUTE)))]
        if fixed:
            if (means(wall) and local.fold == 0) or any(means(gone) for gone in skipped):
                found.append(moment)
        elif means(wall):
            found.append(moment)
        before = wall
    return found


# The evening before each change of the clocks, before a leap day, and one of no importance.
STARTS = [
    utc("2026-03-28T20:00Z"),
    utc("2026-10-24T20:00Z"),
    utc("2026-03-07T20:00Z"),
    utc("2026-10-31T20:00Z"),
    utc("2026-04-04T05:00Z"),
    utc("2026-10-03T05:00Z"),
    utc("2028-02-28T20:00Z"),
    utc("2026-06-30T20:00Z"),
]


@settings(max_examples=150, deadline=None)
@given(EXPRESSIONS, st.sampled_from([ZoneInfo("UTC"), BERLIN, NEW_YORK, LORD_HOWE]), st.sampled_from(STARTS))
def test_cron_names_exactly_the_minutes_that_counting_names(
    fields: tuple[tuple[str, frozenset[int]], ...], zone: ZoneInfo, start: datetime
) -> None:
    try:
        expression = check_cron(" ".join(text for text, _ in fields))
    except InvalidArgument:
        assert "never comes" in str(check_fails(" ".join(text for text, _ in fields)))
        return
    end = start + timedelta(hours=36)
    slots = itertools.takewhile(lambda slot: slot < end, cron_slots(expression, zone, start - timedelta(seconds=1)))
    assert list(slots) == brute_force(fields, zone, start, 36)


@settings(max_examples=100, deadline=None)
@given(EXPRESSIONS, st.sampled_from([BERLIN, NEW_YORK, LORD_HOWE]), st.sampled_from(STARTS), st.integers(0, 2000))
def test_where_one_begins_to_look_does_not_matter(
    fields: tuple[tuple[str, frozenset[int]], ...], zone: ZoneInfo, start: datetime, minutes: int
) -> None:
    expression = " ".join(["0,30", "1-3", *(text for text, _ in fields[2:])])
    try:
        check_cron(expression)
    except InvalidArgument:
        return
    later, end = start + minutes * MINUTE, start + timedelta(days=3)
    from_start = itertools.takewhile(lambda slot: slot < end, cron_slots(expression, zone, start))
    from_later = itertools.takewhile(lambda slot: slot < end, cron_slots(expression, zone, later))
    assert [slot for slot in from_start if slot > later] == list(from_later)


def check_fails(text: str) -> InvalidArgument:
    with pytest.raises(InvalidArgument) as caught:
        check_cron(text)
    return caught.value


# The days on which clocks change


@pytest.mark.parametrize(
    ("zone", "after", "expected"),
    [
        ("Europe/Berlin", "2026-03-28T12:00Z", ["2026-03-29T03:00+02:00", "2026-03-30T02:30+02:00"]),
        ("America/New_York", "2026-03-07T12:00Z", ["2026-03-08T03:00-04:00", "2026-03-09T02:30-04:00"]),
    ],
)
def test_a_time_that_the_clocks_jump_over_runs_at_the_jump(zone: str, after: str, expected: list[str]) -> None:
    assert taken("30 2 * * *", zone, after, 2) == expected


def test_two_times_in_the_hour_left_out_and_the_jump_itself_are_one_run() -> None:
    assert taken("0,30 2,3 * * *", "Europe/Berlin", "2026-03-28T12:00Z", 3) == [
        "2026-03-29T03:00+02:00",
        "2026-03-29T03:30+02:00",
        "2026-03-30T02:00+02:00",
    ]


@pytest.mark.parametrize(
    ("zone", "at", "after", "expected"),
    [
        ("Europe/Berlin", "30 2", "2026-10-24T12:00Z", ["2026-10-25T02:30+02:00", "2026-10-26T02:30+01:00"]),
        ("America/New_York", "30 1", "2026-10-31T12:00Z", ["2026-11-01T01:30-04:00", "2026-11-02T01:30-05:00"]),
    ],
)
def test_of_a_time_that_comes_twice_the_first_one_runs(zone: str, at: str, after: str, expected: list[str]) -> None:
    assert taken(f"{at} * * *", zone, after, 2) == expected


def test_in_the_second_of_two_equal_hours_nothing_of_the_first_comes_again() -> None:
    assert taken("0,30 2 * * *", "Europe/Berlin", "2026-10-25T01:10:00Z", 1) == ["2026-10-26T02:00+01:00"]


def test_even_steps_go_on_through_both_changes() -> None:
    for zone, day in (("Europe/Berlin", "2026-03-28T23:30Z"), ("Europe/Berlin", "2026-10-24T22:30Z")):
        slots = list(itertools.islice(cron_slots("*/20 * * * *", load_zone(zone), utc(day)), 30))
        assert {b - a for a, b in itertools.pairwise(slots)} == {timedelta(minutes=20)}


def test_a_leap_day_comes_every_four_years() -> None:
    assert taken("0 12 29 2 *", "UTC", "2026-01-01T00:00Z", 3) == [
        "2028-02-29T12:00+00:00",
        "2032-02-29T12:00+00:00",
        "2036-02-29T12:00+00:00",
    ]


def test_last_days_and_second_fridays() -> None:
    assert taken("0 0 L * *", "UTC", "2026-02-01T00:00Z", 2) == ["2026-02-28T00:00+00:00", "2026-03-31T00:00+00:00"]
    assert taken("0 0 * * 5#2", "UTC", "2026-02-01T00:00Z", 1) == ["2026-02-13T00:00+00:00"]
    assert taken("@weekly", "UTC", "2026-02-02T00:00Z", 1) == ["2026-02-08T00:00+00:00"]


# What is refused


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("60 * * * *", "minute field '60'"),
        ("* 24 * * *", "hour field '24'"),
        ("* * 32 * *", "day of month field '32'"),
        ("* * * 13 *", "month field '13'"),
        ("* * * * 8", "day of week field '8'"),
        ("* * * * MOON", "day of week field 'MOON'"),
        ("*/0 * * * *", "minute field '*/0'"),
        ("5-1 * * * *", "minute field '5-1'"),
        ("* * * *", "five fields, not 4"),
        ("0 * * * * *", "five fields, not 6"),
        ("", "five fields, not 0"),
        ("@reboot", "there is no cron '@reboot'"),
        ("0 0 30 2 *", "day of month field '30' names a day that never comes in month 2"),
        ("1" * 201, "longer than 200"),
    ],
)
def test_a_wrong_cron_names_its_field(text: str, named: str) -> None:
    error = check_fails(text)
    assert named in error.message and error.hint and error.detail["field"] == "cron"


@given(st.text(alphabet="0123456789*/-,L#W @MONJAN²٣", max_size=40))
def test_any_text_is_a_cron_or_a_named_mistake(text: str) -> None:
    try:
        expression = check_cron(text)
    except InvalidArgument as error:
        assert error.hint
    else:
        assert next(cron_slots(expression, BERLIN, utc("2026-01-01T00:00Z"))) > utc("2026-01-01T00:00Z")


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("Europe/Berln", "Europe/Berlin"),
        ("europe/berlin", "Europe/Berlin"),
        ("Berlin", "Europe/Berlin"),
        ("New York", "America/New_York"),
        ("right/Europe/Berlin", "Europe/Berlin"),
    ],
)
def test_an_unknown_zone_suggests_a_near_one(name: str, near: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        load_zone(name)
    assert near in (caught.value.hint or "")


@pytest.mark.parametrize("name", ["", "../etc/passwd", "/etc/localtime", "America", "Mars/Base", "x" * 5000, "a\0b"])
def test_what_is_no_zone_is_refused(name: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        load_zone(name)
    assert caught.value.hint


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"cron": "* * * * *", "every_s": 5},
        {"every_s": 0},
        {"every_s": 1.5},
        {"every_s": True},
        {"every_s": "5"},
        {"every_s": 10**12},
        {"at": "soon"},
        {"at": "0001-01-01T00:00:00+14:00"},
        {"at": "9999-12-31T23:00:00-10:00"},
        {"at": 2026},
        {"cron": 5},
        {"watch": {"glob": 1}},
        {"watch": {"path": "inbox/*.md"}},
        {"watch": ["inbox/*.md"]},
        {"event": {"kind": "schedule.fired"}},
        {"event": "schedule.*"},
        {"event": "*"},
        {"event": "Goal"},
        {"webhook": "hook"},
        {"webhook": {"path": "../x", "secret_name": "S"}},
        {"webhook": {"path": "x", "secret_name": "not a name"}},
        {"webhook": {"path": "x"}},
    ],
)
def test_what_is_no_time_is_refused_with_its_field(fields: dict[str, object]) -> None:
    with pytest.raises(InvalidArgument) as caught:
        read_when(fields, UTC, None)
    assert caught.value.hint and caught.value.detail["field"]


def test_a_webhook_keeps_its_path_and_the_name_of_its_secret() -> None:
    when = read_when({"webhook": {"path": "/git/push/", "secret_name": "GIT_HOOK"}}, UTC, None)
    assert when == Webhook("git/push", "GIT_HOOK")


def test_a_moment_without_an_offset_is_meant_in_the_zone() -> None:
    assert read_when({"at": "2026-12-01T09:00"}, BERLIN, None) == At(utc("2026-12-01T08:00Z"))
    assert read_when({"at": "2026-12-01T09:00Z"}, BERLIN, None) == At(utc("2026-12-01T09:00Z"))


# Steps


@given(st.integers(1, 10**6), st.integers(-(10**7), 10**7), st.integers(0, 999))
def test_steps_are_counted_from_their_anchor(seconds: int, offset: int, ms: int) -> None:
    anchor = utc("2026-05-01T10:00:07Z")
    after = anchor + timedelta(seconds=offset, milliseconds=ms)
    first, second = itertools.islice(Every(seconds, anchor).slots(after), 2)
    assert first > after and first > anchor and second - first == timedelta(seconds=seconds)
    assert (first - anchor) % timedelta(seconds=seconds) == timedelta(0)
    assert first - max(after, anchor) <= timedelta(seconds=seconds)


# Jitter


@settings(deadline=None)
@given(st.integers(1, 3600), st.integers(1, 600))
def test_jitter_delays_each_slot_by_its_own_amount_and_loses_none(jitter: int, every: int) -> None:
    table = Timetable("t", Every(every, utc("2026-01-01T00:00Z")), jitter)
    start = utc("2026-01-02T00:00Z")
    dues = list(itertools.islice(table.upcoming(start), 50))
    assert dues == sorted(dues) and all(timedelta(0) <= d.at - d.slot <= timedelta(seconds=jitter) for d in dues)
    in_pieces = list(table.reckon("all", start, dues[20].at).fire) + list(
        table.reckon("all", dues[20].at, dues[40].at).fire
    )
    assert in_pieces == [due for due in dues if due.at <= dues[40].at]


def test_jitter_is_the_same_for_everybody_and_differs_between_triggers() -> None:
    def delays(name: str) -> list[timedelta]:
        table = Timetable(name, Cron("0 * * * *", UTC), 600)
        return [due.at - due.slot for due in itertools.islice(table.upcoming(utc("2026-01-01T00:00Z")), 20)]

    assert delays("a") == delays("a") != delays("b")
    assert len(set(delays("a"))) > 10


# Policies

NOON = utc("2026-05-04T12:00:00Z")
HOURLY = Timetable("t", Cron("0 * * * *", UTC))


@pytest.mark.parametrize(
    ("misfire", "fired"),
    [("skip", ["12:00"]), ("once", ["12:00"]), ("all", ["10:00", "11:00", "12:00"])],
)
def test_after_three_hours_away_each_policy_does_as_it_says(misfire: Misfire, fired: list[str]) -> None:
    reckoning = HOURLY.reckon(misfire, NOON - timedelta(hours=2, minutes=30), NOON + timedelta(seconds=30))
    assert [f"{due.slot:%H:%M}" for due in reckoning.fire] == fired


def test_skip_leaves_out_what_is_later_than_its_grace_and_says_so() -> None:
    reckoning = HOURLY.reckon("skip", NOON - timedelta(minutes=1), NOON + GRACE)
    assert reckoning.fire == () and reckoning.missed is not None and reckoning.missed.slot == NOON
    on_time = HOURLY.reckon("skip", NOON - timedelta(minutes=1), NOON + GRACE - timedelta(milliseconds=1))
    assert [due.slot for due in on_time.fire] == [NOON] and on_time.missed is None


def test_all_is_bounded_and_keeps_the_newest() -> None:
    table = Timetable("t", Every(1, utc("2020-01-01T00:00Z")))
    reckoning = table.reckon("all", NOON - timedelta(days=3), NOON)
    assert len(reckoning.fire) == MAX_CAUGHT_UP and reckoning.fire[-1].slot == NOON
    assert reckoning.missed is not None and reckoning.missed.slot == NOON - timedelta(days=3) + timedelta(seconds=1)


@pytest.mark.parametrize("misfire", ["skip", "once", "all"])
def test_years_away_are_not_counted_up_minute_by_minute(misfire: Misfire) -> None:
    table = Timetable("t", Cron("* * * * *", UTC))
    assert len(table.reckon(misfire, utc("2000-01-01T00:00Z"), NOON).fire) <= MAX_CAUGHT_UP
