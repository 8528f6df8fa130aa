"""The mix of categories over time, for charts: counts by topic code, joined into stretches and given their names back.

Independent of detectors: it shows what was counted, whether anybody monitors it or not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from core.clock import HOUR_MS
from core.drift.records import BUCKET_MS, BucketCounts
from core.ports.drift import DriftReader

MAX_STRETCHES = 40
LENGTHS_MS = (BUCKET_MS, 900_000, *(HOUR_MS * hours for hours in (1, 3, 6, 12, 24, 72, 168, 336, 672)))
MAX_BUCKETS = 100_000
WITHOUT = "without category"


@dataclass(frozen=True, slots=True)
class Stretch:
    """What happened in one stretch of time. `events`: by category."""

    start_ms: int
    events: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Mix:
    """Stretches of one length, oldest first; those without events are left out. `categories`: the strongest first."""

    length_ms: int
    categories: tuple[str, ...]
    stretches: tuple[Stretch, ...]


def read_mix(drift: DriftReader, *, to_ms: int, span_ms: int) -> Mix:
    """The mix of the last `span_ms` before `to_ms`."""
    length_ms = next((one for one in LENGTHS_MS if span_ms <= one * MAX_STRETCHES), LENGTHS_MS[-1])
    starts_ms = drift.counted_ms(after_ms=to_ms - span_ms - 1, before_ms=to_ms + 1, limit=MAX_BUCKETS)
    return mix_of(drift.counts(starts_ms), drift.topics(), length_ms=length_ms)


def mix_of(counts: Mapping[int, BucketCounts], names: Mapping[int, str], *, length_ms: int) -> Mix:
    """Counts by bucket as stretches of `length_ms`; `names`: of the topics' codes."""
    found: dict[int, Counter[str]] = {}
    for start_ms, bucket in counts.items():
        stretch = found.setdefault(start_ms // length_ms * length_ms, Counter())
        for code, num in bucket.topics.items():
            stretch[names.get(code, WITHOUT)] += num
    total = sum(found.values(), Counter[str]())
    ordered = tuple(sorted(total, key=lambda name: (-total[name], name)))
    stretches = tuple(Stretch(start_ms, found[start_ms]) for start_ms in sorted(found) if found[start_ms])
    return Mix(length_ms, ordered, stretches)
