"""The models `product` and `product:encoder`: what the product trains by its default settings, as scorers.

The network, its losses and its training are those of `tidewise.training.plans`, the blend that of serving; so tables
say what a user gets. A smaller budget of epochs or minutes, and the device, are the evaluation's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tidewise.settings.schema import Settings
from tidewise.training.plans import model_config, training_plan

if TYPE_CHECKING:
    from core.evaluation.scorers import Scorer
    from model.evaluation.models import Budget, FitContext, ModelSpec
    from model.network.config import ModelConfig
    from model.training.train import TrainingPlan

PRODUCT = "product"
ENCODER = "product:encoder"  # without live counts and popularity


def product_specs() -> dict[str, ModelSpec]:
    """By name; the settings are the defaults, the budget says whether seen items are hidden."""
    from model.evaluation.models import ModelSpec

    settings = Settings().model_dump(mode="json")  # a part of the key of kept results: other defaults, other results
    grid = ({name: settings[name] for name in ("model", "train", "window")},)
    makes = {PRODUCT: _make, ENCODER: _make_encoder}
    return {
        name: ModelSpec(name, make, grid, "model.evaluation.models", trained=True, seeded=True)
        for name, make in makes.items()
    }


def _make(config: Mapping[str, Any], seed: int, setting: FitContext) -> Scorer:
    from model.evaluation.blended import BlendScorer

    network = _make_encoder(config, seed, setting)
    hides_seen = setting.budget.hides_seen
    return BlendScorer(network, hides_seen=hides_seen) if Settings().recommend.blend else network


def _make_encoder(config: Mapping[str, Any], seed: int, setting: FitContext) -> Scorer:
    from model.network.hm4sr import HM4SR

    settings, budget = default_settings(setting.budget), setting.budget
    contents = {content.name for content in setting.contents.modalities()}
    shape = with_contents(model_config(settings, setting.contents.sources), contents)
    return setting.network(HM4SR, shape, within(training_plan(settings), budget), seed)


def default_settings(budget: Budget) -> Settings:
    """The defaults, for a shop that hides seen items or keeps them."""
    settings = Settings()
    return settings.model_copy(
        update={"recommend": settings.recommend.model_copy(update={"exclude_seen": budget.hides_seen})}
    )


def with_contents(shape: ModelConfig, names: set[str]) -> ModelConfig:
    """Without the contents that the items of this evaluation don't have."""
    return replace(shape, contents=tuple(content for content in shape.contents if content.name in names))


def within(plan: TrainingPlan, budget: Budget) -> TrainingPlan:
    """The plan on the evaluation's device, and not longer than its budget."""
    seconds = [limit for limit in (plan.max_seconds, budget.max_seconds) if limit is not None]
    return replace(
        plan,
        epochs=min(plan.epochs, budget.epochs),
        max_seconds=min(seconds, default=None),
        device=budget.device,
        precision=budget.precision,
    )
