"""Compares a database of SQLite with what clients were told, by SQL and plain Python."""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing
from pathlib import Path

from benchmarks.faults.embedded.promises import Promises
from benchmarks.faults.embedded.shop_operator import Operator

EVENTS = """SELECT event_key, user_id, item_id, time_ms FROM interactions
            JOIN users ON users.key = user_key JOIN items ON items.key = item_key"""
OUTCOMES = "SELECT event_key, answer_key, position FROM outcomes"
ITEMS = "SELECT item_id, title, stock, available_until_ms FROM items WHERE in_catalogue"


def compare(path: Path, told: Promises, operator: Operator, *, before: set[bytes]) -> dict[str, int]:
    """The number of violations of each promise. `before`: the keys of the events stored before the campaign."""
    with closing(sqlite3.connect(path)) as database:
        rows = {bytes(key): tuple(values) for key, *values in database.execute(EVENTS)}
        num_rows = database.execute("SELECT count(*) FROM interactions").fetchone()[0]
        outcomes = {bytes(key): tuple(values) for key, *values in database.execute(OUTCOMES)}
        answers = {bytes(key) for (key,) in database.execute("SELECT key FROM answers")}
        items = {item_id: tuple(values) for item_id, *values in database.execute(ITEMS)}
        champions = [version for (version,) in database.execute("SELECT version FROM models WHERE status = 'champion'")]
        erased = {user_id for (user_id,) in database.execute("SELECT user_id FROM users")} & told.erased
    wanted = {event_key(name): values for name, values in (told.stored_events() | operator.imported).items()}
    allowed = wanted.keys() | before | {event_key(name) for name in told.unanswered}
    named = {event_key(name): place for name, place in told.outcomes().items()}
    return {
        "lost": len((wanted.keys() | before) - rows.keys()),
        "stored twice": num_rows - len(rows),
        "stored though undone, erased or never sent": len(rows.keys() - allowed),
        "changed": sum(key in rows and rows[key] != values for key, values in wanted.items()),
        "wrong items": sum(items.get(name) != _stored_item(fields) for name, fields in told.items.items()),
        "outcomes of no event": len(outcomes.keys() - rows.keys()),
        "wrong outcomes": sum(
            outcomes.get(key) != (bytes.fromhex(answer), position)
            for key, (answer, position) in named.items()
            if bytes.fromhex(answer) in answers
        ),
        "users that were erased": len(erased),
        "wrong champion": champions != [operator.champion],
        "wrong answers": told.wrong.total(),
    }


def keys_of_events(path: Path) -> set[bytes]:
    """The keys of all stored events."""
    with closing(sqlite3.connect(path)) as database:
        return {bytes(key) for (key,) in database.execute("SELECT event_key FROM interactions")}


def event_key(event_id: str) -> bytes:
    """The database's key of an event id."""
    return hashlib.blake2b(event_id.encode(), digest_size=16).digest()


def _stored_item(fields: dict[str, object] | None) -> tuple[object, ...] | None:
    return None if fields is None else (fields["title"], fields["stock"], fields["available_until"])
