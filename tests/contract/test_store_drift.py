"""Drift monitoring: counts, sampled events with scores, buckets, points and alarms."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from core.catalogue.items import Item
from core.errors import StoreConflict
from core.ports.store import Store
from core.records.drift import (
    Alarm,
    Bucket,
    BucketCounts,
    ItemFacts,
    Point,
    SampledEvent,
    Score,
    ScoreTally,
)
from core.records.statuses import AlarmEnding
from core.topics import OTHERS, OTHERS_NAME

HOUR = 3_600_000
ALARM = Alarm("hit_rate//5", "hit_rate", "", 5, 2, 0.2, 0.1, 0.08, 0.12, "events moved from Tea to Wok", "v1")


def key(number: int) -> bytes:
    return number.to_bytes(16, "big")


def write(store: Store, method: str, *args: Any, **named: Any) -> Any:
    with store.transaction() as tx:
        result = getattr(tx.drift, method)(*args, **named)
        tx.commit()
    return result


def counts(num: int, **topics: int) -> BucketCounts:
    by_code = Counter({int(code[1:]): n for code, n in topics.items()})
    return BucketCounts(num, 1, 2, by_code, Counter({3: num}), {"user=new": by_code.copy()} if by_code else {})


def test_drift_counts_are_summed_over_batches_and_writers(store: Store) -> None:
    for source, num in ((1, 2), (1, 3), (2, 10)):
        write(store, "add_counts", source, {HOUR: counts(num, t5=num), 2 * HOUR: counts(1)})
    with store.read() as read:
        assert read.drift.counted_ms(after_ms=-1, before_ms=9 * HOUR, limit=9) == [HOUR, 2 * HOUR]
        assert read.drift.counted_ms(after_ms=HOUR, before_ms=9 * HOUR, limit=9) == [2 * HOUR]
        assert read.drift.counted_ms(after_ms=-1, before_ms=2 * HOUR, limit=9) == [HOUR]
        assert read.drift.counted_ms(after_ms=-1, before_ms=9 * HOUR, limit=1) == [HOUR]
        sums = read.drift.counts([HOUR, 7 * HOUR])
        assert read.drift.num_events([HOUR, 2 * HOUR, 7 * HOUR]) == {HOUR: 15, 2 * HOUR: 3}
    assert sums == {HOUR: BucketCounts(15, 3, 6, Counter({5: 15}), Counter({3: 15}), {"user=new": Counter({5: 15})})}


def test_days_hold_the_sum_of_their_buckets(store: Store) -> None:
    starts_ms = [0, HOUR, 23 * HOUR, 24 * HOUR, 49 * HOUR]
    for writer in (1, 2, 1):
        write(store, "add_counts", writer, {start_ms: counts(3, t5=2, t7=1) for start_ms in starts_ms})
    write(store, "add_counts", 3, {HOUR: counts(-4, t5=-4)})
    with store.read() as read:
        days = read.drift.day_counts(since_ms=0, before_ms=48 * HOUR)
        buckets = read.drift.counts(starts_ms)
        assert list(read.drift.day_counts(since_ms=1, before_ms=49 * HOUR)) == [24 * HOUR, 48 * HOUR]
    first = BucketCounts()
    for start_ms in starts_ms[:3]:
        first.add(BucketCounts(topics=buckets[start_ms].topics, segments=buckets[start_ms].segments))
    second = buckets[24 * HOUR]
    assert days == {0: first, 24 * HOUR: BucketCounts(topics=second.topics, segments=second.segments)}


def test_clearing_drift_counts_deletes_those_of_all_other_writers(store: Store) -> None:
    of_answers = BucketCounts(num_answers=4, num_fallbacks=1, popularity=2_700)
    write(store, "add_counts", 1, {HOUR: counts(1)})
    for _ in range(2):
        write(store, "add_counts", 2, {HOUR: replace(of_answers)})
    with store.transaction() as tx:
        tx.drift.clear_counts(kept_writer=2)
        tx.commit()
    with store.read() as read:
        kept = read.drift.counts(read.drift.counted_ms(after_ms=-1, before_ms=9 * HOUR, limit=9))
    assert kept == {HOUR: BucketCounts(num_answers=8, num_fallbacks=2, popularity=5_400)}


def test_item_topic_changes_with_the_catalogue_but_not_its_creation(store: Store) -> None:
    with store.transaction() as tx:
        stub = tx.items.resolve(["stub"], now_ms=70)["stub"]
        tx.items.save([Item("tea", categories=("Tea", "Drinks"))], now_ms=50)
        tx.commit()
    with store.transaction() as tx:
        tea = tx.items.resolve(["tea"], now_ms=99)["tea"]
        assert tx.drift.item_facts([stub, tea, 1234]) == {stub: ItemFacts(0, 70), tea: ItemFacts(1, 50)}
        tx.items.save([Item("stub", categories=("Wok",)), Item("tea")], now_ms=200)
        assert tx.drift.item_facts([stub, tea]) == {stub: ItemFacts(2, 70), tea: ItemFacts(0, 50)}
        tx.commit()
    with store.read() as read:
        assert read.drift.item_facts([stub]) == {stub: ItemFacts(2, 70)}
        assert read.drift.topics() == {1: "Tea", 2: "Wok", OTHERS: OTHERS_NAME}


def test_topics_set_for_items_without_category_last_until_saved(store: Store) -> None:
    with store.transaction() as tx:
        tx.items.save([Item("tea", "Green tea"), Item("wok", categories=("Wok",))], now_ms=50)
        keys = tx.items.resolve(["tea", "wok"])
        assert tx.drift.name_topics(["Wok", "green, tea"]) == {"Wok": 1, "green, tea": 2}
        tx.drift.set_topics({keys["tea"]: 2})
        tx.commit()
    with store.read() as read:
        assert {key: facts.topic for key, facts in read.drift.item_facts(list(keys.values())).items()} == {
            keys["tea"]: 2,
            keys["wok"]: 1,
        }
    with store.transaction() as tx:
        tx.items.save([Item("tea", "Black tea")], now_ms=60)
        assert tx.drift.item_facts([keys["tea"]])[keys["tea"]].topic == 0


def test_topics_beyond_the_last_code_are_counted_together(store: Store) -> None:
    with store.transaction() as tx:
        codes = tx.drift.name_topics([*(f"c{number:03d}" for number in range(300)), "c299"])
        tx.commit()
    assert (codes["c299"], codes["c000"], codes["c253"]) == (1, 2, OTHERS)
    assert len(set(codes.values())) == OTHERS


def test_unscored_events_are_read_oldest_first(store: Store) -> None:
    write(store, "add_samples", [SampledEvent(key(1), 7, 30), SampledEvent(key(2), 8, 20), SampledEvent(key(3), 7, 10)])
    with store.read() as read:
        assert [sample.time_ms for sample in read.drift.unscored(limit=2)] == [10, 20]
        assert read.drift.scores(from_ms=0, to_ms=100) == []
    first = Score(key(3), 7, 10, "v1", 4, 2.5, 9, ("category=Tea",), 0.6)
    nothing = Score(key(2), 8, 20)
    write(store, "save_scores", [first, nothing])
    with store.read() as read:
        assert read.drift.unscored(limit=9) == [SampledEvent(key(1), 7, 30)]
        assert read.drift.scores(from_ms=10, to_ms=20) == [first]
        assert read.drift.scores(from_ms=10, to_ms=21) == [first, nothing]


def test_an_event_sampled_again_keeps_its_score(store: Store) -> None:
    write(store, "add_samples", [SampledEvent(key(1), 7, 30)])
    write(store, "save_scores", [Score(key(1), 7, 30, "v1", 1, 0.5)])
    write(store, "add_samples", [SampledEvent(key(1), 7, 30)])
    with store.read() as read:
        assert read.drift.unscored(limit=9) == []


def test_old_scores_are_deleted(store: Store) -> None:
    write(store, "add_samples", [SampledEvent(key(n), 7, n) for n in (1, 2, 3)])
    assert write(store, "delete_scores", before_ms=3) == 2
    with store.read() as read:
        assert read.drift.unscored(limit=9) == [SampledEvent(key(3), 7, 3)]


def test_erasing_a_user_deletes_sampled_events(store: Store) -> None:
    with store.transaction() as tx:
        ann, bob = (tx.users.lock([name])[name].key for name in ("ann", "bob"))
        tx.drift.add_samples([SampledEvent(key(1), ann, 1), SampledEvent(key(2), bob, 2), SampledEvent(key(3), ann, 3)])
        tx.drift.save_scores([Score(key(1), ann, 1, "v1", 1, 0.5)])
        tx.commit()
    with store.transaction() as tx:
        tx.users.erase("ann", now_ms=100)
        tx.drift.save_scores([Score(key(3), ann, 3, "v1", 1, 0.5)])
        tx.commit()
    with store.read() as read:
        assert read.drift.scores(from_ms=0, to_ms=9) == []
        assert read.drift.unscored(limit=9) == [SampledEvent(key(2), bob, 2)]


def test_a_bucket_is_closed_once_and_read_back_unchanged(store: Store) -> None:
    tally = ScoreTally(3, 1.5, 7.0, 20.0, 2, 0.9)
    bucket = Bucket(HOUR, counts(4, t1=3, t2=1), "v1", tally, {1: tally}, {"category=Tea": tally})
    write(store, "add_bucket", bucket)
    write(store, "add_bucket", Bucket(3 * HOUR, BucketCounts()))
    with pytest.raises(StoreConflict, match="closed by another monitor"):
        write(store, "add_bucket", Bucket(HOUR, BucketCounts()))
    with store.read() as read:
        assert read.drift.last_bucket_ms() == 3 * HOUR
        assert read.drift.buckets() == [bucket, Bucket(3 * HOUR, BucketCounts())]
        assert read.drift.buckets(after_ms=HOUR) == [Bucket(3 * HOUR, BucketCounts())]
        assert read.drift.buckets(limit=1) == [bucket]


def test_points_are_read_by_signal_segment_and_time(store: Store) -> None:
    points = [Point("loss", "", 10, 20, 5, 1.5, None), Point("loss", "", 0, 10, 5, 1.0, 1.1)]
    other = Point("hit_rate", "category=Tea", 0, 5, 1, 0.5, None)
    write(store, "save_points", [*points, other])
    write(store, "save_points", [points[0]._replace(value=2.5)])
    with store.read() as read:
        assert read.drift.points(since_ms=0) == [other, points[1], points[0]._replace(value=2.5)]
        assert read.drift.points(since_ms=10) == [points[0]._replace(value=2.5)]


def unsent_alarms(store: Store, *, since_ms: int = 0, max_attempts: int = 20, limit: int = 100) -> list[Alarm]:
    with store.read() as read:
        return read.drift.unsent_alarms(since_ms=since_ms, max_attempts=max_attempts, limit=limit)


def test_alarms_are_newest_first_and_unsent_ones_oldest_first(store: Store) -> None:
    later = replace(ALARM, alarm_id="loss//9", signal="loss", detected_ms=9, model_version=None)
    write(store, "save_alarms", [ALARM, later])
    with store.read() as read:
        assert read.drift.alarms() == [later, ALARM]
        assert read.drift.alarms(limit=1) == [later]
        assert read.drift.newest_alarm_ms() == 9
    assert unsent_alarms(store) == [ALARM, later]
    assert unsent_alarms(store, limit=1) == [ALARM]
    write(store, "save_delivery", replace(ALARM, sent_ms=50, num_attempts=2))
    assert unsent_alarms(store) == [later]
    with store.read() as read:
        assert read.drift.alarms()[1] == replace(ALARM, sent_ms=50, num_attempts=2)


def test_unsent_alarms_are_recent_and_of_few_attempts(store: Store) -> None:
    later = replace(ALARM, alarm_id="loss//9", detected_ms=9)
    write(store, "save_alarms", [ALARM, later])
    assert unsent_alarms(store, since_ms=9) == [later]
    write(store, "save_delivery", replace(later, num_attempts=3))
    assert unsent_alarms(store, since_ms=9, max_attempts=3) == []
    assert unsent_alarms(store, since_ms=9, max_attempts=4) == [replace(later, num_attempts=3)]


def test_the_end_of_an_alarm_and_its_delivery_do_not_overwrite_each_other(store: Store) -> None:
    write(store, "save_alarms", [ALARM])
    write(store, "save_delivery", replace(ALARM, sent_ms=50, num_attempts=1))
    ended = replace(ALARM, over_ms=90, ending=AlarmEnding.RECOVERED)
    write(store, "save_alarms", [ended])
    write(store, "save_delivery", replace(ALARM, sent_ms=60, num_attempts=2))
    with store.read() as read:
        assert read.drift.alarms() == [replace(ended, sent_ms=60, num_attempts=2)]


def test_deleting_buckets_keeps_alarms(store: Store) -> None:
    write(store, "add_bucket", Bucket(HOUR, BucketCounts()))
    write(store, "save_points", [Point("loss", "", 0, 10, 5, 1.0, 1.1)])
    write(store, "save_alarms", [ALARM])
    write(store, "delete_buckets")
    with store.read() as read:
        assert read.drift.last_bucket_ms() is None
        assert read.drift.points(since_ms=0) == []
        assert read.drift.alarms() == [ALARM]


def test_an_empty_store_has_no_drift_data(store: Store) -> None:
    with store.read() as read:
        assert read.drift.last_bucket_ms() is None
        assert read.drift.newest_alarm_ms() is None
        assert read.drift.counts([HOUR]) == {}
        assert read.drift.day_counts(since_ms=0, before_ms=24 * HOUR) == {}
