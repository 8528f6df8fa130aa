"""The serving model bound to a catalogue, and rebound to each next one at a cost that grows with what changed.

Shapes: N items of the catalogue, D width of a vector.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from core.arrays import FloatArray, IntArray
from core.blending.blend import Blend
from core.catalogue.columns import with_rows
from core.catalogue.items import Catalogue
from core.errors import CheckpointError
from core.events.history import WindowShape
from core.ports.array_folders import Arrays
from core.ports.encoder import EncodedItems, Encoder, ModelBundle
from core.ports.index import IndexBuilder, IndexReader, ItemIndex
from core.ports.store import Store
from core.recommendation.snapshots.index_keeper import IndexChange
from core.recommendation.snapshots.item_indexes import ItemIndexes
from core.records.stored import ModelRecord

SMALL_CATALOGUE = 20_000  # items: up to here, scoring all of them is faster than a search
SAVED_ROOM = 8  # saved vectors have room for an eighth more items


@dataclass(frozen=True, slots=True)
class BoundModel:
    """A model version bound to a catalogue. `similar` indexes the item vectors at unit length.

    `mean`: (D,) the mean vector of the items that were listed when the model was loaded. `vectors`: (N, D) of all rows
    of a small catalogue, else None. `blend`: see `ModelBundle`.
    """

    version: str
    encoder: Encoder
    index: ItemIndex
    similar: ItemIndex
    mean: FloatArray
    vectors: FloatArray | None = None
    blend: Blend | None = None

    @property
    def is_settled(self) -> bool:
        """Whether neither index needs a compaction."""
        return not self.index.needs_compaction and not self.similar.needs_compaction

    def arrays(self, num_items: int) -> Arrays:
        """What `ModelBinder.restore` reads: N items as they are encoded and room for more, the mean, both indexes."""
        vectors = self.encoder.items(np.append(np.arange(num_items), -1))
        room = np.zeros((len(vectors) // SAVED_ROOM + SAVED_ROOM, vectors.shape[1]), np.float32)
        arrays: dict[str, Any] = {"slots": np.concatenate([vectors, room]), "mean": self.mean}
        arrays["trained"] = self.encoder.trained(np.arange(num_items))
        for name, index in (("index", self.index), ("similar", self.similar)):
            arrays |= {f"{name}_{key}": array for key, array in index.arrays().items()}
        return arrays


class ModelBinder:
    """Loads and binds one model version after the other. Used by one thread."""

    def __init__(
        self, store: Store, build: IndexBuilder, load: Callable[[ModelRecord], ModelBundle], shape: WindowShape
    ) -> None:
        self._indexes = ItemIndexes(store, build)
        self._load = load
        self._shape = shape
        self._bundle: ModelBundle

    def bundle(self, record: ModelRecord) -> ModelBundle:
        """A stored model; raises `CheckpointError` where it is damaged or made for another window."""
        bundle = self._load(record)
        if bundle.window != self._shape:
            msg = f"model {bundle.version} was trained for {bundle.window}, wanted {self._shape}; train again"
            raise CheckpointError(msg)
        return bundle

    def load(self, record: ModelRecord, catalogue: Catalogue) -> BoundModel:
        """A stored model over all items; raises `CheckpointError`."""
        return self.bind(self.bundle(record), catalogue)

    def bind(self, bundle: ModelBundle, catalogue: Catalogue) -> BoundModel:
        """The model over all items; raises `CheckpointError` if one of their vectors is not finite."""
        encoder = bundle.bind(catalogue)
        rows = np.flatnonzero(catalogue.listed).astype(np.int64)
        vectors = _finite_items(bundle.version, encoder, rows)
        self._indexes.build(encoder, rows, vectors)
        self._bundle = bundle
        index, similar = self._indexes.current()
        mean = vectors.mean(axis=0) if len(rows) else np.zeros(encoder.width, np.float32)
        everything = encoder.items(np.arange(len(catalogue))) if len(catalogue) <= SMALL_CATALOGUE else None
        return BoundModel(bundle.version, encoder, index, similar, mean, everything, bundle.blend)

    def restore(self, bundle: ModelBundle, catalogue: Catalogue, arrays: Arrays, read: IndexReader) -> BoundModel:
        """The model over the catalogue of its `BoundModel.arrays`, which it shares: nothing is encoded or built."""
        encoder = bundle.bind(catalogue, encoded=EncodedItems(arrays["slots"], arrays["trained"]))
        self._indexes.adopt(encoder, *(read(_part(arrays, name)) for name in ("index", "similar")))
        self._bundle = bundle
        index, similar = self._indexes.current()
        everything = arrays["slots"][: len(catalogue)] if len(catalogue) <= SMALL_CATALOGUE else None
        return BoundModel(bundle.version, encoder, index, similar, arrays["mean"], everything, bundle.blend)

    def rebind(self, model: BoundModel, old: Catalogue, catalogue: Catalogue) -> BoundModel:
        """The model, bound to `old`, over its successor: only items whose content is new are encoded.

        Raises `CheckpointError` if a vector is not finite.
        """
        if not catalogue.extends(old):
            return self.bind(self._bundle, catalogue)
        rows = _rows_with_new_content(old, catalogue)
        encoder, everything = model.encoder, model.vectors
        if len(rows):
            encoder = encoder.rebind(catalogue, rows)
            vectors = _finite_items(model.version, encoder, rows)
            everything = None if everything is None else with_rows(everything, rows, vectors)
        self._indexes.apply(_index_change(encoder, old, catalogue, rows))
        return self.compacted(replace(model, encoder=encoder, vectors=everything))

    def follow(self, model: BoundModel, old: Catalogue, catalogue: Catalogue) -> BoundModel:
        """The model, bound to `old`, over the catalogue that serves now, which may be the same."""
        return self.compacted(model) if catalogue is old else self.rebind(model, old, catalogue)

    def compacted(self, model: BoundModel) -> BoundModel:
        """The model with its indexes as they are changed and compacted by now."""
        index, similar = self._indexes.current()
        is_same = index is model.index and similar is model.similar
        return model if is_same else replace(model, index=index, similar=similar)


def _part(arrays: Arrays, name: str) -> Arrays:
    return {key.removeprefix(f"{name}_"): array for key, array in arrays.items() if key.startswith(f"{name}_")}


def _finite_items(version: str, encoder: Encoder, rows: IntArray) -> FloatArray:
    vectors = encoder.items(rows)
    if not np.isfinite(vectors).all():
        msg = f"model {version} computes item vectors that are not finite; train again"
        raise CheckpointError(msg)
    return vectors


def _rows_with_new_content(old: Catalogue, catalogue: Catalogue) -> IntArray:
    """The rows that are new or whose content changed, ascending."""
    new = np.arange(len(old), len(catalogue))
    if old.content_revisions is catalogue.content_revisions:
        return new
    assert old.content_revisions is not None
    assert catalogue.content_revisions is not None
    return np.append(np.flatnonzero(catalogue.content_revisions[: len(old)] != old.content_revisions), new)


def _index_change(encoder: Encoder, old: Catalogue, catalogue: Catalogue, rows: IntArray) -> IndexChange:
    """`rows`: those with new content."""
    was_listed, is_listed = old.listed, catalogue.listed[: len(old)]
    shown = np.flatnonzero(is_listed & ~was_listed)
    put = np.union1d(shown, rows[catalogue.listed[rows]])
    return IndexChange(put, encoder.items(put), np.flatnonzero(was_listed & ~is_listed))
