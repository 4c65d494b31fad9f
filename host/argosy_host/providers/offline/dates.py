"""Phrases that mean a stretch of days: "this week", "since Monday", "in October", "2026-11-09"."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_NUMBERS = {"two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "ten": 10, "few": 3, "couple of": 2}
_UNIT_DAYS = {"day": 1, "week": 7, "month": 30}
# What each phrase stands for; the names are read by `_named`.
_NAMED = {
    "today": "today", "heute": "today", "сегодня": "today", "hoy": "today", "今日": "today", "今天": "today",
    "yesterday": "yesterday", "gestern": "yesterday", "вчера": "yesterday", "ayer": "yesterday",
    "昨日": "yesterday", "昨天": "yesterday",
    "this week": "week", "the week": "week", "my week": "week", "weekly review": "week", "weekly summary": "week",
    "weekly recap": "week", "diese woche": "week", "эта неделя": "week", "эту неделю": "week", "этой неделе": "week",
    "cette semaine": "week", "esta semana": "week", "今週": "week", "本周": "week",
    "last week": "last_week", "previous week": "last_week", "letzte woche": "last_week", "прошлой неделе": "last_week",
    "прошлую неделю": "last_week", "la semaine dernière": "last_week", "la semana pasada": "last_week",
    "先週": "last_week", "上周": "last_week",
    "past week": "seven", "lately": "fortnight", "recently": "fortnight", "недавно": "fortnight", "最近": "fortnight",
    "these days": "fortnight", "daily brief": "two_days",
    "this month": "month", "этом месяце": "month", "今月": "month", "last month": "last_month",
    "прошлом месяце": "last_month", "先月": "last_month", "past month": "thirty",
    "this year": "year", "last year": "last_year",
}  # fmt: skip
_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?"
    r"|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
)
_WEEKDAY = r"(?:mon|tues?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun)(?:day)"
_COUNT_WORDS = "|".join(map(re.escape, _NUMBERS))
_BY_LENGTH = sorted(_NAMED, key=len, reverse=True)
_SPACED = "|".join(re.escape(phrase) for phrase in _BY_LENGTH if phrase[0] < "\u3000")
_UNSPACED = "|".join(phrase for phrase in _BY_LENGTH if phrase[0] >= "\u3000")
_PHRASE = rf"(?<!\w)(?:{_SPACED})(?!\w)|{_UNSPACED}"
_POINT = rf"""(?:
    (?P<iso>\b\d{{4}}-\d{{2}}(?:-\d{{2}})?\b)
  | \b(?:past|last|previous)\s+(?P<count>\d{{1,3}}|{_COUNT_WORDS})\s+(?P<unit>day|week|month)s?\b
  | (?P<named>{_PHRASE})
  | (?<!next\ )(?<!by\ )(?<!for\ )\b(?P<last>last\s+)?(?P<weekday>{_WEEKDAY})\b
  | \b(?P<day1>\d{{1,2}})(?:st|nd|rd|th)?\s+(?:of\s+)?(?P<month1>{_MONTH})\b\.?(?:,?\s+(?P<year1>\d{{4}}))?
  | \b(?P<month2>{_MONTH})\b\.?\s+(?P<day2>\d{{1,2}})(?:st|nd|rd|th)?\b(?:,?\s+(?P<year2>\d{{4}}))?
  | (?:\b(?:in|during|since|after|of|from|between|until|last)\s+)(?P<month3>{_MONTH})\b(?:\s+(?P<year3>\d{{4}}))?
  | \b(?P<month4>{_MONTH})\s+(?P<year4>\d{{4}})\b
)"""
_FLAGS = re.IGNORECASE | re.VERBOSE


@dataclass(frozen=True, slots=True)
class Period:
    """Days from *since* to *until*, both included."""

    since: date
    until: date


def find_period(text: str, today: str) -> tuple[Period | None, str]:
    """The days the text speaks of, and the text without the phrases that said so.

    None when it names no time, or when *today* is not an ISO date (a period needs a clock).
    """
    try:
        now = date.fromisoformat(today)
    except ValueError:
        now = None
    matches = list(re.finditer(rf"(?:\b(?:since|from|after)\s+)?{_POINT}", text, _FLAGS))
    rest = text
    for match in reversed(matches):
        rest = f"{rest[: match.start()]} {rest[match.end() :]}"
    periods = [(match, period) for match in matches if now and (period := _period(match, now))]
    if not periods or now is None:
        return None, rest
    since = min(period.since for _, period in periods)
    until = max(period.until for _, period in periods)
    open_ended = len(periods) == 1 and periods[0][0][0].lower().startswith(("since", "from", "after"))
    return Period(since, max(since, now) if open_ended else until), rest


def _period(match: re.Match[str], now: date) -> Period | None:
    try:
        if match["iso"]:
            return _iso(match["iso"])
        if match["count"]:
            number = _NUMBERS.get(match["count"].lower()) or int(match["count"])
            return Period(now - timedelta(days=number * _UNIT_DAYS[match["unit"].lower()]), now)
        if match["named"]:
            return _named(_NAMED[match["named"].lower()], now)
        if match["weekday"]:
            return _weekday(match["weekday"], bool(match["last"]), now)
        return _calendar(match, now)
    except (ValueError, OverflowError):
        return None


def _iso(text: str) -> Period:
    if len(text) == 7:
        return _whole_month(int(text[:4]), int(text[5:]))
    return Period(date.fromisoformat(text), date.fromisoformat(text))


def _named(name: str, now: date) -> Period:
    monday = now - timedelta(days=now.weekday())
    first = now.replace(day=1)
    before = first - timedelta(days=1)
    starts = {"today": now, "two_days": now - timedelta(days=1), "week": monday, "seven": now - timedelta(days=7)}
    starts |= {"fortnight": now - timedelta(days=14), "month": first, "thirty": now - timedelta(days=30)}
    starts |= {"year": now.replace(month=1, day=1)}
    if name in starts:
        return Period(starts[name], now)
    yesterday = now - timedelta(days=1)
    closed = {
        "yesterday": Period(yesterday, yesterday),
        "last_week": Period(monday - timedelta(days=7), monday - timedelta(days=1)),
        "last_month": Period(before.replace(day=1), before),
        "last_year": Period(date(now.year - 1, 1, 1), date(now.year - 1, 12, 31)),
    }
    return closed[name]


def _weekday(word: str, strictly_before: bool, now: date) -> Period:
    back = (now.weekday() - _WEEKDAYS.index(word[:3].lower())) % 7
    day = now - timedelta(days=back or (7 if strictly_before else 0))
    return Period(day, day)


def _calendar(match: re.Match[str], now: date) -> Period:
    form = next(form for form in "1234" if match[f"month{form}"])
    month = _MONTHS.index(match[f"month{form}"][:3].lower()) + 1
    day = int(match[f"day{form}"]) if form in "12" else 1
    # Without a year, the latest one that is not ahead of today.
    year = int(match[f"year{form}"] or now.year - ((month, day) > (now.month, now.day)))
    return Period(date(year, month, day), date(year, month, day)) if form in "12" else _whole_month(year, month)


def _whole_month(year: int, month: int) -> Period:
    first = date(year, month, 1)
    after = (first + timedelta(days=32)).replace(day=1)
    return Period(first, after - timedelta(days=1))
