"""Specifications of full ranking and its figures: by hand, for an oracle, and for a scorer without an opinion."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from core.arrays import FloatArray, IntArray
from core.clock import MINUTE_MS
from core.evaluation.scorers import Past, TrainingPart
from model.evaluation.dataset import Dataset
from model.evaluation.figures import gains, slices
from model.evaluation.protocols import Fold, leave_one_out, temporal
from model.evaluation.ranking import best, rank, request_gaps_ms

T0 = 1_300_000_000_000
DAY_MS = 86_400_000


@dataclass
class FixedScorer:
    """Gives everybody the same scores."""

    row: Sequence[float]
    num_fits: int = 0

    def fit(self, part: TrainingPart) -> None:
        self.num_fits += 1

    def scores(self, pasts: Sequence[Past]) -> FloatArray:
        return np.tile(np.array(self.row, np.float32), (len(pasts), 1))


@dataclass
class Oracle:
    """Knows what each user takes next, by how many events they had."""

    answers: dict[tuple[int, int], int]
    num_items: int

    def fit(self, part: TrainingPart) -> None:
        """Nothing to learn."""

    def scores(self, pasts: Sequence[Past]) -> FloatArray:
        scores = np.zeros((len(pasts), self.num_items), np.float32)
        for row, past in enumerate(pasts):
            scores[row, self.answers[past.user, len(past.history)]] = 1.0
        return scores


@dataclass
class NotingScorer(FixedScorer):
    """A live scorer that notes what it is told and asked, in order."""

    notes: list[str] = field(default_factory=list)

    def fit(self, part: TrainingPart) -> None:
        self.notes = [f"learn {len(part.training_events)}"]

    def apply(self, user: int, item: int, time_ms: int) -> None:
        self.notes.append(f"{(time_ms - T0) // 1000}")

    def scores(self, pasts: Sequence[Past]) -> FloatArray:
        self.notes += [f"ask {len(past.history)}" for past in pasts]
        return super().scores(pasts)


def walks(num_users: int = 30, num_items: int = 40, length: int = 6) -> Dataset:
    """Users who walk through the items from a place of their own, none of them twice."""
    return Dataset.of(
        (f"user{user}", f"item{(user * 7 + step) % num_items}", T0 + 1000 * (user * 100 + step))
        for user in range(num_users)
        for step in range(length)
    )


def mean(fold: Fold, scorer: Any, metric: str, k: int, seen: str = "keep") -> float:
    ranks = rank(scorer, fold, fold.test, fit=True)[seen]
    return float(gains(ranks.above, ranks.equal, metric, k).mean())


def test_an_oracle_scores_one_everywhere() -> None:
    dataset = walks()
    fold = leave_one_out(dataset)
    pasts = [fold.test.past(number) for number in range(len(fold.test))]
    answers = {(past.user, len(past.history)): int(row) for past, row in zip(pasts, fold.test.items, strict=True)}
    oracle = Oracle(answers, dataset.num_items)
    metrics = [(name, k, seen) for name in ("HR", "NDCG", "MRR") for k in (5, 20) for seen in ("keep", "hide")]
    values = [mean(fold, oracle, *metric) for metric in metrics]
    assert values == [1.0] * 12


def test_a_scorer_without_an_opinion_earns_exactly_what_chance_earns() -> None:
    dataset = walks(num_items=40)
    fold = leave_one_out(dataset)
    constant = FixedScorer([0.0] * 40)
    assert mean(fold, constant, "HR", 10) == pytest.approx(10 / 40)
    assert mean(fold, constant, "HR", 10, "hide") == pytest.approx(10 / 35)  # five items are hidden
    assert mean(fold, constant, "MRR", 5) == pytest.approx(sum(1 / position for position in range(1, 6)) / 40)
    assert mean(fold, constant, "NDCG", 5) == pytest.approx(
        sum(1 / math.log2(position + 1) for position in range(1, 6)) / 40
    )


def test_the_metrics_of_a_tiny_log_by_hand() -> None:
    dataset = Dataset.of([("ann", item, T0 + n) for n, item in enumerate("abcd")])
    fold = leave_one_out(dataset)
    scorer = FixedScorer([0.9, 0.8, 0.1, 0.5])  # d is asked for: behind a and b, which ann had
    all_ranks, unseen_ranks = (rank(scorer, fold, fold.test)[seen] for seen in ("keep", "hide"))
    assert (all_ranks.above.tolist(), all_ranks.equal.tolist()) == ([2], [0])
    assert (unseen_ranks.above.tolist(), unseen_ranks.equal.tolist()) == ([0], [0])
    assert gains(all_ranks.above, all_ranks.equal, "NDCG", 10).tolist() == pytest.approx([0.5])
    assert gains(all_ranks.above, all_ranks.equal, "MRR", 10).tolist() == pytest.approx([1 / 3])
    assert gains(all_ranks.above, all_ranks.equal, "HR", 2).tolist() == [0.0]


def test_ties_that_cross_the_depth_count_in_part() -> None:
    above, equal = np.array([9]), np.array([3])  # places 9, 10, 11 and 12, of which the first is inside
    assert gains(above, equal, "HR", 10).tolist() == [0.25]
    assert gains(above, equal, "NDCG", 10).tolist() == pytest.approx([1 / math.log2(11) / 4])


def test_an_answer_among_the_hidden_items_is_a_miss() -> None:
    dataset = Dataset.of([("ann", item, T0 + n) for n, item in enumerate("abca")])
    fold = leave_one_out(dataset)
    scorer = FixedScorer([0.9, 0.8, 0.1])
    assert mean(fold, scorer, "HR", 20, "keep") == 1.0
    assert mean(fold, scorer, "HR", 20, "hide") == 0.0


def test_coverage_counts_items_that_anybody_was_shown() -> None:
    dataset = walks(num_items=40)
    fold = leave_one_out(dataset)
    ranks = rank(FixedScorer(list(range(40))), fold, fold.test)
    assert dict(ranks["keep"].num_shown) == {5: 5, 10: 10, 20: 20}
    assert ranks["hide"].num_shown[5] > 5  # who had one of the best is shown the next


def test_the_best_rows_come_best_first() -> None:
    assert best(np.array([[0.1, 0.9, 0.5], [3.0, 1.0, 2.0]], np.float32), 2).tolist() == [[1, 2], [0, 2]]
    assert best(np.array([[0.1, 0.9]], np.float32), 20).tolist() == [[1, 0]]


@pytest.mark.parametrize("row", [[0.0, float("nan"), 0.0, 0.0], [0.0, 0.0]])
def test_scores_that_cannot_be_ranked_are_the_models_fault(row: list[float]) -> None:
    fold = leave_one_out(Dataset.of([("ann", item, T0 + n) for n, item in enumerate("abcd")]))
    with pytest.raises(ValueError, match=r"FixedScorer: wanted .* scores without NaN"):
        rank(FixedScorer(row), fold, fold.test)


def test_a_live_scorer_is_refitted_and_updated_before_each_test_event() -> None:
    dataset = Dataset.of([("ann", f"item{n % 4}", T0 + 1000 * n) for n in range(8)])
    scorer = NotingScorer([0.0] * 4)
    rank(scorer, temporal(dataset, cut_ms=T0 + 6000), temporal(dataset, cut_ms=T0 + 6000).test)
    assert scorer.notes == ["learn 4", "4", "5", "ask 6", "6", "ask 7"]


def test_other_scorers_are_fitted_only_on_request() -> None:
    fold = leave_one_out(walks())
    scorer = FixedScorer([0.0] * 40)
    rank(scorer, fold, fold.test)
    assert scorer.num_fits == 0
    rank(scorer, fold, fold.test, fit=True)
    assert scorer.num_fits == 1


def test_progress_ends_with_all_test_events() -> None:
    fold = leave_one_out(walks())
    seen: list[tuple[int, int]] = []
    rank(FixedScorer([0.0] * 40), fold, fold.test, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (30, 30)


def test_events_fall_into_kinds() -> None:
    rows = [("ann", f"item{n}", T0 + n * DAY_MS) for n in range(12)]
    rows += [
        ("ann", "item1", T0 + 100 * DAY_MS),
        ("bob", "item2", T0 + 101 * DAY_MS),
        ("ann", "new", T0 + 102 * DAY_MS),
    ]
    fold = temporal(Dataset.of(rows), cut_ms=T0 + 50 * DAY_MS)
    kinds = {name: members.tolist() for name, members in slices(fold.part, fold.test).items()}
    assert kinds == {
        "known users": [True, False, True],
        "new users": [False, True, False],
        "new items": [False, False, True],
        "known items": [True, True, False],
        "long gaps": [True, False, True],
        "repeats": [True, False, False],
    }


@dataclass
class NowReader(FixedScorer):
    """Notes the gaps that it is told; prefers the last item when asked at once."""

    reads_now: bool = True
    told_ms: list[int] = field(default_factory=list)

    def scores(self, pasts: Sequence[Past], *, gaps_ms: IntArray | None = None) -> FloatArray:
        scores = super().scores(pasts)
        if gaps_ms is not None:
            self.told_ms += gaps_ms.tolist()
            scores[gaps_ms < 5 * MINUTE_MS, -1] = 1.0
        return scores


def pairs(num_users: int = 200, gap_ms: int = 10 * MINUTE_MS) -> Dataset:
    """Users who take a, b and then c, each some minutes and a bit after the one before."""
    return Dataset.of(
        (f"user{user}", item, T0 + DAY_MS * user + (gap_ms + 1_234) * step)
        for user in range(num_users)
        for step, item in enumerate("abc")
    )


def test_now_gap_models_rank_with_no_gap_a_drawn_gap_and_the_true_gap() -> None:
    fold = leave_one_out(pairs())
    scorer = NowReader([0.5, 0.4, 0.1])
    ranks = rank(scorer, fold, fold.test)
    assert sorted(ranks) == ["hide", "hide click", "hide drawn", "keep", "keep click", "keep drawn"]
    top_share = {key: float((ranks[key].above == 0).mean()) for key in ("keep", "keep drawn", "keep click")}
    assert top_share["keep"] == 0  # untold: c is behind a and b
    assert top_share["keep click"] == 0  # ten minutes have passed at the click itself
    assert 0.4 < top_share["keep drawn"] < 0.6  # drawn uniformly before: half of the requests come in the first five


def test_a_request_is_told_whole_minutes_and_never_more_than_have_passed() -> None:
    fold = leave_one_out(pairs())
    gaps_ms = request_gaps_ms(fold.test)
    assert set(gaps_ms["click"]) == {10 * MINUTE_MS}
    assert set(gaps_ms["drawn"]) <= {minute * MINUTE_MS for minute in range(11)}
    assert len(set(gaps_ms["drawn"])) >= 10


def test_the_request_time_of_an_event_does_not_depend_on_the_sample() -> None:
    fold = leave_one_out(pairs())
    sample = fold.sampled(20)
    gap_of = dict(zip(fold.test.rows.tolist(), request_gaps_ms(fold.test)["drawn"].tolist(), strict=True))
    gaps_ms = request_gaps_ms(sample.test)["drawn"].tolist()
    assert gaps_ms == [gap_of[row] for row in sample.test.rows.tolist()]


def test_others_are_never_told_the_time() -> None:
    fold = leave_one_out(pairs())
    silent = NowReader([0.5, 0.4, 0.1], reads_now=False)
    assert sorted(rank(silent, fold, fold.test)) == ["hide", "keep"]
    assert silent.told_ms == []
