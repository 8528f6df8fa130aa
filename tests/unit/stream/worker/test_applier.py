"""Applying a batch of messages: exactly once, dead-lettered, retried, or left to another worker."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import orjson
import pytest
from doubles import MemoryStore

from core.clock import ManualClock
from core.errors import (
    InvalidEvent,
    PartitionLost,
    StoreConflict,
    StoreMismatch,
    StoreUnavailable,
    StreamUnavailable,
)
from core.events.history import WindowShape
from core.events.interactions import EventTypes, Interaction
from core.ingestion.ingest import Ingestor
from core.ingestion.sources import EventBatch, IngestResult, StreamSource
from core.records.stored import DeadLetter
from stream.messages.codec import Codec, Decoded, Message
from stream.worker.applier import MAX_UNEXPECTED_ERRORS, Applier, Backoff, ShutdownRequested

NOW_MS = 1_700_000_000_000
NO_PARTITIONS: set[int] = set()


class FailingIngest:
    """The real use case, except where `reject` raises."""

    def __init__(self, store: MemoryStore, reject: Callable[[Sequence[Interaction]], None]) -> None:
        self._real = Ingestor(store, types=EventTypes(), shape=WindowShape(4, 2))
        self._reject = reject
        self.num_calls = 0

    def ingest_together(self, batches: Sequence[EventBatch]) -> IngestResult:
        self.num_calls += 1
        self._reject([event for batch in batches for event in batch.events])
        return self._real.ingest_together(batches)

    def applied_offset(self, stream: str, partition: int) -> int | None:
        return self._real.applied_offset(stream, partition)

    def adopt_log(self, stream: str, log_id: str) -> bool:
        return self._real.adopt_log(stream, log_id)


def reject_nothing(events: Sequence[Interaction]) -> None:
    """Accept everything."""


def reject_items(*bad: str, error: Exception | None = None) -> Callable[[Sequence[Interaction]], None]:
    def reject(events: Sequence[Interaction]) -> None:
        if any(event.item_id in bad for event in events):
            raise error or InvalidEvent("item_id: not in this shop")

    return reject


def fail_first(count: int, error: Exception) -> Callable[[Sequence[Interaction]], None]:
    failures = iter([error] * count)

    def reject(events: Sequence[Interaction]) -> None:
        for failure in failures:
            raise failure

    return reject


def event(name: str, item: str = "lamp", *, user: str = "ann") -> dict[str, object]:
    return {"event_id": name, "user_id": user, "item_id": item, "time": NOW_MS - 10_000}


def message(offset: int, *payloads: object, partition: int = 0) -> Message:
    value = orjson.dumps(payloads[0] if len(payloads) == 1 else payloads)
    return Message("interactions", partition, offset, b"ann", value, NOW_MS - 40)


class Case:
    """An applier over a store in memory."""

    def __init__(self, reject: Callable[[Sequence[Interaction]], None] = reject_nothing) -> None:
        self.store = MemoryStore()
        self.ingest = FailingIngest(self.store, reject)
        self.stop = threading.Event()
        self.published: list[DeadLetter] = []
        self.num_watchdog_resets = 0
        self.applier = Applier(
            self.ingest,
            Codec(clock=ManualClock(NOW_MS)),
            Backoff(self.stop, initial_s=0.0, max_s=0.0),
            publish=self.published.extend,
            reset_watchdog=self.reset_watchdog,
        )

    def reset_watchdog(self) -> None:
        self.num_watchdog_resets += 1

    @property
    def stored(self) -> set[str]:
        with self.store.read() as read:
            return {row.event_key.hex() for rows in read.events.pages() for row in rows}

    @property
    def dead_letters(self) -> list[DeadLetter]:
        with self.store.read() as read:
            return sorted(read.dead_letters.newest(), key=lambda dead_letter: dead_letter.offset)

    @property
    def offset(self) -> int | None:
        return self.offsets.get(0)

    @property
    def offsets(self) -> dict[int, int]:
        with self.store.read() as read:
            return read.offsets.applied("interactions")

    def advance_by_another_worker(self, partition: int, *, to: int) -> None:
        other = Ingestor(self.store, types=EventTypes(), shape=WindowShape(4, 2))
        other.ingest([], StreamSource("interactions", partition, [], 0, to))


def keys(*names: str) -> set[str]:
    return {Interaction(name, "", "", "", 0).event_key.hex() for name in names}


def test_a_batch_is_applied_up_to_its_last_offset() -> None:
    case = Case()
    assert case.applier.apply([message(3, event("a")), message(4, event("b"), event("c"))]) == NO_PARTITIONS
    assert case.stored == keys("a", "b", "c")
    assert case.offset == 4
    assert (case.applier.counters.num_messages, case.applier.counters.num_events) == (2, 3)
    assert case.applier.counters.event_age_ms == 40


def test_messages_without_events_advance_the_offset() -> None:
    case = Case()
    case.applier.apply([message(3, event("a")), message(4, "no event"), message(5, "nor this")])
    assert case.offset == 5
    assert [dead_letter.offset for dead_letter in case.dead_letters] == [4, 5]
    assert case.published == [
        dead_letter for dead_letter in case.published if dead_letter.reason.startswith("event: wanted")
    ]
    assert len(case.published) == 2


def test_offsets_without_a_message_are_counted_as_applied() -> None:
    case = Case()
    case.applier.apply([message(3, event("a"))])
    assert case.applier.skip("interactions", 0, range(4, 6)) == NO_PARTITIONS
    assert case.offset == 5
    assert case.stored == keys("a")


def test_a_lost_partition_is_returned_where_offsets_are_skipped() -> None:
    case = Case()
    case.applier.apply([message(3, event("a"))])
    Ingestor(case.store, types=EventTypes(), shape=WindowShape(4, 2)).ingest_together(
        [EventBatch([], StreamSource("interactions", 0, [], 4, 9))]
    )
    assert case.applier.skip("interactions", 0, range(4, 6)) == {0}
    assert case.offset == 9


def test_dead_letters_are_published_before_the_commit() -> None:
    case = Case()
    offsets: list[int | None] = []
    case.applier.publish = lambda dead_letters: offsets.append(case.offset)
    case.applier.apply([message(3, "no event")])
    assert offsets == [None]
    assert case.offset == 3


@pytest.mark.parametrize("bad", range(5))
def test_a_single_rejected_event_is_dead_lettered_alone(bad: int) -> None:
    case = Case(reject_items("bomb"))
    messages = [message(n, event(f"e{n}", "bomb" if n == bad else "lamp")) for n in range(5)]
    assert case.applier.apply(messages) == NO_PARTITIONS
    assert case.stored == keys(*(f"e{n}" for n in range(5) if n != bad))
    (dead_letter,) = case.dead_letters
    assert (dead_letter.offset, dead_letter.reason) == (bad, "item_id: not in this shop")
    assert orjson.loads(dead_letter.payload)["event_id"] == f"e{bad}"
    assert case.offset == 4


def test_valid_events_of_an_array_with_rejected_ones_are_applied() -> None:
    case = Case(reject_items("bomb", error=OverflowError("too large for a column")))
    items = ["lamp", "bomb", "lamp", "lamp", "bomb"]
    case.applier.apply([message(7, *(event(f"e{n}", item) for n, item in enumerate(items)))])
    assert case.stored == keys("e0", "e2", "e3")
    assert [dead_letter.offset for dead_letter in case.dead_letters] == [7, 7]
    assert case.dead_letters[0].reason == "OverflowError: too large for a column"
    assert case.offset == 7
    assert (case.applier.counters.num_events, case.applier.counters.num_dead_letters) == (3, 2)


def test_after_a_crash_between_halves_every_event_counts_once() -> None:
    case = Case(reject_items("bomb"))
    messages = [message(7, *(event(f"e{n}", "bomb" if n == 3 else "lamp") for n in range(4))), message(8, event("z"))]
    real = case.ingest.ingest_together
    crash = fail_first(1, SystemExit())  # no `Exception`: nothing may catch it, as nothing catches kill -9

    def ingest_together(batches: Sequence[EventBatch]) -> IngestResult:
        if [event.item_id for batch in batches for event in batch.events] == ["bomb"]:
            crash(batches[0].events)
        return real(batches)

    case.ingest.ingest_together = ingest_together  # type: ignore[method-assign]
    with pytest.raises(SystemExit):
        case.applier.apply(messages)
    assert case.offset is not None
    assert case.offset < 7  # the array was applied in part, so its offset was not
    assert case.applier.apply(messages) == NO_PARTITIONS
    assert case.stored == keys("e0", "e1", "e2", "z")
    assert [dead_letter.offset for dead_letter in case.dead_letters] == [7]
    assert case.offset == 8


@pytest.mark.parametrize("error", [StoreUnavailable("away"), StoreConflict("again")])
def test_operational_errors_are_retried_until_the_commit(error: Exception) -> None:
    case = Case(fail_first(3, error))
    assert case.applier.apply([message(3, event("a"))]) == NO_PARTITIONS
    assert case.stored == keys("a")
    assert case.dead_letters == []
    assert case.applier.counters.num_retries == 3
    assert case.num_watchdog_resets == 4  # waiting for a database is not a stall


def test_a_partition_that_another_worker_advanced_is_not_applied() -> None:
    case = Case()
    case.applier.apply([message(3, event("a"))])
    case.advance_by_another_worker(0, to=9)
    assert case.applier.apply([message(4, event("b"))]) == {0}
    assert case.stored == keys("a")
    assert case.applier.counters.num_lost_batches == 1


def messages_of(*partitions: int, offset: int) -> list[Message]:
    return [message(offset, event(f"{p}-{offset}", user=f"user-{p}"), partition=p) for p in partitions]


def test_several_partitions_share_a_transaction() -> None:
    case = Case()
    assert case.applier.apply(messages_of(0, 1, 3, offset=7)) == NO_PARTITIONS
    assert case.ingest.num_calls == 1
    assert case.stored == keys("0-7", "1-7", "3-7")
    assert case.offsets == {0: 7, 1: 7, 3: 7}


def test_a_lost_partition_does_not_stop_the_others() -> None:
    case = Case()
    case.applier.apply(messages_of(0, 1, 2, offset=7))
    case.advance_by_another_worker(1, to=20)
    assert case.applier.apply(messages_of(0, 1, 2, offset=8)) == {1}
    assert case.stored == keys("0-7", "1-7", "2-7", "0-8", "2-8")
    assert case.offsets == {0: 8, 1: 20, 2: 8}
    assert (case.applier.counters.num_lost_batches, case.applier.counters.num_messages) == (1, 5)


def test_later_transactions_skip_a_partition_lost_by_an_earlier_one() -> None:
    case = Case()
    case.applier.max_events = 2
    case.applier.apply(messages_of(0, 1, offset=7))
    case.advance_by_another_worker(1, to=20)
    rest = [message(offset, event(f"1-{offset}"), partition=1) for offset in range(8, 24)]
    assert case.applier.apply([*messages_of(0, offset=8), *rest]) == {1}
    assert case.stored == keys("0-7", "1-7", "0-8")
    assert case.offsets == {0: 8, 1: 20}


def test_nothing_is_applied_when_all_partitions_are_lost() -> None:
    case = Case()
    case.applier.apply(messages_of(0, 1, offset=7))
    for partition in (0, 1):
        case.advance_by_another_worker(partition, to=20)
    assert case.applier.apply(messages_of(0, 1, offset=8)) == {0, 1}
    assert case.offsets == {0: 20, 1: 20}


@pytest.mark.parametrize("bad", range(3))
def test_a_rejected_event_does_not_affect_other_partitions(bad: int) -> None:
    case = Case(reject_items("bomb"))
    messages = [
        message(n, event(f"{partition}-{n}", "bomb" if (partition, n) == (bad, 1) else "lamp"), partition=partition)
        for partition in range(3)
        for n in range(3)
    ]
    assert case.applier.apply(messages) == NO_PARTITIONS
    assert case.stored == keys(*(f"{p}-{n}" for p in range(3) for n in range(3) if (p, n) != (bad, 1)))
    assert [(dead_letter.partition, dead_letter.offset) for dead_letter in case.dead_letters] == [(bad, 1)]
    assert case.offsets == {0: 2, 1: 2, 2: 2}
    assert (case.applier.counters.num_events, case.applier.counters.num_dead_letters) == (8, 1)


def test_a_partition_lost_during_halving_does_not_affect_the_others() -> None:
    case = Case(reject_items("bomb"))
    case.applier.apply(messages_of(0, 1, offset=7))
    real = case.ingest.ingest_together

    def ingest_together(batches: Sequence[EventBatch]) -> IngestResult:
        if len(batches) == 1 and batches[0].source.partition == 1:
            case.advance_by_another_worker(1, to=20)
        return real(batches)

    case.ingest.ingest_together = ingest_together  # type: ignore[method-assign]
    bomb = message(8, event("1-8", "bomb"), event("1-8b"), partition=1)
    assert case.applier.apply([*messages_of(0, offset=8), bomb]) == {1}
    assert case.stored == keys("0-7", "1-7", "0-8")
    assert (case.dead_letters, case.offsets) == ([], {0: 8, 1: 20})


def test_a_lost_partition_is_not_halved() -> None:
    case = Case(fail_first(1, PartitionLost("moved", partitions=[0])))
    assert case.applier.apply([message(3, event("a")), message(4, event("b"))]) == {0}
    assert case.ingest.num_calls == 1


def test_a_database_with_other_settings_ends_the_worker() -> None:
    case = Case(fail_first(1, StoreMismatch("another window")))
    with pytest.raises(StoreMismatch, match="another window"):
        case.applier.apply([message(3, event("a"))])
    assert case.dead_letters == []


def test_an_error_in_a_batch_without_events_ends_the_worker() -> None:
    case = Case(fail_first(1, RuntimeError("a fault of ours")))
    with pytest.raises(RuntimeError, match="a fault of ours"):
        case.applier.apply([message(3, "no event")])


def test_without_the_dead_letter_topic_dead_letters_are_still_stored() -> None:
    case = Case()
    attempts: list[int] = []

    def publish(dead_letters: Sequence[DeadLetter]) -> None:
        attempts.append(len(dead_letters))
        raise StreamUnavailable("no such topic")

    case.applier.publish = publish
    assert case.applier.apply([message(3, "no event"), message(4, event("a"))]) == NO_PARTITIONS
    assert attempts == [1, 1, 1]
    assert [dead_letter.offset for dead_letter in case.dead_letters] == [3]
    assert case.stored == keys("a")


def test_too_many_unexpected_errors_in_a_row_end_the_worker() -> None:
    case = Case(reject_items("lamp", error=RuntimeError("a fault of ours")))
    with pytest.raises(RuntimeError, match="a fault of ours"):
        case.applier.apply([message(n, event(f"e{n}")) for n in range(100)])
    assert len(case.dead_letters) == MAX_UNEXPECTED_ERRORS
    assert case.offset == MAX_UNEXPECTED_ERRORS - 1  # the others are read again once the fault is fixed


def test_any_number_of_rejected_events_does_not_stop_the_stream() -> None:
    case = Case(reject_items("lamp"))
    assert case.applier.apply([message(n, event(f"e{n}")) for n in range(100)]) == NO_PARTITIONS
    assert case.offset == 99


def test_large_arrays_are_applied_in_several_transactions() -> None:
    case = Case()
    case.applier.max_events = 10
    arrays = [message(n, *(event(f"e{n}-{index}") for index in range(6))) for n in range(5)]
    assert case.applier.apply(arrays) == NO_PARTITIONS
    assert case.ingest.num_calls == 3
    assert len(case.stored) == 30
    assert case.offset == 4


def test_a_decoder_failure_does_not_stop_the_stream() -> None:
    class BrittleCodec(Codec):
        def decode(self, message: Message, into: Decoded) -> None:
            if message.offset == 3:
                raise ZeroDivisionError("oops")
            super().decode(message, into)

    case = Case()
    case.applier.codec = BrittleCodec(clock=ManualClock(NOW_MS))
    assert case.applier.apply([message(3, event("a")), message(4, event("b"))]) == NO_PARTITIONS
    assert case.stored == keys("b")
    (dead_letter,) = case.dead_letters
    assert dead_letter.reason == "value: the decoder failed (ZeroDivisionError: oops); report it with this payload"


def test_a_shutdown_ends_the_retries() -> None:
    case = Case(fail_first(1, StoreUnavailable("away")))
    case.stop.set()
    with pytest.raises(ShutdownRequested):
        case.applier.apply([message(3, event("a"))])
    assert case.stored == set()


def test_backoff_grows_to_its_limit_and_restarts_after_a_success() -> None:
    pauses: list[float] = []

    class Stop(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            pauses.append(timeout or 0.0)
            return False

    backoff = Backoff(Stop(), initial_s=0.1, max_s=0.5)
    for _ in range(4):
        backoff.pause()
    backoff.reset()
    backoff.pause()
    assert pauses == [0.1, 0.2, 0.4, 0.5, 0.1]
