"""Leases: one holder at a time by the store's clock; fencing tokens stop writes of earlier holders."""

from __future__ import annotations

import pytest

from core.errors import LeaseLost
from core.lease import Lease
from core.ports.store import Store
from core.records.stored import LeaseRecord

LONG_MS, NO_TIME_MS = 60_000, 0


def take(store: Store, holder: str, *, ttl_ms: int = LONG_MS) -> LeaseRecord | None:
    with store.transaction() as tx:
        lease = tx.leases.take("trainer", holder=holder, ttl_ms=ttl_ms)
        tx.commit()
    return lease


def taken(store: Store, holder: str, *, ttl_ms: int = LONG_MS) -> LeaseRecord:
    lease = take(store, holder, ttl_ms=ttl_ms)
    assert lease is not None
    return lease


def write_as(store: Store, lease: LeaseRecord) -> None:
    with store.transaction() as tx:
        tx.leases.guard(lease)
        tx.metadata.save({"written by": lease.holder})
        tx.commit()


def written_by(store: Store) -> str | None:
    with store.read() as read:
        return read.metadata.all().get("written by")


def test_a_free_lease_is_taken_and_shows_its_holder(store: Store) -> None:
    lease = taken(store, "a")
    with store.read() as read:
        assert read.leases.find("trainer") == lease
        assert read.leases.find("monitor") is None
    assert lease.holder == "a"


def test_a_held_lease_is_refused_to_other_holders(store: Store) -> None:
    taken(store, "a")
    assert take(store, "b") is None


def test_leases_of_different_roles_are_independent(store: Store) -> None:
    taken(store, "a")
    with store.transaction() as tx:
        assert tx.leases.take("monitor", holder="b", ttl_ms=LONG_MS) is not None


def test_an_expired_lease_is_taken_with_a_higher_token(store: Store) -> None:
    first = taken(store, "a", ttl_ms=NO_TIME_MS)
    second = taken(store, "b")
    assert second.token > first.token


def test_a_lost_lease_cannot_write_renew_or_release(store: Store) -> None:
    lost = taken(store, "a", ttl_ms=NO_TIME_MS)
    kept = taken(store, "b")
    with pytest.raises(LeaseLost, match="taken over from a"):
        write_as(store, lost)
    with store.transaction() as tx:
        assert not tx.leases.renew(lost, ttl_ms=LONG_MS)
        tx.leases.release(lost)
        tx.commit()
    assert written_by(store) is None
    write_as(store, kept)
    assert written_by(store) == "b"


def test_renewing_keeps_the_lease_and_its_token(store: Store) -> None:
    lease = taken(store, "a", ttl_ms=NO_TIME_MS)
    with store.transaction() as tx:
        assert tx.leases.renew(lease, ttl_ms=LONG_MS)
        tx.commit()
    assert take(store, "b") is None
    write_as(store, lease)
    assert written_by(store) == "a"


def test_an_expired_lease_still_writes_until_it_is_taken(store: Store) -> None:
    write_as(store, taken(store, "a", ttl_ms=NO_TIME_MS))
    assert written_by(store) == "a"


def test_a_released_lease_is_free_at_once(store: Store) -> None:
    old = taken(store, "a")
    with store.transaction() as tx:
        tx.leases.release(old)
        tx.commit()
    with store.read() as read:
        assert read.leases.find("trainer") is None
    assert taken(store, "b").token > old.token
    with pytest.raises(LeaseLost):
        write_as(store, old)


def test_taking_an_own_lease_again_raises_the_token(store: Store) -> None:
    assert taken(store, "a").token < taken(store, "a").token


def test_an_uncommitted_lease_is_rolled_back(store: Store) -> None:
    with store.transaction() as tx:
        tx.leases.take("trainer", holder="a", ttl_ms=LONG_MS)
    assert take(store, "b") is not None


def test_a_lease_is_held_by_one_process_until_released(store: Store) -> None:
    first, second = Lease(store, "trainer", holder="a"), Lease(store, "trainer", holder="b")
    assert first.hold()
    assert not second.hold()
    assert first.hold()
    first.release()
    assert second.hold()
    assert (first.is_held, second.is_held) == (False, True)


def test_a_process_without_the_lease_writes_nothing(store: Store) -> None:
    def write(role: Lease, name: str) -> None:
        with role.transaction() as tx:
            tx.metadata.save({"written by": name})
            tx.commit()

    slow = Lease(store, "trainer", holder="slow", ttl_ms=NO_TIME_MS)
    fresh = Lease(store, "trainer", holder="fresh")
    with pytest.raises(LeaseLost, match="not held by slow"):
        write(slow, "slow")
    assert slow.hold()
    assert fresh.hold()
    with pytest.raises(LeaseLost, match="taken over from slow"):
        write(slow, "slow")
    write(fresh, "fresh")
    assert written_by(store) == "fresh"


def test_a_process_can_take_a_lost_lease_again(store: Store) -> None:
    slow = Lease(store, "trainer", holder="slow", ttl_ms=NO_TIME_MS)
    other = Lease(store, "trainer", holder="other")
    assert slow.hold()
    assert other.hold()
    assert not slow.hold()
    other.release()
    assert slow.hold()
