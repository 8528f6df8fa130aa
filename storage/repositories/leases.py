"""Leases: which process holds a role that only one process may hold at a time.

All times are by the database's clock, so that the clocks of machines need not agree.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, bindparam, or_, select, update
from sqlalchemy.sql.elements import CompilerElement

from core.errors import LeaseLost
from core.records.stored import LeaseRecord
from storage.dialects import Dialect
from storage.session import Session
from storage.tables import leases

OWN = (leases.c.role == bindparam("lease_role"), leases.c.token == bindparam("lease_token"))


def _expiry(dialect: Dialect) -> CompilerElement:
    return dialect.now_ms() + bindparam("ttl_ms", type_=BigInteger())


def _add(dialect: Dialect) -> CompilerElement:
    return dialect.insert(leases, "role", "holder", "token", "expires_ms").on_conflict_do_nothing()


def _take(dialect: Dialect) -> CompilerElement:
    """Takes a lease that is released, expired or held by the same holder; increments the fencing token."""
    available = or_(leases.c.expires_ms <= dialect.now_ms(), leases.c.holder == bindparam("new_holder"))
    new = {"holder": bindparam("new_holder"), "token": leases.c.token + 1, "expires_ms": _expiry(dialect)}
    return update(leases).where(leases.c.role == bindparam("lease_role"), available).values(new)


def _renew(dialect: Dialect) -> CompilerElement:
    return update(leases).where(*OWN).values(expires_ms=_expiry(dialect))


def _release(dialect: Dialect) -> CompilerElement:
    return update(leases).where(*OWN).values(holder="", expires_ms=0)


def _lock(dialect: Dialect) -> CompilerElement:
    return select(leases.c.holder).where(*OWN).with_for_update()


def _find(dialect: Dialect) -> CompilerElement:
    return select(leases).where(leases.c.role == bindparam("lease_role"))


class LeaseRepository:
    """`core.ports.leases.LeaseRepository` over a session."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    def take(self, role: str, *, holder: str, ttl_ms: int) -> LeaseRecord | None:
        """Take a role for `ttl_ms` from now; None while another holder has it."""
        self._session.write(_add, [(role, "", 0, 0)])
        if not self._session.run(_take, lease_role=role, new_holder=holder, ttl_ms=ttl_ms):
            return None
        return self.find(role)

    def renew(self, lease: LeaseRecord, *, ttl_ms: int) -> bool:
        """Extend the lease to `ttl_ms` from now; False where another holder has taken it."""
        return self._session.run(_renew, lease_role=lease.role, lease_token=lease.token, ttl_ms=ttl_ms) == 1

    def release(self, lease: LeaseRecord) -> None:
        """End the lease now, if it is still held."""
        self._session.run(_release, lease_role=lease.role, lease_token=lease.token)

    def guard(self, lease: LeaseRecord) -> None:
        """Lock the lease until the transaction ends; raises `LeaseLost` if another holder has taken it."""
        if self._session.row(_lock, lease_role=lease.role, lease_token=lease.token) is None:
            msg = f"the role {lease.role!r} was taken over from {lease.holder}; nothing was written"
            raise LeaseLost(msg)

    def find(self, role: str) -> LeaseRecord | None:
        """The last lease of a role, expired or not; None where it was released or never taken."""
        row = self._session.row(_find, lease_role=role)
        return LeaseRecord(*row) if row is not None and row[1] else None
