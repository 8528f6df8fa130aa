"""The answer log: remembers answers behind the requests, and attributes the events that came before their answer.

A request appends to a buffer in memory. At least once a second and at the end, a thread writes it, or sends it to
another process that does: a crash loses at most the answers of the last second, together with their counts, because
both are in one transaction. An answer is stored and counted once, however often a failed transaction is run again.
Events of lost answers are stored as any others; they belong to no answer.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from threading import Lock

from core.background import BackgroundThread
from core.clock import DAY_MS, Clock
from core.errors import StoreError
from core.outcomes.attribution import Attributor
from core.outcomes.counting import answer_counts, items_shown
from core.outcomes.item_counts import item_answer_counts
from core.outcomes.retention import Retention
from core.outcomes.shown_counts import Lists, shown_counts
from core.outcomes.shown_items import ShownItem, ShownItems
from core.outcomes.shown_lists import ShownList, shown_lists
from core.ports.offsets import ANSWERS
from core.ports.store import Store, Transaction
from core.records.outcomes import Answer, Measure, StoredAnswer

logger = logging.getLogger(__name__)

PERIOD_S = 0.5
BATCH = 100  # answers per transaction: some 7 ms of Python, which requests and ingest wait for
LARGE_BATCH = 500  # where `BACKLOG` wait: half the work per answer, so that the log keeps up with what is answered
BACKLOG = 1_000
MAX_DEFERRED = 1_000  # events per transaction
MAX_WAITING = 50_000  # about 50 MB; more are dropped, which happens while the database is away
MAX_KNOWN = 500_000  # (day, origin, item) that are known to be stored: about 60 MB
DEFERRED_MS = 60_000  # how long an event waits for its answer
MAINTENANCE_S = 60.0
DELETE_STEP = 1_000
DEFAULT_RETENTION = Retention()


class AnswerLog:
    """Remembers the answers of one process. `add` and `flush` may be called by any thread."""

    def __init__(
        self,
        store: Store,
        attributor: Attributor,
        items: ShownItems,
        *,
        clock: Clock,
        wall: Clock,
        retention: Retention = DEFAULT_RETENTION,
        send: Callable[[Sequence[Answer]], bool] | None = None,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        """`clock`: of answers, by which they grow old. `wall`: by which events wait for their answer.

        `send`: has another process store answers by its `store`; False where that failed: this one stores them.
        """
        self._store = store
        self._attributor = attributor
        self._items = items
        self._clock = clock
        self._wall = wall
        self._retention = retention
        self._send = send
        self._sends = send is not None
        self._seconds = seconds
        self._waiting: deque[Answer] = deque()
        self._shown: set[tuple[int, int, int]] = set()
        self._ungrouped: Lists = ()
        self._maintained_s = seconds()
        self._flushing = Lock()
        self._thread = BackgroundThread("answer log", self.flush, period_s=PERIOD_S)
        self.num_dropped = 0

    @property
    def num_waiting(self) -> int:
        """How many answers wait to be written."""
        return len(self._waiting)

    def add(self, answer: Answer) -> None:
        """Remember an answer; returns at once. It is dropped where too many wait, or it has no items."""
        if len(self._waiting) >= MAX_WAITING:
            self.num_dropped += 1
        elif answer.item_ids:
            self._waiting.append(answer)

    def start(self) -> None:
        """Start to write."""
        self._thread.start()

    def stop(self) -> None:
        """Write what waits, attribute the events that came before it, and end."""
        self._thread.stop()
        try:
            self._write_waiting()
            if not self._sends:
                self._attribute_deferred()
        except StoreError as error:
            logger.error("%d answers could not be remembered: %s", len(self._waiting), error)

    def flush(self) -> None:
        """Store and count what waits, then attribute the events that came before their answer; raises `StoreError`.

        Where another process stores the answers, it does all of this.
        """
        with self._flushing:
            self._write_waiting()
            if not self._sends:
                self._attribute_deferred()
                self._maintain()

    def store(self, answers: Sequence[Answer]) -> None:
        """Store and count the answers of another process, at once; raises `StoreError`."""
        with self._flushing:
            self._write(answers)

    def _write_waiting(self) -> None:
        num_left = len(self._waiting)  # answers that come meanwhile wait for the next time: few at once cost most
        while num_left > 0:
            started_s = self._seconds()
            size = LARGE_BATCH if self._sends or len(self._waiting) > BACKLOG else BATCH
            batch = [self._waiting.popleft() for _ in range(min(size, len(self._waiting)))]
            num_left -= len(batch)
            try:
                self._sends = self._send is not None and self._send(batch)
                if not self._sends:
                    self._write(batch)
            except StoreError:
                self._waiting.extendleft(reversed(batch))
                raise
            if num_left > 0 and not self._sends:
                self._thread.pause(self._seconds() - started_s)  # requests share the interpreter with this thread

    def _write(self, answers: Sequence[Answer]) -> None:
        with self._store.transaction() as tx:
            writer = tx.offsets.lock(ANSWERS, [0])[0]
            kept = _of_present_users(tx, answers)
            origins = tx.answers.name_origins(sorted({answer.origin for answer in kept}))
            items = self._items_of(tx, kept)
            lists = shown_lists([answer.item_ids for answer in kept], items)
            added = tx.answers.add(list(map(_stored, kept, (origins[answer.origin] for answer in kept), lists)))
            shown = items_shown(added) - self._shown
            tx.answers.add_items_shown(sorted(shown))
            tx.outcomes.add_counts(writer.key, answer_counts(added))
            tx.item_counts.add(writer.key, item_answer_counts(added))
            new = {stored.key for stored in added}
            counted = (one for one in zip(kept, lists, strict=True) if bytes.fromhex(one[0].recommendation_id) in new)
            counts, ungrouped = shown_counts(counted, self._ungrouped)
            tx.drift.add_counts(writer.key, counts)
            tx.commit()
        self._ungrouped = ungrouped
        if len(self._shown) > MAX_KNOWN:
            self._shown.clear()
        self._shown |= shown

    def _items_of(self, tx: Transaction, answers: Sequence[Answer]) -> dict[str, ShownItem]:
        item_ids = list(dict.fromkeys(item_id for answer in answers for item_id in answer.item_ids))
        items = self._items.facts(item_ids, now_ms=self._clock.now_ms())
        missing = [item_id for item_id in item_ids if item_id not in items]
        if missing:
            keys = tx.items.resolve(missing)
            items |= {item_id: ShownItem(keys[item_id], is_new=False, novelty=0.0) for item_id in missing}
        return items

    def _attribute_deferred(self) -> None:
        with self._store.read(snapshot=False) as read:
            if not read.outcomes.deferred(limit=1):
                return
        with self._store.transaction() as tx:
            writer = tx.offsets.lock(ANSWERS, [0])[0]  # one process at a time, so that each event counts once
            self._attributor.attribute_deferred(tx, writer.key, tx.outcomes.deferred(limit=MAX_DEFERRED))
            tx.commit()

    def _maintain(self) -> None:
        """Delete old answers, a step at each call while there are any; look for them once a minute."""
        if self._seconds() - self._maintained_s < MAINTENANCE_S:
            return
        now_ms = self._clock.now_ms()
        with self._store.transaction() as tx:
            oldest_day = self._retention.oldest_ms(now_ms) // DAY_MS
            tx.outcomes.expire_deferred(before_ms=self._wall.now_ms() - DEFERRED_MS)
            totals = tx.outcomes.totals("day", since_day=oldest_day, until_day=now_ms // DAY_MS + 1)
            by_day = {day: num for day, measure, num, _ in totals if measure == Measure.ANSWER}
            num_deleted = tx.answers.delete_before(self._retention.first_ms(now_ms, by_day), limit=DELETE_STEP)
            num_deleted += tx.item_counts.delete_shown_before(oldest_day, limit=DELETE_STEP)
            tx.commit()
        if num_deleted < DELETE_STEP:
            self._maintained_s = self._seconds()


def _of_present_users(tx: Transaction, answers: Sequence[Answer]) -> list[Answer]:
    """Without those of users who were erased since; a guest who was merged since is the user.

    Users are locked: an erasure or merge comes before or after all of this. An erased user's key is never used again.
    Times decide only where the user was not known yet: clocks differ between processes.
    """
    known = tx.users.lock_ids(sorted({answer.user_id for answer in answers if answer.user_id is not None}))
    present = {user.user_key for user in known.values()}
    other = {answer.user_key for answer in answers if answer.user_key is not None} - present
    if other:  # of ids that were merged since, or erased
        present |= {state.key for state in tx.users.by_key(sorted(other))}
    strangers = {answer.user_id for answer in answers if answer.user_id is not None and answer.user_key is None}
    erased = tx.users.erasure_times(sorted(strangers - known.keys()))
    erased |= {user_id: user.erased_ms for user_id, user in known.items() if user.erased_ms is not None}

    def is_present(answer: Answer) -> bool:
        if answer.user_key is not None:
            return answer.user_key in present
        return answer.user_id is None or answer.time_ms > erased.get(answer.user_id, -1)

    own_ids = {user_id: user.own_id for user_id, user in known.items() if user.own_id != user_id}
    return [
        replace(answer, user_id=own_ids[answer.user_id]) if answer.user_id in own_ids else answer
        for answer in answers
        if is_present(answer)
    ]


def _stored(answer: Answer, origin_key: int, shown: ShownList) -> StoredAnswer:
    return StoredAnswer(
        bytes.fromhex(answer.recommendation_id),
        answer.user_id,
        answer.time_ms,
        origin_key,
        shown.item_keys,
        answer.propensities,
        shown.num_new,
        shown.novelty,
    )
