"""Serving snapshots: the immutable state that a request pins from start to end, and the manager that swaps it.

A snapshot holds one catalogue revision, one model version bound to it and the index of that version's item vectors. No
answer mixes versions, and the next snapshot is built while requests read this one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from core.arrays import FloatArray, IntArray
from core.blending.blend import COUNTS_BLEND, Blend
from core.errors import CheckpointError, NotReady
from core.history import WindowShape
from core.items import EMPTY_CATALOGUE, Catalogue
from core.ports.encoder import Encoder, ModelBundle
from core.ports.index import IndexBuilder, ItemIndex
from core.ports.store import ReadTransaction, Store
from core.recommendation.item_indexes import ItemIndexes
from core.recommendation.item_values import ItemValues, item_values
from core.records import ModelRecord
from core.transitions.counts import CountRules, TransitionCounts

SMALL_CATALOGUE = 20_000  # items: up to here, scoring all of them is faster than a search
RETRY_REFRESHES = 30  # about half a minute: reading a damaged model is expensive


@dataclass(frozen=True, slots=True)
class BoundModel:
    """A model version bound to a catalogue. `similar` indexes the item vectors at unit length.

    `mean`: (D,) the mean vector of the listed items. `vectors`: (N, D) of all rows of a small catalogue, else None.
    `blend`: see `ModelBundle`.
    """

    version: str
    encoder: Encoder
    index: ItemIndex
    similar: ItemIndex
    mean: FloatArray
    vectors: FloatArray | None = None
    blend: Blend | None = None


@dataclass(frozen=True, slots=True)
class ServingSnapshot:
    """The catalogue, popularity and model of one moment.

    `popularity`: (n,) decayed log2 counts by catalogue row, -inf without events. `binding` names the model version and
    the catalogue revision; user vectors encoded under another binding are not used. `counts`: transition counts, which
    newer snapshots share: they follow events within a snapshot too; None where nothing recommends. `values`: of the
    blend that ranks, of the model's or, without a model, of the counts alone; None where the encoder ranks alone.
    """

    catalogue: Catalogue
    popularity: NDArray[np.float64]
    model: BoundModel | None
    binding: str
    counts: TransitionCounts | None = None
    values: ItemValues | None = None

    @property
    def blend(self) -> Blend | None:
        """The weights that rank; None where the encoder ranks alone."""
        return COUNTS_BLEND if self.model is None else self.model.blend


class SnapshotManager:
    """Holds the current snapshot; builds the next one and swaps it in one assignment."""

    def __init__(
        self,
        store: Store,
        *,
        load: Callable[[ModelRecord], ModelBundle],
        build: IndexBuilder,
        shape: WindowShape,
        include_uncatalogued: bool = False,
        count_rules: CountRules | None = None,
    ) -> None:
        """`count_rules`: how transitions count; None where nothing recommends."""
        self._store = store
        self._load = load
        self._indexes = ItemIndexes(store, build)
        self._shape = shape
        self._include_uncatalogued = include_uncatalogued
        self._count_rules = count_rules
        self._counts: TransitionCounts | None = None
        self._snapshot: ServingSnapshot | None = None
        self._stamp: tuple[int, int] | None = None
        self._bundle: ModelBundle | None = None
        self._loaded: str | None = None
        self._refreshes_since_failure = 0
        self._refreshing = Lock()
        self.before_switch: Callable[[ServingSnapshot], object] = (
            _no_preparation  # called with the snapshot of a new model
        )
        self.problem: str | None = None  # why the champion does not serve: for `/ready` and operators

    def current(self) -> ServingSnapshot:
        """The snapshot to pin; raises `NotReady` before the first refresh."""
        if self._snapshot is None:
            msg = "the catalogue is still being read; try again in a moment"
            raise NotReady(msg)
        return self._snapshot

    def refresh(self) -> bool:
        """Read catalogue changes, a new champion and popularity; True if the catalogue or the model changed."""
        with self._refreshing:
            with self._store.read() as read:
                champion = read.models.champion()
                stamp = (read.items.revision(), read.items.newest_key() if self._include_uncatalogued else 0)
                changed = stamp != self._stamp
                old = self._snapshot
                catalogue = (
                    old.catalogue
                    if old and not changed
                    else read.items.catalogue(include_uncatalogued=self._include_uncatalogued)
                )
                keys, scores = read.popularity.scores()
                counted = self._follow_counts(read)
            adopted = self._adopt(champion, catalogue)
            if adopted is None and changed and self._bundle is not None:
                adopted = self._bind(self._bundle, catalogue)
            renewed = old is None or changed or adopted is not None
            model = adopted if adopted is not None or old is None or changed else self._reindexed(old.model)
            binding = f"{model.version if model else 'none'}:{stamp[0]}:{stamp[1]}"
            popularity = by_row(catalogue, keys, scores)
            snapshot = ServingSnapshot(catalogue, popularity, model, binding, self._counts)
            if old is None or renewed or counted or not np.array_equal(popularity, old.popularity):
                snapshot = replace(snapshot, values=_values(snapshot))
            else:
                snapshot = replace(snapshot, values=old.values)
            if old is not None and model is not None and (old.model is None or old.model.version != model.version):
                self.before_switch(snapshot)
            self._snapshot, self._stamp = snapshot, stamp
            return renewed

    def _reindexed(self, model: BoundModel | None) -> BoundModel | None:
        """The model with its indexes as they are compacted by now."""
        if model is None:
            return None
        index, similar = self._indexes.current()
        return (
            model if index is model.index and similar is model.similar else replace(model, index=index, similar=similar)
        )

    def _follow_counts(self, read: ReadTransaction) -> bool:
        """Count what the log added, whether it added anything; a restarted log is counted aside, into new counts."""
        if self._count_rules is None:
            return False
        changes = read.transitions.since(self._counts.position if self._counts else {})
        counts = self._counts
        if counts is None or changes.restarted:
            counts = TransitionCounts(self._count_rules)
        counts.apply(changes)
        self._counts = counts
        return len(changes.rows) > 0 or changes.restarted

    def _adopt(self, champion: ModelRecord | None, catalogue: Catalogue) -> BoundModel | None:
        """Load and bind a new champion; None if there is none or it is damaged (the previous model serves on)."""
        if champion is None or (champion.version == self._loaded and not self._is_retry_due()):
            return None
        self._loaded = champion.version
        try:
            bundle = self._load(champion)
            if bundle.window != self._shape:
                msg = f"model {bundle.version} was trained for {bundle.window}, wanted {self._shape}; train again"
                raise CheckpointError(msg)
            model = self._bind(bundle, catalogue)
        except CheckpointError as error:
            self.problem = str(error)
            return None
        self._bundle, self.problem = bundle, None
        return model

    def _is_retry_due(self) -> bool:
        """Whether to retry a champion that could not be loaded: its folder may have been restored."""
        if self.problem is None:
            return False
        self._refreshes_since_failure += 1
        return self._refreshes_since_failure % RETRY_REFRESHES == 0

    def _bind(self, bundle: ModelBundle, catalogue: Catalogue) -> BoundModel:
        encoder = bundle.bind(catalogue)
        rows = np.flatnonzero(catalogue.listed).astype(np.int64)
        vectors = encoder.items(rows)
        if not np.isfinite(vectors).all():
            msg = f"model {bundle.version} computes item vectors that are not finite; train again"
            raise CheckpointError(msg)
        index, similar = self._indexes.follow(bundle.version, encoder, rows, vectors)
        mean = vectors.mean(axis=0) if len(rows) else np.zeros(encoder.width, np.float32)
        everything = encoder.items(np.arange(len(catalogue))) if len(catalogue) <= SMALL_CATALOGUE else None
        return BoundModel(bundle.version, encoder, index, similar, mean, everything, bundle.blend)


def _values(snapshot: ServingSnapshot) -> ItemValues | None:
    if snapshot.counts is None or snapshot.blend is None:
        return None
    return item_values(snapshot.blend, snapshot.catalogue, snapshot.popularity, snapshot.counts)


def _no_preparation(snapshot: ServingSnapshot) -> None:
    """No preparation: users are encoded at their next request."""


def by_row(catalogue: Catalogue, keys: IntArray, scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n,) scores by catalogue row, -inf for items without; keys that the catalogue does not hold are ignored."""
    scores_by_row = np.full(len(catalogue), -np.inf)
    rows = catalogue.rows(keys)
    scores_by_row[rows[rows >= 0]] = scores[rows >= 0]
    return scores_by_row


EMPTY_SNAPSHOT = ServingSnapshot(EMPTY_CATALOGUE, np.empty(0), None, "none:0:0")
