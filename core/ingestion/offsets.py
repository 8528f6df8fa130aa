"""Changes applied offsets where the log and the database do not match: by an operator, or because the log is new.

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


def adopt_log(store: Store, stream: str, log_id: str) -> bool:
    """Let the offsets of a stream belong to the log with this id; True where they were those of another log.

    They are then forgotten, because a topic that was deleted and made anew counts from 0 again. Nothing is lost: what
    is read again counts once, by its event id. The first id is only noted. Raises `StoreConflict` and
    `StoreUnavailable`.
    """
    name = f"log_id:{stream}"
    with store.read() as read:
        if read.metadata.all().get(name) == log_id:
            return False
    with store.transaction() as tx:
        writers = tx.offsets.lock(stream, sorted(tx.offsets.applied(stream)))  # as workers do, before the id is read
        known = tx.metadata.all().get(name)
        if is_other := known not in (None, log_id):
            tx.offsets.save([replace(writer, applied_offset=None) for writer in writers.values()])
        tx.metadata.save({name: log_id})
        tx.commit()
    return is_other
