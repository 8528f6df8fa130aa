"""The worker process: consumes interactions from Kafka into the database, and encodes the changed users."""

from __future__ import annotations

from contextlib import ExitStack, closing

from core.ingestion.sources import IngestResult
from tidewise.bootstrap import open_system
from tidewise.process_setup import freeze_gc, use_log_format
from tidewise.processes.encoding import start_worker_encoding
from tidewise.processes.kafka import codec_of, extra_missing, kafka_settings
from tidewise.settings.schema import Settings


def run_worker(settings: Settings) -> None:
    """Consume interactions from Kafka until SIGINT or SIGTERM; to be called in the main thread."""
    kafka = kafka_settings(settings)
    try:
        from stream.kafka.admin import ensured_partitions, shortest_session_s
        from stream.kafka.producer import DeadLetterTopic
        from stream.kafka.settings import WorkerSettings
        from stream.worker.worker import StreamWorker
        from tidewise.metrics.port import exposed
        from tidewise.metrics.worker import WorkerMetrics
    except ModuleNotFoundError as error:
        raise extra_missing("the worker", error) from error

    options = settings.kafka
    use_log_format(settings.log.format)
    with ExitStack() as stack:
        system = stack.enter_context(open_system(settings))
        dead_letter_topic = stack.enter_context(closing(DeadLetterTopic(kafka)))
        codec = codec_of(settings, partitions=ensured_partitions(kafka))
        encoding_queue = start_worker_encoding(stack, settings)
        metrics = WorkerMetrics(encoding_queue)
        stack.enter_context(exposed(metrics.registry, settings.metrics))

        def on_commit(result: IngestResult, duration_s: float) -> None:
            num_events = len(result.statuses)
            metrics.observe_commit(num_events=num_events, duration_s=duration_s)
            # a full transaction: more events are probably waiting
            encoding_queue.submit(result.states.values(), behind=num_events >= options.max_batch_events)

        freeze_gc()
        StreamWorker(
            kafka,
            WorkerSettings(
                name=options.worker,
                max_events=options.max_batch_events,
                linger_s=options.linger_ms / 1000,
                session_timeout_s=options.session_timeout_s or shortest_session_s(kafka),
            ),
            ingestor=system.ingestor,
            codec=codec,
            publish_dead_letters=dead_letter_topic,
            on_commit=on_commit,
            on_status=metrics.set_status,
        ).run()
