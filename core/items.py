"""Items and the catalogue: the item record, its validation, and an immutable columnar catalogue.

Independent of models; `model/` computes features from content.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.arrays import IntArray
from core.attributes import AttributeIndex
from core.errors import InvalidInput, InvalidItem
from core.interactions import check_id, field_name, is_scalar, shorten

MAX_TEXT_CHARS = 10_000
MAX_CATEGORIES = 64
MAX_ATTRIBUTES = 64


@dataclass(frozen=True, slots=True)
class Item:
    """A catalogue item. `hidden` items are never recommended; their events still count."""

    item_id: str
    title: str = ""
    text: str = ""
    categories: tuple[str, ...] = ()
    attributes: Mapping[str, Any] = field(default_factory=dict)
    hidden: bool = False


ITEM_FIELDS = ("item_id", "title", "text", "categories", "attributes", "hidden")


def parse_item(raw: object) -> Item:
    """A decoded JSON object as an `Item`; raises `InvalidItem`, whose message begins with the invalid field."""
    if not isinstance(raw, Mapping):
        msg = f"item: wanted a JSON object, got {shorten(raw)}"
        raise InvalidItem(msg, field="item")
    unknown = [name for name in raw if name not in ITEM_FIELDS]
    if unknown:
        msg = (
            f"{shorten(unknown[0])}: unknown field; known fields are {', '.join(ITEM_FIELDS)}; put others in attributes"
        )
        raise InvalidItem(msg, field=field_name(unknown[0]))
    try:
        hidden = raw.get("hidden")
        if hidden is not None and not isinstance(hidden, bool):
            msg = f"hidden: wanted true or false, got {shorten(hidden)}"
            raise InvalidItem(msg, field="hidden")
        return Item(
            check_id("item_id", raw.get("item_id")),
            _text("title", raw.get("title")),
            _text("text", raw.get("text")),
            _categories(raw.get("categories")),
            _attributes(raw.get("attributes")),
            bool(hidden),
        )
    except InvalidItem:
        raise
    except InvalidInput as error:
        raise InvalidItem(str(error), field=error.field) from None


def _text(name: str, value: object) -> str:
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > MAX_TEXT_CHARS:
        msg = f"{name}: wanted text of at most {MAX_TEXT_CHARS} characters, got {shorten(value)}"
        raise InvalidItem(msg, field=name)
    return value.encode(errors="replace").decode().replace("\x00", " ")


def _categories(value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    if isinstance(value, str) or not isinstance(value, Sequence) or len(value) > MAX_CATEGORIES:
        msg = f"categories: wanted a list of at most {MAX_CATEGORIES} names, got {shorten(value)}"
        raise InvalidItem(msg, field="categories")
    return tuple(dict.fromkeys(check_id("categories", name) for name in value))


def _attributes(value: object) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping) or len(value) > MAX_ATTRIBUTES:
        msg = f"attributes: wanted a map of at most {MAX_ATTRIBUTES} entries, got {shorten(value)}"
        raise InvalidItem(msg, field="attributes")
    for name, entry in value.items():
        check_id("attributes", name)
        if not is_scalar(entry) or len(str(entry)) > MAX_TEXT_CHARS:
            msg = f"attributes.{name}: wanted a string, finite number or boolean, got {shorten(entry)}"
            raise InvalidItem(msg, field=f"attributes.{name}")
    return {name: _text(name, entry) if isinstance(entry, str) else entry for name, entry in value.items()}


@dataclass(frozen=True, slots=False)
class Catalogue:
    """All known items at one revision, in columns; row i of every column is the same item.

    `keys`: (n,) integer keys, ascending. `listed`: (n,) bool, whether the item can be recommended (in the catalogue and
    not hidden; uncatalogued items, known from events only, are not listed). `revision`: the newest change included.
    `created_ms`: (n,) when each item was first seen, 0 if unknown. The last three columns are optional: training does
    without them.
    """

    keys: IntArray
    item_ids: tuple[str, ...]
    texts: tuple[str, ...]  # title and text joined, for features and search
    categories: tuple[tuple[str, ...], ...]
    listed: NDArray[np.bool_]
    revision: int = 0
    created_ms: IntArray | None = None
    attributes: tuple[Mapping[str, Any], ...] | None = None
    titles: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        columns = (self.keys, self.item_ids, self.texts, self.categories, self.listed)
        optional = (self.created_ms, self.attributes, self.titles or None)
        sizes = {len(column) for column in (*columns, *optional) if column is not None}
        assert len(sizes) == 1, f"wanted columns of one length, got {sizes}"

    def __len__(self) -> int:
        return len(self.item_ids)

    def rows(self, keys: IntArray) -> IntArray:
        """The rows of item keys, -1 for keys that the catalogue does not hold."""
        if not len(self.keys):
            return np.full(len(keys), -1, np.int64)
        rows = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return np.where(self.keys[rows] == keys, rows, -1).astype(np.int64)

    @cached_property
    def rows_by_id(self) -> Mapping[str, int]:
        """The row of each item id."""
        return {item_id: row for row, item_id in enumerate(self.item_ids)}

    def rows_of_ids(self, item_ids: Sequence[str]) -> IntArray:
        """The rows of item ids, -1 for ids that the catalogue does not hold."""
        return np.fromiter((self.rows_by_id.get(item_id, -1) for item_id in item_ids), np.int64, len(item_ids))

    @cached_property
    def by_attribute(self) -> AttributeIndex:
        """The rows of items by their attributes."""
        return AttributeIndex(self.attributes or ())

    @cached_property
    def newest_first(self) -> IntArray:
        """(n,) rows by first-seen time of their items, newest first; ties by higher key."""
        rows = np.arange(len(self))[::-1]
        if self.created_ms is None:
            return rows
        return rows[np.argsort(-self.created_ms[rows], kind="stable")]

    @cached_property
    def searched(self) -> tuple[str, ...]:
        """The searched text of each item: id and text, case-folded."""
        return tuple(f"{item_id}\n{text}".casefold() for item_id, text in zip(self.item_ids, self.texts, strict=True))

    @cached_property
    def category_rows(self) -> Mapping[str, IntArray]:
        """For each category the rows of its items, ascending."""
        rows: dict[str, list[int]] = {}
        for row, names in enumerate(self.categories):
            for name in names:
                rows.setdefault(name, []).append(row)
        return {name: np.asarray(own_rows, np.int64) for name, own_rows in rows.items()}


EMPTY_CATALOGUE = Catalogue(np.empty(0, np.int64), (), (), (), np.empty(0, np.bool_))
