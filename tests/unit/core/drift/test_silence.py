"""Silences: an outage is one, a quiet night or a small shop's pause is none."""

from __future__ import annotations

from random import Random

from core.clock import DAY_MS, HOUR_MS
from core.drift.silence import SilenceDetector
from core.records.drift import BUCKET_MS, Bucket, BucketCounts

MONDAY_MS = 1_699_833_600_000


def feed(
    detector: SilenceDetector, *, from_ms: int, to_ms: int, num: int = 20, open_hours: range = range(24)
) -> list[float]:
    """The hours of the silences that buckets of `num` events in the open hours end."""
    starts_ms = range(MONDAY_MS + from_ms, MONDAY_MS + to_ms, BUCKET_MS)
    found = (
        detector.read(Bucket(start_ms, BucketCounts(num)))
        for start_ms in starts_ms
        if start_ms // HOUR_MS % 24 in open_hours
    )
    return [silence.hours for silence in found if silence is not None]


def test_two_days_without_events_are_a_silence() -> None:
    detector = SilenceDetector()
    assert feed(detector, from_ms=0, to_ms=7 * DAY_MS) == []
    assert feed(detector, from_ms=9 * DAY_MS, to_ms=10 * DAY_MS) == [48.0]
    assert detector.newest is not None
    assert round(detector.newest.expected) == 2 * 24 * 12 * 20


def test_answers_do_not_end_a_silence() -> None:
    detector = SilenceDetector()
    feed(detector, from_ms=0, to_ms=7 * DAY_MS)
    assert feed(detector, from_ms=8 * DAY_MS, to_ms=9 * DAY_MS, num=0) == []
    assert feed(detector, from_ms=9 * DAY_MS, to_ms=10 * DAY_MS) == [48.0]


def test_nights_of_a_shop_that_closes_are_none() -> None:
    assert feed(SilenceDetector(), from_ms=0, to_ms=14 * DAY_MS, open_hours=range(8, 20)) == []


def closed_on_sundays(detector: SilenceDetector, *, weeks: int) -> list[float]:
    found = []
    for week in range(weeks):
        first_ms = week * 7 * DAY_MS
        found += feed(detector, from_ms=first_ms, to_ms=first_ms + 6 * DAY_MS, open_hours=range(8, 20))
    return found


def test_a_weekly_closing_day_is_a_silence_once() -> None:
    assert closed_on_sundays(SilenceDetector(), weeks=6) == [36.0]  # Saturday evening to Monday morning


def test_a_closing_day_that_the_warm_up_has_seen_is_none() -> None:
    assert closed_on_sundays(SilenceDetector(warmup_ms=7 * DAY_MS), weeks=6) == []


def test_an_outage_of_a_shop_with_a_closing_day_is_a_silence() -> None:
    detector = SilenceDetector(warmup_ms=7 * DAY_MS)
    closed_on_sundays(detector, weeks=3)
    assert feed(detector, from_ms=23 * DAY_MS, to_ms=24 * DAY_MS, open_hours=range(8, 20)) == [84.0]


def test_a_pause_in_which_few_events_were_expected_is_none() -> None:
    detector = SilenceDetector()
    feed(detector, from_ms=0, to_ms=7 * DAY_MS, num=1)
    assert feed(detector, from_ms=7 * DAY_MS + 5 * HOUR_MS, to_ms=8 * DAY_MS, num=1) == []


def test_a_silence_is_not_learned_as_usual() -> None:
    detector = SilenceDetector()
    feed(detector, from_ms=0, to_ms=7 * DAY_MS)
    feed(detector, from_ms=9 * DAY_MS, to_ms=17 * DAY_MS)
    assert feed(detector, from_ms=19 * DAY_MS, to_ms=20 * DAY_MS) == [48.0]
    assert detector.newest is not None
    assert round(detector.newest.expected) == 2 * 24 * 12 * 20


def test_a_pause_between_visits_of_many_events_is_none() -> None:
    random = Random(3)
    visits_ms = sorted(random.sample(range(0, 60 * DAY_MS, BUCKET_MS), 400))  # one in four hours, at random
    detector = SilenceDetector(warmup_ms=7 * DAY_MS)
    found = [detector.read(Bucket(MONDAY_MS + start_ms, BucketCounts(150))) for start_ms in visits_ms]
    assert [silence for silence in found if silence is not None] == []


def test_a_pause_of_a_shop_that_has_shrunk_to_an_eightieth_is_none() -> None:
    detector = SilenceDetector()
    feed(detector, from_ms=0, to_ms=14 * DAY_MS)
    now_ms = MONDAY_MS + 14 * DAY_MS
    for hour in range(6 * 7 * 24):
        assert detector.read(Bucket(now_ms + hour * HOUR_MS, BucketCounts(3))) is None
    after_ms = now_ms + 6 * 7 * DAY_MS
    assert detector.read(Bucket(after_ms + 20 * HOUR_MS, BucketCounts(3))) is None, "about 60 were expected"
    assert detector.read(Bucket(after_ms + 8 * DAY_MS, BucketCounts(3))) is not None, "about 500"
