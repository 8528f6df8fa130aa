"""The comparison at the end of a fault campaign finds what went wrong, each thing under its own name."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

HALF_LIFE_MS = 1000.0


@pytest.fixture
def compared(tmp_path: Path) -> Callable[..., dict[str, int]]:
    """What is broken after three clicks of one user and one change to the rows, users or totals of the database."""
    from benchmarks.faults.ledger import Ledger, Log, Row, Stored, User, compare, event_key, log2_sum

    def compare_changed(
        *,
        rows: Callable[[list[Row]], list[Row]] = lambda rows: rows,
        user: dict[str, object] | None = None,
        told_seq: int = 3,
        num_counted: int = 3,
        score: float | None = None,
    ) -> dict[str, int]:
        with Ledger(tmp_path / "ledger") as ledger:
            for number in (1, 2, 3):
                ledger.sent(f"e{number}", "ann", f"i{number}", 1000 * number)
                ledger.acknowledged(f"e{number}", told_seq if number == 3 else None)
        right = [Row(event_key(f"e{number}"), "ann", f"i{number}", 1000 * number, number) for number in (1, 2, 3)]
        ann = User(seq=3, num_events=3, window=[("i2", 2000), ("i3", 3000)])  # size 2, step 1: the newest two
        stored = Stored(
            rows=rows(right),
            users={"ann": dataclasses.replace(ann, **(user or {}))},
            num_counted=num_counted,
            popularity={"i1": 1.0, "i2": 2.0, "i3": 3.0 if score is None else score},
        )
        empty = Stored(rows=[], users={}, num_counted=0, popularity={})
        assert log2_sum([1.0, 1.0]) == 2.0
        log = Log.read([tmp_path / "ledger"])
        found = compare(log, stored, before=empty, size=2, step=1, half_life_ms=HALF_LIFE_MS)
        return {promise: num for promise, num in found.items() if num}

    return compare_changed


def test_a_database_that_holds_each_event_once_breaks_nothing(compared: Callable[..., dict[str, int]]) -> None:
    assert compared() == {}


def test_an_acknowledged_event_that_is_missing_is_lost(compared: Callable[..., dict[str, int]]) -> None:
    assert compared(rows=lambda rows: rows[:2])["lost"] == 1


def test_an_event_that_is_there_twice_is_double(compared: Callable[..., dict[str, int]]) -> None:
    assert compared(rows=lambda rows: [*rows, rows[0]])["double"] == 1


def test_an_event_that_nobody_sent_is_found(compared: Callable[..., dict[str, int]]) -> None:
    strange = b"\0" * 16
    assert compared(rows=lambda rows: [*rows[:2], dataclasses.replace(rows[2], key=strange)])["never sent"] == 1


def test_an_event_of_another_item_or_time_is_changed(compared: Callable[..., dict[str, int]]) -> None:
    assert compared(rows=lambda rows: [dataclasses.replace(rows[0], item_id="i9"), *rows[1:]])["changed"] == 1


def test_a_window_that_differs_from_the_log_is_wrong(compared: Callable[..., dict[str, int]]) -> None:
    assert compared(user={"window": [("i3", 3000), ("i2", 2000)]}) == {"wrong windows": 1}


def test_an_event_counted_twice_in_a_users_state_is_found_by_the_number_of_events(
    compared: Callable[..., dict[str, int]],
) -> None:
    assert compared(user={"num_events": 4}) == {"wrong windows": 1}


def test_a_sequence_number_that_no_event_has_is_a_gap(compared: Callable[..., dict[str, int]]) -> None:
    assert compared(user={"seq": 4}) == {"gaps in user_seq": 1}


def test_a_client_that_was_told_another_sequence_number_was_told_wrongly(
    compared: Callable[..., dict[str, int]],
) -> None:
    assert compared(told_seq=2) == {"wrongly told user_seq": 1}


def test_an_event_counted_twice_in_totals_or_popularity_is_found(compared: Callable[..., dict[str, int]]) -> None:
    assert compared(num_counted=4) == {"wrong totals": 1}
    assert compared(score=4.0) == {"wrong popularity": 1}  # 2^3 + 2^3 = 2^4
