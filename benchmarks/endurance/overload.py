"""An hour of too much: three times the requests that the machine carries, and what became of them.

    python -m benchmarks.endurance.overload --data FOLDER --minutes 60 --times 3

The rate that the machine carries is measured first, by clients that ask as fast as answers come. Then many clients send
several times that rate, whether they are answered or not. Told are memory and files over time, the statuses and
whether refusals name a time to retry, acknowledged events that are not stored, and how long after the load a
single client is answered as before it.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sqlite3
import time
from collections import Counter
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from benchmarks.data_copies import ServedCopy, served_copy
from benchmarks.endurance.client import ACKNOWLEDGED, REFUSED, UNANSWERED, LoadedApi, LoadReport
from benchmarks.faults.clients.comparison import event_key, keys_of_events
from benchmarks.report import percentiles, publish
from benchmarks.scale.processes import cpu_ticks, own_memory_bytes
from benchmarks.serving import ids_of
from tidewise.settings.schema import DATABASE_NAME

CARRIED_CLIENTS, CARRIED_S = 32, 20.0
NUM_EVENTS = 100_000  # whose items are drawn
CLIENTS_FIRST = 10  # niceness of the server, whose many threads would leave too little to the clients' one
SAMPLES = 12  # of memory and files while the load lasts
SLOWER = 2.0  # than the slowest before the load still counts as before
PREFIX = "overload-"


class Usage(NamedTuple):
    """At one moment, MB. `memory`: without pages of files, which the system takes back when it needs them."""

    memory: float
    files: float


class OverloadedServer:
    """A server with its users, and items as often as the stored events have them."""

    def __init__(self, served: ServedCopy) -> None:
        users, _ = ids_of(served.data)
        self._users = random.Random(1).sample(users, min(2000, len(users)))
        self._items = _items_of_events(served.data)
        self._served = served

    def load(self, prefix: str) -> LoadedApi:
        """Clients whose events have ids of their own."""
        return LoadedApi(self._served.port, self._users, self._items, prefix=prefix)

    def usage(self) -> Usage:
        """Memory of all processes, without pages of files, and files of the data folder."""
        memory = own_memory_bytes(self._served.process.pid)
        return Usage(round(memory / 1e6), round(self._served.file_bytes() / 1e6))

    async def alone_s(self, prefix: str) -> list[float]:
        """Seconds of each answer of a single client; a request without an answer counts as its time limit."""
        alone = self.load(prefix)
        await alone.run(clients=1, rate=50.0, seconds=1.0)
        return alone.report.took_s or [float("inf")]

    def stored(self, report: LoadReport) -> dict[str, object]:
        """What is stored of the load's events against what its clients were told."""
        with closing(sqlite3.connect(self._served.data / DATABASE_NAME)) as database:
            stored = keys_of_events(database.execute)
        num_sent, num_stored = Counter(report.events), Counter[int]()
        for number, state in enumerate(report.events):
            num_stored[state] += event_key(f"{PREFIX}{number}") in stored
        return {
            "events acknowledged": num_sent[ACKNOWLEDGED],
            "acknowledged, not stored": num_sent[ACKNOWLEDGED] - num_stored[ACKNOWLEDGED],
            "refused, stored": num_stored[REFUSED],
            "without an answer: all, stored": [num_sent[UNANSWERED], num_stored[UNANSWERED]],
        }


def _items_of_events(data: Path) -> list[str]:
    with closing(sqlite3.connect(data / DATABASE_NAME)) as database:
        rows = database.execute(
            "SELECT item_id, count(*) FROM interactions JOIN items ON items.key = item_key"
            " WHERE in_catalogue GROUP BY item_key ORDER BY item_key"
        ).fetchall()
    items, nums = zip(*rows, strict=True)
    return random.Random(2).choices(items, nums, k=NUM_EVENTS)


async def overload(server: OverloadedServer, *, times: float, minutes: float, clients: int) -> dict[str, object]:
    """The figures of the whole run, and the report of the load."""
    before_s = [took for number in range(3) for took in await server.alone_s(f"{PREFIX}before-{number}-")]
    carried = server.load(f"{PREFIX}carried-")
    await carried.run(clients=CARRIED_CLIENTS, rate=None, seconds=CARRIED_S)
    rate = carried.report.num_sent / CARRIED_S
    loaded, usages, ticks = server.load(PREFIX), [server.usage()], [cpu_ticks()]
    seconds = minutes * 60
    load = asyncio.create_task(loaded.run(clients=clients, rate=times * rate, seconds=seconds))
    for _ in range(SAMPLES):
        await asyncio.sleep(seconds / SAMPLES)
        usages.append(await asyncio.to_thread(server.usage))
        ticks.append(cpu_ticks())
    await load
    end_s = time.monotonic()
    recovery_s = await recovered_s(server, max(before_s), end_s)
    report = loaded.report
    return {
        "carried, requests/s": round(rate),
        "sent, requests/s": round(report.num_sent / seconds),
        "answered, requests/s": round(report.statuses["200"] / seconds),
        "recommendations answered, requests/s": round(len(report.recommended_s) / seconds),
        "statuses": dict(report.statuses),
        "429 or 503 without Retry-After": report.num_impolite,
        "answers": percentiles(report.took_s),
        "memory, MB": [usage.memory for usage in usages],
        "files, MB": [usage.files for usage in usages],
        "CPU time given to other machines, %": [
            round(100 * (stolen - stolen_before) / (all_ - all_before))
            for (all_before, stolen_before), (all_, stolen) in pairwise(ticks)
        ],
        "answered as before after, s": round(recovery_s, 1),
        **server.stored(report),
    }


async def recovered_s(server: OverloadedServer, slowest_s: float, end_s: float) -> float:
    """From the end of the load (monotonic) to the first of a second's answers that are all as fast as before it."""
    number = 0
    while True:
        begin_s = time.monotonic()
        if max(await server.alone_s(f"{PREFIX}after-{number}-")) <= SLOWER * slowest_s:
            return begin_s - end_s
        number += 1


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="a data folder with a trained model (copied)")
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--times", type=float, default=3.0, help="what the machine carries")
    parser.add_argument("--clients", type=int, default=1000)
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    with served_copy(options.data, processes=options.processes, niceness=CLIENTS_FIRST) as served:
        work = overload(OverloadedServer(served), times=options.times, minutes=options.minutes, clients=options.clients)
        figures = asyncio.run(work)
    publish(f"{options.times:g} times the load for {options.minutes:g} minutes, {options.clients} clients", figures)


if __name__ == "__main__":
    main()
