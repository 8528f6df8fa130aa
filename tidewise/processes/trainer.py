"""The trainer: `tidewise learn` schedules trainings, `tidewise learn --once` runs the one that is due.

Trainings run in a child process, which holds the trainer's lease, so that their memory is freed when they end.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from core.background import BackgroundThread
from core.clock import WallClock
from core.errors import StoreUnavailable
from core.learn.cycle import next_job
from core.learn.triggers import JobKind, request_training
from core.lease import Lease
from tidewise.bootstrap import open_existing, open_system
from tidewise.metrics.port import exposed
from tidewise.metrics.trainer import TrainerMetrics
from tidewise.process_setup import account, shutdown_requested, use_log_format
from tidewise.processes.learning_scheduler import start_learning
from tidewise.settings.schema import Settings
from tidewise.training.learning import learning_cycle, prepare_training, trainer_lease
from tidewise.training.plans import learning_schedule

if TYPE_CHECKING:
    from model.training.train import ProgressCallback

logger = logging.getLogger(__name__)


def run_trainer(settings: Settings, *, arguments: Sequence[str], variables: Mapping[str, str]) -> None:
    """Start trainings when they are due, until SIGINT or SIGTERM; to be called in the main thread.

    `arguments`, `variables`: options and environment that give a child process the same settings.
    """
    ended = shutdown_requested()
    use_log_format(settings.log.format)
    with ExitStack() as stack:
        system = stack.enter_context(open_system(settings))
        scheduler = start_learning(stack, system, arguments=arguments, variables=variables)
        metrics = TrainerMetrics(scheduler)
        stack.enter_context(exposed(metrics.registry, settings.metrics))
        logger.info("waiting until a training is due")
        ended.wait()


def run_due_job(settings: Settings, *, progress: ProgressCallback) -> str:
    """Run the job that is due, if any, under the trainer's lease; returns the result as a sentence."""
    with open_existing(settings) as system:
        codes, schedule = system.types.flagged("window"), learning_schedule(settings)
        job = next_job(system.store, type_codes=codes, schedule=schedule, clock=WallClock())
        if job is None:
            return "No training is due."
        lease = trainer_lease(system)
        with held(lease, renewed_every_s=settings.learn.lease_s / 3) as acquired:
            if not acquired:
                return "Another trainer is at work."
            prepare_training(system, num_threads=settings.learn.threads)  # imports torch: not where nothing is due
            verdict = learning_cycle(system, lease=lease, progress=progress).run(job)
    return "There is no challenger to judge." if verdict is None else f"{verdict.outcome}: {verdict.reason}"


def request_job(settings: Settings, *, kind: JobKind) -> None:
    """Request a training from the process that holds the trainer's lease."""
    with open_existing(settings) as system, system.store.transaction() as tx:
        request_training(tx, kind=kind, by=f"{account()} by command", reason="", now_ms=WallClock().now_ms())
        tx.commit()


@contextmanager
def held(lease: Lease, *, renewed_every_s: float) -> Iterator[bool]:
    """Hold a lease, renewed in the background, until the end of the block; False while another process holds it."""
    if not lease.hold():
        yield False
        return
    renewal = BackgroundThread("the trainer's lease", lease.hold, period_s=renewed_every_s)
    renewal.start()
    try:
        yield True
    finally:
        renewal.stop()
        try:
            lease.release()
        except StoreUnavailable as error:
            logger.warning("the lease could not be released, and expires by itself: %s", error)
