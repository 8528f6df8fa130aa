"""Settings as plans: the model's configuration, training, fine-tuning, the schedule and the policy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from core.clock import DAY_MS, MINUTE_MS
from core.errors import InvalidSettings
from core.learn.gate import GateRules
from core.learn.promotion_experiments import ExperimentPlan
from core.learn.tasks import Policy
from core.learn.triggers import Schedule
from tidewise.settings.schema import Settings

if TYPE_CHECKING:
    from model.features import FeatureSource
    from model.network.config import ModelConfig
    from model.training.fine_tuning import FineTuningPlan
    from model.training.train import TrainingPlan


def learning_policy(settings: Settings) -> Policy:
    """The policy of the learning cycle by the settings."""
    learn = settings.learn
    return Policy(
        rules=GateRules(margin=learn.noninferiority_margin),
        schedule=learning_schedule(settings),
        slice_share=learn.holdout_fraction,
        max_slice=learn.max_holdout_events,
        anchor_age=learn.lookback_promotions,
        keep=learn.keep_versions,
        promotes=learn.mode != "propose",
        experiment=_experiment_plan(settings) if learn.mode == "experiment" else None,
        hide_seen=settings.recommend.exclude_seen,
        half_life_ms=settings.popularity.half_life_days * DAY_MS,
        max_events=learn.max_events,
    )


def _experiment_plan(settings: Settings) -> ExperimentPlan:
    learn = settings.learn
    return ExperimentPlan(
        metric=learn.experiment_metric,
        share=learn.experiment_share,
        days=learn.experiment_days,
        margin=learn.experiment_margin,
        proven_impressions=settings.outcomes.impressions == "client",
    )


def learning_schedule(settings: Settings) -> Schedule:
    """The schedule of trainings by the settings."""
    learn = settings.learn
    return Schedule(
        first_events=settings.train.min_events,
        every_events=learn.every_events,
        every_ms=int(learn.every_minutes * MINUTE_MS),
        min_new_events=learn.min_new_events,
        on_drift=learn.on_drift,
        drift_pause_ms=int(learn.drift_cooldown_minutes * MINUTE_MS),
    )


def model_config(settings: Settings, sources: Sequence[FeatureSource] = ()) -> ModelConfig:
    """The model's configuration by the settings; a source named `text` replaces TF-IDF.

    Raises `InvalidSettings` if `model.exclude_modalities` has an unknown name, or leaves no modality.
    """
    from model.network.config import LossWeights, Modality, ModelConfig

    shape = settings.model
    sizes = {"text": shape.text_dim, **{source.name: source.size for source in sources}}
    excluded = shape.excluded()
    if unknown := [name for name in excluded if name not in ("id", *sizes)]:
        msg = f"model.exclude_modalities: wanted some of {', '.join(('id', *sizes))}, got {', '.join(unknown)}"
        raise InvalidSettings(msg)
    return ModelConfig(
        width=shape.width,
        num_layers=shape.layers,
        num_heads=shape.heads,
        dropout=shape.dropout,
        window=settings.window_shape(),
        use_id="id" not in excluded,
        contents=tuple(Modality(name, size) for name, size in sizes.items() if name not in excluded),
        interactive_moe=shape.interactive_moe,
        temporal_moe=shape.temporal_moe,
        num_interactive_experts=shape.experts,
        num_temporal_experts=shape.experts,
        gaps="on" if shape.time_gaps else "off",
        absolute_time=shape.absolute_time,
        now_gap=shape.now_gap,
        relative_attention=shape.relative_attention,
        sparse_experts=shape.sparse_experts,
        content_experts=shape.content_experts,
        facet_experts=shape.facet_experts,
        fused_id=shape.fused_id,
        repeats=shape.repeat_consumption and not settings.recommend.exclude_seen,
        hides_seen=settings.recommend.exclude_seen,
        losses=LossWeights(idcl=shape.idcl_weight, cp=shape.cp_weight, pcl=shape.pcl_weight),
    )


def training_plan(settings: Settings) -> TrainingPlan:
    """The training plan by the settings."""
    from model.training.train import TrainingPlan

    options = settings.train
    return TrainingPlan(
        epochs=options.epochs,
        max_seconds=options.max_minutes * 60,
        batch_events=options.batch_events,
        learning_rate=options.learning_rate,
        loss=options.loss,
        calibration=options.gbce_calibration,
        num_samples=options.num_negatives,
        half_life=options.recency_half_life,
        precision=options.precision,
        device=options.device,
    )


def fine_tuning_plan(settings: Settings) -> FineTuningPlan:
    """The fine-tuning plan by the settings."""
    from model.training.fine_tuning import FineTuningPlan

    options = settings.learn
    return FineTuningPlan(
        epochs=options.epochs,
        max_seconds=options.max_minutes * 60,
        batch_events=options.batch_events,
        learning_rate=options.learning_rate,
        replay=options.replay_ratio,
        num_samples=options.num_negatives,
        loss=settings.train.loss,
        calibration=settings.train.gbce_calibration,
        rank=options.rank,
        anchor=options.anchor,
    )
