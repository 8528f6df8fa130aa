"""The monitor: scores the sample, closes buckets in order, and stores what the watcher makes of them.

One process at a time holds the role. What a step stores, it stores in one transaction, fenced by the role's lease: the
closed bucket with its points and alarms. Everything the watcher knows follows from the closed buckets, so whoever takes
the role, after whatever crash, reads those and goes on where the last one stood.

Independent of detectors' libraries, HTTP or threads.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby

from core.clock import Clock
from core.drift.detector_bank import DetectorBank
from core.drift.records import BUCKET_MS, Alarm, Bucket, BucketCounts, Point, Score, ScoreTally
from core.drift.scoring import Scoring
from core.errors import LeaseLost, StoreConflict
from core.lease import Lease
from core.ports.store import Store

ROLE = "monitor"
GRACE_MS = 60_000  # how late an event may come and still be in its bucket
HIT_RANK = 10
MANY = 200  # buckets in one transaction: some 20 ms
LOOK = 2_000  # buckets of a backlog looked at before they are closed: a week
PAGE = 5_000  # closed buckets read at once


class Monitor:
    """The monitor of one process. Used by one thread."""

    def __init__(
        self,
        store: Store,
        *,
        lease: Lease,
        scoring: Scoring,
        watcher: Callable[[], DetectorBank],
        clock: Clock,
        keep_ms: int,
        on_alarm: Callable[[Alarm], None],
    ) -> None:
        """`watcher`: makes a fresh one. `keep_ms`: how long single scores are kept. `on_alarm`: told of new ones."""
        self._store = store
        self._lease = lease
        self._scoring = scoring
        self._fresh = watcher
        self._clock = clock
        self._keep_ms = keep_ms
        self._on_alarm = on_alarm
        self._watcher: DetectorBank | None = None
        self._last_ms = -1
        self._looked_at: dict[int, int] = {}  # buckets of a backlog with their numbers of events, at the last look
        self.num_scored = 0
        self.num_buckets = 0
        self.num_alarms = 0

    @property
    def is_active(self) -> bool:
        """Whether this process held the role at its last step."""
        return self._lease.is_held

    def step(self) -> bool:
        """Do what there is to do; False where another process monitors."""
        if not self._lease.hold():
            self._watcher = None
            return False
        try:
            self._score()
            watcher = self._watcher or self._resumed()
            while self._close(watcher):
                if not self._lease.hold():
                    break
        except (LeaseLost, StoreConflict):
            self._watcher = None  # another monitor went on meanwhile: what was read since is its business
            raise
        return True

    def catch_up(self) -> bool:
        """Step until nothing is left to do; False where another process monitors."""
        while self.step():
            if not self._looked_at:  # else there was a backlog: look again whether it grows
                return True
        return False

    def release(self) -> None:
        """Let another process monitor."""
        self._lease.release()

    def _score(self) -> None:
        """Score what waits."""
        while scores := self._scoring.next_scores():
            with self._lease.transaction() as tx:
                tx.drift.save_scores(scores)
                tx.commit()
            self.num_scored += len(scores)
            if not self._lease.hold():
                return

    def _resumed(self) -> DetectorBank:
        """A watcher that has read all closed buckets."""
        watcher, self._last_ms = self._fresh(), -1
        while True:
            with self._store.read() as read:
                closed = read.drift.buckets(after_ms=self._last_ms, limit=PAGE)
            for bucket in closed:
                watcher.read(bucket)
                self._last_ms = bucket.start_ms
            if not closed:
                self._watcher = watcher
                return watcher

    def _close(self, watcher: DetectorBank) -> bool:
        """Close some of the buckets whose time is over; False where there are no more."""
        before_ms = self._clock.now_ms() - GRACE_MS - BUCKET_MS + 1
        with self._store.read() as read:
            waiting = read.drift.counted_ms(after_ms=self._last_ms, before_ms=before_ms, limit=LOOK)
            counts = read.drift.counts(waiting)
            settled = self._settled({start: counts[start].num_events for start in waiting})
            starts = settled[:MANY]
            if not starts:
                return False
            scores = read.drift.scores(from_ms=starts[0], to_ms=starts[-1] + BUCKET_MS)
        by_start = {start: list(some) for start, some in groupby(scores, lambda s: s.time_ms // BUCKET_MS * BUCKET_MS)}
        closed = [bucket_of(start, counts[start], by_start.get(start, ())) for start in starts]
        self._watcher = None  # until what it is about to read is stored
        findings = [watcher.read(bucket) for bucket in closed]
        points = [point for found in findings for point in found.points]
        alarms = [alarm for found in findings for alarm in found.alarms]
        self._store_all(closed, points, alarms)
        self._watcher, self._last_ms = watcher, starts[-1]
        self.num_buckets += len(closed)
        self.num_alarms += len(alarms)
        for alarm in alarms:
            self._on_alarm(alarm)
        return len(settled) > MANY

    def _settled(self, waiting: dict[int, int]) -> list[int]:
        """Which buckets to close, of those whose time is over, with their numbers of events.

        Of a backlog those of the last look, once none of them has grown since: a history that is being imported just
        now is read when it is there, and live events, which are in later buckets, hold nothing up.
        """
        looked_at = {start: num for start, num in self._looked_at.items() if start > self._last_ms}
        newest_ms = max(looked_at, default=-1)
        if len(waiting) > 1 and {start: num for start, num in waiting.items() if start <= newest_ms} != looked_at:
            looked_at = {}
        if len(waiting) > 1 and not looked_at:
            self._looked_at = waiting
            return []
        self._looked_at = looked_at
        return sorted(looked_at or waiting)

    def _store_all(self, closed: Sequence[Bucket], points: Sequence[Point], alarms: Sequence[Alarm]) -> None:
        with self._lease.transaction() as tx:
            for bucket in closed:
                tx.drift.add_bucket(bucket)
            tx.drift.save_points(points)
            tx.drift.save_alarms(alarms)
            tx.drift.delete_scores(before_ms=closed[-1].start_ms - self._keep_ms)
            tx.commit()


def bucket_of(start_ms: int, counts: BucketCounts, scores: Sequence[Score]) -> Bucket:
    """A closed bucket: its counts, and the tallies of the scores of the model that scored it last."""
    version = next((score.version for score in reversed(scores) if score.version is not None), None)
    own = [score for score in scores if version is not None and score.version == version]
    segments = sorted({name for score in own for name in score.segments})
    return Bucket(
        start_ms,
        counts,
        version,
        _tally(own),
        {code: _tally([s for s in own if s.topic == code]) for code in sorted({score.topic for score in own})},
        {name: _tally([score for score in own if name in score.segments]) for name in segments},
    )


def _tally(scores: Sequence[Score]) -> ScoreTally:
    """One observation per user: the mean of their scores."""
    total = ScoreTally()
    by_user = sorted(scores, key=lambda score: score.user_key)
    for _, some in groupby(by_user, lambda score: score.user_key):
        own = list(some)
        hits = sum(score.rank is not None and score.rank <= HIT_RANK for score in own) / len(own)
        loss = sum(score.loss or 0.0 for score in own) / len(own)
        total += ScoreTally(1, hits, loss, loss * loss)
    return total
