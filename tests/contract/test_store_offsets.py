"""Offsets, popularity and event counts: each writer has its own, and reads sum over writers."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from stored_events import CLICK, VIEW

from core.clock import DAY_MS, HOUR_MS, MINUTE_MS
from core.ports.store import Store
from core.records.stored import WriterPosition


def test_writers_start_without_an_offset_and_keep_their_keys(store: Store) -> None:
    with store.transaction() as tx:
        sources = tx.offsets.lock("interactions", [4, 3])
        tx.commit()
    with store.transaction() as tx:
        assert tx.offsets.lock("interactions", [3]) == {3: sources[3]}
        assert tx.offsets.lock("interactions", [3, 5, 4]) == sources | {5: tx.offsets.lock("interactions", [5])[5]}
    assert {(source.applied_offset, source.newest_ms) for source in sources.values()} == {(None, None)}
    assert sources[3].key != sources[4].key


def test_offsets_of_several_partitions_are_saved_together(store: Store) -> None:
    with store.transaction() as tx:
        sources = tx.offsets.lock("interactions", [0, 1, 2])
        tx.offsets.save([replace(source, applied_offset=41) for source in sources.values()])
        tx.commit()
    with store.transaction() as tx:
        opened = tx.offsets.lock("interactions", [0, 2])
        assert {source.applied_offset for source in opened.values()} == {41}
        tx.offsets.save([replace(opened[2], applied_offset=50), replace(opened[0], applied_offset=43)])
        tx.commit()
    with store.read() as read:
        assert read.offsets.applied("interactions") == {0: 43, 1: 41, 2: 50}


def test_a_writer_without_offsets_has_no_applied_offset(store: Store) -> None:
    with store.transaction() as tx:
        tx.offsets.save([replace(tx.offsets.lock("api", [0])[0], newest_ms=1000)])
        tx.commit()
    with store.read() as read:
        assert read.offsets.applied("api") == {}


def test_the_stream_clock_is_the_newest_event_time_of_any_writer(store: Store) -> None:
    with store.read() as read:
        assert read.offsets.newest_event_ms() is None
    with store.transaction() as tx:
        tx.offsets.save([replace(tx.offsets.lock("api", [0])[0], newest_ms=2000)])
        tx.offsets.save([replace(tx.offsets.lock("interactions", [0])[0], newest_ms=1000)])
        tx.offsets.lock("interactions", [1])
        tx.commit()
    with store.read() as read:
        assert read.offsets.newest_event_ms() == 2000


def test_popularity_is_summed_over_writers(store: Store) -> None:
    with store.transaction() as tx:
        tx.popularity.add(1, {10: 3.0, 11: 4.0})
        tx.popularity.add(2, {10: 3.0})
        tx.popularity.add(1, {11: 4.0})
        tx.commit()
    with store.read() as read:
        keys, scores = read.popularity.scores()
    assert keys.tolist() == [10, 11]
    assert scores.tolist() == pytest.approx([4.0, 5.0])  # 2**3 + 2**3 = 2**4


def test_popularity_sums_scores_beyond_the_range_of_a_float(store: Store) -> None:
    with store.transaction() as tx:
        tx.popularity.add(1, {10: 5000.0})
        tx.popularity.add(2, {10: 5000.0})
        for score in (3000.0, 7.0, -5000.0):
            tx.popularity.add(1, {11: score})
        tx.commit()
    with store.read() as read:
        assert read.popularity.scores()[1].tolist() == pytest.approx([5001.0, 3000.0])


@pytest.mark.parametrize("scores", [[-3000.0, 3000.0], [0.5, 0.25, -1.0], [10.0] * 5, [0.0, -59.0, -61.0]])
def test_popularity_sums_do_not_depend_on_order(store: Store, scores: list[float]) -> None:
    with store.transaction() as tx:
        for score in scores:
            tx.popularity.add(1, {10: score})
        for score in reversed(scores):
            tx.popularity.add(1, {11: score})
        tx.commit()
    with store.read() as read:
        assert read.popularity.scores()[1].tolist()[-2:] == pytest.approx([np.logaddexp2.reduce(scores)] * 2)


def test_writers_are_listed_with_their_offsets(store: Store) -> None:
    with store.transaction() as tx:
        partition = tx.offsets.lock("interactions", [0, 1])[1]
        tx.offsets.save([replace(partition, applied_offset=41, newest_ms=1_000)])
        tx.offsets.save([replace(tx.offsets.lock("http", [0])[0], newest_ms=2_000)])
        tx.commit()
    with store.read() as read:
        assert read.offsets.positions() == [
            WriterPosition("http", 0, None, 2_000),
            WriterPosition("interactions", 0, None, None),
            WriterPosition("interactions", 1, 41, 1_000),
        ]


def test_event_counts_are_summed_over_writers_and_types(store: Store) -> None:
    with store.transaction() as tx:
        for stream in ("http", "import"):
            key = tx.offsets.lock(stream, [0])[0].key
            tx.event_counts.add(key, {(0, CLICK): 5, (300_000, CLICK): 2, (300_000, VIEW): 3, (600_000, VIEW): 1})
        tx.commit()
    with store.read() as read:
        assert [read.event_counts.total(since_ms=ms) for ms in (0, 300_000, 600_000, 900_000)] == [22, 12, 2, 0]


def test_events_are_counted_by_bucket_and_type(store: Store) -> None:
    with store.transaction() as tx:
        writer = tx.offsets.lock("http", [0])[0]
        tx.event_counts.add(writer.key, {(0, 1): 5, (300_000, 1): 7, (300_000, 2): 11})
        tx.commit()
    with store.read() as read:
        assert read.event_counts.total(type_codes=[1], since_ms=0) == 12
        assert read.event_counts.total(type_codes=[1, 2], since_ms=1) == 18
        assert read.event_counts.total(type_codes=[1], since_ms=300_001) == 0


def test_event_counts_are_summed_over_writers_in_longer_steps(store: Store) -> None:
    with store.transaction() as tx:
        for stream in ("http", "import"):
            key = tx.offsets.lock(stream, [0])[0].key
            tx.event_counts.add(key, {(0, CLICK): 5, (300_000, CLICK): 2, (600_000, VIEW): 1, (900_000, VIEW): 4})
        tx.commit()
    with store.read() as read:
        assert read.event_counts.by_step(since_ms=300_000, before_ms=900_000, step_ms=600_000) == {
            (0, CLICK): 4,
            (600_000, VIEW): 2,
        }


PERIODS_MS = [(0, 2**62), (7 * MINUTE_MS, 3 * DAY_MS), (DAY_MS - HOUR_MS, DAY_MS + 90 * MINUTE_MS), (HOUR_MS, HOUR_MS)]


@pytest.mark.parametrize("step_ms", [HOUR_MS, 6 * HOUR_MS, DAY_MS, 4 * DAY_MS])
def test_long_steps_are_the_sums_of_their_buckets(store: Store, step_ms: int) -> None:
    chance = random.Random(3)
    buckets = [chance.randrange(0, 6 * DAY_MS, 5 * MINUTE_MS) for _ in range(300)]
    with store.transaction() as tx:
        key = tx.offsets.lock("http", [0])[0].key
        for bucket_ms in buckets:
            tx.event_counts.add(key, {(bucket_ms, CLICK): chance.choice([1, 3, -1]), (bucket_ms, VIEW): 1})
        tx.commit()
    with store.read() as read:
        for since_ms, before_ms in PERIODS_MS:
            sums: Counter[tuple[int, int]] = Counter()
            fine = read.event_counts.by_step(since_ms=since_ms, before_ms=before_ms)
            for (bucket_ms, code), num in fine.items():
                sums[bucket_ms - bucket_ms % step_ms, code] += num
            steps = read.event_counts.by_step(since_ms=since_ms, before_ms=before_ms, step_ms=step_ms)
            assert steps == {name: num for name, num in sums.items() if num}
            total = sum(read.event_counts.by_step(since_ms=since_ms).values())
            assert read.event_counts.total(since_ms=since_ms) == total


def test_the_highest_lag_of_a_step_is_kept(store: Store) -> None:
    with store.transaction() as tx:
        tx.offsets.note_lags("topic", {0: 5, 1: 0}, bucket_ms=0)
        tx.offsets.note_lags("topic", {0: 3, 1: 2}, bucket_ms=0)
        tx.offsets.note_lags("topic", {0: 9}, bucket_ms=300_000)
        tx.offsets.note_lags("other", {0: 99}, bucket_ms=300_000)
        tx.offsets.note_lags("topic", {0: 1}, bucket_ms=600_000)
        tx.commit()
    with store.read() as read:
        steps = {"since_ms": 0, "before_ms": 900_000, "step_ms": 600_000}
        assert read.offsets.lags("topic", **steps) == {(0, 0): 9, (0, 1): 2, (600_000, 0): 1}
        assert read.offsets.lags("topic", since_ms=0, before_ms=300_000, step_ms=300_000) == {(0, 0): 5, (0, 1): 2}
    with store.transaction() as tx:
        tx.offsets.delete_lags(before_ms=600_000)
        tx.commit()
    with store.read() as read:
        assert read.offsets.lags("topic", **steps) == {(600_000, 0): 1}


def test_cleared_event_counts_are_gone_from_their_sums(store: Store) -> None:
    with store.transaction() as tx:
        key = tx.offsets.lock("http", [0])[0].key
        tx.event_counts.add(key, {(0, CLICK): 5})
        tx.event_counts.clear()
        tx.event_counts.add(key, {(0, CLICK): 2})
        tx.commit()
    with store.read() as read:
        assert read.event_counts.by_step(step_ms=DAY_MS) == {(0, CLICK): 2}
