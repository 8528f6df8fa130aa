"""A replayed log: slots from answers, and estimates close to what the other scenario earns."""

from __future__ import annotations

import numpy as np
import pytest

from core.experiments.replayed_log import NO_ITEM, ReplayedLog
from core.records.outcomes import StoredAnswer

CLICK_RATES = {1: 0.1, 2: 0.2, 3: 0.6}


def answer(number: int, items: tuple[int, ...], propensities: tuple[float, ...]) -> StoredAnswer:
    return StoredAnswer(number.to_bytes(16, "big"), f"user-{number}", number, 1, items, propensities)


def test_a_slot_has_propensity_click_and_whether_the_other_list_shows_it() -> None:
    first, second = answer(1, (7, 8), (0.5, 1.0)), answer(2, (9, 7), (0.25, 0.1))
    log = ReplayedLog.of([first, second], [(7, 9), (9,)], {(first.key, 2)})
    assert log.slots.propensities.tolist() == [0.5, 1.0, 0.25, 0.1]
    assert log.slots.rewards.tolist() == [0, 1, 0, 0]
    assert log.slots.chances.tolist() == [1, 0, 1, 0]
    assert (log.others.tolist(), log.num_users) == ([7, 9, 9, NO_ITEM], 2)


def test_estimates_from_random_items_are_near_the_rate_of_the_other_list() -> None:
    random = np.random.default_rng(5)
    answers = [answer(number, (int(random.integers(1, 4)),), (1 / 3,)) for number in range(6_000)]
    clicked = {(each.key, 1) for each in answers if random.random() < CLICK_RATES[each.item_keys[0]]}
    log = ReplayedLog.of(answers, [(3,)] * len(answers), clicked)
    estimates, logged = log.estimates(), log.logged()
    assert logged.ips is not None
    assert logged.ips.mean == pytest.approx(0.3, abs=0.02)
    for interval in (estimates.ips, estimates.snips, estimates.dr):
        assert interval is not None
        assert interval.low < 0.6 < interval.high
        assert interval.mean == pytest.approx(0.6, abs=0.04)
    assert estimates.coverage == pytest.approx(1, abs=0.05)


def test_a_log_without_answers_is_refused() -> None:
    with pytest.raises(ValueError, match="slots: wanted arrays of one length above 0"):
        ReplayedLog.of([], [], set())
