"""Drift monitoring: counts per bucket and writer, sampled events with scores, closed buckets, points and alarms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from operator import itemgetter

from sqlalchemy import bindparam, delete, func, select, update
from sqlalchemy.sql.elements import CompilerElement

from core.errors import StoreConflict
from core.records.drift import Alarm, Bucket, BucketCounts, ItemFacts, Point, SampledEvent, Score
from storage.codec import pack_json, unpack_json
from storage.dialects import Dialect, Row
from storage.repositories import topic_days, topics
from storage.repositories.drift_codec import pack_bucket, pack_counts, unpack_bucket, unpack_counts, unpack_num_events
from storage.repositories.items import ItemRepository
from storage.session import Session
from storage.tables import drift_alarms, drift_buckets, drift_counts, drift_points, drift_scores, items

ALARM = tuple(field.name for field in fields(Alarm))
DETECTED = tuple(name for name in ALARM if name not in ("sent_ms", "num_attempts"))  # written by the monitor
SCORE = (drift_scores.c.event_key, drift_scores.c.user_key, drift_scores.c.time_ms)
SCORED = ("version", "rank", "loss", "topic", "segments", "confidence")


def _item_facts(dialect: Dialect) -> CompilerElement:
    return select(items.c.key, items.c.topic, items.c.created_ms).where(dialect.is_in(items.c.key, "item_keys"))


def _set_topics(dialect: Dialect) -> CompilerElement:
    return dialect.update(items, "topic", key="key")


def _counts_of_writer(dialect: Dialect) -> CompilerElement:
    own = (drift_counts.c.writer_key == bindparam("writer_key"), dialect.is_in(drift_counts.c.bucket_ms, "buckets"))
    return select(drift_counts.c.bucket_ms, drift_counts.c.counts).where(*own)


def _save_counts(dialect: Dialect) -> CompilerElement:
    insert = dialect.insert(drift_counts, "bucket_ms", "writer_key", "counts")
    new = {"counts": insert.excluded.counts}
    return insert.on_conflict_do_update(index_elements=["bucket_ms", "writer_key"], set_=new)


def _all_counts(dialect: Dialect) -> CompilerElement:
    return select(drift_counts.c.bucket_ms, drift_counts.c.counts).where(
        dialect.is_in(drift_counts.c.bucket_ms, "buckets")
    )


def _counted(dialect: Dialect) -> CompilerElement:
    start = drift_counts.c.bucket_ms
    between = (start > bindparam("after_ms"), start < bindparam("before_ms"))
    return select(start).distinct().where(*between).order_by(start).limit(bindparam("limit"))


def _add_samples(dialect: Dialect) -> CompilerElement:
    return dialect.insert(drift_scores, "event_key", "user_key", "time_ms", "scored").on_conflict_do_nothing()


def _save_scores(dialect: Dialect) -> CompilerElement:
    return dialect.update(drift_scores, "scored", *SCORED, key="event_key")


def _unscored(dialect: Dialect) -> CompilerElement:
    oldest = (drift_scores.c.time_ms, drift_scores.c.event_key)
    return select(*SCORE).where(drift_scores.c.scored.is_(False)).order_by(*oldest).limit(bindparam("limit"))


def _scored(dialect: Dialect) -> CompilerElement:
    between = (drift_scores.c.time_ms >= bindparam("from_ms"), drift_scores.c.time_ms < bindparam("to_ms"))
    rows = select(*SCORE, *(drift_scores.c[name] for name in SCORED)).where(drift_scores.c.scored, *between)
    return rows.order_by(drift_scores.c.time_ms, drift_scores.c.event_key)


def _delete_scores(dialect: Dialect) -> CompilerElement:
    return delete(drift_scores).where(drift_scores.c.time_ms < bindparam("before_ms"))


def _delete_sample(dialect: Dialect) -> CompilerElement:
    return delete(drift_scores).where(drift_scores.c.event_key == bindparam("event_key"))


def _move_scores(dialect: Dialect) -> CompilerElement:
    moved = drift_scores.c.user_key == bindparam("source_key")
    return update(drift_scores).where(moved).values(user_key=bindparam("target_key"))


def _delete_scores_of_user(dialect: Dialect) -> CompilerElement:
    return delete(drift_scores).where(drift_scores.c.user_key == bindparam("user_key"))


def _add_bucket(dialect: Dialect) -> CompilerElement:
    return dialect.insert(drift_buckets, "bucket_ms", "content").on_conflict_do_nothing()


def _has_bucket(dialect: Dialect) -> CompilerElement:
    return select(drift_buckets.c.bucket_ms).where(drift_buckets.c.bucket_ms == bindparam("bucket_ms"))


def _buckets(dialect: Dialect) -> CompilerElement:
    start = drift_buckets.c.bucket_ms
    after = select(start, drift_buckets.c.content).where(start > bindparam("after_ms"))
    return after.order_by(start).limit(bindparam("limit"))


def _last_bucket(dialect: Dialect) -> CompilerElement:
    return select(func.max(drift_buckets.c.bucket_ms))


def _save_points(dialect: Dialect) -> CompilerElement:
    insert = dialect.insert(drift_points, *Point._fields)
    new = {name: insert.excluded[name] for name in ("end_ms", "num", "value", "expected")}
    return insert.on_conflict_do_update(index_elements=["signal", "segment", "start_ms"], set_=new)


def _points(dialect: Dialect) -> CompilerElement:
    order = (drift_points.c.signal, drift_points.c.segment, drift_points.c.start_ms)
    since = drift_points.c.end_ms > bindparam("since_ms")
    return select(*(drift_points.c[name] for name in Point._fields)).where(since).order_by(*order)


def _save_alarms(dialect: Dialect) -> CompilerElement:
    insert = dialect.insert(drift_alarms, *ALARM)
    new = {name: insert.excluded[name] for name in DETECTED if name != "alarm_id"}
    return insert.on_conflict_do_update(index_elements=["alarm_id"], set_=new)


def _save_delivery(dialect: Dialect) -> CompilerElement:
    own = drift_alarms.c.alarm_id == bindparam("id")
    return update(drift_alarms).where(own).values(sent_ms=bindparam("sent"), num_attempts=bindparam("num"))


def _alarms(dialect: Dialect) -> CompilerElement:
    order = (drift_alarms.c.detected_ms.desc(), drift_alarms.c.alarm_id.desc())
    return select(*(drift_alarms.c[name] for name in ALARM)).order_by(*order).limit(bindparam("limit"))


def _unsent(dialect: Dialect) -> CompilerElement:
    order = (drift_alarms.c.detected_ms, drift_alarms.c.alarm_id)
    unsent = (
        drift_alarms.c.sent_ms.is_(None),
        drift_alarms.c.detected_ms >= bindparam("since_ms"),
        drift_alarms.c.num_attempts < bindparam("max_attempts"),
    )
    columns = (drift_alarms.c[name] for name in ALARM)
    return select(*columns).where(*unsent).order_by(*order).limit(bindparam("limit"))


def _newest_alarm(dialect: Dialect) -> CompilerElement:
    return select(func.max(drift_alarms.c.detected_ms))


def _clear_counts(dialect: Dialect) -> CompilerElement:
    return delete(drift_counts).where(drift_counts.c.writer_key != bindparam("kept_writer"))


def _clear_buckets(dialect: Dialect) -> CompilerElement:
    return delete(drift_buckets)


def _clear_points(dialect: Dialect) -> CompilerElement:
    return delete(drift_points)


class DriftRepository:
    """`core.ports.drift.DriftRepository` over a session."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    def topics(self) -> dict[int, str]:
        """The names of topics by code."""
        return topics.names(self._session)

    def item_facts(self, item_keys: Sequence[int]) -> dict[int, ItemFacts]:
        """The topics of these items, and when each was first seen (ms)."""
        rows = self._session.rows(_item_facts, item_keys=self._session.array(item_keys))
        return {key: ItemFacts(topic, created_ms) for key, topic, created_ms in rows}

    def counted_ms(self, *, after_ms: int, before_ms: int, limit: int) -> list[int]:
        """The starts of buckets with counts, ascending, with `after_ms` < start < `before_ms`."""
        rows = self._session.rows(_counted, after_ms=after_ms, before_ms=before_ms, limit=limit)
        return [start for (start,) in rows]

    def counts(self, starts_ms: Sequence[int]) -> dict[int, BucketCounts]:
        """The counts of these buckets, summed over all writers; none is below 0."""
        totals: dict[int, BucketCounts] = {}
        for start_ms, packed in self._session.rows(_all_counts, buckets=self._session.array(starts_ms)):
            totals.setdefault(start_ms, BucketCounts()).add(unpack_counts(packed))
        return {start_ms: counts.at_least_zero() for start_ms, counts in totals.items()}

    def num_events(self, starts_ms: Sequence[int]) -> dict[int, int]:
        """The numbers of events of these buckets, as in `counts`, without reading the rest of their counts."""
        totals: dict[int, int] = {}
        for start_ms, packed in self._session.rows(_all_counts, buckets=self._session.array(starts_ms)):
            totals[start_ms] = totals.get(start_ms, 0) + unpack_num_events(packed)
        return {start_ms: max(0, num) for start_ms, num in totals.items()}

    def day_counts(self, *, since_ms: int, before_ms: int) -> dict[int, BucketCounts]:
        """The topics and segments of days (UTC) with `since_ms` <= start < `before_ms`, over all writers, by day."""
        return topic_days.read(self._session, since_ms=since_ms, before_ms=before_ms)

    def unscored(self, *, limit: int) -> list[SampledEvent]:
        """Sampled events without a score, oldest first."""
        return [SampledEvent(bytes(key), *rest) for key, *rest in self._session.rows(_unscored, limit=limit)]

    def scores(self, *, from_ms: int, to_ms: int) -> list[Score]:
        """The scores of events with `from_ms` <= time < `to_ms`, by time and key."""
        return [_score(row) for row in self._session.rows(_scored, from_ms=from_ms, to_ms=to_ms)]

    def buckets(self, *, after_ms: int = -1, limit: int = 10_000) -> list[Bucket]:
        """Closed buckets in ascending start."""
        rows = self._session.rows(_buckets, after_ms=after_ms, limit=limit)
        return [unpack_bucket(start_ms, content) for start_ms, content in rows]

    def last_bucket_ms(self) -> int | None:
        """The start of the newest closed bucket."""
        row = self._session.row(_last_bucket)
        return None if row is None else row[0]

    def points(self, *, since_ms: int) -> list[Point]:
        """Points of signals that end after `since_ms`, by signal, segment and start."""
        return [Point(*row) for row in self._session.rows(_points, since_ms=since_ms)]

    def alarms(self, *, limit: int = 100) -> list[Alarm]:
        """The newest alarms, newest first."""
        return [Alarm(*row) for row in self._session.rows(_alarms, limit=limit)]

    def unsent_alarms(self, *, since_ms: int, max_attempts: int, limit: int) -> list[Alarm]:
        """Alarms raised at `since_ms` or later and not delivered to a webhook in fewer attempts, oldest first."""
        rows = self._session.rows(_unsent, since_ms=since_ms, max_attempts=max_attempts, limit=limit)
        return [Alarm(*row) for row in rows]

    def newest_alarm_ms(self) -> int | None:
        """When the newest alarm was raised."""
        row = self._session.row(_newest_alarm)
        return None if row is None else row[0]

    def name_topics(self, names: Sequence[str]) -> dict[str, int]:
        """The codes of topics, created where they are new."""
        ItemRepository(self._session).lock_revision()
        return topics.codes_of(self._session, names)

    def set_topics(self, topics: Mapping[int, int]) -> None:
        """Store topics (codes) of items without a category, by item key."""
        self._session.write(_set_topics, [(topics[key], key) for key in sorted(topics)])

    def add_counts(self, writer_key: int, counts: Mapping[int, BucketCounts]) -> None:
        """Add to this writer's counts. Reads and rewrites them, because no other transaction writes these rows."""
        topic_days.add(self._session, writer_key, counts)
        starts = sorted(counts)
        for start_ms, packed in self._session.rows(
            _counts_of_writer, writer_key=writer_key, buckets=self._session.array(starts)
        ):
            counts[start_ms].add(unpack_counts(packed))
        self._session.write(_save_counts, [(start, writer_key, pack_counts(counts[start])) for start in starts])

    def add_samples(self, samples: Sequence[SampledEvent]) -> None:
        """Store events to be scored; already stored events stay unchanged."""
        self._session.write(_add_samples, [(*sample, False) for sample in sorted(samples)])

    def delete_sample(self, event_key: bytes) -> None:
        """Delete the sample and score of an event, if there is one."""
        self._session.run(_delete_sample, event_key=event_key)

    def save_scores(self, scores: Sequence[Score]) -> None:
        """Store the scores of sampled events."""
        self._session.write(_save_scores, [_score_row(score) for score in sorted(scores)])

    def add_bucket(self, bucket: Bucket) -> None:
        """Store a closed bucket; raises `StoreConflict` where it is already stored."""
        if self._session.rows(_has_bucket, bucket_ms=bucket.start_ms):
            msg = f"the bucket that begins at {bucket.start_ms} was closed by another monitor; read it from the store"
            raise StoreConflict(msg)
        self._session.write(_add_bucket, [(bucket.start_ms, pack_bucket(bucket))])

    def save_points(self, points: Sequence[Point]) -> None:
        """Insert or replace points of signals."""
        self._session.write(_save_points, sorted(points))

    def save_alarms(self, alarms: Sequence[Alarm]) -> None:
        """Insert alarms, or replace all but their delivery."""
        rows = [tuple(getattr(alarm, name) for name in ALARM) for alarm in alarms]
        self._session.write(_save_alarms, sorted(rows, key=itemgetter(0)))

    def save_delivery(self, alarm: Alarm) -> None:
        """Store when an alarm was sent and how often; the rest of it stays."""
        self._session.run(_save_delivery, id=alarm.alarm_id, sent=alarm.sent_ms, num=alarm.num_attempts)

    def delete_scores(self, *, before_ms: int) -> int:
        """Delete samples and scores of events before a time."""
        return self._session.run(_delete_scores, before_ms=before_ms)

    def delete_buckets(self) -> None:
        """Delete closed buckets and points."""
        self._session.run(_clear_buckets)
        self._session.run(_clear_points)

    def clear_counts(self, *, kept_writer: int) -> None:
        """Delete the counts of all writers but one."""
        self._session.run(_clear_counts, kept_writer=kept_writer)
        topic_days.clear(self._session)

    def move_user(self, source_key: int, target_key: int) -> None:
        """Give all samples and scores of a user to another."""
        self._session.run(_move_scores, source_key=source_key, target_key=target_key)

    def erase_user(self, user_key: int) -> None:
        """Delete all samples and scores of a user."""
        self._session.run(_delete_scores_of_user, user_key=user_key)


def _score_row(score: Score) -> Row:
    values = (score.version, score.rank, score.loss, score.topic, pack_json(score.segments), score.confidence)
    return (True, *values, score.event_key)


def _score(row: Row) -> Score:
    key, user_key, time_ms, version, rank, loss, topic, segments, confidence = row
    names = tuple(unpack_json(segments))
    return Score(bytes(key), user_key, time_ms, version, rank, loss, topic, names, confidence)
