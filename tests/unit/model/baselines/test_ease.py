"""Specifications of EASE: the weights against a plain solution of the paper's equations, and the limit of memory."""

from __future__ import annotations

import numpy as np
import pytest

from core.errors import InvalidInput
from core.evaluation.scorers import Past, TrainingPart
from core.events.history import EMPTY_HISTORY, History
from core.records.stored import EventColumns
from model.baselines.ease import EASE

TAKEN_UN = np.array([[1, 1, 0, 0, 0], [1, 1, 1, 0, 0], [0, 1, 1, 0, 0], [1, 0, 0, 1, 0]])  # nobody takes the last item


def part() -> TrainingPart:
    """An event for each 1 of the matrix, and a repeat."""
    users, items = np.nonzero(TAKEN_UN)
    users, items = np.insert(users, 0, 0), np.insert(items, 0, 1)
    columns = EventColumns(users, items, np.arange(len(users)))
    return TrainingPart(columns, np.arange(len(users)), np.empty(0, np.int64), TAKEN_UN.shape[1])


def after(*items: int) -> Past:
    return Past(9, History(np.array(items), np.arange(len(items))))


def reference_weights(l2: float) -> np.ndarray:
    """The paper's code, on the items with events, padded with zeros."""
    taken = TAKEN_UN[:, :4].astype(float)
    inverse = np.linalg.inv(taken.T @ taken + l2 * np.eye(4))
    weights = np.zeros((5, 5))
    weights[:4, :4] = inverse / -np.diag(inverse)
    np.fill_diagonal(weights, 0)
    return weights


@pytest.mark.parametrize("l2", [0.5, 100.0])
def test_a_history_of_one_item_scores_its_weights(l2: float) -> None:
    scorer = EASE(l2=l2)
    scorer.fit(part())
    scores = scorer.scores([after(item) for item in range(5)])
    np.testing.assert_allclose(scores, reference_weights(l2), rtol=1e-5, atol=1e-7)


def test_each_distinct_item_of_a_history_counts_once() -> None:
    scorer = EASE(l2=1.0)
    scorer.fit(part())
    scores = scorer.scores([after(0, 2, 0, 0)])
    np.testing.assert_allclose(scores[0], reference_weights(1.0)[[0, 2]].sum(axis=0), rtol=1e-5, atol=1e-7)


def test_an_empty_history_scores_0() -> None:
    scorer = EASE(l2=1.0)
    scorer.fit(part())
    assert not scorer.scores([Past(9, EMPTY_HISTORY)]).any()


def test_a_catalogue_that_needs_too_much_memory_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"at most 1e-08 GiB, got 0\.0 GiB for 4 items; leave ease out"):
        EASE(l2=1.0, max_gib=1e-8).fit(part())
