"""Moves a partition's applied offset on an operator's request, when the log and the database do not match.

Safe while workers run: it is the same compare-and-set as theirs. A worker with another offset is fenced off at its next
batch and reads on from the database's offset. Independent of Kafka.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from core.errors import PartitionLost
from core.ports.store import Store


@dataclass(frozen=True, slots=True)
class PartitionPosition:
    """A partition: its applied offset, and the offsets that the log holds (`log_end`: the next to be written)."""

    stream: str
    partition: int
    applied: int | None
    log_start: int
    log_end: int

    @property
    def next_offset(self) -> int:
        """The offset to read next."""
        return self.log_start if self.applied is None else self.applied + 1

    @property
    def problem(self) -> str | None:
        """Why workers stop at this partition; None if they do not."""
        if self.next_offset < self.log_start:
            return f"{self.log_start - self.next_offset} offsets were deleted before they were applied"
        if self.next_offset > self.log_end:
            return f"the log ends at {self.log_end}: it is not the log that the database has read"
        return None

    def consequence(self, to: int) -> str:
        """What is skipped or read again if workers read on from offset `to`."""
        gone = max(0, min(to, self.log_start) - self.next_offset)
        skipped = max(0, to - max(self.next_offset, self.log_start))
        again = max(0, min(self.next_offset, self.log_end) - to)
        parts = [
            f"{gone} offsets that the log no longer holds are skipped" if gone else "",
            f"{skipped} offsets that the log holds are never applied" if skipped else "",
            f"{again} offsets are read again (what was applied counts once, by its event id)" if again else "",
        ]
        return "; ".join(part for part in parts if part) or "nothing is skipped, and nothing is read again"


def move_offset(store: Store, position: PartitionPosition, *, to: int) -> None:
    """Let workers read on from offset `to`; raises `PartitionLost` if the applied offset has changed meanwhile."""
    with store.transaction() as tx:
        writer = tx.offsets.lock(position.stream, [position.partition])[position.partition]
        if writer.applied_offset != position.applied:
            msg = (
                f"{position.stream}/{position.partition}: the applied offset was {position.applied} and is now "
                f"{writer.applied_offset}: a worker reads this partition; nothing was changed, run the command again"
            )
            raise PartitionLost(msg, partitions=[position.partition])
        tx.offsets.save([replace(writer, applied_offset=to - 1)])
        tx.commit()
