"""Off-policy estimates through the product: a simulated shop answers with exploration, and the truth is known.

    python -m benchmarks.off_policy                 2 shops, 45 seconds of one core
    python -m benchmarks.off_policy --shops 1 --users 1000

Users have one of four tastes, and a history that shows it. Each gets one answer of five items under an exploring
scenario, and clicks; clicks are sent as events and attributed by ingest. `LogReplay`, as in `tidewise experiments
estimate`, then estimates the clicks per answer of a scenario that boosts a brand. The truth: the expected clicks of the
lists which that scenario gives the same users before they click.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.outcome_costs import PlainItems
from benchmarks.report import publish
from core.arrays import DoubleArray
from core.catalogue.items import Item
from core.clock import HOUR_MS, WallClock
from core.events.interactions import Interaction
from core.experiments.scenario_value import LogReplay
from core.ingestion.sources import RequestSource
from core.manage import save_items
from core.outcomes.answer_log import AnswerLog
from core.recommendation.requests import RecommendationRequest, RecommendationResult
from core.records.outcomes import Answer, Origin
from core.scenarios.definition import parse_scenario
from core.scenarios.scenario import Scenario
from tidewise.bootstrap import System, open_system
from tidewise.settings.schema import load_settings

NUM_ITEMS, NUM_TASTES, NUM_SHOWN, NUM_BEFORE = 24, 4, 5, 4
EXAMINATION = 1 / np.log2(np.arange(2, NUM_SHOWN + 2))  # (n,) of positions
API = RequestSource("api")
BATCH = 2_000
EXPLORING = parse_scenario({"exploration": {"share": 0.7, "pool": NUM_ITEMS, "new_share": 0}}, name="exploring")
TARGET = parse_scenario({"boosts": [{"where": {"brand": "b1"}, "factor": 3}]}, name="target")


def errors(seed: int, *, num_users: int) -> dict[str, float]:
    """By estimator: the estimate's difference to the truth, in parts of it; and that of the log's own mean."""
    random = np.random.default_rng(seed)
    attraction = random.beta(3, 6, (NUM_TASTES, NUM_ITEMS))
    with tempfile.TemporaryDirectory() as folder:
        settings = load_settings(overrides={"data.folder": str(Path(folder) / "shop")}, environment={})
        with open_system(settings, recommends=True) as system:
            save_items(system.store, [Item(f"i{n}", attributes={"brand": f"b{n % 4}"}) for n in range(NUM_ITEMS)])
            _ingest_histories(system, random, attraction, num_users)
            system.snapshots.refresh()
            truth = _value(_answers(system, num_users, TARGET), attraction)
            answers = _answers(system, num_users, EXPLORING)
            _remember(system, answers)
            _click(system, random, answers, attraction)
            replay = LogReplay(system.store, system.recommender, system.snapshots.current, system.types)
            log = replay.of(TARGET, logged=EXPLORING.name, max_answers=num_users, exclude_seen=True)
    estimates = log.estimates()
    means = {"log": log.logged().ips, "ips": estimates.ips, "snips": estimates.snips, "dr": estimates.dr}
    return {name: each.mean / truth - 1 for name, each in means.items() if each is not None}


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


def _answers(system: System, num_users: int, scenario: Scenario) -> list[RecommendationResult]:
    request = RecommendationRequest(n=NUM_SHOWN, scenario=scenario, reasons=False)
    return [system.recommender.recommend(f"u{user}", request) for user in range(num_users)]


def _value(answers: list[RecommendationResult], attraction: DoubleArray) -> float:
    """Expected clicks per answer."""
    clicks = [
        attraction[user % NUM_TASTES, int(item.item_id[1:])] * EXAMINATION[place]
        for user, answer in enumerate(answers)
        for place, item in enumerate(answer.items)
    ]
    return float(np.sum(clicks)) / len(answers)


def _remember(system: System, answers: list[RecommendationResult]) -> None:
    log = AnswerLog(system.store, system.ingestor.attributor, PlainItems(), clock=system.clock, wall=WallClock())
    for user, answer in enumerate(answers):
        shown, propensities = zip(*((item.item_id, item.propensity) for item in answer.items), strict=True)
        origin = Origin(EXPLORING.name)
        log.add(Answer(answer.recommendation_id, f"u{user}", answer.now_ms, origin, shown, propensities))
    log.flush()


def _click(
    system: System, random: np.random.Generator, answers: list[RecommendationResult], attraction: DoubleArray
) -> None:
    events = [
        Interaction(
            f"c{user}-{place}",
            f"u{user}",
            item.item_id,
            "click",
            answer.now_ms + 1000,
            recommendation_id=answer.recommendation_id,
        )
        for user, answer in enumerate(answers)
        for place, item in enumerate(answer.items)
        if random.random() < attraction[user % NUM_TASTES, int(item.item_id[1:])] * EXAMINATION[place]
    ]
    _ingest(system, events)


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shops", type=int, default=2)
    parser.add_argument("--users", type=int, default=5_000, help="each with one answer")
    options = parser.parse_args()
    started_s = time.process_time()
    by_shop = [errors(seed, num_users=options.users) for seed in range(options.shops)]
    figures: dict[str, object] = {
        name: f"mean {np.mean(np.abs(values)):.1%}, worst {np.max(np.abs(values)):.1%}"
        for name in by_shop[0]
        for values in [[shop[name] for shop in by_shop]]
    }
    publish(
        "off-policy estimates of a simulated shop: error", {**figures, "cpu_s": round(time.process_time() - started_s)}
    )


if __name__ == "__main__":
    main()
