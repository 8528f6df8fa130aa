"""Activity: rates and latencies of the last hour, a sample every few seconds, kept in memory.

Event rates come from the database, so that they count the events of all processes; answers and latencies are those of
this process. Independent of HTTP.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import astuple, dataclass, fields
from threading import Lock

import numpy as np

from core.clock import DAY_MS, HOUR_MS
from core.errors import TidewiseError
from core.ports.store import Store
from core.records.drift import BUCKET_MS
from serving.runtime.query_executor import QueryExecutor

_log = logging.getLogger(__name__)

RETENTION_MS = HOUR_MS
LOOKBACK_MS = 30 * DAY_MS  # older events are imported history and not counted as activity
MAX_LATENCIES = 20_000  # per period, which bounds memory; later ones are dropped


@dataclass(frozen=True, slots=True)
class Sample:
    """One period. Latencies are None without requests."""

    time: int
    events_per_s: float
    recommendations_per_s: float
    recommendation_p50_ms: float | None
    recommendation_p99_ms: float | None
    freshness_p50_ms: float | None
    freshness_p99_ms: float | None
    waiting_events: int


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
        self.period_s = period_s
        self._after_sample = after_sample
        self._samples: deque[Sample] = deque(maxlen=max(1, int(RETENTION_MS / 1000 / period_s)))
        self._lock = Lock()
        self._recommendations_s: list[float] = []
        self._applied_s: list[float] = []
        self._since_ms = 0
        self._counted: int | None = None
        self._sampled_s = 0.0

    def add_recommendation(self, took_s: float) -> None:
        """Record the latency of a recommendation."""
        with self._lock:
            if len(self._recommendations_s) < MAX_LATENCIES:
                self._recommendations_s.append(took_s)

    def add_applied(self, took_s: float) -> None:
        """Record the latency of a request whose events were applied: the next answer knows them."""
        with self._lock:
            if len(self._applied_s) < MAX_LATENCIES:
                self._applied_s.append(took_s)

    def sample(self, at_s: float) -> None:
        """End a period; the first call only starts one."""
        started, num_events = self._counted is not None, self._num_new_events()
        with self._lock:
            recommendations_s, self._recommendations_s = self._recommendations_s, []
            applied_s, self._applied_s = self._applied_s, []
        took_s, self._sampled_s = at_s - self._sampled_s, at_s
        if started and took_s > 0:
            rates = (round(num_events / took_s, 3), round(len(recommendations_s) / took_s, 3))
            times = (*_quantiles_ms(recommendations_s), *_quantiles_ms(applied_s))
            self._samples.append(Sample(self._now_ms(), *rates, *times, self._num_waiting()))

    def columns(self) -> dict[str, list[float | int | None]]:
        """All samples, oldest first, a list for each field."""
        names = [field.name for field in fields(Sample)]
        rows = [astuple(sample) for sample in list(self._samples)]
        return {name: [row[column] for row in rows] for column, name in enumerate(names)}

    async def run(self, executor: QueryExecutor) -> None:
        """Sample until cancelled; without the database, samples are missing."""
        while True:
            try:
                await executor.run(lambda: self.sample(time.monotonic()))
                await executor.run(self._after_sample)
            except TidewiseError as error:
                _log.debug("no sample: %s", error)
            except Exception:  # a bug here costs a sample, not the process
                _log.exception("no sample")
            await asyncio.sleep(self.period_s)

    def _num_new_events(self) -> int:
        """Events counted since the last call. The lower bound moves along, so that a month of buckets is summed."""
        with self._store.read() as read:
            counted = read.event_counts.total(since_ms=self._since_ms)
            new = 0 if self._counted is None else max(0, counted - self._counted)
            newest_ms = read.offsets.newest_event_ms() or 0
            self._since_ms = max(0, newest_ms - LOOKBACK_MS) // BUCKET_MS * BUCKET_MS
            self._counted = read.event_counts.total(since_ms=self._since_ms)
        return new


def _quantiles_ms(times_s: list[float]) -> tuple[float | None, float | None]:
    if not times_s:
        return None, None
    p50, p99 = np.quantile(times_s, (0.5, 0.99)) * 1000
    return round(float(p50), 3), round(float(p99), 3)
