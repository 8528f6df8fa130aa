"""The comparison of the fault campaign: what is stored, against what clients were told."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.faults.clients import comparison
from benchmarks.faults.clients.comparison import compare, event_key
from benchmarks.faults.clients.promises import Promises, Shown

ANSWER = "00ff"
STORED: dict[str, list[tuple[Any, ...]]] = {
    comparison.EVENTS: [(event_key("e1"), "ann", "tent", 5)],
    "SELECT count(*) FROM interactions": [(1,)],
    comparison.OUTCOMES: [(event_key("e1"), bytes.fromhex(ANSWER), 1)],
    "SELECT key FROM answers": [(bytes.fromhex(ANSWER),)],
    comparison.ITEMS: [("mug", "Mug", 5, None, 0)],
    comparison.ATTRIBUTES: [("ann", '{"a": 1}')],
    "SELECT user_id FROM users": [("ann",)],
}


def told() -> Promises:
    """What was told where exactly that is stored."""
    promises = Promises(
        events={"e1": {"user_id": "ann", "item_id": "tent", "time": 5, "recommendation_id": ANSWER}},
        attributes={"ann": {"a": 1}},
        shown={ANSWER: Shown(("tent",), 0.0)},
    )
    promises.items["mug"] = {"title": "Mug", "stock": 5, "available_until": None, "hidden": False}
    return promises


def violated(changed: dict[str, list[tuple[Any, ...]]]) -> set[str]:
    """The promises that are broken where some statements give other rows."""
    violations = compare((STORED | changed).__getitem__, told(), before=set())
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
    ],
)
def test_what_is_stored_otherwise_breaks_a_promise(
    statement: str, rows: list[tuple[Any, ...]], promises: set[str]
) -> None:
    assert violated({statement: rows}) == promises


def test_events_of_other_clients_are_not_judged() -> None:
    others = [(event_key("theirs"), "bob", "tent", 5), *STORED[comparison.EVENTS]]
    rows = STORED | {comparison.EVENTS: others, "SELECT count(*) FROM interactions": [(2,)]}
    violations = compare(rows.__getitem__, told(), before=set(), others={event_key("theirs")})
    assert set(violations.values()) == {0}
