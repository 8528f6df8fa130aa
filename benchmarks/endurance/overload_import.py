"""Three imports of large files at once into a folder that is served, and what became of rows, requests and events.

    python -m benchmarks.endurance.overload_import --data FOLDER --log ml-1m.inter.tsv.gz --times 3 --rate 50

The files are the log with each row several times, by users of their own. Clients send normal load meanwhile. Told are
the memory of each import over time, answers before, meanwhile and afterwards, refusals that name no time to retry,
acknowledged events that are not stored, and rows that are not stored once.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import sqlite3
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

from benchmarks.data_copies import ServedCopy, served_copy
from benchmarks.endurance.overload import PREFIX, OverloadedServer, recovered_s
from benchmarks.report import percentiles, publish
from benchmarks.scale.processes import own_memory_bytes
from tidewise.processes.children import running
from tidewise.settings.schema import DATABASE_NAME

CLIENTS = 16
BEFORE_S = 30.0
SAMPLE_S = 10.0
SHOWN = 12  # samples of memory
ROWS = """SELECT user_id, item_id, time_ms / 1000 FROM interactions JOIN users ON users.key = user_key
          JOIN items ON items.key = item_key WHERE user_id GLOB ?"""

Row = tuple[str, str, int]  # user, item and seconds


@dataclass(frozen=True, slots=True)
class LargeFile:
    """A file of events. `users`: begins the ids of its users; `hashes`: the sum of those of its rows."""

    path: Path
    users: str
    num_rows: int
    hashes: int

    def missing(self, database: sqlite3.Connection) -> tuple[int, bool]:
        """How many rows fewer than those of the file are stored, and whether the stored ones are the same rows."""
        num_rows = hashes = 0
        for row in database.execute(ROWS, (f"{self.users}*",)):
            num_rows += 1
            hashes += hash(row)
        return self.num_rows - num_rows, hashes == self.hashes


def rows_of(log: Path) -> Iterator[Row]:
    """The rows of a compressed log with a header."""
    with gzip.open(log, "rt", encoding="utf-8") as lines:
        next(lines)
        for user, item, time_s, *_ in map(str.split, lines):
            yield user, item, int(time_s)


def write_large(rows: Sequence[Row], path: Path, *, times: int) -> LargeFile:
    """Each row so many times, by users of its own each time, in the order of the rows."""
    users, hashes = f"history-{path.stem}-", 0
    with path.open("w", encoding="utf-8") as file:
        file.write("user_id\titem_id\ttime\n")
        for user, item, time_s in rows:
            for copy in range(times):
                row = (f"{users}{copy}-{user}", item, time_s)
                file.write("{}\t{}\t{}\n".format(*row))
                hashes += hash(row)
    return LargeFile(path, users, times * len(rows), hashes)


class Imports:
    """Imports of files into a folder, all at once, and their memory (MB) over time."""

    def __init__(self, data: Path, files: Sequence[LargeFile], stack: ExitStack) -> None:
        """They are ended when the stack unwinds."""
        self._processes = [
            stack.enter_context(running(["import", "--data", str(data), "--events", str(file.path)], log=_log(file)))
            for file in files
        ]
        self._logs = [_log(file) for file in files]
        self.memory_mb: list[list[int]] = [[] for _ in files]

    def are_running(self) -> bool:
        """Whether some have not ended; takes the memory of each."""
        for process, memory_mb in zip(self._processes, self.memory_mb, strict=True):
            if process.poll() is None:
                memory_mb.append(round(own_memory_bytes(process.pid) / 1e6))
        return any(process.returncode is None for process in self._processes)

    def said(self) -> list[str]:
        """Exit status and last line of each."""
        return [
            f"{process.returncode}: {log.read_text().strip().splitlines()[-1]}"
            for process, log in zip(self._processes, self._logs, strict=True)
        ]


def _log(file: LargeFile) -> Path:
    return file.path.with_suffix(".log")


async def overload(served: ServedCopy, files: Sequence[LargeFile], rate: float) -> dict[str, object]:
    """The figures of the whole run."""
    server = OverloadedServer(served)
    alone_s = [took for number in range(3) for took in await server.alone_s(f"{PREFIX}alone-{number}-")]
    before, loaded, begin_s = server.load(f"{PREFIX}before-"), server.load(PREFIX), time.monotonic()
    await before.run(clients=CLIENTS, rate=rate, seconds=BEFORE_S)
    memory_mb = [_memory_mb(served)]
    with ExitStack() as stack:
        imports, begin_s = Imports(served.data, files, stack), time.monotonic()
        while imports.are_running():
            await loaded.run(clients=CLIENTS, rate=rate, seconds=SAMPLE_S)
            memory_mb.append(_memory_mb(served))
    end_s = time.monotonic()
    recovered = await recovered_s(server, max(alone_s), end_s)
    memory_mb.append(_memory_mb(served))
    with closing(sqlite3.connect(served.data / DATABASE_NAME)) as database:
        missing = [file.missing(database) for file in files]
    report, num_rows = loaded.report, sum(file.num_rows for file in files)
    return {
        "rows of all files": num_rows,
        "imported, rows/s": round(num_rows / (end_s - begin_s)),
        "imports": imports.said(),
        "rows not stored, the same rows": missing,
        "memory of each import, MB": [_some(of_one) for of_one in imports.memory_mb],
        "memory of the server, MB": _some(memory_mb),
        "answers before": percentiles(before.report.took_s),
        "answers meanwhile": percentiles(report.took_s),
        "lists meanwhile": percentiles(report.recommended_s),
        "events meanwhile": percentiles(report.posted_s),
        "statuses meanwhile": dict(report.statuses),
        "429 or 503 without Retry-After": report.num_impolite,
        "answered as before after, s": round(recovered, 1),
        **server.stored(report),
    }


def _memory_mb(served: ServedCopy) -> int:
    return round(own_memory_bytes(served.process.pid) / 1e6)


def _some(values: Sequence[int]) -> list[int]:
    """At most `SHOWN` and the last."""
    return [*values[: -1 : len(values) // SHOWN + 1], *values[-1:]]


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="a data folder with a trained model (copied)")
    parser.add_argument("--log", type=Path, required=True, help="compressed, columns of user, item and seconds")
    parser.add_argument("--times", type=int, default=3, help="imports at once")
    parser.add_argument("--copies", type=int, default=3, help="of the log in each file")
    parser.add_argument("--rate", type=float, default=50.0, help="requests per second")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        rows = list(rows_of(options.log))
        paths = [Path(name) / f"{number}.tsv" for number in range(options.times)]
        files = [write_large(rows, path, times=options.copies) for path in paths]
        with served_copy(options.data, processes=options.processes) as served:
            figures = asyncio.run(overload(served, files, options.rate))
    publish(f"{options.times} imports at once beside {options.rate:g} requests/s", figures)


if __name__ == "__main__":
    main()
