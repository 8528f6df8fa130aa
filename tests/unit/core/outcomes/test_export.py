"""The export of outcomes: each attributed event with what its answer was."""

from __future__ import annotations

from domain_doubles import NOW_MS, TYPES
from doubles import MemoryStore
from outcome_log import OutcomeShop

from core.export import OUTCOME_FIELDS, export_outcomes


def test_an_attributed_event_is_exported_with_its_answer() -> None:
    shop = OutcomeShop(MemoryStore())
    shop.apply([("answer", ("ann", ["lamp", "mug"], "home", 0)), ("flush", None)])
    shop.apply([("event", ("bob", "mug", "purchase", 3000, 0)), ("event", ("bob", "rope", "click", 3000, 0))])
    with shop.store.read() as read:
        [record] = export_outcomes(read, TYPES)
    assert list(record) == list(OUTCOME_FIELDS)
    assert record == {
        "recommendation_id": shop.answers[0].answer.recommendation_id,
        "answered": NOW_MS,
        "scenario": "home",
        "arm": "",
        "model_version": "",
        "position": 2,
        "propensity": 1.0,
        "counts_as": "conversion",
        "user_id": "bob",
        "item_id": "mug",
        "type": "purchase",
        "time": NOW_MS + 3_000_000,
        "value": 2.5,
    }
