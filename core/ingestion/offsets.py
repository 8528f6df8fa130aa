"""Moving a partition's applied offset by an operator's hand, where the log and the database do not belong together.

Safe beside running workers: it is the same compare-and-set as theirs. Who stands elsewhere afterwards is fenced off at
the next batch and reads again from where the database stands. Independent of Kafka.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from core.errors import PartitionLost
from core.ports.store import Store


@dataclass(frozen=True, slots=True)
class PartitionPosition:
    """One partition: where the database stands, and which offsets the log holds (`log_end`: the next to be written)."""

    stream: str
    partition: int
    applied: int | None
    log_start: int
    log_end: int

    @property
    def next_offset(self) -> int:
        """The offset that is to be read next."""
        return self.log_start if self.applied is None else self.applied + 1

    @property
    def trouble(self) -> str | None:
        """Why workers stop at this partition; None where they go on."""
        if self.next_offset < self.log_start:
            return f"{self.log_start - self.next_offset} offsets were deleted before they were applied"
        if self.next_offset > self.log_end:
            return f"the log ends at {self.log_end}: it is not the log that the database has read"
        return None

    def consequence(self, to: int) -> str:
        """What reading on from offset `to` means."""
        gone = max(0, min(to, self.log_start) - self.next_offset)
        skipped = max(0, to - max(self.next_offset, self.log_start))
        again = max(0, min(self.next_offset, self.log_end) - to)
        parts = [
            f"{gone} offsets that the log no longer holds are given up" if gone else "",
            f"{skipped} offsets that the log holds are never applied" if skipped else "",
            f"{again} offsets are read again (what was applied counts once, by its event id)" if again else "",
        ]
        return "; ".join(part for part in parts if part) or "nothing is skipped, and nothing is read again"


def move(store: Store, place: PartitionPosition, *, to: int) -> None:
    """Let workers read on from offset `to`; raises `PartitionLost` if somebody has moved the partition meanwhile."""
    with store.transaction() as tx:
        found = tx.offsets.lock(place.stream, [place.partition])[place.partition]
        if found.applied_offset != place.applied:
            msg = (
                f"{place.stream}/{place.partition}: the database stood at {place.applied} when it was looked at, and "
                f"now at {found.applied_offset}: a worker reads this partition; nothing was changed, look again"
            )
            raise PartitionLost(msg, partitions=[place.partition])
        tx.offsets.save([replace(found, applied_offset=to - 1)])
        tx.commit()
