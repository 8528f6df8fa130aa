"""The API process: the embedded system (`tidewise up`), or the API alone (`tidewise serve`).

requests -> the writer thread (core.ingestion.ingest, one transaction for all that wait) -> the answer
                  `-> the encoding queue's thread encodes the users who changed
the refresh thread renews the snapshot: catalogue, popularity, champion
a child process trains when it is due: a first model, fine-tunes, the gate
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from core.cores import num_cores
from core.ports.file_checks import FileChecks
from core.records.outcomes import Answer
from tidewise.bootstrap import System, open_system
from tidewise.data_folder import hold
from tidewise.metrics.monitor import MonitorCollector, StoredDriftCollector
from tidewise.process_setup import (
    LOW_PRIORITY,
    ask_for_short_slices,
    freeze_gc,
    set_switch_interval,
    use_log_format,
    work_at_low_priority,
)
from tidewise.processes.answer_handover import receiving
from tidewise.processes.api_services import answer_log, api_services
from tidewise.processes.encoding import start_encoding
from tidewise.processes.kafka import open_log
from tidewise.processes.learning_scheduler import start_learning
from tidewise.processes.monitor import can_monitor, run_monitor, start_monitor
from tidewise.processes.refresh import start_refresh
from tidewise.processes.supervisor import Announce, Role, Supervisor, preload
from tidewise.settings.schema import Settings

if TYPE_CHECKING:
    from prometheus_client.registry import Collector

    from serving.runtime.services import EventLog

ANSWERS_SOCKET, CHECKS_FOLDER, LIMITS_FOLDER = "answers", "checks", "limits"  # their names in the folder of metrics
OnBound = Callable[[str, int], None]

PRELOADED = ("tidewise.processes.preloaded",)


def run_up(
    settings: Settings, *, arguments: Sequence[str], variables: Mapping[str, str], on_bound: OnBound, train: bool = True
) -> None:
    """Serve the embedded system until SIGINT or SIGTERM.

    `arguments`, `variables`: options and environment that give a child process the same settings. `train`: whether
    models are trained.
    """
    use_log_format(settings.log.format)
    num_processes = settings.server.processes or num_cores()
    supervised = num_processes > 1
    with ExitStack() as stack:
        stack.enter_context(hold(settings.data.folder))
        folder = stack.enter_context(_preparing(settings)) if supervised else None
        system = stack.enter_context(open_system(settings, recommends=not supervised))
        if train and settings.learn.mode != "off":
            start_learning(stack, system, arguments=arguments, variables=variables)
        if folder is not None:
            answers_socket = folder / ANSWERS_SOCKET if can_monitor(settings) else None
            checks = _shared_checks(folder)
            monitors = _monitors(settings, answers_socket, checks)
            run = partial(
                _api_process,
                monitored=bool(monitors),
                answers_socket=answers_socket,
                checks=checks,
                rate_limits=folder / LIMITS_FOLDER,
            )
            _supervise(settings, run, num_processes, monitors, on_bound)
        else:
            monitor = start_monitor(stack, system)
            collectors = [MonitorCollector(system.store, monitor, clock=system.clock)] if monitor else []
            _serve(stack, system, on_bound, collectors=collectors)


def run_api(settings: Settings, *, on_bound: OnBound) -> None:
    """Serve the API alone until SIGINT or SIGTERM; another process trains.

    Events go to Kafka if the settings name it, for workers to apply, otherwise into the database.
    """
    use_log_format(settings.log.format)
    if settings.server.processes > 1:
        with _preparing(settings) as folder:
            open_system(settings).close()  # one process migrates a new database
            run = partial(
                _api_process, publishes=True, checks=_shared_checks(folder), rate_limits=folder / LIMITS_FOLDER
            )
            _supervise(settings, run, settings.server.processes, [], on_bound)
        return
    with ExitStack() as stack:
        system = stack.enter_context(open_system(settings, recommends=True))
        _serve(stack, system, on_bound, log=open_log(stack, settings))


@contextmanager
def _preparing(settings: Settings) -> Iterator[Path]:
    """What several processes need: a folder for what they share, and a process that imports their modules meanwhile."""
    from serving.http.security import check_exposure
    from serving.runtime.metrics import METRICS_FOLDER_VARIABLE

    check_exposure(settings.server.host, settings.api_key())
    with TemporaryDirectory(prefix="tidewise-metrics-") as folder:
        os.environ[METRICS_FOLDER_VARIABLE] = folder
        preload(PRELOADED)
        yield Path(folder)


def _shared_checks(folder: Path) -> FileChecks:
    from storage.shared_checks import SharedChecks

    return SharedChecks(folder / CHECKS_FOLDER)


def _supervise(
    settings: Settings,
    run: Callable[[Settings, Announce], None],
    num_processes: int,
    others: Sequence[Role],
    on_bound: OnBound,
) -> None:
    """Run API processes that share the port, and others, until a signal; a process that dies is started again."""
    from serving.http.server import reserved_port

    host = settings.server.host
    with reserved_port(host, settings.server.port) as port:
        own = settings.model_copy(update={"server": settings.server.model_copy(update={"port": port})})
        apis = [Role(f"api-{number + 1}", partial(run, own)) for number in range(num_processes)]
        Supervisor([*apis, *others], on_ready=lambda: on_bound(host, port)).run()


def _api_process(
    settings: Settings,
    announce: Announce,
    *,
    publishes: bool = False,
    monitored: bool = False,
    answers_socket: Path | None = None,
    checks: FileChecks,
    rate_limits: Path,
) -> None:
    """One of several API processes. `publishes`: to Kafka, if the settings name it. `monitored`: by another process.

    `answers_socket`, `rate_limits`: see `api_services`. `checks`: see `open_system`.
    """
    use_log_format(settings.log.format)
    with ExitStack() as stack:
        system = stack.enter_context(open_system(settings, recommends=True, checks=checks))
        log = open_log(stack, settings) if publishes else None
        collectors = [StoredDriftCollector(system.store, clock=system.clock)] if monitored else []
        _serve(
            stack,
            system,
            lambda *_: announce(),
            log=log,
            collectors=collectors,
            shares_port=True,
            answers_socket=answers_socket,
            rate_limits=rate_limits,
        )


def _monitors(settings: Settings, answers_socket: Path | None, checks: FileChecks) -> list[Role]:
    """The monitor, where there is a socket for answers."""
    if answers_socket is None:
        return []
    return [Role("monitor", partial(_monitor_process, settings, answers_socket, checks))]


def _monitor_process(settings: Settings, answers_socket: Path, checks: FileChecks, announce: Announce) -> None:
    """The monitor, which also stores the answers of the API processes."""
    work_at_low_priority(LOW_PRIORITY)  # it reads its whole history at a start, and answers come first
    run_monitor(settings, on_ready=announce, beside=partial(_storing_answers, answers_socket), checks=checks)


@contextmanager
def _storing_answers(answers_socket: Path, system: System) -> Iterator[None]:
    """Store what API processes send."""
    log = answer_log(system)

    def store(answers: Sequence[Answer]) -> None:
        system.snapshots.follow_items()  # the items of these answers may be newer than the snapshot
        log.store(answers)

    log.start()
    try:
        with receiving(answers_socket, store):
            yield
    finally:
        log.stop()


def _serve(
    stack: ExitStack,
    system: System,
    on_bound: OnBound,
    *,
    log: EventLog | None = None,
    collectors: Sequence[Collector] = (),
    shares_port: bool = False,
    answers_socket: Path | None = None,
    rate_limits: Path | None = None,
) -> None:
    from serving.app import create_app
    from serving.http.server import Tls, serve

    refresh = start_refresh(stack, system)
    services = replace(
        api_services(system, log=log, collectors=collectors, answers_socket=answers_socket, rate_limits=rate_limits),
        encode=start_encoding(stack, system).submit,
        items_changed=refresh.follow_items,
        champion_changed=refresh.follow_champion,
        snapshot_age_s=lambda: refresh.age_s,
    )
    app = create_app(services)
    freeze_gc()
    set_switch_interval()
    ask_for_short_slices()
    server = system.settings.server
    tls = Tls(server.tls_certificate, server.tls_key) if server.tls_certificate else None
    serve(app, host=server.host, port=server.port, on_bound=on_bound, shares_port=shares_port, tls=tls)
