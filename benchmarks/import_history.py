"""How fast a history goes into a database, and what one event and one read cost there afterwards.

    python -m benchmarks.import_history                                          a seeded log of a million events
    python -m benchmarks.import_history --file log.tsv.gz --columns user_id,movie_id,timestamp --time-unit s
    python -m benchmarks.import_history --database postgresql+psycopg://me@host/empty

Through the same code as `tidewise import`: read, check, name, apply, commit. The database is a file of its own in the
folder given by --folder (default: the system's temporary one), so the figures hold for the disk that it is on.
"""

from __future__ import annotations

import argparse
import io
import random
import resource
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TypeVar, cast

from benchmarks.report import percentiles, publish
from core.clock import WallClock
from core.events.history import WindowShape
from core.events.interactions import EventTypes, Interaction
from core.imports.event_import import ImportReport, import_history, read_history
from core.imports.event_rows import HistoryColumns, RowRules
from core.imports.rows import FileFormat, RowReader
from core.ingestion.ingest import Ingestor
from core.ingestion.sources import RequestSource
from storage import SqlStore, open_store
from storage.files.opening import text_rows

Found = TypeVar("Found")

START_S = 1_600_000_000
SESSION_EVENTS = 20  # in the seeded log users come in sessions, some of them at the same time
USERS_AT_ONCE = 200
NUM_SINGLE = 1000


def simulated_log(*, num_events: int, num_users: int, num_items: int, seed: int) -> bytes:
    """A TSV log, sorted by time: at any moment a few hundred users are in a session."""
    source = random.Random(seed)
    active = [source.randrange(num_users) for _ in range(USERS_AT_ONCE)]
    lines = ["user_id\titem_id\ttime\n"]
    for number in range(num_events):
        session = source.randrange(USERS_AT_ONCE)
        if source.random() < 1 / SESSION_EVENTS:
            active[session] = source.randrange(num_users)
        item = int(num_items * source.random() ** 2)
        lines.append(f"user-{active[session]}\titem-{item}\t{START_S + number // 10}\n")
    return "".join(lines).encode()


class ImportRun:
    """One import into one database, and the queries that are timed on it."""

    def __init__(self, store: SqlStore, content: bytes, name: str, columns: HistoryColumns, unit: str) -> None:
        self.store = store
        self.ingestor = Ingestor(store, types=EventTypes(), shape=WindowShape())
        self._content = content
        self._name = name
        self._now_ms = WallClock().now_ms()
        self._rules = RowRules(columns, unit, EventTypes(), default_type="view", latest_ms=self._now_ms)

    def read_only(self) -> list[str]:
        """Read, check and name all rows; apply none. The user of each."""
        events = read_history(self._source(), rules=self._rules, on_bad=lambda _: None)
        return [event.user_id for event in events]

    def import_all(self) -> ImportReport:
        """The import itself."""
        return import_history(self._source(), self.ingestor, rules=self._rules, now_ms=self._now_ms)

    def single_events(self, users: list[str]) -> list[float]:
        """Seconds for transactions of one event each."""
        now_ms = WallClock().now_ms()
        seconds = []
        for number, user_id in enumerate(users):
            event = Interaction(f"single {now_ms} {number}", user_id, f"item-{number % 50}", "click", now_ms + number)
            start_s = time.perf_counter()
            self.ingestor.ingest([event], RequestSource("benchmark"))
            seconds.append(time.perf_counter() - start_s)
        return seconds

    def single_reads(self, users: list[str]) -> list[float]:
        """Seconds for what an answer reads: a user's state, the items they have seen, twenty items."""
        seconds, codes = [], EventTypes().flagged("seen")
        for user_id in users:
            start_s = time.perf_counter()
            with self.store.read() as view:
                state = view.users.find(user_id)
                seen = view.events.item_types(state.key, type_codes=codes)[:, 0].tolist() if state else []
                view.items.by_key(seen[:20])
            seconds.append(time.perf_counter() - start_s)
        return seconds

    def columns(self) -> int:
        """Read all events as training does."""
        with self.store.read() as view:
            return len(view.events.columns(type_codes=EventTypes().flagged("window")))

    def _source(self) -> RowReader:
        return text_rows(
            self._name, cast(io.RawIOBase, io.BytesIO(self._content)), FileFormat(), kind="tsv", size=len(self._content)
        )


def timed(work: Callable[[], Found]) -> tuple[Found, float]:
    """A result and the seconds it took."""
    start_s = time.perf_counter()
    result = work()
    return result, time.perf_counter() - start_s


def measure(run: ImportRun) -> dict[str, object]:
    """All figures of one database."""
    named, reading_s = timed(run.read_only)
    cpu_s = time.process_time()
    report, first_s = timed(run.import_all)
    cpu_s = time.process_time() - cpu_s
    again, second_s = timed(run.import_all)
    _, columns_s = timed(run.columns)
    users = random.Random(0).sample(sorted(set(named)), NUM_SINGLE)
    return {
        "events": report.num_accepted,
        "bad lines": report.num_bad,
        "read, checked and named (rows/s)": round(len(named) / reading_s),
        "imported (events/s)": round(report.num_rows / first_s),
        "imported per second of CPU (events)": round(report.num_rows / cpu_s),
        "imported again, all known (events/s)": round(again.num_rows / second_s),
        "new in the second run": again.num_accepted,
        "all events as columns (s)": round(columns_s, 2),
        "a transaction of one event": percentiles(run.single_events(users)),
        "state, seen set and 20 items of a user": percentiles(run.single_reads(users)),
        "peak memory (MiB)": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def main() -> None:
    """Measure and print."""
    options = _options()
    user, item, when = options.columns.split(",")
    if options.file is None:
        sizes = {"num_events": options.events, "num_users": options.users, "num_items": options.items}
        content, name, title = simulated_log(**sizes, seed=0), "simulated.tsv", f"simulated log: {sizes}"
        user, item, when, unit = "user_id", "item_id", "time", "s"
    else:
        content, name, title, unit = options.file.read_bytes(), options.file.name, str(options.file), options.time_unit
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        path = Path(folder) / "tidewise.db"
        with closing(open_store(options.database or f"sqlite:///{path}")) as store:
            run = ImportRun(store, content, name, HistoryColumns(user, item, when), unit)
            figures = measure(run)
        if path.exists():
            figures["database (MiB)"] = path.stat().st_size >> 20
    publish(f"import_history, {title}", figures)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--file", type=Path, help="a CSV, TSV or JSON-lines log, gzip too")
    parser.add_argument("--columns", default="user_id,item_id,time", help="names of the columns of user, item and time")
    parser.add_argument("--time-unit", default="s", help="s, ms or us")
    parser.add_argument("--events", type=int, default=1_000_000, help="size of the simulated log")
    parser.add_argument("--users", type=int, default=20_000)
    parser.add_argument("--items", type=int, default=5_000)
    parser.add_argument("--folder", type=Path, help="where the database is made")
    parser.add_argument("--database", help="the URL of an empty database instead of a SQLite file")
    return parser.parse_args()


if __name__ == "__main__":
    main()
