"""Offsets of a store in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from core.ports.offsets import INTERNAL_STREAMS
from core.records.stored import WriterOffset, WriterPosition
from memory_store.data import MemoryRepository


class MemoryOffsets(MemoryRepository):
    """`core.ports.offsets.OffsetRepository`."""

    def applied(self, stream: str) -> dict[int, int]:
        offsets = {part: s.applied_offset for (name, part), s in self.data.writers.items() if name == stream}
        return {partition: offset for partition, offset in offsets.items() if offset is not None}

    def positions(self) -> list[WriterPosition]:
        writers = sorted(self.data.writers.items())
        return [
            WriterPosition(*name, writer.applied_offset, writer.newest_ms)
            for name, writer in writers
            if name[0] not in INTERNAL_STREAMS
        ]

    def newest_event_ms(self) -> int | None:
        return max((s.newest_ms for s in self.data.writers.values() if s.newest_ms is not None), default=None)

    def lock(self, stream: str, partitions: Sequence[int]) -> dict[int, WriterOffset]:
        writers = self.data.writers
        for partition in sorted(partitions):
            writers.setdefault((stream, partition), WriterOffset(len(writers) + 1, None, None))
        return {partition: writers[stream, partition] for partition in partitions}

    def save(self, offsets: Sequence[WriterOffset]) -> None:
        names = {stored.key: name for name, stored in self.data.writers.items()}
        self.data.writers |= {names[offset.key]: offset for offset in offsets}

    def lags(self, stream: str, *, since_ms: int, before_ms: int, step_ms: int) -> dict[tuple[int, int], int]:
        highest: dict[tuple[int, int], int] = {}
        for (bucket_ms, name, partition), lag in self.data.lags.items():
            if name == stream and since_ms <= bucket_ms < before_ms:
                step = (bucket_ms - bucket_ms % step_ms, partition)
                highest[step] = max(lag, highest.get(step, 0))
        return highest

    def note_lags(self, stream: str, lags: Mapping[int, int], *, bucket_ms: int) -> None:
        for partition, lag in lags.items():
            name = (bucket_ms, stream, partition)
            self.data.lags[name] = max(lag, self.data.lags.get(name, 0))

    def delete_lags(self, *, before_ms: int) -> None:
        self.data.lags = {name: lag for name, lag in self.data.lags.items() if name[0] >= before_ms}
