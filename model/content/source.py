"""Collected vectors as a modality of a model: reduced by principal components that travel in the checkpoint.

Independent of how the vectors were made. The checkpoint holds the reduced vectors of all items that were there
when it was fitted, so that it serves without the folder; where the folder is at hand, new and changed items are read
from it and reduced in the same frozen way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from core.arrays import BoolArray, FloatArray
from core.catalogue.items import Catalogue
from core.errors import InvalidInput
from model.content.collection import Collection, stamp

MAX_FITTED = 30_000  # vectors that components are fitted to: beyond it they hardly move
LEAST_SHARE = 1e-6  # of the first component's variance: below it a component is noise of the arithmetic
BLOCK = 4096


class ItemVectors(Protocol):
    """Vectors by content, contents by item: what a modality is fitted to."""

    @property
    def fingerprint(self) -> str:
        """Whose vectors they are."""
        ...

    def hashes(self, item_ids: Sequence[str]) -> Sequence[str | None]:
        """For each item the hash of its content, None where there is no vector."""
        ...

    def vectors(self, hashes: Sequence[str]) -> FloatArray:
        """(n, R) vectors of contents."""
        ...


@dataclass
class LiveCollection:
    """A collection that is read again when its items have been replaced."""

    folder: Path
    fingerprint: str
    _stamp: tuple[int, ...] = ()
    _now: Collection | None = None

    def current(self) -> Collection | None:
        """The newest state, None where the folder is gone or holds another describer's vectors."""
        folder_stamp = stamp(self.folder)
        if folder_stamp != self._stamp:
            try:
                opened = Collection.open(self.folder)
            except InvalidInput:  # absent or just being replaced: what the checkpoint holds is what there is
                return None
            self._now = opened if opened.fingerprint == self.fingerprint else None
            self._stamp = folder_stamp
        return self._now


@dataclass(frozen=True)
class CollectedFeatures:
    """One modality: x -> (x - mean) @ components, scaled so that a typical number is about 1."""

    name: str
    fingerprint: str
    mean: NDArray[np.float64]  # (R,)
    components: NDArray[np.float64]  # (R, size), the scale in them
    items: Mapping[str, str]  # item id -> hash, as fitted
    hashes: tuple[str, ...]
    vectors: FloatArray  # (H, size) reduced
    live: LiveCollection | None = field(default=None, compare=False)

    kind = "collected"

    @classmethod
    def fit(cls, collection: ItemVectors, catalogue: Catalogue, *, name: str, size: int) -> CollectedFeatures:
        """Fitted to the vectors of a catalogue; raises `InvalidInput` where fewer than two differ."""
        keys = collection.hashes(catalogue.item_ids)
        items = {item_id: key for item_id, key in zip(catalogue.item_ids, keys, strict=True) if key is not None}
        hashes = tuple(dict.fromkeys(items.values()))
        step = -(-len(hashes) // MAX_FITTED) or 1
        mean, components = _principal(collection.vectors(hashes[::step]), size, name)
        source = cls(name, collection.fingerprint, mean, components, items, hashes, np.empty((0, 0), np.float32))
        blocks = [hashes[begin : begin + BLOCK] for begin in range(0, len(hashes), BLOCK)]  # all at once may not fit
        vectors = np.concatenate([source.reduced(collection.vectors(block)) for block in blocks])
        return replace(source, vectors=vectors)

    @property
    def size(self) -> int:
        """How many components are kept."""
        return int(self.components.shape[1])

    def following(self, folder: Path) -> CollectedFeatures:
        """With new items read from a folder."""
        return replace(self, live=LiveCollection(folder, self.fingerprint))

    def reduced(self, vectors: FloatArray) -> FloatArray:
        """(n, size) as the network reads them."""
        return ((vectors - self.mean) @ self.components).astype(np.float32)

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {key: row for row, key in enumerate(self.hashes)}

    def keys(self, catalogue: Catalogue) -> list[str]:
        """The hash of each item's content: the folder's where it knows the item, else the checkpoint's."""
        now = self.live.current() if self.live is not None else None
        if now is None:
            return [self.items.get(item_id, "") for item_id in catalogue.item_ids]
        pairs = zip(catalogue.item_ids, now.hashes(catalogue.item_ids), strict=True)
        return [key or ("" if item_id in now.items else self.items.get(item_id, "")) for item_id, key in pairs]

    def transform(self, keys: Sequence[str]) -> tuple[FloatArray, BoolArray]:
        """The reduced vectors of contents by hash."""
        values, present = np.zeros((len(keys), self.size), np.float32), np.zeros(len(keys), np.bool_)
        rows = np.fromiter((self._rows.get(key, -1) for key in keys), np.int64, len(keys))
        known = rows >= 0
        values[known], present[known] = self.vectors[rows[known]], True
        now = self.live.current() if self.live is not None else None
        if now is not None:
            new = [row for row, key in enumerate(keys) if not known[row] and key in now.rows]
            for begin in range(0, len(new), BLOCK):
                block = new[begin : begin + BLOCK]
                values[block] = self.reduced(now.vectors([keys[row] for row in block]))
                present[block] = True
        return values, present

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """The reduction and the reduced vectors."""
        return {"mean": self.mean, "components": self.components, "vectors": self.vectors}

    def to_json(self) -> dict[str, Any]:
        """Kind, name, where the vectors come from, and whose they are."""
        about = {"kind": self.kind, "name": self.name, "fingerprint": self.fingerprint}
        return {**about, "items": dict(self.items), "hashes": list(self.hashes)}

    @classmethod
    def restore(cls, raw: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> CollectedFeatures:
        """The source back from its JSON and arrays; it follows no folder yet."""
        mean, components, vectors = (arrays[name] for name in ("mean", "components", "vectors"))
        return cls(str(raw["name"]), raw["fingerprint"], mean, components, raw["items"], tuple(raw["hashes"]), vectors)


def _principal(vectors: FloatArray, size: int, name: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The mean and the first components of (n, R) vectors, scaled to a mean square of 1 over all numbers."""
    centred = vectors.astype(np.float64)
    mean = centred.mean(axis=0) if len(centred) else np.zeros(vectors.shape[1])
    centred -= mean
    with threadpool_limits(1):  # the same bits on any number of cores
        variances, axes = np.linalg.eigh(centred.T @ centred / max(1, len(centred)))
    variances, axes = variances[::-1][:size], axes[:, ::-1][:, :size]
    significant = variances > max(LEAST_SHARE * variances[0], 1e-12)
    if not significant.any():
        msg = f"{name}: wanted vectors of at least two different items of the catalogue, got {len(vectors)} alike"
        raise InvalidInput(msg)
    axes = axes[:, significant] * np.sign(
        axes[np.abs(axes[:, significant]).argmax(axis=0), np.flatnonzero(significant)]
    )
    return mean, np.ascontiguousarray(axes / np.sqrt(variances[significant].mean()))
