"""Corrections beside ingest on real connections: each event counts once, or not at all, whoever comes first."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from domain_doubles import NOW_MS, ingestor
from services.databases import Database

from core.corrections.merge import merge_users
from core.corrections.undo import undo_event
from core.events.interactions import Interaction
from core.ingestion.derivation import Derivation
from core.ingestion.ingest import Ingestor
from core.ingestion.sources import RequestSource
from core.ports.store import Store
from storage import open_store

NUM_EVENTS = 12
WAIT_S = 60


def clicks(user_id: str) -> list[Interaction]:
    return [Interaction(f"{user_id}-{n}", user_id, f"i{n % 3}", "click", NOW_MS + 1000 * n) for n in range(NUM_EVENTS)]


def at_once(database: Database, *tasks: Callable[[Store, Ingestor], None]) -> None:
    """Run each task on connections of its own."""

    def run(task: Callable[[Store, Ingestor], None]) -> None:
        with closing(open_store(database.url)) as store:
            task(store, ingestor(store))

    with ThreadPoolExecutor(len(tasks)) as pool:
        for done in [pool.submit(run, task) for task in tasks]:
            done.result(WAIT_S)


def derivation(store: Store) -> Derivation:
    return ingestor(store).derivation


@pytest.mark.parametrize("writer", ["first", "second"])
def test_undone_events_stay_undone_beside_their_redelivery(database: Database, writer: str) -> None:
    ingestor(database.store).ingest(clicks("ann"), RequestSource("setup"))

    def undo(store: Store, _writer: Ingestor) -> None:
        for event in clicks("ann"):
            undo_event(store, event.event_id, derivation(store))

    def redeliver(_store: Store, applier: Ingestor) -> None:
        for _ in range(3):
            for event in clicks("ann"):
                applier.ingest([event], RequestSource(writer))

    at_once(database, undo, redeliver)
    with database.store.read() as read:
        state = read.users.find("ann")
        assert read.totals().events == 0
    assert state is not None
    assert (state.seq, state.window.num_events) == (2 * NUM_EVENTS, 0)


def test_events_of_a_guest_beside_the_merge_count_once(database: Database) -> None:
    ingestor(database.store).ingest(clicks("ann")[:3] + clicks("guest")[:3], RequestSource("setup"))

    def merge(store: Store, _writer: Ingestor) -> None:
        merge_users(store, "ann", "guest", derivation(store))

    def send(*user_ids: str) -> Callable[[Store, Ingestor], None]:
        def task(_store: Store, applier: Ingestor) -> None:
            for pair in zip(*map(clicks, user_ids), strict=True):
                applier.ingest(list(pair), RequestSource("-".join(user_ids)))

        return task

    at_once(database, merge, send("ann", "guest"), send("guest", "bob"))
    with database.store.read() as read:
        ann, guest = read.users.find("ann"), read.users.find("guest")
        assert read.totals().events == 3 * NUM_EVENTS
    assert ann is not None
    assert guest is not None
    assert ann.key == guest.key
    assert ann.window.num_events == 2 * NUM_EVENTS
