"""Items: keys, the catalogue and its revision, and uncatalogued items."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import orjson
from sqlalchemy import bindparam, case, func, or_, select, update
from sqlalchemy.sql.elements import CompilerElement
from sqlalchemy.sql.selectable import ScalarSelect

from core.arrays import IntArray
from core.catalogue.availability import Availability, limits_of
from core.catalogue.items import Catalogue, Item
from core.records.stored import StoredItem
from core.topics import NO_TOPIC
from storage.codec import pack_json, unpack_json
from storage.dialects import Dialect, Row
from storage.repositories import topics
from storage.repositories.counters import raised, value_of
from storage.session import Session
from storage.tables import counters, items

columns = items.c
AVAILABILITY = ("available_from_ms", "available_until_ms", "stock")
OWN = ("title", "text", "categories", "attributes", "hidden", *AVAILABILITY)
CONTENT = (*OWN, "in_catalogue", "revision", "updated_ms", "topic")
FIRST = ("created_ms", "content_revision")  # of an insert, in the order of the table
STORED = tuple(columns[name] for name in ("key", "item_id", *CONTENT[:-1]))
REVISION = "item_revision"
NO_ATTRIBUTES: Mapping[str, Any] = {}  # shared by all items without attributes


def _keys(dialect: Dialect) -> CompilerElement:
    return select(columns.item_id, columns.key).where(dialect.is_in(columns.item_id, "item_ids"))


def _insert_stubs(dialect: Dialect) -> CompilerElement:
    return dialect.insert(items, "item_id", *CONTENT, *FIRST).on_conflict_do_nothing()


def _upsert(dialect: Dialect) -> CompilerElement:
    insert = dialect.insert(items, "item_id", *CONTENT, *FIRST)
    new: dict[str, Any] = {name: insert.excluded[name] for name in CONTENT}
    differs = or_(*(columns[name] != insert.excluded[name] for name in ("title", "text", "categories")))
    new["content_revision"] = case((differs, insert.excluded.content_revision), else_=columns.content_revision)
    return insert.on_conflict_do_update(index_elements=["item_id"], set_=new)


def _listed_ids(dialect: Dialect) -> CompilerElement:
    return select(columns.item_id).where(columns.in_catalogue, dialect.is_in(columns.item_id, "item_ids"))


def _remove(dialect: Dialect) -> CompilerElement:
    new = {"in_catalogue": False, "hidden": True}
    changed: dict[str, Any] = {"revision": bindparam("new_revision"), "updated_ms": bindparam("now_ms")}
    return update(items).where(columns.in_catalogue, dialect.is_in(columns.item_id, "item_ids")).values(new | changed)


def _touch(dialect: Dialect) -> CompilerElement:
    changed: dict[str, Any] = {"revision": bindparam("new_revision"), "updated_ms": bindparam("now_ms")}
    changed["content_revision"] = bindparam("new_revision")
    return update(items).where(dialect.is_in(columns.item_id, "item_ids")).values(changed)


def _by_key(dialect: Dialect) -> CompilerElement:
    return select(*STORED).where(dialect.is_in(columns.key, "keys"))


def _changed(dialect: Dialect) -> CompilerElement:
    return select(*STORED).where(dialect.is_in(columns.key, "keys"), columns.revision > bindparam("revision"))


def _by_id(dialect: Dialect) -> CompilerElement:
    return select(*STORED).where(dialect.is_in(columns.item_id, "item_ids"))


def _list(dialect: Dialect) -> CompilerElement:
    page = select(*STORED).where(columns.in_catalogue, columns.item_id > bindparam("after"))
    return page.order_by(columns.item_id).limit(bindparam("limit"))


CATALOGUE = (*OWN, "in_catalogue", "created_ms", "content_revision")


def _all(dialect: Dialect) -> CompilerElement:
    return select(columns.key, columns.item_id, *(columns[name] for name in CATALOGUE)).order_by(columns.key)


def _changes(dialect: Dialect) -> CompilerElement:
    """By two indexes: a new uncatalogued item has no revision. With OR, SQLite would read the whole table."""
    changed = select(columns.key).where(columns.revision > bindparam("revision"))
    new = select(columns.key).where(columns.key > bindparam("newest_key"))
    rows = select(columns.key, columns.item_id, *(columns[name] for name in CATALOGUE))
    return rows.where(columns.key.in_(changed.union(new))).order_by(columns.key)


def _keys_above(dialect: Dialect) -> CompilerElement:
    return select(columns.key).where(columns.key > bindparam("key")).order_by(columns.key)


def _newest_key(dialect: Dialect) -> CompilerElement:
    return select(func.max(columns.key))


def current_revision() -> ScalarSelect[int]:
    """The revision of the newest change of a catalogue item, for use in a statement; NULL before the first."""
    return select(counters.c.value).where(counters.c.name == REVISION).scalar_subquery()


class ItemRepository:
    """`core.ports.items.ItemRepository` over a session."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    def resolve(self, item_ids: Sequence[str], *, now_ms: int | None = None) -> dict[str, int]:
        """The integer keys of these items; unknown items are created uncatalogued, in ascending id."""
        keys: dict[str, int] = dict(self._session.rows(_keys, item_ids=self._session.array(item_ids)))
        missing = sorted(set(item_ids).difference(keys))
        if missing:
            empty = ("", "", "[]", "{}", False, None, None, None, False, 0, 0, NO_TOPIC, now_ms, 0)
            self._session.write(_insert_stubs, [(item_id, *empty) for item_id in missing])
            keys.update(self._session.rows(_keys, item_ids=self._session.array(missing)))
        return keys

    def revision(self) -> int:
        """The revision of the newest change of a catalogue item."""
        return value_of(self._session, REVISION)

    def _next_revision(self) -> int:
        """Increment the revision and lock it until the transaction ends: revisions commit in ascending order."""
        return raised(self._session, REVISION)

    def lock_revision(self) -> None:
        """Keep other transactions from changing the catalogue until this one ends."""
        raised(self._session, REVISION, by=0)

    def save(self, new_items: Sequence[Item], *, now_ms: int) -> int:
        """Insert or replace catalogue items, all under one new revision. Of duplicate ids the last is stored."""
        if not new_items:
            return self.revision()
        changed = self._next_revision()
        last = {item.item_id: item for item in new_items}
        codes = topics.codes_of(self._session, [item.categories[0] for item in last.values() if item.categories])
        self._session.write(
            _upsert,
            [
                (*_packed(item), True, changed, now_ms, _topic(item, codes), now_ms, changed)
                for _, item in sorted(last.items())
            ],
        )
        return changed

    def touch(self, item_ids: Sequence[str], *, now_ms: int) -> int:
        """Put known items under one new revision; returns the revision, unchanged if no item is known."""
        if not self._session.rows(_keys, item_ids=self._session.array(item_ids)):
            return self.revision()
        changed = self._next_revision()
        self._session.run(_touch, item_ids=self._session.array(item_ids), new_revision=changed, now_ms=now_ms)
        return changed

    def remove(self, item_ids: Sequence[str], *, now_ms: int) -> int:
        """Hide items and take them out of the catalogue; returns how many were in it."""
        if not self._session.rows(_listed_ids, item_ids=self._session.array(item_ids)):
            return 0
        changed = self._next_revision()
        return self._session.run(_remove, item_ids=self._session.array(item_ids), new_revision=changed, now_ms=now_ms)

    def by_key(self, keys: Sequence[int]) -> dict[int, StoredItem]:
        """Items by integer key."""
        rows = self._session.rows(_by_key, keys=self._session.array(map(int, keys)))
        return {stored.key: stored for stored in map(_stored, rows)}

    def changed(self, keys: Sequence[int], *, revision: int) -> dict[int, StoredItem]:
        """Those of these items that changed after a revision, by integer key."""
        rows = self._session.rows(_changed, keys=self._session.array(map(int, keys)), revision=revision)
        return {stored.key: stored for stored in map(_stored, rows)}

    def by_id(self, item_ids: Sequence[str]) -> dict[str, StoredItem]:
        """Items by id, uncatalogued ones included."""
        rows = self._session.rows(_by_id, item_ids=self._session.array(item_ids))
        return {stored.item.item_id: stored for stored in map(_stored, rows)}

    def page(self, *, after: str = "", limit: int = 100) -> list[StoredItem]:
        """Catalogue items in ascending id after `after`."""
        return [_stored(row) for row in self._session.rows(_list, after=after, limit=limit)]

    def catalogue(self, *, include_uncatalogued: bool = False) -> Catalogue:
        """All items in columns. The revision is read first, so that it is never newer than the columns."""
        revision = self.revision()
        return _columns(self._session.rows(_all), revision, include_uncatalogued=include_uncatalogued)

    def changes(self, *, revision: int, newest_key: int, include_uncatalogued: bool = False) -> Catalogue:
        """The items that changed after a revision, and those with keys above `newest_key`, in columns."""
        newest_revision = self.revision()
        rows = self._session.rows(_changes, revision=revision, newest_key=newest_key)
        return _columns(rows, newest_revision, include_uncatalogued=include_uncatalogued)

    def keys_above(self, key: int) -> IntArray:
        """The keys of all items above one, ascending."""
        rows = self._session.rows(_keys_above, key=key)
        return np.fromiter((row[0] for row in rows), np.int64, len(rows))

    def newest_key(self) -> int:
        """The highest item key assigned so far; 0 while there is no item."""
        row = self._session.row(_newest_key)
        return 0 if row is None or row[0] is None else int(row[0])


def _columns(rows: Sequence[Row], revision: int, *, include_uncatalogued: bool) -> Catalogue:
    return Catalogue(
        np.fromiter((row[0] for row in rows), np.int64, len(rows)),
        tuple(row[1] for row in rows),
        tuple(_joined(row[2], row[3]) for row in rows),
        tuple(tuple(orjson.loads(row[4])) for row in rows),
        np.fromiter((_is_listed(row, include_uncatalogued) for row in rows), np.bool_, len(rows)),
        revision,
        np.fromiter((row[11] or 0 for row in rows), np.int64, len(rows)),
        tuple(NO_ATTRIBUTES if row[5] == "{}" else orjson.loads(row[5]) for row in rows),
        tuple(row[2] for row in rows),
        np.fromiter((row[12] for row in rows), np.int64, len(rows)),
        limits_of([row[7:9] for row in rows]),
    )


def _is_listed(row: Row, include_uncatalogued: bool) -> bool:
    """Whether the item of a row of the catalogue can be recommended while it is available."""
    return bool(row[10] or include_uncatalogued) and not row[6] and (row[9] is None or row[9] > 0)


def _joined(title: str, text: str) -> str:
    """Title and text; the title itself, which the catalogue holds anyway, if there is no text."""
    return f"{title}\n{text}".strip() if text else title.strip()


def _topic(item: Item, codes: Mapping[str, int]) -> int:
    return codes[item.categories[0]] if item.categories else NO_TOPIC


def _packed(item: Item) -> Row:
    content = (item.title, item.text, pack_json(item.categories), pack_json(dict(item.attributes)))
    return (item.item_id, *content, item.hidden, *item.availability)


def _stored(row: Row) -> StoredItem:
    key, item_id, title, text, categories, attributes, hidden, begin_ms, end_ms, stock, *catalogued = row
    in_catalogue, changed, updated_ms = catalogued
    content = (title, text, tuple(unpack_json(categories)), unpack_json(attributes), bool(hidden))
    item = Item(item_id, *content, Availability(begin_ms, end_ms, stock))
    return StoredItem(key, item, bool(in_catalogue), changed, updated_ms)
