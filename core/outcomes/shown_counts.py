"""Counts of what answers show, for drift monitoring: pure functions of answers and of their items at that time.

Diversity is the share of pairs of a list's items that are of different categories (intra-list diversity: Ziegler et al.
2005, "Improving recommendation lists through topic diversification"). Coverage is the share of different items among
those of 20 consecutive lists: with a fixed number of lists it does not depend on traffic (rarefaction: Hurlbert 1971,
Ecology 52:577-586), as the share of the catalogue that is shown in an hour would.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from core.outcomes.shown_items import ShownItem
from core.records.drift import BUCKET_MS, PER_MILLE, BucketCounts
from core.records.outcomes import Answer

GROUP = 20  # consecutive lists whose items are compared

Lists = tuple[tuple[str, ...], ...]  # item ids


def shown_counts(
    answers: Iterable[Answer], items: Mapping[str, ShownItem], waiting: Lists = ()
) -> tuple[dict[int, BucketCounts], Lists]:
    """The counts by bucket start (ms) of the answers that a model is meant for, and the lists that wait for others.

    `waiting`: lists from before that are in no group of 20 yet.
    """
    by_bucket: dict[int, BucketCounts] = {}
    for answer in answers:
        if answer.is_fallback is None:
            continue
        counts = by_bucket.setdefault(answer.time_ms // BUCKET_MS * BUCKET_MS, BucketCounts())
        _, _, novelty, popularity, categories = zip(*[items[item_id] for item_id in answer.item_ids], strict=True)
        counts.num_answers += 1
        counts.num_fallbacks += answer.is_fallback
        counts.popularity += round(PER_MILLE * sum(popularity) / len(popularity))
        counts.num_novel += 1
        counts.novelty += round(PER_MILLE * sum(novelty) / len(novelty))
        diversity = _diversity(categories)
        if diversity is not None:
            counts.num_diverse += 1
            counts.diversity += round(PER_MILLE * diversity)
        waiting = (*waiting, answer.item_ids)
        if len(waiting) == GROUP:
            counts.num_grouped += GROUP
            counts.coverage += round(GROUP * PER_MILLE * _coverage(waiting))
            waiting = ()
    return by_bucket, waiting


def _diversity(categories: Sequence[str]) -> float | None:
    """The share of pairs of items with different categories, "" for none; None where fewer than two have one."""
    sizes = [size for category, size in Counter(categories).items() if category]
    num = sum(sizes)
    return 1 - sum([size * (size - 1) for size in sizes]) / (num * (num - 1)) if num > 1 else None


def _coverage(lists: Lists) -> float:
    return len(set().union(*lists)) / sum(map(len, lists))
