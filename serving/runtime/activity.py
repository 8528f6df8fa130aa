"""Activity: rates and latencies of the last hour, in periods of a few seconds.

Processes count latencies in buckets and add them up in the database, so that every process reports the same figures,
those of all processes together. Event rates come from the numbers of stored events. Independent of HTTP.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from threading import Lock

import numpy as np

from core.clock import DAY_MS, HOUR_MS
from core.errors import TidewiseError
from core.ports.store import Store
from core.records.activity import ActivityCount, ActivityKind
from core.records.drift import BUCKET_MS
from serving.runtime.query_executor import QueryExecutor

_log = logging.getLogger(__name__)

RETENTION_MS = HOUR_MS
LOOKBACK_MS = 30 * DAY_MS  # older events are imported history and not counted as activity
SHORTEST_S = 1e-4  # the upper bound of the first bucket of latencies
BUCKET_RATIO = 1.1  # the upper bound of each bucket, relative to that of the one before
NUM_BUCKETS = 150  # up to 147 s; longer latencies count in the last bucket

Columns = dict[str, list[float | int | None]]


def _do_nothing() -> None:
    pass


class ActivitySampler:
    """Collects samples. `add_recommendation` and `add_applied` may be called from any thread, `sample` from one.

    `after_sample` is called after each sample.
    """

    def __init__(
        self,
        store: Store,
        *,
        num_waiting: Callable[[], int],
        now_ms: Callable[[], int],
        period_s: float,
        after_sample: Callable[[], None] = _do_nothing,
    ) -> None:
        self._store = store
        self._num_waiting = num_waiting
        self._now_ms = now_ms
        self.period_ms = max(1, round(period_s * 1000))
        self._after_sample = after_sample
        self._lock = Lock()
        self._counted: Counter[tuple[int, ActivityKind, int]] = Counter()
        self._event_rates: deque[tuple[int, float]] = deque(maxlen=max(1, RETENTION_MS // self.period_ms))
        self._since_ms = 0
        self._num_events: int | None = None
        self._sampled_s = 0.0
        self._begin_ms = self._period(now_ms())

    def add_recommendation(self, took_s: float) -> None:
        """Record the latency of a recommendation."""
        self._add(ActivityKind.RECOMMENDATION, _bucket(took_s))

    def add_applied(self, took_s: float) -> None:
        """Record the latency of a request whose events were applied: the next answer knows them."""
        self._add(ActivityKind.APPLIED_EVENTS, _bucket(took_s))

    def sample(self, at_s: float) -> None:
        """Store what was counted since the last call, and note the rate of events."""
        started, num_events = self._num_events is not None, self._num_new_events()
        took_s, self._sampled_s = at_s - self._sampled_s, at_s
        if started and took_s > 0:
            self._event_rates.append((self._period(self._now_ms()), round(num_events / took_s, 3)))
        num_waiting = self._num_waiting()
        if num_waiting:
            self._add(ActivityKind.WAITING_EVENTS, 0, num_waiting)
        self._store_counted()

    def columns(self) -> Columns:
        """A value for each period that all processes have stored, oldest first, a list for each field."""
        end_ms = self._period(self._now_ms()) - self.period_ms
        since_ms = end_ms - RETENTION_MS
        with self._store.read() as read:
            stored = read.activity.counts(since_ms=since_ms, before_ms=end_ms)
        begin_ms = max(since_ms, min([self._begin_ms, *(count.start_ms for count in stored[:1])]))
        starts = range(begin_ms, end_ms, self.period_ms)
        by_period: dict[tuple[int, ActivityKind], dict[int, int]] = {}
        for start_ms, kind, bucket, num in stored:
            by_period.setdefault((start_ms, kind), {})[bucket] = num

        def counts(kind: ActivityKind) -> list[Mapping[int, int]]:
            return [by_period.get((start_ms, kind), {}) for start_ms in starts]

        answers, applied = counts(ActivityKind.RECOMMENDATION), counts(ActivityKind.APPLIED_EVENTS)
        event_rates = dict(self._event_rates)
        return {
            "time": [start_ms + self.period_ms for start_ms in starts],
            "events_per_s": [event_rates.get(start_ms) for start_ms in starts],
            "recommendations_per_s": [round(1000 * sum(nums.values()) / self.period_ms, 3) for nums in answers],
            "recommendation_p50_ms": [_quantile_ms(nums, 0.5) for nums in answers],
            "recommendation_p99_ms": [_quantile_ms(nums, 0.99) for nums in answers],
            "freshness_p50_ms": [_quantile_ms(nums, 0.5) for nums in applied],
            "freshness_p99_ms": [_quantile_ms(nums, 0.99) for nums in applied],
            "waiting_events": [nums.get(0, 0) for nums in counts(ActivityKind.WAITING_EVENTS)],
        }

    async def run(self, executor: QueryExecutor) -> None:
        """Sample until cancelled; without the database, samples are stored later."""
        while True:
            try:
                await executor.run(lambda: self.sample(time.monotonic()))
                await executor.run(self._after_sample)
            except TidewiseError as error:
                _log.debug("no sample: %s", error)
            except Exception:  # a bug here costs a sample, not the process
                _log.exception("no sample")
            await asyncio.sleep(self.period_ms / 1000)

    def _period(self, time_ms: int) -> int:
        """The beginning of a time's period; the same in every process."""
        return time_ms - time_ms % self.period_ms

    def _add(self, kind: ActivityKind, bucket: int, num: int = 1) -> None:
        name = (self._period(self._now_ms()), kind, bucket)
        with self._lock:
            self._counted[name] += num

    def _store_counted(self) -> None:
        """Add to the stored counts; nothing is written where nothing was counted."""
        with self._lock:
            counted, self._counted = self._counted, Counter()
        if not counted:
            return
        try:
            with self._store.transaction() as tx:
                tx.activity.add([ActivityCount(*name, num) for name, num in counted.items()])
                tx.activity.delete(before_ms=self._now_ms() - RETENTION_MS - 2 * self.period_ms)
                tx.commit()
        except TidewiseError:
            with self._lock:
                self._counted.update(counted)
            raise

    def _num_new_events(self) -> int:
        """Events counted since the last call. The lower bound moves along, so that a month of buckets is summed."""
        with self._store.read() as read:
            counted = read.event_counts.total(since_ms=self._since_ms)
            new = 0 if self._num_events is None else max(0, counted - self._num_events)
            newest_ms = read.offsets.newest_event_ms() or 0
            self._since_ms = max(0, newest_ms - LOOKBACK_MS) // BUCKET_MS * BUCKET_MS
            self._num_events = read.event_counts.total(since_ms=self._since_ms)
        return new


def _bucket(took_s: float) -> int:
    """The bucket of a latency."""
    steps = math.log(max(took_s, SHORTEST_S) / SHORTEST_S, BUCKET_RATIO)
    return min(NUM_BUCKETS - 1, math.ceil(steps))


def _quantile_ms(nums: Mapping[int, int], share: float) -> float | None:
    """The latency in milliseconds that this share of requests does not exceed, within 5%; None without requests."""
    if not nums:
        return None
    buckets = sorted(nums)
    cumulated = np.cumsum([nums[bucket] for bucket in buckets])
    bucket = buckets[int(np.searchsorted(cumulated, share * cumulated[-1]))]
    return round(1000 * SHORTEST_S * math.pow(BUCKET_RATIO, bucket - 0.5), 4)
