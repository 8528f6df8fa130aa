"""User snapshots: read again only after the sequence has risen, and bounded in bytes."""

from __future__ import annotations

from domain_doubles import SHAPE, TYPES, event, ingestor
from doubles import MemoryStore

from core.clock import ManualClock
from core.corrections.erase import erase_user
from core.events.hidden_items import HiddenItems
from core.ingestion.derivation import Derivation
from core.ingestion.sources import RequestSource
from core.recommendation.user_vectors.user_snapshots import CurrentUser, UserSnapshots

SEEN, DISLIKED = (HiddenItems(TYPES, exclude_seen=seen) for seen in (True, False))


def had(store: MemoryStore, user_id: str, item_id: str, at_s: int = 0) -> None:
    ingestor(store).ingest([event(user_id, item_id, at_s)], RequestSource("api"))


def read(
    store: MemoryStore, users: UserSnapshots, user_id: str = "ann", rule: HiddenItems = SEEN
) -> CurrentUser | None:
    with store.read() as transaction:
        return users.read(transaction, user_id, rule)[1]


def test_a_user_is_kept_until_the_sequence_rises() -> None:
    store, users = MemoryStore(), UserSnapshots(max_mib=1)
    had(store, "ann", "a")
    first = read(store, users)
    assert read(store, users) is first
    had(store, "ann", "b", 1)
    second = read(store, users)
    assert second is not None
    assert (second.state.seq, len(second.hidden)) == (2, 2)


def test_with_seen_items_excluded_and_included_a_user_is_kept_twice() -> None:
    store, users = MemoryStore(), UserSnapshots(max_mib=1)
    had(store, "ann", "a")
    own = [read(store, users, rule=rule) for rule in (SEEN, DISLIKED, SEEN)]
    assert [len(user.hidden) for user in own if user] == [1, 0, 1]
    assert len(users) == 2


def test_an_erased_user_is_forgotten() -> None:
    store, users = MemoryStore(), UserSnapshots(max_mib=1)
    had(store, "ann", "a")
    read(store, users)
    erase_user(store, "ann", clock=ManualClock(0), derivation=Derivation(TYPES, SHAPE))
    assert read(store, users) is None
    assert len(users) == 0


def test_the_least_recently_read_users_go_first() -> None:
    store, users = MemoryStore(), UserSnapshots(max_mib=0.0048)  # room for three
    for user_id in ("ann", "bob", "cid"):
        had(store, user_id, "a")
    kept = {user_id: read(store, users, user_id) for user_id in ("ann", "bob", "cid", "ann")}
    had(store, "dan", "a")
    read(store, users, "dan")
    assert read(store, users, "ann") is kept["ann"]
    assert read(store, users, "bob") is not None
    assert len(users) == 3
