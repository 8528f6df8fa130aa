"""The answer log: written behind requests, once each, bounded, and with its counts or not at all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest
from domain_doubles import NOW_MS
from doubles import MemoryStore, MemoryTransaction
from outcome_log import OutcomeShop

from core.errors import StoreUnavailable
from core.outcomes import answer_log
from core.outcomes.answer_log import AnswerLog
from core.outcomes.retention import Retention
from core.records.outcomes import Answer, Measure

ANSWER = ("ann", ["lamp", "mug"], "", 0)


class CrashingTransaction(MemoryTransaction):
    """Fails at the commit; `committed`: after the database has committed, so that nobody knows."""

    after_commit = False

    def commit(self) -> None:
        if self.after_commit:
            super().commit()
        msg = "the connection was lost"
        raise StoreUnavailable(msg)


class CrashingStore(MemoryStore):
    """Loses the connection at its next commits."""

    def __init__(self, crashes: list[str]) -> None:
        super().__init__()
        self._crashes = crashes

    @contextmanager
    def transaction(self) -> Iterator[MemoryTransaction]:
        if not self._crashes:
            with super().transaction() as transaction:
                yield transaction
            return
        transaction = CrashingTransaction(self._data.copy())
        transaction.after_commit = self._crashes.pop(0) == "after"
        try:
            yield transaction
        finally:
            if transaction.committed:
                self._data = transaction.data


def num_answers(store: MemoryStore) -> int:
    with store.read() as read:
        totals = read.outcomes.totals("day", since_day=0, until_day=10**6)
    return sum(num for _, measure, num, _ in totals if measure == Measure.ANSWER)


@pytest.mark.parametrize("crashes", [["before"], ["after"], ["before", "after", "before"]])
def test_a_crash_between_log_and_count_counts_once(crashes: list[str]) -> None:
    num_crashes = len(crashes)
    shop = OutcomeShop(CrashingStore(crashes))
    shop.answer(ANSWER)
    for _ in range(num_crashes):
        with pytest.raises(StoreUnavailable):
            shop.log.flush()
    shop.flush()
    shop.assert_counted()
    assert num_answers(shop.store) == 1  # type: ignore[arg-type]


def test_answers_of_a_killed_process_are_lost_with_their_counts() -> None:
    shop = OutcomeShop(MemoryStore())
    shop.answer(ANSWER)
    click = ("ann", "mug", "click", 0, 0)
    shop.event(click)
    killed = shop.answers.pop()
    shop.__post_init__()
    shop.flush()
    shop.assert_counted()
    assert shop.events[0].awaited == killed.answer.recommendation_id


def test_events_of_a_lost_answer_are_forgotten_after_a_while() -> None:
    store = MemoryStore()
    shop = OutcomeShop(store)
    shop.answer(ANSWER)
    shop.event(("ann", "mug", "click", 0, 0))
    with store.transaction() as tx:
        tx.outcomes.expire_deferred(before_ms=NOW_MS + 10**12)
        tx.commit()
    shop.log.flush()
    with store.read() as read:
        assert Measure.CLICK not in {row[1] for row in read.outcomes.totals("day", since_day=0, until_day=10**6)}


def test_the_thread_writes_what_waits_when_it_stops() -> None:
    shop = OutcomeShop(MemoryStore())
    shop.log.start()
    shop.answer(ANSWER)
    shop.log.stop()
    assert num_answers(shop.store) == 1  # type: ignore[arg-type]


def test_events_before_the_last_answers_are_attributed_when_it_stops() -> None:
    shop = OutcomeShop(MemoryStore())
    shop.answer(ANSWER)
    shop.event(("ann", "mug", "click", 0, 0))
    shop.log.stop()
    with shop.store.read() as read:
        assert Measure.CLICK in {row[1] for row in read.outcomes.totals("day", since_day=0, until_day=10**6)}


def test_too_many_waiting_answers_are_dropped_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answer_log, "MAX_WAITING", 2)
    shop = OutcomeShop(MemoryStore())
    for _ in range(3):
        shop.answer(ANSWER)
    assert shop.log.num_dropped == 1
    shop.log.flush()
    assert num_answers(shop.store) == 2  # type: ignore[arg-type]


class SteppedStore(MemoryStore):
    """Notes how many answers are stored after each transaction."""

    def __init__(self) -> None:
        super().__init__()
        self.steps: list[int] = []

    @contextmanager
    def transaction(self) -> Iterator[MemoryTransaction]:
        with super().transaction() as transaction:
            yield transaction
        self.steps.append(num_answers(self))


def test_a_backlog_is_written_in_larger_transactions(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, num in (("BATCH", 2), ("LARGE_BATCH", 3), ("BACKLOG", 4)):
        monkeypatch.setattr(answer_log, name, num)
    store = SteppedStore()
    shop = OutcomeShop(store)
    for _ in range(9):
        shop.answer(ANSWER)
    store.steps.clear()
    shop.log.flush()
    assert store.steps[:4] == [3, 6, 8, 9]


def test_old_answers_are_deleted_in_steps_and_their_counts_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answer_log, "DELETE_STEP", 2)
    shop = OutcomeShop(MemoryStore())
    for at_s in (0, 3000, 6000, 9000):
        shop.answer(("ann", ["lamp"], "", at_s))
    shop.log.flush()
    keys = [bytes.fromhex(given.answer.recommendation_id) for given in shop.answers]
    clock = shop.clock
    clock.advance(by_ms=30 * 86_400_000 + 7_000_000)
    now_s = [0.0]
    keeper = AnswerLog(
        shop.store,
        shop.ingestor.attributor,
        shop.log._items,  # noqa: SLF001
        clock=clock,
        wall=clock,
        retention=Retention(days=30),
        seconds=lambda: now_s[0],
    )
    now_s[0] = 60.0
    left = []
    for _ in range(3):
        keeper.flush()
        with shop.store.read() as read:
            left.append(len(read.answers.by_key(keys)))
    assert left == [2, 1, 1]
    assert num_answers(shop.store) == 4  # type: ignore[arg-type]


@pytest.mark.parametrize("is_stored", [True, False])
def test_answers_that_another_process_does_not_store_are_stored_here(*, is_stored: bool) -> None:
    shop, other = OutcomeShop(MemoryStore()), OutcomeShop(MemoryStore())
    clock, sent = shop.clock, []

    def send(answers: Sequence[Answer]) -> bool:
        sent.extend(answers)
        if is_stored:
            other.log.store(answers)
        return is_stored

    items = shop.log._items  # noqa: SLF001
    shop.log = AnswerLog(shop.store, shop.ingestor.attributor, items, clock=clock, wall=clock, send=send)
    shop.answer(ANSWER)
    shop.log.flush()
    assert sent == [given.answer for given in shop.answers]
    assert [num_answers(s.store) for s in (shop, other)] == [int(not is_stored), int(is_stored)]  # type: ignore[arg-type]
    shop.answer(ANSWER)
    shop.log.stop()
    assert [num_answers(s.store) for s in (shop, other)] == [2 * (not is_stored), 2 * is_stored]  # type: ignore[arg-type]


def test_answers_that_come_while_a_batch_is_sent_wait() -> None:
    shop, sizes = OutcomeShop(MemoryStore()), []

    def send(answers: Sequence[Answer]) -> bool:
        sizes.append(len(answers))
        shop.answer(ANSWER)
        return True

    items = shop.log._items  # noqa: SLF001
    shop.log = AnswerLog(shop.store, shop.ingestor.attributor, items, clock=shop.clock, wall=shop.clock, send=send)
    shop.answer(ANSWER)
    shop.answer(ANSWER)
    shop.log.flush()
    shop.log.flush()
    assert (sizes, shop.log.num_waiting) == ([2, 1], 1)
