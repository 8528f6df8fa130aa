"""Specifications of datasets and protocols: what is learnt, what is tested, and what a history holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.catalogue.items import Item
from core.errors import InvalidInput
from core.evaluation.scorers import TrainingPart
from model.evaluation.dataset import Dataset, Ties
from model.evaluation.protocols import Fold, cut_at_share, leave_one_out, temporal

T0 = 1_300_000_000_000
Row = tuple[str, str, int]


def at(*rows: tuple[str, str, int]) -> list[Row]:
    """Rows with times in seconds after a beginning."""
    return [(user, item, T0 + 1000 * second) for user, item, second in rows]


ANN_AND_BOB = at(("ann", "a", 1), ("bob", "b", 2), ("ann", "b", 3), ("bob", "c", 4), ("ann", "c", 5), ("bob", "a", 6))


def named(dataset: Dataset, rows: Sequence[int] | np.ndarray) -> list[str]:
    return [dataset.catalogue.item_ids[row] for row in rows]


def asked(dataset: Dataset, fold: Fold) -> list[tuple[list[str], str]]:
    """Each test event as (history, target)."""
    test = fold.test
    return [
        (named(dataset, test.past(number).history.items), named(dataset, [test.items[number]])[0])
        for number in range(len(test))
    ]


def same(first: TrainingPart, second: TrainingPart) -> bool:
    arrays = [(part.columns.users, part.columns.times_ms, part.train, part.validation) for part in (first, second)]
    return all(np.array_equal(a, b) for a, b in zip(*arrays, strict=True))


# --- datasets


def test_events_are_sorted_and_items_become_catalogue_rows() -> None:
    dataset = Dataset.of(reversed(ANN_AND_BOB), [Item("b", title="Bee"), Item("z")])
    assert dataset.catalogue.item_ids == ("b", "z", "a", "c")
    assert dataset.catalogue.texts == ("Bee", "", "", "")
    assert dataset.catalogue.listed.tolist() == [True, True, False, False]
    assert named(dataset, dataset.columns.items) == ["b", "c", "a", "a", "b", "c"]  # bob came first
    assert named(dataset, dataset.columns.items[dataset.arrival]) == ["a", "b", "b", "c", "c", "a"]


def test_ties_keep_the_order_of_the_source() -> None:
    dataset = Dataset.of(at(("ann", "c", 1), ("ann", "a", 1), ("ann", "b", 1)))
    assert named(dataset, dataset.columns.items) == ["c", "a", "b"]


def test_hashed_ties_are_independent_of_source_and_id_order() -> None:
    rows = [(f"user{user}", f"item{item}", T0) for user in range(40) for item in range(4)]
    forwards, backwards = Dataset.of(rows, ties="hash"), Dataset.of(rows[::-1], ties="hash")

    def orders(dataset: Dataset) -> set[tuple[str, ...]]:
        names = np.array(named(dataset, dataset.columns.items)).reshape(40, 4)
        return {tuple(row) for row in names.tolist()}

    assert orders(forwards) == orders(backwards)
    assert len(orders(forwards)) > 12  # of 24: not one order for all users


def test_a_users_order_agrees_with_the_order_of_arrival() -> None:
    rows = [(f"user{n % 5}", f"item{n % 7}", T0 + n // 10) for n in range(200)]
    both: tuple[Ties, ...] = ("source", "hash")
    for ties in both:
        dataset = Dataset.of(rows, ties=ties)
        rank = np.argsort(dataset.arrival)
        same_user = np.diff(dataset.columns.users) == 0
        assert (np.diff(rank)[same_user] > 0).all()


def test_the_digest_changes_with_anything_that_a_result_may_depend_on() -> None:
    base = Dataset.of(ANN_AND_BOB, [Item("a")])
    variants = [
        Dataset.of([*ANN_AND_BOB[:-1], ("bob", "a", T0)], [Item("a")]),
        Dataset.of([*ANN_AND_BOB[:-1], ("bob", "b", T0 + 6000)], [Item("a")]),
        Dataset.of(ANN_AND_BOB, [Item("a", title="A")]),
        Dataset.of(ANN_AND_BOB, [Item("a", categories=("x",))]),
        Dataset.of(ANN_AND_BOB, [Item("a"), Item("z")]),
    ]
    assert base.digest == Dataset.of(ANN_AND_BOB, [Item("a")]).digest
    assert len({base.digest, *(variant.digest for variant in variants)}) == 6


def test_without_events_there_is_no_dataset() -> None:
    with pytest.raises(InvalidInput, match="events: wanted at least one, got none"):
        Dataset.of([])


# --- leave-one-out


def test_leave_one_out_tests_the_last_event_and_validates_the_one_before() -> None:
    dataset = Dataset.of(ANN_AND_BOB)
    fold = leave_one_out(dataset)
    assert asked(dataset, fold) == [(["a", "b"], "c"), (["b", "c"], "a")]
    assert named(dataset, fold.validation.items) == ["b", "c"]
    assert named(dataset, fold.validation.past(1).history.items) == ["b"]
    assert named(dataset, fold.part.training_events.items) == ["a", "b"]
    assert named(dataset, fold.part.columns.items[fold.part.validation]) == ["b", "c"]


def test_users_with_fewer_than_three_events_are_only_trained_on() -> None:
    dataset = Dataset.of([*ANN_AND_BOB, *at(("cid", "c", 7), ("cid", "a", 8), ("dan", "b", 9))])
    fold = leave_one_out(dataset)
    assert len(fold.test) == len(fold.validation) == 2
    assert named(dataset, fold.part.training_events.items) == ["a", "b", "c", "a", "b"]


@pytest.mark.parametrize(("validation_users", "validated"), [(3, ["b", "c"]), (2, ["b", "c"]), (1, ["c"])])
def test_events_before_the_last_train_where_enough_users_validate(validation_users: int, validated: list[str]) -> None:
    dataset = Dataset.of(ANN_AND_BOB)
    fold = leave_one_out(dataset, validation_users=validation_users)
    assert named(dataset, fold.validation.items) == validated
    assert named(dataset, fold.part.columns.items[fold.part.validation]) == validated
    before_the_last = {"b", "c"} - set(validated)
    assert sorted(named(dataset, fold.part.training_events.items)) == sorted(["a", "b", *before_the_last])
    assert asked(dataset, fold) == [(["a", "b"], "c"), (["b", "c"], "a")]


def test_leave_one_out_without_a_user_of_three_events_says_so() -> None:
    with pytest.raises(InvalidInput, match="leave-one-out: wanted users with at least 3 events"):
        leave_one_out(Dataset.of(at(("ann", "a", 1), ("ann", "b", 2))))


def test_test_events_are_absent_from_the_training_columns() -> None:
    part = leave_one_out(Dataset.of(ANN_AND_BOB)).part
    changed = [*ANN_AND_BOB[:4], ("ann", "b", T0 + 90_000), ("bob", "c", T0 + 99_000)]  # other last items and times
    changed_part = leave_one_out(Dataset.of(changed)).part
    assert same(part, changed_part)
    assert np.array_equal(part.columns.items, changed_part.columns.items)


# --- temporal

STREAM = at(
    *(("ann" if n % 2 else "bob", f"item{n % 5}", n) for n in range(40)), ("eve", "item1", 40), ("eve", "new", 41)
)


def test_temporal_trains_before_the_cut_and_tests_everything_after() -> None:
    dataset = Dataset.of(STREAM)
    cut_ms = T0 + 30_000
    fold = temporal(dataset, cut_ms=cut_ms)
    times_ms = dataset.columns.times_ms
    assert fold.part.columns.times_ms.max() < cut_ms
    assert times_ms[fold.test.rows].tolist() == [T0 + 1000 * n for n in range(30, 42)]
    validation = fold.part.columns.times_ms[fold.part.validation]
    assert validation.min() > fold.part.training_events.times_ms.max()
    assert len(fold.part.train) + len(validation) == 30


def test_live_histories_hold_all_earlier_events_frozen_those_before_a_cut() -> None:
    dataset = Dataset.of(STREAM)
    live = temporal(dataset, cut_ms=T0 + 30_000, state="live")
    frozen = temporal(dataset, cut_ms=T0 + 30_000, state="frozen")
    last_of_ann = int(np.flatnonzero(live.test.users == live.test.users[1])[-1])
    assert len(live.test.past(last_of_ann).history) == 19
    assert len(frozen.test.past(last_of_ann).history) == 15
    assert live.test.past(last_of_ann).history.times_ms.max() < T0 + 39_000
    assert frozen.test.past(last_of_ann).history.times_ms.max() < T0 + 30_000
    assert len(live.test.past(10).history) == 0  # eve was never seen before
    assert len(live.test.past(11).history) == 1
    assert len(frozen.test.past(11).history) == 0


def test_a_live_scorer_gets_all_events_between_training_and_test_event() -> None:
    dataset = Dataset.of(STREAM)
    fold = temporal(dataset, cut_ms=T0 + 30_000)
    for number, row in enumerate(fold.test.rows):
        learned_ms = dataset.columns.times_ms[fold.test.stream[: fold.test.num_past[number]]]
        assert len(learned_ms) + len(fold.part.train) == np.flatnonzero(dataset.arrival == row)[0]
        assert (learned_ms > fold.part.training_events.times_ms.max()).all()


def test_a_frozen_history_holds_nothing_from_the_cut_on() -> None:
    dataset = Dataset.of(STREAM)
    fold = temporal(dataset, cut_ms=T0 + 30_000, state="frozen")
    learned_ms = dataset.columns.times_ms[fold.test.stream[: fold.test.num_past.max()]]
    assert len(learned_ms) == len(fold.part.validation)
    assert learned_ms.max() < T0 + 30_000
    assert fold.validation.num_past.max() == 0


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("uvwxyz"), st.integers(31, 90)), max_size=12))
def test_events_after_the_cut_do_not_change_the_training_part(after: list[tuple[str, str, int]]) -> None:
    before = STREAM[:30]
    items = [Item(f"item{n}") for n in range(5)]
    parts = [
        temporal(Dataset.of([*before, *more], items), cut_ms=T0 + 30_500).part
        for more in (at(("ann", "item1", 31)), at(("ann", "item1", 31), *after))
    ]
    assert same(*parts)
    assert np.array_equal(parts[0].columns.items, parts[1].columns.items)


def test_a_cut_with_nothing_on_one_side_says_so() -> None:
    dataset = Dataset.of(STREAM)
    for cut_ms, side in ((T0 - 1, "before"), (T0 + 99_000, "at or after")):
        with pytest.raises(InvalidInput, match=f"got none {side}"):
            temporal(dataset, cut_ms=cut_ms)


def test_a_share_becomes_the_time_before_which_that_share_happened() -> None:
    dataset = Dataset.of(STREAM)
    assert cut_at_share(dataset, 0.5) == T0 + 21_000
    with pytest.raises(InvalidInput, match="--cut: wanted a share between 0 and 1"):
        cut_at_share(dataset, 1.5)


# --- test events


def test_the_targets_time_is_in_nothing_that_a_scorer_is_given() -> None:
    early = leave_one_out(Dataset.of(ANN_AND_BOB))
    late = leave_one_out(Dataset.of([*ANN_AND_BOB[:5], ("bob", "a", T0 + 10**9)]))
    for early_past, late_past in zip(
        (early.test.past(n) for n in range(2)), (late.test.past(n) for n in range(2)), strict=True
    ):
        assert early_past.user == late_past.user
        assert np.array_equal(early_past.history.items, late_past.history.items)
        assert np.array_equal(early_past.history.times_ms, late_past.history.times_ms)


def test_a_sample_keeps_the_order_and_is_the_same_each_time() -> None:
    fold = temporal(Dataset.of(STREAM), cut_ms=T0 + 20_000)
    sample = fold.test.sample(7)
    assert len(sample) == 7
    assert (np.diff(sample.num_past) > 0).all()
    assert np.array_equal(sample.rows, fold.test.sample(7).rows)
    assert fold.test.sample(None) is fold.test
    assert replace(fold, test=sample).sampled(100).test is sample
