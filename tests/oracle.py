"""What the database of an embedded system must hold, computed from its `interactions` by plain Python and SQL.

Written from the rules alone, without a line of the product, so that both can only agree by being right:

- history order is (time, sequence); with n windowed events the window starts at rank S * ceil(max(0, n - N) / S);
- `users.window` holds all item keys, then all times, each a little-endian 64-bit integer;
- a user's sequence numbers are distinct, one per event of any type; each undone event leaves a gap and takes another
  number, and so does each id that was merged into the user: `users.seq` is events + 2 * undone events + merged ids;
- `popularity.score` is the log2 of the sum of weight * 2^(time / half-life), kept per writer; the writer `corrections`
  counts negatively;
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
    """A row of `users` that is not merged into another, its window decoded as (item key, time) pairs.

    `num_corrections`: numbers that its sequence skipped, by undone events and merged ids.
    """

    seq: int
    num_events: int
    window: list[tuple[int, int]]
    num_corrections: int


class Snapshot:
    """Everything that counts, read at one moment past the product."""

    def __init__(self, path: Path) -> None:
        with closing(sqlite3.connect(path, isolation_level=None)) as database:
            database.execute("BEGIN")
            self.integrity = [row[0] for row in database.execute("PRAGMA integrity_check")]
            self.users = {
                user_id: StoredUser(seq, num_events, unpack_window(window), num_corrections)
                for user_id, seq, num_events, window, num_corrections in database.execute(
                    "SELECT user_id, seq, num_events, window,"
                    " 2 * (SELECT count(*) FROM undone_events WHERE user_key = users.key)"
                    " + (SELECT count(*) FROM users AS merged WHERE merged.merged_into = users.key)"
                    " FROM users WHERE merged_into IS NULL"
                )
            }
            self.undone = {bytes(key) for (key,) in database.execute("SELECT event_key FROM undone_events")}
            self.events = [
                StoredEvent(*row)
                for row in database.execute(
                    "SELECT event_key, u.user_id, i.item_id, item_key, type_code, time_ms, user_seq FROM interactions"
                    " JOIN users u ON u.key = user_key JOIN items i ON i.key = item_key ORDER BY time_ms, user_seq"
                )
            ]
            self.num_rows = database.execute("SELECT count(*) FROM interactions").fetchone()[0]
            self.scores = database.execute(
                "SELECT item_key, score, CASE stream WHEN 'corrections' THEN -1 ELSE 1 END"
                " FROM popularity JOIN writer_offsets ON writer_offsets.key = writer_key"
            ).fetchall()
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
        assert len(set(seqs[user_id])) == len(seqs[user_id]), user_id
        assert user.seq == len(seqs[user_id]) + user.num_corrections, user_id
        assert max(seqs[user_id], default=0) <= user.seq, user_id


def _assert_popularity(snapshot: Snapshot) -> None:
    expected: dict[int, list[tuple[float, int]]] = defaultdict(list)
    for event in snapshot.events:
        if WEIGHTS[event.code]:
            expected[event.item_key].append((event.time_ms / HALF_LIFE_MS + math.log2(WEIGHTS[event.code]), 1))
    stored: dict[int, list[tuple[float, int]]] = defaultdict(list)
    for item_key, score, sign in snapshot.scores:
        stored[item_key].append((score, sign))
    assert expected.keys() <= stored.keys()
    for item_key, counts in stored.items():
        difference = counts + [(log, -sign) for log, sign in expected[item_key]]
        assert abs(share_of_largest(difference)) < 1e-9, item_key


def share_of_largest(counts: Iterable[tuple[float, int]]) -> float:
    """The sum of sign * 2^log, relative to the largest term, without overflow."""
    counts = list(counts)
    largest = max(log for log, _ in counts)
    return math.fsum(sign * 2.0 ** (log - largest) for log, sign in counts)


def _assert_counts(snapshot: Snapshot) -> None:
    stored: Counter[tuple[int, int]] = Counter()
    for bucket_ms, code, num in snapshot.counts:
        stored[bucket_ms, code] += num
    assert stored == Counter((event.time_ms // BUCKET_MS * BUCKET_MS, event.code) for event in snapshot.events)
