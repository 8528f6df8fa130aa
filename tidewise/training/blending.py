"""The blend of a trained model: its weights, fitted to the newest events that the model has not learnt from."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from core.blending.calibration import MAX_CHOICES
from core.catalogue.items import Catalogue
from core.clock import DAY_MS
from core.learn.blended_trial import calibrated
from core.learn.trial import select_slice
from core.records.stored import EventColumns
from tidewise.settings.schema import Settings
from tidewise.training.plans import training_plan

if TYPE_CHECKING:
    from model.bundle import HM4SRBundle


def with_blend(
    settings: Settings,
    bundle: HM4SRBundle,
    columns: EventColumns,
    catalogue: Catalogue,
    *,
    since_ms: int | None = None,
    before_training: HM4SRBundle | None = None,
) -> HM4SRBundle:
    """The bundle with fitted weights, and the version that these give it; as it is where blending is switched off.

    `since_ms`: the encoder has not learnt from events at this time or later; None: from those that a full training
    holds out. A fine-tuned model has learnt from all events: its weights are fitted with the encoder as it was
    `before_training`.
    """
    from model.checkpoint import version_of

    if not settings.recommend.blend:
        return bundle
    if since_ms is None:
        since_ms = _held_out_since_ms(columns, share=training_plan(settings).validation_share)
    held_out = select_slice(
        columns, catalogue, since_ms=since_ms, max_events=MAX_CHOICES, hide_seen=settings.recommend.exclude_seen
    )
    encoder = (before_training or bundle).bind(catalogue)
    half_life_ms = settings.popularity.half_life_days * DAY_MS
    blend = calibrated(encoder, held_out, settings.window_shape(), half_life_ms=half_life_ms)
    blended = replace(bundle, blend=blend, report={**bundle.report, "blend": blend.to_json()})
    return replace(blended, version=version_of(blended))


def _held_out_since_ms(columns: EventColumns, *, share: float) -> int:
    """Where the newest events begin that a full training holds out; after the last event where it holds out none."""
    from model.training.sequences import held_out

    held = held_out(columns, share=share)
    return int(columns.times_ms[held].min()) if held.any() else int(columns.times_ms.max()) + 1
