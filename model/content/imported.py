"""Vectors computed elsewhere, from .npy and .safetensors files. Independent of models.

vectors.npy           (n, size), the ids in `vectors.ids` beside it or in a file of their own, one per line
vectors.safetensors   a tensor `vectors` (n, size) with ids as above, or one tensor per item, named by its id
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from core.arrays import FloatArray
from core.errors import InvalidInput, plain_reason
from core.events.interactions import check_id
from model.content.collect import Described

TENSOR = "vectors"
SUFFIXES = (".npy", ".safetensors")


@dataclass(frozen=True, slots=True)
class ImportedVectors:
    """Vectors by item id; also the describer that passes them on as they are."""

    by_item: Mapping[str, FloatArray] = field(repr=False)
    size: int
    fingerprint: str = "imported"
    batch_size: int = 1024

    def read(self, item_id: str) -> bytes:
        """An item's vector as bytes: what its hash is made of."""
        return np.ascontiguousarray(self.by_item[item_id], "<f4").tobytes()

    def hashes(self, item_ids: Sequence[str]) -> list[str | None]:
        """The ids of items that have a vector: here they stand for their contents."""
        return [item_id if item_id in self.by_item else None for item_id in item_ids]

    def vectors(self, hashes: Sequence[str]) -> FloatArray:
        """(n, size) vectors of items."""
        return np.array([self.by_item[item_id] for item_id in hashes], np.float32).reshape(len(hashes), self.size)

    def describe(self, contents: Sequence[bytes]) -> Described:
        """The vectors back from their bytes."""
        return Described(np.stack([np.frombuffer(content, "<f4") for content in contents]))


def read_vectors(path: Path, ids: Path | None = None) -> ImportedVectors:
    """The vectors of a file; raises `InvalidInput` saying what is wrong with it."""
    try:
        if path.suffix == ".npy":
            table = np.load(path, mmap_mode="r", allow_pickle=False)
        elif path.suffix == ".safetensors":
            tensors = load_file(path)
            if TENSOR not in tensors:
                return _checked(path, tensors)
            table = tensors[TENSOR]
        else:
            msg = f"{path}: wanted vectors in a file {' or '.join(SUFFIXES)}, got {path.suffix or 'no suffix'}"
            raise InvalidInput(msg)
    except (OSError, ValueError, SafetensorError, TypeError) as error:
        if isinstance(error, InvalidInput):
            raise
        remedy = "check the path" if isinstance(error, FileNotFoundError) else "write it anew"
        msg = f"{path}: wanted an array of numbers, got {plain_reason(error)}; {remedy}"
        raise InvalidInput(msg) from None
    item_ids = _ids(ids or path.with_suffix(".ids"))
    if table.ndim != 2 or len(table) != len(item_ids):
        msg = f"{path}: wanted one vector for each of {len(item_ids)} ids, got an array of shape {table.shape}"
        raise InvalidInput(msg)
    return _checked(path, dict(zip(item_ids, table, strict=True)))


def _checked(path: Path, vectors: Mapping[str, FloatArray]) -> ImportedVectors:
    shapes = {vector.shape for vector in vectors.values()}
    kinds = {vector.dtype.kind for vector in vectors.values()}
    if len(shapes) != 1 or len(next(iter(shapes))) != 1 or kinds != {"f"}:
        shape_list = ", ".join(map(str, sorted(shapes)[:3])) or "none"
        msg = f"{path}: wanted vectors of floating-point numbers, all of one length, got shapes {shape_list}"
        raise InvalidInput(msg)
    return ImportedVectors({check_id("item_id", item_id): vectors[item_id] for item_id in vectors}, shapes.pop()[0])


def _ids(path: Path) -> list[str]:
    """The lines of a file, each an id, none twice."""
    try:
        item_ids = [check_id("item_id", line) for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        msg = f"{path}: wanted item ids, one per line, got {plain_reason(error)}; name their file with --ids"
        raise InvalidInput(msg) from None
    if len(set(item_ids)) < len(item_ids):
        twice = next(item_id for item_id in item_ids if item_ids.count(item_id) > 1)
        msg = f"{path}: wanted each id once, got {twice!r} again; remove the repeats"
        raise InvalidInput(msg)
    return item_ids
