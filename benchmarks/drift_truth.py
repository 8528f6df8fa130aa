"""How soon changes of known time are noticed, and how often one is noticed that is none.

    python -m benchmarks.drift_truth --streams 100
    python -m benchmarks.drift_truth --streams 20 --thresholds 8 9 10 11 12 14   # the trade-off behind the default

All default detectors together over streams of `benchmarks.drift.streams`, as the monitor would read them, each category
watched apart (`--max-segments 0`: none). False alarms are those where nothing changes, and those before a change, per
100,000 events watched (after the warm-up); the delay is in events, from the change to the end of the block that brought
the alarm.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np

from benchmarks.drift.streams import KINDS, MONDAY_MS, Kind, StreamPlan, stream
from benchmarks.report import publish
from core.clock import DAY_MS, HOUR_MS
from core.drift.detector_bank import DetectorBank
from stream.drift.detectors import DEFAULT, Detectors, Sensitivity
from tidewise.settings.drift import DriftSettings

WARMUP_DAYS = 7
MAX_SEGMENTS = DriftSettings().max_segments


@dataclass(frozen=True, slots=True)
class StreamResult:
    """One stream. `watched`: events after the warm-up and before the change. `delay`: None where it was missed."""

    kind: Kind
    watched: int
    false_alarms: tuple[str, ...]
    delay: int | None
    signal: str | None
    onset_error_h: float | None


def watch(plan: StreamPlan, sensitivity: Sensitivity = DEFAULT, max_segments: int = MAX_SEGMENTS) -> StreamResult:
    """Read one stream."""
    detector_bank = DetectorBank(
        lambda one_of_many: Detectors(sensitivity.stricter() if one_of_many else sensitivity),
        warmup_ms=WARMUP_DAYS * DAY_MS,
        max_segments=max_segments,
    )
    watched = since = 0
    false_alarms: list[str] = []
    for bucket in stream(plan):
        changed = plan.change_ms is not None and bucket.start_ms >= plan.change_ms
        since += bucket.counts.num_events if changed else 0
        if not changed and bucket.start_ms >= MONDAY_MS + WARMUP_DAYS * DAY_MS:
            watched += bucket.counts.num_events
        for alarm in detector_bank.read(bucket).alarms:
            name = f"{alarm.signal} of {alarm.segment}" if alarm.segment else alarm.signal
            if not changed:
                false_alarms.append(name)
                continue
            error_h = abs(alarm.onset_ms - (plan.change_ms or 0)) / HOUR_MS
            return StreamResult(plan.kind, watched, tuple(false_alarms), since, name, error_h)
    return StreamResult(plan.kind, watched, tuple(false_alarms), None, None, None)


def summary(outcomes: Sequence[StreamResult]) -> dict[str, object]:
    """The figures of one kind."""
    watched = sum(outcome.watched for outcome in outcomes)
    false_alarms = [name for outcome in outcomes for name in outcome.false_alarms]
    delays = [outcome.delay for outcome in outcomes if outcome.delay is not None]
    figures: dict[str, object] = {
        "streams": len(outcomes),
        "events_watched": watched,
        "false_alarms": len(false_alarms),
        "false_alarms_per_100k": round(len(false_alarms) / watched * 100_000, 3),
        "false_alarms_of": {name: false_alarms.count(name) for name in sorted(set(false_alarms))},
    }
    if outcomes[0].kind not in ("none", "rhythm"):
        signals = [outcome.signal for outcome in outcomes if outcome.signal]
        errors = [outcome.onset_error_h for outcome in outcomes if outcome.onset_error_h is not None]
        figures |= {
            "noticed": len(delays),
            "delay_events_median": int(np.median(delays)) if delays else None,
            "delay_events_90%": int(np.percentile(delays, 90)) if delays else None,
            "onset_error_h_median": round(float(np.median(errors)), 1) if errors else None,
            "by": {name: signals.count(name) for name in sorted(set(signals))},
        }
    return figures


def main() -> None:
    """Measure and publish."""
    options = _options()
    for threshold in options.thresholds:
        measured = partial(watch, sensitivity=Sensitivity(threshold, options.slack), max_segments=options.max_segments)
        figures: dict[str, object] = {}
        with ProcessPoolExecutor(options.processes) as pool:
            for kind in options.kinds:
                plans = [
                    StreamPlan(kind, seed, hit_rate=options.hit_rate, events_per_day=options.events_per_day)
                    for seed in range(options.streams)
                ]
                figures[kind] = summary(list(pool.map(measured, plans)))
        publish("drift truth", {"config": {**vars(options), "thresholds": threshold}, **figures})


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--streams", type=int, default=100, help="of each kind")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--hit-rate", type=float, default=0.4, help="before the change")
    parser.add_argument("--events-per-day", type=float, default=5_000)
    parser.add_argument("--max-segments", type=int, default=MAX_SEGMENTS, help="how many categories to watch apart")
    parser.add_argument("--thresholds", type=float, nargs="+", default=[DEFAULT.threshold])
    parser.add_argument("--slack", type=float, default=DEFAULT.slack)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    return parser.parse_args()


if __name__ == "__main__":
    main()
