"""How soon changes of known time are noticed, and how often one is noticed that is none.

    python -m benchmarks.drift_truth --streams 100
    python -m benchmarks.drift_truth --streams 20 --factors 0.8 0.9 1 1.1 1.2   # the trade-off behind the thresholds
    python -m benchmarks.drift_truth --results build/drift_truth.jsonl          # goes on where it was interrupted

All default detectors together over streams of `benchmarks.drift.streams`, as the monitor would read them, each category
watched apart (`--max-segments 0`: none). False alarms are those where nothing changes, and those before a change, per
100,000 events watched (after the warm-up); that no events came in an outage is none. The delay is in events, from the
change to the end of the block that brought the alarm.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial

import numpy as np

from benchmarks.drift.streams import KINDS, MONDAY_MS, SALE_MS, UNCHANGED, Kind, StreamPlan, stream
from benchmarks.report import publish
from core.clock import DAY_MS, HOUR_MS
from core.drift.detector_bank import DetectorBank
from stream.drift.detectors import detectors
from tidewise.settings.drift import DriftSettings

WARMUP_DAYS = 7
MAX_SEGMENTS = DriftSettings().max_segments


@dataclass(frozen=True, slots=True)
class StreamResult:
    """One stream. `watched`: events after the warm-up and before the change. `delay`: None where it was missed.

    `silences`: outages that were recognised. Of a sale only: `over_h`, from its end to that of its alarm, and
    `further`, alarms after the first.
    """

    kind: Kind
    watched: int
    false_alarms: tuple[str, ...]
    delay: int | None = None
    signal: str | None = None
    onset_error_h: float | None = None
    silences: int = 0
    over_h: float | None = None
    further: tuple[str, ...] = ()


def watch(plan: StreamPlan, factor: float = 1.0, max_segments: int = MAX_SEGMENTS) -> StreamResult:
    """Read one stream, with the default thresholds times a factor, to the first alarm after a change."""
    detector_bank = DetectorBank(
        partial(detectors, factor=factor), warmup_ms=WARMUP_DAYS * DAY_MS, max_segments=max_segments
    )
    result = StreamResult(plan.kind, 0, ())
    since = 0
    for bucket in stream(plan):
        changed = plan.change_ms is not None and bucket.start_ms >= plan.change_ms
        since += bucket.counts.num_events if changed else 0
        if not changed and bucket.start_ms >= MONDAY_MS + WARMUP_DAYS * DAY_MS:
            result = replace(result, watched=result.watched + bucket.counts.num_events)
        findings = detector_bank.read(bucket)
        for alarm in findings.alarms:
            name = f"{alarm.signal} of {alarm.segment}" if alarm.segment else alarm.signal
            if alarm.signal == "silence":
                result = replace(result, silences=result.silences + 1)
            elif not changed:
                result = replace(result, false_alarms=(*result.false_alarms, name))
            elif result.delay is not None:
                result = replace(result, further=(*result.further, name))
            else:
                error_h = abs(alarm.onset_ms - (plan.change_ms or 0)) / HOUR_MS
                result = replace(result, delay=since, signal=name, onset_error_h=error_h)
        if plan.kind == "sale" and findings.ended and result.over_h is None:
            over_ms = findings.ended[0].over_ms or 0
            result = replace(result, over_h=(over_ms - plan.moment_ms - SALE_MS) / HOUR_MS)
        if result.delay is not None and plan.kind != "sale":
            break
    return result


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
    if outcomes[0].kind == "outage":
        figures["outages_recognised"] = sum(outcome.silences for outcome in outcomes)
    if outcomes[0].kind == "sale":
        ends = [outcome.over_h for outcome in outcomes if outcome.over_h is not None]
        figures |= {"over": len(ends), "over_h_median": round(float(np.median(ends)), 1) if ends else None}
        figures["further_alarms"] = [name for outcome in outcomes for name in outcome.further]
    if outcomes[0].kind not in UNCHANGED:
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
    for factor in options.factors:
        measured = partial(watch, factor=factor, max_segments=options.max_segments)
        figures: dict[str, object] = {}
        with ProcessPoolExecutor(options.processes) as pool:
            for kind in options.kinds:
                plans = [
                    StreamPlan(kind, seed, hit_rate=options.hit_rate, events_per_day=options.events_per_day)
                    for seed in range(options.first_seed, options.first_seed + options.streams)
                ]
                figures[kind] = summary(_measure_all(pool, measured, plans, options.results))
        publish("drift truth", {"config": {**vars(options), "factors": factor}, **figures})


def _measure_all(
    pool: ProcessPoolExecutor, measured: Callable[[StreamPlan], StreamResult], plans: Sequence[StreamPlan], path: str
) -> list[StreamResult]:
    """The results of streams; with a path, those that its lines hold are read and the others appended to it."""
    known: dict[str, StreamResult] = {}
    if path and os.path.exists(path):
        with open(path, encoding="utf-8") as lines:
            known = {plan: StreamResult(**result) for plan, result in map(json.loads, lines)}
    missing = [plan for plan in plans if str(plan) not in known]
    for plan, result in zip(missing, pool.map(measured, missing), strict=True):
        known[str(plan)] = result
        if path:
            with open(path, "a", encoding="utf-8") as file:
                file.write(json.dumps((str(plan), asdict(result))) + "\n")
    return [known[str(plan)] for plan in plans]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--streams", type=int, default=100, help="of each kind")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--hit-rate", type=float, default=0.4, help="before the change")
    parser.add_argument("--events-per-day", type=float, default=5_000)
    parser.add_argument("--max-segments", type=int, default=MAX_SEGMENTS, help="how many categories to watch apart")
    parser.add_argument("--factors", type=float, nargs="+", default=[1.0], help="of all thresholds")
    parser.add_argument("--first-seed", type=int, default=0, help="the thresholds were chosen on seeds from 1000 on")
    parser.add_argument("--results", default="", help="file of single results, for one set of options")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    return parser.parse_args()


if __name__ == "__main__":
    main()
