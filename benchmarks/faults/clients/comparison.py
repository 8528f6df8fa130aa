"""Compares a database of SQLite or PostgreSQL with what clients were told, by SQL and plain Python."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping, Sequence, Set
from typing import LiteralString

from benchmarks.faults.clients.answers import Query, Span, answer_violations, stored_lists
from benchmarks.faults.clients.promises import Promises
from core.clock import DAY_MS
from core.ingestion.derivation import Derivation
from core.ingestion.verify import verify
from tidewise.bootstrap import open_system
from tidewise.settings.schema import Settings

StoredEvents = Mapping[str, tuple[str, str, int]]  # user, item and time by event id

EVENTS: LiteralString = """SELECT event_key, user_id, item_id, time_ms FROM interactions
                           JOIN users ON users.key = user_key JOIN items ON items.key = item_key"""
OUTCOMES: LiteralString = "SELECT event_key, answer_key, position FROM outcomes"
ITEMS: LiteralString = "SELECT item_id, title, stock, available_until_ms, hidden FROM items WHERE in_catalogue"
ATTRIBUTES: LiteralString = "SELECT user_id, attributes FROM user_attributes JOIN users ON users.key = user_key"


def compare(
    query: Query,
    told: Promises,
    *,
    before: Set[bytes],
    faults: Sequence[Span],
    imported: StoredEvents | None = None,
    others: Set[bytes] = frozenset(),
) -> dict[str, int]:
    """The number of violations of each promise.

    `before`: the keys of the events stored before the campaign. `faults`: see `answer_violations`. `imported`: events
    of files. `others`: the keys of what other clients sent, of which this compares nothing.
    """
    rows = {bytes(key): tuple(values) for key, *values in query(EVENTS)}
    num_rows = sum(num for (num,) in query("SELECT count(*) FROM interactions"))
    outcomes = {bytes(key): (bytes(answer), position) for key, answer, position in query(OUTCOMES)}
    answers = {bytes.fromhex(name) for name in stored_lists(query)}
    items = {item_id: tuple(values) for item_id, *values in query(ITEMS)}
    attributes = {user_id: json.loads(packed) for user_id, packed in query(ATTRIBUTES)}
    erased = {user_id for (user_id,) in query("SELECT user_id FROM users")} & told.erased
    wanted = {event_key(name): values for name, values in (told.stored_events() | dict(imported or {})).items()}
    allowed = wanted.keys() | before | others | {event_key(name) for name in told.unanswered}
    named = {event_key(name): place for name, place in told.outcomes().items()}
    return {
        "lost": len((wanted.keys() | before) - rows.keys()),
        "stored twice": num_rows - len(rows),
        "stored though undone, erased or never sent": len(rows.keys() - allowed),
        "changed": sum(key in rows and rows[key] != values for key, values in wanted.items()),
        "wrong items": sum(items.get(name) != _stored_item(fields) for name, fields in told.items.items()),
        "wrong attributes": sum(attributes.get(name) != fields for name, fields in told.attributes.items()),
        "outcomes of no event": len(outcomes.keys() - rows.keys()),
        "wrong outcomes": sum(
            outcomes.get(key) != (bytes.fromhex(answer), position)
            for key, (answer, position) in named.items()
            if bytes.fromhex(answer) in answers
        ),
        "users that were erased": len(erased),
        "wrong answers": told.wrong.total(),
        **answer_violations(query, told, faults=faults),
    }


def champions(query: Query) -> list[str]:
    """The versions that the database names as champion: one."""
    return [version for (version,) in query("SELECT version FROM models WHERE status = 'champion'")]


def keys_of_events(query: Query) -> set[bytes]:
    """The keys of all stored events."""
    return {bytes(key) for (key,) in query("SELECT event_key FROM interactions")}


def num_different(settings: Settings) -> int:
    """How many entries of derived state differ from the stored events, by the product's own check; names the first."""
    with open_system(settings) as system, system.store.read() as read:
        derivation = Derivation(system.types, system.shape, settings.popularity.half_life_days * DAY_MS)
        verification = verify(read, derivation, progress=lambda _num: None)
    for difference in verification.examples:
        sys.stderr.write(f"{difference}\n")
    return verification.different.total()


def event_key(event_id: str) -> bytes:
    """The database's key of an event id."""
    return hashlib.blake2b(event_id.encode(), digest_size=16).digest()


def _stored_item(fields: dict[str, object] | None) -> tuple[object, ...] | None:
    """In the order of the columns of `ITEMS`."""
    return None if fields is None else tuple(fields[name] for name in ("title", "stock", "available_until", "hidden"))
