"""A real log through import: every event counted once, windows as plain Python computes them from the file.

Name the file in TIDEWISE_TEST_LOG: tab-separated (gzip too), a header, then user, item and unix seconds.
"""

import csv
import gzip
import os
from collections import defaultdict
from collections.abc import Iterator

import pytest
from file_doubles import rows_of

from core.events.history import WindowShape
from core.events.interactions import EventTypes
from core.imports.event_import import ImportReport, import_history
from core.imports.event_rows import HistoryColumns, RowRules
from core.ingestion.ingest import Ingestor
from core.ports.store import Store
from storage import open_store

NUM_ROWS = 60_000
SIZE, STEP = 50, 10
NOW_MS = 1_800_000_000_000

pytestmark = pytest.mark.skipif("TIDEWISE_TEST_LOG" not in os.environ, reason="TIDEWISE_TEST_LOG names no file")


@pytest.fixture(scope="module")
def rows() -> list[tuple[str, str, int]]:
    """The first rows of the file, after its header."""
    with gzip.open(os.environ["TIDEWISE_TEST_LOG"], "rt", newline="") as file:
        reader = csv.reader(file, delimiter="\t")
        next(reader)
        return [(row[0], row[1], int(row[2]) * 1000) for row, _ in zip(reader, range(NUM_ROWS), strict=False)]


@pytest.fixture(scope="module")
def store(rows: list[tuple[str, str, int]], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A database into which the rows were imported."""
    store = open_store(f"sqlite:///{tmp_path_factory.mktemp('log')}/log.db")
    assert import_into(store, rows).num_accepted == len(rows)
    yield store
    store.close()


def import_into(store: Store, rows: list[tuple[str, str, int]]) -> ImportReport:
    text = "user\titem\ttime\n" + "".join(f"{user}\t{item}\t{time_ms}\n" for user, item, time_ms in rows)
    ingestor = Ingestor(store, types=EventTypes(), shape=WindowShape(SIZE, STEP))
    return import_history(
        rows_of("log.tsv", text),
        ingestor,
        rules=RowRules(
            HistoryColumns("user", "item", "time"), "ms", EventTypes(), default_type="click", latest_ms=NOW_MS
        ),
        now_ms=NOW_MS,
        batch_rows=7_000,
    )


def plain_windows(rows: list[tuple[str, str, int]]) -> dict[str, list[tuple[str, int]]]:
    """Each user's window by the rule, from the file alone; ties keep the order of the file."""
    histories = defaultdict(list)
    for user, item, time_ms in rows:
        histories[user].append((item, time_ms))
    windows = {}
    for user, history in histories.items():
        history.sort(key=lambda event: event[1])
        overhang = max(0, len(history) - SIZE)
        windows[user] = history[-(-overhang // STEP) * STEP :]
    return windows


def test_importing_again_adds_no_events(store: Store, rows: list[tuple[str, str, int]]) -> None:
    report = import_into(store, rows)
    assert (report.num_accepted, report.num_duplicates) == (0, len(rows))
    with store.read() as read:
        assert read.totals().events == len(rows)


def test_windows_equal_those_computed_in_plain_python(store: Store, rows: list[tuple[str, str, int]]) -> None:
    with store.read() as read:
        catalogue = read.items.catalogue(include_uncatalogued=True)
        names = dict(zip(catalogue.keys.tolist(), catalogue.item_ids, strict=True))
        for user, expected in plain_windows(rows).items():
            state = read.users.find(user)
            assert state is not None
            history = state.window.history
            window = [
                (names[key], time_ms)
                for key, time_ms in zip(history.items.tolist(), history.times_ms.tolist(), strict=True)
            ]
            assert window == expected, user
