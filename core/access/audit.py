"""The audit log: who changed what by hand, in the transaction of the change itself.

An entry names no user: what is erased must not remain in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field

from core.clock import Clock, WallClock
from core.ports.store import ReadTransaction, Store, Transaction
from core.records.stored import AuditEntry

MAX_NAMES = 3  # of a target


@dataclass(frozen=True, slots=True)
class AuditedStore:
    """A store whose every committed transaction leaves an entry: pass it to the use case that makes the change.

    `actor`: the name of an API key, or who ran a command. `target`: what is changed, such as item ids.
    """

    store: Store
    actor: str
    action: str
    target: str = ""
    clock: Clock = field(default_factory=WallClock)

    @property
    def is_embedded(self) -> bool:
        """As the store."""
        return self.store.is_embedded

    @property
    def others_wait(self) -> bool:
        """As of the store."""
        return self.store.others_wait

    @property
    def held_s(self) -> float:
        """As of the store."""
        return self.store.held_s

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """A write transaction with the entry."""
        with self.store.transaction() as tx:
            tx.audit.add(AuditEntry(self.clock.now_ms(), self.actor, self.action, self.target))
            yield tx

    def read(self, *, snapshot: bool = True) -> AbstractContextManager[ReadTransaction]:
        """As the store."""
        return self.store.read(snapshot=snapshot)

    def close(self) -> None:
        """As the store."""
        self.store.close()


def named(names: Sequence[str]) -> str:
    """A target of several names: the first ones, and how many more."""
    more = len(names) - MAX_NAMES
    return ", ".join(names[:MAX_NAMES]) + (f" and {more} more" if more > 0 else "")
