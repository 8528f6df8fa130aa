"""The repository of writers: applied offset and newest event time of each writer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from core.records.stored import WriterOffset, WriterPosition

REBUILD, CORRECTIONS, ANSWERS = "rebuild", "corrections", "answers"
INTERNAL_STREAMS = (REBUILD, CORRECTIONS, ANSWERS)  # writers of derived state that apply no events


class OffsetReader(Protocol):
    """Reads the offsets of writers (partitions of a stream, or the requests of a process)."""

    def applied(self, stream: str) -> dict[int, int]:
        """The applied offset of each partition of a stream."""
        ...

    def positions(self) -> list[WriterPosition]:
        """All writers but the internal ones, in ascending (stream, partition)."""
        ...

    def newest_event_ms(self) -> int | None:
        """The highest event time applied by any writer: the stream clock."""
        ...

    def lags(self, stream: str, *, since_ms: int, before_ms: int, step_ms: int) -> dict[tuple[int, int], int]:
        """The highest lag, in messages, by step start (ms) and partition; steps without a reading are missing.

        Of the buckets that begin from `since_ms` on and before `before_ms`; a step begins at a multiple of `step_ms`.
        """
        ...


class OffsetRepository(OffsetReader, Protocol):
    """Reads and writes the offsets of writers."""

    def lock(self, stream: str, partitions: Sequence[int]) -> dict[int, WriterOffset]:
        """The writers of these partitions, created where they are new, locked until the transaction ends."""
        ...

    def save(self, offsets: Sequence[WriterOffset]) -> None:
        """Store offsets and newest event times of locked writers."""
        ...

    def note_lags(self, stream: str, lags: Mapping[int, int], *, bucket_ms: int) -> None:
        """Store the lags of partitions in the bucket that begins at `bucket_ms`; the highest of a bucket is kept."""
        ...

    def delete_lags(self, *, before_ms: int) -> None:
        """Delete the lags of buckets that begin before a time."""
        ...
