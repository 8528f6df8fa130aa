"""kill -9 of `tidewise up` with requests in flight: acknowledged events count exactly once, and answers continue.

Undone events stay undone, also when they are sent again, and merged guests' events are the user's. Answered patches of
items and users stand, an item that expired is in no answer, and importing everything again adds only what was lost.

The clients' own log is the oracle of the events, `oracle` that of everything derived from them. `make test-crash`
kills 20 times, a usual run twice; CRASHES=n chooses.
"""

from __future__ import annotations

import os
import random
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from oracle import KINDS, Snapshot, StoredEvent, assert_consistent, event_key
from services.answers_by_hand import AnswersByHand
from services.reimport import import_again
from services.small_shop import WINDOW_SIZE, WINDOW_STEP
from services.traffic import EXPIRED_MS, Event, Ledger, Traffic
from services.up_process import UpProcess

from core.events.history import WindowShape
from core.events.interactions import EventTypes
from core.ingestion.derivation import Derivation
from core.ingestion.verify import verify
from storage import open_store

NUM_CRASHES = int(os.environ.get("CRASHES", "2"))
NUM_CLIENTS = 6
USERS = [f"user-{number:04d}" for number in range(1, 13)] + [f"guest-{number}" for number in range(8)]
NUM_CHECKED_USERS = 8

pytestmark = pytest.mark.timeout(120 + 40 * NUM_CRASHES)


def test_kill_9_under_load_loses_no_event_and_counts_none_twice(
    shop: Path,
) -> None:
    rng = random.Random(20)
    before = Snapshot(shop / "tidewise.db")
    items = [*sorted({event.item_id for event in before.events})[:120], "not-in-the-catalogue", "unheard-of"]
    traffic = Traffic(seed=7, num_clients=NUM_CLIENTS, users=USERS, items=items)
    # The answers by hand are those of the model alone, without live counts.
    server = UpProcess(shop, options=("--set", "recommend.blend=false"))
    traffic.start()
    try:
        for _ in range(NUM_CRASHES):
            url = server.start_and_wait()
            check(shop, url, before, traffic.ledger, users=rng.sample(USERS, NUM_CHECKED_USERS))
            traffic.resume(url)
            more = rng.choice((20, 200, 1000)) + rng.randrange(100)
            traffic.wait_in_flight(
                num_acknowledged=len(traffic.ledger.acknowledged) + more, num_requests=rng.randint(2, 4)
            )
            server.kill()
            traffic.pause()
            import_again(shop, traffic.ledger.sent.values(), items[:NUM_CLIENTS])
        url = server.start_and_wait()
        traffic.resume(url)
        traffic.finish()
        check(shop, url, before, traffic.ledger, users=USERS)
    finally:
        traffic.stop()
        if server.runs():
            server.kill()
    assert_verified(shop)
    assert any(traffic.ledger.undone.values())
    assert {path.split("/")[2] for path in traffic.ledger.patched} == {"items", "users"}
    assert any(is_answered for _, is_answered in traffic.ledger.merged.values())
    assert traffic.ledger.num_lost_requests >= NUM_CRASHES, "the server was killed while nobody waited for it"


def check(shop: Path, url: str, before: Snapshot, ledger: Ledger, *, users: list[str]) -> None:
    """Check the database while no client writes, and the next answers."""
    now = Snapshot(shop / "tidewise.db")
    assert_consistent(now, size=WINDOW_SIZE, step=WINDOW_STEP)
    assert_agrees(now, before, ledger)
    model = next((shop / "models").iterdir())
    by_hand = AnswersByHand(shop, model, size=WINDOW_SIZE, step=WINDOW_STEP)
    newest = ledger.newest_seqs()
    with httpx.Client(base_url=url, timeout=30) as http:
        for path, rounds in ledger.patched.items():
            stored = http.get(path).json()
            assert (number := stored["attributes"].get("round", 0)) in rounds, f"{path}: {number}, not in {rounds}"
            if path.startswith("/v1/items/"):
                assert stored["available_until"] == (EXPIRED_MS if number % 2 else None)
        for user_id in users:
            if user_id in now.users:
                answer = http.get(f"/v1/users/{user_id}/recommendations", params={"n": 20}).json()
                assert answer["user_seq"] >= newest[user_id]
                by_hand.check(user_id, answer)


def assert_verified(shop: Path) -> None:
    """What is stored equals what a rebuild would make of the events."""
    derivation = Derivation(EventTypes(), WindowShape(WINDOW_SIZE, WINDOW_STEP))
    with closing(open_store(f"sqlite:///{shop / 'tidewise.db'}")) as store, store.read() as read:
        assert verify(read, derivation, progress=lambda _num: None).examples == []


def assert_agrees(now: Snapshot, before: Snapshot, ledger: Ledger) -> None:
    """Every acknowledgement is true, and no event is stored that was not sent."""
    stored = {event.key: event for event in now.events}
    assert len(stored) == len(now.events)
    sent = {event_key(event_id): event for event_id, event in ledger.sent.items()}
    assert stored.keys() <= sent.keys() | {event.key for event in before.events}, "nobody sent it"
    assert all(event == stored[event.key] for event in before.events), "the past has changed"
    for event_id, is_answered in ledger.undone.items():
        assert (event_key(event_id) in now.undone) >= is_answered, f"{event_id} was undone and came back"
        assert (event_key(event_id) in stored) != (event_key(event_id) in now.undone)
    assert now.undone <= set(map(event_key, ledger.undone)), "undone without a request"
    for event_id, answers in ledger.acknowledged.items():
        accepted = [answer.user_seq for answer in answers if answer.status == "accepted"]
        assert len(accepted) <= 1, f"{event_id}: accepted as {accepted}"
        assert accepted or event_id in ledger.lost, f"{event_id} was called a duplicate when it was sent first"
        event = stored.get(event_key(event_id))
        if event is None:
            assert event_key(event_id) in now.undone, f"{event_id} was acknowledged and is lost"
            continue
        sent = ledger.sent[event_id]
        assert is_stored_as(event, sent, owners=ledger.owners(sent["user_id"]))
        if sent["user_id"] not in ledger.merged:
            assert accepted == [event.user_seq][: len(accepted)], f"{event_id}: accepted as {accepted}"


def is_stored_as(stored: StoredEvent, event: Event, *, owners: set[str]) -> bool:
    return stored.user_id in owners and (stored.item_id, KINDS[stored.code], stored.time_ms) == (
        event["item_id"],
        event["type"],
        event["time"],
    )
