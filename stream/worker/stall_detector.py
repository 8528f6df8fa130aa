"""Notices partitions in which messages wait although none arrives, long before the watchdog ends the worker.

Reading such a partition again from the database's offset costs milliseconds and mends what a client in confusion has
lost. Where nothing comes even then and the client stands at the log's end, nothing is there: offsets of the log that
hold no message, such as the marks that end a transaction. Knows nothing about Faust.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from stream.worker.status import PartitionStatus

LONGEST_S = 60.0


@dataclass(slots=True)
class _Place:
    status: PartitionStatus
    since_s: float
    patience_s: float
    num_read_again: int = 0


class StallDetector:
    """Judges the partitions of one worker, seen now and then while it has nothing in hand."""

    def __init__(self, *, after_s: float = 3.0, now_s: Callable[[], float] = time.monotonic) -> None:
        self._after_s = after_s
        self._now_s = now_s
        self._places: dict[int, _Place] = {}

    def check(self, partitions: Mapping[int, PartitionStatus]) -> list[int]:
        """The partitions to read again: they have not moved for a while."""
        now_s = self._now_s()
        self._places = {number: self._seen(number, status, now_s) for number, status in partitions.items()}
        return [
            number
            for number, place in self._places.items()
            if place.status.lag and now_s - place.since_s >= place.patience_s
        ]

    def read_again(self, partition: int) -> None:
        """It was just read again, and gets another chance from now on. At the same place the pauses grow."""
        place = self._places[partition]
        place.since_s = self._now_s()
        place.patience_s = min(place.patience_s * 2, LONGEST_S)
        place.num_read_again += 1

    def in_vain(self, partition: int) -> bool:
        """Whether it was read again from where it stands."""
        return bool(self._places[partition].num_read_again)

    def forget(self) -> None:
        """The worker has something in hand: what stands still now is waiting for that."""
        self._places.clear()

    def nothing_more(self, partitions: Mapping[int, PartitionStatus], *, read_to: Callable[[int], int | None]) -> bool:
        """Whether every partition is read to its end. `read_to`: behind the last offset that the client has taken."""
        return all(
            status.next_offset is not None and (not status.lag or self._holds_nothing(number, status, read_to(number)))
            for number, status in partitions.items()
        )

    def _holds_nothing(self, partition: int, status: PartitionStatus, read_to: int | None) -> bool:
        """Whether it was read again from this place to the log's end, and no message came."""
        place = self._places.get(partition)
        if place is None or place.status != status or not place.num_read_again:
            return False
        return read_to is not None and status.log_end is not None and read_to >= status.log_end

    def _seen(self, partition: int, status: PartitionStatus, now_s: float) -> _Place:
        before = self._places.get(partition)
        if before and status.lag and before.status.next_offset == status.next_offset:
            before.status = status
            return before
        return _Place(status, now_s, self._after_s)
