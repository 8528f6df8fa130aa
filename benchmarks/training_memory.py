"""The peak memory of a training by its number of events: reading them, preparing them, the first steps.

    python -m benchmarks.training_memory --events 10000000
    python -m benchmarks.training_memory --events 10000000 --database postgresql+psycopg://me@host/empty

Fills a database with seeded events of users with 50 events on average, then trains in a new process through the same
code as `tidewise train`, for one minute. The figures are the peak resident memory of that process after each stage.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.report import publish
from core.catalogue.items import Item
from core.clock import DAY_MS
from core.lease import NoLease
from core.records.stored import EventRow
from storage import SqlStore
from tidewise.bootstrap import open_system
from tidewise.settings.schema import Settings, load_settings
from tidewise.training.learning import learning_cycle

EVENTS_PER_USER = 50
CHUNK = 100_000
START_MS = 1_600_000_000_000
PERIOD_MS = 300 * DAY_MS


def fill(store: SqlStore, *, num_events: int, num_items: int, seed: int) -> None:
    """Store items and events; a user's events are in ascending time."""
    rng = np.random.default_rng(seed)
    with store.transaction() as tx:
        ids = [f"item-{number}" for number in range(num_items)]
        items = [
            Item(item_id, f"word{number % 997} word{number % 101}", "", (), {}) for number, item_id in enumerate(ids)
        ]
        tx.items.save(items, now_ms=START_MS)
        keys = np.fromiter(tx.items.resolve(ids).values(), np.int64)
        tx.commit()
    for first in range(0, num_events, CHUNK):
        numbers = np.arange(first, min(first + CHUNK, num_events))
        users, ranks = numbers // EVENTS_PER_USER + 1, numbers % EVENTS_PER_USER
        times_ms = START_MS + ranks * (PERIOD_MS // EVENTS_PER_USER) + rng.integers(0, DAY_MS, len(numbers))
        chosen = keys[(num_items * rng.random(len(numbers)) ** 2).astype(np.int64)]
        columns = (numbers.tolist(), users.tolist(), chosen.tolist(), times_ms.tolist(), ranks.tolist())
        rows = [
            EventRow(number.to_bytes(16, "big"), user, item, 0, time_ms, rank + 1, None, None, None)
            for number, user, item, time_ms, rank in zip(*columns, strict=True)
        ]
        with store.transaction() as tx:
            tx.events.insert(rows)
            tx.commit()


def measure(settings: Settings) -> dict[str, object]:
    """Read the events once, then train; the peaks of this process in MiB and its CPU seconds."""
    import model.training.train  # noqa: F401 (its memory is reported apart)

    figures: dict[str, object] = {"imports_mib": peak_mib()}
    with open_system(settings) as system:
        started_s = time.process_time()
        with system.store.read() as read:
            columns = read.events.columns(type_codes=system.types.flagged("window"))
        figures |= {"events": len(columns), "reading_mib": peak_mib(), "reading_cpu_s": _since(started_s)}
        del columns

        def first_step(_: object) -> None:
            figures.setdefault("preparing_mib", peak_mib())

        cycle = learning_cycle(system, lease=NoLease(system.store), progress=first_step)
        started_s = time.process_time()
        cycle.train_champion(operator="benchmark", reason="memory")
        return {**figures, "training_mib": peak_mib(), "training_cpu_s": _since(started_s)}


def peak_mib() -> int:
    """The peak resident memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def _since(started_s: float) -> float:
    return round(time.process_time() - started_s, 1)


def main() -> None:
    """Fill a database, measure in another process, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--items", type=int, default=20_000)
    parser.add_argument("--minutes", type=float, default=1.0, help="of training")
    parser.add_argument("--database", default="", help="URL of an empty database; default: SQLite")
    parser.add_argument("--folder", type=Path, help="a folder to keep; what an earlier run stored there is used again")
    parser.add_argument("--measure", action="store_true", help="measure only (for the process that this starts)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        overrides = {"data.folder": str(folder), "train.max_minutes": str(options.minutes), "train.epochs": "1"}
        overrides |= {"database.url": options.database} if options.database else {}
        settings = load_settings(overrides=overrides)
        if options.measure:
            sys.stdout.write(json.dumps(measure(settings)))
            return
        filled = folder / "filled"
        if not filled.exists():
            with open_system(settings) as system:
                assert isinstance(system.store, SqlStore)
                fill(system.store, num_events=options.events, num_items=options.items, seed=0)
            filled.touch()
        arguments = ["--measure", "--folder", str(folder), "--minutes", str(options.minutes)]
        arguments += ["--database", options.database] if options.database else []
        command = [sys.executable, "-m", "benchmarks.training_memory", *arguments]
        result = subprocess.run(command, check=True, stdout=subprocess.PIPE)
        publish("Peak memory of a training", json.loads(result.stdout))


if __name__ == "__main__":
    main()
