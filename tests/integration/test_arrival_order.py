"""The arrival order of events with distinct times does not change histories, windows and vectors.

Over a SQLite file and the real encoder; tests/unit has the same property in memory, with many more examples.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from oracle import NUM_WINDOWED, Snapshot, assert_consistent
from services.small_shop import WINDOW_SIZE, WINDOW_STEP

from core.arrays import FloatArray
from core.events.history import WindowShape
from core.events.interactions import EventTypes, Interaction
from core.ingestion.ingest import Ingestor
from core.ingestion.sources import RequestSource
from model.bundle import HM4SRBundle
from model.checkpoint import load
from storage import open_store

USERS = ("ann", "bob")
ITEMS = ("baking-001", "baking-002", "camping-001", "tea-001", "not-in-the-catalogue")
KINDS = ("view", "purchase", "dislike", "impression")
TIME_MS = 1_710_000_000_000

an_event = st.tuples(st.sampled_from(USERS), st.sampled_from(ITEMS), st.sampled_from(KINDS), st.integers(1, 10**9))
a_log = st.lists(an_event, min_size=1, max_size=3 * WINDOW_SIZE)
LONG = [("ann", ITEMS[index % 5], "view", 1 + index**3) for index in range(3 * WINDOW_SIZE)]


@dataclass
class UserStates:
    """The users of a database. `windows` and `histories` hold item ids, because item keys depend on the order."""

    histories: dict[str, list[tuple[str, int]]]
    windows: dict[str, list[tuple[str, int]]]
    vectors: dict[str, FloatArray]


@pytest.fixture(scope="module")
def bundle(shop_template: Path) -> HM4SRBundle:
    return load(next((shop_template / "models").iterdir()))


@contextmanager
def copy_of(template: Path) -> Iterator[Path]:
    """A database per example: fixtures live longer than one example."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(shutil.copy(template / "tidewise.db", folder))


def states_after(template: Path, bundle: HM4SRBundle, batches: Sequence[Sequence[Interaction]]) -> UserStates:
    """Apply batches to a copy of the shop, and read its users."""
    with copy_of(template) as path, closing(open_store(f"sqlite:///{path}")) as store:
        ingestor = Ingestor(store, types=EventTypes(), shape=WindowShape(WINDOW_SIZE, WINDOW_STEP))
        for batch in batches:
            ingestor.ingest(batch, RequestSource("api"))
        snapshot = Snapshot(path)
        assert_consistent(snapshot, size=WINDOW_SIZE, step=WINDOW_STEP)
        with store.read() as read:
            catalogue = read.items.catalogue()
            states = {user_id: read.users.find(user_id) for user_id in USERS if user_id in snapshot.users}
        encoder = bundle.bind(catalogue)
        item_ids = dict(zip(catalogue.keys.tolist(), catalogue.item_ids, strict=True))
        histories = {user_id: snapshot.histories(NUM_WINDOWED)[user_id] for user_id in states}
        windows = {user_id: snapshot.users[user_id].window for user_id in states}
        vectors = {
            user_id: encoder.encode([state.window.history])[0]
            for user_id, state in states.items()
            if state is not None and len(state.window.history)
        }
        return UserStates(_with_item_ids(histories, item_ids), _with_item_ids(windows, item_ids), vectors)


def _with_item_ids(
    events: dict[str, list[tuple[int, int]]], item_ids: dict[int, str]
) -> dict[str, list[tuple[str, int]]]:
    return {user_id: [(item_ids[key], time_ms) for key, time_ms in pairs] for user_id, pairs in events.items()}


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(log=a_log, order=st.randoms(use_true_random=False), batch_size=st.integers(1, 9))
@example(log=LONG, order=Random(1), batch_size=1)
def test_arrival_order_does_not_change_histories_windows_and_vectors(
    shop_template: Path, bundle: HM4SRBundle, log: list[tuple[str, str, str, int]], order: Random, batch_size: int
) -> None:
    times_ms = np.cumsum([gap_ms for *_, gap_ms in log]).tolist()
    events = [
        Interaction(f"event-{index}", user_id, item_id, kind, TIME_MS + time_ms)
        for index, ((user_id, item_id, kind, _), time_ms) in enumerate(zip(log, times_ms, strict=True))
    ]
    arriving = order.sample(events, len(events))
    batches = [arriving[first : first + batch_size] for first in range(0, len(arriving), batch_size)]

    ordered, shuffled = states_after(shop_template, bundle, [events]), states_after(shop_template, bundle, batches)

    assert shuffled.histories == ordered.histories
    assert shuffled.windows == ordered.windows
    assert shuffled.vectors.keys() == ordered.vectors.keys()
    for user_id, vector in ordered.vectors.items():
        np.testing.assert_allclose(shuffled.vectors[user_id], vector, atol=1e-5)
