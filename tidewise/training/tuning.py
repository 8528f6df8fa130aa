"""Tuning: variants of the settings, tried on a shop's own events; the best is what its full trainings use.

Each change is tried on top of the best before it, in a short training of its own, and kept if the model ranks the
held-out events better, blended as it would serve. Held out are the newest of the events that a training by hand learns
from: the events of the gate stay unseen. A setting that an operator has given is not changed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from core.catalogue.items import Catalogue
from core.errors import NotReady
from core.evaluation.metrics import Array, Interval, bootstrap_over_users, ndcg
from core.learn.blended_trial import try_bundles
from core.learn.tasks import Policy, task_by_hand
from core.learn.trial import TrialSlice, select_slice
from core.learn.versions import with_status
from core.records.statuses import ModelStatus
from core.records.stored import EventColumns
from tidewise.bootstrap import System
from tidewise.settings.schema import Settings
from tidewise.training.learning import prepare_training, train_fully
from tidewise.training.plans import learning_policy, model_config
from tidewise.training.recipe import Choices, is_set, save_choices, text_of, with_choices

if TYPE_CHECKING:
    from model.training.train import ProgressCallback

TOP = 10
RECENCY_HALF_LIFE = 0.3
MIN_COMPARED = 100  # events; fewer tell nothing
TRAINING_SHARE = 0.6  # of the time; the rest fits blends and compares


@dataclass(frozen=True, slots=True)
class Attempt:
    """A variant that was tried. `change`: of the best before it; empty for the settings as they are.

    `ndcg`: NDCG@10 of the model as it would serve; `difference`: to the best before it, paired by user.
    """

    change: Choices
    ndcg: Interval
    difference: Interval | None
    kept: bool
    epochs: int
    seconds: float

    @property
    def name(self) -> str:
        """The change for people."""
        return text_of(self.change) or "the settings as they are"


@dataclass(frozen=True, slots=True)
class Tuning:
    """What was tried, what there was no time for, the events and users to compare by, and the choice."""

    attempts: Sequence[Attempt]
    untried: Sequence[Choices]
    events: int
    users: int
    choices: Choices

    def to_json(self) -> dict[str, Any]:
        """The record as JSON values."""
        return asdict(self)


def tune(
    system: System,
    *,
    minutes: float,
    progress: ProgressCallback,
    report: Callable[[str], None],
    before_ms: int | None = None,
) -> Tuning:
    """Try the variants within so many minutes, and store the choice for all later full trainings.

    Each trains for as long as the others; none begins that would not end in time if it took as long as the longest.

    `before_ms`: as for the training that follows. `report` gets a sentence about each step. Raises `NotReady` where
    fewer than 100 events can be compared by.
    """
    prepare_training(system)
    trials = _Trials.of(system, before_ms, progress)
    changes: list[Choices] = [{}, *changes_of(system.settings, fuses_ids=trials.fuses_ids)]
    share, ends_s = TRAINING_SHARE * minutes / len(changes), time.monotonic() + 60 * minutes
    report(
        f"Tuning: {len(changes)} trainings of at most {share:.1f} minutes on {len(trials.columns):,} events, "
        f"compared on {len(trials.held_out):,} after them; {minutes:g} minutes in all."
    )
    best: Choices = {}
    best_gains: Array | None = None
    attempts: list[Attempt] = []
    for change in changes:
        if time.monotonic() + max((attempt.seconds for attempt in attempts), default=0.0) > ends_s:
            break
        attempt, gains = trials.attempt(best, change, minutes=share, best_gains=best_gains)
        attempts.append(attempt)
        report(f"{attempt.name}: NDCG@10 {attempt.ndcg.mean:.4f} after {attempt.seconds:.0f} s")
        if attempt.kept:
            best, best_gains = {**best, **change}, gains
    save_choices(system.store, best)
    users = trials.held_out.users
    return Tuning(attempts, changes[len(attempts) :], len(users), len(np.unique(users)), best)


def changes_of(settings: Settings, *, fuses_ids: bool) -> list[Choices]:
    """The changes to try, one after the other: none of a setting that was given. `fuses_ids`: without changes."""
    model, train = settings.model, settings.train
    widths = [width for width in (model.width // 2, 2 * model.width) if width % model.heads == 0]
    changes: list[Choices] = [
        {"model.fused_id": not fuses_ids},
        {"train.recency_half_life": 0.0 if train.recency_half_life else RECENCY_HALF_LIFE},
        {"model.idcl_weight": 0.0 if model.idcl_weight else 0.1},
        *({"model.width": width} for width in widths),
    ]
    return [change for change in changes if not any(is_set(settings, name) for name in change)]


@dataclass(frozen=True)
class _Trials:
    """Trainings on the same events, compared on the same later ones."""

    settings: Settings
    policy: Policy
    columns: EventColumns
    catalogue: Catalogue
    held_out: TrialSlice
    progress: ProgressCallback

    @classmethod
    def of(cls, system: System, before_ms: int | None, progress: ProgressCallback) -> _Trials:
        """On the events that a training by hand learns from."""
        policy = learning_policy(system.settings)
        with system.store.read() as read:
            columns = read.events.columns(type_codes=system.types.flagged("window"))
            catalogue = read.items.catalogue(include_uncatalogued=True)
            champion = with_status(read.models.all(), ModelStatus.CHAMPION)
        gate_ms = before_ms or task_by_hand(columns, champion, policy, reason="").before_ms
        known = columns if gate_ms is None else columns.where(columns.times_ms < gate_ms)
        since_ms = task_by_hand(known, None, policy, reason="").before_ms or 0
        held_out = select_slice(
            known, catalogue, since_ms=since_ms, max_events=policy.max_slice, hide_seen=policy.hide_seen
        )
        if len(held_out) < MIN_COMPARED:
            wanted = f"--tune: wanted at least {MIN_COMPARED} newest events to compare by"
            msg = f"{wanted}, got {len(held_out)}; train without it, or import more events"
            raise NotReady(msg)
        return cls(system.settings, policy, known.where(known.times_ms < since_ms), catalogue, held_out, progress)

    @property
    def fuses_ids(self) -> bool:
        """Whether a training on these events fuses ids by the settings."""
        num_items = len(np.unique(self.columns.items))
        config = model_config(self.settings).decided(events_per_item=len(self.columns) / max(1, num_items))
        return bool(config.fused_id)

    def attempt(
        self, best: Choices, change: Choices, *, minutes: float, best_gains: Array | None
    ) -> tuple[Attempt, Array]:
        """Train with a change, and compare with (q,) NDCG@10 of the best before; the attempt and its own (q,)."""
        started_s = time.monotonic()
        settings = with_choices(self.settings, {**best, **change, "train.max_minutes": minutes})
        bundle = train_fully(settings, self.columns, self.catalogue, self.progress, resumable=False)
        [trial] = try_bundles([bundle], self.held_out, settings.window_shape(), half_life_ms=self.policy.half_life_ms)
        gains, users = np.nan_to_num(ndcg(trial.ranks, TOP)), self.held_out.users
        difference = None if best_gains is None else bootstrap_over_users(gains - best_gains, users)
        kept = difference is None or difference.mean > 0
        seconds, epochs = time.monotonic() - started_s, int(bundle.report["epochs"])
        return Attempt(change, bootstrap_over_users(gains, users), difference, kept, epochs, seconds), gains
