"""A dataset for offline evaluation: events in columns, items as a catalogue, and a digest of both.

Independent of files or models. The order of a user's events that share a time is kept from the source or drawn by
a hash, because a sorted order of ties tells the next item: it is a label.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from core.arrays import IntArray
from core.catalogue.items import Catalogue, Item
from core.errors import InvalidInput
from core.records.stored import EventColumns

Ties = Literal["source", "hash"]
Row = tuple[str, str, int]  # user id, item id, time in ms


@dataclass(frozen=True)
class Dataset:
    """Events sorted by (user, time, tie order), items as rows of the catalogue.

    `arrival`: (n,) event numbers in the order in which the events happened. Items that appear in events only have no
    text and are not `listed`, but are ranked like all others.
    """

    columns: EventColumns
    arrival: IntArray
    catalogue: Catalogue
    ties: Ties = "source"

    @classmethod
    def of(cls, rows: Iterable[Row], items: Iterable[Item] = (), *, ties: Ties = "source") -> Dataset:
        """A dataset of rows in the order of their source; raises `InvalidInput` where there are none."""
        listed = {item.item_id: item for item in items}
        row_of_item = {item_id: row for row, item_id in enumerate(listed)}
        key_of_user: dict[str, int] = {}
        numbers = array("q")  # 24 bytes per event: a log may be far larger than what Python objects would allow
        for user, item, time_ms in rows:
            key = key_of_user.setdefault(user, len(key_of_user))
            numbers.extend((key, row_of_item.setdefault(item, len(row_of_item)), time_ms))
        if not numbers:
            msg = "events: wanted at least one, got none; check the file and the names of its columns"
            raise InvalidInput(msg)
        users, items_, times_ms = np.frombuffer(numbers, np.int64).reshape(-1, 3).T
        tie = _hashed(list(key_of_user), users, list(row_of_item), items_) if ties == "hash" else np.arange(len(users))
        order = np.lexsort((tie, times_ms, users))
        columns = EventColumns(*(np.ascontiguousarray(column[order]) for column in (users, items_, times_ms)))
        arrival = np.lexsort((tie[order], columns.times_ms))
        return cls(columns, arrival, _catalogue(list(row_of_item), listed), ties)

    @property
    def num_items(self) -> int:
        """N: how many items are ranked."""
        return len(self.catalogue)

    @property
    def num_users(self) -> int:
        """How many users have events."""
        return len(np.unique(self.columns.users))

    @cached_property
    def digest(self) -> str:
        """A hash of everything that a result may depend on."""
        digest = hashlib.blake2b(digest_size=16)
        for column in (self.columns.users, self.columns.items, self.columns.times_ms, self.arrival):
            digest.update(np.ascontiguousarray(column).tobytes())
        for texts in zip(self.catalogue.item_ids, self.catalogue.texts, self.catalogue.categories, strict=True):
            digest.update(repr(texts).encode(errors="surrogatepass"))
        return digest.hexdigest()


def _catalogue(item_ids: Sequence[str], listed: dict[str, Item]) -> Catalogue:
    """The catalogue whose keys are its rows."""
    items = [listed.get(item_id) or Item(item_id) for item_id in item_ids]
    return Catalogue(
        np.arange(len(items)),
        tuple(item_ids),
        tuple(f"{item.title}\n{item.text}".strip() for item in items),
        tuple(item.categories for item in items),
        np.array([item.item_id in listed for item in items], np.bool_),
    )


def _hashed(user_ids: Sequence[str], users: IntArray, item_ids: Sequence[str], items: IntArray) -> NDArray[np.uint64]:
    """(n,) a pseudo-random number for each (user, item), which no order of the source or of ids decides."""
    mixed = _digests(user_ids)[users] ^ (_digests(item_ids)[items] * np.uint64(0x9E3779B97F4A7C15))
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    spread: NDArray[np.uint64] = mixed ^ (mixed >> np.uint64(31))
    return spread


def _digests(ids: Sequence[str]) -> NDArray[np.uint64]:
    joined = b"".join(hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=8).digest() for text in ids)
    return np.frombuffer(joined, np.uint64)
