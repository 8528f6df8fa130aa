"""Load a data folder into an installed Gorse, and ask it with the client of `benchmarks.scale` (see gorse.md).

python -m benchmarks.peers.gorse load --data FOLDER
python -m benchmarks.peers.gorse ask --data FOLDER
"""

from __future__ import annotations

import argparse
import json
import random
import sqlite3
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from benchmarks.report import publish
from benchmarks.scale.client import run_clients
from benchmarks.serving import ANSWERS, ids_of
from tidewise.settings.schema import DATABASE_NAME

PORT = 8088  # of gorse-in-one
BATCH = 5_000
FEEDBACK = "click"
NUM_USERS = 2_000  # that are asked for, as `benchmarks.scale` does
COLLECTIONS = {
    "users": "SELECT user_id FROM users",
    "items": "SELECT item_id, title, categories FROM items WHERE in_catalogue AND NOT hidden",
    "feedback": "SELECT user_id, item_id, time_ms FROM interactions"
    " JOIN users ON users.key = user_key JOIN items ON items.key = item_key",
}


def record(collection: str, row: tuple[Any, ...]) -> dict[str, Any]:
    """A row of `COLLECTIONS` as Gorse's API takes it."""
    if collection == "users":
        return {"UserId": row[0]}
    if collection == "items":
        item_id, title, categories = row
        return {"ItemId": item_id, "Comment": title, "Categories": json.loads(categories), "Timestamp": _time(0)}
    user_id, item_id, time_ms = row
    return {"FeedbackType": FEEDBACK, "UserId": user_id, "ItemId": item_id, "Timestamp": _time(time_ms)}


def load(data: Path, *, port: int) -> None:
    """Insert users, items and events in batches."""
    with closing(sqlite3.connect(data / DATABASE_NAME)) as connection:
        for collection, query in COLLECTIONS.items():
            num = 0
            for rows in _batches(connection.execute(query)):
                _post(port, collection, [record(collection, row) for row in rows])
                num += len(rows)
            sys.stdout.write(f"{num} {collection}\n")


def ask(data: Path, *, port: int, seconds: int) -> dict[str, object]:
    """Recommendations for the users that `benchmarks.scale` asks for."""
    users, _ = ids_of(data)
    users = random.Random(1).sample(users, min(NUM_USERS, len(users)))
    paths = [f"/api/recommend/{quote(user, safe='')}?n={ANSWERS}" for user in users]
    with tempfile.TemporaryDirectory() as folder:
        loads = {n: run_clients(port, paths, clients=n, seconds=seconds, folder=Path(folder)) for n in (1, 8)}
    return {f"{clients} clients": vars(measured) for clients, measured in loads.items()}


def _batches(cursor: sqlite3.Cursor) -> Iterator[list[tuple[Any, ...]]]:
    while rows := cursor.fetchmany(BATCH):
        yield rows


def _post(port: int, collection: str, records: list[dict[str, Any]]) -> None:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/api/{collection}", json.dumps(records).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=300):
        pass


def _time(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).isoformat()


def main() -> None:
    """Load or ask."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=["load", "ask"])
    parser.add_argument("--data", type=Path, required=True, help="a data folder in SQLite")
    parser.add_argument("--port", type=int, default=PORT)
    parser.add_argument("--seconds", type=int, default=10, help="per measurement")
    options = parser.parse_args()
    if options.action == "load":
        load(options.data, port=options.port)
    else:
        publish("Gorse", ask(options.data, port=options.port, seconds=options.seconds))


if __name__ == "__main__":
    main()
