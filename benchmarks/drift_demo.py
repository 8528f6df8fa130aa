"""The demo's drift over seeds: each shop turns to one category four days before its end, and must raise that one alarm.

    python -m benchmarks.drift_demo --seeds 20

Each seed is a shop of the demo with its settings: 52 days are read, a model is trained, eight days come live, and
the monitor reads all. Told are the alarms other than those of the change, and its delay.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks.report import publish
from core.clock import DAY_MS, HOUR_MS
from core.drift.words import headline
from core.ingestion.sources import RequestSource
from core.records.drift import Alarm
from tidewise.bootstrap import open_system
from tidewise.demo.demo import LIVE_DAYS, SEASON, SEASON_DAYS, fill
from tidewise.demo.shop_changes import Change
from tidewise.demo.simulator import DEFAULT_END_MS, simulate_shop
from tidewise.processes.monitor import read_all
from tidewise.settings.schema import load_settings
from tidewise.training.learning import train_model

BATCH = 100
CHANGE_MS = DEFAULT_END_MS - SEASON_DAYS * DAY_MS


@dataclass(frozen=True, slots=True)
class DemoResult:
    """What a shop raised. `caused`: the alarms of categories that name the season; `others`: all others."""

    caused: tuple[Alarm, ...]
    others: tuple[Alarm, ...]

    @property
    def is_exact(self) -> bool:
        """Whether it is the one alarm that the change causes."""
        return len(self.caused) == 1 and not self.others


def measured(seed: int, folder: Path) -> DemoResult:
    """One shop, from its history to the last bucket."""
    shop = simulate_shop(seed=seed, live_days=LIVE_DAYS, change=Change("season", CHANGE_MS, SEASON))
    settings = load_settings(overrides={"data.folder": str(folder), "clock.mode": "stream"}, environment={})
    with open_system(settings) as system:
        fill(system, shop)
        train_model(system, progress=lambda _: None)
        for first in range(0, len(shop.live), BATCH):
            system.ingestor.ingest(shop.live[first : first + BATCH], RequestSource("live"))
        read_all(system, again=False)
        with system.store.read() as read:
            alarms = read.drift.alarms()[::-1]
    caused = tuple(alarm for alarm in alarms if _is_of_change(alarm))
    return DemoResult(caused, tuple(alarm for alarm in alarms if alarm not in caused))


def _is_of_change(alarm: Alarm) -> bool:
    return alarm.signal == "categories" and alarm.detected_ms > CHANGE_MS and SEASON in alarm.cause


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20, help="how many shops")
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    options = parser.parse_args()
    results: list[DemoResult] = []
    for seed in range(options.first, options.first + options.seeds):
        with tempfile.TemporaryDirectory() as name:
            result = measured(seed, Path(name) / "data")
        results.append(result)
        others = "; ".join(f"{headline(alarm)} ({alarm.cause})" for alarm in result.others)
        sys.stderr.write(f"seed {seed}: {len(result.caused)} of the change; others: {others or 'none'}\n")
    delays = [(alarm.detected_ms - CHANGE_MS) / HOUR_MS for result in results for alarm in result.caused]
    figures = {
        "shops": len(results),
        "exactly_the_alarm": sum(result.is_exact for result in results),
        "of_the_change": sum(bool(result.caused) for result in results),
        "others": sorted(alarm.signal for result in results for alarm in result.others),
        "delays_h": sorted(round(delay) for delay in delays),
    }
    publish("drift, the demo", figures)


if __name__ == "__main__":
    main()
