"""Time zones by their IANA names."""

from __future__ import annotations

from datetime import UTC, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from argosy_core.errors import InvalidArgument
from argosy_core.policy.errors import nearest

DEFAULT = "UTC"
_NO_ZONES = ("posix/", "right/")  # the same places twice, the second time with leap seconds


@lru_cache(maxsize=600)
def load_zone(name: str) -> tzinfo:
    """The zone called *name*, read from a file the first time. Raises InvalidArgument, with a near name if there is."""
    if name == DEFAULT:
        return UTC
    try:
        if name.startswith(_NO_ZONES):
            raise ZoneInfoNotFoundError
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as exc:
        raise InvalidArgument(
            f"there is no time zone {name[:60]!r}",
            hint=_near(name) or "an IANA name, like Europe/Berlin or America/New_York; or UTC",
            field="timezone",
        ) from exc


def _near(name: str) -> str | None:
    known = sorted(available_timezones())
    if not known:
        return "this machine has no time zones: pip install tzdata, or use UTC"
    wanted = name.strip().replace(" ", "_").casefold()
    for zone in known:
        if wanted in (zone.casefold(), zone.casefold().rpartition("/")[2]):
            return f"did you mean {zone!r}?"
    cities = {zone.casefold().rpartition("/")[2]: zone for zone in known}
    folded = {zone.casefold(): zone for zone in known} | cities
    found = nearest(wanted, list(folded)) or nearest(wanted.rpartition("/")[2], list(cities))
    return None if found is None else f"did you mean {folded[found.split(chr(39))[1]]!r}?"
