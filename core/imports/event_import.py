"""History import: reads a file of events and applies them through ingest.

Idempotent, also for a recompressed, renamed or extended file: the event id of a row without one is a hash of the file
name, the row's content and its ordinal among equal rows, so that known rows count once and repeated rows are kept. A
file whose first rows were imported under another name counts as that file. Independent of file systems and SQL.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from core.errors import InvalidInput
from core.events.interactions import Interaction
from core.imports.event_names import EventNames, fingerprints
from core.imports.event_rows import RowMapper, RowRules
from core.imports.rows import BadLine, DamagedFile, RowReader, plain_name
from core.ingestion.ingest import Ingestor
from core.ingestion.sources import RequestSource
from core.ports.store import Store
from core.records.statuses import EventStatus
from core.records.stored import DeadLetter

BATCH_ROWS = 50_000  # read at once, and at most in one transaction where others write
MAX_ROWS = 800_000  # in one transaction: the more, the fewer times the window of a user is read and written
GROWS_BELOW_S = 12.0  # a transaction: twice the rows take less than twice as long
SHRINKS_ABOVE_S = 25.0  # other processes wait for up to 40 s (storage.turns)
FEWEST_ROWS = 5_000  # in the first transaction, and where others write and
WAITED_S = 2.0  # larger ones kept them waiting for longer than this
MAX_BAD_SHOWN = 20
MAX_BAD_ROWS = 1_000  # where most rows are bad: the columns or the unit are wrong, not the rows
FINGERPRINT_ROWS = 1_000
IMPORTED = "imported."  # metadata: fingerprint of the first rows (of fewer: their number, ".", it) -> name of the file
WRITER = "import"

Progress = Callable[[int, int | None], None]  # bytes read, total bytes if known


@dataclass(slots=True)
class ImportReport:
    """The result of an import. `bad_lines`: the first few; all are stored as dead letters.

    `known_as`: the name under which the rows of the file were imported before, if another.
    """

    num_rows: int = 0
    num_accepted: int = 0
    num_duplicates: int = 0
    num_erased: int = 0
    num_later: int = 0  # not applied: their time is not before `before_ms`
    num_bad: int = 0
    num_cut: int = 0  # texts of items longer than the limit
    bad_lines: list[BadLine] = field(default_factory=list)
    known_as: str | None = None

    def note_bad(self, bad: Sequence[BadLine]) -> None:
        """Count bad lines and keep the first few."""
        self.num_bad += len(bad)
        self.bad_lines += bad[: MAX_BAD_SHOWN - len(self.bad_lines)]

    def check_bad(self, name: str, bad: Sequence[BadLine], *, is_last: bool, stores: bool = True) -> None:
        """Raise `BrokenImport` where most rows are bad; `bad`: of the next batch, whose rows are counted already."""
        num_bad = self.num_bad + len(bad)
        num_good = self.num_rows - num_bad
        if (num_good or not num_bad or not is_last) and (num_bad < MAX_BAD_ROWS or num_bad <= num_good):
            return
        stored = "nothing was stored; " if stores and not self.num_accepted + self.num_duplicates else ""
        self.note_bad(bad)
        first = self.bad_lines[0]
        msg = (
            f"{name}: stopped, because {num_bad:,} of the first {self.num_rows:,} rows are bad; {stored}"
            f"line {first.line}: {first.reason}; check the names of the columns, their units and the format (--dry-run)"
        )
        raise BrokenImport(msg, self)


class BrokenImport(InvalidInput):
    """The file is damaged, or most of its rows are bad; what was applied before is in `report`."""

    def __init__(self, message: str, report: Any) -> None:
        super().__init__(message)
        self.report = report


@contextmanager
def _without_gc() -> Iterator[None]:
    """Disable the cyclic garbage collector: rows have no cycles, and it would traverse each batch repeatedly."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@_without_gc()
def import_history(
    reader: RowReader,
    ingestor: Ingestor,
    *,
    rules: RowRules,
    now_ms: int,
    store: Store | None = None,
    before_ms: int | None = None,
    progress: Progress | None = None,
    batch_rows: int = BATCH_ROWS,
    report: ImportReport | None = None,
) -> ImportReport:
    """Apply the rows of a file (with time < `before_ms`) in their order; bad lines become dead letters.

    `report`: is filled meanwhile, and says what was stored also after Ctrl-C or a full disk.
    `store`: remembers what the file begins with, to recognise it under another name; transactions grow while no other
    process waits for it. Raises `InvalidInput` if the file cannot be used at all (nothing was applied) and
    `BrokenImport` if it is truncated or damaged, or most rows are bad.
    """
    report, names = report or ImportReport(), None
    waiting = _WaitingRows(ingestor, plain_name(reader.name), store, report, now_ms=now_ms, num_rows=batch_rows)
    try:
        for num_lines, events, bad in _chunks(reader, rules, batch_rows):
            report.num_rows += num_lines
            report.check_bad(reader.name, bad, is_last=num_lines < batch_rows)
            if names is None:
                names = _names_of(reader, events, store, report)
            if rules.columns.event_id is None:
                names.name(events)
            if before_ms is not None:
                num_all, events = len(events), [event for event in events if event.time_ms < before_ms]
                report.num_later += num_all - len(events)
            waiting.add(events, bad)
            if progress is not None:
                progress(reader.bytes_read, reader.size)
    except DamagedFile as error:
        waiting.apply()
        raise BrokenImport(str(error), report) from None
    waiting.apply()
    return report


def read_history(
    reader: RowReader,
    *,
    rules: RowRules,
    on_bad: Callable[[Sequence[BadLine]], None],
    batch_rows: int = BATCH_ROWS,
) -> Iterator[Interaction]:
    """The events of a file in its order, with the event ids of an import, so that both count an event once.

    Raises as `import_history` does.
    """
    names, report = EventNames(plain_name(reader.name)), ImportReport()
    for num_lines, events, bad in _chunks(reader, rules, batch_rows):
        report.num_rows += num_lines
        report.check_bad(reader.name, bad, is_last=num_lines < batch_rows, stores=False)
        if rules.columns.event_id is None:
            names.name(events)
        yield from events
        report.note_bad(bad)
        if bad:
            on_bad(bad)


def _chunks(reader: RowReader, rules: RowRules, size: int) -> Iterator[tuple[int, list[Interaction], list[BadLine]]]:
    """The file in chunks: the number of lines, their events without ids, and the bad lines."""
    mapper, optional = RowMapper(rules), tuple(rules.columns.optional().values())
    chunks = reader.chunks(rules.columns.required, optional=optional, size=size)
    while True:
        with _without_gc():  # not while others use what is yielded
            chunk = next(chunks, None)
            if chunk is None:
                return
            num_lines = chunk.num_lines  # before the mapper moves rows to the bad lines
            events = mapper.events(chunk)
        yield num_lines, events, chunk.bad


def _names_of(
    reader: RowReader, events: Sequence[Interaction], store: Store | None, report: ImportReport
) -> EventNames:
    """The names of a file's events, by the name under which a file with these first rows was imported first."""
    name = plain_name(reader.name)
    if store is None or not events:
        return EventNames(name)
    with store.read() as read:
        names = {key: value for key, value in read.metadata.all().items() if key.startswith(IMPORTED)}
    num = min(len(events), FINGERPRINT_ROWS)
    sizes = {num, *(int(size) for key in names if (size := key.removeprefix(IMPORTED).rpartition(".")[0]))}
    hashes = fingerprints(events, sizes)
    # Before 0.2 the number of rows of a short file was not kept.
    keys = [f"{IMPORTED}{hashes[num]}", *(f"{IMPORTED}{size}.{hashes[size]}" for size in sorted(hashes, reverse=True))]
    known = next((names[key] for key in keys if key in names), None)
    if known is None:
        with store.transaction() as tx:
            tx.metadata.save({keys[0] if num == FINGERPRINT_ROWS else f"{IMPORTED}{num}.{hashes[num]}": name})
            tx.commit()
    elif known != name:
        report.known_as = known
    return EventNames(known or name)


class _WaitingRows:
    """Rows that have been read and not yet applied, until there are enough for a transaction."""

    def __init__(
        self, ingestor: Ingestor, name: str, store: Store | None, report: ImportReport, *, now_ms: int, num_rows: int
    ) -> None:
        """`num_rows`: the most of a transaction where another process writes."""
        self._ingestor, self._name, self._store, self._report, self._now_ms = ingestor, name, store, report, now_ms
        self._most_shared = num_rows
        self._num_rows = num_rows if store is None else min(FEWEST_ROWS, num_rows)  # of the next transaction
        self._grows = store is not None
        self._events: list[Interaction] = []
        self._bad: list[BadLine] = []

    def add(self, events: Sequence[Interaction], bad: Sequence[BadLine]) -> None:
        """Add rows, and apply them where there are enough."""
        self._events += events
        self._bad += bad
        if len(self._events) + len(self._bad) >= self._num_rows:
            self.apply()

    def apply(self) -> None:
        """Apply all rows that wait."""
        while self._events or self._bad:
            self._apply_some()

    def _apply_some(self) -> None:
        """Apply as many rows as a transaction takes, and all bad lines."""
        events, self._events = self._events[: self._num_rows], self._events[self._num_rows :]
        bad, self._bad = self._bad, []
        begin_s = time.monotonic()
        dead_letters = [DeadLetter(self._name, 0, line.line, line.reason, line.raw, self._now_ms) for line in bad]
        result = self._ingestor.ingest(events, RequestSource(WRITER, live=False), dead_letters=dead_letters)
        self._resize(time.monotonic() - begin_s)
        report = self._report
        report.num_accepted += result.statuses.count(EventStatus.ACCEPTED)
        report.num_duplicates += result.statuses.count(EventStatus.DUPLICATE)
        report.num_erased += result.statuses.count(EventStatus.ERASED)
        report.note_bad(bad)

    def _resize(self, seconds: float) -> None:
        """Choose the rows of the next transaction: few from when another process has waited for one."""
        if self._store is None:
            return
        self._grows = self._grows and not self._store.others_wait
        if not self._grows:
            self._num_rows = min(self._num_rows, self._most_shared)
            if self._store.held_s > WAITED_S:
                self._num_rows = max(self._num_rows // 2, min(FEWEST_ROWS, self._most_shared))
            elif self._store.held_s < WAITED_S / 4:
                self._num_rows = min(2 * self._num_rows, self._most_shared)
        elif seconds < GROWS_BELOW_S:
            self._num_rows = min(2 * self._num_rows, max(MAX_ROWS, self._most_shared))
        elif seconds > SHRINKS_ABOVE_S:
            self._num_rows = max(self._num_rows // 2, self._most_shared)
