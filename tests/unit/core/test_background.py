"""The background thread: called periodically, when woken or ready; outlives errors; ends in time."""

from __future__ import annotations

import logging
from collections import deque
from queue import Queue
from threading import Event

import pytest

from core.background import BackgroundThread
from core.errors import StoreUnavailable

NEVER_S = 3600.0
TIMEOUT_S = 20.0


def test_wake_calls_the_work_before_the_period_ends() -> None:
    calls: Queue[int] = Queue()
    thread = BackgroundThread("test", lambda: calls.put(1), period_s=NEVER_S)
    thread.start()
    try:
        thread.wake()
        assert calls.get(timeout=TIMEOUT_S) == 1
    finally:
        thread.stop()
    assert calls.empty()


def test_wake_during_a_call_brings_another_call() -> None:
    entered, proceed, calls = Event(), Event(), Queue[int]()

    def work() -> None:
        entered.set()
        assert proceed.wait(TIMEOUT_S)
        calls.put(1)

    thread = BackgroundThread("test", work)
    thread.start()
    thread.wake()
    assert entered.wait(TIMEOUT_S)
    thread.wake()
    proceed.set()
    assert [calls.get(timeout=TIMEOUT_S) for _ in range(2)] == [1, 1]
    thread.stop()


@pytest.mark.parametrize("error", [StoreUnavailable("away"), RuntimeError("a fault")])
def test_an_error_is_logged_and_the_next_call_comes(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    calls: Queue[int] = Queue()

    def work() -> None:
        calls.put(1)
        raise error

    thread = BackgroundThread("renewal", work, period_s=0.001)
    with caplog.at_level(logging.ERROR):
        thread.start()
        try:
            assert [calls.get(timeout=TIMEOUT_S) for _ in range(2)] == [1, 1]
        finally:
            thread.stop()
    assert any("renewal" in record.getMessage() for record in caplog.records)
    assert str(error) in caplog.text


def test_the_error_callback_replaces_the_log(caplog: pytest.LogCaptureFixture) -> None:
    errors: Queue[Exception] = Queue()
    thread = BackgroundThread("test", lambda: 1 / 0, on_error=errors.put)
    thread.start()
    thread.wake()
    assert isinstance(errors.get(timeout=TIMEOUT_S), ZeroDivisionError)
    thread.stop()
    assert caplog.records == []


def test_age_counts_from_the_last_call_without_an_error() -> None:
    failed = Event()

    def fail() -> None:
        failed.set()
        raise StoreUnavailable("away")

    thread = BackgroundThread("test", fail, on_error=lambda error: None)
    before_s = thread.age_s
    thread.start()
    thread.wake()
    assert failed.wait(TIMEOUT_S)
    thread.stop()
    assert thread.age_s > before_s


def test_stop_waits_for_the_call_in_progress() -> None:
    entered, proceed, finished = Event(), Event(), Event()

    def work() -> None:
        entered.set()
        assert proceed.wait(TIMEOUT_S)
        finished.set()

    thread = BackgroundThread("test", work)
    thread.start()
    thread.wake()
    assert entered.wait(TIMEOUT_S)
    assert not thread.stop(timeout_s=0.01)
    assert not thread.is_running
    proceed.set()
    assert thread.stop()
    assert finished.is_set()


@pytest.mark.parametrize(("drain", "num_left"), [(True, 0), (False, 2)])
def test_stop_drains_the_queue_only_if_asked_to(drain: bool, num_left: int) -> None:
    jobs, entered, proceed = deque([1, 2, 3]), Event(), Event()

    def work() -> None:
        jobs.popleft()
        entered.set()
        assert proceed.wait(TIMEOUT_S)

    thread = BackgroundThread("test", work, ready=lambda: bool(jobs), drain=drain)
    thread.start()
    assert entered.wait(TIMEOUT_S)
    thread.request_stop()
    proceed.set()
    assert thread.stop()
    assert len(jobs) == num_left


def test_a_change_of_the_state_that_ready_reads_starts_the_work() -> None:
    jobs: deque[int] = deque()
    results: Queue[int] = Queue()
    thread = BackgroundThread("test", lambda: results.put(jobs.popleft()), ready=lambda: bool(jobs))
    thread.start()
    for number in range(3):
        with thread.condition:
            jobs.append(number)
            thread.condition.notify()
    assert [results.get(timeout=TIMEOUT_S) for _ in range(3)] == [0, 1, 2]
    thread.stop()


def test_stop_ends_a_pause() -> None:
    entered = Event()

    def work() -> None:
        entered.set()
        thread.pause(NEVER_S)

    thread = BackgroundThread("test", work)
    thread.start()
    thread.wake()
    assert entered.wait(TIMEOUT_S)
    assert thread.stop(timeout_s=TIMEOUT_S)


def test_a_thread_that_was_not_started_can_be_stopped() -> None:
    assert BackgroundThread("test", lambda: None).stop()
