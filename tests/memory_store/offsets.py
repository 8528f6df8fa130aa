"""Offsets of a store in memory."""

from __future__ import annotations

from collections.abc import Sequence

from core.ports.offsets import INTERNAL_STREAMS
from core.records import WriterOffset, WriterPosition
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
