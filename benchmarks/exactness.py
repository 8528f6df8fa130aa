"""Exactly once: a file of events through Kafka into PostgreSQL, compared with the file.

    python -m benchmarks.exactness --events ml-1m.inter.tsv.gz --columns user_id,movie_id,timestamp --time-unit s

Starts Kafka, PostgreSQL and workers, sends the file by `tidewise replay`, kills workers meanwhile (SIGKILL, restarted
at once), and compares the database with the file row by row: every line once, in the order of the file, and each user's
window as plain Python computes it. The file is read by Python's csv and the database by SQL: neither shares code with
the product.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import io
import json
import math
import struct
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psycopg

from benchmarks.faults.ledger import Stored
from benchmarks.report import publish
from benchmarks.streaming.servers import Servers, servers
from tidewise.process_setup import own_command
from tidewise.processes.children import running

ROWS = """SELECT u.user_id, time_ms, i.item_id, value FROM interactions
          JOIN users u ON u.key = user_key JOIN items i ON i.key = item_key ORDER BY u.user_id, time_ms, user_seq"""
TO_MS = {"s": 1000, "ms": 1}
STALL_S = 60.0
POLL_S = 0.1

WEEK_MS = 7 * 24 * 60 * 60 * 1000
TRANSITION = struct.Struct("<IHbIII")  # item key, week, sign, keys of the three items before

Transition = tuple[str, int, str | None, str | None, str | None]
Event = tuple[int, str, float | None]
Histories = Mapping[str, Sequence[Event]]


@dataclass(frozen=True)
class EventFile:
    """A file of events with the names of its columns: user, item, time, and optionally value."""

    path: Path
    columns: tuple[str, ...]
    time_unit: str = "s"

    def histories(self) -> dict[str, list[Event]]:
        """Each user's events as (time in ms, item, value): by time, equal times in the order of the file."""
        histories: dict[str, list[Event]] = defaultdict(list)
        with self._text() as text:
            for row in csv.DictReader(text, delimiter="\t" if ".tsv" in self.path.name else ","):
                user, item, time, *value = (row[name] for name in self.columns)
                histories[user].append((int(time) * TO_MS[self.time_unit], item, float(value[0]) if value else None))
        return {user: sorted(events, key=lambda event: event[0]) for user, events in histories.items()}

    def arguments(self) -> list[str]:
        """The file's arguments for `tidewise replay`."""
        names = list(self.columns)
        if len(names) > 3:
            names.insert(3, "")  # no column of event types
        return [str(self.path), "--columns", ",".join(names), "--time-unit", self.time_unit]

    def _text(self) -> IO[str]:
        if self.path.suffix == ".gz":
            return io.TextIOWrapper(gzip.open(self.path), encoding="utf-8", newline="")
        return self.path.open(encoding="utf-8", newline="")


def replay(
    at: Servers, folder: Path, file: EventFile, *, topic: str, group: int, num_workers: int, num_kills: int
) -> dict[str, object]:
    """Send the file, kill workers meanwhile, and wait until all its events are stored, or no more arrive."""
    arguments = at.arguments(folder, topic)
    num_events = sum(len(events) for events in file.histories().values())
    command = own_command("replay", *file.arguments(), "--group", str(group), "--json")
    started_s = time.perf_counter()
    with ExitStack() as stack, psycopg.connect(at.postgres, autocommit=True) as connection:
        workers = [_worker(stack, folder, arguments, number) for number in range(num_workers)]
        sender = stack.enter_context(subprocess.Popen([*command, *arguments], stdout=subprocess.PIPE, text=True))
        stack.callback(sender.kill)
        for number in range(num_kills):
            _await(connection, at_least=num_events * (number + 1) // (num_kills + 1), workers=workers)
            victim = number % num_workers
            workers[victim].kill()
            workers[victim].wait()
            workers[victim] = _worker(stack, folder, arguments, victim)
        _await(connection, at_least=num_events, workers=workers)
        elapsed_s = time.perf_counter() - started_s
        sent = json.loads(sender.communicate()[0])
    return {
        "events": num_events,
        "seconds, including starts and kills": round(elapsed_s, 1),
        "events/s": round(num_events / elapsed_s),
        "messages": sent["messages"],
        "sent/s": sent["events_per_s"],
        "bad lines": sent["bad_lines"],
        "workers": num_workers,
        "workers killed": num_kills,
    }


def _worker(stack: ExitStack, folder: Path, arguments: list[str], number: int) -> subprocess.Popen[bytes]:
    name = f"worker-{number + 1}"
    return stack.enter_context(running(["worker", *arguments, "--name", name], log=folder / f"{name}.log"))


def _await(
    connection: psycopg.Connection[tuple[int]], *, at_least: int, workers: Sequence[subprocess.Popen[bytes]]
) -> None:
    """Wait until so many events are stored, or no more arrive; the comparison shows missing ones."""
    seen, changed_s = -1, time.perf_counter()
    while True:
        row = connection.execute("SELECT coalesce(sum(num), 0) FROM event_counts").fetchone()
        num = int(row[0]) if row else 0
        if num >= at_least:
            return
        if num != seen:
            seen, changed_s = num, time.perf_counter()
        if time.perf_counter() - changed_s > STALL_S or any(worker.poll() is not None for worker in workers):
            return
        time.sleep(POLL_S)


def compare(expected: Histories, url: str, *, size: int, step: int) -> dict[str, int]:
    """The number of differences between the database and the file."""
    histories: dict[str, list[Event]] = defaultdict(list)
    with psycopg.connect(url) as connection:
        for user, time_ms, item, value in connection.execute(ROWS):
            histories[user].append((time_ms, item, value))
        dead_letters = connection.execute("SELECT count(*) FROM dead_letters").fetchone()
    stored = Stored.read(url)
    wrong_rows = sum(
        _differences(expected.get(user, ()), histories[user]) for user in expected.keys() | histories.keys()
    )
    return {
        "rows that differ from the file": wrong_rows,
        "users whose order differs from the file": sum(
            list(events) != histories[user] for user, events in expected.items()
        ),
        "wrong windows": sum(
            user not in stored.users or stored.users[user].window != window(events, size=size, step=step)
            for user, events in expected.items()
        ),
        "wrong numbers of events": sum(
            (state.seq, state.num_events) != (len(expected.get(user, ())),) * 2 for user, state in stored.users.items()
        ),
        "transitions that differ from the file": sum(
            map(abs, _surplus(transitions(expected), stored_transitions(url)).values())
        ),
        "wrong totals": abs(stored.num_counted - sum(len(events) for events in expected.values())),
        "dead letters": int(dead_letters[0]) if dead_letters else 0,
    }


def transitions(histories: Histories) -> Counter[Transition]:
    """Each event's item and week with the three items before it, the nearest first."""
    counts: Counter[Transition] = Counter()
    for events in histories.values():
        items = [None, None, None, *(item for _, item, _ in events)]
        for place, (time_ms, item, _) in enumerate(events):
            counts[item, time_ms // WEEK_MS, items[place + 2], items[place + 1], items[place]] += 1
    return counts


def stored_transitions(url: str) -> Counter[Transition]:
    """The sum of the log in the database."""
    counts: Counter[Transition] = Counter()
    with psycopg.connect(url) as connection:
        names: dict[int, str | None] = dict(connection.execute("SELECT key, item_id FROM items").fetchall())
        for (payload,) in connection.execute("SELECT payload FROM transitions"):
            for item, week, sign, *previous in TRANSITION.iter_unpack(payload):
                first, second, third = (names.get(key) for key in previous)
                counts[str(names[item]), week, first, second, third] += sign
    return counts


def _surplus(expected: Counter[Transition], stored: Counter[Transition]) -> Counter[Transition]:
    surplus = Counter(expected)
    surplus.subtract(stored)
    return surplus


def sizes(url: str) -> dict[str, int]:
    """Bytes in PostgreSQL, indexes included, per row."""
    per_row = {}
    with psycopg.connect(url) as connection:
        for table in ("interactions", "users", "popularity", "transitions"):
            row = connection.execute(
                f"SELECT pg_total_relation_size('{table}') / greatest(1, (SELECT count(*) FROM {table}))"
            ).fetchone()
            per_row[f"bytes per row of {table}"] = int(row[0]) if row else 0
    return per_row


def _differences(expected: Sequence[Event], stored: Sequence[Event]) -> int:
    """Rows that only one side has, counted as often as they are missing on the other."""
    surplus: dict[Event, int] = defaultdict(int)
    for event in expected:
        surplus[event] += 1
    for event in stored:
        surplus[event] -= 1
    return sum(map(abs, surplus.values()))


def window(events: Sequence[Event], *, size: int, step: int) -> list[tuple[str, int]]:
    """The newest part of a history, beginning at a multiple of `step`, as (item, time)."""
    start = step * math.ceil(max(0, len(events) - size) / step)
    return [(item, time_ms) for time_ms, item, _ in events[start:]]


def main() -> None:
    """Replay, compare, publish; exits with 1 where anything differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=Path, required=True)
    parser.add_argument("--columns", required=True, help="user, item, time and optionally value, separated by commas")
    parser.add_argument("--time-unit", choices=TO_MS, default="s")
    parser.add_argument("--group", type=int, default=1, help="events per message")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--kills", type=int, default=2)
    options = parser.parse_args()
    file = EventFile(options.events, tuple(options.columns.split(",")), options.time_unit)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)  # PostgreSQL may run under another account
        with servers(folder) as at:
            migrate = own_command("migrate", *at.arguments(folder, "exactness"))
            subprocess.run(migrate, check=True)
            figures = replay(
                at,
                folder,
                file,
                topic="exactness",
                group=options.group,
                num_workers=options.workers,
                num_kills=options.kills,
            )
            differences = compare(file.histories(), at.postgres, size=50, step=10)
            figures |= sizes(at.postgres)
    publish(f"exactness, {file.path.name}", {**figures, **differences})
    if any(differences.values()):
        sys.exit(1)


if __name__ == "__main__":
    main()
