"""Export: events, items, users and outcomes of a store as records, in pages; independent of files."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from core.events.interactions import EventTypes
from core.ports.store import ReadTransaction
from core.records.outcomes import Measure

PAGE = 10_000

Record = dict[str, Any]

# DuckDB's types of the fields.
EVENT_FIELDS = {
    "user_id": "VARCHAR",
    "item_id": "VARCHAR",
    "type": "VARCHAR",
    "time": "BIGINT",
    "value": "DOUBLE",
    "context": "JSON",
    "recommendation_id": "VARCHAR",
}
ITEM_FIELDS = {
    "item_id": "VARCHAR",
    "title": "VARCHAR",
    "text": "VARCHAR",
    "categories": "VARCHAR[]",
    "attributes": "JSON",
    "hidden": "BOOLEAN",
    "available_from": "BIGINT",
    "available_until": "BIGINT",
    "stock": "BIGINT",
}
USER_FIELDS = {
    "user_id": "VARCHAR",
    "user_seq": "BIGINT",
    "newest_event": "BIGINT",
    "items": "VARCHAR[]",
    "attributes": "JSON",
}

OUTCOME_FIELDS = {
    "recommendation_id": "VARCHAR",
    "answered": "BIGINT",
    "scenario": "VARCHAR",
    "arm": "VARCHAR",
    "model_version": "VARCHAR",
    "position": "INTEGER",
    "propensity": "DOUBLE",
    "counts_as": "VARCHAR",
    "user_id": "VARCHAR",
    "item_id": "VARCHAR",
    "type": "VARCHAR",
    "time": "BIGINT",
    "value": "DOUBLE",
}


def export_events(read: ReadTransaction, types: EventTypes) -> Iterator[Record]:
    """All events, by user and time; times in ms."""
    user_ids = dict(_users(read))
    item_ids = _item_ids(read)
    for rows in read.events.pages():
        for row in rows:
            yield {
                "user_id": user_ids[row.user_key],
                "item_id": item_ids[row.item_key],
                "type": types.name(row.type_code),
                "time": row.time_ms,
                "value": row.value,
                "context": row.context,
                "recommendation_id": row.recommendation_id,
            }


def export_items(read: ReadTransaction) -> Iterator[Record]:
    """The catalogue in ascending id, hidden items included."""
    after = ""
    while page := read.items.page(after=after, limit=PAGE):
        for row in page:
            yield row.item.fields()
        after = page[-1].item.item_id


def export_users(read: ReadTransaction) -> Iterator[Record]:
    """Users in ascending id with attributes and the items of their window, oldest first."""
    item_ids, after = _item_ids(read), ""
    while page := read.users.page(after=after, limit=PAGE):
        attributes = read.user_attributes.by_key([state.key for _, state in page])
        for user_id, state in page:
            history = state.window.history
            yield {
                "user_id": user_id,
                "user_seq": state.seq,
                "newest_event": int(history.times_ms[-1]) if len(history.times_ms) else None,
                "items": [item_ids[key] for key in history.items.tolist()],
                "attributes": attributes.get(state.key, {}),
            }
        after = page[-1][0]


def export_outcomes(read: ReadTransaction, types: EventTypes) -> Iterator[Record]:
    """All events that are attributed to answers, by answer and position; times in ms."""
    user_ids, item_ids, names = dict(_users(read)), _item_ids(read), list(types.codes)
    origins = read.answers.origins()
    for outcomes in read.outcomes.pages(chunk=PAGE):
        events = read.events.by_key([outcome.event_key for outcome in outcomes])
        for outcome in outcomes:
            event = events[outcome.event_key]
            yield {
                "recommendation_id": outcome.answer_key.hex(),
                "answered": outcome.answered_ms,
                **origins[outcome.origin_key]._asdict(),
                "position": outcome.position,
                "propensity": outcome.propensity,
                "counts_as": Measure(outcome.measure).name.lower(),
                "user_id": user_ids[event.user_key],
                "item_id": item_ids[event.item_key],
                "type": names[event.type_code],
                "time": event.time_ms,
                "value": event.value,
            }


def _users(read: ReadTransaction) -> Iterator[tuple[int, str]]:
    after = ""
    while page := read.users.page(after=after, limit=PAGE):
        yield from ((state.key, user_id) for user_id, state in page)
        after = page[-1][0]


def _item_ids(read: ReadTransaction) -> dict[int, str]:
    catalogue = read.items.catalogue(include_uncatalogued=True)
    return dict(zip(catalogue.keys.tolist(), catalogue.item_ids, strict=True))
