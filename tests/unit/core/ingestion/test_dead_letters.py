"""Dead letters retried: applied once, in one transaction with their going; those that fail again stay and say why."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from doubles import MemoryStore

from core.clock import ManualClock
from core.errors import StoreUnavailable
from core.events.history import WindowShape
from core.events.interactions import EventTypes, Interaction
from core.ingestion.dead_letters import PAGE, discard, retry
from core.ingestion.derivation import Derivation
from core.ingestion.ingest import Ingestor
from core.ingestion.sources import RequestSource
from core.records.stored import DeadLetter

NOW_MS = 1_700_000_000_000
TYPES = EventTypes()


def decode(letter: DeadLetter) -> tuple[Sequence[Interaction], Sequence[str]]:
    """`user item ...` is one event for each item; a user named "?" can still not be read."""
    user_id, *items = letter.payload.decode().split()
    if user_id == "?":
        return [], ["still no user"]
    return [Interaction(f"{letter.key}:{item}", user_id, item, "click", NOW_MS) for item in items], []


class PickyIngestor(Ingestor):
    """Fails on events of one user, as a database does that refuses a value."""

    def ingest(self, events, source, **options):  # type: ignore[no-untyped-def]
        if any(event.user_id == "cursed" for event in events):
            raise ArithmeticError("numeric field overflow")
        return super().ingest(events, source, **options)


class AwayIngestor(Ingestor):
    """Finds the database away."""

    def ingest(self, events, source, **options):  # type: ignore[no-untyped-def]
        raise StoreUnavailable("the database is away")


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def ingestor(store: MemoryStore, kind: type[Ingestor] = Ingestor) -> Ingestor:
    return kind(store, types=TYPES, shape=WindowShape(8, 4))


def keep(store: MemoryStore, *payloads: str, source: str = "topic") -> None:
    letters = [
        DeadLetter(source, 0, offset, "no user", payload.encode(), NOW_MS) for offset, payload in enumerate(payloads)
    ]
    with store.transaction() as tx:
        tx.dead_letters.add(letters)
        tx.commit()


def kept(store: MemoryStore) -> list[tuple[str, str, int]]:
    with store.read() as read:
        return [(letter.payload.decode(), letter.reason, letter.num_retries) for letter in read.dead_letters.page()]


def num_events(store: MemoryStore) -> int:
    with store.read() as read:
        return read.totals().events


def test_what_can_be_applied_now_is_and_its_letter_goes(store: MemoryStore) -> None:
    keep(store, "ann tent stove", "bob mug")
    result = retry(store, ingestor(store), decode, source="topic")
    assert (result.num_retried, result.num_succeeded, result.num_accepted) == (2, 2, 3)
    assert kept(store) == []
    assert num_events(store) == 3


def test_failed_retry_stores_the_reason_and_the_count(store: MemoryStore) -> None:
    keep(store, "? tent", "ann tent")
    for tries in (1, 2):
        result = retry(store, ingestor(store), decode, source="topic")
        assert [letter.num_retries for letter in result.failures] == [tries]
    assert kept(store) == [("? tent", "still no user", 2)]
    assert num_events(store) == 1


def test_failing_dead_letter_does_not_block_the_others(store: MemoryStore) -> None:
    keep(store, "ann tent", "cursed tent", "bob tent")
    result = retry(store, ingestor(store, PickyIngestor), decode, source="topic")
    assert (result.num_retried, result.num_succeeded, result.num_accepted) == (3, 2, 2)
    assert kept(store) == [("cursed tent", "ArithmeticError: numeric field overflow", 1)]


def test_while_the_database_is_away_nothing_changes(store: MemoryStore) -> None:
    keep(store, "ann tent")
    with pytest.raises(StoreUnavailable):
        retry(store, ingestor(store, AwayIngestor), decode, source="topic")
    assert kept(store) == [("ann tent", "no user", 0)]


def test_failed_retry_transaction_changes_nothing(store: MemoryStore) -> None:
    def fail(_tx: object) -> None:
        raise RuntimeError("killed")

    event = Interaction("e1", "ann", "tent", "click", NOW_MS)
    with pytest.raises(RuntimeError, match="killed"):
        ingestor(store).ingest([event], RequestSource("dead-letters"), extra_writes=fail)
    assert num_events(store) == 0


def test_dead_letters_of_other_sources_and_keys_are_not_retried(store: MemoryStore) -> None:
    keep(store, "ann tent", "bob tent")
    keep(store, "cid tent", source="history.csv")
    with store.read() as read:
        first = read.dead_letters.page()[0].key
    assert first is not None
    result = retry(store, ingestor(store), decode, source="topic", keys={first})
    assert result.num_retried == 1
    assert [payload for payload, _, _ in kept(store)] == ["bob tent", "cid tent"]


def test_an_erased_users_letters_bring_nothing_back(store: MemoryStore) -> None:
    from core.corrections.erase import erase_user

    ingestor(store).ingest([Interaction("e1", "ann", "tent", "click", NOW_MS)], RequestSource("http"))
    erase_user(store, "ann", clock=ManualClock(NOW_MS), derivation=Derivation(TYPES, WindowShape()))
    keep(store, "ann tent")
    result = retry(store, ingestor(store), decode, source="topic")
    assert (result.num_succeeded, result.num_accepted) == (1, 0)


def test_dead_letters_are_retried_in_pages(store: MemoryStore) -> None:
    keep(store, *("? tent" if n % 2 else f"user-{n} tent" for n in range(2 * PAGE + 3)))
    result = retry(store, ingestor(store), decode, source="topic")
    assert (result.num_retried, len(result.failures)) == (2 * PAGE + 3, PAGE + 1)
    assert len(kept(store)) == PAGE


def test_discarded_letters_are_gone_and_the_rest_stays(store: MemoryStore) -> None:
    keep(store, "a", "b")
    keep(store, "c", source="history.csv")
    assert discard(store, source="topic", keys=None) == 2
    assert [payload for payload, _, _ in kept(store)] == ["c"]
    assert discard(store, source=None, keys={10**6}) == 0
