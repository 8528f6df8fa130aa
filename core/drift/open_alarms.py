"""Alarms that last: when a change is over. Independent of how changes are detected.

An alarm is over when its signal has returned to what was expected before the change (`recovered`), or when the change
has lasted so long that it is what is expected now (`new normal`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from core.clock import HOUR_MS
from core.drift.blocks import Block
from core.drift.changes import Z95
from core.drift.expectations import BlockComparison, Expectation, SignalDifference
from core.records.drift import Alarm
from core.records.statuses import AlarmEnding

RETURN_MS = 6 * HOUR_MS  # the shortest return to normal
RETURN_BLOCKS = 5


@dataclass
class OpenAlarm:
    """An alarm with the expectation from before its change. `smallest`: the effect that alarms."""

    alarm: Alarm
    expectation: Expectation
    smallest: float
    new_normal_ms: int
    _blocks: deque[tuple[Block, BlockComparison]] = field(default_factory=deque)

    def read(self, block: Block) -> Alarm | None:
        """Add a block after the alarm; the ended alarm if it is over."""
        comparison = self.expectation.compare(block)
        if comparison.expected is not None:
            self._blocks.append((block, comparison))
            while self._is_enough(skip=1):
                self._blocks.popleft()
        if self._is_enough() and self.has_returned(0):
            return self.ended(block.end_ms, AlarmEnding.RECOVERED)
        if block.end_ms >= self.alarm.detected_ms + self.new_normal_ms:
            return self.ended(block.end_ms, AlarmEnding.NEW_NORMAL)
        return None

    def has_returned(self, since_ms: int) -> bool:
        """Whether the blocks since a time no longer show a difference that matters to what was expected before."""
        difference = self._difference([comparison for block, comparison in self._blocks if block.start_ms >= since_ms])
        return difference is not None and abs(difference.effect) < self.smallest / 2

    def ended(self, over_ms: int, ending: AlarmEnding) -> Alarm:
        """The alarm with its end."""
        return replace(self.alarm, over_ms=over_ms, ending=ending)

    def _is_enough(self, *, skip: int = 0) -> bool:
        """Whether the kept blocks, without the first `skip`, are long and precise enough to call a return."""
        kept = list(self._blocks)[skip:]
        if len(kept) < RETURN_BLOCKS or kept[-1][0].end_ms - kept[0][0].start_ms < RETURN_MS:
            return False
        difference = self._difference([comparison for _, comparison in kept])
        return difference is not None and Z95 * difference.error <= self.smallest

    def _difference(self, comparisons: Sequence[BlockComparison]) -> SignalDifference | None:
        return self.expectation.difference(comparisons) if comparisons else None
