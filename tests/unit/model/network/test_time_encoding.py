"""Time encoding: every gap has its row, whatever its size, its sign and its distance from 1970."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from core.clock import DAY_MS
from model.network.config import YEAR_S, ModelConfig
from model.network.time_encoding import NO_GAP, TimeEncoding, gap_rows

START_MS = 1_300_000_000_000


def encoding_of(config: ModelConfig) -> TimeEncoding:
    encoding = TimeEncoding(config)
    encoding.initialise()
    return encoding


def rows_of(encoding: TimeEncoding, *times_ms: int) -> list[int]:
    return encoding.rows(torch.tensor([times_ms])).tolist()[0]


@given(st.integers(-(10**14), 10**14))
def test_every_gap_has_a_row_in_the_table(gap_ms: int) -> None:
    row = gap_rows(torch.tensor([gap_ms]), scale=20.0, num_rows=ModelConfig().num_gap_rows)
    assert NO_GAP < int(row) < ModelConfig().num_gap_rows


@given(st.integers(0, 10 * YEAR_S))
def test_the_row_of_a_gap_is_the_floor_of_its_scaled_logarithm(gap_s: int) -> None:
    row = gap_rows(torch.tensor([gap_s * 1000]), scale=20.0, num_rows=ModelConfig().num_gap_rows)
    assert int(row) in {1 + math.floor(20 * math.log2(gap_s + 1) + error) for error in (-1e-9, 0, 1e-9)}


def test_gaps_below_the_resolution_of_float32_seconds_differ(
    make_config: Callable[..., ModelConfig],
) -> None:
    times_ms = (START_MS, START_MS + 1000, START_MS + 3000)
    assert len({torch.tensor(time_ms / 1000, dtype=torch.float32).item() for time_ms in times_ms}) == 1
    assert rows_of(encoding_of(make_config()), *times_ms) == [NO_GAP, 1 + 20, 1 + 31]


def test_the_first_event_of_a_window_has_no_gap_which_is_not_a_gap_of_zero(
    make_config: Callable[..., ModelConfig],
) -> None:
    assert rows_of(encoding_of(make_config()), START_MS, START_MS) == [NO_GAP, 1]


def test_without_gaps_all_events_read_the_same_row(make_config: Callable[..., ModelConfig]) -> None:
    encoding = encoding_of(make_config(gaps="off"))
    assert rows_of(encoding, START_MS, START_MS + 5, START_MS + 10**9) == [NO_GAP] * 3


def test_shuffled_gaps_come_from_the_pool_and_depend_on_the_event_alone(
    make_config: Callable[..., ModelConfig],
) -> None:
    encoding = encoding_of(make_config(gaps="shuffled"))
    encoding.shuffle_pool.copy_(torch.arange(len(encoding.shuffle_pool)) + 1)
    times_ms = [START_MS + 60_000 * step for step in range(200)]
    rows = rows_of(encoding, *times_ms)
    assert rows[0] == NO_GAP
    assert len(set(rows[1:])) > 100, "equal gaps are spread over the pool"
    assert rows_of(encoding, START_MS - 5, *times_ms[1:])[1:] == rows[1:]


def test_absolute_time_tells_minutes_apart_ten_years_from_its_origin(make_config: Callable[..., ModelConfig]) -> None:
    encoding = encoding_of(make_config())
    encoding.origin_ms.fill_(START_MS)
    far_ms = START_MS + 3650 * DAY_MS
    with torch.no_grad():
        first, second = encoding.absolute(torch.tensor([[far_ms, far_ms + 600_000]]))[0]
    assert (first - second).abs().max() > 1e-3


def test_the_frequencies_are_trained_parameters(make_config: Callable[..., ModelConfig]) -> None:
    encoding = encoding_of(make_config())
    encoding(torch.tensor([[START_MS, START_MS + 12_345_678]])).sum().backward()
    assert isinstance(encoding.frequency.weight, nn.Parameter)
    assert encoding.frequency.weight.grad is not None
    assert encoding.frequency.weight.grad.abs().sum() > 0


def test_without_the_absolute_time_only_gaps_are_read() -> None:
    encoding = encoding_of(ModelConfig(absolute_time=False))
    times_ms = torch.tensor([[0, 60_000, 90_000]]) + START_MS
    assert encoding(times_ms).equal(encoding(times_ms + 12_345_678_901))
    assert not encoding(times_ms).equal(encoding(torch.tensor([[0, 1_000, 90_000]]) + START_MS))
