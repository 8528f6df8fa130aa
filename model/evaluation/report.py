"""The figures of a comparison as one document of JSON values: means, intervals, slices, differences from a baseline.

Independent of how models were fitted. A user without any earlier event is answered by popularity, whatever the
model, as the product does. Intervals are 95%, from resampling users after averaging each test event over the seeds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.arrays import BoolArray, IntArray
from core.evaluation.metrics import Array, Interval, bootstrap_over_users
from model.evaluation.dataset import Dataset
from model.evaluation.figures import METRICS, gains, long_gap_ms, slices
from model.evaluation.harness import EvaluatedModel
from model.evaluation.models import Budget
from model.evaluation.protocols import Fold
from model.evaluation.ranking import SEEN, TOPS, UNTOLD, TargetRanks, rank_key

NUM_RESAMPLES = 1000
DEEP = 10  # intervals, slices and differences are given at this depth
SLICED = ("HR", "NDCG")


@dataclass(frozen=True)
class Comparison:
    """Finished outcomes over one fold. `fallback` answers users without a past; `against`: the baseline's name."""

    dataset: Dataset
    fold: Fold
    budget: Budget
    outcomes: Mapping[str, EvaluatedModel]
    fallback: EvaluatedModel
    against: str

    def gains(self, name: str, seen: str, metric: str, k: int, *, way: str = UNTOLD) -> Array:
        """(seeds, q) a metric of each test event under each seed; `way`: the treatment of the gap to now."""
        fallback = self.fallback.ranks(seen)[0]
        ranks_by_seed = [
            self._with_fallback(ranks, fallback) for ranks in self.outcomes[name].ranks(rank_key(seen, way))
        ]
        return np.stack([gains(above, equal, metric, k) for above, equal in ranks_by_seed])

    def _with_fallback(self, ranks: TargetRanks, fallback: TargetRanks) -> tuple[IntArray, IntArray]:
        empty = self.fold.test.end == self.fold.test.begin
        return np.where(empty, fallback.above, ranks.above), np.where(empty, fallback.equal, ranks.equal)

    def interval(self, values: Array) -> Interval:
        """The mean over seeds and test events, and its bounds."""
        return bootstrap_over_users(values.mean(axis=0), self.fold.test.users, num_resamples=NUM_RESAMPLES)


def report(comparison: Comparison) -> dict[str, Any]:
    """The whole document."""
    dataset, fold = comparison.dataset, comparison.fold
    kinds = slices(fold.part, fold.test)
    return {
        "data": {
            "digest": dataset.digest,
            "users": dataset.num_users,
            "items": dataset.num_items,
            "events": len(dataset.columns),
            "learnt_events": len(fold.part.train),
            "validation_events": len(fold.validation),
            "test_events": len(fold.test),
            "test_users": len(np.unique(fold.test.users)),
            "test_events_without_history": int((fold.test.end == fold.test.begin).sum()),
        },
        "rules": {**fold.rules, "long_gap_ms": long_gap_ms(fold.part)},
        "slices": {name: int(members.sum()) for name, members in kinds.items()},
        "budget": comparison.budget.to_json(),
        "against": comparison.against,
        "models": [_model(comparison, name, kinds) for name in comparison.outcomes],
    }


def _model(comparison: Comparison, name: str, kinds: Mapping[str, BoolArray]) -> dict[str, Any]:
    outcome = comparison.outcomes[name]
    return {
        "model": name,
        "config": dict(outcome.config),
        "trials": [
            {"config": dict(trial.config), "validation NDCG@10": _number(trial.validation)} for trial in outcome.trials
        ],
        "seeds": {str(seed): dict(result.facts) for seed, result in outcome.results.items()},
        "seen": {seen: _figures(comparison, name, seen, kinds) for seen in SEEN},
        "now_gap": {way: {seen: _gap_gains(comparison, name, seen, way) for seen in SEEN} for way in outcome.ways},
    }


def _figures(comparison: Comparison, name: str, seen: str, kinds: Mapping[str, BoolArray]) -> dict[str, Any]:
    """All metrics of one model, with the users' earlier items kept or hidden."""
    counts_by_seed = [ranks.num_shown for ranks in comparison.outcomes[name].ranks(seen)]
    num_items = comparison.dataset.num_items
    return {
        "metrics": _metrics(comparison, name, seen),
        "coverage": {f"@{k}": float(np.mean([counts[k] for counts in counts_by_seed])) / num_items for k in TOPS},
        "slices": {kind: _slice(comparison, name, seen, members) for kind, members in kinds.items() if members.any()},
        "difference": _differences(comparison, name, seen),
    }


def _metrics(comparison: Comparison, name: str, seen: str) -> dict[str, Any]:
    metrics: dict[str, Any] = {}
    for metric in METRICS:
        for k in TOPS:
            values = comparison.gains(name, seen, metric, k)
            by_seed = values.mean(axis=1)
            spread = float(by_seed.std(ddof=1)) if len(by_seed) > 1 else None
            metrics[f"{metric}@{k}"] = {"mean": float(values.mean()), "seeds": by_seed.tolist(), "seed_std": spread}
            if k == DEEP:
                interval = comparison.interval(values)
                metrics[f"{metric}@{k}"] |= {"low": interval.low, "high": interval.high}
    return metrics


def _gap_gains(comparison: Comparison, name: str, seen: str, way: str) -> dict[str, Any]:
    """Metrics of a model with the gap to now, and their change from those without it, paired by test event."""
    metrics: dict[str, Any] = {}
    for metric in METRICS:
        with_gap = comparison.gains(name, seen, metric, DEEP, way=way)
        without_gap = comparison.gains(name, seen, metric, DEEP)
        interval = comparison.interval(with_gap - without_gap)
        change = {"mean": interval.mean, "low": interval.low, "high": interval.high}
        metrics[f"{metric}@{DEEP}"] = {"mean": float(with_gap.mean()), "change": change}
    return metrics


def _slice(comparison: Comparison, name: str, seen: str, members: BoolArray) -> dict[str, float]:
    values_by_metric = {f"{metric}@{DEEP}": comparison.gains(name, seen, metric, DEEP)[:, members] for metric in SLICED}
    return {metric: float(values.mean()) for metric, values in values_by_metric.items()}


def _differences(comparison: Comparison, name: str, seen: str) -> dict[str, Any]:
    """Paired by test event: this model minus the baseline, empty for the baseline itself."""
    if name == comparison.against:
        return {}
    differences: dict[str, Any] = {}
    for metric in METRICS:
        values = comparison.gains(name, seen, metric, DEEP).mean(axis=0)
        baseline = comparison.gains(comparison.against, seen, metric, DEEP).mean(axis=0)
        interval = comparison.interval((values - baseline)[None])
        relative = interval.mean / baseline.mean() if baseline.mean() > 0 else None
        bounds = {"mean": interval.mean, "low": interval.low, "high": interval.high}
        differences[f"{metric}@{DEEP}"] = {**bounds, "relative": _number(relative)}
    return differences


def _number(value: float | None) -> float | None:
    """A figure, or nothing where there is none: JSON knows no NaN."""
    return None if value is None or not np.isfinite(value) else float(value)
