"""Users are split by a salted hash: by the shares, independently between experiments, with as few moves as possible."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from core.experiments.assignment import assign
from core.experiments.experiment import Arm, Experiment

USERS = [f"user-{number}" for number in range(10_000)]


def experiment(*shares: float, salt: str = "salt") -> Experiment:
    return Experiment("ranking", tuple(Arm(f"arm-{n}", share) for n, share in enumerate(shares)), salt=salt)


def arms_of(tested: Experiment, users: list[str] = USERS) -> np.ndarray:
    return np.array([-1 if (arm := assign(tested, user)) is None else int(arm.name[-1]) for user in users])


@pytest.mark.parametrize("shares", [(0.5, 0.5), (0.1, 0.2, 0.7), (1 / 3, 1 / 3, 1 / 3), (0.9, 0.05, 0.05)])
def test_arms_get_their_shares_of_users(shares: tuple[float, ...]) -> None:
    counts = np.bincount(arms_of(experiment(*shares)), minlength=len(shares))
    assert chisquare(counts, np.array(shares) * len(USERS)).pvalue > 0.001


def test_users_beyond_the_shares_are_outside() -> None:
    counts = np.bincount(arms_of(experiment(0.1, 0.1)) + 1)
    assert chisquare(counts, np.array([0.8, 0.1, 0.1]) * len(USERS)).pvalue > 0.001


def test_a_user_stays_in_the_arm_whatever_the_order_of_arms() -> None:
    tested = experiment(0.2, 0.3, 0.5)
    turned = Experiment("ranking", tested.arms[::-1], salt="salt")
    assert [assign(tested, user) for user in USERS[:500]] == [assign(turned, user) for user in USERS[:500]]


def test_of_equal_arms_that_with_the_larger_hash_has_the_user() -> None:
    def digest(arm: str, user: str) -> str:
        return hashlib.blake2b(f"salt\0{arm}\0{user}".encode(), digest_size=8).hexdigest()

    larger = [int(digest("arm-1", user) > digest("arm-0", user)) for user in USERS[:100]]
    assert arms_of(experiment(0.5, 0.5), USERS[:100]).tolist() == larger


def test_experiments_with_other_salts_split_independently() -> None:
    one, other = arms_of(experiment(0.5, 0.5, salt="a")), arms_of(experiment(0.5, 0.5, salt="b"))
    together = np.bincount(2 * one + other, minlength=4)
    assert chisquare(together).pvalue > 0.001


def test_without_a_salt_the_name_is_the_salt() -> None:
    arms = (Arm("arm-0", 0.5), Arm("arm-1", 0.5))
    assert (arms_of(Experiment("x", arms)) == arms_of(Experiment("y", arms, salt="x"))).all()
    assert (arms_of(Experiment("x", arms)) != arms_of(Experiment("y", arms))).any()


@pytest.mark.parametrize(
    ("before", "after"),
    [((0.5, 0.5), (0.6, 0.4)), ((0.1, 0.1), (0.4, 0.4)), ((0.2, 0.3, 0.5), (0.36, 0.24, 0.4))],
    ids=["two arms", "from outside", "one of three grows against the others"],
)
def test_no_more_users_move_than_shares_change(before: tuple[float, ...], after: tuple[float, ...]) -> None:
    old, new = arms_of(experiment(*before)), arms_of(experiment(*after))
    grown = np.maximum(np.array(after) - np.array(before), 0).sum()
    assert (old != new).mean() == pytest.approx(grown, abs=0.015)


def test_users_move_only_to_the_arm_that_grows() -> None:
    old, new = arms_of(experiment(0.2, 0.3, 0.5)), arms_of(experiment(0.36, 0.24, 0.4))
    assert set(new[old != new].tolist()) == {0}


@given(st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=60))
def test_every_id_has_an_arm_where_shares_add_up_to_one(user_id: str) -> None:
    assert assign(experiment(1 / 3, 1 / 3, 1 / 3), user_id) is not None


def test_an_experiment_runs_from_its_start_until_its_end() -> None:
    limited = Experiment("x", (Arm("a", 0.5), Arm("b", 0.5)), start_ms=10, end_ms=20)
    assert [limited.runs_at(time_ms) for time_ms in (9, 10, 19, 20)] == [False, True, True, False]
    assert Experiment("x", limited.arms).runs_at(10**15)
