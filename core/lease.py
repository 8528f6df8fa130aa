"""Roles that one process at a time may fill, such as the trainer: held by a lease in the store.

A holder renews its lease while it works. One that was too slow for it (a frozen machine, a lost network) finds out at
its next transaction, which the store refuses: the token of the lease fences it off.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from core.errors import LeaseLost
from core.ports.store import Store, Transaction
from core.records import LeaseRecord

TTL_MS = 30_000


class Lease:
    """One role as one process sees it. `holder` names the process, unlike any other, for operators to read."""

    def __init__(self, store: Store, name: str, *, holder: str, ttl_ms: int = TTL_MS) -> None:
        self._store = store
        self._name = name
        self._holder = holder
        self._ttl_ms = ttl_ms
        self._lease: LeaseRecord | None = None

    @property
    def is_held(self) -> bool:
        """Whether it was ours when last asked for."""
        return self._lease is not None

    def hold(self) -> bool:
        """Take the role or keep it for longer; False while another process fills it. Call it thrice in its time."""
        with self._store.transaction() as tx:
            if self._lease is None or not tx.leases.renew(self._lease, ttl_ms=self._ttl_ms):
                self._lease = tx.leases.take(self._name, holder=self._holder, ttl_ms=self._ttl_ms)
            tx.commit()
        return self._lease is not None

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """A write transaction of the holder alone; raises `LeaseLost` where the role is not ours."""
        if self._lease is None:
            msg = f"the role {self._name!r} is not held by {self._holder}; take it first, nothing was written"
            raise LeaseLost(msg)
        with self._store.transaction() as tx:
            tx.leases.guard(self._lease)
            yield tx

    def release(self) -> None:
        """Give it back, so that another process need not wait."""
        if self._lease is not None:
            with self._store.transaction() as tx:
                tx.leases.release(self._lease)
                tx.commit()
        self._lease = None
