"""Monitoring in a process: the monitor is wired, stepped every few seconds, and its alarms are sent on.

In `tidewise up` it is a thread, in the distributed system a process of its own (`tidewise monitor`); of several, the
one that holds the lease works and the others stand by.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from core.background import BackgroundThread
from core.clock import DAY_MS
from core.drift.detector_bank import DetectorBank
from core.drift.monitor import ROLE, Monitor
from core.drift.records import Alarm
from core.drift.scoring import Scoring
from core.errors import InvalidSettings, NotReady
from core.lease import Lease
from core.ports.store import Store
from tidewise.bootstrap import System, open_system
from tidewise.process_setup import process_name, shutdown_requested, use_log_format
from tidewise.processes.refresh import start_refresh
from tidewise.settings.schema import Settings
from tidewise.webhook import WebhookSender, webhook_of

if TYPE_CHECKING:
    from core.drift.detector_bank import Detectors

logger = logging.getLogger(__name__)

PERIOD_S = 3.0


def open_monitor(system: System) -> Monitor:
    """The monitor of this process; raises `InvalidSettings` where the drift extra is missing."""
    given = system.settings.drift
    _detectors()  # what is missing is told at once
    scoring = Scoring(
        system.store,
        snapshots=system.snapshots.current,
        types=system.types,
        shape=system.shape,
        exclude_seen=system.settings.recommend.exclude_seen,
        segments=given.segment_names(),
    )

    return Monitor(
        system.store,
        lease=Lease(system.store, ROLE, holder=process_name()),
        scoring=scoring,
        watcher=partial(watcher_of, system),
        clock=system.clock,
        keep_ms=int(given.retention_days * DAY_MS),
        on_alarm=_tell,
    )


def watcher_of(system: System) -> DetectorBank:
    """A fresh watcher as the settings want it; raises `InvalidSettings` where the drift extra is missing."""
    given = system.settings.drift
    return DetectorBank(
        _detectors(),
        warmup_ms=int(given.warmup_days * DAY_MS),
        max_segments=given.max_segments,
        topic_name=lambda code: _topic_name(system.store, code),
    )


def start_monitor(stack: ExitStack, system: System) -> Monitor | None:
    """Monitor in a thread until the stack unwinds; None where the settings or a missing extra say no."""
    if not system.settings.drift.enabled:
        return None
    try:
        monitor = open_monitor(system)
    except InvalidSettings as error:
        logger.warning("drift is not monitored: %s", error)
        return None
    _step_in_threads(stack, system, monitor)
    return monitor


def _step_in_threads(stack: ExitStack, system: System, monitor: Monitor) -> None:
    """Step the monitor, and bring its alarms to the webhook, until the stack unwinds."""
    courier = WebhookSender(system.store, webhook_of(system.settings), clock=system.clock)
    stack.callback(monitor.release)
    for name, work in (("monitor", monitor.step), ("webhook", courier.deliver)):
        thread = BackgroundThread(name, work, period_s=PERIOD_S)
        thread.start()
        stack.callback(thread.stop)


def read_all(system: System, *, again: bool) -> None:
    """Read everything that was counted and can be closed; `again`: as if nothing had been read before."""
    system.snapshots.refresh()
    monitor = open_monitor(system)
    try:
        if again:
            with system.store.transaction() as tx:
                tx.drift.delete_buckets()
                tx.commit()
        if not monitor.catch_up():
            msg = "another process monitors this database; it reads by itself, stop it first to do it here"
            raise NotReady(msg)
    finally:
        monitor.release()


def run_monitor(settings: Settings, *, on_ready: Callable[[], None]) -> None:
    """Monitor until SIGINT or SIGTERM; to be called in the main thread."""
    from tidewise.metrics.monitor import MonitorMetrics
    from tidewise.metrics.port import exposed

    if not settings.drift.enabled:
        msg = "drift.enabled: wanted true for a process that does nothing else; switch it on, or do not start it"
        raise InvalidSettings(msg)
    use_log_format(settings.log.format)
    with ExitStack() as stack:
        system = stack.enter_context(open_system(settings))
        start_refresh(stack, system)
        monitor = open_monitor(system)
        _step_in_threads(stack, system, monitor)
        metrics = MonitorMetrics(system.store, monitor, clock=system.clock)
        stack.enter_context(exposed(metrics.registry, settings.metrics))
        ended = shutdown_requested()
        on_ready()
        ended.wait()


def _detectors() -> Detectors:
    try:
        from stream.drift.detectors import detectors
    except ModuleNotFoundError as error:
        msg = f"monitoring needs the drift extra ({error.name} is missing); install it: pip install 'tidewise[drift]'"
        raise InvalidSettings(msg) from error
    return detectors


def _topic_name(store: Store, code: int) -> str:
    """What a topic's code stands for; asked for with each alarm alone."""
    with store.read() as read:
        return read.drift.topics().get(code, "other items")


def _tell(alarm: Alarm) -> None:
    onset = datetime.fromtimestamp(alarm.onset_ms / 1000, UTC)
    where = f" of {alarm.segment}" if alarm.segment else ""
    logger.warning(
        "drift: %s%s from %.3g to %.3g since %s: %s",
        alarm.signal,
        where,
        alarm.before,
        alarm.after,
        f"{onset:%Y-%m-%d %H:%M} UTC",
        alarm.cause,
    )
