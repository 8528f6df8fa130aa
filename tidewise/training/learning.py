"""The learning cycle of a process: its trainer of networks, its lease and its settings.

Used by `tidewise train` and by `tidewise learn`, which `tidewise up` runs as a child process.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from core.catalogue.items import Catalogue
from core.clock import WallClock
from core.cores import num_cores
from core.errors import NotReady
from core.learn.cycle import Force, LearningCycle, TrainingByHand
from core.learn.tasks import Task
from core.learn.triggers import JobKind, trained_through_ms
from core.lease import Lease, NoLease
from core.ports.encoder import ModelBundle
from core.records.statuses import ModelStatus
from core.records.stored import EventColumns, ModelRecord
from tidewise.bootstrap import MODELS_FOLDER, System, features_folder, load_model, models_folder
from tidewise.process_setup import process_name
from tidewise.settings.schema import Settings
from tidewise.training.blending import with_blend
from tidewise.training.features import sources_in
from tidewise.training.plans import fine_tuning_plan, learning_policy, model_config, training_plan
from tidewise.training.processes import training_processes
from tidewise.training.recipe import Choices, chosen, text_of, with_choices
from tidewise.training.text_topics import name_text_topics

if TYPE_CHECKING:
    from model.bundle import HM4SRBundle
    from model.training.train import ProgressCallback

MIN_TRAINABLE_EVENTS = 100  # fewer leave nothing to hold out for validation
TRAINER = "trainer"  # the lease
BY_HAND: JobKind = "by hand"
UNFINISHED = ".unfinished"  # the state of the training in progress, in the models' folder


def train_model(system: System, *, progress: ProgressCallback, before_ms: int | None = None) -> ModelRecord:
    """Train on all windowed events (before a time) and promote the model without the gate: for the demo and tests.

    Raises `NotReady` with fewer than 100 events.
    """
    cycle = _cycle_by_hand(system, progress)
    return cycle.train_champion(operator="the demo", reason="the first model of a demo", before_ms=before_ms)


def train_and_judge(
    system: System,
    *,
    progress: ProgressCallback,
    report: Callable[[str], None],
    before_ms: int | None = None,
    force: Force | None = None,
) -> TrainingByHand:
    """Train on all windowed events but the newest (or before a time), and promote the model if it passes the gate.

    `report` gets a sentence before each step. Raises `NotReady` with fewer than 100 events to train on.
    """
    cycle = _cycle_by_hand(system, progress)
    if choices := chosen(system.settings, system.store):
        report(f"Tuning has chosen {text_of(choices)}.")
    return cycle.train_by_hand(reason="trained by hand", before_ms=before_ms, force=force, report=report)


def _cycle_by_hand(system: System, progress: ProgressCallback) -> LearningCycle:
    prepare_training(system)
    return learning_cycle(system, lease=NoLease(system.store), progress=progress)


def prepare_training(system: System, *, num_threads: int = 0) -> None:
    """Limit this process's threads, and name the topics of texts. `num_threads`: 0 for those of `train.threads`."""
    from model.training.threads import limit_threads

    # A core is left to others: two threads on busy cores wait for each other, and train slower than one.
    limit_threads(num_threads or system.settings.train.threads or max(1, num_cores() - 1))
    name_text_topics(system.store)


def trainer_lease(system: System) -> Lease:
    """The trainer's lease for this process, not yet acquired."""
    return Lease(system.store, TRAINER, holder=process_name(), ttl_ms=int(system.settings.learn.lease_s * 1000))


class NetworkTrainer:
    """`core.learn.tasks.Trainer` with HM4SR: full trainings and fine-tunes that resume after a crash.

    `tuned`: those of the settings that tuning chose, for the lineage of models.
    """

    def __init__(self, settings: Settings, *, tuned: Choices, progress: ProgressCallback) -> None:
        self._settings, self._tuned = settings, tuned
        self._progress = progress

    def train(
        self, task: Task, *, parent: ModelRecord | None, columns: EventColumns, catalogue: Catalogue
    ) -> ModelRecord:
        """Train or fine-tune a model and save it."""
        if parent is None:
            resumable = task.kind != BY_HAND
            bundle = train_fully(self._settings, columns, catalogue, self._progress, resumable=resumable)
            record = _saved(self._settings, bundle, columns)
            return replace(record, lineage={**record.lineage, "tuned": dict(self._tuned)})
        return _saved(self._settings, self._fine_tuned(parent, columns, catalogue), columns)

    def _fine_tuned(self, parent: ModelRecord, columns: EventColumns, catalogue: Catalogue) -> HM4SRBundle:
        from model.training.fine_tuning import fine_tune

        since_ms, before_training = trained_through_ms(parent), load_model(self._settings, parent)
        bundle = fine_tune(
            before_training,
            columns,
            catalogue,
            since_ms=since_ms,
            plan=fine_tuning_plan(self._settings),
            seed=self._settings.train.seed,
            progress=self._progress,
            resume=models_folder(self._settings) / UNFINISHED,
        )
        return with_blend(
            self._settings, bundle, columns, catalogue, since_ms=since_ms, before_training=before_training
        )

    def load(self, record: ModelRecord) -> ModelBundle:
        """The bundle of a model."""
        return load_model(self._settings, record)

    def remove(self, record: ModelRecord) -> None:
        """Delete a model's folder."""
        shutil.rmtree(self._settings.data.folder / record.path, ignore_errors=True)


def learning_cycle(system: System, *, lease: Lease | NoLease, progress: ProgressCallback) -> LearningCycle:
    """The learning cycle of this process; full trainings use what tuning chose (`tidewise.training.recipe`)."""
    settings, choices = system.settings, chosen(system.settings, system.store)
    return LearningCycle(
        store=system.store,
        lease=lease,
        trainer=NetworkTrainer(with_choices(settings, choices), tuned=choices, progress=progress),
        shape=system.shape,
        type_codes=system.types.flagged("window"),
        clock=WallClock(),
        policy=learning_policy(settings),
        include_uncatalogued=settings.items.catalogue == "none",
        stream=settings.kafka.topic,
    )


def train_fully(
    settings: Settings,
    columns: EventColumns,
    catalogue: Catalogue,
    progress: ProgressCallback,
    *,
    resumable: bool,
) -> HM4SRBundle:
    """Train on events that come sorted by user and time, and fit the blend; raises `NotReady` with fewer than 100."""
    from model.training.train import train

    if len(columns) < MIN_TRAINABLE_EVENTS:
        msg = f"wanted at least {MIN_TRAINABLE_EVENTS} events to train on, got {len(columns)}; import more first"
        raise NotReady(msg)
    sources = sources_in(features_folder(settings), catalogue, size=settings.model.content_dim)
    with training_processes(settings.train.processes, device=settings.train.device) as group:
        bundle = train(
            columns,
            catalogue,
            config=model_config(settings, sources),
            plan=training_plan(settings),
            sources=sources,
            seed=settings.train.seed,
            progress=progress,
            resume=models_folder(settings) / UNFINISHED if resumable else None,
            group=group,
        )
    return with_blend(settings, bundle, columns, catalogue)


def _saved(settings: Settings, bundle: HM4SRBundle, columns: EventColumns) -> ModelRecord:
    """Write the bundle's files; its record."""
    from model.checkpoint import save

    save(bundle, models_folder(settings) / bundle.version)
    data = {
        "num_events": len(columns),
        "first_event_ms": int(columns.times_ms.min()),
        "last_event_ms": int(columns.times_ms.max()),
    }
    shape = {"window": asdict(bundle.window), "num_parameters": bundle.model.num_parameters}
    report = {name: value for name, value in bundle.report.items() if name != "categories"}
    return ModelRecord(
        version=bundle.version,
        path=f"{MODELS_FOLDER}/{bundle.version}",
        status=ModelStatus.CHALLENGER,
        created_ms=WallClock().now_ms(),
        lineage={**data, **shape, **report},
    )
