"""The next offset of each partition: which messages to apply, which are applied already, and where one is missing.

The database only compares and sets its offset; it cannot notice that an earlier message never arrived. Around a
rebalance Faust hands over messages that it had buffered before the seek. So after a seek no message is accepted until
the one at the sought offset arrives, and no offset may be missing. Gaps are legal in Kafka, though (transaction
markers, compaction): a gap that is still there after another seek is accepted, and so are later gaps of that
partition, once the caller has checked that they were not deleted from the log.

Independent of Faust. Used from one event loop.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(slots=True)
class OffsetCheck:
    """What to do with messages, as indices into the checked sequence.

    `accepted`: apply these, in this order. `already_applied`: the database has these. `seek`: then seek the database's
    offset again. `missing_from`: the first offset missing before an accepted message, in a partition that has gaps.
    """

    accepted: list[int] = field(default_factory=list)
    already_applied: list[int] = field(default_factory=list)
    seek: bool = False
    missing_from: int | None = None


@dataclass(slots=True)
class _PartitionOffset:
    next_offset: int
    after_gap: int | None = None  # the offset that arrived instead of the next one, and led to a seek
    has_gaps: bool = False  # a gap was still there after a seek


class OffsetTracker:
    """The next offset of each partition of one topic. A partition is unknown until it is sought."""

    def __init__(self) -> None:
        self._partitions: dict[int, _PartitionOffset] = {}

    def reset(self) -> None:
        """Partitions are reassigned: accept nothing until the next seek."""
        self._partitions.clear()

    def forget(self, partition: int) -> None:
        """Accept nothing of this partition until its next seek."""
        self._partitions.pop(partition, None)

    def seek(self, partition: int, offset: int) -> None:
        """Expect `offset` next, the one after the database's."""
        known = self._partitions.get(partition)
        if known is None or known.next_offset != offset:
            self._partitions[partition] = _PartitionOffset(offset)

    def next_offset(self, partition: int) -> int | None:
        """The offset expected next; None for a partition that waits for its seek."""
        known = self._partitions.get(partition)
        return known.next_offset if known else None

    def check(self, partition: int, offsets: Sequence[int]) -> OffsetCheck:
        """Check messages in the order of their arrival; the next offset moves behind those accepted."""
        check = OffsetCheck()
        known = self._partitions.get(partition)
        if known is None:
            return check
        for index, offset in enumerate(offsets):
            if offset < known.next_offset:
                check.already_applied.append(index)
            elif offset == known.next_offset or self._is_legal_gap(known, offset, check):
                check.accepted.append(index)
                check.seek = False
                known.next_offset = offset + 1
                known.after_gap = None
        return check

    def _is_legal_gap(self, known: _PartitionOffset, offset: int, check: OffsetCheck) -> bool:
        """Whether an offset above the next one may be accepted."""
        if known.after_gap == offset and not check.seek:  # the same gap again, after a seek
            known.has_gaps = True
        if known.has_gaps:
            if check.missing_from is None:
                check.missing_from = known.next_offset
            return True
        if known.after_gap is None or offset < known.after_gap:
            known.after_gap = offset
            check.seek = True
        return False
