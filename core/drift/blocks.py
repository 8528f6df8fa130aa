"""Blocks: closed buckets of a signal joined until they hold enough observations. Independent of what is counted."""

from __future__ import annotations

from dataclasses import dataclass, field

from core.clock import HOUR_MS
from core.drift.baseline import FloatArray
from core.records.drift import BUCKET_MS

Values = FloatArray | float


@dataclass
class Block:
    """Consecutive buckets; those of the same hour are joined, as they share an expected value.

    `parts`: time (ms), number of observations, and their summed values: a number for a level, (K,) counts for a mix.
    """

    start_ms: int = 0
    end_ms: int = 0
    num: float = 0.0
    parts: list[tuple[int, float, Values]] = field(default_factory=list)

    def add(self, start_ms: int, num: float, values: Values) -> None:
        """Add a bucket."""
        self.start_ms = self.start_ms if self.parts else start_ms
        self.end_ms = start_ms + BUCKET_MS
        self.num += num
        if self.parts and self.parts[-1][0] // HOUR_MS == start_ms // HOUR_MS:
            first_ms, so_far, known = self.parts[-1]
            self.parts[-1] = (first_ms, so_far + num, known + values)
        else:
            self.parts.append((start_ms, num, values))

    def is_full(self, *, num: int, span_ms: int) -> bool:
        """Whether it holds enough observations and spans enough time."""
        return self.num >= num and self.end_ms - self.start_ms >= span_ms
