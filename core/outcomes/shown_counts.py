"""Counts of what answers show, for drift monitoring: pure functions of answers and of their items at that time.

Coverage is the share of different items among those of 20 consecutive lists: with a fixed number of lists it does not
depend on traffic (rarefaction: Hurlbert 1971, Ecology 52:577-586), as the share of the catalogue that is shown in an
hour would.
"""

from __future__ import annotations

from collections.abc import Iterable

from core.outcomes.shown_lists import ShownList
from core.records.drift import BUCKET_MS, PER_MILLE, BucketCounts
from core.records.outcomes import Answer

GROUP = 20  # consecutive lists whose items are compared

Lists = tuple[tuple[str, ...], ...]  # item ids


def shown_counts(
    answers: Iterable[tuple[Answer, ShownList]], waiting: Lists = ()
) -> tuple[dict[int, BucketCounts], Lists]:
    """The counts by bucket start (ms) of the answers that a model is meant for, and the lists that wait for others.

    `waiting`: lists from before that are in no group of 20 yet.
    """
    by_bucket: dict[int, BucketCounts] = {}
    for answer, shown in answers:
        if answer.is_fallback is None:
            continue
        counts = by_bucket.setdefault(answer.time_ms // BUCKET_MS * BUCKET_MS, BucketCounts())
        num_items = len(answer.item_ids)
        counts.num_answers += 1
        counts.num_fallbacks += answer.is_fallback
        counts.popularity += round(PER_MILLE * shown.popularity / num_items)
        counts.num_novel += 1
        counts.novelty += round(PER_MILLE * shown.novelty / num_items)
        if shown.diversity is not None:
            counts.num_diverse += 1
            counts.diversity += round(PER_MILLE * shown.diversity)
        waiting = (*waiting, answer.item_ids)
        if len(waiting) == GROUP:
            counts.num_grouped += GROUP
            counts.coverage += round(GROUP * PER_MILLE * _coverage(waiting))
            waiting = ()
    return by_bucket, waiting


def _coverage(lists: Lists) -> float:
    return len(set().union(*lists)) / sum(map(len, lists))
