"""The monitor in a process: wired, called every few seconds, its alarms sent to the webhook.

In `tidewise up` it is a thread; in the distributed system `tidewise monitor` is a process. Of several monitors, the
holder of the lease works and the others stand by.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from functools import partial
from typing import TYPE_CHECKING

from core.background import BackgroundThread
from core.clock import DAY_MS
from core.drift.detector_bank import DetectorBank
from core.drift.monitor import ROLE, Monitor
from core.drift.scoring import Scoring
from core.drift.words import headline
from core.errors import InvalidSettings, NotReady
from core.lease import Lease
from core.ports.file_checks import OWN_CHECKS, FileChecks
from core.ports.store import Store
from core.recommendation.snapshots.snapshot import ServingSnapshot
from core.records.drift import Alarm
from core.times import minute_text
from tidewise.bootstrap import System, open_system
from tidewise.process_setup import process_name, shutdown_requested, use_log_format
from tidewise.processes.refresh import start_refresh
from tidewise.settings.schema import Settings

if TYPE_CHECKING:
    from core.drift.monitored_signal import Detectors

logger = logging.getLogger(__name__)

PERIOD_S = 3.0
WEBHOOK_STOP_S = 1.0  # then the end of the process does not wait for the receiver; the alarm is sent again by the next


def open_monitor(system: System) -> Monitor:
    """The monitor of this process; raises `InvalidSettings` where the drift extra is missing."""
    options = system.settings.drift
    _detectors()  # reports a missing extra now instead of at the first bucket
    scoring = Scoring(
        system.store,
        snapshots=partial(_newest_snapshot, system),
        types=system.types,
        shape=system.shape,
        exclude_seen=system.settings.recommend.exclude_seen,
        segments=options.segment_names(),
    )
    return Monitor(
        system.store,
        lease=Lease(system.store, ROLE, holder=process_name()),
        scoring=scoring,
        detector_bank=partial(new_detector_bank, system),
        clock=system.clock,
        keep_ms=int(options.retention_days * DAY_MS),
        on_alarm=_log_alarm,
        shifts=system.interests.shifts_of,
    )


def _newest_snapshot(system: System) -> ServingSnapshot:
    """With the counts of all stored events; reading what is new costs some milliseconds a batch."""
    system.snapshots.refresh()
    return system.snapshots.current()


def new_detector_bank(system: System) -> DetectorBank:
    """New detectors by the settings; raises `InvalidSettings` where the drift extra is missing."""
    options = system.settings.drift
    return DetectorBank(
        _detectors(),
        smallest=options.smallest_effects(),
        warmup_ms=int(options.warmup_days * DAY_MS),
        new_normal_ms=int(options.new_normal_days * DAY_MS),
        max_segments=options.max_segments,
        topic_name=lambda code: _topic_name(system.store, code),
    )


def can_monitor(settings: Settings) -> bool:
    """Whether the settings ask for monitoring and the drift extra is there; a missing one is logged."""
    if not settings.drift.enabled:
        return False
    try:
        _detectors()
    except InvalidSettings as error:
        logger.warning("drift is not monitored: %s", error)
        return False
    return True


def start_monitor(stack: ExitStack, system: System) -> Monitor | None:
    """Monitor in a thread until the stack unwinds; None if the settings switch it off or the drift extra is missing."""
    if not can_monitor(system.settings):
        return None
    monitor = open_monitor(system)
    _start_threads(stack, system, monitor)
    return monitor


def _start_threads(stack: ExitStack, system: System, monitor: Monitor) -> None:
    """Call the monitor and send its alarms to the webhook periodically, until the stack unwinds."""
    from tidewise.webhook import WebhookSender, webhook_of  # 80 ms of CPU, which an API beside a monitor does without

    sender = WebhookSender(
        system.store, webhook_of(system.settings), clock=system.clock, may_send=lambda: monitor.is_active
    )
    stack.callback(monitor.release)
    for name, work, stop_s in (("monitor", monitor.step, None), ("webhook", sender.deliver, WEBHOOK_STOP_S)):
        thread = BackgroundThread(name, work, period_s=PERIOD_S)
        thread.start()
        stack.callback(thread.stop, timeout_s=stop_s)
    stack.callback(monitor.request_stop)
    stack.callback(sender.request_stop)


def read_all(system: System, *, again: bool) -> None:
    """Read all closed buckets now; `again`: from the first one."""
    system.snapshots.refresh()
    monitor = open_monitor(system)
    try:
        if again:
            with system.store.transaction() as tx:
                tx.drift.delete_buckets()
                tx.commit()
        if not monitor.catch_up():
            msg = "another process monitors this database and reads by itself; stop it first to read here"
            raise NotReady(msg)
    finally:
        monitor.release()


def run_monitor(
    settings: Settings,
    *,
    on_ready: Callable[[], None],
    beside: Callable[[System], AbstractContextManager[object]] = nullcontext,
    checks: FileChecks = OWN_CHECKS,
) -> None:
    """Monitor until SIGINT or SIGTERM; to be called in the main thread. `beside`: what else this process does.

    `checks`: see `open_system`.
    """
    from tidewise.metrics.monitor import MonitorMetrics
    from tidewise.metrics.port import exposed

    if not settings.drift.enabled:
        msg = "drift.enabled: wanted true for `tidewise monitor`, got false; switch it on, or do not start it"
        raise InvalidSettings(msg)
    use_log_format(settings.log.format)
    with ExitStack() as stack:
        system = stack.enter_context(open_system(settings, recommends=True, checks=checks))
        start_refresh(stack, system)
        monitor = open_monitor(system)
        _start_threads(stack, system, monitor)
        metrics = MonitorMetrics(system.store, monitor, clock=system.clock)
        stack.enter_context(exposed(metrics.registry, settings.metrics))
        stack.enter_context(beside(system))
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
    """The name of a topic's code; read only when an alarm is raised."""
    with store.read() as read:
        return read.drift.topics().get(code, "other items")


def _log_alarm(alarm: Alarm) -> None:
    if alarm.over_ms is not None and alarm.over_ms > alarm.detected_ms:
        logger.info("drift over: %s: %s", headline(alarm), alarm.ending)
        return
    logger.warning("drift: %s, since %s UTC: %s", headline(alarm), minute_text(alarm.onset_ms), alarm.cause)
