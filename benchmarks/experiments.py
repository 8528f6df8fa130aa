"""How far the statistics of experiments can be trusted: false alarms under continuous peeking, lifts found, off-policy.

    python -m benchmarks.experiments                              all parts, some 20 minutes of one core
    python -m benchmarks.experiments --parts alarms --runs 50     one part, shorter

A/A: both arms are the same, and every 20th answer is followed by a look; a run in which any look finds a difference is
a false alarm. Lifts: the click rate of one arm is higher; the experiment ends at the first look that finds it or with
the planned number of users. Off-policy: a log of one policy estimates what others earn, whose truth is known.
"""

from __future__ import annotations

import argparse
import math
import time
from statistics import median

import numpy as np

from benchmarks.report import publish
from benchmarks.simulated.policies import Market, exploring, log_of, market, softmax_policy
from benchmarks.simulated.visitors import ANSWERS_PER_USER, Arrival, RunningSums, VisitorGroup, membership, visits
from core.arrays import DoubleArray
from core.experiments.comparison import compare
from core.experiments.experiment import METRICS
from core.experiments.off_policy import estimate
from core.experiments.planning import rate_variance, users_needed
from core.experiments.sample_ratio import sample_ratio

ARRIVALS: tuple[Arrival, ...] = ("new", "returning")
LIFTS = (0.1, 0.2, 0.5)
DAYS = 28
PARTS = ("alarms", "ratio", "lifts", "policies")


def false_alarms(arrival: Arrival, *, runs: int, num_users: int, step: int) -> dict[str, object]:
    """The share of A/A runs in which a look finds a difference, per metric."""
    group = VisitorGroup(num_users, arrival)
    alarms = dict.fromkeys((*METRICS, "ordinary interval, daily"), 0)
    for seed in range(runs):
        seen = visits(group, seed=seed)
        num_answers = len(seen.users)
        for metric in METRICS:
            sums = RunningSums(seen, metric)
            alarms[metric] += any(is_found(sums, look) for look in range(step, num_answers, step))
            if metric == METRICS[0]:
                looks = np.linspace(0, num_answers, DAYS + 1)[1:].astype(int)
                alarms["ordinary interval, daily"] += any(ordinary_finds(sums, look) for look in looks)
    return {name: f"{count / runs:.1%}" for name, count in alarms.items()}


def is_found(sums: RunningSums, num_answers: int) -> bool:
    """Whether the interval at a look excludes 0."""
    return compare(*sums.at(num_answers), num_observations=num_answers).judgement in ("better", "worse")


def ordinary_finds(sums: RunningSums, num_answers: int) -> bool:
    """Whether an ordinary 95% interval at a look excludes 0."""
    control, arm = sums.at(num_answers)
    deviation = math.sqrt(control.variance / control.users + arm.variance / arm.users)
    return abs(arm.ratio - control.ratio) > 1.96 * deviation


def lift_found(lift: float, *, runs: int, click_rate: float = 0.05) -> dict[str, object]:
    """The share of runs that find a lift of the click rate within the planned users, and how many users they need."""
    group = VisitorGroup(0, "new", click_rate)
    answers = ANSWERS_PER_USER[group.arrival]
    mean_rate = click_rate * (1 + lift / 2)
    variance = rate_variance(mean_rate, answers_per_user=answers, correlation=1 / (group.concentration + 1))
    planned = users_needed(lift * click_rate, variance=variance, answers_per_user=answers)
    until, errors = [], 0
    for seed in range(runs):
        seen = visits(VisitorGroup(planned, "new", click_rate), seed=seed, lift=lift)
        sums, num_answers = RunningSums(seen, METRICS[0]), len(seen.users)
        step = max(num_answers // 200, 1)
        looks = (look for look in range(step, num_answers + 1, step) if is_found(sums, look))
        if (first := next(looks, None)) is not None:
            control, arm = sums.at(first)
            until.append(control.users + arm.users)
            errors += arm.ratio < control.ratio
    return {
        "planned_users": planned,
        "found": f"{len(until) / runs:.0%}",
        "median_users_until_found": round(median(until)) if until else None,
        "wrong_sign": errors,
    }


def sample_ratio_alarms(*, runs: int, num_users: int, lost: float) -> str:
    """The share of runs in which a look after any user notices that a share of one arm's users is lost."""
    alarms = 0
    for seed in range(runs):
        in_arm = membership(num_users, salt=f"ratio-{seed}")
        is_lost = in_arm & (np.random.default_rng(seed).random(num_users) < lost)
        arm = np.cumsum(in_arm[~is_lost])
        looks = zip((np.arange(1, len(arm) + 1) - arm).tolist(), arm.tolist(), strict=True)
        alarms += any(sample_ratio(counts, (0.5, 0.5)).is_mismatch for counts in looks)
    return f"{alarms / runs:.1%}"


def off_policy_errors(kind: str, *, policies: int, num_answers: int) -> dict[str, object]:
    """Per estimator: the mean and largest error in parts of the truth, and how often the interval holds the truth."""
    errors: dict[str, list[float]] = {"ips": [], "snips": [], "dr": []}
    held = dict.fromkeys(errors, 0)
    for seed in range(policies):
        random = np.random.default_rng(seed)
        scene = market(random)
        logging, target = _policies(kind, random, scene)
        slots, modelled, expected = log_of(
            scene, logging, target, num_answers=num_answers, num_users=num_answers // 5, seed=seed
        )
        truth, estimates = scene.value(target), estimate(slots, modelled=modelled, expected=expected)
        for name in errors:
            interval = getattr(estimates, name)
            errors[name].append(abs(interval.mean / truth - 1))
            held[name] += interval.low <= truth <= interval.high
    return {
        name: f"mean {np.mean(values):.1%}, worst {max(values):.1%}, held {held[name] / policies:.0%}"
        for name, values in errors.items()
    }


def _policies(kind: str, random: np.random.Generator, scene: Market) -> tuple[DoubleArray, DoubleArray]:
    if kind == "softmax":
        return softmax_policy(random, 0.7), softmax_policy(random, 1.0)
    return exploring(softmax_policy(random, 1.0), 0.2), exploring(softmax_policy(random, 1.0), 0.0)


def main() -> None:
    """Run and publish."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--runs", type=int, default=1_000, help="A/A experiments per kind of visitors")
    parser.add_argument("--lift-runs", type=int, default=50, help="experiments per lift")
    parser.add_argument("--policies", type=int, default=50, help="policies per kind of log")
    parser.add_argument("--answers", type=int, default=20_000, help="answers per A/A experiment")
    parser.add_argument("--log", type=int, default=500_000, help="answers per log of a policy")
    parser.add_argument("--step", type=int, default=20, help="answers between two looks")
    options = parser.parse_args()
    started_s = time.process_time()
    figures: dict[str, object] = {}
    if "alarms" in options.parts:
        for arrival in ARRIVALS:
            users = round(options.answers / ANSWERS_PER_USER[arrival])
            figures[f"A/A, {arrival} visitors, false alarms"] = false_alarms(
                arrival, runs=options.runs, num_users=users, step=options.step
            )
    if "ratio" in options.parts:
        for lost in (0.0, 0.05):
            figures[f"sample ratio, {lost:.0%} of an arm lost, alarms"] = sample_ratio_alarms(
                runs=options.lift_runs, num_users=options.answers, lost=lost
            )
    if "lifts" in options.parts:
        for lift in LIFTS:
            figures[f"click rate 5% raised by {lift:.0%}"] = lift_found(lift, runs=options.lift_runs)
    if "policies" in options.parts:
        for kind in ("softmax", "exploration"):
            figures[f"off-policy, {kind} log"] = off_policy_errors(
                kind, policies=options.policies, num_answers=options.log
            )
    publish("experiments", {**figures, "cpu_s": round(time.process_time() - started_s)})


if __name__ == "__main__":
    main()
