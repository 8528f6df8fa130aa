"""What it costs a process to follow changes: the CPU time of a refresh by kind of change, at any number of items.

    python -m benchmarks.snapshot_changes --items 10000 100000

Without a model: that adds the encoding of each item with new content and its place in the index. The databases are
files of their own in the system's temporary folder.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np

from benchmarks.report import publish
from core.catalogue.items import Item
from core.events.history import WindowShape
from core.events.interactions import EventTypes, Interaction
from core.ingestion.ingest import Ingestor
from core.ingestion.sources import RequestSource
from core.manage import save_items
from core.ports.store import Store
from core.recommendation.snapshots.snapshot_manager import SnapshotManager
from core.records.stored import ModelRecord
from core.transitions.counts import CountRules
from index.live import LiveIndex
from storage import open_store

BATCH = 20_000
NUM_ROUNDS = 20


def item(number: int, *, title: str = "", price: float = 0.0, hidden: bool = False) -> Item:
    """An item with text, a category and two attributes."""
    attributes = {"price": price or number % 1000, "brand": f"brand {number % 200}"}
    return Item(f"i{number}", title or f"title {number}", "some text", (f"c{number % 50}",), attributes, hidden)


def fill(store: Store, num_items: int) -> None:
    """A catalogue in which every item has been popular."""
    for begin in range(0, num_items, BATCH):
        save_items(store, [item(number) for number in range(begin, min(num_items, begin + BATCH))])
    with store.transaction() as tx:
        writer = tx.offsets.lock("api", [0])[0]
        tx.popularity.add(writer.key, {key: float(key % 17) for key in range(1, num_items + 1)})
        tx.commit()


def no_model(record: ModelRecord) -> None:
    """There is no champion."""
    raise AssertionError(record)


def measured(store: Store, num_items: int) -> dict[str, float]:
    """Median milliseconds of CPU by kind of change; `start` and `idle` without one."""
    snapshots = SnapshotManager(
        store,
        load=no_model,  # type: ignore[arg-type]
        build=LiveIndex.flat,
        shape=WindowShape(),
        count_rules=CountRules(),
    )
    ingestor = Ingestor(store, types=EventTypes(), shape=WindowShape())

    def clicked(number: int) -> None:
        event = Interaction(f"e{number}", "ann", f"i{number}", "click", 1_700_000_000_000 + number)
        ingestor.ingest([event], RequestSource("api"))

    changes: dict[str, Callable[[int], object]] = {
        "idle": lambda _: None,
        "attributes": lambda number: save_items(store, [item(7, price=number + 0.5)]),
        "hidden or shown": lambda number: save_items(store, [item(8, hidden=number % 2 == 0)]),
        "content": lambda number: save_items(store, [item(9, title=f"another {number}")]),
        "new item": lambda number: save_items(store, [item(num_items + number)]),
        "event": clicked,
    }
    costs_ms = {"start": cpu_ms(snapshots.refresh)}
    derive(snapshots)
    costs_ms["items unchanged"] = float(np.median([cpu_ms(snapshots.follow_items) for _ in range(NUM_ROUNDS)]))
    for name, change in changes.items():
        rounds = []
        for number in range(NUM_ROUNDS):
            change(number)
            rounds.append(cpu_ms(snapshots.refresh))
        costs_ms[name] = float(np.median(rounds))
    return costs_ms


def derive(snapshots: SnapshotManager) -> None:
    """Have everything computed that filters and searches need, as in a process that has answered."""
    catalogue = snapshots.current().catalogue
    for name in ("by_attribute", "category_rows", "newest_first", "searched"):
        getattr(catalogue, name)
    catalogue.row_of("i1")


def cpu_ms(work: Callable[[], object]) -> float:
    """The CPU time of a call."""
    begin_s = time.process_time()
    work()
    return (time.process_time() - begin_s) * 1000


def main() -> None:
    """Print a line for each size."""
    parser = argparse.ArgumentParser(description="The CPU time of a refresh by kind of change.")
    parser.add_argument("--items", type=int, nargs="+", default=[10_000, 100_000])
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        for num_items in parser.parse_args().items:
            with closing(open_store(f"sqlite:///{Path(folder) / str(num_items)}.db")) as store:
                fill(store, num_items)
                costs_ms = measured(store, num_items)
            results[f"{num_items:,} items"] = {name: f"{ms:.2f} ms" for name, ms in costs_ms.items()}
    publish("CPU of a refresh", results)


if __name__ == "__main__":
    main()
