"""Items and the catalogue: the item record, its validation, and an immutable columnar catalogue.

Independent of models; `model/` computes features from content.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from core.arrays import BoolArray, IntArray, look_up
from core.catalogue.attributes import NO_ROWS, AttributeIndex
from core.catalogue.availability import ALWAYS, AVAILABILITY_FIELDS, Availability, ListedTimes, parse_availability
from core.catalogue.columns import Column, extended, with_rows
from core.errors import InvalidInput, InvalidItem
from core.events.interactions import check_id, field_name, is_scalar, shorten

T = TypeVar("T")

MAX_TEXT_CHARS = 10_000
MAX_CATEGORIES = 64
MAX_ATTRIBUTES = 64
MAX_NAMES = 50_000  # that are kept: about 10 MB


@dataclass(frozen=True, slots=True)
class Item:
    """A catalogue item. `hidden` items are never recommended, others only while available; their events still count."""

    item_id: str
    title: str = ""
    text: str = ""
    categories: tuple[str, ...] = ()
    attributes: Mapping[str, Any] = field(default_factory=dict)
    hidden: bool = False
    availability: Availability = ALWAYS

    def fields(self) -> dict[str, Any]:
        """The item as `parse_item` reads it, with all of `ITEM_FIELDS`."""
        return {name: getattr(self, name) for name in OWN_FIELDS} | self.availability._asdict()


OWN_FIELDS = ("item_id", "title", "text", "categories", "attributes", "hidden")
ITEM_FIELDS = OWN_FIELDS + AVAILABILITY_FIELDS


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
            parse_attributes(raw.get("attributes")),
            bool(hidden),
            parse_availability(raw),
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


def parse_attributes(value: object) -> dict[str, Any]:
    """Attributes of an item or a user: names with text, numbers and booleans; raises `InvalidInput`."""
    if value is None:
        return {}
    if not isinstance(value, Mapping) or len(value) > MAX_ATTRIBUTES:
        msg = f"attributes: wanted a map of at most {MAX_ATTRIBUTES} entries, got {shorten(value)}"
        raise InvalidItem(msg, field="attributes")
    for name, entry in value.items():
        check_id("attributes", name)
        is_long = isinstance(entry, str) and len(entry) > MAX_TEXT_CHARS
        if is_long or not is_scalar(entry):
            wanted = f"string of at most {MAX_TEXT_CHARS} characters" if is_long else "string, finite number or boolean"
            msg = f"attributes.{name}: wanted a {wanted}, got {shorten(entry)}"
            raise InvalidItem(msg, field=f"attributes.{name}")
    return {name: _text(name, entry) if isinstance(entry, str) else entry for name, entry in value.items()}


class ItemName(NamedTuple):
    """How an answer names an item."""

    item_id: str
    title: str
    categories: tuple[str, ...]


@dataclass(frozen=True, slots=False)
class Catalogue:
    """All known items at one revision, in columns; row i of every column is the same item.

    `keys`: (n,) integer keys, ascending. `listed`: (n,) bool, whether the item can be recommended while it is available
    (in the catalogue, not hidden, in stock; uncatalogued items, known from events only, are not listed).
    `limits`: (n, 2) the times from which and until which it is available. `revision`: the newest change included.
    `created_ms`: (n,) when each item was first seen, 0 if unknown. `content_revisions`: (n,) the revision of the newest
    change of title, text, categories or collected features, 0 before the first. The last five columns are optional:
    training does without them.
    """

    keys: IntArray
    item_ids: Sequence[str]
    texts: Sequence[str]  # title and text joined, for features and search
    categories: Sequence[tuple[str, ...]]
    listed: NDArray[np.bool_]
    revision: int = 0
    created_ms: IntArray | None = None
    attributes: Sequence[Mapping[str, Any]] | None = None
    titles: Sequence[str] = ()
    content_revisions: IntArray | None = None
    limits: IntArray | None = None

    def __post_init__(self) -> None:
        columns = (self.keys, self.item_ids, self.texts, self.categories, self.listed)
        optional = (self.created_ms, self.attributes, self.titles or None, self.content_revisions, self.limits)
        sizes = {len(column) for column in (*columns, *optional) if column is not None}
        assert len(sizes) == 1, f"wanted columns of one length, got {sizes}"

    def __len__(self) -> int:
        return len(self.item_ids)

    def rows(self, keys: IntArray) -> IntArray:
        """The rows of item keys, -1 for keys that the catalogue does not hold."""
        rows, is_held = look_up(self.keys, keys)
        return np.where(is_held, rows, -1)

    def extends(self, predecessor: Catalogue) -> bool:
        """Whether the rows of a predecessor are the first rows of this catalogue."""
        size = len(predecessor)
        return self.keys is predecessor.keys or np.array_equal(self.keys[:size], predecessor.keys)

    def take(self, rows: IntArray) -> Catalogue:
        """The catalogue of some rows, ascending, with the columns that models read."""
        places = rows.tolist()
        texts, categories = [self.texts[row] for row in places], [self.categories[row] for row in places]
        return Catalogue(
            self.keys[rows], [self.item_ids[row] for row in places], texts, categories, self.listed[rows], self.revision
        )

    def content_state(self, keys: IntArray) -> tuple[int, int]:
        """What vectors of these items depend on: the newest content revision, and how many items are not held."""
        if self.content_revisions is None:
            return self.revision, 0
        rows = self.rows(keys)
        known = rows >= 0
        return int(self.content_revisions[rows[known]].max(initial=0)), len(keys) - int(np.count_nonzero(known))

    def row_of(self, item_id: str) -> int:
        """The row of an item id, -1 for an id that the catalogue does not hold."""
        row = self._rows_by_id.get(item_id, -1)
        return row if row < len(self) else -1

    def rows_of_ids(self, item_ids: Sequence[str]) -> IntArray:
        """The rows of item ids, -1 for ids that the catalogue does not hold."""
        return np.fromiter(map(self.row_of, item_ids), np.int64, len(item_ids))

    def ids_of(self, keys: IntArray) -> list[str]:
        """The ids of the items that the catalogue holds."""
        return [self.item_ids[row] for row in self.rows(keys).tolist() if row >= 0]

    @cached_property
    def _rows_by_id(self) -> dict[str, int]:
        """The row of each item id; newer catalogues share and extend it."""
        return {item_id: row for row, item_id in enumerate(self.item_ids)}

    def name_of(self, row: int) -> ItemName:
        """The name of an item; kept, because a column of a saved snapshot decodes a text each time."""
        name = self._names.get(row)
        if name is None:
            if len(self._names) >= MAX_NAMES:
                self._names.clear()
            name = self._names[row] = ItemName(self.item_ids[row], self.titles[row], self.categories[row])
        return name

    @cached_property
    def _names(self) -> dict[int, ItemName]:
        """Names by row; newer catalogues share it until a title or a category changes."""
        return {}

    def listed_at(self, now_ms: int) -> BoolArray:
        """(n,) whether each item can be recommended at a time; not to be written to."""
        return self.listed if self.limits is None else self._listed_times.at(now_ms)

    @cached_property
    def _listed_times(self) -> ListedTimes:
        assert self.limits is not None
        return ListedTimes.of(self.listed, self.limits)

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
    def searched(self) -> Sequence[str]:
        """The searched text of each item: id and text, case-folded."""
        return tuple(map(_searched, self.item_ids, self.texts))

    @cached_property
    def category_rows(self) -> Mapping[str, IntArray]:
        """For each category the rows of its items, ascending."""
        return _category_rows(self.categories, range(len(self)))

    def with_changes(self, changes: Catalogue) -> Catalogue:
        """The catalogue with changed and new items, which shares the memory of what is unchanged.

        `changes`: changed and new items, all with all columns, and the new revision. The result equals a catalogue that
        was read anew. New items have keys above all others, or all columns are copied.
        """
        rows = self.rows(changes.keys)
        new = rows < 0
        if new.any() and len(self) and changes.keys[new].min() < self.keys[-1]:
            return self._merged(changes)
        rows[new] = np.arange(len(self), len(self) + np.count_nonzero(new))
        return self._appended(changes, rows)

    def _merged(self, changes: Catalogue) -> Catalogue:
        """By sorting all rows: an item with a lower key was committed after one with a higher key."""
        kept = np.flatnonzero(~np.isin(self.keys, changes.keys))
        keys = np.concatenate([self.keys[kept], changes.keys])
        order = np.argsort(keys)
        sources = [*kept.tolist(), *range(len(self), len(self) + len(changes))]

        def merged(old: Sequence[Any], new: Sequence[Any]) -> tuple[Any, ...]:
            both = [*old, *new]
            return tuple(both[sources[place]] for place in order.tolist())

        def merged_array(old: Any, new: Any) -> Any:
            return np.concatenate([old[kept], new])[order]

        return Catalogue(
            keys[order],
            merged(self.item_ids, changes.item_ids),
            merged(self.texts, changes.texts),
            merged(self.categories, changes.categories),
            merged_array(self.listed, changes.listed),
            changes.revision,
            merged_array(self.created_ms, changes.created_ms),
            merged(self.attributes or (), changes.attributes or ()),
            merged(self.titles, changes.titles),
            merged_array(self.content_revisions, changes.content_revisions),
            merged_array(self.limits, changes.limits),
        )

    def _appended(self, changes: Catalogue, rows: IntArray) -> Catalogue:
        """`rows`: the row of each changed item; those of new items follow the last row of this catalogue."""
        assert self.attributes is not None
        assert changes.attributes is not None
        old = rows < len(self)

        def column(values: Sequence[T], new: Sequence[T]) -> Column[T]:
            changed = {row: value for row, value in zip(rows.tolist(), new, strict=True)}
            same = {row for row in rows[old].tolist() if _is_same(values[row], changed[row])}
            return Column.of(values).with_values({row: changed[row] for row in changed.keys() - same})

        def array(values: Any, new: Any) -> Any:
            same = bool(old.all()) and np.array_equal(values[rows], new)
            return values if same else with_rows(values, rows, new)

        catalogue = Catalogue(
            array(self.keys, changes.keys),
            column(self.item_ids, changes.item_ids),
            column(self.texts, changes.texts),
            column(self.categories, changes.categories),
            array(self.listed, changes.listed),
            changes.revision,
            array(self.created_ms, changes.created_ms),
            column(self.attributes, changes.attributes),
            column(self.titles, changes.titles),
            array(self.content_revisions, changes.content_revisions),
            array(self.limits, changes.limits),
        )
        self._pass_on(catalogue, rows)
        return catalogue

    def _pass_on(self, catalogue: Catalogue, rows: IntArray) -> None:
        """Derive what was computed for this catalogue for one in which `rows`, ascending, are changed or new."""
        known, changed = vars(self), rows.tolist()
        derived: dict[str, Any] = {}
        if "_rows_by_id" in known:
            new = {catalogue.item_ids[row]: row for row in changed if row >= len(self)}
            derived["_rows_by_id"] = extended(self._rows_by_id, len(self), new)
        if "by_attribute" in known:
            assert catalogue.attributes is not None
            derived["by_attribute"] = self.by_attribute.with_rows(
                rows, [catalogue.attributes[row] for row in changed], num_rows=len(self)
            )
        if "_listed_times" in known:
            assert catalogue.limits is not None
            derived["_listed_times"] = self._listed_times.with_rows(catalogue.listed, catalogue.limits, rows)
        if "_names" in known and catalogue.content_revisions is self.content_revisions:
            derived["_names"] = self._names
        if "newest_first" in known:
            derived["newest_first"] = self._newest_first_with(catalogue)
        if "searched" in known:
            texts = {row: _searched(catalogue.item_ids[row], catalogue.texts[row]) for row in changed}
            derived["searched"] = Column.of(self.searched).with_values(texts)
        if "category_rows" in known:
            derived["category_rows"] = self._changed_categories(catalogue, changed)
        vars(catalogue).update(derived)

    def _newest_first_with(self, catalogue: Catalogue) -> IntArray:
        """The order of a catalogue whose rows after the last one of this catalogue are new."""
        if len(catalogue) == len(self):
            return self.newest_first
        assert catalogue.created_ms is not None
        new = np.arange(len(catalogue) - 1, len(self) - 1, -1)
        new = new[np.argsort(-catalogue.created_ms[new], kind="stable")]
        places = np.searchsorted(-catalogue.created_ms[self.newest_first], -catalogue.created_ms[new])
        return np.insert(self.newest_first, places, new)

    def _changed_categories(self, catalogue: Catalogue, changed: Sequence[int]) -> Mapping[str, IntArray]:
        moved = [row for row in changed if row >= len(self) or self.categories[row] != catalogue.categories[row]]
        before = _category_rows(self.categories, [row for row in moved if row < len(self)])
        after = _category_rows(catalogue.categories, moved)
        rows = dict(self.category_rows)
        for name in before.keys() | after.keys():
            kept = np.setdiff1d(rows.get(name, NO_ROWS), before.get(name, NO_ROWS), assume_unique=True)
            rows[name] = np.union1d(kept, after.get(name, NO_ROWS))
        return {name: own_rows for name, own_rows in rows.items() if len(own_rows)}


def _is_same(old: object, new: object) -> bool:
    """Equal also as text: an attribute of 1 is another one than true, though they are equal."""
    return old == new and repr(old) == repr(new)


def _searched(item_id: str, text: str) -> str:
    return f"{item_id}\n{text}".casefold()


def _category_rows(categories: Sequence[tuple[str, ...]], rows: Sequence[int]) -> dict[str, IntArray]:
    by_name: dict[str, list[int]] = {}
    for row in rows:
        for name in categories[row]:
            by_name.setdefault(name, []).append(row)
    return {name: np.asarray(own_rows, np.int64) for name, own_rows in by_name.items()}


EMPTY_CATALOGUE = Catalogue(np.empty(0, np.int64), (), (), (), np.empty(0, np.bool_))
