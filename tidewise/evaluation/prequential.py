"""Prequential evaluation on files: runs arms over a replayed log, makes the report and the chart.

Called by `tidewise evaluate prequential`; needs no database.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from core.evaluation.metrics import Array, bootstrap_over_users, hit, ndcg
from storage.whole_files import whole_file
from tidewise.evaluation.charts import write_line_chart
from tidewise.evaluation.files import TEXT_FEATURES, cut_of
from tidewise.evaluation.product import default_settings, with_contents, within
from tidewise.training.blending import with_blend
from tidewise.training.plans import fine_tuning_plan, model_config, training_plan

if TYPE_CHECKING:
    from model.evaluation.arms import TrainingRecipe
    from model.evaluation.dataset import Dataset
    from model.evaluation.models import Budget
    from model.evaluation.prequential import ArmResult, PrequentialStream

NUM_RESAMPLES = 1000
DROPOUT, LEARNING_RATE = 0.2, 2e-3
Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class PrequentialReplay:
    """What to compare on a stream: arm names, seeds of networks, and the baseline arm of the differences.

    `product`: the recipe of the product's arms, `recipe` of the other networks.
    """

    stream: PrequentialStream
    recipe: TrainingRecipe
    product: TrainingRecipe
    names: Sequence[str]
    seeds: Sequence[int]
    against: str


def arms_of(names: Sequence[str] | None, against: str | None) -> tuple[Sequence[str], str]:
    """The arms to run and the baseline arm; raises `InvalidInput` for an unknown arm."""
    from model.evaluation import arms

    chosen = names or arms.DEFAULT_ARMS, against or arms.REFERENCE
    arms.check([*chosen[0], chosen[1]])
    return chosen


def stream_of(
    dataset: Dataset, *, cut: str, num_periods: int, max_test_events: int | None, hide_seen: bool
) -> PrequentialStream:
    """The dataset as a stream that starts at the cut."""
    from model.evaluation.prequential import PrequentialStream

    cut_ms = cut_of(cut, dataset)
    return PrequentialStream.of(
        dataset, cut_ms=cut_ms, num_periods=num_periods, max_test_events=max_test_events, hide_seen=hide_seen
    )


def recipe_of(budget: Budget, *, has_text: bool, folder: Path | None) -> TrainingRecipe:
    """The training of all networks of a replay."""
    from model.evaluation.arms import TrainingRecipe
    from model.network.config import Modality
    from model.training.fine_tuning import FineTuningPlan

    contents = (Modality("text", TEXT_FEATURES),) if has_text else ()
    shape = budget.shape(dropout=DROPOUT)
    config = dataclasses.replace(
        shape, contents=contents, fused_id=True, relative_attention=True, repeats=not shape.hides_seen
    )
    return TrainingRecipe(config, budget.plan(learning_rate=LEARNING_RATE), FineTuningPlan(), folder=folder)


def product_recipe(budget: Budget, *, has_text: bool, folder: Path | None) -> TrainingRecipe:
    """The product's training, fine-tuning and blend by its default settings, within a budget."""
    from model.evaluation.arms import TrainingRecipe

    settings = default_settings(budget)
    plan = within(training_plan(settings), budget)

    config = with_contents(model_config(settings), {"text"} if has_text else set())
    return TrainingRecipe(
        config, plan, fine_tuning_plan(settings), folder=folder, blender=partial(with_blend, settings)
    )


def replay(plan: PrequentialReplay, *, progress: Progress) -> dict[str, Any]:
    """Run all arms and report."""
    from model.evaluation.arms import COUNTING, ENCODER, PRODUCT, run_arm

    runs: dict[str, list[ArmResult]] = {}
    for name in dict.fromkeys(("popularity", plan.against, *plan.names)):
        for seed in plan.seeds if name not in COUNTING else (0,):
            step = f"{name}, seed {seed}"
            progress(step, 0.0)
            recipe = plan.product if name in (PRODUCT, ENCODER) else plan.recipe
            run = run_arm(plan.stream, name, recipe, seed=seed, tick=partial(progress, step))
            runs.setdefault(name, []).append(run)
    return report(plan, runs)


def report(plan: PrequentialReplay, runs: Mapping[str, Sequence[ArmResult]]) -> dict[str, Any]:
    """The figures as JSON values; users without a known event get the popularity ranking."""
    stream, popular = plan.stream, runs["popularity"][0].ranks
    users = stream.users
    gains = {name: _mean(own, popular, ndcg) for name, own in runs.items()}
    fresh = runs[plan.against][0].fresh
    arms = {}
    for name, own in runs.items():
        difference = bootstrap_over_users(gains[name] - gains[plan.against], users, num_resamples=NUM_RESAMPLES)
        young = np.logical_and.reduce([run.fresh for run in own])
        arms[name] = {
            "ndcg_10": round(float(gains[name].mean()), 5),
            "hr_10": round(float(_mean(own, popular, hit).mean()), 5),
            "difference": [round(value, 5) for value in (difference.mean, difference.low, difference.high)],
            "by_seed": [round(float(_mean([run], popular, ndcg).mean()), 5) for run in own],
            "by_period": [_at(gains[name], stream.periods == period) or 0.0 for period in range(len(stream.starts_ms))],
            "hr_10_items_after_the_cut": _at(_mean(own, popular, hit), fresh),
            "hr_10_items_younger_than_the_model": _at(_mean(own, popular, hit), young),
            "popularity_on_the_same": _at(_mean(runs["popularity"], popular, hit), young),
            "num_younger": int(young.sum()),
            "train_cpu_s": round(float(np.mean([sum(run.train_s) for run in own])), 2),
            "later_trainings_cpu_s": round(float(np.mean([sum(run.train_s[1:]) for run in own])), 2),
            "rank_cpu_s": round(float(np.mean([run.rank_s for run in own])), 2),
            "seeds": len(own),
        }
    starts = [f"{datetime.fromtimestamp(start / 1000, UTC):%Y-%m-%d}" for start in stream.starts_ms.tolist()]
    counts = {"test_events": len(users), "users": len(np.unique(users)), "items": stream.dataset.num_items}
    return {**counts, "events": len(stream.columns), "periods": starts, "against": plan.against, "arms": arms}


def write_chart(report: Mapping[str, Any], path: Path) -> None:
    """NDCG@10 over the periods, a line for each arm."""
    lines = {name: arm["by_period"] for name, arm in report["arms"].items()}
    with whole_file(path) as part:
        write_line_chart(part, "NDCG@10 by period", lines, report["periods"])


def _mean(runs: Sequence[ArmResult], popular: Array, metric: Callable[[Array, int], Array]) -> Array:
    """(q,) a metric at 10 for each test event, averaged over the seeds."""
    values = [metric(np.where(np.isnan(run.ranks), popular, run.ranks), 10) for run in runs]
    return np.asarray(np.mean(values, axis=0), np.float64)


def _at(values: Array, where: Array) -> float | None:
    """The mean over the selected test events; None where none is selected."""
    return round(float(values[where].mean()), 5) if where.any() else None
