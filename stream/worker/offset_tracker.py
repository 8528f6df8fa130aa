"""Whether the messages at hand really follow what the database has applied.

The database's offset can only be compared and set; it cannot see that something before a batch never came. Around a
rebalance Faust hands over messages that it had buffered under an older position, so after a seek nothing counts until
the message that was sought arrives, and no offset may be missing. Gaps are legal in Kafka, though (transaction markers,
compaction): one that is still there after another seek is believed, and then so are later ones of that partition, once
the caller has checked that the log still begins before them.

Knows nothing about Faust. Used from one event loop.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(slots=True)
class OffsetCheck:
    """What to do with messages. Places count in the sequence that was given.

    `accepted`: apply these, in this order. `applied`: the database has these already. `seek`: then read again from the
    database's offset. `missing_from`: the first offset missing among those accepted, in a partition that has gaps.
    """

    accepted: list[int] = field(default_factory=list)
    applied: list[int] = field(default_factory=list)
    seek: bool = False
    missing_from: int | None = None


@dataclass(slots=True)
class _Position:
    next_offset: int
    suspect: int | None = None  # what came instead of the next message, and led to a seek
    has_gaps: bool = False  # a gap was seen twice: this log has some


class OffsetTracker:
    """The next offset of each partition of one topic. A partition is unknown until it is sought."""

    def __init__(self) -> None:
        self._positions: dict[int, _Position] = {}

    def suspend(self) -> None:
        """Partitions change hands: nothing counts until the next seek."""
        self._positions.clear()

    def forget(self, partition: int) -> None:
        """Another worker was faster in this one: nothing counts until the next seek."""
        self._positions.pop(partition, None)

    def sought(self, partition: int, offset: int) -> None:
        """The log is now read from `offset`, the one after the database's."""
        before = self._positions.get(partition)
        same = before if before and before.next_offset == offset else _Position(offset)
        self._positions[partition] = same

    def next_offset(self, partition: int) -> int | None:
        """Where the next message is expected; None for a partition that waits for its seek."""
        position = self._positions.get(partition)
        return position.next_offset if position else None

    def admit(self, partition: int, offsets: Sequence[int]) -> OffsetCheck:
        """Judge messages in the order of their arrival; the position moves behind those accepted."""
        admission = OffsetCheck()
        position = self._positions.get(partition)
        if position is None:
            return admission
        for place, offset in enumerate(offsets):
            if offset < position.next_offset:
                admission.applied.append(place)
            elif offset == position.next_offset or self._believes(position, offset, admission):
                admission.accepted.append(place)
                admission.seek = False
                position.next_offset = offset + 1
                position.suspect = None
        return admission

    def _believes(self, position: _Position, offset: int, admission: OffsetCheck) -> bool:
        """Whether an offset that is too high may be accepted all the same."""
        if position.suspect == offset and not admission.seek:  # the seek must come between the two sightings
            position.has_gaps = True
        if position.has_gaps:
            if admission.missing_from is None:
                admission.missing_from = position.next_offset
            return True
        if position.suspect is None or offset < position.suspect:
            position.suspect = offset
            admission.seek = True
        return False
