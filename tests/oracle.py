"""What the database of an embedded system must hold, computed from its `interactions` by plain Python and SQL.

Written from the rules alone, without a line of the product, so that both can only agree by being right:

- history order is (time, sequence); with n windowed events the window starts at rank S * ceil(max(0, n - N) / S);
- `users.window` holds all item keys, then all times, each a little-endian 64-bit integer;
- a user's sequence numbers are 1, 2, ..., `users.seq`, one per event of any type;
- `popularity.score` is the log2 of the sum of weight * 2^(time / half-life), kept per writer;
- `interactions.event_key` is the 16-byte BLAKE2b hash of the event id.
"""

from __future__ import annotations

import hashlib
import math
import sqlite3
import struct
from collections import Counter, defaultdict
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

KINDS = ("view", "click", "cart", "purchase", "rating", "like", "dislike", "impression")  # stored by their place
WEIGHTS = (1.0, 1.0, 3.0, 5.0, 1.0, 2.0, 0.0, 0.0)
NUM_WINDOWED = 6  # the first six enter the window
NUM_SEEN = 7  # all but impressions take their item out of the lists
HALF_LIFE_MS = 7 * 86_400_000
BUCKET_MS = 300_000


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """A row of `interactions`, joined with the names behind its keys."""

    key: bytes
    user_id: str
    item_id: str
    item_key: int
    code: int
    time_ms: int
    user_seq: int


@dataclass(frozen=True, slots=True)
class StoredUser:
    """A row of `users`, its window decoded as (item key, time) pairs."""

    seq: int
    num_events: int
    window: list[tuple[int, int]]


class Snapshot:
    """Everything that counts, read at one moment past the product."""

    def __init__(self, path: Path) -> None:
        with closing(sqlite3.connect(path, isolation_level=None)) as database:
            database.execute("BEGIN")
            self.integrity = [row[0] for row in database.execute("PRAGMA integrity_check")]
            self.users = {
                user_id: StoredUser(seq, num_events, unpack_window(window))
                for user_id, seq, num_events, window in database.execute(
                    "SELECT user_id, seq, num_events, window FROM users"
                )
            }
            self.events = [
                StoredEvent(*row)
                for row in database.execute(
                    "SELECT event_key, u.user_id, i.item_id, item_key, type_code, time_ms, user_seq FROM interactions"
                    " JOIN users u ON u.key = user_key JOIN items i ON i.key = item_key ORDER BY time_ms, user_seq"
                )
            ]
            self.num_rows = database.execute("SELECT count(*) FROM interactions").fetchone()[0]
            self.scores = database.execute("SELECT item_key, score FROM popularity").fetchall()
            self.counts = database.execute("SELECT bucket_ms, type_code, num FROM event_counts").fetchall()

    def histories(self, num_codes: int) -> dict[str, list[tuple[int, int]]]:
        """The (item key, time) pairs of each user's events of the first `num_codes` types, in history order."""
        histories: dict[str, list[tuple[int, int]]] = defaultdict(list)
        for event in self.events:
            if event.code < num_codes:
                histories[event.user_id].append((event.item_key, event.time_ms))
        return histories


def unpack_window(packed: bytes) -> list[tuple[int, int]]:
    values = struct.unpack(f"<{len(packed) // 8}q", packed)
    half = len(values) // 2
    return list(zip(values[:half], values[half:], strict=True))


def window_start(num_events: int, *, size: int, step: int) -> int:
    return step * math.ceil(max(0, num_events - size) / step)


def event_key(event_id: str) -> bytes:
    return hashlib.blake2b(event_id.encode(), digest_size=16).digest()


def assert_consistent(snapshot: Snapshot, *, size: int, step: int) -> None:
    """Everything derived equals what the events say."""
    assert snapshot.integrity == ["ok"]
    assert len(snapshot.events) == snapshot.num_rows, "an event without its user or item"
    _assert_windows(snapshot, size=size, step=step)
    _assert_sequences(snapshot)
    _assert_popularity(snapshot)
    _assert_counts(snapshot)


def _assert_windows(snapshot: Snapshot, *, size: int, step: int) -> None:
    histories = snapshot.histories(NUM_WINDOWED)
    for user_id, user in snapshot.users.items():
        history = histories.get(user_id, [])
        start = window_start(len(history), size=size, step=step)
        assert (user.num_events, user.window) == (len(history), history[start:]), user_id


def _assert_sequences(snapshot: Snapshot) -> None:
    seqs: dict[str, list[int]] = defaultdict(list)
    for event in snapshot.events:
        seqs[event.user_id].append(event.user_seq)
    for user_id, user in snapshot.users.items():
        assert sorted(seqs[user_id]) == list(range(1, user.seq + 1)), user_id


def _assert_popularity(snapshot: Snapshot) -> None:
    expected: dict[int, list[float]] = defaultdict(list)
    for event in snapshot.events:
        if WEIGHTS[event.code]:
            expected[event.item_key].append(event.time_ms / HALF_LIFE_MS + math.log2(WEIGHTS[event.code]))
    stored: dict[int, list[float]] = defaultdict(list)
    for item_key, score in snapshot.scores:
        stored[item_key].append(score)
    assert stored.keys() == expected.keys()
    for item_key, logs in expected.items():
        assert math.isclose(log2_sum(stored[item_key]), log2_sum(logs), abs_tol=1e-9, rel_tol=0), item_key


def log2_sum(logs: Iterable[float]) -> float:
    """The log2 of the sum of 2^log, without overflow."""
    logs = list(logs)
    return max(logs) + math.log2(math.fsum(2.0 ** (log - max(logs)) for log in logs))


def _assert_counts(snapshot: Snapshot) -> None:
    stored: Counter[tuple[int, int]] = Counter()
    for bucket_ms, code, num in snapshot.counts:
        stored[bucket_ms, code] += num
    assert stored == Counter((event.time_ms // BUCKET_MS * BUCKET_MS, event.code) for event in snapshot.events)
