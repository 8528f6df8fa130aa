"""How a batch of messages is settled: applied exactly once, set aside, tried again, or left to another worker."""

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
from core.history import WindowShape
from core.ingestion.ingest import Ingestor
from core.ingestion.sources import EventBatch, StreamSource
from core.interactions import EventTypes, Interaction
from core.records import DeadLetter
from stream.messages.codec import Codec, Decoded, Message
from stream.worker.applier import MAX_UNEXPLAINED, Applier, Backoff, Stopping

NOW_MS = 1_700_000_000_000
NOTHING_LOST: set[int] = set()


class FailingIngest:
    """The real use case, except where `refuse` raises."""

    def __init__(self, store: MemoryStore, refuse: Callable[[Sequence[Interaction]], None]) -> None:
        self._real = Ingestor(store, types=EventTypes(), shape=WindowShape(4, 2))
        self._refuse = refuse
        self.num_calls = 0

    def ingest_together(self, batches: Sequence[EventBatch]) -> object:
        self.num_calls += 1
        self._refuse([event for batch in batches for event in batch.events])
        return self._real.ingest_together(batches)

    def forget(self) -> None:
        self._real.forget()

    def applied_offset(self, stream: str, partition: int) -> int | None:
        return self._real.applied_offset(stream, partition)


def refuse_nothing(events: Sequence[Interaction]) -> None:
    """All is well."""


def refuse_items(*bad: str, error: Exception | None = None) -> Callable[[Sequence[Interaction]], None]:
    def refuse(events: Sequence[Interaction]) -> None:
        if any(event.item_id in bad for event in events):
            raise error or InvalidEvent("item_id: not in this shop")

    return refuse


def fail_first(count: int, error: Exception) -> Callable[[Sequence[Interaction]], None]:
    failures = iter([error] * count)

    def refuse(events: Sequence[Interaction]) -> None:
        for failure in failures:
            raise failure

    return refuse


def event(name: str, item: str = "lamp", *, user: str = "ann") -> dict[str, object]:
    return {"event_id": name, "user_id": user, "item_id": item, "time": NOW_MS - 10_000}


def message(offset: int, *payloads: object, partition: int = 0) -> Message:
    value = orjson.dumps(payloads[0] if len(payloads) == 1 else payloads)
    return Message("interactions", partition, offset, b"ann", value, NOW_MS - 40)


class Case:
    """An applier over a store in memory."""

    def __init__(self, refuse: Callable[[Sequence[Interaction]], None] = refuse_nothing) -> None:
        self.store = MemoryStore()
        self.ingest = FailingIngest(self.store, refuse)
        self.stop = threading.Event()
        self.announced: list[DeadLetter] = []
        self.num_heartbeats = 0
        self.applier = Applier(
            self.ingest,
            Codec(clock=ManualClock(NOW_MS)),
            Backoff(self.stop, first_s=0.0, longest_s=0.0),
            announce=self.announced.extend,
            heartbeat=self.beat,
        )

    def beat(self) -> None:
        self.num_heartbeats += 1

    @property
    def stored(self) -> set[str]:
        with self.store.read() as view:
            return {row.event_key.hex() for rows in view.events.pages() for row in rows}

    @property
    def letters(self) -> list[DeadLetter]:
        with self.store.read() as view:
            return sorted(view.dead_letters.newest(), key=lambda letter: letter.offset)

    @property
    def offset(self) -> int | None:
        return self.offsets.get(0)

    @property
    def offsets(self) -> dict[int, int]:
        with self.store.read() as view:
            return view.offsets.applied("interactions")

    def move_by_another_worker(self, partition: int, *, to: int) -> None:
        other = Ingestor(self.store, types=EventTypes(), shape=WindowShape(4, 2))
        other.ingest([], StreamSource("interactions", partition, [], 0, to))


def keys(*names: str) -> set[str]:
    return {Interaction(name, "", "", "", 0).event_key.hex() for name in names}


def test_a_batch_is_applied_up_to_its_last_offset() -> None:
    case = Case()
    assert case.applier.apply([message(3, event("a")), message(4, event("b"), event("c"))]) == NOTHING_LOST
    assert case.stored == keys("a", "b", "c")
    assert case.offset == 4
    assert (case.applier.tally.num_messages, case.applier.tally.num_events) == (2, 3)
    assert case.applier.tally.age_ms == 40


def test_messages_without_any_event_still_move_the_offset() -> None:
    case = Case()
    case.applier.apply([message(3, event("a")), message(4, "no event"), message(5, "nor this")])
    assert case.offset == 5
    assert [letter.offset for letter in case.letters] == [4, 5]
    assert case.announced == [letter for letter in case.announced if letter.reason.startswith("event: wanted")]
    assert len(case.announced) == 2


def test_dead_letters_are_announced_before_the_commit_because_after_it_nobody_would() -> None:
    case = Case()
    seen: list[int | None] = []
    case.applier.announce = lambda letters: seen.append(case.offset)
    case.applier.apply([message(3, "no event")])
    assert seen == [None]
    assert case.offset == 3


@pytest.mark.parametrize("bad", range(5))
def test_one_bad_event_is_found_by_halving_and_set_aside_alone(bad: int) -> None:
    case = Case(refuse_items("bomb"))
    messages = [message(n, event(f"e{n}", "bomb" if n == bad else "lamp")) for n in range(5)]
    assert case.applier.apply(messages) == NOTHING_LOST
    assert case.stored == keys(*(f"e{n}" for n in range(5) if n != bad))
    (letter,) = case.letters
    assert (letter.offset, letter.reason) == (bad, "item_id: not in this shop")
    assert orjson.loads(letter.payload)["event_id"] == f"e{bad}"
    assert case.offset == 4


def test_bad_events_within_one_message_do_not_take_their_neighbours_along() -> None:
    case = Case(refuse_items("bomb", error=OverflowError("too large for a column")))
    items = ["lamp", "bomb", "lamp", "lamp", "bomb"]
    case.applier.apply([message(7, *(event(f"e{n}", item) for n, item in enumerate(items)))])
    assert case.stored == keys("e0", "e2", "e3")
    assert [letter.offset for letter in case.letters] == [7, 7]
    assert case.letters[0].reason == "OverflowError: too large for a column"
    assert case.offset == 7
    assert (case.applier.tally.num_events, case.applier.tally.num_dead_letters) == (3, 2)


def test_a_crash_between_halves_loses_nothing_and_counts_nothing_twice() -> None:
    case = Case(refuse_items("bomb"))
    messages = [message(7, *(event(f"e{n}", "bomb" if n == 3 else "lamp") for n in range(4))), message(8, event("z"))]
    real = case.ingest.ingest_together
    crash = fail_first(1, SystemExit())  # no `Exception`: nothing may catch it, as nothing catches kill -9

    def ingest_together(batches: Sequence[EventBatch]) -> object:
        if [event.item_id for batch in batches for event in batch.events] == ["bomb"]:
            crash(batches[0].events)
        return real(batches)

    case.ingest.ingest_together = ingest_together  # type: ignore[method-assign]
    with pytest.raises(SystemExit):
        case.applier.apply(messages)
    assert case.offset is not None
    assert case.offset < 7  # the array was applied in part, so its offset was not
    assert case.applier.apply(messages) == NOTHING_LOST
    assert case.stored == keys("e0", "e1", "e2", "z")
    assert [letter.offset for letter in case.letters] == [7]
    assert case.offset == 8


@pytest.mark.parametrize("error", [StoreUnavailable("away"), StoreConflict("again")])
def test_what_is_not_the_events_fault_is_tried_again_until_it_works(error: Exception) -> None:
    case = Case(fail_first(3, error))
    assert case.applier.apply([message(3, event("a"))]) == NOTHING_LOST
    assert case.stored == keys("a")
    assert case.letters == []
    assert case.applier.tally.num_retries == 3
    assert case.num_heartbeats == 4  # waiting for a database is not being stuck


def test_a_batch_of_a_partition_that_another_worker_has_moved_is_not_applied() -> None:
    case = Case()
    case.applier.apply([message(3, event("a"))])
    case.move_by_another_worker(0, to=9)
    assert case.applier.apply([message(4, event("b"))]) == {0}
    assert case.stored == keys("a")
    assert case.applier.tally.num_lost == 1


def round_of(*partitions: int, offset: int) -> list[Message]:
    return [message(offset, event(f"{p}-{offset}", user=f"user-{p}"), partition=p) for p in partitions]


def test_what_came_from_several_partitions_is_applied_in_one_transaction() -> None:
    case = Case()
    assert case.applier.apply(round_of(0, 1, 3, offset=7)) == NOTHING_LOST
    assert case.ingest.num_calls == 1
    assert case.stored == keys("0-7", "1-7", "3-7")
    assert case.offsets == {0: 7, 1: 7, 3: 7}


def test_the_others_are_applied_without_the_partition_that_another_worker_has_moved() -> None:
    case = Case()
    case.applier.apply(round_of(0, 1, 2, offset=7))
    case.move_by_another_worker(1, to=20)
    assert case.applier.apply(round_of(0, 1, 2, offset=8)) == {1}
    assert case.stored == keys("0-7", "1-7", "2-7", "0-8", "2-8")
    assert case.offsets == {0: 8, 1: 20, 2: 8}
    assert (case.applier.tally.num_lost, case.applier.tally.num_messages) == (1, 5)


def test_nothing_more_of_a_lost_partition_is_applied_by_the_later_transactions_of_the_same_round() -> None:
    case = Case()
    case.applier.max_events = 2
    case.applier.apply(round_of(0, 1, offset=7))
    case.move_by_another_worker(1, to=20)
    late = [message(offset, event(f"1-{offset}"), partition=1) for offset in range(8, 24)]
    assert case.applier.apply([*round_of(0, offset=8), *late]) == {1}
    assert case.stored == keys("0-7", "1-7", "0-8")
    assert case.offsets == {0: 8, 1: 20}


def test_a_round_of_which_all_is_lost_applies_nothing() -> None:
    case = Case()
    case.applier.apply(round_of(0, 1, offset=7))
    for partition in (0, 1):
        case.move_by_another_worker(partition, to=20)
    assert case.applier.apply(round_of(0, 1, offset=8)) == {0, 1}
    assert case.offsets == {0: 20, 1: 20}


@pytest.mark.parametrize("bad", range(3))
def test_a_bad_event_of_one_partition_does_not_take_the_others_along(bad: int) -> None:
    case = Case(refuse_items("bomb"))
    messages = [
        message(n, event(f"{partition}-{n}", "bomb" if (partition, n) == (bad, 1) else "lamp"), partition=partition)
        for partition in range(3)
        for n in range(3)
    ]
    assert case.applier.apply(messages) == NOTHING_LOST
    assert case.stored == keys(*(f"{p}-{n}" for p in range(3) for n in range(3) if (p, n) != (bad, 1)))
    assert [(letter.partition, letter.offset) for letter in case.letters] == [(bad, 1)]
    assert case.offsets == {0: 2, 1: 2, 2: 2}
    assert (case.applier.tally.num_events, case.applier.tally.num_dead_letters) == (8, 1)


def test_a_partition_lost_while_its_bad_event_is_searched_for_is_lost_alone() -> None:
    case = Case(refuse_items("bomb"))
    case.applier.apply(round_of(0, 1, offset=7))
    real = case.ingest.ingest_together

    def ingest_together(batches: Sequence[EventBatch]) -> object:
        if len(batches) == 1 and batches[0].source.partition == 1:
            case.move_by_another_worker(1, to=20)
        return real(batches)

    case.ingest.ingest_together = ingest_together  # type: ignore[method-assign]
    bomb = message(8, event("1-8", "bomb"), event("1-8b"), partition=1)
    assert case.applier.apply([*round_of(0, offset=8), bomb]) == {1}
    assert case.stored == keys("0-7", "1-7", "0-8")
    assert (case.letters, case.offsets) == ([], {0: 8, 1: 20})


def test_losing_a_partition_is_no_reason_to_halve() -> None:
    case = Case(fail_first(1, PartitionLost("moved", partitions=[0])))
    assert case.applier.apply([message(3, event("a")), message(4, event("b"))]) == {0}
    assert case.ingest.num_calls == 1


def test_a_database_made_by_other_settings_ends_the_worker_and_sets_nothing_aside() -> None:
    case = Case(fail_first(1, StoreMismatch("another window")))
    with pytest.raises(StoreMismatch, match="another window"):
        case.applier.apply([message(3, event("a"))])
    assert case.letters == []


def test_an_error_without_any_event_to_blame_ends_the_worker() -> None:
    case = Case(fail_first(1, RuntimeError("a fault of ours")))
    with pytest.raises(RuntimeError, match="a fault of ours"):
        case.applier.apply([message(3, "no event")])


def test_a_dead_letter_topic_that_is_away_does_not_stop_the_stream_because_the_database_keeps_the_letters() -> None:
    case = Case()
    tries: list[int] = []

    def announce(letters: Sequence[DeadLetter]) -> None:
        tries.append(len(letters))
        raise StreamUnavailable("no such topic")

    case.applier.announce = announce
    assert case.applier.apply([message(3, "no event"), message(4, event("a"))]) == NOTHING_LOST
    assert tries == [1, 1, 1]
    assert [letter.offset for letter in case.letters] == [3]
    assert case.stored == keys("a")


def test_when_event_after_event_fails_for_no_reason_of_its_own_the_worker_ends_and_keeps_the_rest() -> None:
    case = Case(refuse_items("lamp", error=RuntimeError("a fault of ours")))
    with pytest.raises(RuntimeError, match="a fault of ours"):
        case.applier.apply([message(n, event(f"e{n}")) for n in range(100)])
    assert len(case.letters) == MAX_UNEXPLAINED
    assert case.offset == MAX_UNEXPLAINED - 1  # the others are read again once the fault is mended


def test_however_many_events_are_refused_with_a_reason_the_stream_goes_on() -> None:
    case = Case(refuse_items("lamp"))
    assert case.applier.apply([message(n, event(f"e{n}")) for n in range(100)]) == NOTHING_LOST
    assert case.offset == 99


def test_large_arrays_are_applied_in_several_transactions_of_whole_messages() -> None:
    case = Case()
    case.applier.max_events = 10
    arrays = [message(n, *(event(f"e{n}-{place}") for place in range(6))) for n in range(5)]
    assert case.applier.apply(arrays) == NOTHING_LOST
    assert case.ingest.num_calls == 3
    assert len(case.stored) == 30
    assert case.offset == 4


def test_a_decoder_that_fails_on_one_message_does_not_stop_the_stream() -> None:
    class BrittleCodec(Codec):
        def decode(self, message: Message, into: Decoded) -> None:
            if message.offset == 3:
                raise ZeroDivisionError("oops")
            super().decode(message, into)

    case = Case()
    case.applier.codec = BrittleCodec(clock=ManualClock(NOW_MS))
    assert case.applier.apply([message(3, event("a")), message(4, event("b"))]) == NOTHING_LOST
    assert case.stored == keys("b")
    (letter,) = case.letters
    assert letter.reason == "value: the decoder failed (ZeroDivisionError: oops); report it with this payload"


def test_stopping_ends_the_retries_and_acknowledges_nothing() -> None:
    case = Case(fail_first(1, StoreUnavailable("away")))
    case.stop.set()
    with pytest.raises(Stopping):
        case.applier.apply([message(3, event("a"))])
    assert case.stored == set()


def test_pauses_grow_to_a_limit_and_start_small_again_after_a_success() -> None:
    waited: list[float] = []

    class Stop(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            waited.append(timeout or 0.0)
            return False

    backoff = Backoff(Stop(), first_s=0.1, longest_s=0.5)
    for _ in range(4):
        backoff.pause()
    backoff.reset()
    backoff.pause()
    assert waited == [0.1, 0.2, 0.4, 0.5, 0.1]
