"""How many rows of a file one transaction applies: more while nobody else writes, few from when somebody does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC

import pytest
from doubles import MemoryStore, MemoryTransaction
from file_doubles import rows_of

from core.events.history import WindowShape
from core.events.interactions import EventTypes
from core.imports import event_import
from core.imports.event_import import ImportReport, import_history
from core.imports.event_rows import HistoryColumns, RowRules
from core.ingestion.ingest import Ingestor

NOW_MS = 1_800_000_000_000
RULES = RowRules(
    columns=HistoryColumns(),
    time_unit="s",
    types=EventTypes(),
    default_type="view",
    latest_ms=NOW_MS,
    zone=UTC,
    type_names={},
)


class BusyStore(MemoryStore):
    """Notes the events of each transaction; after `num_alone` that added events, another process waits for one."""

    def __init__(self, num_alone: int) -> None:
        super().__init__()
        self._num_alone = num_alone
        self.sizes: list[int] = []

    @property
    def others_wait(self) -> bool:  # type: ignore[override]
        return len(self.sizes) == self._num_alone

    @contextmanager
    def transaction(self) -> Iterator[MemoryTransaction]:
        before = self._num_events()
        with super().transaction() as transaction:
            yield transaction
        if self._num_events() > before:
            self.sizes.append(self._num_events() - before)

    def _num_events(self) -> int:
        with self.read() as read:
            return len(read.data.events)


class Clock:
    """Transactions take these seconds, the last of them from then on."""

    def __init__(self, *seconds: float) -> None:
        self._left = list(seconds)
        self._now_s, self._num_read = 0.0, 0

    def monotonic(self) -> float:
        """Read before and after each transaction."""
        self._num_read += 1
        if self._num_read % 2 == 0:
            self._now_s += self._left.pop(0) if len(self._left) > 1 else self._left[0]
        return self._now_s


def imported(num_rows: int, *, num_alone: int = 1000) -> list[int]:
    """The sizes of the transactions of a file, of which the first is to hold two rows."""
    store = BusyStore(num_alone)
    take(store, num_rows, ImportReport())
    assert sum(store.sizes) == num_rows
    return store.sizes


def take(store: BusyStore, num_rows: int, report: ImportReport, *, batch_rows: int = 2) -> None:
    content = "user_id,item_id,time\n" + "".join(f"ann,tea{n},{1_700_000_000 + n}\n" for n in range(num_rows))
    ingestor = Ingestor(store, types=EventTypes(), shape=WindowShape())
    rows = rows_of("log.csv", content)
    import_history(rows, ingestor, rules=RULES, now_ms=NOW_MS, store=store, batch_rows=batch_rows, report=report)


@pytest.fixture(autouse=True)
def few_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_import, "MAX_ROWS", 16)


def test_transactions_double_up_to_the_most_rows() -> None:
    assert imported(50) == [2, 4, 8, 16, 16, 4]


def test_from_when_another_process_has_waited_transactions_are_small() -> None:
    assert imported(22, num_alone=3) == [2, 4, 8, 2, 2, 2, 2]


def test_transactions_that_keep_others_waiting_for_long_shrink(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_import, "FEWEST_ROWS", 2)
    store = BusyStore(1)
    monkeypatch.setattr(BusyStore, "held_s", property(lambda self: 0.1 if len(self.sizes) < 5 else 3.0))
    take(store, 56, ImportReport(), batch_rows=16)
    assert store.sizes == [2, 4, 8, 2, 16, 8, 4, 2, 2, 2, 2, 2, 2]


def test_the_first_transaction_is_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_import, "FEWEST_ROWS", 2)
    store = BusyStore(1000)
    take(store, 32, ImportReport(), batch_rows=16)
    assert store.sizes == [2, 4, 8, 2, 16]


def test_transactions_grow_again_where_others_hardly_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_import, "FEWEST_ROWS", 2)
    store = BusyStore(1)
    monkeypatch.setattr(BusyStore, "held_s", property(lambda self: 3.0 if len(self.sizes) < 3 else 0.1))
    take(store, 64, ImportReport(), batch_rows=16)
    assert store.sizes == [2, 2, 2, 4, 6, 16, 16, 16]


def test_transactions_that_take_long_do_not_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_import, "time", Clock(13.0))
    assert imported(7) == [2, 2, 2, 1]


def test_transactions_that_others_would_give_up_waiting_for_shrink(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_import, "time", Clock(1.0, 1.0, 1.0, 26.0))
    assert imported(40) == [2, 4, 8, 16, 8, 2]


def test_the_report_of_an_interrupted_import_says_what_was_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    store, report, clock = BusyStore(1000), ImportReport(), Clock(0.0)
    seconds = iter([0.0] * 4)  # before and after each of two transactions

    def monotonic() -> float:
        if (second := next(seconds, None)) is None:
            raise KeyboardInterrupt
        return second

    monkeypatch.setattr(clock, "monotonic", monotonic)
    monkeypatch.setattr(event_import, "time", clock)
    with pytest.raises(KeyboardInterrupt):
        take(store, 50, report)
    assert report.num_accepted == sum(store.sizes) == 6
