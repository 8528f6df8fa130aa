"""Trials: every asked event ranked under the state strictly before it, among what could have been shown."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from domain_doubles import SHAPE, AxisBundle, AxisEncoder

from core.arrays import FloatArray
from core.catalogue.items import Catalogue
from core.errors import NotReady
from core.events.history import History
from core.learn.trial import TrialSlice, select_slice, try_model
from core.ports.encoder import EncodedItems
from core.records.stored import EventColumns

KEYS = np.array([10, 20, 30, 40], np.int64)
ROWS = {10: 0, 20: 1, 30: 2, 40: 3}


def catalogue(*, hidden: Sequence[int] = ()) -> Catalogue:
    listed = np.array([key not in hidden for key in KEYS.tolist()])
    return Catalogue(KEYS, ("a", "b", "c", "d"), ("",) * 4, ((),) * 4, listed)


def events(*rows: tuple[int, int, int]) -> EventColumns:
    """(user, item key, time) in the order of users and times."""
    users, items, times = np.array(sorted(rows, key=lambda row: (row[0], row[2])), np.int64).T
    return EventColumns(users, items, times)


def trial_slice(columns: EventColumns, *, since_ms: int = 0, **options: object) -> TrialSlice:
    parameters = {"max_events": 100, "hide_seen": False, **options}
    return select_slice(columns, catalogue(), since_ms=since_ms, **parameters)  # type: ignore[arg-type]


def test_queries_are_events_since_a_time_but_no_first_events() -> None:
    held_out = trial_slice(events((1, 10, 5), (1, 20, 6), (1, 30, 7), (2, 10, 8), (2, 40, 9)), since_ms=7)
    assert held_out.indices.tolist() == [2, 4]


def test_what_cannot_be_shown_is_not_asked_for() -> None:
    columns = events((1, 10, 5), (1, 20, 6), (1, 10, 7), (1, 99, 8), (1, 30, 9))
    hidden = select_slice(columns, catalogue(hidden=[20]), since_ms=0, max_events=9, hide_seen=False)
    assert hidden.indices.tolist() == [2, 4]
    assert trial_slice(columns, hide_seen=True).indices.tolist() == [1, 4]


def test_growing_slice_keeps_most_of_its_queries() -> None:
    rng = np.random.default_rng(0)
    rows = [(int(u), int(rng.choice(KEYS)), t) for t, u in enumerate(rng.integers(0, 50, 2000))]
    small = trial_slice(events(*rows), since_ms=1000, max_events=200)
    large = trial_slice(events(*rows), since_ms=1000, max_events=400)
    assert len(small) == 200
    assert set(small.indices.tolist()) <= set(large.indices.tolist())
    assert len(np.unique(small.users)) > 40
    assert small.num_available > 900


def test_the_window_holds_what_came_strictly_before_cut_as_in_serving() -> None:
    rows = [(1, int(KEYS[t % 4]), t) for t in range(9)]
    held_out = trial_slice(events((0, 10, 0), *rows))
    assert held_out.window(1 + 8, SHAPE).times_ms.tolist() == [4, 5, 6, 7]  # 8 events before: starts at rank 4
    assert held_out.window(1 + 2, SHAPE).times_ms.tolist() == [0, 1]


def test_what_the_window_adds_to_its_own_items_counts() -> None:
    """After row 0 the axis model ranks 1, 2, 3, 0; an event that adds enough puts its own item first."""
    columns = events((1, 10, 1), (1, 10, 2))
    plain, adding = (try_model(AxisBundle(each_adds=score), trial_slice(columns), SHAPE) for score in (None, 9.0))
    assert (plain.ranks.tolist(), adding.ranks.tolist()) == ([3.0], [0.0])


def test_model_ranks_follow_from_query_and_item_vectors() -> None:
    """After row r the axis model ranks r+1, r+2, ... first."""
    columns = events((1, 10, 1), (1, 20, 2), (1, 40, 3), (1, 30, 4))
    trial = try_model(AxisBundle(), trial_slice(columns), SHAPE)
    assert trial.ranks.tolist() == [0.0, 1.0, 2.0]
    assert trial.top[0].tolist() == [1, 2, 3, 0]
    assert trial.is_finite


def test_seen_and_unlisted_items_are_no_rivals() -> None:
    columns = events((1, 10, 1), (1, 20, 2), (1, 40, 3), (1, 30, 4))
    trial = try_model(AxisBundle(), trial_slice(columns, hide_seen=True), SHAPE)
    assert trial.ranks.tolist() == [0.0, 1.0, 0.0]


class BrokenEncoder(AxisEncoder):
    def encode(self, histories: Sequence[History]) -> FloatArray:
        vectors = super().encode(histories)
        vectors[-1] = np.nan
        return vectors


class BrokenBundle(AxisBundle):
    def bind(self, catalogue: Catalogue, *, encoded: EncodedItems | None = None) -> AxisEncoder:
        return BrokenEncoder(catalogue)


def test_a_score_that_is_no_number_is_told() -> None:
    trial = try_model(BrokenBundle(), trial_slice(events((1, 10, 1), (1, 20, 2), (1, 40, 3))), SHAPE)
    assert not trial.is_finite


def test_nothing_to_ask_is_told() -> None:
    with pytest.raises(NotReady, match="wait for more"):
        try_model(AxisBundle(), trial_slice(events((1, 10, 1))), SHAPE)
