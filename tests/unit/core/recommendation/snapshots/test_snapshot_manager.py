"""Snapshots: renewed aside, swapped as a whole, and never worse than the last one that was right."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from domain_doubles import (
    NOW_MS,
    SHAPE,
    TYPES,
    AxisBundle,
    BruteForceIndex,
    ReadSpyingStore,
    crown,
    event,
    ingestor,
)
from domain_shop import GivenVectors
from doubles import MemoryStore

from core.catalogue.items import Item
from core.clock import ManualClock
from core.errors import CheckpointError, NotReady
from core.events.history import History, WindowShape
from core.ingestion.rebuild import rebuild
from core.ingestion.sources import RequestSource
from core.manage import save_items
from core.recommendation.snapshots.item_indexes import unit
from core.recommendation.snapshots.snapshot_manager import RETRY_REFRESHES, SnapshotManager
from core.records.stored import ModelRecord
from core.transitions.counts import CountRules


class Models:
    """Bundles by version, as a loader; a version without one is damaged."""

    def __init__(self, *bundles: AxisBundle) -> None:
        self.bundles = {bundle.version: bundle for bundle in bundles}
        self.loaded: list[str] = []

    def __call__(self, record: ModelRecord) -> AxisBundle:
        self.loaded.append(record.version)
        if record.version not in self.bundles:
            msg = f"{record.path} is damaged; restore it"
            raise CheckpointError(msg)
        return self.bundles[record.version]


def shop(*item_ids: str) -> MemoryStore:
    store = MemoryStore()
    add(store, *item_ids)
    return store


def add(store: MemoryStore, *item_ids: str, hidden: bool = False) -> None:
    save_items(store, [Item(item_id, hidden=hidden) for item_id in item_ids], clock=ManualClock(NOW_MS))


def live(store: MemoryStore, models: Models | None = None, **changed: Any) -> SnapshotManager:
    return SnapshotManager(store, load=models or Models(AxisBundle()), build=BruteForceIndex, shape=SHAPE, **changed)


def version(snapshots: SnapshotManager) -> str | None:
    model = snapshots.current().model
    return model.version if model else None


def test_before_the_first_refresh_nothing_can_be_answered() -> None:
    with pytest.raises(NotReady, match="still being read; try again in a moment"):
        live(shop("a")).current()


def test_snapshot_without_a_champion_has_no_model() -> None:
    snapshots = live(shop("a", "b"))
    assert snapshots.refresh()
    snapshot = snapshots.current()
    assert (snapshot.catalogue.item_ids, snapshot.model, snapshots.problem) == (("a", "b"), None, None)
    assert snapshot.popularity.tolist() == [-np.inf, -np.inf]


def test_a_refresh_that_finds_nothing_new_says_so_and_loads_nothing() -> None:
    store, models = shop("a"), Models(AxisBundle())
    crown(store)
    snapshots = live(store, models)
    assert [snapshots.refresh(), snapshots.refresh()] == [True, False]
    assert models.loaded == ["v1"]


def test_a_champion_is_loaded_once_and_rebound_to_new_items() -> None:
    store, bundle = shop("a"), AxisBundle()
    models = Models(bundle)
    crown(store)
    snapshots = live(store, models)
    snapshots.refresh()
    add(store, "b")
    assert snapshots.refresh()
    assert models.loaded == ["v1"]
    assert len(bundle.encoders) == 1
    model = snapshots.current().model
    assert model is not None
    assert (len(model.index), len(model.similar)) == (2, 2)


def test_pinned_snapshot_does_not_change() -> None:
    store, models = shop("a"), Models(AxisBundle("v1"), AxisBundle("v2"))
    crown(store, "v1")
    snapshots = live(store, models)
    snapshots.refresh()
    pinned = snapshots.current()
    add(store, "b")
    crown(store, "v2", created_ms=NOW_MS + 1)
    assert snapshots.refresh()
    assert pinned.catalogue.item_ids == ("a",)
    assert pinned.model is not None
    assert (pinned.model.version, len(pinned.model.index)) == ("v1", 1)
    assert (version(snapshots), snapshots.current().catalogue.item_ids) == ("v2", ("a", "b"))


def test_previous_snapshot_serves_while_the_next_is_built() -> None:
    store = shop("a")
    seen: list[str | None] = []

    def build(rows: Any, vectors: Any) -> BruteForceIndex:
        seen.append(version(snapshots))
        return BruteForceIndex(rows, vectors)

    snapshots = SnapshotManager(store, load=Models(AxisBundle("v1"), AxisBundle("v2")), build=build, shape=SHAPE)
    snapshots.refresh()
    crown(store, "v1")
    snapshots.refresh()
    crown(store, "v2", created_ms=NOW_MS + 1)
    snapshots.refresh()
    assert seen == [None, None, "v1", "v1"]
    assert version(snapshots) == "v2"


def test_binding_changes_with_the_model_and_the_content_of_the_users_items() -> None:
    store = shop("a", "z")
    history = History(np.array([1]), np.array([NOW_MS]))
    snapshots = live(store, Models(AxisBundle("v1")))
    bindings = []
    for change in (
        lambda: None,
        lambda: save_items(store, [Item("a", title="new")], clock=ManualClock(NOW_MS)),
        lambda: crown(store, "v1"),
        lambda: ingestor(store).ingest([event("ann", "a")], RequestSource("api")),
        lambda: add(store, "b", "z"),
        lambda: save_items(store, [Item("a", title="new", attributes={"price": 1})], clock=ManualClock(NOW_MS)),
    ):
        change()
        snapshots.refresh()
        bindings.append(snapshots.current().binding(history))
    assert len(set(bindings[:3])) == 3
    assert set(bindings[3:]) == {bindings[2]}


def test_popularity_is_renewed_without_rebinding_the_model() -> None:
    store, bundle = shop("a", "b"), AxisBundle()
    crown(store)
    snapshots = live(store, Models(bundle))
    snapshots.refresh()
    ingestor(store).ingest([event("ann", "b")], RequestSource("api"))
    assert not snapshots.refresh()
    assert np.isfinite(snapshots.current().popularity).tolist() == [False, True]
    assert len(bundle.encoders) == 1


def test_hidden_and_uncatalogued_items_are_not_in_the_index() -> None:
    store = shop("a")
    add(store, "hidden", hidden=True)
    ingestor(store).ingest([event("ann", "stub")], RequestSource("api"))
    crown(store)
    snapshots = live(store)
    snapshots.refresh()
    snapshot = snapshots.current()
    assert snapshot.catalogue.item_ids == ("a", "hidden", "stub")
    assert snapshot.model is not None
    assert len(snapshot.model.index) == 1


def test_a_new_uncatalogued_item_is_listed_only_if_included() -> None:
    for include_uncatalogued in (False, True):
        store = shop("a")
        snapshots = live(store, include_uncatalogued=include_uncatalogued)
        snapshots.refresh()
        ingestor(store).ingest([event("ann", "stub")], RequestSource("api"))
        assert snapshots.refresh()
        catalogue = snapshots.current().catalogue
        assert catalogue.item_ids == ("a", "stub")
        assert catalogue.listed.tolist() == [True, include_uncatalogued]


def test_following_items_reads_no_popularity_nor_anything_unchanged() -> None:
    store = ReadSpyingStore()
    add(store, "a")  # type: ignore[arg-type]
    snapshots = live(store)  # type: ignore[arg-type]
    assert not snapshots.follow_items(), "the first snapshot is made by a refresh"
    snapshots.refresh()
    assert store.reads_of(snapshots.follow_items) == ["items.revision"]
    add(store, "b")  # type: ignore[arg-type]
    assert "popularity.scores" not in store.reads_of(snapshots.follow_items)
    assert snapshots.current().catalogue.item_ids == ("a", "b")
    assert snapshots.current().popularity.tolist() == [-np.inf, -np.inf]


def test_a_change_that_is_not_of_content_encodes_nothing() -> None:
    store = shop("a", "b")
    crown(store)
    snapshots = live(store)
    snapshots.refresh()
    before = snapshots.current().model
    assert before is not None
    sizes = []
    for item in (Item("a", attributes={"price": 1}), Item("b", hidden=True), Item("b")):
        save_items(store, [item], clock=ManualClock(NOW_MS))
        assert snapshots.refresh()
        after = snapshots.current().model
        assert after is not None
        assert after.encoder is before.encoder
        sizes.append((after.index is before.index, len(after.index)))
    assert sizes == [(True, 2), (False, 1), (False, 2)]


# --- champions that cannot serve


def test_a_damaged_champion_leaves_the_previous_one_serving_and_says_why() -> None:
    store, models = shop("a"), Models(AxisBundle("v1"))
    crown(store, "v1")
    snapshots = live(store, models)
    snapshots.refresh()
    crown(store, "v2", created_ms=NOW_MS + 1)
    assert not snapshots.refresh()
    assert (version(snapshots), snapshots.problem) == ("v1", "models/v2 is damaged; restore it")
    add(store, "b")
    assert snapshots.refresh()
    assert (version(snapshots), len(snapshots.current().catalogue)) == ("v1", 2)


def test_a_damaged_first_champion_leaves_popularity_serving() -> None:
    store = shop("a")
    crown(store, "v9")
    snapshots = live(store)
    assert snapshots.refresh()
    assert version(snapshots) is None
    assert snapshots.problem is not None


def test_a_model_of_another_window_is_refused() -> None:
    store = shop("a")
    crown(store)
    snapshots = live(store, Models(AxisBundle(window=WindowShape(size=7, step=1))))
    snapshots.refresh()
    assert version(snapshots) is None
    assert snapshots.problem is not None
    assert "wanted WindowShape(size=5, step=2); train again" in snapshots.problem


def test_model_with_non_finite_vectors_is_refused() -> None:
    store = shop("a")
    broken = GivenVectors("v2", np.full((1, 3), np.nan, np.float32))
    crown(store, "v1")
    snapshots = live(store, Models(AxisBundle("v1"), broken))
    snapshots.refresh()
    crown(store, "v2", created_ms=NOW_MS + 1)
    assert not snapshots.refresh()
    assert (version(snapshots), snapshots.problem) == (
        "v1",
        "model v2 computes item vectors that are not finite; train again",
    )
    add(store, "b")
    assert snapshots.refresh()
    assert version(snapshots) == "v1"


def test_good_champion_after_a_damaged_one_clears_the_problem() -> None:
    store = shop("a")
    snapshots = live(store, Models(AxisBundle("v3")))
    crown(store, "v2")
    snapshots.refresh()
    crown(store, "v3", created_ms=NOW_MS + 1)
    assert snapshots.refresh()
    assert (version(snapshots), snapshots.problem) == ("v3", None)


def test_vectors_of_length_one_and_zero_stays_zero() -> None:
    scaled = unit(np.array([[3, 4], [0, 0]], np.float32))
    assert scaled.tolist() == [[pytest.approx(0.6), pytest.approx(0.8)], [0, 0]]


def test_restored_champion_serves_without_a_restart() -> None:
    store, models = shop("a"), Models()
    snapshots = live(store, models)
    crown(store, "v1")
    snapshots.refresh()
    assert (version(snapshots), snapshots.problem) == (None, "models/v1 is damaged; restore it")
    models.bundles["v1"] = AxisBundle("v1")
    for _ in range(RETRY_REFRESHES):
        snapshots.refresh()
    assert (version(snapshots), snapshots.problem) == ("v1", None)


def test_a_damaged_champion_is_not_read_at_every_refresh() -> None:
    store, models = shop("a"), Models()
    snapshots = live(store, models)
    crown(store, "v1")
    for _ in range(RETRY_REFRESHES):
        snapshots.refresh()
    assert models.loaded == ["v1"]


def test_transitions_are_counted_from_events_of_any_process() -> None:
    store = shop("a", "b")
    snapshots = live(store, count_rules=CountRules())
    ingestor(store).ingest([event("ann", "a")], RequestSource("api"))
    snapshots.refresh()
    counts = snapshots.current().counts
    assert counts is not None
    ingestor(store).ingest([event("ann", "b", 1)], RequestSource("api"))
    snapshots.refresh()
    with store.read() as read:
        keys = {item_id: stored.key for item_id, stored in read.items.by_id(["a", "b"]).items()}
    assert counts.after(keys["a"]).keys.tolist() == [keys["b"]]
    assert snapshots.current().counts is counts


def test_after_a_rebuild_transitions_are_counted_anew() -> None:
    store = shop("a", "b")
    snapshots = live(store, count_rules=CountRules())
    ingestor(store).ingest([event("ann", "a"), event("ann", "b", 1)], RequestSource("api"))
    snapshots.refresh()
    before = snapshots.current().counts
    rebuild(store, types=TYPES, shape=SHAPE, half_life_ms=1.0, meta={}, progress=lambda _: None)
    snapshots.refresh()
    after = snapshots.current().counts
    assert before is not None
    assert after is not None
    assert after is not before
    for key in (1, 2):
        assert after.after(key).counts.tolist() == before.after(key).counts.tolist()
