"""The services of an API over an open system, by its settings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from core.access.sign_in import SignIn
from core.clock import HOUR_MS, WallClock
from core.errors import InvalidSettings
from core.outcomes.answer_log import AnswerLog
from core.outcomes.shown_items import ShownItems
from core.ports.metadata import Secret
from core.records.outcomes import Answer
from core.secrets import shared_secret
from tidewise import __version__
from tidewise.bootstrap import System
from tidewise.processes.answer_handover import AnswerSender
from tidewise.processes.kafka import dead_letter_decoder, end_offsets
from tidewise.settings.access import OidcSettings

if TYPE_CHECKING:
    from prometheus_client.registry import Collector

    from serving.runtime.services import EventLog, Services


def api_services(
    system: System,
    *,
    log: EventLog | None = None,
    collectors: Sequence[Collector] = (),
    answers_socket: Path | None = None,
    rate_limits: Path | None = None,
) -> Services:
    """What routes call; users are encoded when they are read, and nothing is told of changes. `log`: of events.

    `answers_socket`: of the process that stores answers; None: this one does. `rate_limits`: see `Services`.
    """
    from serving.runtime.services import Limits, Services

    settings = system.settings
    return Services(
        store=system.store,
        recommender=system.recommender,
        interests=system.interests,
        ingestor=system.ingestor,
        snapshots=system.snapshots,
        types=system.types,
        clock=system.clock,
        answers=answer_log(system, send=AnswerSender(answers_socket) if answers_socket else None),
        scenarios=system.scenarios,
        cursor_key=shared_secret(system.store, Secret.CURSORS),
        experiments=system.experiments,
        segments=system.segments,
        log=log,
        dead_letter_decoder=dead_letter_decoder(settings),
        log_end_offsets=end_offsets(settings),
        num_encoded=lambda: system.recommender.num_encoded,
        default_type=settings.events.default_type,
        exclude_seen=settings.recommend.exclude_seen,
        impressions=settings.outcomes.impressions,
        api_key=settings.api_key(),
        write_key=settings.write_key(),
        read_key=settings.read_key(),
        sign_in=_sign_in(settings.oidc),
        cors_origins=settings.server.origins,
        limits=Limits(
            max_events=settings.server.max_batch,
            max_body_bytes=settings.server.max_body_mib * 2**20,
            max_n=settings.recommend.max_n,
            max_future_ms=int(settings.events.max_future_s * 1000),
        ),
        rate_limits=rate_limits,
        version=__version__,
        collectors=collectors,
    )


def _sign_in(options: OidcSettings) -> SignIn | None:
    """The identity provider of the dashboard; raises `InvalidSettings` where the extra is missing."""
    if not options.issuer:
        return None
    try:
        import authlib  # noqa: F401
    except ModuleNotFoundError as error:
        msg = "oidc.issuer needs the oidc extra (authlib is missing); install it: pip install 'tidewise[oidc]'"
        raise InvalidSettings(msg) from error
    return SignIn(
        issuer=options.issuer,
        client_id=options.client_id,
        client_secret=options.client_secret.get_secret_value(),
        public_url=options.public_url,
        scopes=options.scopes,
        claim=options.claim,
        granted=options.granted(),
        session_ms=int(options.session_hours * HOUR_MS),
    )


def answer_log(system: System, *, send: Callable[[Sequence[Answer]], bool] | None = None) -> AnswerLog:
    """The answer log of a process. `send`: see `AnswerLog`."""
    outcomes = system.settings.outcomes
    return AnswerLog(
        system.store,
        system.ingestor.attributor,
        ShownItems(system.snapshots.current, new_item_days=outcomes.new_item_days),
        clock=system.clock,
        wall=WallClock(),
        retention=outcomes.retention(),
        send=send,
    )
