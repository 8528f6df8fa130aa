"""Leases: a role has one holder at a time, by the store's clock, and whoever lost it can no longer write."""

from __future__ import annotations

import pytest

from core.errors import LeaseLost
from core.lease import Lease
from core.ports.store import Store
from core.records import LeaseRecord

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


def test_a_free_role_is_taken_and_shown_with_its_holder(store: Store) -> None:
    lease = taken(store, "a")
    with store.read() as read:
        assert read.leases.find("trainer") == lease
        assert read.leases.find("monitor") is None
    assert lease.holder == "a"


def test_nobody_else_gets_a_held_role(store: Store) -> None:
    taken(store, "a")
    assert take(store, "b") is None


def test_two_roles_have_nothing_to_do_with_each_other(store: Store) -> None:
    taken(store, "a")
    with store.transaction() as tx:
        assert tx.leases.take("monitor", holder="b", ttl_ms=LONG_MS) is not None


def test_an_expired_role_goes_to_the_next_who_asks_under_a_higher_token(store: Store) -> None:
    first = taken(store, "a", ttl_ms=NO_TIME_MS)
    second = taken(store, "b")
    assert second.token > first.token


def test_whoever_lost_the_role_can_neither_write_nor_renew_nor_release_it(store: Store) -> None:
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


def test_a_holder_who_renews_keeps_the_role_and_its_token(store: Store) -> None:
    lease = taken(store, "a", ttl_ms=NO_TIME_MS)
    with store.transaction() as tx:
        assert tx.leases.renew(lease, ttl_ms=LONG_MS)
        tx.commit()
    assert take(store, "b") is None
    write_as(store, lease)
    assert written_by(store) == "a"


def test_a_holder_whose_time_ran_out_may_still_write_while_nobody_took_over(store: Store) -> None:
    write_as(store, taken(store, "a", ttl_ms=NO_TIME_MS))
    assert written_by(store) == "a"


def test_a_released_role_is_free_at_once_and_closed_to_its_old_holder_after_the_next_taking(store: Store) -> None:
    old = taken(store, "a")
    with store.transaction() as tx:
        tx.leases.release(old)
        tx.commit()
    with store.read() as read:
        assert read.leases.find("trainer") is None
    assert taken(store, "b").token > old.token
    with pytest.raises(LeaseLost):
        write_as(store, old)


def test_a_holder_who_takes_its_own_role_again_gets_a_higher_token(store: Store) -> None:
    assert taken(store, "a").token < taken(store, "a").token


def test_a_taking_that_was_not_committed_never_happened(store: Store) -> None:
    with store.transaction() as tx:
        tx.leases.take("trainer", holder="a", ttl_ms=LONG_MS)
    assert take(store, "b") is not None


def test_a_role_is_held_by_one_process_and_passes_on_when_it_is_released(store: Store) -> None:
    first, second = Lease(store, "trainer", holder="a"), Lease(store, "trainer", holder="b")
    assert first.hold()
    assert not second.hold()
    assert first.hold()
    first.release()
    assert second.hold()
    assert (first.is_held, second.is_held) == (False, True)


def test_a_process_without_the_role_writes_nothing(store: Store) -> None:
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


def test_a_process_that_lost_the_role_may_get_it_back_when_it_is_free_again(store: Store) -> None:
    slow = Lease(store, "trainer", holder="slow", ttl_ms=NO_TIME_MS)
    other = Lease(store, "trainer", holder="other")
    assert slow.hold()
    assert other.hold()
    assert not slow.hold()
    other.release()
    assert slow.hold()
