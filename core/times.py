"""Times as integer milliseconds UTC: from numbers in a unit or ISO 8601 texts, and as text for people."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, tzinfo

MS_PER_UNIT = {"s": (1000, 1), "ms": (1, 1), "us": (1, 1000), "ns": (1, 1_000_000)}  # factor, divisor

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)


def in_ms(time: float, unit: str) -> int:
    """A number in the unit, as milliseconds; fractions are cut off."""
    factor, divisor = MS_PER_UNIT[unit]
    return int(time * factor) // divisor


def iso_ms(text: str, zone: tzinfo = UTC) -> int | None:
    """An ISO 8601 date, or date and time, as milliseconds; None for any other text.

    `zone`: of texts without an offset. "2019-10-01 00:00:00 UTC" is read too, as many published logs have it.
    """
    if "-" not in text[1:]:
        return None  # "20220624" is a number
    try:
        moment = datetime.fromisoformat(text.removesuffix(" UTC"))
    except ValueError:
        return None
    return moment_ms(moment, UTC if text.endswith(" UTC") else zone)


def moment_ms(moment: date, zone: tzinfo = UTC) -> int:
    """A date, or date and time, as milliseconds; `zone`: where it has none."""
    if not isinstance(moment, datetime):
        moment = datetime(moment.year, moment.month, moment.day, tzinfo=zone)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=zone)
    return (moment - _EPOCH) // _MS


def minute_text(time_ms: int) -> str:
    """A time (UTC) to the minute, as 2026-11-28 15:04."""
    return f"{datetime.fromtimestamp(time_ms / 1000, UTC):%Y-%m-%d %H:%M}"


def day_text(day: int) -> str:
    """A day since 1970 (UTC), as 2026-11-28."""
    return f"{_EPOCH + timedelta(days=day):%Y-%m-%d}"


def second_text(time_ms: int) -> str:
    """A time (UTC) to the second, as 2026-11-28 15:04:05."""
    return f"{datetime.fromtimestamp(time_ms / 1000, UTC):%Y-%m-%d %H:%M:%S}"
