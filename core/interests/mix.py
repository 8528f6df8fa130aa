"""The mix of categories over time: event counts by topic, from stored counts, joined into blocks of equal length.

A period of up to 20 days is read from counts of five minutes, a longer one from those of whole days, so its cost
follows its length and never the number of events. Independent of detectors and charts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from core.clock import DAY_MS, HOUR_MS
from core.drift.segments import NEW, RETURNING
from core.ports.drift import DriftReader
from core.records.drift import BUCKET_MS, BucketCounts

MAX_BLOCKS = 40  # of up to a day; a period of more than 40 days has more
LENGTHS_MS = (BUCKET_MS, 3 * BUCKET_MS, *(HOUR_MS * hours for hours in (1, 3, 6, 12, 24)))
MAX_BUCKETS = 40 * DAY_MS // BUCKET_MS
EVERYBODY = ""
WITHOUT = "without category"


@dataclass(frozen=True, slots=True)
class Period:
    """From `since_ms` to before `until_ms`."""

    since_ms: int
    until_ms: int

    @property
    def length_ms(self) -> int:
        """How long it is."""
        return self.until_ms - self.since_ms

    @property
    def block_ms(self) -> int:
        """The length of its blocks: the shortest, up to a day, of which at most `MAX_BLOCKS` cover it."""
        return next((length for length in LENGTHS_MS if self.length_ms <= length * MAX_BLOCKS), DAY_MS)

    def aligned(self) -> Period:
        """The same with bounds of stored counts; it begins with a day (UTC) if its blocks are days."""
        unit_ms = DAY_MS if self.block_ms == DAY_MS else BUCKET_MS
        return Period(self.since_ms // unit_ms * unit_ms, -(-self.until_ms // BUCKET_MS) * BUCKET_MS)

    def before(self) -> Period:
        """The period of the same length that ends where this one begins."""
        return Period(self.since_ms - self.length_ms, self.since_ms)


@dataclass(frozen=True, slots=True)
class MixBlock:
    """A part of a period. `events`: by category."""

    start_ms: int
    events: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Mix:
    """The non-empty blocks of a period, oldest first. `categories`: most frequent first."""

    period: Period
    block_ms: int
    categories: tuple[str, ...]
    blocks: tuple[MixBlock, ...]

    @property
    def num_events(self) -> int:
        """The events of all blocks."""
        return sum(sum(block.events.values()) for block in self.blocks)

    def empty(self) -> Mix:
        """The same period without events."""
        return Mix(self.period, self.block_ms, (), ())

    def at_most(self, num_blocks: int) -> Mix:
        """The same, with blocks of several days where more than so many would cover the period."""
        block_ms = self.block_ms * -(-self.period.length_ms // (num_blocks * self.block_ms))
        joined: dict[int, Counter[str]] = {}
        for block in self.blocks:
            since_ms = self.period.since_ms
            start_ms = since_ms + (block.start_ms - since_ms) // block_ms * block_ms
            joined.setdefault(start_ms, Counter()).update(block.events)
        blocks = tuple(MixBlock(start_ms, events) for start_ms, events in sorted(joined.items()))
        return Mix(self.period, block_ms, self.categories, blocks)


def read_mixes(drift: DriftReader, period: Period) -> dict[str, Mix]:
    """The mix of an aligned period: of everybody (`EVERYBODY`), and of each segment."""
    return mixes_of(_read(drift, period), drift.topics(), period)


def mixes_of(counts: Mapping[int, BucketCounts], names: Mapping[int, str], period: Period) -> dict[str, Mix]:
    """Counts by start (ms) as mixes by segment; `names`: of topics, by code."""
    by_segment: dict[str, dict[int, Counter[int]]] = {EVERYBODY: {}, NEW: {}, RETURNING: {}}
    for start_ms, bucket in counts.items():
        by_segment[EVERYBODY][start_ms] = bucket.topics
        for name, topics in bucket.segments.items():
            by_segment.setdefault(name, {})[start_ms] = topics
        by_segment[RETURNING][start_ms] = bucket.topics - bucket.segments.get(NEW, Counter())
    return {name: _mix(by_start, names, period) for name, by_start in by_segment.items()}


def _read(drift: DriftReader, period: Period) -> dict[int, BucketCounts]:
    """The counts of a period: of whole days where its blocks are days, of five minutes for the rest."""
    whole_ms = period.since_ms if period.block_ms < DAY_MS else period.until_ms // DAY_MS * DAY_MS
    days = drift.day_counts(since_ms=period.since_ms, before_ms=whole_ms)
    starts_ms = drift.counted_ms(after_ms=whole_ms - 1, before_ms=period.until_ms, limit=MAX_BUCKETS)
    return days | drift.counts(starts_ms)


def _mix(by_start: Mapping[int, Mapping[int, int]], names: Mapping[int, str], period: Period) -> Mix:
    block_ms, since_ms = period.block_ms, period.since_ms
    by_block: dict[int, Counter[str]] = {}
    for start_ms, topics in by_start.items():
        block = by_block.setdefault(since_ms + (start_ms - since_ms) // block_ms * block_ms, Counter())
        for code, num in topics.items():
            block[names.get(code, WITHOUT)] += num
    total = sum(by_block.values(), Counter[str]())
    ordered = tuple(sorted(total, key=lambda name: (-total[name], name)))
    blocks = tuple(MixBlock(start_ms, by_block[start_ms]) for start_ms in sorted(by_block) if by_block[start_ms])
    return Mix(period, block_ms, ordered, blocks)
