"""Windows: a pure function of the history, whatever the steps in which it came."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidSettings
from core.events.history import EMPTY_WINDOW, History, Window, WindowShape, append, windows_of


def numbers(*values: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array(values, np.int64)


# W = 3, S = 2: the window grows to W + S = 5, then slides by 2, so that it holds 4 or 5 events (by hand: after n events
# it starts at 2 * ceil(max(0, n - 5) / 2)).
BY_HAND = {0: 0, 1: 0, 4: 0, 5: 0, 6: 2, 7: 2, 8: 4, 9: 4, 10: 6, 11: 6, 12: 8}


@pytest.mark.parametrize(("num_events", "start"), BY_HAND.items())
def test_the_window_starts_where_the_rule_of_steps_says(num_events: int, start: int) -> None:
    assert WindowShape(size=5, step=2).start(num_events) == start


def test_after_twelve_events_the_window_holds_the_newest_four() -> None:
    window = windows_of(np.arange(12), np.arange(12) * 10, WindowShape(size=5, step=2))
    assert (window.num_events, window.history.items.tolist()) == (12, [8, 9, 10, 11])
    assert window.history.times_ms.tolist() == [80, 90, 100, 110]


@given(st.integers(1, 60), st.integers(0, 500), st.data())
def test_window_length_stays_within_its_bounds(size: int, num_events: int, data: st.DataObject) -> None:
    step = data.draw(st.integers(1, size))
    length = num_events - WindowShape(size, step).start(num_events)
    assert min(num_events, size - step + 1) <= length <= min(num_events, size)


@given(st.integers(1, 12), st.lists(st.integers(0, 9), max_size=80), st.data())
def test_appending_in_any_chunks_gives_the_window_of_the_whole_history(
    size: int, items: list[int], data: st.DataObject
) -> None:
    shape = WindowShape(size, data.draw(st.integers(1, size)))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(items)), max_size=10)))
    times_ms = np.arange(len(items), dtype=np.int64) * 7
    window = EMPTY_WINDOW
    for start, end in zip([0, *cuts], [*cuts, len(items)], strict=True):
        window = append(window, numbers(*items[start:end]), times_ms[start:end], shape)
    expected = windows_of(numbers(*items), times_ms, shape)
    assert window.num_events == expected.num_events
    assert window.history.items.tolist() == expected.history.items.tolist()
    assert window.history.times_ms.tolist() == expected.history.times_ms.tolist()


def test_an_event_goes_to_the_end_unless_it_is_earlier_than_the_last() -> None:
    window = Window(1, History(numbers(1), numbers(100)))
    assert [window.accepts(time_ms) for time_ms in (99, 100, 101)] == [False, True, True]
    assert window.last_time_ms == 100


def test_an_empty_window_has_no_last_time_and_accepts_anything() -> None:
    assert EMPTY_WINDOW.last_time_ms is None
    assert EMPTY_WINDOW.accepts(0)


def test_items_without_times_are_our_mistake() -> None:
    with pytest.raises(AssertionError):
        Window(1, History(numbers(1), numbers()))


@pytest.mark.parametrize(("size", "step"), [(5, 0), (5, 6), (0, 0), (5, -1)])
def test_a_step_is_between_one_and_the_size(size: int, step: int) -> None:
    with pytest.raises(InvalidSettings, match=f"wanted 1 <= step <= size, got size {size} and step {step}"):
        WindowShape(size, step)
