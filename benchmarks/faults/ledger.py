"""Ledgers of sent and acknowledged events, and the comparison of the database with them.

Plain Python and SQL that share no code with the product. A ledger is a file of tab-separated lines, written line by
line, so that it survives its writer.
"""

from __future__ import annotations

import hashlib
import math
import struct
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Self

import psycopg

ROWS = """SELECT event_key, u.user_id, i.item_id, time_ms, user_seq FROM interactions
          LEFT JOIN users u ON u.key = user_key LEFT JOIN items i ON i.key = item_key"""


@dataclass(frozen=True, slots=True)
class Sent:
    """A click as it was sent."""

    user_id: str
    item_id: str
    time_ms: int


class Ledger:
    """The ledger of one sender. Thread-safe: a line is one write."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", buffering=1, encoding="utf-8")

    def sent(self, event_id: str, user_id: str, item_id: str, time_ms: int) -> None:
        """Call before sending an event."""
        self._file.write(f"sent\t{event_id}\t{user_id}\t{item_id}\t{time_ms}\n")

    def acknowledged(self, event_id: str, user_seq: int | None = None) -> None:
        """Call after an acknowledgement, with the sequence number if the answer has one."""
        self._file.write(f"acknowledged\t{event_id}\t{user_seq or ''}\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()


@dataclass
class LedgerRecords:
    """The records of several ledgers."""

    sent: dict[str, Sent] = field(default_factory=dict)
    acknowledged: set[str] = field(default_factory=set)
    reported_seqs: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))

    @classmethod
    def read(cls, paths: Iterable[Path]) -> Self:
        """Read ledger files."""
        return cls.read_until({path: path.stat().st_size for path in paths})

    @classmethod
    def read_until(cls, sizes: Mapping[Path, int]) -> Self:
        """Read as much of each ledger file as there was when it had so many bytes."""
        records = cls()
        for path, size in sizes.items():
            for line in path.read_bytes()[:size].decode().splitlines():
                kind, event_id, *rest = line.split("\t")
                if kind == "sent":
                    records.sent[event_id] = Sent(rest[0], rest[1], int(rest[2]))
                else:
                    records.acknowledged.add(event_id)
                    if rest[0]:
                        records.reported_seqs[event_id].add(int(rest[0]))
        return records


@dataclass(frozen=True, slots=True)
class Row:
    """One row of `interactions` with its names."""

    key: bytes
    user_id: str | None
    item_id: str | None
    time_ms: int
    user_seq: int


@dataclass(frozen=True, slots=True)
class User:
    """One row of `users`, its window as (item id, time) pairs."""

    seq: int
    num_events: int
    window: list[tuple[str, int]]


@dataclass
class Stored:
    """All stored data that an event changes."""

    rows: list[Row]
    users: dict[str, User]
    num_counted: int
    popularity: dict[str, float]

    @classmethod
    def read(cls, url: str) -> Self:
        """Read it in one snapshot, by SQL."""
        with psycopg.connect(url) as connection:
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            names: dict[int, str] = dict(connection.execute("SELECT key, item_id FROM items").fetchall())
            users = connection.execute('SELECT user_id, seq, num_events, "window" FROM users').fetchall()
            scores: dict[str, list[float]] = defaultdict(list)
            for key, score in connection.execute("SELECT item_key, score FROM popularity"):
                scores[names[key]].append(score)
            counted = connection.execute("SELECT coalesce(sum(num), 0) FROM event_counts").fetchone()
            return cls(
                rows=[Row(*row) for row in connection.execute(ROWS)],
                users={name: User(seq, num, _unpack(packed, names)) for name, seq, num, packed in users},
                num_counted=int(counted[0]) if counted else 0,
                popularity={item_id: log2_sum(of_writers) for item_id, of_writers in scores.items()},
            )

    def without(self, prefix: str) -> Self:
        """Without the users whose ids begin with this, and their events."""
        rows = [row for row in self.rows if not (row.user_id or "").startswith(prefix)]
        users = {name: user for name, user in self.users.items() if not name.startswith(prefix)}
        num_left_out = len(self.rows) - len(rows)
        return replace(self, rows=rows, users=users, num_counted=self.num_counted - num_left_out)


def _unpack(packed: bytes, names: Mapping[int, str]) -> list[tuple[str, int]]:
    """All item keys, then all times, each a little-endian 64-bit integer."""
    values = struct.unpack(f"<{len(packed) // 8}q", packed)
    half = len(values) // 2
    return [(names[key], time_ms) for key, time_ms in zip(values[:half], values[half:], strict=True)]


def event_key(event_id: str) -> bytes:
    """The database's key of an event id."""
    return hashlib.blake2b(event_id.encode(), digest_size=16).digest()


def compare(
    records: LedgerRecords, stored: Stored, *, before: Stored, size: int, step: int, half_life_ms: float
) -> dict[str, int]:
    """The number of violations of each guarantee. `before`: the database before the first event."""
    old = {row.key for row in before.rows}
    new = [row for row in stored.rows if row.key not in old]
    keys = {event_key(event_id): event_id for event_id in records.sent}
    times = Counter(row.key for row in stored.rows)
    return {
        "lost": sum(times[event_key(event_id)] == 0 for event_id in records.acknowledged) + len(old - times.keys()),
        "counted twice": sum(num > 1 for num in times.values()),
        "never sent": sum(row.key not in keys for row in new),
        "changed": sum(_differs(row, records.sent[keys[row.key]]) for row in new if row.key in keys),
        "wrong windows": len(wrong_windows(records, stored, new, size=size, step=step)),
        "gaps in user_seq": len(wrong_sequences(stored)),
        "wrong user_seq in answers": sum(
            records.reported_seqs[keys[row.key]] != {row.user_seq}
            for row in new
            if keys.get(row.key) in records.reported_seqs
        ),
        "wrong totals": abs(stored.num_counted - len(stored.rows)),
        "wrong popularity": len(wrong_popularity(stored, new, before=before, half_life_ms=half_life_ms)),
    }


def _differs(row: Row, sent: Sent) -> bool:
    return (row.user_id, row.item_id, row.time_ms) != (sent.user_id, sent.item_id, sent.time_ms)


def wrong_windows(records: LedgerRecords, stored: Stored, new: Sequence[Row], *, size: int, step: int) -> list[str]:
    """Users whose window is not the newest part of the clicks that were sent for them."""
    arrived = {row.key for row in new}
    histories: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for event_id, sent in records.sent.items():
        if event_id in records.acknowledged or event_key(event_id) in arrived:
            histories[sent.user_id].append((sent.time_ms, sent.item_id))
    wrong = []
    for user_id, history in histories.items():
        start = step * math.ceil(max(0, len(history) - size) / step)
        expected = [(item_id, time_ms) for time_ms, item_id in sorted(history)[start:]]
        user = stored.users.get(user_id)
        if user is None or (user.num_events, user.window) != (len(history), expected):
            wrong.append(user_id)
    return wrong


def wrong_sequences(stored: Stored) -> list[str]:
    """Users whose events are not numbered 1, 2, ... up to `users.seq`."""
    seqs: dict[str | None, list[int]] = defaultdict(list)
    for row in stored.rows:
        seqs[row.user_id].append(row.user_seq)
    return [name for name, user in stored.users.items() if sorted(seqs[name]) != list(range(1, user.seq + 1))]


def wrong_popularity(stored: Stored, new: Sequence[Row], *, before: Stored, half_life_ms: float) -> list[str]:
    """Items whose score is not the log2 of the sum of 2^(time / half-life) over old score and new clicks."""
    parts: dict[str, list[float]] = defaultdict(list)
    for item_id, score in before.popularity.items():
        parts[item_id].append(score)
    for row in new:
        parts[str(row.item_id)].append(row.time_ms / half_life_ms)
    return [
        item_id
        for item_id in parts.keys() | stored.popularity.keys()
        if abs(log2_sum(parts[item_id]) - stored.popularity.get(item_id, -math.inf)) > 1e-9
    ]


def log2_sum(logs: Sequence[float]) -> float:
    """The log2 of the sum of 2^log, without overflow."""
    if not logs:
        return -math.inf
    highest = max(logs)
    return highest + math.log2(math.fsum(2.0 ** (log - highest) for log in logs))
