"""The Faust app of a worker: no tables, no web server, no topics of its own.

Each setting that differs from Faust's default has its reason beside it. Independent of what messages mean.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import faust
from faust.tables import TableManager

from stream.kafka.settings import KafkaSecurity, StreamSettings, WorkerSettings

LONGEST_HEARTBEAT_S = 0.5  # between two: so late a worker learns that it must take over partitions


def credentials(security: KafkaSecurity) -> faust.SASLCredentials | faust.SSLCredentials | None:
    """The security settings as Faust's credentials."""
    context = security.tls()
    if security.sasl:
        name, password = security.username, security.password
        return faust.SASLCredentials(
            username=name, password=password, mechanism=security.mechanism, ssl_context=context
        )
    return faust.SSLCredentials(context) if context else None


def make_app(kafka: StreamSettings, worker: WorkerSettings, *, data_dir: Path) -> faust.App:
    """A Faust app that consumes one topic as one member of one consumer group."""
    app = faust.App(
        kafka.group,
        broker=[f"kafka://{server}" for server in kafka.servers],
        broker_credentials=credentials(kafka.security),
        datadir=data_dir,
        store="memory://",
        TableManager=NoTables,
        autodiscover=False,
        web_enabled=False,  # it would bind 0.0.0.0, and the second worker of a machine could not start
        topic_disable_leader=True,  # no leader election, so no topic for it
        topic_allow_declare=False,  # stream.kafka.admin creates topics
        consumer_auto_offset_reset="earliest",
        consumer_group_instance_id=worker.name,  # a restarted worker gets its partitions back in 2 s instead of 5
        consumer_metadata_max_age_ms=5_000,  # new partitions are noticed after 5 s instead of 5 minutes
        broker_session_timeout=worker.session_timeout_s,
        broker_heartbeat_interval=min(LONGEST_HEARTBEAT_S, worker.session_timeout_s / 4),
        broker_rebalance_timeout=10.0,
        broker_request_timeout=15.0,  # drops a silent connection; above the 10 s that a join may take in a rebalance
        broker_commit_interval=1.0,
        broker_max_poll_records=500,
        stream_wait_empty=False,  # the database stores the applied offsets: nothing to wait for at a rebalance
        stream_recovery_delay=0.0,
        worker_redirect_stdouts=False,
    )
    return app


def raw_topic(app: faust.App, name: str) -> faust.TopicT:
    """A topic whose keys and values are bytes."""
    return app.topic(name, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")


def make_runner(app: faust.App) -> faust.Worker:
    """What runs an app until SIGTERM or SIGINT, with our logging. For the main thread."""
    loop = asyncio.new_event_loop()
    runner = faust.Worker(app, loop=loop, quiet=True, redirect_stdouts=False, override_logging=False)
    runner.spinner = None
    return runner


class NoTables(TableManager):
    """Skips the second that Faust waits for tables before a worker joins its group; there are none."""

    async def on_start(self) -> None:
        """Start recovery at once."""
        await self._update_channels()
        await self.recovery.start()
