"""Learning: train a model from the store's events, keep it, and let it serve.

Called by `tidewise train` and, in a child process, by `tidewise up`.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from core.errors import NotReady
from core.ports import EventColumns, ModelRecord
from tidewise.bootstrap import MODELS_FOLDER, System, models_folder
from tidewise.settings import Settings

if TYPE_CHECKING:
    from model.config import ModelConfig
    from model.training import ProgressCallback, TrainingPlan

MIN_TRAINABLE_EVENTS = 100  # below it there is nothing to hold out, let alone to learn


def train_model(system: System, *, progress: ProgressCallback, before_ms: int | None = None) -> ModelRecord:
    """Train on all windowed events (before a time), save the model and make it the champion.

    Raises `NotReady` with fewer than 100 events. A crash at any moment leaves the previous champion: the folder is
    renamed into place whole, and the record that points to it is written last.
    """
    from model.checkpoint import save
    from model.threads import limit_threads
    from model.training import train

    # A core is left to others: two threads on busy cores wait for each other, and train slower than one.
    limit_threads(system.settings.train.threads or max(1, (os.cpu_count() or 1) - 1))
    with system.store.read() as read:
        columns = read.events(type_codes=system.types.flagged("window"), before_ms=before_ms)
        catalogue = read.catalogue(stubs=True)
    if len(columns) < MIN_TRAINABLE_EVENTS:
        msg = f"wanted at least {MIN_TRAINABLE_EVENTS} events to train on, got {len(columns)}; import more first"
        raise NotReady(msg)
    bundle = train(
        columns,
        catalogue,
        config=model_config(system.settings),
        plan=training_plan(system.settings),
        seed=system.settings.train.seed,
        progress=progress,
    )
    save(bundle, models_folder(system.settings) / bundle.version)
    record = ModelRecord(
        version=bundle.version,
        path=f"{MODELS_FOLDER}/{bundle.version}",
        status="champion",
        created_ms=int(datetime.now(UTC).timestamp() * 1000),
        lineage={**_data_lineage(columns, before_ms=before_ms), **bundle.report},
    )
    with system.store.transaction() as tx:
        tx.save_model(record)
        tx.commit()
    return record


def model_config(settings: Settings) -> ModelConfig:
    """The model's shape by the settings."""
    from model.config import Modality, ModelConfig

    shape = settings.model
    return ModelConfig(
        width=shape.width,
        num_layers=shape.layers,
        num_heads=shape.heads,
        dropout=shape.dropout,
        window=settings.window_shape(),
        contents=(Modality("text", shape.text_features),),
        num_interactive_experts=shape.experts,
        num_temporal_experts=shape.experts,
    )


def training_plan(settings: Settings) -> TrainingPlan:
    """How to train by the settings."""
    from model.training import TrainingPlan

    options = settings.train
    return TrainingPlan(
        epochs=options.epochs,
        max_seconds=options.max_minutes * 60,
        batch_events=options.batch_events,
        learning_rate=options.learning_rate,
        precision=options.precision,
    )


def _data_lineage(columns: EventColumns, *, before_ms: int | None) -> dict[str, object]:
    return {
        "num_events": len(columns),
        "first_event_ms": int(columns.times_ms.min()),
        "last_event_ms": int(columns.times_ms.max()),
        "before_ms": before_ms,
    }
