"""What is known of items when they are shown: key, newness and novelty."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from serving_doubles import Shop

from core.clock import DAY_MS
from core.outcomes import shown_items
from core.outcomes.shown_items import ShownItems


def test_novelty_is_the_self_information_of_the_share_of_popularity() -> None:
    shop = Shop(item_ids="abcd")
    snapshot = replace(shop.snapshots.current(), popularity=np.array([2800.0, 2799.0, 2799.0, -np.inf]))
    facts = ShownItems(lambda: snapshot).facts(["a", "b", "d", "unknown"], now_ms=shop.clock.now_ms())
    assert {item_id: item.novelty for item_id, item in facts.items()} == {"a": 1.0, "b": 2.0, "d": 2.0}


def test_the_percentile_is_the_share_of_the_catalogue_that_is_less_popular() -> None:
    shop = Shop(item_ids="abcd")
    snapshot = replace(shop.snapshots.current(), popularity=np.array([2800.0, 2799.0, 2799.0, -np.inf]))
    facts = ShownItems(lambda: snapshot).facts(list("abcd"), now_ms=shop.clock.now_ms())
    assert {item_id: item.popularity for item_id, item in facts.items()} == {"a": 0.75, "b": 0.25, "c": 0.25, "d": 0.0}


def test_percentiles_of_a_large_catalogue_are_read_from_a_part_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shown_items, "RANKED", 2)
    shop = Shop(item_ids="abcd")
    snapshot = replace(shop.snapshots.current(), popularity=np.array([2800.0, 2799.0, 2798.0, 2797.0]))
    facts = ShownItems(lambda: snapshot).facts(["b"], now_ms=shop.clock.now_ms())
    assert facts["b"].popularity == 0.5


def test_items_are_new_for_a_while_and_have_no_novelty_before_any_event() -> None:
    shop = Shop(item_ids="a")
    items = ShownItems(shop.snapshots.current, new_item_days=30)
    now_ms = shop.clock.now_ms()
    [fresh, old, to_come] = [items.facts(["a"], now_ms=now_ms + days * DAY_MS)["a"] for days in (29, 31, -1)]
    assert (fresh.is_new, old.is_new, fresh.novelty) == (True, False, pytest.approx(0))
    assert not to_come.is_new, "an old log is replayed"
    assert fresh.key == int(shop.snapshots.current().catalogue.keys[0])


def test_known_facts_are_those_of_the_newest_snapshot_and_minute() -> None:
    shop = Shop(item_ids="abcd")
    snapshots, now_ms = [shop.snapshots.current()], shop.clock.now_ms()
    kept = ShownItems(lambda: snapshots[-1], seconds=lambda: 60.0 * len(snapshots))
    crowned = replace(snapshots[0], popularity=np.array([2800.0, 2799.0, 2799.0, -np.inf]))
    for snapshot, days in ((snapshots[0], 0), (crowned, 0), (crowned, 31)):
        snapshots.append(snapshot)
        for item_ids in ("ab", "dcba", "a?"):
            at = {"now_ms": now_ms + days * DAY_MS}
            assert kept.facts(list(item_ids), **at) == ShownItems(lambda: snapshots[-1]).facts(list(item_ids), **at)
