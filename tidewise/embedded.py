"""Embedded: the whole system in one process on one machine (`tidewise up`), or its API alone (`tidewise serve`).

requests -> the writer thread (core.ingest, one transaction for all that wait) -> the answer
                  `-> the follower thread encodes the users who changed
the refresh thread renews the view: catalogue, popularity, champion
a child process trains the first model once enough events exist
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack

from core.follow import Follower
from tidewise import __version__
from tidewise.background import FirstTraining, Periodic
from tidewise.bootstrap import System, open_system
from tidewise.lock import hold
from tidewise.settings import Settings

logger = logging.getLogger(__name__)

REFRESH_S = 1.0  # how old popularity may be, and how soon another process's changes are noticed
CHECK_TRAINING_S = 1.0

OnBound = Callable[[str, int], None]


def run_up(
    settings: Settings, *, arguments: Sequence[str], variables: Mapping[str, str], on_bound: OnBound, train: bool = True
) -> None:
    """Serve the embedded system until SIGINT or SIGTERM.

    `arguments`, `variables`: what a child process needs on its command line and in its environment to have the same
    settings. `train`: whether to train a first model once enough events exist.
    """
    with ExitStack() as stack:
        stack.enter_context(hold(settings.data.folder))
        system = _opened(stack, settings)
        if train:
            minimum = settings.train.min_events
            training = FirstTraining(system.store, min_events=minimum, arguments=arguments, variables=variables)
            stack.callback(training.stop)
            _run(stack, Periodic("first training", training.check, period_s=CHECK_TRAINING_S))
        _serve(stack, system, on_bound)


def run_api(settings: Settings, *, on_bound: OnBound) -> None:
    """Serve the API alone until SIGINT or SIGTERM: events may come through workers too, models from elsewhere."""
    with ExitStack() as stack:
        _serve(stack, _opened(stack, settings), on_bound)


def _opened(stack: ExitStack, settings: Settings) -> System:
    from model.threads import limit_threads

    limit_threads(1)  # requests run side by side; more threads each would only queue
    system = open_system(settings)
    stack.callback(system.close)
    return system


def _serve(stack: ExitStack, system: System, on_bound: OnBound) -> None:
    from serving.app import Limits, Services, create_app
    from serving.server import serve

    settings = system.settings
    system.views.refresh()
    if system.views.problem:
        logger.error("the champion does not serve: %s", system.views.problem)
    refresh = _run(stack, Periodic("refresh", system.views.refresh, period_s=REFRESH_S))
    follower = Follower(system.recommender.encode, on_error=_log_follower_error)
    follower.start()
    stack.callback(follower.stop)
    key = settings.server.api_key
    services = Services(
        store=system.store,
        recommender=system.recommender,
        ingestor=system.ingestor,
        views=system.views,
        types=system.types,
        clock=system.clock,
        follow=follower.submit,
        items_changed=refresh.nudge,
        default_type=settings.events.default_type,
        exclude_seen=settings.recommend.exclude_seen,
        api_key=key.get_secret_value() if key else None,
        limits=Limits(
            max_events=settings.server.max_batch,
            max_body_bytes=settings.server.max_body_mib * 2**20,
            max_n=settings.recommend.max_n,
            max_future_ms=int(settings.events.max_future_s * 1000),
        ),
        version=__version__,
    )
    serve(create_app(services), host=settings.server.host, port=settings.server.port, on_bound=on_bound)


def _run(stack: ExitStack, periodic: Periodic) -> Periodic:
    periodic.start()
    stack.callback(periodic.stop)
    return periodic


def _log_follower_error(error: Exception) -> None:
    logger.error("users could not be encoded ahead; they are encoded when read", exc_info=error)
