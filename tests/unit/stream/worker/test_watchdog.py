"""A worker that gets nowhere is ended; one that waits or tries is not."""

from __future__ import annotations

import threading

from stream.worker.status import PartitionStatus, WorkerStatus
from stream.worker.watchdog import Watchdog


class Case:
    """A watchdog with a clock moved by hand."""

    def __init__(self) -> None:
        self.time_s = 0.0
        self.ended: list[str] = []
        self.watchdog = Watchdog(timeout_s=60.0, end=self.ended.append, now_s=lambda: self.time_s)


def test_a_worker_without_a_sign_of_life_is_ended() -> None:
    case = Case()
    case.time_s = 61.0
    case.watchdog.check()
    assert case.ended == ["messages wait, but nothing was applied or tried for 61 s"]


def test_a_sign_of_life_starts_the_count_again() -> None:
    case = Case()
    case.time_s = 50.0
    case.watchdog.alive()
    case.time_s = 109.0
    case.watchdog.check()
    assert case.ended == []


def test_it_watches_from_a_thread_of_its_own() -> None:
    ended = threading.Event()
    watchdog = Watchdog(timeout_s=0.01, end=lambda reason: ended.set())
    watchdog.start()
    assert ended.wait(10.0)
    watchdog.stop()


def status(*partitions: PartitionStatus) -> WorkerStatus:
    return WorkerStatus("w", dict(enumerate(partitions)))


def test_lag_is_what_waits_behind_the_next_offset() -> None:
    assert status(PartitionStatus(5, 9), PartitionStatus(7, 7), PartitionStatus(3, None)).lag == 4
