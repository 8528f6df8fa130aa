"""Today's outcomes as Prometheus metrics, read from the stored counts at each scrape: the same from every process."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from core.clock import DAY_MS
from core.errors import TidewiseError
from core.outcomes.report import OutcomeRow, origin_rows
from core.records.outcomes import Origin
from serving.runtime.services import Services

MAX_GROUPS = 100  # scenarios with arms; those with the fewest impressions are left out


class OutcomeCollector:
    """Gauges of the current day (UTC), and the state of this process's answer log."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def collect(self) -> Iterable[Metric]:
        """The current values; none of the stored ones while the database is unavailable."""
        answers = self._services.answers
        yield GaugeMetricFamily(
            "tidewise_waiting_answers", "Answers that wait to be remembered.", value=answers.num_waiting
        )
        yield CounterMetricFamily(
            "tidewise_dropped_answers", "Answers that were not remembered.", value=answers.num_dropped
        )
        try:
            rows = self._today()
        except TidewiseError:
            return
        counts = GaugeMetricFamily(
            "tidewise_outcomes_today", "Outcomes of today's answers.", labels=["scenario", "arm", "outcome"]
        )
        revenue = GaugeMetricFamily("tidewise_revenue_today", "Revenue of today's answers.", labels=["scenario", "arm"])
        for (scenario, arm), row in rows.items():
            for outcome, num in (
                ("answer", row.answers or 0),
                ("impression", row.impressions),
                ("click", row.clicks),
                ("conversion", row.conversions),
            ):
                counts.add_metric([scenario, arm, outcome], num)
            revenue.add_metric([scenario, arm], row.revenue)
        yield counts
        yield revenue

    def _today(self) -> dict[tuple[str, str], OutcomeRow]:
        day = self._services.clock.now_ms() // DAY_MS
        with self._services.store.read() as read:
            rows = origin_rows(read, _scenario_and_arm, day=day, impressions=self._services.impressions)
        largest = sorted(rows.items(), key=lambda named: -named[1].impressions)
        return dict(largest[:MAX_GROUPS])


def _scenario_and_arm(origin: Origin) -> tuple[str, str]:
    return origin.scenario, origin.arm
