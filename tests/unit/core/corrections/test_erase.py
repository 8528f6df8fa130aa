"""Erasure: a user is unknown afterwards, and nothing that was derived from their events is left."""

from __future__ import annotations

from collections import Counter

import pytest
from domain_doubles import NOW_MS, SHAPE, TYPES, event, ingestor
from doubles import MemoryStore

from core.clock import ManualClock
from core.corrections.erase import erase_user
from core.errors import NotFound
from core.ingestion.derivation import Derivation
from core.ingestion.sources import RequestSource
from core.transitions.transition import Transition

CLOCK = ManualClock(NOW_MS)


def test_an_unknown_user_cannot_be_erased() -> None:
    with pytest.raises(NotFound, match="user 'ann' is not known"):
        erase_user(MemoryStore(), "ann", clock=CLOCK, derivation=Derivation(TYPES, SHAPE))


def test_an_erased_user_is_unknown() -> None:
    store = MemoryStore()
    ingestor(store).ingest([event("ann", "a"), event("bob", "a")], RequestSource("api"))
    erase_user(store, "ann", clock=CLOCK, derivation=Derivation(TYPES, SHAPE))
    with store.read() as read:
        assert read.users.find("ann") is None
        assert (read.totals().users, read.totals().events) == (1, 1)


def test_an_erased_user_leaves_no_item_transitions() -> None:
    store = MemoryStore()
    ingestor(store).ingest([event("ann", "a"), event("ann", "b", 1), event("bob", "a")], RequestSource("api"))
    erase_user(store, "ann", clock=CLOCK, derivation=Derivation(TYPES, SHAPE))
    totals: Counter[Transition] = Counter()
    with store.read() as read:
        for row in map(Transition._make, read.transitions.since({}).rows.tolist()):
            totals[row._replace(sign=1)] += row.sign
        key = read.items.by_id(["a"])["a"].key
    assert {row.item_key: count for row, count in totals.items() if count} == {key: 1}  # bob's event
