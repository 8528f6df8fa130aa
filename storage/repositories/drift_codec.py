"""Encoding of counts and closed buckets as compact JSON for the database. Independent of SQL."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import astuple
from typing import Any

from core.records.drift import OF_ANSWERS, Bucket, BucketCounts, ScoreTally
from storage.codec import pack_json, unpack_json


def pack_counts(counts: BucketCounts) -> str:
    """Counts as a JSON list, in the order of their fields."""
    return pack_json(_counts_as_list(counts))


def unpack_counts(packed: str) -> BucketCounts:
    """The inverse of `pack_counts`."""
    return _counts_from_list(unpack_json(packed))


def unpack_num_events(packed: str) -> int:
    """The first of the packed counts; parsing all of them takes twenty times as long."""
    return int(packed[1 : packed.index(",")])


def pack_bucket(bucket: Bucket) -> str:
    """A bucket as JSON, without its start."""
    content = {
        "counts": _counts_as_list(bucket.counts),
        "version": bucket.version,
        "tally": astuple(bucket.tally),
        "topics": {code: astuple(tally) for code, tally in sorted(bucket.topics.items())},
        "segments": {name: astuple(tally) for name, tally in sorted(bucket.segments.items())},
    }
    return pack_json(content)


def unpack_bucket(start_ms: int, packed: str) -> Bucket:
    """The inverse of `pack_bucket`."""
    content = unpack_json(packed)
    return Bucket(
        start_ms,
        _counts_from_list(content["counts"]),
        content["version"],
        ScoreTally(*content["tally"]),
        {int(code): ScoreTally(*tally) for code, tally in content["topics"].items()},
        {name: ScoreTally(*tally) for name, tally in content["segments"].items()},
    )


def _counts_as_list(counts: BucketCounts) -> list[Any]:
    scalars = [counts.num_events, counts.num_new_users, counts.num_new_items]
    content = [*scalars, _sorted(counts.topics), _sorted(counts.gaps)]
    segments = {name: _sorted(counts.segments[name]) for name in sorted(counts.segments)}
    return [*content, segments, [getattr(counts, name) for name in OF_ANSWERS]]


def _sorted(counts: Mapping[int, int]) -> dict[int, int]:
    return dict(sorted(counts.items()))


def _counts_from_list(content: list[Any]) -> BucketCounts:
    """Counts of before segments and answers were counted have five or six entries."""
    num_events, num_new_users, num_new_items, topics, gaps, *rest = content
    segments = {name: _codes(topics) for name, topics in rest[0].items()} if rest else {}
    of_events = (num_events, num_new_users, num_new_items, _codes(topics), _codes(gaps), segments)
    return BucketCounts(*of_events, *(rest[1] if len(rest) > 1 else ()))


def _codes(counts: Mapping[str, int]) -> Counter[int]:
    return Counter({int(code): num for code, num in counts.items()})
