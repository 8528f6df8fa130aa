"""Leases: a role such as the trainer is held by one process at a time, fenced by a token in the store.

The holder renews its lease while it works. The store refuses the transactions of a holder whose lease has been taken
over, for example after a frozen machine or a lost network.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from core.errors import LeaseLost
from core.ports.store import Store, Transaction
from core.records.stored import LeaseRecord

TTL_MS = 30_000


class Lease:
    """A process's lease of a role. `holder`: the unique name of the process, shown to operators."""

    def __init__(self, store: Store, name: str, *, holder: str, ttl_ms: int = TTL_MS) -> None:
        self._store = store
        self._name = name
        self._holder = holder
        self._ttl_ms = ttl_ms
        self._lease: LeaseRecord | None = None

    @property
    def is_held(self) -> bool:
        """Whether this process held the lease at the last `hold`."""
        return self._lease is not None

    def hold(self) -> bool:
        """Acquire or renew the lease; False while another process holds it. Call it three times per `ttl_ms`."""
        with self._store.transaction() as tx:
            if self._lease is None or not tx.leases.renew(self._lease, ttl_ms=self._ttl_ms):
                self._lease = tx.leases.take(self._name, holder=self._holder, ttl_ms=self._ttl_ms)
            tx.commit()
        return self._lease is not None

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """A write transaction fenced by the lease; raises `LeaseLost` if another process has taken it over."""
        if self._lease is None:
            msg = f"the lease {self._name!r} is not held by {self._holder}; acquire it first, nothing was written"
            raise LeaseLost(msg)
        with self._store.transaction() as tx:
            tx.leases.guard(self._lease)
            yield tx

    def release(self) -> None:
        """Release the lease, so that another process can acquire it at once."""
        if self._lease is not None:
            with self._store.transaction() as tx:
                tx.leases.release(self._lease)
                tx.commit()
        self._lease = None


class NoLease:
    """Transactions without a lease, for an operator's command that may run beside the trainer."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def transaction(self) -> AbstractContextManager[Transaction]:
        """A write transaction."""
        return self._store.transaction()
