"""Interest over time: the mix of categories of everybody or of one user, compared with a named reference period.

Reads stored counts; for one user, the events of the two periods. Independent of HTTP and SQL.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from core.errors import InvalidInput, NotFound
from core.interests.comparison import PeriodChange, growth, part_change, share_changes
from core.interests.mix import EVERYBODY, Mix, Period, mixes_of, read_mixes
from core.interests.words import sentences, unchanged
from core.ports.store import ReadTransaction
from core.records.drift import BUCKET_MS, BucketCounts
from core.times import minute_text

MAX_SEGMENTS = 40  # those with most events
PAGE = 2_000  # events of a user read at once


@dataclass(frozen=True, slots=True)
class SegmentChanges:
    """A part of all events, as `event.country=DE`. `share`: of all events. `categories`: within the part.

    `mixes`: of the period and of the reference.
    """

    name: str
    mixes: tuple[Mix, Mix]
    share: PeriodChange
    categories: list[PeriodChange]


@dataclass(frozen=True, slots=True)
class InterestReport:
    """What people were interested in. `growth`: None where a period has no whole day with events.

    `user_id`: None for everybody. `segments`: most events first, none for one user. `sentences`: at most three, on what
    has changed beyond chance.
    """

    user_id: str | None
    now: Mix
    reference: Mix
    categories: list[PeriodChange]
    growth: PeriodChange | None
    segments: list[SegmentChanges]
    sentences: list[str]

    @property
    def told(self) -> list[str]:
        """The sentences, or one that says why there are none."""
        return self.sentences or [unchanged(self.categories)]


def interest_report(
    read: ReadTransaction, period: Period, *, reference: Period | None = None, user_id: str | None = None
) -> InterestReport:
    """The report of a period; `reference`: by default the period of the same length before it.

    Raises `InvalidInput` for a period that ends before it begins, and `NotFound` for an unknown user.
    """
    period = _checked(period, "since").aligned()
    reference = _checked(reference or period.before(), "reference_since").aligned()
    mixes = [
        read_mixes(read.drift, each) if user_id is None else _mixes_of_user(read, user_id, each)
        for each in (period, reference)
    ]
    now, before = (mix[EVERYBODY] for mix in mixes)
    segments = _segments(mixes[0], mixes[1]) if user_id is None else []
    categories, volume = share_changes(now, before), growth(now, before)
    told = sentences(categories, volume, [segment.share for segment in segments], user_id=user_id)
    return InterestReport(user_id, now, before, categories, volume, segments, told)


def _checked(period: Period, field: str) -> Period:
    if period.length_ms <= 0:
        until, since = minute_text(period.until_ms), minute_text(period.since_ms)
        msg = f"{field}: wanted a time before the end of the period, {until} UTC, got {since} UTC"
        raise InvalidInput(msg, field=field)
    return period


def _segments(now: dict[str, Mix], before: dict[str, Mix]) -> list[SegmentChanges]:
    parts = []
    for name in (now.keys() | before.keys()) - {EVERYBODY}:
        part = (now.get(name) or now[EVERYBODY].empty(), before.get(name) or before[EVERYBODY].empty())
        if any(mix.blocks for mix in part):
            share = part_change(name, part, (now[EVERYBODY], before[EVERYBODY]))
            parts.append(SegmentChanges(name, part, share, share_changes(*part)))
    return sorted(parts, key=lambda part: (-part.mixes[0].num_events, part.name))[:MAX_SEGMENTS]


def _mixes_of_user(read: ReadTransaction, user_id: str, period: Period) -> dict[str, Mix]:
    """As `read_mixes`, from the events of one user in the period."""
    state = read.users.find(user_id)
    if state is None:
        msg = f"user {user_id!r} is not known"
        raise NotFound(msg)
    counts: dict[int, BucketCounts] = {}
    before = (period.until_ms, 0)  # (time, sequence)
    while page := read.events.history_page(state.key, before=before, limit=PAGE):
        rows = [row for row in page if row.time_ms >= period.since_ms]
        facts = read.drift.item_facts(sorted({row.item_key for row in rows}))
        for row in rows:
            bucket = counts.setdefault(row.time_ms // BUCKET_MS * BUCKET_MS, BucketCounts(topics=Counter()))
            bucket.topics[facts[row.item_key].topic] += 1
        if len(rows) < PAGE:
            break
        before = (rows[-1].time_ms, rows[-1].user_seq)
    return mixes_of(counts, read.drift.topics(), period)
