"""Training windows: every event is predicted once an epoch, cut where serving cuts, never across users."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from core.events.history import WindowShape, windows_of
from core.records.stored import EventColumns
from model.training.sequences import (
    Sequences,
    UserRanges,
    batches,
    contexts,
    cut_windows,
    held_out,
    padded,
    trained_positions,
)

shapes = st.integers(1, 12).flatmap(lambda size: st.builds(WindowShape, st.just(size), st.integers(1, size)))
histories = st.lists(st.integers(1, 60), min_size=1, max_size=8)


def columns_of(counts: list[int]) -> EventColumns:
    users = np.repeat(np.arange(len(counts)), counts)
    times_ms = np.concatenate([np.arange(count) * 1000 for count in counts])
    return EventColumns(users, np.arange(len(users)), times_ms)


@given(histories, shapes, st.integers(0, 2**32))
def test_every_event_but_a_users_first_is_predicted_exactly_once(
    counts: list[int], shape: WindowShape, seed: int
) -> None:
    columns = columns_of(counts)
    ranges = UserRanges.of(columns.users)
    windows = cut_windows(ranges, shape, np.random.default_rng(seed))
    targets = [first + 1 + step for first, length in zip(*_lists(windows), strict=True) for step in range(length)]
    assert sorted(targets) == sorted(set(range(len(columns))) - set(ranges.first.tolist()))
    for first, length in zip(*_lists(windows), strict=True):
        assert columns.users[first] == columns.users[first + length], "the last target belongs to the same user"
        rank = first - ranges.first[columns.users[first]]
        assert rank % shape.step == 0, "windows start where serving may start them"
        assert 1 <= length <= shape.size


def _lists(windows: object) -> tuple[list[int], list[int]]:
    return windows.first.tolist(), windows.length.tolist()  # type: ignore[attr-defined]


@given(histories, shapes)
def test_the_context_of_a_held_out_event_is_the_serving_window(counts: list[int], shape: WindowShape) -> None:
    columns = columns_of(counts)
    ranges = UserRanges.of(columns.users)
    rows = np.setdiff1d(np.arange(len(columns)), ranges.first)
    for row, first, length in zip(rows, *_lists(contexts(columns, rows, shape)), strict=True):
        begin = ranges.first[columns.users[row]]
        served = windows_of(columns.items[begin:row], columns.times_ms[begin:row], shape)
        assert columns.items[first : first + length].tolist() == served.history.items.tolist()


@given(histories, shapes, st.integers(1, 40))
def test_batches_hold_every_window_once_within_the_event_limit(
    counts: list[int], shape: WindowShape, max_events: int
) -> None:
    rng = np.random.default_rng(0)
    windows = cut_windows(UserRanges.of(columns_of(counts).users), shape, rng)
    packed = list(batches(windows, max_events=max_events, rng=rng))
    assert sorted(first for batch in packed for first in batch.first) == sorted(windows.first)
    for batch in packed:
        assert len(batch) == 1 or len(batch) * batch.length.max() <= max_events
        rows, real = padded(batch)
        assert real.sum(1).tolist() == batch.length.tolist()
        assert (rows[:, 0] == batch.first).all()
        assert (rows.max(1) == batch.first + batch.length - 1).all()


def test_what_is_context_is_read_and_not_learnt() -> None:
    recent = Sequences(np.array([0, 10]), np.array([3, 2]))
    replayed = Sequences(np.array([20]), np.array([4]), np.array([3]))
    both = recent.join(replayed)
    assert trained_positions(both).tolist() == [
        [True, True, True, False],
        [True, True, False, False],
        [False, False, False, True],
    ]
    assert (recent.num_targets, replayed.num_targets, both.num_targets) == (5, 1, 6)
    (batch,) = batches(both, max_events=100, rng=np.random.default_rng(0))
    assert trained_positions(batch).sum(1).tolist() == [{0: 3, 10: 2, 20: 1}[first] for first in batch.first.tolist()]
    assert padded(batch)[1].sum(1).tolist() == batch.length.tolist()


def test_the_held_out_share_is_the_newest_and_never_splits_a_moment() -> None:
    times_ms = np.array([5, 5, 5, 1, 2, 3, 4, 5, 6, 7])
    columns = EventColumns(np.zeros(10, np.int64), np.arange(10), times_ms)
    assert held_out(columns, share=0.2).tolist() == (times_ms > 5).tolist()
    assert held_out(columns, share=0.3).tolist() == (times_ms > 5).tolist()
    assert not held_out(columns, share=0.0).any()
