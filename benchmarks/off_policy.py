"""Off-policy estimates through the product: a simulated shop answers with exploration, and the truth is known.

    python -m benchmarks.off_policy                 2 shops, four minutes of one core
    python -m benchmarks.off_policy --shops 1 --users 1000

Users have one of four tastes, and a history that shows it. Each gets eight answers of five items under an exploring
scenario, and clicks; clicks are sent as events and attributed by ingest. `LogReplay`, as in `tidewise experiments
estimate`, then estimates the clicks per answer of a scenario that boosts a brand. The truth: the expected clicks of the
lists which that scenario gives the same users before they click. The half widths of the intervals, which hold at every
look, tell how much of an error may be chance.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.outcome_costs import PlainItems
from benchmarks.report import publish
from core.arrays import DoubleArray
from core.catalogue.items import Item
from core.clock import HOUR_MS, WallClock
from core.events.interactions import Interaction
from core.ingestion.sources import RequestSource
from core.manage import save_items
from core.outcomes.answer_log import AnswerLog
from core.recommendation.requests import RecommendationRequest, RecommendationResult
from core.records.outcomes import Answer, Origin
from core.scenarios.definition import parse_scenario
from core.scenarios.scenario import Scenario
from tidewise.bootstrap import System, open_system
from tidewise.settings.schema import load_settings

NUM_ITEMS, NUM_TASTES, NUM_SHOWN, NUM_BEFORE, NUM_ANSWERS = 24, 4, 5, 4, 8
EXAMINATION = 1 / np.log2(np.arange(2, NUM_SHOWN + 2))  # (n,) of positions
API = RequestSource("api")
BATCH = 2_000
EXPLORING = parse_scenario({"exploration": {"share": 0.7, "pool": NUM_ITEMS, "new_share": 0}}, name="exploring")
TARGET = parse_scenario({"boosts": [{"where": {"brand": "b1"}, "factor": 3}]}, name="target")


class Estimate(NamedTuple):
    """Both in parts of the truth. `error`: the difference to it; `half_width`: of the interval."""

    error: float
    half_width: float

    @property
    def holds(self) -> bool:
        """Whether the interval holds the truth."""
        return abs(self.error) <= self.half_width


def estimates_of(seed: int, *, num_users: int) -> dict[str, Estimate]:
    """By estimator, and for the log's own mean, the error and the half width of the interval, in parts of the truth."""
    random = np.random.default_rng(seed)
    attraction = random.beta(3, 6, (NUM_TASTES, NUM_ITEMS))
    with tempfile.TemporaryDirectory() as folder:
        settings = load_settings(overrides={"data.folder": str(Path(folder) / "shop")}, environment={})
        with open_system(settings, recommends=True) as system:
            save_items(system.store, [Item(f"i{n}", attributes={"brand": f"b{n % 4}"}) for n in range(NUM_ITEMS)])
            _ingest_histories(system, random, attraction, num_users)
            system.snapshots.refresh()
            users = range(num_users)
            truth = _value(_answers(system, users, TARGET), attraction)
            answers = _answers(system, [*users] * NUM_ANSWERS, EXPLORING)
            _remember(system, answers)
            _click(system, random, answers, attraction)
            log = system.replay.of(TARGET, logged=EXPLORING.name, max_answers=len(answers), exclude_seen=True)
    estimates = log.estimates()
    means = {"log": log.logged().ips, "ips": estimates.ips, "snips": estimates.snips, "dr": estimates.dr}
    return {
        name: Estimate(each.mean / truth - 1, (each.high - each.mean) / truth)
        for name, each in means.items()
        if each is not None
    }


def _ingest_histories(system: System, random: np.random.Generator, attraction: DoubleArray, num_users: int) -> None:
    start_ms = system.clock.now_ms() - HOUR_MS
    chances = attraction**2 / (attraction**2).sum(axis=1, keepdims=True)
    events = [
        Interaction(f"h{user}-{step}", f"u{user}", f"i{item}", "view", start_ms + 1000 * step + user % 1000)
        for user in range(num_users)
        for step, item in enumerate(random.choice(NUM_ITEMS, NUM_BEFORE, p=chances[user % NUM_TASTES], replace=False))
    ]
    _ingest(system, events)


def _ingest(system: System, events: list[Interaction]) -> None:
    for first in range(0, len(events), BATCH):
        system.ingestor.ingest(events[first : first + BATCH], API)


class Given(NamedTuple):
    """An answer, and the number of the user who got it."""

    user: int
    result: RecommendationResult


def _answers(system: System, users: Iterable[int], scenario: Scenario) -> list[Given]:
    request = RecommendationRequest(n=NUM_SHOWN, scenario=scenario, reasons=False)
    return [Given(user, system.recommender.recommend(f"u{user}", request)) for user in users]


def _chances(given: Given, attraction: DoubleArray) -> DoubleArray:
    """(n,) the probability of a click on each item."""
    items = [int(item.item_id[1:]) for item in given.result.items]
    chances: DoubleArray = attraction[given.user % NUM_TASTES, items] * EXAMINATION[: len(items)]
    return chances


def _value(answers: list[Given], attraction: DoubleArray) -> float:
    """Expected clicks per answer."""
    return sum(float(_chances(given, attraction).sum()) for given in answers) / len(answers)


def _remember(system: System, answers: list[Given]) -> None:
    log = AnswerLog(system.store, system.ingestor.attributor, PlainItems(), clock=system.clock, wall=WallClock())
    origin = Origin(EXPLORING.name)
    for first in range(0, len(answers), BATCH):
        for user, result in answers[first : first + BATCH]:
            item_ids = tuple(item.item_id for item in result.items)
            log.add(Answer(result.recommendation_id, f"u{user}", result.now_ms, origin, item_ids, result.propensities))
        log.flush()


def _click(system: System, random: np.random.Generator, answers: list[Given], attraction: DoubleArray) -> None:
    after_ms = max(result.now_ms for _, result in answers) + 1000  # no answer knows any click
    events = [
        Interaction(
            f"c{result.recommendation_id}-{place}",
            f"u{user}",
            result.items[place].item_id,
            "click",
            after_ms,
            recommendation_id=result.recommendation_id,
        )
        for user, result in answers
        for place in np.flatnonzero(random.random(NUM_SHOWN) < _chances(Given(user, result), attraction)).tolist()
    ]
    _ingest(system, events)


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shops", type=int, default=2)
    parser.add_argument("--users", type=int, default=5_000, help=f"each with {NUM_ANSWERS} answers")
    options = parser.parse_args()
    started_s = time.process_time()
    by_shop = [estimates_of(seed, num_users=options.users) for seed in range(options.shops)]
    figures: dict[str, object] = {name: _summary([shop[name] for shop in by_shop]) for name in by_shop[0]}
    publish(
        "off-policy estimates of a simulated shop: error", {**figures, "cpu_s": round(time.process_time() - started_s)}
    )


def _summary(estimates: list[Estimate]) -> str:
    errors, widths = [abs(each.error) for each in estimates], [each.half_width for each in estimates]
    held = sum(each.holds for each in estimates)
    return (
        f"error mean {np.mean(errors):.1%}, worst {np.max(errors):.1%}; interval +-{np.mean(widths):.1%}, "
        f"holds the truth in {held} of {len(estimates)}"
    )


if __name__ == "__main__":
    main()
