"""What a history adds to the scores of its own items: each event to its item's row, wherever scores are looked at."""

from __future__ import annotations

import numpy as np
from domain_doubles import AxisEncoder
from hypothesis import given
from hypothesis import strategies as st

from core.catalogue.items import Catalogue
from core.events.history import History
from core.recommendation.ranking.added_scores import NOTHING_ADDED, add_repeats, repeat_scores

NUM_ITEMS = 8
CATALOGUE = Catalogue(
    np.arange(100, 100 + NUM_ITEMS),
    tuple("abcdefgh"),
    ("",) * NUM_ITEMS,
    ((),) * NUM_ITEMS,
    np.ones(NUM_ITEMS, np.bool_),
)
ITEMS = st.lists(st.integers(99, 100 + NUM_ITEMS), min_size=1, max_size=20)  # 99 and 108 are not in the catalogue


class CountingEncoder(AxisEncoder):
    """The first event adds 1, the second 2, and so on."""

    def repeats(self, history: History) -> np.ndarray:
        return np.arange(1, len(history) + 1, dtype=np.float32)


def history(items: list[int]) -> History:
    return History(np.array(items, np.int64), np.arange(len(items), dtype=np.int64))


@given(ITEMS, st.sets(st.integers(0, NUM_ITEMS - 1), min_size=1))
def test_repeat_score_adds_only_to_its_own_item(items: list[int], requested: set[int]) -> None:
    rows = np.array(sorted(requested))
    expected = [sum(at for at, item in enumerate(items, start=1) if item == 100 + row) for row in rows.tolist()]
    repeated = repeat_scores(CountingEncoder(CATALOGUE), CATALOGUE, history(items))
    scores = np.zeros((1, len(rows)), np.float32)
    add_repeats(scores, rows, CountingEncoder(CATALOGUE), CATALOGUE, [history(items)])
    assert repeated.at(rows).tolist() == expected
    assert scores[0].tolist() == expected


def test_of_its_rows_those_that_are_allowed_are_told() -> None:
    repeated = repeat_scores(CountingEncoder(CATALOGUE), CATALOGUE, history([105, 101, 99]))
    allowed = np.arange(NUM_ITEMS) != 1
    assert repeated.rows.tolist() == [1, 5]
    assert repeated.among(allowed).tolist() == [5]


def test_a_model_that_adds_nothing_leaves_scores_alone() -> None:
    assert repeat_scores(AxisEncoder(CATALOGUE), CATALOGUE, history([101])) is NOTHING_ADDED
    assert NOTHING_ADDED.at(np.arange(3)).tolist() == [0, 0, 0]
