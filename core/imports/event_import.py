"""History import: reads a file of events and applies them through ingest.

Idempotent, also for a recompressed or extended file: the event id of a row without one is a hash of the file name, the
row's content and its ordinal among equal rows, so that known rows count once and repeated rows are kept. Independent of
file systems and SQL.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from core.errors import InvalidInput
from core.imports.event_rows import RowMapper, RowRules
from core.imports.rows import BadLine, DamagedFile, InputFile, RowReader
from core.ingestion.ingest import Ingestor
from core.ingestion.sources import RequestSource
from core.interactions import Interaction
from core.records import DeadLetter
from core.statuses import EventStatus

BATCH_ROWS = 50_000  # per transaction: blocks other writers for about a second; a sixth faster than 20,000
MAX_BAD_SHOWN = 20
WRITER = "import"

Progress = Callable[[int, int | None], None]  # bytes read, total bytes if known


@dataclass(slots=True)
class ImportReport:
    """The result of an import. `bad_lines`: the first few; all are stored as dead letters."""

    num_rows: int = 0
    num_accepted: int = 0
    num_duplicates: int = 0
    num_erased: int = 0
    num_later: int = 0  # not applied: their time is not before `before_ms`
    num_bad: int = 0
    bad_lines: list[BadLine] = field(default_factory=list)

    def note_bad(self, bad: Sequence[BadLine]) -> None:
        """Count bad lines and keep the first few."""
        self.num_bad += len(bad)
        self.bad_lines += bad[: MAX_BAD_SHOWN - len(self.bad_lines)]


class BrokenImport(InvalidInput):
    """The file is truncated or damaged; the rows before were applied, see `report`."""

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
    source: InputFile,
    ingestor: Ingestor,
    *,
    rules: RowRules,
    now_ms: int,
    before_ms: int | None = None,
    progress: Progress | None = None,
    batch_rows: int = BATCH_ROWS,
) -> ImportReport:
    """Apply the rows of a file (with time < `before_ms`) in their order; bad lines become dead letters.

    Raises `InvalidInput` if the file cannot be used at all (nothing was applied) and `BrokenImport` if it is truncated
    or damaged.
    """
    reader, report = RowReader(source), ImportReport()
    try:
        for num_lines, events, bad in _chunks(reader, source, rules, batch_rows):
            report.num_rows += num_lines
            if before_ms is not None:
                num_all, events = len(events), [event for event in events if event.time_ms < before_ms]
                report.num_later += num_all - len(events)
            _apply(ingestor, source, events, bad, now_ms, report)
            if progress is not None:
                progress(reader.bytes_read, source.size)
    except DamagedFile as error:
        raise BrokenImport(str(error), report) from None
    return report


def read_history(
    source: InputFile,
    *,
    rules: RowRules,
    on_bad: Callable[[Sequence[BadLine]], None],
    batch_rows: int = BATCH_ROWS,
) -> Iterator[Interaction]:
    """The events of a file in its order, with the event ids of an import, so that both count an event once."""
    for _, events, bad in _chunks(RowReader(source), source, rules, batch_rows):
        yield from events
        if bad:
            on_bad(bad)


def _chunks(
    reader: RowReader, source: InputFile, rules: RowRules, size: int
) -> Iterator[tuple[int, list[Interaction], list[BadLine]]]:
    """The file in chunks: the number of lines, their events and the bad lines."""
    mapper, optional = RowMapper(source.plain_name, rules), tuple(rules.columns.optional().values())
    for chunk in reader.chunks(rules.columns.required, optional=optional, size=size):
        num_lines = chunk.num_lines  # before the mapper moves rows to the bad lines
        yield num_lines, mapper.events(chunk), chunk.bad


def _apply(
    ingestor: Ingestor,
    source: InputFile,
    events: Sequence[Interaction],
    bad: Sequence[BadLine],
    now_ms: int,
    report: ImportReport,
) -> None:
    name = source.plain_name
    dead_letters = [DeadLetter(name, 0, line.line, line.reason, line.raw, now_ms) for line in bad]
    result = ingestor.ingest(events, RequestSource(WRITER, live=False), dead_letters=dead_letters)
    report.num_accepted += result.statuses.count(EventStatus.ACCEPTED)
    report.num_duplicates += result.statuses.count(EventStatus.DUPLICATE)
    report.num_erased += result.statuses.count(EventStatus.ERASED)
    report.note_bad(bad)
