"""Trials of baselines: live popularity and transition counts, from the events strictly before each query."""

from __future__ import annotations

import numpy as np

from core.catalogue.items import Catalogue
from core.events.history import WindowShape
from core.learn.baselines import try_popularity
from core.learn.blended_trial import try_bundles
from core.learn.trial import TrialResult, TrialSlice, select_slice
from core.records.stored import EventColumns

KEYS = np.array([10, 20, 30, 40], np.int64)
NO_DECAY = {"half_life_ms": 1e9}


def events(*rows: tuple[int, int, int]) -> EventColumns:
    """(user, item key, time) in the order of users and times."""
    users, items, times = np.array(sorted(rows, key=lambda row: (row[0], row[2])), np.int64).T
    return EventColumns(users, items, times)


def trial_slice(columns: EventColumns, *, since_ms: int = 0, hide_seen: bool = False) -> TrialSlice:
    catalogue = Catalogue(KEYS, ("a", "b", "c", "d"), ("",) * 4, ((),) * 4, np.ones(4, bool))
    return select_slice(columns, catalogue, since_ms=since_ms, max_events=100, hide_seen=hide_seen)


def try_counts(held_out: TrialSlice) -> TrialResult:
    [result] = try_bundles([None], held_out, WindowShape(50, 10), **NO_DECAY)
    return result


def test_popularity_trial_counts_only_earlier_events_of_all_users() -> None:
    columns = events((1, 10, 1), (1, 20, 4), (2, 20, 2), (2, 20, 3), (3, 30, 5), (3, 10, 6))
    held_out = trial_slice(columns, since_ms=4)
    trial = try_popularity(held_out, half_life_ms=1e9)
    assert held_out.indices.tolist() == [1, 5]
    assert trial.ranks.tolist() == [0.0, 2.0]  # before 4: b twice, a once; before 6: b thrice, c lately, a


def test_decay_prefers_what_is_new() -> None:
    columns = events((1, 10, 0), (2, 10, 0), (3, 20, 10), (4, 30, 0), (4, 20, 11))
    assert try_popularity(trial_slice(columns, since_ms=11), half_life_ms=1.0).ranks.tolist() == [0.0]


def test_what_often_followed_the_last_item_ranks_first() -> None:
    """c followed a twice and b once, so after a comes c, then b; d never did."""
    seen = [(1, 10, 1), (1, 30, 2), (2, 10, 3), (2, 30, 4), (3, 10, 5), (3, 20, 6)]
    held_out = trial_slice(events(*seen, (4, 10, 7), (4, 20, 8)), since_ms=8, hide_seen=True)
    trial = try_counts(held_out)
    assert trial.ranks.tolist() == [1.0]
    assert trial.top.tolist() == [[2, 1, 3, 0]]


def test_counts_include_no_later_event_and_not_the_query_itself() -> None:
    """Nothing has followed a before the first query, so that b, c and d are equal; then b has, then c too."""
    columns = events((1, 10, 1), (1, 20, 5), (2, 10, 2), (2, 30, 6), (3, 10, 3), (3, 20, 9))
    trial = try_counts(trial_slice(columns, since_ms=5, hide_seen=True))
    assert trial.ranks.tolist() == [1.0, 1.5, 0.5]


def test_the_last_item_weighs_more_than_the_one_before() -> None:
    seen = [(1, 10, 1), (1, 30, 2), (2, 20, 3), (2, 40, 4)]  # c followed a, d followed b
    held_out = trial_slice(events(*seen, (3, 10, 5), (3, 20, 6), (3, 40, 7)), since_ms=7, hide_seen=True)
    assert try_counts(held_out).ranks.tolist() == [0.0]


def test_items_without_counts_are_ranked_by_popularity() -> None:
    held_out = trial_slice(
        events((1, 20, 1), (2, 20, 2), (3, 20, 3), (4, 40, 4), (5, 40, 4), (6, 30, 4), (4, 20, 5)), since_ms=5
    )
    assert try_counts(held_out).top.tolist() == try_popularity(held_out, **NO_DECAY).top.tolist()


def test_no_baseline_recommends_seen_items_where_they_are_hidden() -> None:
    held_out = trial_slice(events((1, 20, 1), (2, 20, 2), (2, 30, 3), (1, 30, 4)), since_ms=4, hide_seen=True)
    for trial in (try_popularity(held_out, **NO_DECAY), try_counts(held_out)):
        assert trial.ranks.tolist() == [0.0]
