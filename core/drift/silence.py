"""Silences: times without any event where events were expected. An outage says nothing about interests.

The usual number of events is learned online: a pattern of the hours of the week, and a level that follows the last week
where that has fewer events, so that a shop that shrinks is not silent. So is how much hours vary around it: the
quasi-Poisson dispersion (McCullagh and Nelder, Generalized Linear Models, 1989, section 4.5), as the mean of
(events - usual)^2 over that of usual, which hours with next to no events leave alone. It is 1 for events that come
independently, and as large as a visit where they come in visits. A silence is known when events resume, because a
bucket without events is not stored. Hours that were silent a week before, too, are those of a shop that closes on that
day: nothing is expected there. Independent of other signals.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from core.clock import HOUR_MS
from core.drift.baseline import DAYS, HALF_LIFE_MS, HOURS, hour_of_week
from core.records.drift import BUCKET_MS, Bucket

MIN_EXPECTED = 100.0  # events
MIN_EXPECTED_VISITS = 14.0  # all of them are missing by chance once in a million times
LONGEST_HOURS = 366 * 24
WEEK_HOURS = 7 * 24
KEPT_OF_PATTERN = 0.5 ** (HOUR_MS / HALF_LIFE_MS)  # after an hour
KEPT_OF_LEVEL = 0.5 ** (1 / WEEK_HOURS)
DISPERSION_HOURS = 4 * WEEK_HOURS  # the mean forgets older ones, such as those of a sale


class Silence(NamedTuple):
    """From the end of the last bucket with events to the start of the next. `expected`: the usual number of events."""

    start_ms: int
    end_ms: int
    expected: float

    @property
    def hours(self) -> float:
        """Its length."""
        return (self.end_ms - self.start_ms) / HOUR_MS


class SilenceDetector:
    """Finds silences between buckets."""

    def __init__(self, *, warmup_ms: int = 0) -> None:
        """`warmup_ms`: the time after the first event in which it is not known yet when the shop closes."""
        self._warmup_ms = warmup_ms
        self._first_ms: int | None = None
        self._silent: set[int] = set()  # hours since 1970 of silences of the last two weeks
        self.newest: Silence | None = None
        self._sums, self._nums = np.zeros((DAYS, HOURS)), np.zeros((DAYS, HOURS))
        self._level_events, self._level_usual = 0.0, 0.0  # of the last week: events, and those by the pattern
        self._squares, self._usuals, self._num_deviations = 0.0, 0.0, 0  # means of the last weeks
        self._hour: int | None = None
        self._num_events = 0.0
        self._end_ms = 0

    def read(self, bucket: Bucket) -> Silence | None:
        """Add a bucket; the silence that it ends, after the warm-up. Buckets of answers alone are part of a silence."""
        if not bucket.counts.num_events:
            return None
        self._first_ms = bucket.start_ms if self._first_ms is None else self._first_ms
        hour = bucket.start_ms // HOUR_MS
        silence = self._silence_before(bucket.start_ms) if self._hour is not None else None
        if silence is not None:
            self.newest = silence
            self._remember(silence)
        elif self._hour is not None and hour != self._hour:
            self._learn(self._hour, self._num_events)
            for empty in range(self._hour + 1, min(hour, self._hour + LONGEST_HOURS)):
                self._learn(empty, 0.0)
        if hour != self._hour:
            self._hour, self._num_events = hour, 0.0
        self._num_events += bucket.counts.num_events
        self._end_ms = bucket.start_ms + BUCKET_MS
        is_warm = silence is not None and silence.start_ms >= self._first_ms + self._warmup_ms
        return silence if is_warm else None

    def _remember(self, silence: Silence) -> None:
        last = silence.end_ms // HOUR_MS
        first = max(silence.start_ms // HOUR_MS, last - LONGEST_HOURS)
        self._silent = {hour for hour in (*self._silent, *range(first, last + 1)) if hour > last - 2 * WEEK_HOURS}

    def _learn(self, hour: int, num_events: float) -> None:
        usual, pattern = self._usual(hour), self._pattern(hour)
        if usual > 0:
            self._num_deviations = min(self._num_deviations + 1, DISPERSION_HOURS)
            self._squares += ((num_events - usual) ** 2 - self._squares) / self._num_deviations
            self._usuals += (usual - self._usuals) / self._num_deviations
        if pattern > 0:
            self._level_events = KEPT_OF_LEVEL * self._level_events + num_events
            self._level_usual = KEPT_OF_LEVEL * self._level_usual + pattern
        self._sums *= KEPT_OF_PATTERN
        self._nums *= KEPT_OF_PATTERN
        day_and_hour = hour_of_week(hour * HOUR_MS)
        self._sums[day_and_hour] += num_events
        self._nums[day_and_hour] += 1

    def _silence_before(self, start_ms: int) -> Silence | None:
        """None if events can have been missing by chance, as at night."""
        if start_ms - self._end_ms < HOUR_MS:
            return None
        last = min(start_ms // HOUR_MS, self._end_ms // HOUR_MS + LONGEST_HOURS)
        hours = np.arange(self._end_ms // HOUR_MS, last + 1)
        starts_ms, ends_ms = np.maximum(hours * HOUR_MS, self._end_ms), np.minimum((hours + 1) * HOUR_MS, start_ms)
        rates = np.array([self._usual(hour) for hour in hours.tolist()])
        expected = float((rates * (ends_ms - starts_ms)).sum() / HOUR_MS)
        dispersion = self._squares / self._usuals if self._usuals else 0.0
        is_chance = expected < max(MIN_EXPECTED, MIN_EXPECTED_VISITS * dispersion)
        return None if is_chance else Silence(self._end_ms, start_ms, expected)

    def _usual(self, hour_since_1970: int) -> float:
        """Events of an hour, by pattern and level; 0 where it was silent a week before."""
        if hour_since_1970 - WEEK_HOURS in self._silent:
            return 0.0
        level = self._level_events / self._level_usual if self._level_usual else 1.0
        return min(level, 1.0) * self._pattern(hour_since_1970)

    def _pattern(self, hour_since_1970: int) -> float:
        """The mean of an hour: the fewer of that hour of the week and that hour of all days."""
        day, hour = hour_of_week(hour_since_1970 * HOUR_MS)
        daily = self._sums[:, hour].sum() / max(self._nums[:, hour].sum(), 1e-9)
        own = self._nums[day, hour]
        return float(min(daily, self._sums[day, hour] / own) if own else daily)
