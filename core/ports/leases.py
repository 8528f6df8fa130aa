"""The repository of leases: which process holds a role that only one process may hold at a time."""

from __future__ import annotations

from typing import Protocol

from core.records.stored import LeaseRecord


class LeaseReader(Protocol):
    """Reads leases."""

    def find(self, role: str) -> LeaseRecord | None:
        """The last lease of this role, expired or not; None where it was released or never taken."""
        ...


class LeaseRepository(LeaseReader, Protocol):
    """Reads and writes leases. Times are by the store's clock. `guard` is called before any other lock is taken."""

    def guard(self, lease: LeaseRecord) -> None:
        """Keep other holders from taking this lease until the transaction ends; raises `LeaseLost` where one has."""
        ...

    def take(self, role: str, *, holder: str, ttl_ms: int) -> LeaseRecord | None:
        """Take a role for `ttl_ms` from now; None while another holder has it.

        Each lease has a higher token than the one before, also of the same holder: a fencing token, with which
        `guard` refuses the writes of an earlier lease.
        """
        ...

    def renew(self, lease: LeaseRecord, *, ttl_ms: int) -> bool:
        """Extend the lease to `ttl_ms` from now, even if it has expired; False where another holder has taken it."""
        ...

    def release(self, lease: LeaseRecord) -> None:
        """End the lease now; no effect where another holder has taken it."""
        ...
