"""How often a user's interest is said to have moved where it did, and where it did not.

    python -m benchmarks.interest_truth --seeds 7 8 9

Users of the simulated shop, some of whose main interest changes at a known visit. By level of false alarms: the share
of unmoved users whose score is above 1 minus the level (it should be the level), the share of moved users found, and
how many visits the cut is off.
"""

from __future__ import annotations

import argparse
from collections import defaultdict

import numpy as np

from benchmarks.report import publish
from core.interests.interest import VISIT_GAP_MS
from core.interests.shift import find_shift
from core.interests.user_interest import DEFAULT_FALSE_ALARMS
from tidewise.demo.simulator import Shop, simulate_shop

LEVELS = (0.1, 0.05, 0.01)
MAX_EVENTS = 500


def scores_of(shop: Shop) -> tuple[list[float], list[tuple[float, int]]]:
    """The scores of unmoved users; of moved ones, with how many visits the cut is off."""
    category = {item.item_id: item.categories[0] for item in shop.items}
    column = {name: number for number, name in enumerate(sorted(set(category.values())))}
    moved_ms = {drift.user_id: drift.time_ms for drift in shop.drifts}
    events: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for event in (*shop.history, *shop.live):
        events[event.user_id].append((event.time_ms, column[category[event.item_id]]))
    unmoved, moved = [], []
    for user_id, user_events in events.items():
        times_ms, topics = np.array(user_events[-MAX_EVENTS:]).T
        visit = np.cumsum(np.diff(times_ms, prepend=times_ms[:1]) > VISIT_GAP_MS)
        visits = np.zeros((int(visit[-1]) + 1, len(column)))
        np.add.at(visits, (visit, topics), 1.0)
        shift = find_shift(visits, seed=1)
        if shift is None:
            continue
        if user_id in moved_ms:
            first = min(int(np.searchsorted(times_ms, moved_ms[user_id])), len(visit) - 1)
            moved.append((shift.score, abs(int(visit[first]) - shift.visit)))
        else:
            unmoved.append(shift.score)
    return unmoved, moved


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[7, 8, 9])
    unmoved: list[float] = []
    moved: list[tuple[float, int]] = []
    for seed in parser.parse_args().seeds:
        unmoved_scores, moved_scores = scores_of(simulate_shop(seed=seed))
        unmoved += unmoved_scores
        moved += moved_scores
    figures: dict[str, object] = {"users": {"unmoved": len(unmoved), "moved": len(moved)}}
    for level in LEVELS:
        errors = [error for score, error in moved if score > 1 - level]
        figures[f"at {level:g}{' (default)' if level == DEFAULT_FALSE_ALARMS else ''}"] = {
            "false": round(float(np.mean(np.array(unmoved) > 1 - level)), 3),
            "found": round(len(errors) / len(moved), 3),
            "visits_off_median": float(np.median(errors)),
            "visits_off_90%": float(np.percentile(errors, 90)),
        }
    publish("interest truth", figures)


if __name__ == "__main__":
    main()
