"""The drift monitor: scores sampled events, closes buckets in order, and stores the resulting points and alarms.

One process at a time holds the lease. A step stores a closed bucket with its points and alarms in one transaction,
fenced by the lease. The state of the detector bank follows from the closed buckets: the next holder replays them and
continues, also after a crash.

Independent of detector libraries, HTTP and threads.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import groupby

from core.clock import Clock
from core.drift.detector_bank import DetectorBank
from core.drift.scoring import Scoring
from core.errors import LeaseLost, StoreConflict
from core.lease import Lease
from core.ports.store import Store
from core.records.drift import BUCKET_MS, Alarm, Bucket, BucketCounts, Point, Score, ScoreTally
from core.records.stored import UserShift

ROLE = "monitor"
GRACE_MS = 60_000  # a bucket is closed this long after its end, for late events
HIT_RANK = 10
MAX_CLOSED = 200  # buckets per transaction: about 20 ms
MAX_BACKLOG = 2_000  # buckets of a backlog read at once: a week
PAGE = 500  # closed buckets read at once: about half a second


class Monitor:
    """The monitor of one process. Used by one thread."""

    def __init__(
        self,
        store: Store,
        *,
        lease: Lease,
        scoring: Scoring,
        detector_bank: Callable[[], DetectorBank],
        clock: Clock,
        keep_ms: int,
        on_alarm: Callable[[Alarm], None],
        shifts: Callable[[Sequence[int]], Sequence[UserShift]],
    ) -> None:
        """`detector_bank`: its factory. `keep_ms`: of scores. `on_alarm`: called with alarms that are new or over.

        `shifts`: tests the interests of users by key; it is called for the users of the sampled events.
        """
        self._store = store
        self._lease = lease
        self._scoring = scoring
        self._new_detector_bank = detector_bank
        self._clock = clock
        self._keep_ms = keep_ms
        self._on_alarm = on_alarm
        self._shifts = shifts
        self._detector_bank: DetectorBank | None = None
        self._stopping = False
        self._last_ms = -1
        self._backlog: dict[int, int] = {}  # buckets at the last step, with their numbers of events
        self.num_scored = 0
        self.num_buckets = 0
        self.num_alarms = 0

    @property
    def is_active(self) -> bool:
        """Whether this process held the lease at its last step."""
        return self._lease.is_held

    def step(self) -> bool:
        """Score samples and close buckets; False if another process holds the lease."""
        if not self._lease.hold():
            self._detector_bank = None
            return False
        try:
            self._score()
            detector_bank = self._detector_bank or self._replay()
            if detector_bank:
                self._close_all(detector_bank)
        except (LeaseLost, StoreConflict):
            self._detector_bank = None  # another monitor has taken over: replay before the next step
            raise
        return True

    def catch_up(self) -> bool:
        """Step until all is done; False if another process holds the lease."""
        while self.step():
            if not self._backlog:  # else there is a backlog: check again whether it grows
                return True
        return False

    def request_stop(self) -> None:
        """Ask a step in progress to end soon; from any thread."""
        self._stopping = True

    def release(self) -> None:
        """Release the lease."""
        self._lease.release()

    def _score(self) -> None:
        """Score all unscored samples, and test whether their users' interests shifted."""
        while scores := self._scoring.next_scores():
            with self._lease.transaction() as tx:
                tx.drift.save_scores(scores)
                tx.commit()
            self.num_scored += len(scores)
            self._test_interests(sorted({score.user_key for score in scores}))
            if not self._lease.hold():
                return

    def _test_interests(self, user_keys: Sequence[int]) -> None:
        """In a transaction of their own: an erasure locks first a user, then the scores."""
        shifts = self._shifts(user_keys)
        if shifts:
            with self._lease.transaction() as tx:
                tx.users.lock_by_key(user_keys)
                tx.users.save_shifts(shifts)
                tx.commit()

    def _replay(self) -> DetectorBank | None:
        """A detector bank that has read all closed buckets; None where it has to stop before, or loses the lease."""
        detector_bank, self._last_ms = self._new_detector_bank(), -1
        while not self._stopping and self._lease.hold():
            with self._store.read() as read:
                closed = read.drift.buckets(after_ms=self._last_ms, limit=PAGE)
            for bucket in closed:
                detector_bank.read(bucket)
                self._last_ms = bucket.start_ms
            if not closed:
                self._detector_bank = detector_bank
                return detector_bank
        return None

    def _close_all(self, detector_bank: DetectorBank) -> None:
        """Close the complete buckets, up to `MAX_CLOSED` in a transaction."""
        settled = self._settled(self._waiting())
        starts = sorted(settled)
        for begin in range(0, len(starts), MAX_CLOSED):
            if begin and (self._stopping or not self._lease.hold()):
                return
            if not self._close(detector_bank, {start: settled[start] for start in starts[begin : begin + MAX_CLOSED]}):
                return

    def _waiting(self) -> dict[int, int]:
        """The complete buckets that are not closed, with their numbers of events, which costs less than all counts."""
        before_ms = self._clock.now_ms() - GRACE_MS - BUCKET_MS + 1
        with self._store.read() as read:
            starts = read.drift.counted_ms(after_ms=self._last_ms, before_ms=before_ms, limit=MAX_BACKLOG)
            nums = read.drift.num_events(starts)
        known = len(starts) if len(starts) == MAX_BACKLOG else _up_to_newest_event(starts, nums)
        return {start: nums[start] for start in starts[:known]}

    def _close(self, detector_bank: DetectorBank, settled: Mapping[int, int]) -> bool:
        """Close buckets, at least one; False, and nothing is closed, where one has grown since it was settled."""
        starts = sorted(settled)
        with self._store.read() as read:
            counts = read.drift.counts(starts)
            scores = read.drift.scores(from_ms=starts[0], to_ms=starts[-1] + BUCKET_MS)
        if any(counts[start].num_events != num for start, num in settled.items()):
            return False
        by_start = {
            start: list(group) for start, group in groupby(scores, lambda s: s.time_ms // BUCKET_MS * BUCKET_MS)
        }
        closed = [bucket_of(start, counts[start], by_start.get(start, ())) for start in starts]
        self._detector_bank = None  # until the buckets that it reads now are stored
        findings = [detector_bank.read(bucket) for bucket in closed]
        points = [point for finding in findings for point in finding.points]
        alarms = [alarm for finding in findings for alarm in finding.alarms]
        ended = [alarm for finding in findings for alarm in finding.ended]
        self._store_all(closed, points, [*alarms, *ended])
        self._detector_bank, self._last_ms = detector_bank, starts[-1]
        self.num_buckets += len(closed)
        self.num_alarms += len(alarms)
        for alarm in (*alarms, *ended):
            self._on_alarm(alarm)
        return True

    def _settled(self, waiting: dict[int, int]) -> dict[int, int]:
        """Which buckets to close, of the complete ones, all with their numbers of events.

        A backlog of several buckets is closed once none of them has grown since the last step, so that a history that
        is being imported is read completely; live events, in later buckets, do not delay it.
        """
        backlog = {start: num for start, num in self._backlog.items() if start > self._last_ms}
        newest_ms = max(backlog, default=-1)
        if len(waiting) > 1 and {start: num for start, num in waiting.items() if start <= newest_ms} != backlog:
            backlog = {}
        if len(waiting) > 1 and not backlog:
            self._backlog = waiting
            return {}
        self._backlog = backlog
        return backlog or waiting

    def _store_all(self, closed: Sequence[Bucket], points: Sequence[Point], alarms: Sequence[Alarm]) -> None:
        with self._lease.transaction() as tx:
            for bucket in closed:
                tx.drift.add_bucket(bucket)
            tx.drift.save_points(points)
            tx.drift.save_alarms(alarms)
            tx.drift.delete_scores(before_ms=closed[-1].start_ms - self._keep_ms)
            tx.commit()


def _up_to_newest_event(starts_ms: Sequence[int], nums: Mapping[int, int]) -> int:
    """How many buckets there are up to the newest with events: earlier events may follow those of answers alone."""
    return max((number for number, start in enumerate(starts_ms, 1) if nums[start]), default=0)


def bucket_of(start_ms: int, counts: BucketCounts, scores: Sequence[Score]) -> Bucket:
    """A closed bucket: its counts, and the tallies of the last model's scores."""
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
    for _, group in groupby(by_user, lambda score: score.user_key):
        own = list(group)
        hits = sum(score.rank is not None and score.rank <= HIT_RANK for score in own) / len(own)
        loss = sum(score.loss or 0.0 for score in own) / len(own)
        confidences = [score.confidence for score in own if score.confidence is not None]
        confidence = sum(confidences) / max(len(confidences), 1)
        total += ScoreTally(1, hits, loss, loss * loss, bool(confidences), confidence)
    return total
