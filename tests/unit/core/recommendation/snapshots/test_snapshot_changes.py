"""Snapshots by changes: after any item changes, answers equal those of a process that starts now."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
from domain_doubles import (
    NOW_MS,
    SHAPE,
    TYPES,
    AxisBundle,
    AxisEncoder,
    BruteForceIndex,
    MemoryArrayFolders,
    crown,
    event,
    ingestor,
)
from doubles import MemoryStore
from hypothesis import example, given, settings
from hypothesis import strategies as st

from core.arrays import FloatArray, IntArray
from core.catalogue.availability import Availability
from core.catalogue.filters import filter_in
from core.catalogue.items import Catalogue, Item
from core.clock import ManualClock
from core.events.history import History
from core.ingestion.sources import RequestSource
from core.ports.encoder import EncodedItems
from core.recommendation.kept_lists import KeptLists
from core.recommendation.recommender import Recommender
from core.recommendation.requests import RecommendationRequest, RecommendationResult
from core.recommendation.snapshots.snapshot_manager import SnapshotManager
from core.recommendation.user_vectors.user_snapshots import UserSnapshots
from core.recommendation.user_vectors.vector_cache import VectorCache
from core.saved_snapshots.saved_snapshots import Identity, SavedSnapshots

USERS = ("ann", "bob", "nobody")
NAMES = st.sampled_from(["a", "b", "c", "d", "e"])
ITEMS = st.builds(
    Item,
    NAMES,
    st.sampled_from(["", "tea", "jam"]),
    st.just(""),
    st.lists(st.sampled_from(["food", "hot"]), unique=True).map(tuple),
    st.dictionaries(st.just("price"), st.integers(0, 2)),
    st.booleans(),
    st.builds(Availability, *[st.sampled_from([None, NOW_MS, NOW_MS + 10**9])] * 2, st.sampled_from([None, 0, 1])),
)
STEPS = st.lists(
    st.one_of(
        st.lists(ITEMS, min_size=1, max_size=3).map(lambda items: ("save", items)),
        st.lists(NAMES, min_size=1, max_size=2).map(lambda names: ("remove", names)),
        st.lists(NAMES, min_size=1, max_size=2).map(lambda names: ("touch", names)),
        st.tuples(st.sampled_from(USERS[:2]), NAMES).map(lambda pair: ("event", pair)),
    ),
    min_size=1,
    max_size=8,
)


class ContentEncoder(AxisEncoder):
    """An item's vector is a hash of its id and text; a user's vector is the sum of those of the window."""

    width = 4  # type: ignore[assignment]

    def __init__(self, catalogue: Catalogue) -> None:
        super().__init__(catalogue)
        self.vectors = _vectors(catalogue, np.arange(len(catalogue)))

    def encode(self, histories: Any) -> FloatArray:
        return np.stack([self._sum(history) for history in histories])

    def _sum(self, history: History) -> FloatArray:
        rows = self.catalogue.rows(history.items)
        total: FloatArray = self.vectors[rows[rows >= 0]].sum(axis=0)
        return total

    def query(self, vectors: FloatArray, gaps_ms: IntArray) -> FloatArray:
        return vectors

    def items(self, rows: IntArray) -> FloatArray:
        absent = np.zeros((1, 4), np.float32)
        return np.concatenate([self.vectors, absent])[rows]

    def rebind(self, catalogue: Catalogue, rows: IntArray) -> ContentEncoder:
        rebound = ContentEncoder(catalogue)
        kept = np.setdiff1d(np.arange(len(self.catalogue)), rows)
        rebound.vectors[kept] = self.vectors[kept]  # as of an encoder that computes the given rows only
        return rebound


class ContentBundle(AxisBundle):
    """Binds content encoders."""

    def bind(self, catalogue: Catalogue, *, encoded: EncodedItems | None = None) -> ContentEncoder:  # type: ignore[override]
        encoder = ContentEncoder(catalogue)
        if encoded is not None:
            encoder.vectors = encoded.slots[: len(catalogue)]
        return encoder


def _vectors(catalogue: Catalogue, rows: IntArray) -> FloatArray:
    texts = [f"{catalogue.item_ids[row]}/{catalogue.texts[row]}/{catalogue.categories[row]}" for row in rows.tolist()]
    hashes = [zlib.crc32(text.encode()) for text in texts]
    return np.array([[(h >> 8 * part) % 251 for part in range(4)] for h in hashes], np.float32).reshape(-1, 4)


def process(
    store: MemoryStore, *, include_uncatalogued: bool, folders: MemoryArrayFolders | None = None
) -> tuple[SnapshotManager, Recommender]:
    """The snapshots and the recommender of a process, which starts from a saved snapshot in the folders."""
    identity = Identity("tests", include_uncatalogued)
    saved = SavedSnapshots(folders, identity, BruteForceIndex.of, min_items=0) if folders else None
    snapshots = SnapshotManager(
        store,
        load=lambda _: ContentBundle(),  # type: ignore[arg-type, return-value]
        build=BruteForceIndex,
        shape=SHAPE,
        include_uncatalogued=include_uncatalogued,
        saved=saved,
    )
    snapshots.refresh()
    recommender = Recommender(
        store,
        snapshots=snapshots.current,
        clock=ManualClock(NOW_MS),
        types=TYPES,
        shape=SHAPE,
        vectors=VectorCache(max_mib=1),
        users=UserSnapshots(max_mib=1),
        lists=KeptLists(max_mib=1),
        include_uncatalogued=include_uncatalogued,
    )
    return snapshots, recommender


def apply(store: MemoryStore, kind: str, what: Any, at_s: int) -> None:
    if kind == "event":
        ingestor(store).ingest([event(*what, at_s)], RequestSource("api"))
        return
    with store.transaction() as tx:
        changes: dict[str, Callable[..., object]] = {
            "save": tx.items.save,
            "remove": tx.items.remove,
            "touch": tx.items.touch,
        }
        changes[kind](what, now_ms=NOW_MS + at_s)
        tx.commit()


def answers(recommender: Recommender) -> list[Any]:
    """The items of every kind of answer."""
    requests = [
        RecommendationRequest(n=9),
        RecommendationRequest(n=9, category="food", exclude_seen=False),
        RecommendationRequest(n=9, where=filter_in(["price:1..2"]), exclude=["a"]),
    ]
    results: list[RecommendationResult] = []
    for request in requests:
        results += [recommender.recommend(user_id, request) for user_id in USERS]
        results += [recommender.latest(request), recommender.popular(request)]
    return [(result.source, result.user_seq, result.items) for result in results]


@settings(max_examples=40, deadline=None)
@given(STEPS, st.booleans(), st.booleans())
@example([("save", [Item("b")]), ("event", ("ann", "a"))], False, True)
def test_answers_equal_those_of_a_process_that_starts_now(
    steps: list[tuple[str, Any]], include_uncatalogued: bool, often: bool
) -> None:
    store = MemoryStore()
    crown(store)
    snapshots, recommender = process(store, include_uncatalogued=include_uncatalogued)
    for at_s, (kind, what) in enumerate(steps):
        apply(store, kind, what, at_s)
        if often:
            snapshots.follow_items()
            answers(recommender)
    snapshots.refresh()
    assert answers(recommender) == answers(process(store, include_uncatalogued=include_uncatalogued)[1])


@settings(max_examples=40, deadline=None)
@given(STEPS, STEPS, st.booleans())
@example([("event", ("ann", "a"))], [("save", [Item("a", "tea")])], False)
def test_a_start_from_a_saved_snapshot_answers_as_one_that_reads_all(
    before: list[tuple[str, Any]], after: list[tuple[str, Any]], include_uncatalogued: bool
) -> None:
    store, folders = MemoryStore(), MemoryArrayFolders()
    crown(store)
    for at_s, (kind, what) in enumerate(before):
        apply(store, kind, what, at_s)
    snapshots, _ = process(store, include_uncatalogued=include_uncatalogued, folders=folders)
    assert snapshots.save_if_due()
    for at_s, (kind, what) in enumerate(after):
        apply(store, kind, what, len(before) + at_s)
    started = process(store, include_uncatalogued=include_uncatalogued, folders=folders)[1]
    assert answers(started) == answers(process(store, include_uncatalogued=include_uncatalogued)[1])
