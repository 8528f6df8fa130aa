"""Off-policy estimates: by hand on a few slots, right in expectation, and honest about what the log does not cover."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.simulated.policies import exploring, log_of, market, softmax_policy
from core.arrays import DoubleArray
from core.experiments.comparison import boundary
from core.experiments.off_policy import LoggedSlots, estimate


def one_slot_each(rewards: DoubleArray, propensities: DoubleArray, chances: DoubleArray) -> LoggedSlots:
    """An answer of one slot for each of some users."""
    places = np.arange(len(rewards))
    return LoggedSlots(places, places, np.ones_like(places), rewards, propensities, chances)


def tiled(*values: float, times: int = 100) -> DoubleArray:
    return np.tile(np.array(values), times)


def test_the_estimates_by_hand() -> None:
    # Item a with propensity .8 earns 1 of 2, item b with .2 earns 1; the policy shows them with .4 and .6.
    slots = one_slot_each(tiled(1, 0, 1), tiled(0.8, 0.8, 0.2), tiled(0.4, 0.4, 0.6))
    estimates = estimate(slots, modelled=tiled(0.5, 0.5, 0.9), expected=tiled(0.74, 0.74, 0.74))
    assert estimates.ips is not None
    assert estimates.snips is not None
    assert estimates.dr is not None
    assert estimates.ips.mean == pytest.approx((0.5 + 3) / 3)
    assert estimates.snips.mean == pytest.approx((0.5 + 3) / (0.5 + 0.5 + 3))
    assert estimates.dr.mean == pytest.approx(0.74 + (0.5 * 0.5 - 0.5 * 0.5 + 3 * 0.1) / 3)
    assert estimates.effective_slots == pytest.approx(100 * 4**2 / 9.5)
    assert (estimates.coverage, estimates.clipped) == (pytest.approx(4 / 3), 0)


def test_the_logging_policy_itself_earns_what_it_earned() -> None:
    rewards = np.random.default_rng(1).random(500)
    estimates = estimate(one_slot_each(rewards, np.full(500, 0.3), np.full(500, 0.3)))
    assert estimates.ips == estimates.snips
    assert estimates.ips is not None
    assert estimates.ips.mean == pytest.approx(rewards.mean())
    width = np.std(rewards) / np.sqrt(500) * boundary(500)
    assert estimates.ips.high - estimates.ips.mean == pytest.approx(width)
    assert (estimates.dr, estimates.effective_slots) == (None, pytest.approx(500))


def test_a_users_answers_widen_the_interval_as_one() -> None:
    rewards, chances = tiled(1, 0, times=200), np.full(400, 0.5)
    alone = estimate(one_slot_each(rewards, chances, chances)).ips
    users = np.repeat(np.arange(100), 4)
    same = np.repeat(rewards[:100], 4)  # four answers of a user earn the same
    slots = LoggedSlots(np.arange(400), users, np.ones(400, int), same, chances, chances)
    together = estimate(slots).ips
    assert alone is not None
    assert together is not None
    assert together.high - together.mean == pytest.approx(2 * (alone.high - alone.mean))


@pytest.mark.parametrize("kind", ["softmax", "exploration"])
def test_other_policies_are_estimated_close_to_the_truth(kind: str) -> None:
    for seed in range(3):
        random = np.random.default_rng(seed)
        scene = market(random)
        logging, target = softmax_policy(random, 0.7), softmax_policy(random, 1.0)
        if kind == "exploration":
            logging, target = exploring(logging, 0.5), exploring(target, 0.0)
        slots, modelled, expected = log_of(scene, logging, target, num_answers=50_000, num_users=10_000, seed=seed)
        estimates, truth = estimate(slots, modelled=modelled, expected=expected), scene.value(target)
        for interval in (estimates.ips, estimates.snips, estimates.dr):
            assert interval is not None
            assert interval.low <= truth <= interval.high
            assert interval.mean == pytest.approx(truth, rel=0.08)
        assert estimates.coverage == pytest.approx(1, abs=0.05)


def test_a_policy_that_shows_what_was_never_shown_is_not_covered() -> None:
    slots = one_slot_each(np.ones(200), np.ones(200), tiled(1, 0, times=100))
    assert estimate(slots).coverage == 0.5
    unseen = estimate(one_slot_each(np.ones(200), np.ones(200), np.zeros(200)))
    assert (unseen.coverage, unseen.effective_slots) == (0, 0)


def test_large_weights_are_clipped_and_counted() -> None:
    slots = one_slot_each(np.ones(200), tiled(0.001, 1, times=100), np.ones(200))
    clipped = estimate(slots, max_weight=10)
    assert clipped.ips is not None
    assert (clipped.ips.mean, clipped.clipped) == (pytest.approx(5.5), 0.5)


def test_few_users_give_no_interval() -> None:
    estimates = estimate(one_slot_each(np.ones(99), np.ones(99), np.ones(99)))
    assert (estimates.ips, estimates.snips) == (None, None)


@given(st.floats(0.1, 10), st.integers(0, 1000))
def test_snips_of_a_constant_reward_is_the_constant(reward: float, seed: int) -> None:
    random = np.random.default_rng(seed)
    slots = one_slot_each(np.full(150, reward), random.uniform(0.05, 1, 150), random.uniform(0.05, 1, 150))
    snips = estimate(slots).snips
    assert snips is not None
    assert snips.mean == pytest.approx(reward)
    assert snips.high - snips.low == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"propensities": np.zeros(3)}, "propensities: wanted numbers above 0 and at most 1"),
        ({"propensities": np.full(3, 1.5)}, "propensities: wanted numbers above 0 and at most 1"),
        ({"rewards": np.ones(2)}, "slots: wanted arrays of one length above 0"),
    ],
)
def test_invalid_logs_are_refused(change: dict[str, DoubleArray], message: str) -> None:
    fields = {"rewards": np.ones(3), "propensities": np.ones(3), "chances": np.ones(3), **change}
    with pytest.raises(ValueError, match=message):
        LoggedSlots(np.arange(3), np.arange(3), np.ones(3, int), **fields)
