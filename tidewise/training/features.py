"""Vectors of items in the data folder: made from pictures, texts or files of vectors, and used by trainings.

Called by `tidewise features`, `tidewise train` and `tidewise evaluate`; `model.content` computes the vectors.
"""

from __future__ import annotations

import fcntl
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from core.catalogue.items import Catalogue
from core.clock import WallClock
from core.errors import InvalidInput
from core.ports.store import Store

if TYPE_CHECKING:
    from model.content.collect import Collected, Progress
    from model.features import FeatureSource

LOCK_NAME = "features.lock"
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
RESERVED = ("id",)  # the modality of item ids
BATCH = 2_000  # items in one transaction


@dataclass(frozen=True, slots=True)
class Target:
    """The collection to write: the folder of all collections, and the modality's name."""

    folder: Path
    name: str

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name) or self.name in RESERVED:
            msg = f"--name: wanted lower-case letters, digits, - and _ (not {', '.join(RESERVED)}), got {self.name!r}"
            raise InvalidInput(msg)

    @property
    def path(self) -> Path:
        """The folder of this collection."""
        return self.folder / self.name


def collect_pictures(
    target: Target, pictures: Path, encoder: str, *, progress: Progress, replace: bool = False
) -> Collected:
    """Compute the vectors of pictures in a folder or a zip file; files are named by item id."""
    from model.content.collect import collect
    from model.content.describers import describer_of
    from model.content.pictures import Pictures

    describer = describer_of(encoder, kind="pictures")
    with Pictures.opened(pictures) as archive, locked(target.folder):
        if not archive.files:
            msg = (
                f"{pictures}: wanted pictures named by item id, as item-1.jpg, got none ({archive.ignored} other files)"
            )
            raise InvalidInput(msg)
        return collect(target.path, describer, list(archive.files), archive.read, progress=progress, replace=replace)


def collect_texts(
    target: Target, texts: Mapping[str, str], encoder: str, *, progress: Progress, replace: bool = False
) -> Collected:
    """Compute the vectors of items' texts; an item without a text gets none."""
    from model.content.collect import collect
    from model.content.describers import describer_of

    describer = describer_of(encoder, kind="texts")
    non_empty = {item_id: text for item_id, text in texts.items() if text.strip()}
    with locked(target.folder):
        read = _encoded(non_empty)
        return collect(target.path, describer, list(non_empty), read, progress=progress, replace=replace)


def collect_vectors(
    target: Target, vectors: Path, ids: Path | None, *, progress: Progress, replace: bool = False
) -> Collected:
    """Store vectors that were computed elsewhere."""
    from model.content.collect import collect
    from model.content.imported import read_vectors

    imported = read_vectors(vectors, ids)
    with locked(target.folder):
        return collect(target.path, imported, list(imported.by_item), imported.read, progress=progress, replace=replace)


def _encoded(texts: Mapping[str, str]) -> Callable[[str], bytes]:
    return lambda item_id: texts[item_id].encode()


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Lock the folder for one writer; raises `InvalidInput` if another one holds the lock."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK_NAME).open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            msg = f"{folder}: another `tidewise features` writes there; wait until it is done"
            raise InvalidInput(msg) from None
        yield


def names_of(folder: Path) -> list[str]:
    """The modalities that have a collection in a folder."""
    from model.content.collection import names_in

    return names_in(folder)


def touch(store: Store, item_ids: Sequence[str]) -> None:
    """Mark these items as changed, so that serving processes read their new vectors."""
    now_ms = WallClock().now_ms()
    for begin in range(0, len(item_ids), BATCH):
        with store.transaction() as tx:
            tx.items.touch(item_ids[begin : begin + BATCH], now_ms=now_ms)
            tx.commit()


def sources_in(folder: Path, catalogue: Catalogue, *, size: int) -> list[FeatureSource]:
    """The collections of a folder as modalities of this catalogue; one without vectors of its items is skipped."""
    return [source for name in names_of(folder) if (source := _fitted(folder / name, name, catalogue, size))]


def _fitted(path: Path, name: str, catalogue: Catalogue, size: int) -> FeatureSource | None:
    from model.content.collection import Collection
    from model.content.source import CollectedFeatures

    collection = Collection.open(path)
    if not any(collection.hashes(catalogue.item_ids)):
        return None
    return CollectedFeatures.fit(collection, catalogue, name=name, size=size).following(path)


def sources_of(entries: Sequence[str], catalogue: Catalogue, *, size: int) -> list[FeatureSource]:
    """`PATH[:NAME]` of `tidewise evaluate --features`: a folder of `tidewise features`, or a file of vectors."""
    return [_source_of(entry, catalogue, size) for entry in entries]


def _source_of(entry: str, catalogue: Catalogue, size: int) -> FeatureSource:
    path, sign, name = entry.rpartition(":")
    if not sign or not NAME.fullmatch(name) or Path(entry).exists():
        path, name = entry, Path(entry).stem.lower()
    Target(Path(path), name)  # checks the name
    if Path(path).is_dir():
        source = _fitted(Path(path), name, catalogue, size)
        if source is None:
            msg = f"--features {path}: wanted vectors of these items, got none; check that the ids match"
            raise InvalidInput(msg)
        return source
    from model.content.imported import read_vectors
    from model.content.source import CollectedFeatures

    return CollectedFeatures.fit(read_vectors(Path(path)), catalogue, name=name, size=size)
