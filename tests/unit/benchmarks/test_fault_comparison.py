"""The comparison of the fault campaign: what is stored, against what clients were told."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import pytest

from benchmarks.faults.clients import answers, comparison
from benchmarks.faults.clients.answers import Span
from benchmarks.faults.clients.comparison import compare, event_key
from benchmarks.faults.clients.promises import Promises, Shown

ANSWER = "00ff"


def stored_answer(*, user_id: str = "ann", arm: str = "x/a", items: Sequence[int] = (7, 8)) -> tuple[Any, ...]:
    return (bytes.fromhex(ANSWER), user_id, arm, struct.pack(f"<{len(items)}I", *items))


STORED: dict[str, list[tuple[Any, ...]]] = {
    comparison.EVENTS: [(event_key("e1"), "ann", "tent", 5)],
    "SELECT count(*) FROM interactions": [(1,)],
    comparison.OUTCOMES: [(event_key("e1"), bytes.fromhex(ANSWER), 1)],
    answers.ANSWERS: [stored_answer()],
    answers.ITEM_IDS: [(7, "tent"), (8, "mug")],
    answers.COUNTS: [("x/a", 1, 2)],
    answers.OF_ITEMS: [(bytes.fromhex(ANSWER), 1, answers.CLICK, None, "ann", "tent")],
    comparison.ITEMS: [("mug", "Mug", 5, None, 0)],
    comparison.ATTRIBUTES: [("ann", '{"a": 1}')],
    "SELECT user_id FROM users": [("ann",)],
}


def told() -> Promises:
    """What was told where exactly that is stored."""
    promises = Promises(
        events={"e1": {"user_id": "ann", "item_id": "tent", "time": 5, "recommendation_id": ANSWER}},
        attributes={"ann": {"a": 1}},
        shown={ANSWER: Shown("ann", "x/a", ("tent", "mug"), 9.0)},
    )
    promises.items["mug"] = {"title": "Mug", "stock": 5, "available_until": None, "hidden": False}
    return promises


def violated(changed: dict[str, list[tuple[Any, ...]]], faults: Sequence[Span] = ()) -> set[str]:
    """The promises that are broken where some statements give other rows."""
    violations = compare((STORED | changed).__getitem__, told(), before=set(), faults=faults)
    return {promise for promise, num in violations.items() if num}


def test_what_was_told_and_is_stored_breaks_no_promise() -> None:
    assert violated({}) == set()


@pytest.mark.parametrize(
    ("statement", "rows", "promises"),
    [
        (comparison.EVENTS, [], {"lost", "outcomes of no event", "stored twice"}),
        (comparison.EVENTS, [(event_key("e1"), "ann", "rope", 5)], {"changed"}),
        ("SELECT count(*) FROM interactions", [(2,)], {"stored twice"}),
        (comparison.OUTCOMES, [], {"wrong outcomes"}),
        (comparison.ITEMS, [("mug", "Mug", 4, None, 0)], {"wrong items"}),
        (comparison.ITEMS, [("mug", "Mug", 5, None, 1)], {"wrong items"}),
        (comparison.ATTRIBUTES, [("ann", '{"a": 2}')], {"wrong attributes"}),
        (answers.ANSWERS, [], {"answers lost without a kill", "wrong counts of answers"}),
        (answers.ANSWERS, [stored_answer(user_id="bob")], {"changed answers"}),
        (answers.ANSWERS, [stored_answer(items=(8, 7))], {"changed answers", "outcomes of items that were not shown"}),
        (answers.ANSWERS, [stored_answer(arm="x/b")], {"changed answers", "wrong counts of answers"}),
        (answers.COUNTS, [("x/a", 2, 4)], {"wrong counts of answers"}),
    ],
)
def test_what_is_stored_otherwise_breaks_a_promise(
    statement: str, rows: list[tuple[Any, ...]], promises: set[str]
) -> None:
    assert violated({statement: rows}) == promises


@pytest.mark.parametrize(("begin_s", "is_lost"), [(10.0, False), (8.5, False), (11.0, True), (1.0, True)])
def test_an_answer_may_be_lost_by_a_fault_within_a_second(begin_s: float, is_lost: bool) -> None:
    nothing: dict[str, list[tuple[Any, ...]]] = {answers.ANSWERS: [], answers.COUNTS: [], answers.OF_ITEMS: []}
    broken = violated(nothing, faults=[(begin_s, begin_s + 1)])
    assert ("answers lost without a kill" in broken) == is_lost


def test_results_are_what_answers_and_their_items_add_up_to() -> None:
    second = (bytes.fromhex("00fe"), "ann", "x/a", struct.pack("<I", 7))
    anonymous = (bytes.fromhex("00fd"), None, "x/a", struct.pack("<I", 7))
    bought = (bytes.fromhex("00fe"), 1, answers.CONVERSION, 5.0, "ann", "tent")
    again = (bytes.fromhex(ANSWER), 1, answers.CLICK, None, "ann", "tent")
    rows = STORED | {
        answers.ANSWERS: [stored_answer(), second, anonymous],
        answers.OF_ITEMS: [*STORED[answers.OF_ITEMS], again, bought],
    }
    assert answers.expected_results(rows.__getitem__) == {"x/a": (1, 2, 3, 1, 1, 5.0, 1)}


def test_events_of_other_clients_are_not_judged() -> None:
    others = [(event_key("theirs"), "bob", "tent", 5), *STORED[comparison.EVENTS]]
    rows = STORED | {comparison.EVENTS: others, "SELECT count(*) FROM interactions": [(2,)]}
    violations = compare(rows.__getitem__, told(), before=set(), faults=[], others={event_key("theirs")})
    assert set(violations.values()) == {0}
