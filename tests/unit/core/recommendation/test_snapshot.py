"""Views: renewed aside, swapped as a whole, and never worse than the last one that was right."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from domain_doubles import NOW_MS, SHAPE, AxisBundle, BruteForceIndex, crown, event, ingestor
from domain_shop import GivenVectors
from doubles import MemoryStore

from core.clock import ManualClock
from core.errors import CheckpointError, NotReady
from core.history import WindowShape
from core.ingestion.sources import RequestSource
from core.items import Item
from core.manage import save_items
from core.ports import ModelRecord
from core.recommendation.snapshot import RETRY_REFRESHES, SnapshotManager, unit


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


def version(views: SnapshotManager) -> str | None:
    model = views.current().model
    return model.version if model else None


def test_before_the_first_refresh_nothing_can_be_answered() -> None:
    with pytest.raises(NotReady, match="still being read; try again in a moment"):
        live(shop("a")).current()


def test_without_a_champion_a_view_has_a_catalogue_and_no_model() -> None:
    views = live(shop("a", "b"))
    assert views.refresh()
    view = views.current()
    assert (view.catalogue.item_ids, view.model, views.problem) == (("a", "b"), None, None)
    assert view.popularity.tolist() == [-np.inf, -np.inf]


def test_a_refresh_that_finds_nothing_new_says_so_and_loads_nothing() -> None:
    store, models = shop("a"), Models(AxisBundle())
    crown(store)
    views = live(store, models)
    assert [views.refresh(), views.refresh()] == [True, False]
    assert models.loaded == ["v1"]


def test_a_champion_is_loaded_once_and_bound_to_each_new_catalogue() -> None:
    store, bundle = shop("a"), AxisBundle()
    models = Models(bundle)
    crown(store)
    views = live(store, models)
    views.refresh()
    add(store, "b")
    assert views.refresh()
    assert models.loaded == ["v1"]
    assert [len(encoder.catalogue) for encoder in bundle.encoders] == [1, 2]
    model = views.current().model
    assert model is not None
    assert (len(model.index), len(model.similar)) == (2, 2)


def test_a_pinned_view_stays_what_it_was_while_the_next_one_is_served() -> None:
    store, models = shop("a"), Models(AxisBundle("v1"), AxisBundle("v2"))
    crown(store, "v1")
    views = live(store, models)
    views.refresh()
    pinned = views.current()
    add(store, "b")
    crown(store, "v2", created_ms=NOW_MS + 1)
    assert views.refresh()
    assert pinned.catalogue.item_ids == ("a",)
    assert pinned.model is not None
    assert (pinned.model.version, len(pinned.model.index)) == ("v1", 1)
    assert (version(views), views.current().catalogue.item_ids) == ("v2", ("a", "b"))


def test_while_the_next_view_is_built_the_previous_one_answers() -> None:
    store = shop("a")
    seen: list[str | None] = []

    def build(rows: Any, vectors: Any) -> BruteForceIndex:
        seen.append(version(views))
        return BruteForceIndex(rows, vectors)

    views = SnapshotManager(store, load=Models(AxisBundle("v1"), AxisBundle("v2")), build=build, shape=SHAPE)
    views.refresh()
    crown(store, "v1")
    views.refresh()
    crown(store, "v2", created_ms=NOW_MS + 1)
    views.refresh()
    assert seen == [None, None, "v1", "v1"]
    assert version(views) == "v2"


def test_the_binding_changes_with_the_model_and_with_the_catalogue_but_not_with_popularity() -> None:
    store = shop("a")
    views = live(store, Models(AxisBundle("v1")))
    bindings = []
    for change in (
        lambda: None,
        lambda: add(store, "b"),
        lambda: crown(store, "v1"),
        lambda: ingestor(store).ingest([event("ann", "a")], RequestSource("api")),
    ):
        change()
        views.refresh()
        bindings.append(views.current().binding)
    assert len(set(bindings[:3])) == 3
    assert bindings[3] == bindings[2]


def test_popularity_is_renewed_without_rebinding_the_model() -> None:
    store, bundle = shop("a", "b"), AxisBundle()
    crown(store)
    views = live(store, Models(bundle))
    views.refresh()
    ingestor(store).ingest([event("ann", "b")], RequestSource("api"))
    assert not views.refresh()
    assert np.isfinite(views.current().popularity).tolist() == [False, True]
    assert len(bundle.encoders) == 1


def test_hidden_items_and_stubs_are_in_the_catalogue_but_not_in_the_index() -> None:
    store = shop("a")
    add(store, "hidden", hidden=True)
    ingestor(store).ingest([event("ann", "stub")], RequestSource("api"))
    crown(store)
    views = live(store)
    views.refresh()
    view = views.current()
    assert view.catalogue.item_ids == ("a", "hidden", "stub")
    assert view.model is not None
    assert len(view.model.index) == 1


def test_a_new_stub_is_no_change_unless_stubs_are_recommended() -> None:
    for stubs in (False, True):
        store = shop("a")
        views = live(store, stubs=stubs)
        views.refresh()
        ingestor(store).ingest([event("ann", "stub")], RequestSource("api"))
        assert views.refresh() is stubs
        assert ("stub" in views.current().catalogue.item_ids) is stubs


# --- champions that cannot serve


def test_a_damaged_champion_leaves_the_previous_one_serving_and_says_why() -> None:
    store, models = shop("a"), Models(AxisBundle("v1"))
    crown(store, "v1")
    views = live(store, models)
    views.refresh()
    crown(store, "v2", created_ms=NOW_MS + 1)
    assert not views.refresh()
    assert (version(views), views.problem) == ("v1", "models/v2 is damaged; restore it")
    add(store, "b")
    assert views.refresh()
    assert (version(views), len(views.current().catalogue)) == ("v1", 2)


def test_a_damaged_first_champion_leaves_popularity_serving() -> None:
    store = shop("a")
    crown(store, "v9")
    views = live(store)
    assert views.refresh()
    assert version(views) is None
    assert views.problem is not None


def test_a_model_of_another_window_is_refused() -> None:
    store = shop("a")
    crown(store)
    views = live(store, Models(AxisBundle(window=WindowShape(size=7, step=1))))
    views.refresh()
    assert version(views) is None
    assert views.problem is not None
    assert "wanted WindowShape(size=5, step=2); train again" in views.problem


def test_a_model_whose_vectors_are_not_finite_is_refused_and_the_previous_one_serves() -> None:
    store = shop("a")
    broken = GivenVectors("v2", np.full((1, 3), np.nan, np.float32))
    crown(store, "v1")
    views = live(store, Models(AxisBundle("v1"), broken))
    views.refresh()
    crown(store, "v2", created_ms=NOW_MS + 1)
    assert not views.refresh()
    assert (version(views), views.problem) == ("v1", "model v2 makes item vectors that are not finite; train again")
    add(store, "b")
    assert views.refresh()
    assert version(views) == "v1"


def test_a_good_champion_after_a_damaged_one_serves_and_clears_the_problem() -> None:
    store = shop("a")
    views = live(store, Models(AxisBundle("v3")))
    crown(store, "v2")
    views.refresh()
    crown(store, "v3", created_ms=NOW_MS + 1)
    assert views.refresh()
    assert (version(views), views.problem) == ("v3", None)


def test_vectors_of_length_one_and_zero_stays_zero() -> None:
    scaled = unit(np.array([[3, 4], [0, 0]], np.float32))
    assert scaled.tolist() == [[pytest.approx(0.6), pytest.approx(0.8)], [0, 0]]


def test_a_damaged_champion_whose_folder_is_restored_serves_without_a_restart() -> None:
    store, models = shop("a"), Models()
    views = live(store, models)
    crown(store, "v1")
    views.refresh()
    assert (version(views), views.problem) == (None, "models/v1 is damaged; restore it")
    models.bundles["v1"] = AxisBundle("v1")
    for _ in range(RETRY_REFRESHES):
        views.refresh()
    assert (version(views), views.problem) == ("v1", None)


def test_a_damaged_champion_is_not_read_at_every_refresh() -> None:
    store, models = shop("a"), Models()
    views = live(store, models)
    crown(store, "v1")
    for _ in range(RETRY_REFRESHES):
        views.refresh()
    assert models.loaded == ["v1"]
