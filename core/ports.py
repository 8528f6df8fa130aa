"""The ports: what the domain needs from databases, models and indexes, as protocols over the records of `core.records`.

Adapters live in `storage/`, `model/` and `index/`; they never import each other. Shapes: B batch, N items, D width
of a query or item vector (all modalities concatenated), K answers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from core.drift.ports import DriftReads, DriftWrites
from core.history import History, IntArray, WindowShape
from core.items import Catalogue, Item
from core.learn.ports import VersionReads, VersionWrites
from core.records import BoolArray as BoolArray
from core.records import DeadLetter as DeadLetter
from core.records import EventColumns as EventColumns
from core.records import EventRow as EventRow
from core.records import LeaseRecord as LeaseRecord
from core.records import ModelRecord as ModelRecord
from core.records import Promotion as Promotion
from core.records import StoredItem as StoredItem
from core.records import StoreTotals as StoreTotals
from core.records import UserState as UserState
from core.records import WriterOffset as WriterOffset
from core.records import WriterPosition as WriterPosition

FloatArray = NDArray[np.float32]

# --- storage -------------------------------------------------------------------------------------------------------


class Transaction(VersionWrites, Protocol):
    """One write transaction. Locks are taken in the order of the methods below (DESIGN 4.3), ascending within each.

    Every method is set-based: a fixed number of statements, however many rows.
    """

    @property
    def drift(self) -> DriftWrites:
        """What drift monitoring writes."""
        ...

    def open_sources(self, stream: str, partitions: Sequence[int]) -> dict[int, WriterOffset]:
        """(a) The states of writers by their partitions, made where they are new, locked until the end."""
        ...

    def save_sources(self, states: Sequence[WriterOffset]) -> None:
        """(a) Store offsets and newest times of opened writers: who has compared them first has compared and set."""
        ...

    def lock_users(
        self, user_ids: Sequence[str], *, unless_erased: Mapping[str, int] | None = None
    ) -> dict[str, UserState]:
        """(b) The states of these users, made where they are new, locked until the end.

        A user who was erased starts again at the sequence of the erasure, with `erased_ms` set. But who is new, and
        was erased at the time given in `unless_erased` or later, is left out. Raises `StoreConflict` where another
        transaction makes or erases one of them at the same moment.
        """
        ...

    def resolve_items(self, item_ids: Sequence[str], *, now_ms: int | None = None) -> dict[str, int]:
        """The integer keys of these items; unknown ones become stubs, first heard of at `now_ms`."""
        ...

    def known_events(self, event_keys: Sequence[bytes]) -> set[bytes]:
        """Which of these events are stored already."""
        ...

    def insert_events(self, rows: Sequence[EventRow]) -> None:
        """(c) Store events, given in ascending `event_key`; raises `StoreConflict` where one turns out to be known."""
        ...

    def newest_events(self, limits: Mapping[int, int], *, type_codes: Sequence[int]) -> dict[int, History]:
        """For each user key its newest `limits[key]` events of these types, in history order (time, sequence)."""
        ...

    def save_users(self, states: Sequence[UserState]) -> None:
        """(d) Store sequence and window of locked users."""
        ...

    def add_popularity(self, source_key: int, scores: Mapping[int, float]) -> None:
        """(e) Join decayed log2 counts (see `core.popularity`) with those that this writer keeps for the items."""
        ...

    def add_counts(self, source_key: int, counts: Mapping[tuple[int, int], int]) -> None:
        """(e) Add to the counters of (bucket start in ms, type code) that this writer keeps."""
        ...

    def save_vectors(self, states: Sequence[UserState], found: FloatArray, *, version: str, binding: str) -> None:
        """Store (B, D) vectors of users at their states, one per user and version, where nothing newer is stored."""
        ...

    def add_dead_letters(self, letters: Sequence[DeadLetter]) -> None:
        """Keep bad input aside. The same payload from the same place (source, partition, offset) is kept once."""
        ...

    def drop_dead_letters(self, keys: Sequence[int]) -> int:
        """Delete dead letters; returns how many there were."""
        ...

    def update_dead_letters(self, letters: Sequence[DeadLetter]) -> None:
        """Store the reasons and the numbers of retries of kept letters, by their keys."""
        ...

    def save_items(self, items: Sequence[Item], *, now_ms: int) -> int:
        """Insert or replace catalogue items, all under one new revision; returns it."""
        ...

    def touch_items(self, item_ids: Sequence[str], *, now_ms: int) -> int:
        """Put known items under one new revision: what is kept of them elsewhere has changed; returns the revision."""
        ...

    def remove_items(self, item_ids: Sequence[str], *, now_ms: int) -> int:
        """Take items out of the catalogue and hide them (their past stays learnt from); returns how many were in it."""
        ...

    def erase_user(self, user_id: str, *, now_ms: int) -> bool:
        """Delete everything about a user, leaving a keyed hash with time and sequence; False if there was nothing."""
        ...

    def clear_derived(self) -> None:
        """Empty what is made from events: windows, vectors, popularity, counts. Events, items and sequences stay."""
        ...

    def set_meta(self, values: Mapping[str, str]) -> None:
        """Store facts about the database itself (clock mode, hash of the event types, window)."""
        ...

    def commit(self) -> None:
        """Make it so. Without it, leaving the `with` block rolls everything back."""
        ...


class ReadTransaction(VersionReads, Protocol):
    """A consistent snapshot for reading."""

    @property
    def drift(self) -> DriftReads:
        """What drift monitoring reads."""
        ...

    def user(self, user_id: str) -> UserState | None:
        """One user's state, or None if they are unknown."""
        ...

    def users(self, keys: Sequence[int]) -> list[UserState]:
        """The states of the users with these keys, in ascending key; unknown ones are left out."""
        ...

    def list_users(self, *, prefix: str = "", after: str = "", limit: int = 100) -> list[tuple[str, UserState]]:
        """Users in ascending id after `after`, those whose id begins with `prefix`."""
        ...

    def history_page(self, user_key: int, *, before: tuple[int, int], limit: int = 100) -> list[EventRow]:
        """The newest events of a user, newest first, of all types, whose (time, sequence) lies below `before`."""
        ...

    def item_keys_of(self, user_key: int, *, type_codes: Sequence[int]) -> IntArray:
        """The distinct keys of items with which a user had events of these types, over the whole history."""
        ...

    def events_of(
        self, user_key: int, *, type_codes: Sequence[int], limit: int, before: tuple[int, int] | None = None
    ) -> list[EventRow]:
        """A user's newest events of these types in history order, all before a (time, sequence) where one is given."""
        ...

    def events_by_key(self, event_keys: Sequence[bytes]) -> dict[bytes, EventRow]:
        """Stored events by their keys."""
        ...

    def event_seqs(self, event_keys: Sequence[bytes]) -> dict[bytes, int]:
        """The user sequence of each of these events that is stored."""
        ...

    def erased(self, user_ids: Sequence[str]) -> dict[str, int]:
        """When these users were erased (ms), for those who ever were."""
        ...

    def vector(self, state: UserState, *, version: str, binding: str) -> FloatArray | None:
        """The stored (D,) vector of a user at exactly this sequence and binding, or None."""
        ...

    def items(self, keys: Sequence[int]) -> dict[int, StoredItem]:
        """Items by integer key."""
        ...

    def items_by_id(self, item_ids: Sequence[str]) -> dict[str, StoredItem]:
        """Items by id, stubs included."""
        ...

    def list_items(self, *, after: str = "", limit: int = 100) -> list[StoredItem]:
        """Catalogue items in ascending id after `after`."""
        ...

    def catalogue(self, *, stubs: bool = False) -> Catalogue:
        """All items in columns, stubs included; `stubs`: they count as listed too."""
        ...

    def revision(self) -> int:
        """The revision of the newest change of a catalogue item (a new stub is no change)."""
        ...

    def newest_item_key(self) -> int:
        """The highest item key given so far, 0 while there is none: rises with each new stub too."""
        ...

    def popularity(self) -> tuple[IntArray, NDArray[np.float64]]:
        """Item keys and their decayed log2 counts, joined over all writers."""
        ...

    def newest_event_ms(self) -> int | None:
        """The highest event time applied: the stream clock."""
        ...

    def events(
        self, *, type_codes: Sequence[int], before_ms: int | None = None, since_ms: int | None = None
    ) -> EventColumns:
        """All events of these types (with `since_ms` <= time < `before_ms`), sorted by (user, time, sequence)."""
        ...

    def num_events(self, *, type_codes: Sequence[int], since_ms: int) -> int:
        """About how many events of these types have a time from `since_ms` on: by the counts of whole buckets."""
        ...

    def iter_events(self, *, chunk: int = 50_000) -> Iterator[list[EventRow]]:
        """All events in ascending (user, time, sequence): what `rebuild` and checks read."""
        ...

    def applied_offsets(self, stream: str) -> dict[int, int]:
        """The applied offset of each partition of a stream."""
        ...

    def writers(self) -> list[WriterPosition]:
        """Every writer, in ascending (stream, partition)."""
        ...

    def num_counted(self, *, since_ms: int) -> int:
        """How many events the monitoring counts hold in buckets that begin at `since_ms` or later."""
        ...

    def dead_letters(self, *, limit: int = 100) -> list[DeadLetter]:
        """The newest dead letters."""
        ...

    def oldest_dead_letters(self, *, after: int = 0, limit: int = 100) -> list[DeadLetter]:
        """Dead letters in ascending key, those whose key is above `after`."""
        ...

    def num_dead_letters(self) -> int:
        """How many dead letters are kept."""
        ...

    def totals(self) -> StoreTotals:
        """How much the store holds, counted: with many events that takes a while."""
        ...

    def meta(self) -> dict[str, str]:
        """Facts about the database itself."""
        ...


class Store(Protocol):
    """A database."""

    def transaction(self) -> AbstractContextManager[Transaction]:
        """A write transaction; rolled back unless committed. Raises `StoreUnavailable` when the database is away."""
        ...

    def read(self) -> AbstractContextManager[ReadTransaction]:
        """A snapshot for reading; never blocked by writers."""
        ...

    def glance(self) -> AbstractContextManager[ReadTransaction]:
        """As `read` without a snapshot: each question is answered as of its own moment, for a third of the cost."""
        ...

    def close(self) -> None:
        """Give all connections back."""
        ...


# --- model ---------------------------------------------------------------------------------------------------------


class Encoder(Protocol):
    """A trained model bound to one catalogue: histories and items become vectors whose inner product is the score."""

    @property
    def width(self) -> int:
        """D: the length of query and item vectors."""
        ...

    def encode(self, histories: Sequence[History]) -> FloatArray:
        """(B, D) vectors of users after their last event; a full re-encode. Histories hold item keys, none is empty."""
        ...

    def query(self, vectors: FloatArray, gaps_ms: IntArray) -> FloatArray:
        """(B, D) queries: the vectors shaped by (B,) gaps from the last event to now."""
        ...

    def repeats(self, history: History) -> FloatArray | None:
        """(L,) what each event adds to the score of its own item; None from a model that adds nothing."""
        ...

    def items(self, rows: IntArray) -> FloatArray:
        """(N, D) vectors of items by their rows in the bound catalogue."""
        ...


class ModelBundle(Protocol):
    """A model version: weights, frozen feature transforms and id map. Immutable."""

    @property
    def version(self) -> str:
        """Names the model in answers, stored vectors and lineage."""
        ...

    @property
    def window(self) -> WindowShape:
        """The window that it was trained for."""
        ...

    def bind(self, catalogue: Catalogue) -> Encoder:
        """The encoder over this catalogue: an item without a trained row is "unseen id" plus its content."""
        ...


# --- index ---------------------------------------------------------------------------------------------------------


class ItemIndex(Protocol):
    """Nearest items by inner product; immutable."""

    def __len__(self) -> int:
        """How many items it holds."""
        ...

    def search(self, query: FloatArray, n: int, *, allowed: BoolArray | None = None) -> tuple[IntArray, FloatArray]:
        """The best rows and scores for one (D,) query, best first, ties by row; fewer than `n` when fewer are allowed.

        `allowed`: (size of the catalogue,) whether each row may be returned.
        """
        ...


class IndexBuilder(Protocol):
    """Builds an index aside."""

    def __call__(self, rows: IntArray, vectors: FloatArray) -> ItemIndex:
        """An index of (N, D) `vectors` that answers with (N,) `rows`."""
        ...
