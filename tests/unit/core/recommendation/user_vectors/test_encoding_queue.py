"""The follower: dirty users coalesce, one bad batch does not end it, and nobody need wait for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import Event
from typing import Any

import pytest

from core.recommendation.user_vectors.encoding_queue import BATCH, EncodingQueue
from core.records.stored import UserState

PATIENCE_S = 10.0  # far more than needed: only a fault waits as long


class Encoder:
    """Notes its batches; while `gate` is closed it holds the batch in hand."""

    def __init__(self) -> None:
        self.batches: list[list[UserState]] = []
        self.gate = Event()
        self.gate.set()
        self.entered = Event()
        self.error: Exception | None = None

    def __call__(self, states: Sequence[UserState]) -> int:
        self.batches.append(list(states))
        self.entered.set()
        assert self.gate.wait(PATIENCE_S)
        if self.error is not None:
            raise self.error
        return len(states)

    def hold(self) -> None:
        self.gate.clear()
        self.entered.clear()


@contextmanager
def running_queue(encoder: Encoder, **changed: Any) -> Iterator[tuple[EncodingQueue, list[Exception]]]:
    errors: list[Exception] = []
    queue = EncodingQueue(encoder, on_error=errors.append, **changed)
    queue.start()
    try:
        yield queue, errors
    finally:
        encoder.gate.set()
        queue.stop()


@pytest.fixture
def encoder() -> Encoder:
    return Encoder()


def test_queue_pauses_as_long_as_it_worked_while_ingest_lags(encoder: Encoder) -> None:
    now_s = iter([10.0, 10.0 + PATIENCE_S, 100.0, 100.0])
    with running_queue(encoder, batch=1, max_pause_s=PATIENCE_S, seconds=lambda: next(now_s)) as (queue, _):
        queue.submit([UserState(1, 1), UserState(2, 1)], behind=True)
        assert encoder.entered.wait(PATIENCE_S)
        assert not queue.wait_idle(timeout_s=0.05)
        assert len(encoder.batches) == 1
        queue.submit([])  # not behind any more: the rest is over
        assert queue.wait_idle(timeout_s=PATIENCE_S)
    assert len(encoder.batches) == 2


def test_pause_is_at_most_max_pause_s(encoder: Encoder) -> None:
    now_s = iter([0.0, 1e6, 1e6, 1e6])
    with running_queue(encoder, batch=1, max_pause_s=0.01, seconds=lambda: next(now_s)) as (queue, _):
        queue.submit([UserState(1, 1), UserState(2, 1)], behind=True)
        assert queue.wait_idle(timeout_s=PATIENCE_S)
    assert len(encoder.batches) == 2


def test_queued_user_is_encoded_and_removed(encoder: Encoder) -> None:
    with running_queue(encoder) as (queue, errors):
        queue.submit([UserState(1, 1), UserState(2, 1)])
        assert queue.wait_idle(timeout_s=PATIENCE_S)
        assert queue.num_encoded == 2
    assert errors == []


def test_user_submitted_several_times_is_encoded_once_in_the_newest_state(encoder: Encoder) -> None:
    encoder.hold()
    with running_queue(encoder) as (queue, _):
        queue.submit([UserState(1, 1)])
        assert encoder.entered.wait(PATIENCE_S)
        for seq in range(2, 100):
            queue.submit([UserState(1, seq), UserState(2, seq)])
        encoder.gate.set()
        assert queue.wait_idle(timeout_s=PATIENCE_S)
    assert [[(state.key, state.seq) for state in batch] for batch in encoder.batches] == [[(1, 1)], [(1, 99), (2, 99)]]


def test_queued_users_are_encoded_in_batches_in_order(encoder: Encoder) -> None:
    encoder.hold()
    with running_queue(encoder) as (queue, _):
        queue.submit([UserState(0, 1)])
        assert encoder.entered.wait(PATIENCE_S)
        queue.submit([UserState(key, 1) for key in range(1, 2 * BATCH + 2)])
        encoder.gate.set()
        assert queue.wait_idle(timeout_s=PATIENCE_S)
    assert [len(batch) for batch in encoder.batches] == [1, BATCH, BATCH, 1]
    assert [state.key for batch in encoder.batches for state in batch] == list(range(2 * BATCH + 2))


def test_failed_batch_is_reported_and_the_next_one_is_encoded(encoder: Encoder) -> None:
    encoder.error = RuntimeError("the model broke")
    with running_queue(encoder) as (queue, errors):
        queue.submit([UserState(1, 1)])
        assert queue.wait_idle(timeout_s=PATIENCE_S)
        encoder.error = None
        queue.submit([UserState(2, 1)])
        assert queue.wait_idle(timeout_s=PATIENCE_S)
        assert queue.num_encoded == 1
    assert [str(error) for error in errors] == ["the model broke"]


def test_users_beyond_max_queued_are_not_queued(encoder: Encoder) -> None:
    encoder.hold()
    with running_queue(encoder, max_queued=2) as (queue, _):
        queue.submit([UserState(1, 1)])
        assert encoder.entered.wait(PATIENCE_S)
        queue.submit([UserState(2, 1), UserState(3, 1), UserState(2, 2)])
        encoder.gate.set()
        assert queue.wait_idle(timeout_s=PATIENCE_S)
    assert [(state.key, state.seq) for batch in encoder.batches for state in batch] == [(1, 1), (2, 2)]


def test_waiting_ends_when_patience_does(encoder: Encoder) -> None:
    encoder.hold()
    with running_queue(encoder) as (queue, _):
        queue.submit([UserState(1, 1)])
        assert not queue.wait_idle(timeout_s=0.0)


def test_stopping_lets_the_batch_in_hand_finish_and_leaves_the_rest(encoder: Encoder) -> None:
    encoder.hold()
    with running_queue(encoder) as (queue, _):
        queue.submit([UserState(1, 1)])
        assert encoder.entered.wait(PATIENCE_S)
        queue.submit([UserState(2, 1)])
    assert len(encoder.batches) <= 2
    assert queue.num_encoded >= 1


def test_a_follower_that_never_started_can_be_stopped(encoder: Encoder) -> None:
    EncodingQueue(encoder, on_error=lambda error: None).stop()
    assert encoder.batches == []


def test_lingering_collects_users_into_one_batch(encoder: Encoder) -> None:
    with running_queue(encoder, linger_s=1.0) as (queue, _):
        queue.submit([UserState(1, 1)])
        queue.submit([UserState(2, 1)])
        queue.submit([UserState(1, 2)])
        assert queue.wait_idle(timeout_s=PATIENCE_S)
    assert [[(state.key, state.seq) for state in batch] for batch in encoder.batches] == [[(1, 2), (2, 1)]]


def test_a_lingering_follower_stops_at_once(encoder: Encoder) -> None:
    with running_queue(encoder, linger_s=3600.0) as (queue, _):
        queue.submit([UserState(1, 1)])
    assert encoder.batches == []
