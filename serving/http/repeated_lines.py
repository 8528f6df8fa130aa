"""Log lines that a client without a key may cause: some of a kind in a while, and then how many more there were."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from threading import Lock

PERIOD_S = 60.0
NUM_LINES = 10  # of a kind, in a period
KINDS = 100  # whose lines are counted; all others are one kind
OTHERS = "others"


@dataclass(slots=True)
class _Period:
    """What was logged of one kind since the period began."""

    began_s: float
    level: int
    num_lines: int = 0


class RepeatedLines(logging.Filter):
    """Lets `NUM_LINES` of a kind pass in `PERIOD_S`; `summarise` logs how many more there were once that is over.

    Of one kind are lines of the same text before its values are put in. Else anybody who can connect could fill the
    disk, or bury what matters.
    """

    def __init__(self, logger: logging.Logger, *, now_s: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._logger = logger
        self._now_s = now_s
        self._periods: dict[str, _Period] = {}
        self._lock = Lock()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is logged."""
        if record.levelno < logging.INFO or hasattr(record, "is_summary"):
            return True
        self.summarise()
        with self._lock:
            kind = str(record.msg)
            if kind not in self._periods and len(self._periods) >= KINDS:
                kind = OTHERS
            period = self._periods.setdefault(kind, _Period(self._now_s(), record.levelno))
            period.num_lines += 1
            return period.num_lines <= NUM_LINES

    def summarise(self) -> None:
        """Log a line for each kind of which lines were left out and whose period is over; it begins anew."""
        with self._lock:
            over = {
                kind: period for kind, period in self._periods.items() if self._now_s() - period.began_s >= PERIOD_S
            }
            for kind in over:
                del self._periods[kind]
        for kind, period in over.items():
            if (num_more := period.num_lines - NUM_LINES) > 0:
                message = "%d more lines like this one in %.0f s were left out: %s"
                self._logger.log(period.level, message, num_more, PERIOD_S, kind, extra={"is_summary": True})


@contextmanager
def limited_lines(*names: str) -> Iterator[Callable[[], None]]:
    """Limit what the loggers of these names write while the block runs; the function sums up what was left out."""
    limits = [RepeatedLines(logging.getLogger(name)) for name in names]
    for name, limit in zip(names, limits, strict=True):
        logging.getLogger(name).addFilter(limit)
    try:
        yield partial(_summarise, limits)
    finally:
        for name, limit in zip(names, limits, strict=True):
            logging.getLogger(name).removeFilter(limit)


def _summarise(limits: Iterable[RepeatedLines]) -> None:
    for limit in limits:
        limit.summarise()
