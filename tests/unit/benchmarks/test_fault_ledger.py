"""The comparison at the end of a fault campaign reports each kind of violation."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

HALF_LIFE_MS = 1000.0


@pytest.fixture
def compared(tmp_path: Path) -> Callable[..., dict[str, int]]:
    """The violations after three clicks of a user and a change to the rows, users or totals of the database."""
    from benchmarks.faults.ledger import Ledger, LedgerRecords, Row, Stored, User, compare, event_key, log2_sum

    def compare_changed(
        *,
        rows: Callable[[list[Row]], list[Row]] = lambda rows: rows,
        user: dict[str, object] | None = None,
        reported_seq: int = 3,
        num_counted: int = 3,
        score: float | None = None,
    ) -> dict[str, int]:
        with Ledger(tmp_path / "ledger") as ledger:
            for number in (1, 2, 3):
                ledger.sent(f"e{number}", "ann", f"i{number}", 1000 * number)
                ledger.acknowledged(f"e{number}", reported_seq if number == 3 else None)
        correct = [Row(event_key(f"e{number}"), "ann", f"i{number}", 1000 * number, number) for number in (1, 2, 3)]
        ann = User(seq=3, num_events=3, window=[("i2", 2000), ("i3", 3000)])  # size 2, step 1: the newest two
        stored = Stored(
            rows=rows(correct),
            users={"ann": dataclasses.replace(ann, **(user or {}))},
            num_counted=num_counted,
            popularity={"i1": 1.0, "i2": 2.0, "i3": 3.0 if score is None else score},
        )
        empty = Stored(rows=[], users={}, num_counted=0, popularity={})
        assert log2_sum([1.0, 1.0]) == 2.0
        records = LedgerRecords.read([tmp_path / "ledger"])
        violations = compare(records, stored, before=empty, size=2, step=1, half_life_ms=HALF_LIFE_MS)
        return {guarantee: num for guarantee, num in violations.items() if num}

    return compare_changed


def test_a_database_with_every_event_once_has_no_violation(compared: Callable[..., dict[str, int]]) -> None:
    assert compared() == {}


def test_an_acknowledged_event_that_is_missing_is_lost(compared: Callable[..., dict[str, int]]) -> None:
    assert compared(rows=lambda rows: rows[:2])["lost"] == 1


def test_an_event_stored_twice_is_counted_twice(compared: Callable[..., dict[str, int]]) -> None:
    assert compared(rows=lambda rows: [*rows, rows[0]])["counted twice"] == 1


def test_an_event_that_was_not_sent_is_reported(compared: Callable[..., dict[str, int]]) -> None:
    unknown_key = b"\0" * 16
    assert compared(rows=lambda rows: [*rows[:2], dataclasses.replace(rows[2], key=unknown_key)])["never sent"] == 1


def test_an_event_with_another_item_or_time_is_changed(compared: Callable[..., dict[str, int]]) -> None:
    assert compared(rows=lambda rows: [dataclasses.replace(rows[0], item_id="i9"), *rows[1:]])["changed"] == 1


def test_a_window_that_differs_from_the_log_is_wrong(compared: Callable[..., dict[str, int]]) -> None:
    assert compared(user={"window": [("i3", 3000), ("i2", 2000)]}) == {"wrong windows": 1}


def test_a_wrong_number_of_events_in_a_users_state_is_reported(
    compared: Callable[..., dict[str, int]],
) -> None:
    assert compared(user={"num_events": 4}) == {"wrong windows": 1}


def test_a_sequence_number_without_an_event_is_a_gap(compared: Callable[..., dict[str, int]]) -> None:
    assert compared(user={"seq": 4}) == {"gaps in user_seq": 1}


def test_a_wrong_sequence_number_in_an_answer_is_reported(
    compared: Callable[..., dict[str, int]],
) -> None:
    assert compared(reported_seq=2) == {"wrong user_seq in answers": 1}


def test_wrong_totals_and_popularity_are_reported(compared: Callable[..., dict[str, int]]) -> None:
    assert compared(num_counted=4) == {"wrong totals": 1}
    assert compared(score=4.0) == {"wrong popularity": 1}  # 2^3 + 2^3 = 2^4


def test_users_of_other_clients_are_left_out() -> None:
    from benchmarks.faults.ledger import Row, Stored, User, event_key

    own, other = (Row(event_key(name), name, "i1", 1, 1) for name in ("ann", "shopper-1"))
    users = {name: User(seq=1, num_events=1, window=[("i1", 1)]) for name in ("ann", "shopper-1")}
    both = Stored(rows=[own, other], users=users, num_counted=2, popularity={"i1": 1.0})
    assert both.without("shopper-") == Stored([own], {"ann": users["ann"]}, 1, {"i1": 1.0})
