"""Counts of what answers show, for drift monitoring: pure functions of answers and of their items at that time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from core.outcomes.shown_items import ShownItem
from core.records.drift import BUCKET_MS, PER_MILLE, BucketCounts
from core.records.outcomes import Answer


def shown_counts(answers: Iterable[Answer], items: Mapping[str, ShownItem]) -> dict[int, BucketCounts]:
    """The counts by bucket start (ms) of the answers that a model is meant for."""
    by_bucket: dict[int, BucketCounts] = {}
    for answer in answers:
        if answer.is_fallback is None:
            continue
        counts = by_bucket.setdefault(answer.time_ms // BUCKET_MS * BUCKET_MS, BucketCounts())
        total = sum(items[item_id].popularity for item_id in answer.item_ids)
        counts.num_answers += 1
        counts.num_fallbacks += answer.is_fallback
        counts.popularity += round(PER_MILLE * total / len(answer.item_ids))
    return by_bucket
