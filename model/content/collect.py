"""Contents of items become vectors in a folder: what is known already is not computed again, and faults stop nothing.

Independent of pictures, texts or networks. Memory is bounded by the batch: contents are read as they are needed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Protocol

import numpy as np

from core.arrays import FloatArray
from model.content.collection import ITEMS, Collection, CollectionWriter

Progress = Callable[[int, int], None]  # items done, items in all


@dataclass(frozen=True, slots=True)
class Described:
    """(B, size) vectors of contents; by row, why a content has none (its vector is then meaningless)."""

    vectors: FloatArray
    faults: Mapping[int, str] = field(default_factory=dict)


class Describer(Protocol):
    """Turns contents into vectors. Equal fingerprints give equal vectors for equal contents."""

    @property
    def fingerprint(self) -> str:
        """Names it with everything that decides its vectors."""
        ...

    @property
    def size(self) -> int:
        """The length of its vectors."""
        ...

    @property
    def batch_size(self) -> int:
        """How many contents it likes at once."""
        ...

    def describe(self, contents: Sequence[bytes]) -> Described:
        """The vectors of contents: the bytes of pictures, or of texts in UTF-8."""
        ...


@dataclass(slots=True)
class Collected:
    """What a run did. `changed`: items that have another vector than before, or one for the first time."""

    num_items: int = 0
    num_computed: int = 0
    faults: dict[str, str] = field(default_factory=dict)
    changed: list[str] = field(default_factory=list)


def collect(
    folder: Path,
    describer: Describer,
    item_ids: Sequence[str],
    read: Callable[[str], bytes],
    *,
    progress: Progress,
    replace: bool = False,
) -> Collected:
    """Bring the vectors of these items up to date; of others they stay, unless `replace`.

    `read` gives an item's content; a `ValueError` of it is a fault of that item alone.
    """
    writer = CollectionWriter(folder, fingerprint=describer.fingerprint, size=describer.size)
    before = Collection.open(folder).items
    items: dict[str, str] = {} if replace else dict(before)
    report = Collected(num_items=len(item_ids))
    remaining = iter(item_ids)
    num_done = 0
    while batch := list(islice(remaining, describer.batch_size)):
        contents = dict(_readable(batch, read, report))
        hashes = {item_id: _hash(content) for item_id, content in contents.items()}
        items.update(hashes)
        new = {hashes[item_id]: content for item_id, content in contents.items() if hashes[item_id] not in writer.known}
        if new:
            described = describer.describe(list(new.values()))
            writer.append(list(new), *_finite(described))
            report.num_computed += len(new)
        num_done += len(batch)
        progress(num_done, len(item_ids))
    if items != before or not (folder / ITEMS).exists():
        writer.save_items(items)
    _report_changes(report, folder, item_ids, before)
    return report


def _readable(batch: Sequence[str], read: Callable[[str], bytes], report: Collected) -> Iterator[tuple[str, bytes]]:
    for item_id in batch:
        try:
            yield item_id, read(item_id)
        except ValueError as error:
            report.faults[item_id] = str(error)


def _finite(described: Described) -> tuple[FloatArray, dict[int, str]]:
    """Vectors with zeros where there is a fault; a vector with a NaN is one."""
    faults = dict(described.faults)
    for row in np.flatnonzero(~np.isfinite(described.vectors).all(axis=1)):
        faults.setdefault(int(row), "its vector is not finite")
    vectors = np.array(described.vectors, np.float32)
    vectors[list(faults)] = 0
    return vectors, faults


def _report_changes(report: Collected, folder: Path, item_ids: Sequence[str], before: Mapping[str, str]) -> None:
    now = Collection.open(folder)
    for item_id in item_ids:
        content_hash = now.items.get(item_id)
        if content_hash is not None and content_hash in now.faults:
            report.faults.setdefault(item_id, now.faults[content_hash])
    report.changed = [item_id for item_id, content_hash in now.items.items() if before.get(item_id) != content_hash]
    report.changed += [item_id for item_id in before if item_id not in now.items]


def _hash(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()
