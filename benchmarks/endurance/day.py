"""A simulated day of normal load: whether memory, files, or the cost of a request grow with the hours.

    python -m benchmarks.endurance.day --data FOLDER --rate 100 --speed 120

Events carry times of a day that passes faster than the clock, after the newest event of the folder. The server lives
in the time of its events (the folder was made with `clock.mode=stream`), so that popularity, buckets of drift and
counts by day pass as in a real day. Told for each quarter of the day: memory, files, CPU per request, latency, and the
rows of each table that grew. Transition counts that a process has read from its snapshot become memory of its own once
a quarter as many pairs were added; with a rate at which that happens early, the rest of the day shows what grows.
"""

from __future__ import annotations

import argparse
import asyncio
import sqlite3
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from benchmarks.data_copies import ServedCopy, served_copy
from benchmarks.endurance.client import LoadedApi
from benchmarks.report import percentiles, publish
from benchmarks.scale.processes import cpu_s, own_memory_bytes
from benchmarks.serving import ids_of
from core.clock import DAY_MS
from tidewise.bootstrap import open_system
from tidewise.settings.schema import DATABASE_NAME, load_settings

QUARTERS = 4
CLIENTS = 16
PREFIX = "day-"


@dataclass(frozen=True, slots=True)
class ServerState:
    """At one moment: memory without pages of files, and files, in MB; CPU of all processes in s; rows by table.

    `num_requests`, `num_answers`: what clients have sent and got.
    """

    memory_mb: float
    files_mb: float
    cpu_s: float
    num_requests: int
    num_answers: int
    num_rows: Mapping[str, int]


def count_rows(database: Path) -> dict[str, int]:
    """The number of rows of each table of a SQLite file that others may write to."""
    tables = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name"
    with closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        names = [name for (name,) in connection.execute(tables)]
        return {name: connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name in names}


def grown(num_rows: Sequence[Mapping[str, int]]) -> dict[str, list[int]]:
    """The counts, one for each moment, of tables that ever had more rows than at first."""
    counts = {table: [moment.get(table, 0) for moment in num_rows] for table in num_rows[-1]}
    return {table: of_table for table, of_table in counts.items() if max(of_table) > of_table[0]}


class SimulatedDay:
    """Load whose events' times pass `speed` times as fast as the clock."""

    def __init__(self, served: ServedCopy, *, speed: float) -> None:
        users, items = ids_of(served.data)
        with closing(sqlite3.connect(served.data / DATABASE_NAME)) as database:
            [(newest_ms,)] = database.execute("SELECT max(time_ms) FROM interactions")
        self._served, self._speed = served, speed
        self._start_ms, self._begin_s = int(newest_ms) + DAY_MS, time.monotonic()
        self._api = LoadedApi(served.port, users, items, prefix=PREFIX, event_time_ms=self._now_ms)

    def _now_ms(self) -> int:
        return self._start_ms + round((time.monotonic() - self._begin_s) * self._speed * 1000)

    async def figures(self, rate: float) -> dict[str, object]:
        """By quarters of the day."""
        seconds = DAY_MS / 1000 / self._speed
        states = [self._state()]
        self._begin_s = time.monotonic()
        load = asyncio.create_task(self._api.run(clients=CLIENTS, rate=rate, seconds=seconds))
        for _ in range(QUARTERS):
            await asyncio.sleep(seconds / QUARTERS)
            states.append(await asyncio.to_thread(self._state))
        await load
        report, pairs = self._api.report, list(pairwise(states))
        return {
            "statuses": dict(report.statuses),
            "events": len(report.events),
            "memory without files, MB": [state.memory_mb for state in states],
            "files, MB": [state.files_mb for state in states],
            "rows of tables that grew": grown([state.num_rows for state in states]),
            "CPU of a request with all that runs beside it, ms": [
                round(1000 * (after.cpu_s - before.cpu_s) / max(1, after.num_requests - before.num_requests), 2)
                for before, after in pairs
            ],
            "latency": [percentiles(report.took_s[before.num_answers : after.num_answers]) for before, after in pairs],
        }

    def _state(self) -> ServerState:
        pid, report = self._served.process.pid, self._api.report
        memory_mb, files_mb = round(own_memory_bytes(pid) / 1e6), round(self._served.file_bytes() / 1e6)
        num_rows = count_rows(self._served.data / DATABASE_NAME)
        return ServerState(memory_mb, files_mb, cpu_s(pid), report.num_sent, len(report.took_s), num_rows)


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data", type=Path, required=True, help="a folder made with clock.mode=stream, trained (copied)"
    )
    parser.add_argument("--rate", type=float, default=100.0, help="requests per second of the clock")
    parser.add_argument("--speed", type=float, default=120.0, help="seconds of the day per second of the clock")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    with served_copy(options.data, processes=options.processes) as served:
        with open_system(load_settings(overrides={"data.folder": str(served.data)})) as system:
            if system.settings.clock.mode != "stream":
                parser.error("wanted a folder made with --set clock.mode=stream, got one that lives by the clock")
        figures = asyncio.run(SimulatedDay(served, speed=options.speed).figures(options.rate))
    publish(f"a simulated day at {options.rate:g} requests/s, {options.speed:g} times as fast", figures)


if __name__ == "__main__":
    main()
