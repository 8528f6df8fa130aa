"""Test doubles of the domain: events with times in seconds, spying and failing stores, a model of axis vectors.

Independent of HTTP, SQL and torch.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from doubles import MemoryStore, MemoryTransaction

from core.arrays import BoolArray, FloatArray, IntArray
from core.blending.blend import Blend
from core.catalogue.items import Catalogue
from core.errors import StoreConflict, StoreUnavailable
from core.events.history import History, Window, WindowShape
from core.events.interactions import EventTypes, Interaction
from core.ingestion.ingest import Ingestor
from core.ingestion.sources import StreamSource
from core.ports.array_folders import Arrays
from core.ports.encoder import EncodedItems
from core.records.stored import ModelRecord, UserState

NOW_MS = 1_700_000_000_000
TYPES = EventTypes()
SHAPE = WindowShape(size=5, step=2)  # W = 3, S = 2


def event(user_id: str, item_id: str, at_s: int = 0, *, kind: str = "click", event_id: str = "") -> Interaction:
    """An event `at_s` seconds after `NOW_MS`; without an id, one that its content decides."""
    return Interaction(event_id or f"{user_id}/{item_id}/{at_s}/{kind}", user_id, item_id, kind, NOW_MS + at_s * 1000)


def offsets(first: int, last: int, *, stream: str = "interactions", partition: int = 0) -> StreamSource:
    """One event per message, from offset `first` to `last`."""
    return StreamSource(stream, partition, range(first, last + 1), first, last)


def ingestor(store: Any, *, shape: WindowShape = SHAPE, types: EventTypes = TYPES) -> Ingestor:
    """An ingestor with the tests' window and event types."""
    return Ingestor(store, types=types, shape=shape)


def item_ids(store: MemoryStore, window: Window) -> list[str]:
    """The item ids of a window, oldest first."""
    with store.read() as read:
        names = {key: stored.item.item_id for key, stored in read.items.by_key(window.history.items.tolist()).items()}
    return [names[key] for key in window.history.items.tolist()]


def user(store: MemoryStore, user_id: str = "ann") -> UserState:
    """A user who must be known."""
    with store.read() as read:
        state = read.users.find(user_id)
    assert state is not None, f"{user_id} is unknown"
    return state


def history(store: MemoryStore, user_id: str = "ann") -> list[str]:
    """The item ids in a user's window."""
    return item_ids(store, user(store, user_id).window)


def num_events(store: MemoryStore) -> int:
    """The number of events in a store."""
    with store.read() as read:
        return read.totals().events


class Spy:
    """Records calls and passes them on."""

    def __init__(self, spied: Any, calls: list[tuple[str, tuple[Any, ...]]], prefix: str = "") -> None:
        self._spied = spied
        self._calls = calls
        self._prefix = prefix

    def __getattr__(self, name: str) -> Any:
        """A spied repository, or a method that is recorded when it is called."""
        attribute = getattr(self._spied, name)
        if not callable(attribute):
            return Spy(attribute, self._calls, f"{name}.")

        def recorded(*args: Any, **named: Any) -> Any:
            self._calls.append((self._prefix + name, args))
            return attribute(*args, **named)

        return recorded


class SpyingStore(MemoryStore):
    """A store that records the calls of its transactions in `calls`, as ("users.lock", arguments)."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[str, tuple[Any, ...]]] = []

    @contextmanager
    def transaction(self) -> Iterator[Any]:
        """A transaction whose calls are recorded."""
        with super().transaction() as transaction:
            yield Spy(transaction, self.calls)


class ReadSpyingStore(MemoryStore):
    """A store that records what is read outside of write transactions, as "users.snapshot"."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[str, tuple[Any, ...]]] = []

    @contextmanager
    def read(self, *, snapshot: bool = True) -> Iterator[Any]:
        """A reader whose calls are recorded."""
        with super().read(snapshot=snapshot) as transaction:
            yield Spy(transaction, self.calls)

    def reads_of(self, query: Callable[[], object]) -> list[str]:
        """The names of the reads of a query."""
        self.calls.clear()
        query()
        return [name for name, _ in self.calls]


class _UncommittableTransaction(MemoryTransaction):
    def commit(self) -> None:
        msg = "the disk is full; make room"
        raise StoreUnavailable(msg)


class FailingStore(MemoryStore):
    """A store whose commits fail while `failing`."""

    failing = True

    @contextmanager
    def transaction(self) -> Iterator[MemoryTransaction]:
        """A transaction that cannot be committed."""
        with super().transaction() as transaction:
            yield _UncommittableTransaction(transaction.data) if self.failing else transaction


class ContestedStore(MemoryStore):
    """A store whose first `num_conflicts` transactions conflict with another one."""

    def __init__(self, num_conflicts: int) -> None:
        super().__init__()
        self.num_conflicts = num_conflicts

    @contextmanager
    def transaction(self) -> Iterator[MemoryTransaction]:
        """A transaction that may raise `StoreConflict`."""
        with super().transaction() as transaction:
            yield transaction
            if self.num_conflicts:
                self.num_conflicts -= 1
                transaction.committed = False
                msg = "another transaction won"
                raise StoreConflict(msg)


NUM_AXES = 64


class AxisEncoder:
    """Item of row r is axis r, so a user's vector simply lists the scores of all rows, 0 for rows added later.

    After an item the rows behind it score highest, in order, round the end: after row 1 of 4 the order is 2, 3, 0, 1.
    The gap to now scales all scores by 1 + gap in seconds. `each_adds`: what an event adds to its own item's score.
    `untrained`: ids of items that it has not been trained on; unseen items would score 0.
    """

    def __init__(
        self, catalogue: Catalogue, *, each_adds: float | None = None, untrained: Collection[str] = ()
    ) -> None:
        self.catalogue, self.each_adds, self.untrained = catalogue, each_adds, untrained
        self.encoded: list[History] = []

    @property
    def width(self) -> int:
        """As many axes as rows, and room for more."""
        return max(NUM_AXES, len(self.catalogue))

    def encode(self, histories: Sequence[History]) -> FloatArray:
        """The scores of all rows after the last item of each history; an unknown one counts as row -1."""
        self.encoded += histories
        last = np.array([self.catalogue.rows(history.items[-1:])[0] for history in histories])
        num_rows = len(self.catalogue)
        behind = (np.arange(num_rows)[None] - last[:, None] - 1) % num_rows
        vectors = np.zeros((len(histories), self.width), np.float32)
        vectors[:, :num_rows] = num_rows - behind
        return vectors

    def query(self, vectors: FloatArray, gaps_ms: IntArray) -> FloatArray:
        """Scaled by the gap."""
        return (vectors * (1 + gaps_ms[:, None] / 1000)).astype(np.float32)

    def gap_step(self, gap_ms: int) -> int:
        """Each gap is a step of its own."""
        return gap_ms

    def repeats(self, history: History) -> FloatArray | None:
        """As given."""
        return None if self.each_adds is None else np.full(len(history), self.each_adds, np.float32)

    def items(self, rows: IntArray) -> FloatArray:
        """Axes."""
        return np.eye(self.width, dtype=np.float32)[rows]

    def trained(self, rows: IntArray) -> BoolArray:
        """As given."""
        return np.array([self.catalogue.item_ids[row] not in self.untrained for row in rows.tolist()], np.bool_)

    def unseen_items(self, rows: IntArray) -> FloatArray:
        """Without their axes."""
        return np.zeros((len(rows), self.width), np.float32)

    def rebind(self, catalogue: Catalogue, rows: IntArray) -> AxisEncoder:
        """An encoder over a later catalogue."""
        rebound = type(self)(catalogue, each_adds=self.each_adds, untrained=self.untrained)
        rebound.encoded = self.encoded
        return rebound


class AxisBundle:
    """A model version of axis vectors; `window` as it was trained."""

    def __init__(
        self,
        version: str = "v1",
        *,
        window: WindowShape = SHAPE,
        each_adds: float | None = None,
        blend: Blend | None = None,
        untrained: Collection[str] = (),
    ) -> None:
        self.version, self.window, self.each_adds, self.blend = version, window, each_adds, blend
        self.untrained = untrained
        self.encoders: list[AxisEncoder] = []

    def bind(self, catalogue: Catalogue, *, encoded: EncodedItems | None = None) -> AxisEncoder:
        """An encoder as wide as the catalogue, which needs no vectors."""
        self.encoders.append(AxisEncoder(catalogue, each_adds=self.each_adds, untrained=self.untrained))
        return self.encoders[-1]


class BruteForceIndex:
    """`core.ports.index.ItemIndex` in few lines of numpy: the oracle. `needs_compaction` as a test sets it."""

    is_approximate, recall, needs_compaction = False, None, False

    def __init__(self, rows: IntArray, vectors: FloatArray) -> None:
        self._rows, self._vectors = rows, vectors

    def changed(self, rows: IntArray, vectors: FloatArray, *, removed: IntArray) -> BruteForceIndex:
        """Everything again."""
        kept = ~np.isin(self._rows, np.append(rows, removed))
        merged = np.append(self._rows[kept], rows)
        order = np.argsort(merged)
        return type(self)(merged[order], np.concatenate([self._vectors[kept], vectors])[order])

    def compacted(self, queries: FloatArray | None = None) -> BruteForceIndex:
        """The same."""
        return type(self)(self._rows, self._vectors)

    @classmethod
    def of(cls, arrays: Arrays) -> BruteForceIndex:
        """From arrays."""
        return cls(arrays["rows"], arrays["vectors"])

    def arrays(self) -> Arrays:
        """Both."""
        return {"rows": self._rows, "vectors": self._vectors}

    def __len__(self) -> int:
        return len(self._rows)

    def search(self, query: FloatArray, n: int, *, allowed: BoolArray | None = None) -> tuple[IntArray, FloatArray]:
        """All products, best first, equal ones by row."""
        scores = self._vectors @ query
        order = [i for i in np.lexsort((self._rows, -scores)) if allowed is None or allowed[self._rows[i]]][:n]
        return self._rows[order], scores[order]


class MemoryArrayFolders:
    """`core.ports.array_folders.ArrayFolders` in memory. `age_s`: how old all are; `is_locked`: another one writes."""

    def __init__(self) -> None:
        self.saved: dict[str, tuple[Arrays, Any]] = {}
        self.seconds = 0.0
        self.is_locked = False

    def names(self) -> list[str]:
        """The last one first."""
        return list(reversed(self.saved))

    def age_s(self, name: str) -> float:
        """As given."""
        return self.seconds

    def save(self, name: str, arrays: Arrays, about: Any) -> None:
        """Copies."""
        self.saved[name] = ({key: np.array(array) for key, array in arrays.items()}, dict(about))

    def load(self, name: str) -> tuple[Arrays, Any]:
        """Copies, since an encoder may write to them."""
        arrays, about = self.saved[name]
        return {key: np.array(array) for key, array in arrays.items()}, about

    def delete(self, name: str) -> None:
        """Gone."""
        del self.saved[name]

    @contextmanager
    def writing(self) -> Iterator[bool]:
        """As given."""
        yield not self.is_locked


def champion(version: str = "v1", *, created_ms: int = NOW_MS) -> ModelRecord:
    """The record of a serving model."""
    return ModelRecord(version, f"models/{version}", "champion", created_ms)


def crown(store: MemoryStore, version: str = "v1", *, created_ms: int = NOW_MS) -> None:
    """Make a model version the champion."""
    with store.transaction() as transaction:
        transaction.models.save(champion(version, created_ms=created_ms))
        transaction.commit()
