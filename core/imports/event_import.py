"""History import: the rows of a file become interactions, applied through the same ingest as everything else.

Safe to run twice, and on a file that was recompressed or appended to: an event without an id of its own is named by a
hash of the file's name, its content and its ordinal among equal rows, so that what is known counts once and true
repeats survive. Independent of file systems or SQL.
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

BATCH_ROWS = 50_000  # per transaction: other writers wait for about a second; a sixth faster than 20,000
MAX_BAD_SHOWN = 20
WRITER = "import"

Progress = Callable[[int, int | None], None]  # bytes read, bytes in all where known


@dataclass(slots=True)
class ImportReport:
    """What became of a file. `bad_lines`: the first few; all are kept as dead letters."""

    num_rows: int = 0
    num_accepted: int = 0
    num_duplicates: int = 0
    num_erased: int = 0
    num_later: int = 0  # not applied, because their time is not before `before_ms`
    num_bad: int = 0
    bad_lines: list[BadLine] = field(default_factory=list)

    def note_bad(self, bad: Sequence[BadLine]) -> None:
        """Count bad lines and keep the first few."""
        self.num_bad += len(bad)
        self.bad_lines += bad[: MAX_BAD_SHOWN - len(self.bad_lines)]


class BrokenImport(InvalidInput):
    """The file broke off: what could be read was applied. `report` says how much."""

    def __init__(self, message: str, report: Any) -> None:
        super().__init__(message)
        self.report = report


@contextmanager
def _no_cycle_search() -> Iterator[None]:
    """Without Python's search for cycles: rows make none, and it would go through all of a batch again and again."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@_no_cycle_search()
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
    """Apply all rows of a file (with time < `before_ms`), in their order; bad lines are kept aside as dead letters.

    Raises `InvalidInput` where the file as a whole cannot be used (nothing was applied) and `BrokenImport` where it
    breaks off.
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
    """The events of a file in its order, named as an import would name them, so that both count one event once."""
    for _, events, bad in _chunks(RowReader(source), source, rules, batch_rows):
        yield from events
        if bad:
            on_bad(bad)


def _chunks(
    reader: RowReader, source: InputFile, rules: RowRules, size: int
) -> Iterator[tuple[int, list[Interaction], list[BadLine]]]:
    """For some lines at a time: how many, their events, and those that are none."""
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
    letters = [DeadLetter(name, 0, line.line, line.reason, line.raw, now_ms) for line in bad]
    result = ingestor.ingest(events, RequestSource(WRITER, live=False), dead_letters=letters)
    report.num_accepted += result.statuses.count(EventStatus.ACCEPTED)
    report.num_duplicates += result.statuses.count(EventStatus.DUPLICATE)
    report.num_erased += result.statuses.count(EventStatus.ERASED)
    report.note_bad(bad)
