"""The next offset of each partition: which messages to apply, which are applied already, and where one is missing.

The database only compares and sets its offset; it cannot notice that an earlier message never arrived. Around a
rebalance Faust hands over messages that it had fetched before the seek. So after a seek no message is accepted until
the one at the sought offset arrives, and no offset may be missing but those that the client has found to hold no
message: markers of transactions, messages of aborted ones, and what compaction removed.

Independent of Faust. Used from one event loop, except `add_gap`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(slots=True)
class OffsetCheck:
    """What to do with messages, as indices into the checked sequence.

    `accepted`: apply these, in this order. `already_applied`: the database has these. `seek`: then seek the database's
    offset again.
    """

    accepted: list[int] = field(default_factory=list)
    already_applied: list[int] = field(default_factory=list)
    seek: bool = False


@dataclass(slots=True)
class _PartitionOffset:
    next_offset: int
    message_end: int  # the offset after the newest accepted message, or the sought one
    sought_for: int | None = None  # the offset that arrived instead of the next one, and led to a seek
    gaps: dict[int, int] = field(default_factory=dict)  # the end of each gap, by its start

    def skip_gaps(self) -> None:
        """Move the next offset behind gaps that begin there."""
        while (end := self.gaps.pop(self.next_offset, None)) is not None:
            self.next_offset = end


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
            self._partitions[partition] = _PartitionOffset(offset, offset)

    def add_gap(self, partition: int, start: int, end: int) -> None:
        """The log has no message from offset `start` up to `end`, which is excluded. May be called from any thread."""
        known = self._partitions.get(partition)
        if known is not None:
            known.gaps[start] = end

    def next_offset(self, partition: int) -> int | None:
        """The offset expected next; None for a partition that waits for its seek."""
        known = self._partitions.get(partition)
        if known is None:
            return None
        known.skip_gaps()
        return known.next_offset

    def take_trailing_gap(self, partition: int) -> range | None:
        """The offsets without a message since the newest accepted message; each is returned once."""
        known = self._partitions.get(partition)
        if known is None:
            return None
        known.skip_gaps()
        gap = range(known.message_end, known.next_offset)
        known.message_end = known.next_offset
        return gap or None

    def check(self, partition: int, offsets: Sequence[int]) -> OffsetCheck:
        """Check messages in the order of their arrival; the next offset moves behind those accepted."""
        check = OffsetCheck()
        known = self._partitions.get(partition)
        if known is None:
            return check
        for index, offset in enumerate(offsets):
            known.skip_gaps()
            if offset < known.next_offset:
                check.already_applied.append(index)
            elif offset == known.next_offset:
                check.accepted.append(index)
                check.seek = False
                known.next_offset = known.message_end = offset + 1
                known.sought_for = None
            elif known.sought_for is None or offset <= known.sought_for:  # later ones were fetched with that one
                known.sought_for = offset
                check.seek = True
        return check
