"""The detector bank: learns the rhythm, detects changes with onset and cause, and is a pure function of the buckets."""

from __future__ import annotations

import pickle
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from core.drift.detector_bank import DetectorBank
from core.records.drift import BUCKET_MS, PER_MILLE, Alarm, Bucket, BucketCounts, ScoreTally
from core.records.statuses import AlarmEnding
from stream.drift.detectors import detectors

DAY_MS = 86_400_000
MONDAY_MS = 1_699_833_600_000
NAMES = {1: "Tea", 2: "Cooking", 3: "Garden"}


def detector_bank(*, warmup_days: float = 7) -> DetectorBank:
    return DetectorBank(detectors, warmup_ms=int(warmup_days * DAY_MS), topic_name=NAMES.__getitem__)


@cache
def buckets(**stream: Any) -> tuple[Bucket, ...]:
    """Buckets of 20 events and 10 scored users each, drawn once for all tests that read them."""
    return tuple(_drawn(**stream))


def _drawn(
    *,
    days: int,
    seed: int = 1,
    first_day: int = 0,
    mix: tuple[float, float, float] = (0.5, 0.3, 0.2),
    hit: float = 0.2,
    version: str | None = "v1",
    rhythm: float = 0.0,
) -> Iterator[Bucket]:
    """`rhythm`: how much evenings differ from mornings."""
    rng = np.random.default_rng((seed, first_day))
    num = days * DAY_MS // BUCKET_MS
    starts_ms = MONDAY_MS + first_day * DAY_MS + BUCKET_MS * np.arange(num)
    tilt = rhythm * np.sin(2 * np.pi * (starts_ms % DAY_MS) / DAY_MS)
    shares = np.array(mix) * np.exp(tilt[:, None] * [1.0, 0.0, -1.0])
    gaps = rng.multinomial(15, [0.1, 0.3, 0.3, 0.2, 0.1], num).tolist()
    topics = rng.multinomial(20, shares / shares.sum(axis=1, keepdims=True)).tolist()
    has_hit = rng.random((num, 10)) < hit * np.exp(tilt / 2)[:, None]
    losses = np.where(has_hit, 2.0, 6.0) + rng.standard_normal((num, 10))
    sums = np.stack([has_hit.sum(axis=1), losses.sum(axis=1), (losses**2).sum(axis=1)], axis=1).tolist()
    new_users = (rng.random(num) < 0.2).tolist()
    for start_ms, of_topics, of_gaps, of_scores, is_new in zip(
        starts_ms.tolist(), topics, gaps, sums, new_users, strict=True
    ):
        tally = ScoreTally(10, *of_scores) if version else ScoreTally()
        counts = BucketCounts(20, int(is_new), 0, _counted(of_topics, first=1), _counted(of_gaps))
        yield Bucket(start_ms, counts, version, tally, {1: tally})


def _counted(numbers: list[int], *, first: int = 0) -> Counter[int]:
    return Counter({code: num for code, num in enumerate(numbers, first) if num})


def read(detector_bank: DetectorBank, *parts: Iterable[Bucket]) -> list[Alarm]:
    return [alarm for part in parts for bucket in part for alarm in detector_bank.read(bucket).alarms]


def read_ends(detector_bank: DetectorBank, *parts: Iterable[Bucket]) -> list[Alarm]:
    return [alarm for part in parts for bucket in part for alarm in detector_bank.read(bucket).ended]


Changed = Callable[[Iterable[Bucket]], Iterable[Bucket]]


@cache
def _two_weeks_read(changed: Changed, hit: float) -> bytes:
    bank = detector_bank()
    assert read(bank, changed(buckets(days=14, hit=hit))) == []
    return pickle.dumps(bank)  # copying it takes ten times as long


def bank_after_two_weeks(changed: Changed = iter, hit: float = 0.2) -> DetectorBank:
    """A bank that has read 14 days without a change; read once for all tests. `changed`: what the buckets have too."""
    bank: DetectorBank = pickle.loads(_two_weeks_read(changed, hit))
    return bank


def test_nothing_is_noticed_where_nothing_changes() -> None:
    assert read(detector_bank(), buckets(days=28, seed=2)) == []


def test_daily_rhythm_raises_no_alarm() -> None:
    assert read(detector_bank(), buckets(days=28, rhythm=0.7)) == []


def test_a_halved_hit_rate_is_noticed_within_a_day_with_its_onset() -> None:
    alarms = read(bank_after_two_weeks(), buckets(days=1, first_day=14, hit=0.1))
    assert {alarm.signal for alarm in alarms} <= {"hit_rate", "loss"}
    change_ms = MONDAY_MS + 14 * DAY_MS
    assert abs(alarms[0].onset_ms - change_ms) < DAY_MS / 12
    assert alarms[0].detected_ms - change_ms < DAY_MS / 4
    assert re.fullmatch(r"mostly in Tea: hits from (19|20|21)% to (9|10|11)%", alarms[0].cause)
    assert alarms[0].model_version == "v1"
    (hits,) = [alarm for alarm in alarms if alarm.signal == "hit_rate"]
    assert (hits.before, hits.after) == (pytest.approx(0.2, abs=0.02), pytest.approx(0.1, abs=0.05))


def test_a_better_model_is_no_trouble() -> None:
    assert read(bank_after_two_weeks(), buckets(days=3, first_day=14, hit=0.4)) == []


def test_a_moved_mix_is_noticed_once_and_says_from_where_to_where() -> None:
    (alarm,) = read(bank_after_two_weeks(), buckets(days=7, first_day=14, mix=(0.3, 0.5, 0.2)))
    assert alarm.signal == "categories"
    assert re.fullmatch(r"events moved from Tea \(50% to (2|3)\d%\) to Cooking \(30% to (4|5)\d%\)", alarm.cause)
    assert alarm.after > alarm.before


def test_nothing_is_told_before_the_week_is_known() -> None:
    early = [*buckets(days=3), *buckets(days=3, first_day=3, mix=(0.1, 0.1, 0.8))]
    assert read(detector_bank(), early) == []
    assert read(detector_bank(warmup_days=2), early) != []


def test_a_promoted_model_with_fewer_hits_than_the_one_before_is_noticed() -> None:
    (alarm, *_) = read(bank_after_two_weeks(), buckets(days=1, first_day=14, hit=0.1, version="v2"))
    assert (alarm.signal, alarm.model_version) == ("hit_rate", "v2")
    assert alarm.cause.startswith("began when model v2 was promoted; ")


def test_promotions_every_few_hours_do_not_hide_a_fall() -> None:
    parts = (buckets(days=1, first_day=14 + n, hit=0.1, version=f"v{2 + n}") for n in range(2))
    assert "hit_rate" in {alarm.signal for alarm in read(bank_after_two_weeks(), *parts)}


def test_the_losses_of_another_model_have_a_level_of_their_own() -> None:
    def other_losses(some: Iterable[Bucket]) -> Iterator[Bucket]:
        for bucket in some:
            yield replace(bucket, tally=replace(bucket.tally, loss=bucket.tally.loss * 1.5))

    assert read(bank_after_two_weeks(), other_losses(buckets(days=3, first_day=14, version="v2"))) == []


def test_a_change_below_the_smallest_effect_is_no_alarm_however_certain() -> None:
    fewer = buckets(days=14, first_day=14, hit=0.17)
    assert read(bank_after_two_weeks(), fewer) == []


def test_a_slow_fall_is_noticed_although_the_expected_values_follow_it() -> None:
    bank = bank_after_two_weeks()
    parts = (buckets(days=1, first_day=14 + day, hit=0.2 - 0.002 * day) for day in range(60))
    assert any(alarm.signal == "hit_rate" for part in parts for alarm in read(bank, part))


def test_an_alarm_says_what_was_expected_and_the_interval_of_what_was_seen() -> None:
    (alarm, *_) = read(bank_after_two_weeks(), buckets(days=1, first_day=14, hit=0.1))
    assert alarm.before == pytest.approx(0.2, abs=0.02)
    assert alarm.low <= 0.1 <= alarm.high < alarm.before
    assert alarm.low >= 0


def test_an_alarm_is_over_once_the_signal_is_as_before() -> None:
    ended = read_ends(bank_after_two_weeks(), buckets(days=1, first_day=14, hit=0.1), buckets(days=2, first_day=15))
    (hits,) = [alarm for alarm in ended if alarm.signal == "hit_rate"]
    assert hits.ending == AlarmEnding.RECOVERED
    assert MONDAY_MS + 15 * DAY_MS < (hits.over_ms or 0) < MONDAY_MS + 16 * DAY_MS


def test_a_change_that_returns_raises_no_second_alarm() -> None:
    bank = bank_after_two_weeks()
    moved, back = buckets(days=1, first_day=14, mix=(0.3, 0.5, 0.2)), buckets(days=6, first_day=15)
    assert [alarm.signal for alarm in read(bank, moved, back)] == ["categories"]


def test_a_change_that_lasts_is_the_new_normal_after_a_week() -> None:
    ended = read_ends(bank_after_two_weeks(), buckets(days=9, first_day=14, mix=(0.3, 0.5, 0.2)))
    assert [(alarm.signal, alarm.ending) for alarm in ended] == [("categories", AlarmEnding.NEW_NORMAL)]
    assert (ended[0].over_ms or 0) - ended[0].detected_ms == pytest.approx(7 * DAY_MS, abs=DAY_MS / 12)


def test_an_outage_is_a_silence_and_says_nothing_about_interests() -> None:
    (alarm,) = read(bank_after_two_weeks(), buckets(days=7, first_day=16))
    assert (alarm.signal, alarm.ending) == ("silence", AlarmEnding.RESUMED)
    assert alarm.detected_ms - alarm.onset_ms == 2 * DAY_MS
    assert alarm.before == pytest.approx(2 * DAY_MS / BUCKET_MS * 20, rel=0.05)


def test_a_model_that_gets_worse_after_its_promotion_is_noticed() -> None:
    second = buckets(days=3, first_day=14, hit=0.3, version="v2")
    alarms = read(bank_after_two_weeks(), second, buckets(days=1, first_day=17, hit=0.15, version="v2"))
    assert {alarm.model_version for alarm in alarms} == {"v2"}


def test_without_a_model_only_what_is_counted_is_watched() -> None:
    bank = detector_bank()
    points = [point for bucket in buckets(days=9, version=None) for point in bank.read(bucket).points]
    assert {point.signal for point in points} <= {"categories", "gaps", "new_users", "new_items"}


def returning(share_on: Callable[[int], float]) -> Iterator[Bucket]:
    """60 days, a bucket an hour, of 60 gaps, of which a share that grows with the day is longer than a week."""
    rng = np.random.default_rng(8)
    for hour in range(60 * 24):
        num = int(rng.binomial(60, share_on(hour // 24)))
        counts = BucketCounts(60, gaps=Counter({3: 40 - num // 2, 4: 20 - num + num // 2, 10: num}))
        yield Bucket(MONDAY_MS + hour * DAY_MS // 24, counts)


def test_pauses_of_weeks_become_more_frequent_in_a_young_log_without_alarm() -> None:
    assert read(detector_bank(), returning(lambda day: 0.3 * min(max(day - 7, 0) / 23, 1))) == []


def test_more_pauses_of_minutes_in_a_young_log_are_an_alarm() -> None:
    some = list(returning(lambda day: 0.0))
    longer = BucketCounts(60, gaps=Counter({3: 20, 4: 20, 5: 20}))
    changed = [replace(bucket, counts=longer) if number > 20 * 24 else bucket for number, bucket in enumerate(some)]
    assert [alarm.signal for alarm in read(detector_bank(), changed)] == ["gaps"]


def confident(some: Iterable[Bucket], mean: float = 0.5) -> Iterator[Bucket]:
    """The buckets, whose users' items the model ranks first with a probability about this."""
    rng = np.random.default_rng(6)
    for bucket in some:
        num = bucket.tally.num
        tally = replace(bucket.tally, num_confident=num, confidence=float(rng.normal(mean, 0.2, num).sum()))
        yield replace(bucket, tally=tally)


@pytest.mark.parametrize(("mean", "signals"), [(0.3, ["confidence"]), (0.47, []), (0.7, [])])
def test_a_model_that_is_much_less_confident_is_noticed(mean: float, signals: list[str]) -> None:
    after = confident(buckets(days=2, first_day=14), mean)
    assert [alarm.signal for alarm in read(bank_after_two_weeks(confident), after)] == signals


def test_another_model_is_as_confident_as_it_is() -> None:
    after = confident(buckets(days=2, first_day=14, version="v2"), 0.3)
    assert read(bank_after_two_weeks(confident), after) == []


SHOWN = {"fallback": 0.1, "popularity_bias": 0.6, "novelty": 9.0, "diversity": 0.7, "coverage": 0.5}


def with_answers(some: Iterable[Bucket], **changed: float) -> Iterator[Bucket]:
    """Buckets with 20 answers each, which vary as real ones; what they show is `SHOWN`, or `changed`."""
    rng, shown = np.random.default_rng(5), SHOWN | changed
    for bucket in some:
        counts = replace(bucket.counts, num_answers=20, num_fallbacks=int(rng.binomial(20, shown["fallback"])))
        for name, num, total, high in (
            ("popularity_bias", "num_answers", "popularity", 1.0),
            ("novelty", "num_novel", "novelty", np.inf),
            ("diversity", "num_diverse", "diversity", 1.0),
            ("coverage", "num_grouped", "coverage", 1.0),
        ):
            values = np.clip(rng.normal(shown[name], 0.15, 20), 0, high) * PER_MILLE
            counts = replace(counts, **{num: 20, total: int(values.sum())})
        yield replace(bucket, counts=counts)


@pytest.mark.parametrize(
    ("signal", "worse"),
    [("fallback", 0.3), ("popularity_bias", 0.8), ("novelty", 7.0), ("diversity", 0.5), ("coverage", 0.3)],
)
def test_what_answers_show_is_monitored_and_alarms_once(signal: str, worse: float) -> None:
    (alarm,) = read(bank_after_two_weeks(with_answers), with_answers(buckets(days=2, first_day=14), **{signal: worse}))
    change_ms = MONDAY_MS + 14 * DAY_MS
    assert alarm.signal == signal
    assert abs(alarm.onset_ms - change_ms) <= DAY_MS / 12
    assert alarm.after == pytest.approx(worse, abs=0.05)


def test_answers_that_become_alike_in_all_ways_raise_one_alarm() -> None:
    alike = {"popularity_bias": 0.8, "novelty": 7.0, "diversity": 0.5, "coverage": 0.3}
    alarms = read(bank_after_two_weeks(with_answers), with_answers(buckets(days=2, first_day=14), **alike))
    assert len(alarms) == 1


def test_what_is_better_in_answers_is_no_trouble() -> None:
    better = {"fallback": 0.0, "popularity_bias": 0.4, "novelty": 11.0, "diversity": 0.9, "coverage": 0.7}
    changed = with_answers(buckets(days=2, first_day=14), **better)
    assert read(bank_after_two_weeks(with_answers), changed) == []


def in_segments(some: Iterable[Bucket], **changed: float) -> Iterator[Bucket]:
    """The buckets with five users scored in each of two countries, about so many of whom had a hit."""
    rng, hits = np.random.default_rng(1), {"PL": 0.4, "DE": 0.4} | changed
    for bucket in some:
        tallies = {
            f"event.country={name}": ScoreTally(5, float(rng.binomial(5, share)), 10.0 + rng.normal(), 30.0)
            for name, share in hits.items()
        }
        yield replace(bucket, segments=tallies)


def test_overall_alarm_covers_segments_and_other_model_signals() -> None:
    after = in_segments(buckets(days=2, first_day=14, hit=0.1), PL=0.1, DE=0.1)
    alarms = read(bank_after_two_weeks(in_segments, hit=0.4), after)
    assert [(alarm.signal, alarm.segment) for alarm in alarms] == [("hit_rate", "")]


def test_a_watched_segment_has_signals_of_its_own() -> None:
    after = in_segments(buckets(days=2, first_day=14, hit=0.4), PL=0.2)
    alarms = read(bank_after_two_weeks(in_segments, hit=0.4), after)
    assert [(alarm.signal, alarm.segment) for alarm in alarms] == [("hit_rate", "event.country=PL")]


def test_at_most_max_segments_are_monitored() -> None:
    watched = DetectorBank(detectors, max_segments=1, topic_name=str)
    segmented = in_segments(buckets(days=1))
    rare = (
        replace(bucket, segments=dict(list(bucket.segments.items())[n % 9 > 0 :])) for n, bucket in enumerate(segmented)
    )
    points = [point for bucket in rare for point in watched.read(bucket).points]
    assert {point.segment for point in points} == {"", "event.country=DE"}


def test_replayed_buckets_give_the_same_alarms() -> None:
    stored = [*buckets(days=3), *buckets(days=3, first_day=3, mix=(0.1, 0.1, 0.8))]
    first, restarted = detector_bank(warmup_days=2), detector_bank(warmup_days=2)
    findings = [first.read(bucket) for bucket in stored]
    assert any(finding.alarms for finding in findings)
    assert [restarted.read(bucket) for bucket in stored] == findings
